import Synchronization

/// A distribution over fixed buckets. Any thread may observe; atomics, no lock.
///
/// In one scrape the count is the sum of the buckets, so that `_count` and `le="+Inf"` are always the same; the sum may
/// lag behind by observations under way.
public final class Histogram: Sendable {
    /// Upper bounds, each belonging to its bucket, ascending and finite.
    public let bounds: [Double]
    private let buckets: [Counter]
    private let sum = Atomic<UInt64>(Double.zero.bitPattern)

    public init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "bounds must ascend")
        precondition(bounds.allSatisfy(\.isFinite), "the infinite bucket is always there")
        self.bounds = bounds
        buckets = (0...bounds.count).map { _ in Counter() }
    }

    /// Counts `value`. What is not finite is left out; a negative one, as of a clock that was set back, counts as 0.
    public func observe(_ value: Double) {
        guard value.isFinite else { return }
        let value = max(0, value)
        buckets[bounds.firstIndex { value <= $0 } ?? bounds.count].add()
        var current = sum.load(ordering: .relaxed)
        while true {
            let next = (Double(bitPattern: current) + value).bitPattern
            let (exchanged, original) = sum.weakCompareExchange(expected: current, desired: next, ordering: .relaxed)
            if exchanged { return }
            current = original
        }
    }

    /// What has been observed so far.
    public struct Snapshot: Sendable, Hashable {
        /// How many are at most each bound.
        public var cumulative: [Int]
        public var count: Int
        public var sum: Double
    }

    public var snapshot: Snapshot {
        let total = Double(bitPattern: sum.load(ordering: .relaxed))
        var running = 0
        let cumulative = buckets.map { bucket in
            running += bucket.value
            return running
        }
        return Snapshot(cumulative: cumulative.dropLast(), count: running, sum: total)
    }
}
