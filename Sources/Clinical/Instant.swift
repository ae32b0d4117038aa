/// A point in time: microseconds since 1970-01-01T00:00:00Z, without leap seconds, as PostgreSQL keeps it.
public struct Instant: Hashable, Comparable, Sendable, BitwiseCopyable, Codable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static func < (left: Instant, right: Instant) -> Bool { left.microseconds < right.microseconds }

    /// The instant `duration` later; saturates at the ends of the range rather than trap on hostile input.
    public static func + (instant: Instant, duration: Interval) -> Instant {
        let (sum, overflow) = instant.microseconds.addingReportingOverflow(duration.microseconds)
        return Instant(microseconds: overflow ? (duration.microseconds > 0 ? .max : .min) : sum)
    }

    public static func - (instant: Instant, duration: Interval) -> Instant {
        let (difference, overflow) = instant.microseconds.subtractingReportingOverflow(duration.microseconds)
        return Instant(microseconds: overflow ? (duration.microseconds > 0 ? .min : .max) : difference)
    }

    public static func - (later: Instant, earlier: Instant) -> Interval {
        let (difference, overflow) = later.microseconds.subtractingReportingOverflow(earlier.microseconds)
        return Interval(microseconds: overflow ? (later > earlier ? .max : .min) : difference)
    }
}

/// A length of time in microseconds. May be negative.
public struct Interval: Hashable, Comparable, Sendable, BitwiseCopyable, Codable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static func seconds(_ count: Int64) -> Interval { Interval(microseconds: count * 1_000_000) }
    public static func minutes(_ count: Int64) -> Interval { .seconds(count * 60) }
    public static func hours(_ count: Int64) -> Interval { .minutes(count * 60) }
    public static func days(_ count: Int64) -> Interval { .hours(count * 24) }

    public var seconds: Double { Double(microseconds) / 1_000_000 }

    public static func < (left: Interval, right: Interval) -> Bool { left.microseconds < right.microseconds }
}
