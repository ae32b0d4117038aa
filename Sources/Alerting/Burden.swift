public import Clinical
public import Registry

/// One alert as the burden report sees it.
public struct BurdenAlert: Hashable, Sendable {
    /// How it ended, if it did.
    public enum Ending: Hashable, Sendable {
        /// By a person; `hasNote`: who says what was done about it.
        case resolved(by: String, hasNote: Bool)
        /// By itself: back in range, or over.
        case cleared
    }

    public var rule: String
    public var alertClass: AlertClass
    /// The worst that it was.
    public var severity: Severity
    /// Nil for an alert of the instance.
    public var site: Identifier?
    public var raisedAt: Instant
    /// When a person first answered: acknowledged, took or resolved it.
    public var answeredAt: Instant?
    public var answeredBy: String?
    public var endedAt: Instant?
    public var ending: Ending?
    /// Part of a list that was told as one: no message of its own.
    public var isListed: Bool

    public init(
        rule: String, alertClass: AlertClass, severity: Severity, site: Identifier?, raisedAt: Instant,
        answeredAt: Instant? = nil, answeredBy: String? = nil, endedAt: Instant? = nil, ending: Ending? = nil,
        isListed: Bool = false
    ) {
        self.rule = rule
        self.alertClass = alertClass
        self.severity = severity
        self.site = site
        self.raisedAt = raisedAt
        self.answeredAt = answeredAt
        self.answeredBy = answeredBy
        self.endedAt = endedAt
        self.ending = ending
        self.isListed = isListed
    }
}

/// What alerts cost those who answer them, over a time. Pure.
public struct Burden: Sendable {
    /// Of some alerts. Shares are of all of them; nil where there is none. Times are seconds from the raising, over those
    /// that were answered, or ended; nil where none was.
    public struct Figures: Hashable, Sendable {
        public var alerts = 0
        public var red = 0
        public var amber = 0
        public var perPatientWeek: Double?
        public var acknowledgedShare: Double?
        /// By a person with a note that says what was done.
        public var resolvedWithActionShare: Double?
        public var autoClearedShare: Double?
        public var acknowledgeMedian: Double?
        public var acknowledgeP95: Double?
        public var resolveMedian: Double?
        public var resolveP95: Double?
    }

    public struct Rule: Hashable, Sendable {
        public var rule: String
        public var alertClass: AlertClass
        public var figures: Figures
    }

    /// What one person was told and did.
    public struct Worker: Hashable, Sendable {
        public var careManager: String
        /// Alerts of which a message was made for him.
        public var told: Int
        public var toldPerWeek: Double?
        /// Alerts that he was the first to answer.
        public var answered: Int
    }

    public struct Flood: Hashable, Sendable {
        public var site: Identifier
        public var minutes: Int
    }

    /// Ten alerts in ten minutes (ISA-18.2; clinical facts, section 5).
    public static let floodAlerts = 10
    public static let floodMinutes: Int64 = 10

    public let since: Instant
    public let until: Instant
    /// Each patient from his enrolment on, in weeks.
    public let patientWeeks: Double
    public let patients: Int
    public let clinical: Figures
    public let technical: Figures
    /// Most alerts first.
    public let rules: [Rule]
    public let careManagers: [Worker]
    /// For each care team that had any alert.
    public let floods: [Flood]

