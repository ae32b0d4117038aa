public import Synchronization

/// The end that fills slots, and frees them once they are durable. Owned by one thread, the one that reads MQTT.
///
/// Sequence numbers count up from 0 for ever. A full ring refuses (`stage` returns nil) and loses nothing; the owner
/// stops reading, calls `park`, and sleeps on `wakeDescriptor` beside its sockets.
public struct RingProducer<Slot: Sendable>: ~Copyable, Sendable {
    @usableFromInline let control: RingControl
    @usableFromInline let slots: SlotStorage<Slot>
    /// Sequence number of the slot that the next `stage` fills; from `received` to here slots are staged.
    @usableFromInline var next = 0
    /// What `received` was stored as last; this end is its only writer.
    @usableFromInline var published = 0
    /// What `released` was stored as last.
    @usableFromInline var released = 0
    /// The last `durable` that this end has looked at.
    @usableFromInline var seenDurable = 0

    init(control: RingControl, slots: SlotStorage<Slot>) {
        self.control = control
        self.slots = slots
    }

    deinit {
        // E1: after the last S1, so that whoever sees it also sees every published slot.
        control.received.ended.store(true, ordering: .sequentiallyConsistent)  // Model: close_received
        control.decoderParking.wakeIfParked()
    }

    /// Slots in the ring.
    @inlinable public var capacity: Int { control.capacity }

    /// How many more slots can be staged before the ring is full. Only `release` makes it grow.
    @inlinable public var freeSlots: Int { control.capacity - (next - released) }

    /// The number of slots published so far, which is the sequence number of the first that is not.
    @inlinable public var received: Int { published }

    /// The number of slots that are durable: every sequence number below it has been published by the committer.
    /// Counts as having been seen for `park`.
    @inlinable
    public var durable: Int {
        mutating get {
            // P2 where `park` asks, hence sequentially consistent; pairs with S1 of the committer.
            seenDurable = control.durable.position.load(ordering: .sequentiallyConsistent)  // Model: look_durable
            return seenDurable
        }
    }

    /// True for ever once any stage has failed, or has ended before it worked everything off. Nothing more becomes
    /// durable that is not already.
    @inlinable public var failure: Bool {
        control.failed.load(ordering: .sequentiallyConsistent)  // Model: look_failure
    }

    /// Reads the cursors from any thread, for metrics.
    public var gauge: RingGauge { RingGauge(control: control) }

    /// Fills the next slot, which holds whatever its last use left in it. No other thread sees it before `publish`.
    ///
    /// - Returns: what `body` returned; nil, without calling it, when the ring is full.
    /// - Throws: what `body` throws. The slot is then not staged, and the next call gets the same one.
    @inlinable
    public mutating func stage<R, E: Error>(_ body: (inout Slot) throws(E) -> R) throws(E) -> R? {
        guard next - released < control.capacity else { return nil }
        let result = try slots.withSlot(next, body)
        next += 1
        return result
    }

    /// Makes all staged slots visible to the decoder with one store, and wakes it if it is parked.
    /// Does nothing when nothing is staged.
    @inlinable
    public mutating func publish() {
        guard next != published else { return }
        published = next
        // S1: hands the slots over to the decoder.
        control.received.position.store(next, ordering: .sequentiallyConsistent)  // Model: publish_received
        control.decoderParking.wakeIfParked()
    }

    /// Visits the durable slots that are not yet released, oldest first, and frees each for which `body` returns true;
    /// the first false ends the visit, and that slot is visited again by the next call.
    ///
    /// - Returns: how many were freed.
    /// - Throws: what `body` throws; the slots before that one are freed.
    @inlinable
    public mutating func release<E: Error>(_ body: (inout Slot) throws(E) -> Bool) throws(E) -> Int {
        let end = durable
        let start = released
        defer {
            if released != start {
                // For the gauge only: nobody waits for it.
                control.released.position.store(released, ordering: .releasing)  // Model: publish_released
            }
        }
        while released < end, try slots.withSlot(released, body) {
            released += 1
        }
        return released - start
    }

    /// Becomes readable when `durable` moves after `park` returned true, and when a stage fails. An eventfd for the
    /// owner's poll set, only to be polled: `drainWake` reads it. Valid as long as this end is.
    @inlinable public var wakeDescriptor: Int32 { control.producerParking.descriptor }

    /// Asks to be woken when `durable` moves beyond what this end has seen (by `durable`, `release` or `park`).
    ///
    /// - Returns: true if the owner may now sleep on `wakeDescriptor`; false if `durable` has moved already, which
    ///   then counts as seen, or if a stage has failed (`failure`).
    @inlinable
    public mutating func park() -> Bool {
        let seen = seenDurable
        control.producerParking.arm()  // P1
        // P2. No `ended`: while this end lives the stages can only end by failing.
        if failure || durable != seen {
            control.producerParking.disarm()  // P3
            return false
        }
        return true
    }

    /// Takes the token out of `wakeDescriptor` and withdraws `park`. Call it when the descriptor was readable, before
    /// looking at `durable`; harmless at any other time.
    @inlinable
    public mutating func drainWake() {
        control.producerParking.drain()  // P5
        control.producerParking.disarm()
    }

    /// No more will come: each stage is told `.finished` once it has worked everything off. Slots staged but not
    /// published are never seen. The same happens when this end goes out of scope.
    public consuming func finish() {}
}
