/// The preallocated slots. Lives as long as any end does; the last one to go deinitialises each slot once.
///
/// Unchecked because the compiler can't see who owns which slot: a slot belongs to the producer from its release until
/// `received` passes it, then to the decoder until `decoded` does, then to the committer until `durable` does, then to
/// the producer again. Each hand-over is a store of the cursor that the next owner has loaded.
@usableFromInline
@safe
final class SlotStorage<Slot: Sendable>: @unchecked Sendable {
    @usableFromInline let base: UnsafeMutablePointer<Slot>
    @usableFromInline let mask: Int

    /// `capacity` is a power of two; `RingControl` has seen to that.
    init(capacity: Int, makeSlot: (Int) -> Slot) {
        unsafe base = UnsafeMutablePointer<Slot>.allocate(capacity: capacity)
        mask = capacity - 1
        for index in 0..<capacity {
            unsafe (base + index).initialize(to: makeSlot(index))
        }
    }

    deinit {
        unsafe base.deinitialize(count: mask + 1)
        unsafe base.deallocate()
    }

    /// Calls `body` with the slot of `sequence`, which the caller must own at this moment (see above).
    @inlinable
    func withSlot<R: ~Copyable, E: Error>(_ sequence: Int, _ body: (inout Slot) throws(E) -> R) throws(E) -> R {
        // Within the allocation for every Int, since mask + 1 is its count.
        try unsafe body(&base[sequence & mask])
    }
}
