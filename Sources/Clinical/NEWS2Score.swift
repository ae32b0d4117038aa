/// What NEWS2 is scored from, in the order of the chart.
public enum NEWS2Parameter: String, CaseIterable, Sendable, Hashable {
    case respiratoryRate = "respiratory-rate"
    case spo2
    case oxygen
    case systolic
    case pulse
    case consciousness
    case temperature

    public var kind: Kind {
        switch self {
        case .respiratoryRate: .respiratoryRate
        case .spo2: .spo2
        case .oxygen: .oxygen
        case .systolic: .systolic
        case .pulse: .pulse
        case .consciousness: .consciousness
        case .temperature: .temperature
        }
    }

    public init?(kind: Kind) {
        guard let parameter = Self.allCases.first(where: { $0.kind == kind }) else { return nil }
        self = parameter
    }
}

/// One parameter's part of a score.
public struct NEWS2Part: Sendable, Hashable {
    public var parameter: NEWS2Parameter
    /// At the chart's resolution; consciousness as its rank (0 is alert), oxygen in L/min (0 is room air).
    public var value: Double
    /// 0 to 3; nil where it can't be told: SpO2 of 93 and over on scale 2 while nobody said whether oxygen is given.
    public var score: Int?

    public init(parameter: NEWS2Parameter, value: Double, score: Int?) {
        self.parameter = parameter
        self.value = value
        self.score = score
    }
}

/// How urgent the chart says a complete score is.
public enum NEWS2Trigger: String, CaseIterable, Sendable, Hashable {
    /// 0 to 4, no single 3.
    case low
    /// 0 to 4 with a single 3, the "red score".
    case lowMedium = "low-medium"
    /// 5 or 6.
    case medium
    /// 7 and more.
    case high
}

/// The National Early Warning Score of one patient at one time.
///
/// Scored only from what was measured: a parameter that is missing leaves no total, since a partial sum shown as a score
/// hides how ill somebody is. Source: Royal College of Physicians, NEWS2 (2017), charts 1 and 4. Not for people under
/// 16, whom `enrol` refuses where it knows the date of birth, nor in pregnancy, of which the registry knows nothing: it
/// scores whomever it is given.
public struct NEWS2Score: Sendable, Hashable {
    /// 1, or 2 for a target range of 88 to 92 %.
    public let scale: Int
    /// Who chose scale 2, where that is known.
    public let scaleBy: String?
    /// In the order of the chart; only what was measured.
    public let parts: [NEWS2Part]

    /// `values` in each kind's canonical unit, unrounded: they are rounded here to the chart's resolution, temperature
    /// to 0.1, the rest to whole numbers, half away from zero. A coded kind's value is its rank.
    public init(scale: Int, scaleBy: String? = nil, values: [NEWS2Parameter: Double]) {
        self.scale = scale
        self.scaleBy = scaleBy
        let onOxygen = values[.oxygen].map { $0 > 0 }
        parts = NEWS2Parameter.allCases.compactMap { parameter in
            guard let value = values[parameter] else { return nil }
            let charted = parameter.kind.chartResolution?.rounded(value) ?? value
            return NEWS2Part(
                parameter: parameter, value: charted,
                score: Self.score(parameter, charted, scale: scale, onOxygen: onOxygen))
        }
    }

    /// What nobody measured.
    public var missing: [NEWS2Parameter] {
        NEWS2Parameter.allCases.filter { parameter in !parts.contains { $0.parameter == parameter } }
    }

    public var isComplete: Bool { parts.count == NEWS2Parameter.allCases.count }

    /// 0 to 20; nil unless complete.
    public var total: Int? {
        guard isComplete else { return nil }
        return parts.reduce(0) { $0 + ($1.score ?? 0) }
    }

    /// The highest score of one parameter, of those that are there; 0 where none is.
    public var highestSingle: Int { parts.compactMap(\.score).max() ?? 0 }

    /// Nil unless complete.
    public var trigger: NEWS2Trigger? {
        guard let total else { return nil }
        switch total {
        case 7...: return .high
        case 5...6: return .medium
        default: return highestSingle == 3 ? .lowMedium : .low
        }
    }

    private static func score(_ parameter: NEWS2Parameter, _ value: Double, scale: Int, onOxygen: Bool?) -> Int? {
        switch parameter {
        case .respiratoryRate: return value <= 8 ? 3 : value <= 11 ? 1 : value <= 20 ? 0 : value <= 24 ? 2 : 3
        case .spo2: return scale == 2 ? scale2(value, onOxygen: onOxygen) : scale1(value)
        case .oxygen: return value > 0 ? 2 : 0
        case .systolic: return value <= 90 ? 3 : value <= 100 ? 2 : value <= 110 ? 1 : value <= 219 ? 0 : 3
        case .pulse:
            if value <= 40 { return 3 }
            if value <= 50 { return 1 }
            return value <= 90 ? 0 : value <= 110 ? 1 : value <= 130 ? 2 : 3
        case .consciousness: return value > 0 ? 3 : 0
        case .temperature:
            if value <= 35.0 { return 3 }
            return value <= 36.0 ? 1 : value <= 38.0 ? 0 : value <= 39.0 ? 1 : 2
        }
    }

