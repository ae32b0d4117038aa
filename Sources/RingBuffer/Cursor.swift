public import Synchronization

/// How far one end of the ring has come. One end writes it; every other thread may read it.
///
/// The padding keeps 128 bytes free on both sides (x86 fetches cache lines in pairs), so that neither another cursor
/// nor this object's own reference count shares its cache lines.
@usableFromInline
final class Cursor: Sendable {
    private let leading = InlineArray<128, UInt8>(repeating: 0)

    /// Sequence numbers below this one are done with by the cursor's writer.
    @usableFromInline let position = Atomic<Int>(0)

    /// The writer moves `position` no more. Written once, by the same writer, and read together with `position`,
    /// so it shares that cache line on purpose.
    @usableFromInline let ended = Atomic<Bool>(false)

    private let trailing = InlineArray<128, UInt8>(repeating: 0)

    init() {}
}
