/// One ring of preallocated slots, through which reports pass from the MQTT thread to the decoder to the committer.
///
/// This bundle exists to be taken apart: each end moves into its own thread (see `Handoff`). The ends are not copyable,
/// so a second writer of a cursor does not compile:
///
/// ```swift
/// let ends = try RingEnds(capacity: 4096) { _ in ReportSlot() }
/// let producer = ends.producer
/// let second = ends.producer  // error: 'ends' consumed more than once
/// ```
///
/// No locks, no allocation and no dropping after `init`: a full ring is reported to the producer, which stops reading.
/// Waiting ends sleep on an eventfd; nothing spins and nothing polls by time.
@frozen
public struct RingEnds<Slot: Sendable>: ~Copyable, Sendable {
    /// Fills slots and frees them again once they are durable. For the MQTT thread.
    public var producer: RingProducer<Slot>
    /// Follows `received`, writes `decoded`. For the decode thread.
    public var decoder: RingStage<Slot>
    /// Follows `decoded`, writes `durable`. For the commit thread.
    public var committer: RingStage<Slot>
    /// Reads the cursors from any thread, for metrics.
    public let gauge: RingGauge

    /// Makes the ring with all its slots.
    ///
    /// - Parameters:
    ///   - capacity: the number of slots, a power of two from 1 to `RingError.largestCapacity`.
    ///   - makeSlot: called once for each index from 0, in order, before this returns.
    /// - Throws: `RingError`, before any slot is made.
    public init(capacity: Int, makeSlot: (Int) -> Slot) throws(RingError) {
        let control = try RingControl(capacity: capacity)
        let slots = SlotStorage(capacity: capacity, makeSlot: makeSlot)
        producer = RingProducer(control: control, slots: slots)
        decoder = RingStage(
            control: control, slots: slots,
            ahead: control.received, own: control.decoded,
            parking: control.decoderParking, behind: control.committerParking)
        committer = RingStage(
            control: control, slots: slots,
            ahead: control.decoded, own: control.durable,
            parking: control.committerParking, behind: control.producerParking)
        gauge = RingGauge(control: control)
    }
}