    private static func scale1(_ value: Double) -> Int { value <= 91 ? 3 : value <= 93 ? 2 : value <= 95 ? 1 : 0 }

    private static func scale2(_ value: Double, onOxygen: Bool?) -> Int? {
        if value <= 83 { return 3 }
        if value <= 85 { return 2 }
        if value <= 87 { return 1 }
        if value <= 92 { return 0 }
        guard let onOxygen else { return nil }
        guard onOxygen else { return 0 }
        return value <= 94 ? 1 : value <= 96 ? 2 : 3
    }
}

extension Plan {
    /// The score of what a report says, with the patient's latest readings of the window before it for what it does
    /// not. Nil for a report without any parameter. `history` may hold more than the window.
    public func news2Score(of report: JudgedReport, history: PatientHistory) -> NEWS2Score? {
        news2Score(of: report.key, at: report.takenAt, in: Timeline(report, plan: self, history: history))
    }

    /// The highest score that the report is part of: its own, or that of a later one which it completes because it came
    /// late. Nil where none is complete.
    func highestNEWS2Score(in timeline: Timeline) -> NEWS2Score? {
        let report = timeline.report
        var anchors: [ReportKey: Instant] = [report.key: report.takenAt]
        for parameter in NEWS2Parameter.allCases {
            let line = timeline.readings(of: parameter.kind)
            for later in line[line.place(after: report.takenAt)..<line.place(after: report.takenAt + news2Window)] {
                anchors[later.key] = later.takenAt
            }
        }
        var highest: NEWS2Score?
        for (key, instant) in anchors {
            guard let score = news2Score(of: key, at: instant, in: timeline), let total = score.total else { continue }
            let isHigher = highest.map { (total, score.highestSingle) > ($0.total ?? 0, $0.highestSingle) } ?? true
            // Its own of two that are as high, so that the order in which they are looked at does not matter.
            let isEqual = highest.map { (total, score.highestSingle) == ($0.total ?? 0, $0.highestSingle) } ?? false
            if isHigher || (isEqual && key == report.key) { highest = score }
        }
        return highest
    }

    /// What may complete a report's score, to be read from the store; nil where it has no parameter or has all.
    public func news2HistoryNeeded(for report: JudgedReport) -> HistoryNeed? {
        let parameters = Set(NEWS2Parameter.allCases.map(\.kind))
        let there = parameters.intersection(report.readings.map(\.kind))
        guard !there.isEmpty, there.count < parameters.count else { return nil }
        return HistoryNeed(kinds: parameters, since: report.takenAt - news2Window)
    }

    private func news2Score(of key: ReportKey, at instant: Instant, in timeline: Timeline) -> NEWS2Score? {
        var values: [NEWS2Parameter: Double] = [:]
        var hasOwn = false
        for parameter in NEWS2Parameter.allCases {
            let line = timeline.readings(of: parameter.kind)
            let upTo = line[line.place(of: instant - news2Window)..<line.place(after: instant)]
            guard let latest = upTo.last?.takenAt else { continue }
            let newest = upTo.reversed().prefix { $0.takenAt == latest }
            let own = newest.filter { $0.key == key }
            if !own.isEmpty { hasOwn = true }
            values[parameter] = worst(own.isEmpty ? Array(newest) : own, of: parameter)
        }
        return hasOwn ? NEWS2Score(scale: news2Scale, scaleBy: news2ScaleBy, values: values) : nil
    }

    /// Of several at one instant the one that scores most, so that their order does not matter.
    private func worst(_ readings: [PastReading], of parameter: NEWS2Parameter) -> Double? {
        guard readings.count > 1 else { return readings.first.map(Self.scored) }
        return readings.map(Self.scored).max { left, right in
            let scores = [left, right].map { NEWS2Score(scale: news2Scale, values: [parameter: $0]).highestSingle }
            return scores[0] != scores[1] ? scores[0] < scores[1] : left < right
        }
    }

    /// What a meter could not measure counts as the end of what is plausible.
    private static func scored(_ reading: PastReading) -> Double {
        let range = reading.kind.plausibility.refusedOutside
        if reading.flags.contains(.outOfRangeHigh) { return range.upperBound }
        if reading.flags.contains(.outOfRangeLow) { return range.lowerBound }
        return reading.value
    }
}
