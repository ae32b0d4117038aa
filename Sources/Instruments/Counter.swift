import Synchronization

/// A count that only grows. Any thread may add; one atomic addition, no lock.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    public init() {}

    public func add(_ amount: Int = 1) { count.add(amount, ordering: .relaxed) }

    public var value: Int { count.load(ordering: .acquiring) }
}
