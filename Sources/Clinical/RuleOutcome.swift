/// What one rule beyond the bands makes of one report.
public struct RuleOutcome: Sendable, Hashable {
    public var rule: String
    /// Nil: not met.
    public var level: Severity?
    /// What was met, as the pack has it; nil where nothing was.
    public var met: RuleLevel?
    /// What it was met by, or, where nothing was met, the least that can be said: the latest inputs.
    public var evidence: RuleEvidence
    /// The pack's code.
    public var pack: String
    /// The pack's content hash.
    public var packHash: String
    public var immediate: Bool
    /// It would be red, but the patient's plan has red switched off for this kind at this time.
    public var redSwitchedOff: Bool
    /// After a red was acknowledged, a red that is worse by this much speaks again.
    public var step: Double?
    /// An input of this report was suspect.
    public var suspect: Bool
    /// Back in range: everything that the rule needs is there, and it is inside every limit by the margin.
    public var clears: Bool
    public var advice: Advice?

    /// How bad, in the rule's own measure, higher is worse; nil where it has none.
    public var worseness: Double? { evidence.measure }
}

/// The inputs of a rule, so that an alert explains itself.
public struct RuleEvidence: Sendable, Hashable {
    /// The change, the difference, the mean, the count or the score; nil where nothing is measured.
    public var measure: Double?
    /// The patient's own measure that a difference was counted from.
    public var reference: Double?
    /// Oldest first.
    public var readings: [PastReading] = []
    /// Oldest first; those that say yes.
    public var answers: [PastAnswer] = []
    public var score: NEWS2Score?
    /// How many readings a mean was taken of, and over how many days.
    public var readingsMeant = 0
    public var daysMeant = 0

    init() {}
}