    /// - Parameters:
    ///   - alerts: those raised from `since` to before `until`.
    ///   - enrolled: when each monitored patient was enrolled.
    ///   - told: how many of the alerts each care manager had a message of.
    public init(
        of alerts: [BurdenAlert], since: Instant, until: Instant, enrolled: [Instant], told: [String: Int]
    ) {
        self.since = since
        self.until = until
        let spans = enrolled.map { (until - max(since, $0)).microseconds }.filter { $0 > 0 }
        let weeks = spans.reduce(0.0) { $0 + Double($1) } / Self.week
        patients = spans.count
        patientWeeks = weeks
        clinical = Self.figures(alerts.filter { $0.alertClass == .clinical }, weeks)
        technical = Self.figures(alerts.filter { $0.alertClass == .technical }, weeks)
        struct Key: Hashable {
            var rule: String
            var alertClass: AlertClass
        }
        rules = Dictionary(grouping: alerts) { Key(rule: $0.rule, alertClass: $0.alertClass) }.map { key, ofRule in
            Rule(rule: key.rule, alertClass: key.alertClass, figures: Self.figures(ofRule, weeks))
        }.sorted {
            ($1.figures.alerts, $0.rule, $0.alertClass.rawValue) < ($0.figures.alerts, $1.rule, $1.alertClass.rawValue)
        }
        let answered = Dictionary(grouping: alerts.compactMap(\.answeredBy)) { $0 }.mapValues(\.count)
        let length = Double(max(0, (until - since).microseconds)) / Self.week
        careManagers = Set(told.keys).union(answered.keys).sorted().map { code in
            let count = told[code] ?? 0
            return Worker(
                careManager: code, told: count, toldPerWeek: length > 0 ? Double(count) / length : nil,
                answered: answered[code] ?? 0)
        }
        // What is technical goes another way, and of a list one message went out.
        var raised: [Identifier: [Instant]] = [:]
        for alert in alerts where alert.alertClass == .clinical && !alert.isListed {
            if let site = alert.site { raised[site, default: []].append(alert.raisedAt) }
        }
        floods = raised.map { Flood(site: $0.key, minutes: Self.floodedMinutes($0.value)) }
            .sorted { $0.site.description < $1.site.description }
    }

    private static let week = 7 * 86_400_000_000.0

    private static func figures(_ alerts: [BurdenAlert], _ patientWeeks: Double) -> Figures {
        var figures = Figures()
        figures.alerts = alerts.count
        figures.red = alerts.count { $0.severity == .red }
        figures.amber = alerts.count { $0.severity == .amber }
        if patientWeeks > 0 { figures.perPatientWeek = Double(alerts.count) / patientWeeks }
        let answers = alerts.compactMap { alert in alert.answeredAt.map { ($0 - alert.raisedAt).seconds } }.sorted()
        let ends = alerts.compactMap { alert in alert.endedAt.map { ($0 - alert.raisedAt).seconds } }.sorted()
        if !alerts.isEmpty {
            let all = Double(alerts.count)
            figures.acknowledgedShare = Double(answers.count) / all
            figures.resolvedWithActionShare =
                Double(
                    alerts.count {
                        if case .resolved(_, hasNote: true) = $0.ending { true } else { false }
                    }) / all
            figures.autoClearedShare = Double(alerts.count { $0.ending == .cleared }) / all
        }
        figures.acknowledgeMedian = percentile(0.5, of: answers)
        figures.acknowledgeP95 = percentile(0.95, of: answers)
        figures.resolveMedian = percentile(0.5, of: ends)
        figures.resolveP95 = percentile(0.95, of: ends)
        return figures
    }

    /// Between the two nearest values in proportion, as PostgreSQL's percentile_cont; nil of none. `sorted` ascends.
    static func percentile(_ share: Double, of sorted: [Double]) -> Double? {
        guard let last = sorted.last else { return nil }
        let place = share * Double(sorted.count - 1)
        let lower = place.rounded(.down)
        guard let index = Int(exactly: lower), index + 1 < sorted.count else { return last }
        return sorted[index] + (sorted[index + 1] - sorted[index]) * (place - lower)
    }

    /// Minutes of the clock at the end of which ten or more alerts had been raised within ten minutes, this one included.
    static func floodedMinutes(_ raised: [Instant]) -> Int {
        var perMinute: [Int64: Int] = [:]
        for instant in raised { perMinute[minute(instant), default: 0] += 1 }
        var flooded: Set<Int64> = []
        for first in perMinute.keys {
            for minute in first..<(first + floodMinutes) where !flooded.contains(minute) {
                let count = ((minute - floodMinutes + 1)...minute).reduce(0) { $0 + (perMinute[$1] ?? 0) }
                if count >= floodAlerts { flooded.insert(minute) }
            }
        }
        return flooded.count
    }

    private static func minute(_ instant: Instant) -> Int64 {
        let perMinute: Int64 = 60_000_000
        return instant.microseconds / perMinute - (instant.microseconds % perMinute < 0 ? 1 : 0)
    }
}
