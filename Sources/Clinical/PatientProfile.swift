/// What the rules need to know of a patient. Nothing in here names him.
public struct PatientProfile: Hashable, Sendable {
    public var born: CalendarDate?
    /// 1, or 2 where a named clinician said so (target range 88-92 %).
    public var news2Scale: Int
    /// Who said so, in the registry's words.
    public var news2ScaleBy: String?
    public var highRisk: Bool
    /// Codes of the condition packs; `adult` always applies and need not stand here.
    public var conditions: [String]
    public var limits: [OwnLimit]
    public var baselines: [Kind: Double]
    /// `targets.inr`.
    public var inrTarget: ClosedRange<Double>?
    /// `targets.dry_weight`, kg.
    public var dryWeight: Double?
    /// The site's choice of the amber limit for low glucose, mmol/L (3.9 by ADA, 4.0 in UK teaching); nil is the pack's.
    public var siteGlucoseLow: Double?
    /// IANA name, the patient's own or the site's; for the local time in sentences.
    public var timeZone: String

    public init(
        born: CalendarDate? = nil, news2Scale: Int = 1, news2ScaleBy: String? = nil, highRisk: Bool = false,
        conditions: [String] = [], limits: [OwnLimit] = [], baselines: [Kind: Double] = [:],
        inrTarget: ClosedRange<Double>? = nil,
        dryWeight: Double? = nil, siteGlucoseLow: Double? = nil, timeZone: String = "Europe/London"
    ) {
        self.born = born
        self.news2Scale = news2Scale
        self.news2ScaleBy = news2ScaleBy
        self.highRisk = highRisk
        self.conditions = conditions
        self.limits = limits
        self.baselines = baselines
        self.inrTarget = inrTarget
        self.dryWeight = dryWeight
        self.siteGlucoseLow = siteGlucoseLow
        self.timeZone = timeZone
    }
}

/// A limit of the patient's own. It replaces the side that it names; the other side stays the packs'.
public struct OwnLimit: Hashable, Sendable {
    public var kind: Kind
    /// Nil where the limit does not name this side.
    public var low: [Threshold]?
    public var high: [Threshold]?
    /// `red: off`: no red for this kind before this date's end.
    public var redOffUntil: CalendarDate?
    /// Who set it (a care manager's code) and why.
    public var by: String?
    public var reason: String?

    public init(
        kind: Kind, low: [Threshold]? = nil, high: [Threshold]? = nil, redOffUntil: CalendarDate? = nil,
        by: String? = nil, reason: String? = nil
    ) {
        self.kind = kind
        self.low = low
        self.high = high
        self.redOffUntil = redOffUntil
        self.by = by
        self.reason = reason
    }
}

/// A day of the Gregorian calendar, checked to exist.
public struct CalendarDate: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let year: Int
    public let month: Int
    public let day: Int

    public init?(year: Int, month: Int, day: Int) {
        guard (1...9999).contains(year), (1...12).contains(month), day >= 1 else { return nil }
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
        let lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        guard day <= lengths[month - 1] else { return nil }
        self.year = year
        self.month = month
        self.day = day
    }

    /// `YYYY-MM-DD`.
    public var description: String {
        func padded(_ number: Int, _ width: Int) -> String {
            let digits = String(number)
            return String(repeating: "0", count: max(0, width - digits.count)) + digits
        }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
    }

    public static func < (left: CalendarDate, right: CalendarDate) -> Bool {
        (left.year, left.month, left.day) < (right.year, right.month, right.day)
    }
}
