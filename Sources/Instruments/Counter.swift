import Synchronization

/// A count that only grows. Any thread may add; one atomic addition, no lock.
///
/// An addition releases and a reading acquires: whoever sees a count also sees every count that was raised before it on
/// the way there. The identity of `PipelineInstruments` rests on that.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}

    public func add(_ amount: Int = 1) { count.add(amount, ordering: .releasing) }

    public var value: Int { count.load(ordering: .acquiring) }
}
