/// A report's time after the outside contract's rule for clocks.
public struct CorrectedClock: Hashable, Sendable {
    /// When the measurement was made, as far as it can be known.
    public var takenAt: Instant
    /// `sent_at` proved a fast clock, and `takenAt` was shifted by the difference.
    public var corrected: Bool
    /// `clock-future` or `too-old`; nil where the report can be used.
    public var refusal: RefusalReason?

    public init(takenAt: Instant, corrected: Bool, refusal: RefusalReason?) {
        self.takenAt = takenAt
        self.corrected = corrected
        self.refusal = refusal
    }
}

/// The outside contract's rules of time (section 1, "Clocks" and "Late"). Pure; exact limits belong to the good side.
public enum Clocks {
    /// A clock may differ by this much before `sent_at` proves anything.
    public static let tolerance = Interval.minutes(2)
    /// How far after receipt a measurement may claim to be.
    public static let future = Interval.minutes(5)
    /// How old a measurement may be.
    public static let oldest = Interval.days(30)
    /// From here on a report is late.
    public static let lateAfter = Interval.hours(1)
    /// From here on a report raises nothing but `late-red`.
    public static let tooLateToAlertAfter = Interval.hours(24)

    /// `sent_at` over 2 min after receipt shifts both times back by the difference; a `sent_at` before receipt proves
    /// nothing, since the report may have waited. Then over 5 min after receipt is refused, and over 30 days before.
    public static func correct(takenAt: Instant, sentAt: Instant?, receivedAt: Instant) -> CorrectedClock {
        var clock = CorrectedClock(takenAt: takenAt, corrected: false, refusal: nil)
        if let sentAt, sentAt - receivedAt > tolerance {
            clock.takenAt = takenAt - (sentAt - receivedAt)
            clock.corrected = true
        }
        if clock.takenAt - receivedAt > future {
            clock.refusal = .clockFuture
        } else if receivedAt - clock.takenAt > oldest {
            clock.refusal = .tooOld
        }
        return clock
    }

    /// Received over 1 h after it was taken: judged as ever, and its alert says that it is late.
    public static func isLate(takenAt: Instant, receivedAt: Instant) -> Bool { receivedAt - takenAt > lateAfter }

    /// Received over 24 h after it was taken: raises nothing by itself; a red in it is one amber `late-red`.
    public static func isTooLateToAlert(takenAt: Instant, receivedAt: Instant) -> Bool {
        receivedAt - takenAt > tooLateToAlertAfter
    }
}
