import Synchronization

/// A value that goes up and down. Any thread may set it; one atomic store, no lock.
public final class Gauge: Sendable {
    private let bits: Atomic<UInt64>
    private let observed = Mutex<(@Sendable () -> Double)?>(nil)

    public init(_ value: Double = 0) { bits = Atomic(value.bitPattern) }

    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .releasing) }

    /// 1 or 0.
    public func set(_ isOn: Bool) { set(isOn ? 1 : 0) }

    /// From now on the value is what `read` says when somebody looks; `set` has no effect any more. `read` runs on the
    /// thread of the scrape and must not wait.
    public func observe(_ read: @escaping @Sendable () -> Double) { observed.withLock { $0 = read } }

    public var value: Double {
        if let read = observed.withLock({ $0 }) { return read() }
        return Double(bitPattern: bits.load(ordering: .acquiring))
    }
}
