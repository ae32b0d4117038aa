/// A rule of a pack beyond the bands: what changed, means, counts, answers, scores, and combinations of them.
///
/// A condition pack's rule replaces `adult`'s of the same name; of two condition packs the more severe result wins. It
/// is judged whenever a report carries one of its kinds or questions.
public struct Rule: Hashable, Sendable {
    /// The rule's code in alerts: `weight-gain`.
    public var name: String
    /// In any order; the most severe that is met wins.
    public var levels: [RuleLevel]
    /// How far inside every limit it must be before it is back in range, in the rule's own measure.
    public var clearMargin: Double
    /// How much worse inside red speaks again, in the rule's own measure; nil where the pack gives none.
    public var worseBy: Double?

    public init(name: String, levels: [RuleLevel], clearMargin: Double = 0, worseBy: Double? = nil) {
        self.name = name
        self.levels = levels
        self.clearMargin = clearMargin
        self.worseBy = worseBy
    }
}

/// One condition of a rule, how bad it is to meet it, and where its number comes from.
public struct RuleLevel: Hashable, Sendable {
    public var severity: Severity
    public var condition: RuleCondition
    /// What must be there too; nil where the condition stands alone.
    public var companion: RuleCompanion?
    /// No confirmation, nothing may hold it back.
    public var immediate: Bool
    /// Ages only; an unknown date of birth meets every age.
    public var applicability: Applicability
    public var advice: Advice?
    public var source: String
    /// No published source was read.
    public var isProposal: Bool

    public init(
        severity: Severity, condition: RuleCondition, companion: RuleCompanion? = nil, immediate: Bool = false,
        applicability: Applicability = Applicability(), advice: Advice? = nil, source: String, isProposal: Bool = false
    ) {
        self.severity = severity
        self.condition = condition
        self.companion = companion
        self.immediate = immediate
        self.applicability = applicability
        self.advice = advice
        self.source = source
        self.isProposal = isProposal
    }
}

/// What a rule looks for.
public enum RuleCondition: Hashable, Sendable {
    /// A rise from the lowest, or a fall from the highest, of the readings in the span before.
    case change(Kind, Direction, by: Double, within: Interval)
    /// So far above or below the patient's own measure.
    case difference(Kind, Direction, by: Double, from: OwnMeasure)
    /// The mean of the readings of so many local days, the first day with readings left out.
    case mean(Kind, Side, Limit, MeanWindow)
    /// So many of the last reports that carry one of the kinds.
    case count(CountedSign, atLeast: Int, ofLast: Int, within: Interval)
    /// So many of these questions answered with yes on one local day, on so many days running.
    case answers([Question], atLeast: Int, days: Int)
    /// A complete NEWS2.
    case news2(NEWS2Measure, atLeast: Int)
    /// A single reading beyond a limit; for combinations.
    case beyond(Kind, Side, Limit)
}

public enum Direction: String, CaseIterable, Hashable, Sendable {
    case rise
    case fall
}

/// What a difference is counted from.
public struct OwnMeasure: Hashable, Sendable {
    public enum Measure: String, CaseIterable, Hashable, Sendable {
        /// The patient's `baselines` entry for the kind.
        case baseline
        /// `targets.dry_weight`.
        case dryWeight = "dry-weight"
    }

    public var measure: Measure
    /// By NEWS2 scale: only readings below this count. Empty: all do.
    public var onlyBelow: [Int: Double]
    /// A patient without the measure is not judged by it and is none the worse for it; else he is grey.
    public var whereKnown: Bool

    public init(_ measure: Measure, onlyBelow: [Int: Double] = [:], whereKnown: Bool = false) {
        self.measure = measure
        self.onlyBelow = onlyBelow
        self.whereKnown = whereKnown
    }
}

/// Which readings make up a mean.
public struct MeanWindow: Hashable, Sendable {
    /// Local days, the last reading's own included.
    public var days: Int
    /// How many of the first days with readings are left out.
    public var daysLeftOut: Int
    /// Fewer readings than this make no mean.
    public var minimumReadings: Int

    public init(days: Int, daysLeftOut: Int, minimumReadings: Int) {
        self.days = days
        self.daysLeftOut = daysLeftOut
        self.minimumReadings = minimumReadings
    }
}

/// What is counted, report by report.
public enum CountedSign: Hashable, Sendable {
    /// A flag on any reading of these kinds; a report without such a reading does not count at all.
    case flag(ReadingFlags, [Kind])
    case beyond(Kind, Side, Limit)
}

public enum NEWS2Measure: String, CaseIterable, Hashable, Sendable {
    case total
    /// The highest score of one parameter.
    case single
}

/// What must stand beside a condition, within the span before or after it.
public struct RuleCompanion: Hashable, Sendable {
    public enum Sign: Hashable, Sendable {
        /// Any of these questions answered with yes.
        case answers([Question])
        case beyond(Kind, Side, Limit)
    }

    public var sign: Sign
    public var within: Interval

    public init(_ sign: Sign, within: Interval) {
        self.sign = sign
        self.within = within
    }
}

/// What the patient is told at once, in the receipt.
public struct Advice: Hashable, Sendable {
    /// `call-999`.
    public var code: String
    /// By language tag; `en` is always there.
    public var texts: [String: String]

    public init(code: String, texts: [String: String]) {
        self.code = code
        self.texts = texts
    }

    /// In the language, else in its main language (`en` of `en-GB`), else in English.
    public func text(in language: String) -> String {
        let main = language.split(separator: "-").first.map(String.init) ?? language
        return texts[language] ?? texts[main] ?? texts["en"] ?? code
    }
}

extension AnswerValue {
    /// Whether it says yes. Words that nobody foresaw say yes: an answer is never read as harmless by mistake.
    public var isYes: Bool {
        switch self {
        case .boolean(let value): value
        case .number(let value): value != 0
        case .text(let text): !["", "no", "false", "none", "never", "0"].contains(text.lowercased())
        }
    }
}

extension RuleCondition {
    /// What in a report makes it worth judging.
    var kinds: [Kind] {
        switch self {
        case .change(let kind, _, _, _), .difference(let kind, _, _, _), .mean(let kind, _, _, _),
            .beyond(let kind, _, _):
            [kind]
        case .count(.flag(_, let kinds), _, _, _): kinds
        case .count(.beyond(let kind, _, _), _, _, _): [kind]
        case .answers: []
        case .news2: NEWS2Parameter.allCases.map(\.kind)
        }
    }

    var questions: [Question] {
        if case .answers(let questions, _, _) = self { questions } else { [] }
    }

    /// How far back, beyond the report itself, it looks for its kinds and questions. A score has a window of its own.
    var reach: Interval {
        switch self {
        case .change(_, _, _, let within), .count(_, _, _, let within): within
        case .mean(_, _, _, let window): Self.span(ofDays: window.days)
        case .answers(_, _, let days): days > 1 ? Self.span(ofDays: days) : .hours(0)
        case .difference, .news2, .beyond: .hours(0)
        }
    }

    /// Local days, one of which may have 25 hours.
    private static func span(ofDays days: Int) -> Interval { .hours(Int64(days) * 24 + 1) }

    /// The kind whose reds an own `red: off` switches off; nil for what is no single kind.
    var ownKind: Kind? {
        switch self {
        case .count, .answers, .news2: nil
        default: kinds.first
        }
    }
}

extension RuleCompanion {
    var kinds: [Kind] {
        if case .beyond(let kind, _, _) = sign { [kind] } else { [] }
    }

    var questions: [Question] {
        if case .answers(let questions) = sign { questions } else { [] }
    }
}
