public import Synchronization

/// An end that works through what the end ahead of it has published: the decoder follows `received`, the committer
/// follows `decoded`. Owned by one thread.
///
/// A stage takes everything that is there (natural batching), works on the slots in place, and publishes once or in
/// parts. It is the only one to touch a slot between its claim and its publication.
public struct RingStage<Slot: Sendable>: ~Copyable, Sendable {
    /// What `wait` has found.
    @frozen
    public enum Work: Sendable, Equatable {
        /// Sequence numbers that are claimed by this stage and not yet published; never empty. What an earlier call
        /// claimed and nobody published is in it again.
        case slots(Range<Int>)
        /// Everything is worked off and no more will come.
        case finished
        /// Some end has failed: leave what is there and end.
        case failed
        /// Nothing came in the given time.
        case timedOut
    }

    @usableFromInline let control: RingControl
    @usableFromInline let slots: SlotStorage<Slot>
    @usableFromInline let ahead: Cursor
    @usableFromInline let own: Cursor
    @usableFromInline let parking: ParkingSpot
    @usableFromInline let behind: ParkingSpot
    /// What `own` was stored as last; this end is its only writer.
    @usableFromInline var published = 0
    /// The last position of `ahead` that this end has looked at: up to there the slots are its own.
    @usableFromInline var claimed = 0

    init(
        control: RingControl, slots: SlotStorage<Slot>, ahead: Cursor, own: Cursor, parking: ParkingSpot,
        behind: ParkingSpot
    ) {
        self.control = control
        self.slots = slots
        self.ahead = ahead
        self.own = own
        self.parking = parking
        self.behind = behind
    }

    deinit {
        // `ended` before the position, as in P2.
        if ahead.ended.load(ordering: .sequentiallyConsistent),  // Model: scope_end_ended
            ahead.position.load(ordering: .sequentiallyConsistent) == published  // Model: scope_end_position
        {
            // E1: after the last S1, so that whoever sees it also sees every published slot.
            own.ended.store(true, ordering: .sequentiallyConsistent)  // Model: close_own
            behind.wakeIfParked()
        } else {
            // Something is left or may still come, and nobody will work it off: the others must not wait for it.
            control.fail()
        }
    }

    /// The number of slots that this stage has published, which is the sequence number of the first that it has not.
    @inlinable public var position: Int { published }

    /// Claims everything that the end ahead has published, or sleeps until there is something.
    ///
    /// Returns at once while claimed slots are unpublished, so publish before waiting again. Once any end has failed
    /// it returns `.failed`, whatever else is there.
    ///
    /// - Parameter milliseconds: how long to sleep at most; 0 only looks, a negative number stands for ever.
    @inlinable
    public mutating func wait(milliseconds: Int32) -> Work {
        if let work = look() { return work }
        if milliseconds == 0 { return .timedOut }
        let deadline = ParkingSpot.deadline(milliseconds: milliseconds)
        while true {
            parking.arm()  // P1
            if let work = look() {  // P2
                parking.disarm()  // P3
                return work
            }
            guard parking.sleep(until: deadline) else {  // P4, P5
                parking.disarm()  // P6
                return look() ?? .timedOut
            }
        }
    }

    /// P2: nil when there is nothing to do but sleep.
    @inlinable
    mutating func look() -> Work? {
        if control.failed.load(ordering: .sequentiallyConsistent) { return .failed }  // Model: look_failed
        // `ended` before the position: once it is set the position is final, so none is missed.
        let ended = ahead.ended.load(ordering: .sequentiallyConsistent)  // Model: look_ended
        // Pairs with S1 of the end ahead: its writes to the slots are visible from here on.
        claimed = ahead.position.load(ordering: .sequentiallyConsistent)  // Model: look_position
        if claimed != published { return .slots(published..<claimed) }
        return ended ? .finished : nil
    }

    /// Calls `body` with the slot of a sequence number that `wait` has given and that is not yet published; traps on
    /// any other, since that slot belongs to another thread.
    @inlinable
    public mutating func withSlot<R: ~Copyable, E: Error>(
        _ sequence: Int, _ body: (inout Slot) throws(E) -> R
    ) throws(E) -> R {
        precondition(sequence >= published && sequence < claimed, "slot is not claimed by this stage")
        return try slots.withSlot(sequence, body)
    }

    /// Hands all slots up to and with `sequence` over to the end behind, with one store, and wakes it if it is parked.
    /// Traps on a sequence number that is not claimed, or is published already.
    @inlinable
    public mutating func publish(through sequence: Int) {
        precondition(sequence >= published && sequence < claimed, "slot is not claimed by this stage")
        published = sequence + 1
        // S1: hands the slots over to the end behind.
        own.position.store(published, ordering: .sequentiallyConsistent)  // Model: publish_own
        behind.wakeIfParked()
    }

    /// Stops the whole ring for ever: the other stage sees `.failed`, the producer sees `failure`, and both are woken.
    /// Calling it again changes nothing.
    public func fail() { control.fail() }

    /// This stage ends. After `.finished` the end behind is told so in its turn; at any earlier time ending is failing,
    /// since nobody would work off the rest. The same happens when this end goes out of scope.
    public consuming func finish() {}
}
