/// How long to wait before the next attempt: full jitter, so that a thousand clients of a restarted broker don't come
/// back at the same moment. Never gives up.
public struct Backoff: Sendable {
    public struct Bounds: Sendable, Hashable {
        public var floor = Duration.milliseconds(200)
        public var ceiling = Duration.seconds(5)
        /// The least wait after another client took our session over: two clients of one id must not storm.
        public var afterTakeover = Duration.seconds(5)

        public init() {}
    }

    private let bounds: Bounds
    private var attempts = 0

    public init(_ bounds: Bounds) { self.bounds = bounds }

    /// Between the floor and twice the last attempt's upper end, at most the ceiling.
    public mutating func next(using generator: inout some RandomNumberGenerator) -> Duration {
        attempts = min(attempts + 1, 20)
        let floor = bounds.floor.nanoseconds
        let ceiling = max(floor, bounds.ceiling.nanoseconds)
        let (doubled, overflow) = floor.multipliedReportingOverflow(by: 1 << Int64(attempts))
        let end = overflow ? ceiling : min(ceiling, doubled)
        return .nanoseconds(Int64.random(in: floor...max(floor, end), using: &generator))
    }

    /// As `next`, but at least `afterTakeover`, with the same spread on top of it.
    public mutating func nextAfterTakeover(using generator: inout some RandomNumberGenerator) -> Duration {
        bounds.afterTakeover + next(using: &generator)
    }

    public mutating func reset() { attempts = 0 }
}

extension Duration {
    /// Saturates at about 292 years.
    var nanoseconds: Int64 {
        let (seconds, attoseconds) = components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carried) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carried ? (seconds < 0 ? .min : .max) : sum
    }

    /// Whole seconds, rounded up, within `range`.
    func wholeSeconds(in range: ClosedRange<Int64>) -> Int64 {
        let (seconds, attoseconds) = components
        return min(max(attoseconds > 0 && seconds < .max ? seconds + 1 : seconds, range.lowerBound), range.upperBound)
    }
}
