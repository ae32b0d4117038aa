public import Synchronization

/// The cursors, parking spots and failure flag that the three ends share; it knows nothing of the slots.
@usableFromInline
final class RingControl: Sendable {
    @usableFromInline let capacity: Int

    /// Written by the producer: slots filled and visible.
    @usableFromInline let received = Cursor()
    /// Written by the decoder.
    @usableFromInline let decoded = Cursor()
    /// Written by the committer.
    @usableFromInline let durable = Cursor()
    /// Written by the producer, which alone judges by it; the gauge reads it.
    @usableFromInline let released = Cursor()

    @usableFromInline let producerParking: ParkingSpot
    @usableFromInline let decoderParking: ParkingSpot
    @usableFromInline let committerParking: ParkingSpot

    /// Set by any end, at most once from false to true; never cleared.
    @usableFromInline let failed = Atomic<Bool>(false)

    init(capacity: Int) throws(RingError) {
        guard capacity > 0, capacity & (capacity - 1) == 0 else { throw RingError(.capacityNotPowerOfTwo) }
        guard capacity <= RingError.largestCapacity else { throw RingError(.capacityTooLarge) }
        self.capacity = capacity
        producerParking = try ParkingSpot()
        decoderParking = try ParkingSpot()
        committerParking = try ParkingSpot()
    }

    /// Stops every end: F1, then F2 for each.
    @usableFromInline
    func fail() {
        // F1: before any F2, so that an end which takes the token finds the reason.
        failed.store(true, ordering: .sequentiallyConsistent)  // Model: fail
        producerParking.wakeInAnyCase()
        decoderParking.wakeInAnyCase()
        committerParking.wakeInAnyCase()
    }
}
