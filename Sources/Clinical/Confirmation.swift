/// A red that waits for its confirmation: the alert is open as amber meanwhile, and the patient was asked to measure
/// again.
///
/// The caller keeps the time: when `due` has come and no later reading of the kind, whatever it said, silence makes the
/// alert red by `red` and `Sentence.silence`. Any later reading of the kind settles it before: a second one beyond the
/// limit is red by itself, a normal one has `Assessment.unconfirmed`.
public struct Confirmation: Sendable, Hashable {
    /// The rule whose alert it is: `systolic-high`.
    public var rule: String
    /// How long the patient has, as the pack says; the receipt's `repeat_after_minutes`.
    public var repeatAfter: Interval
    /// By our clock: the time of receipt and `repeatAfter`.
    public var due: Instant
    /// What the reading is once nobody answered.
    public var red: Assessment

    init?(_ assessment: Assessment, receivedAt: Instant) {
        guard let awaited = assessment.awaited, let repeatAfter = awaited.threshold.repeatAfter else { return nil }
        rule = assessment.rule
        self.repeatAfter = repeatAfter
        due = receivedAt + repeatAfter
        var red = assessment
        red.level = .red
        red.limit = awaited.threshold
        red.source = awaited.source
        red.isProposal = awaited.isProposal
        red.advice = awaited.advice
        red.awaited = nil
        self.red = red
    }
}

extension Verdict {
    /// The reds that wait, for a report received then.
    public func confirmations(receivedAt: Instant) -> [Confirmation] {
        assessments.compactMap { Confirmation($0, receivedAt: receivedAt) }
    }

    /// In what time the patient is asked to measure again; nil: need not.
    public var repeatAfter: Interval? { assessments.compactMap(\.repeatAfter).min() }

    /// What the patient is to be told at once: the advice of the most severe finding that has one.
    public var advice: Advice? {
        let all =
            assessments.map { (level: $0.level, advice: $0.advice) }
            + outcomes.map { (level: $0.level, advice: $0.advice) }
        let advised = all.filter { $0.level != nil && $0.advice != nil }
        return (advised.first { $0.level == .red } ?? advised.first)?.advice
    }
}

extension Plan {
    /// Whether a limit on that side of the kind asks for a repeat: a reading of the kind may settle a red that waits.
    public func asksForRepeat(_ kind: Kind, _ side: Side) -> Bool {
        asksForSeveral && hasRepeat(kind, side)
    }
}

extension Sentence {
    /// "… above the red limit of 170 mmHg (…); not repeated within 30 min."
    public static func silence(_ confirmation: Confirmation, takenAt: Instant, receivedAt: Instant, timeZone: String)
        -> String
    {
        let sentence = summary(
            of: confirmation.red, takenAt: takenAt, receivedAt: receivedAt, timeZone: timeZone)
        return sentence.dropLast() + "; not repeated within \(words(confirmation.repeatAfter))."
    }
}
