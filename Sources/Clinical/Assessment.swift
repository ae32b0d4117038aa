/// A report with everything that rules may look at. Its readings passed validation.
public struct JudgedReport: Sendable, Hashable {
    public var key: ReportKey
    /// Corrected.
    public var takenAt: Instant
    public var receivedAt: Instant
    public var readings: [Reading]
    public var answers: [SentAnswer]

    public init(
        key: ReportKey, takenAt: Instant, receivedAt: Instant, readings: [Reading], answers: [SentAnswer] = []
    ) {
        self.key = key
        self.takenAt = takenAt
        self.receivedAt = receivedAt
        self.readings = readings
        self.answers = answers
    }

    public var isLate: Bool { Clocks.isLate(takenAt: takenAt, receivedAt: receivedAt) }
    public var isTooLateToAlert: Bool { Clocks.isTooLateToAlert(takenAt: takenAt, receivedAt: receivedAt) }
}

/// What one rule makes of one report: at most one for each rule and report, decided by the worst reading.
public struct Assessment: Sendable, Hashable {
    /// `spo2-low`.
    public var rule: String
    public var side: Side
    /// Nil: in range.
    public var level: Severity?
    /// The reading that decided.
    public var reading: Reading
    /// The limit that it is beyond; nil in range, and for a meter's LO or HI where the plan has no limit on that side.
    public var limit: Threshold?
    /// How the limit came about where it is the patient's own measure: "50 % of 320 L/min".
    public var basis: String?
    /// The pack's code, or `own-limit`.
    public var pack: String
    /// The pack's content hash; empty for an own limit, whose version is the registry's.
    public var packHash: String
    /// Where the limit's number comes from; for an own limit who set it.
    public var source: String
    public var isProposal: Bool
    /// Decided by an immediate limit: no confirmation, nothing may hold it back.
    public var immediate: Bool
    /// It would be red, but the patient's plan has red switched off for this kind at this time.
    public var redSwitchedOff: Bool
    /// How bad, in the kind's canonical unit, higher is worse.
    public var worseness: Double
    /// After a red was acknowledged, a red that is worse by this much speaks again; nil: the pack gives no step.
    public var step: Double?
    public var suspect: Bool
    /// Back in range: every reading of the kind is inside every limit by the band's margin, none is suspect, and the
    /// report is not too late to say so.
    public var clears: Bool
    /// The readings that made up "twice" together with `reading`, oldest first.
    public var otherReadings: [PastReading]
    /// The red limit that it is beyond and that waits for its confirmation: it is amber until then.
    public var awaited: BandLimit?
    /// The patient is asked to measure again in this time: the red limit that it is beyond wants a second reading,
    /// whether or not the red waits for it.
    public var repeatAfter: Interval?
    /// In range, and the reading before it waited for a confirmation that this one does not give.
    public var unconfirmed: PastReading?
    /// What the patient is told at once.
    public var advice: Advice?

    public init(
        rule: String, side: Side, level: Severity?, reading: Reading, limit: Threshold? = nil, basis: String? = nil,
        pack: String, packHash: String, source: String = "", isProposal: Bool = false, immediate: Bool = false,
        redSwitchedOff: Bool = false, worseness: Double, step: Double? = nil, suspect: Bool = false,
        clears: Bool = false, otherReadings: [PastReading] = []
    ) {
        self.rule = rule
        self.side = side
        self.level = level
        self.reading = reading
        self.limit = limit
        self.basis = basis
        self.pack = pack
        self.packHash = packHash
        self.source = source
        self.isProposal = isProposal
        self.immediate = immediate
        self.redSwitchedOff = redSwitchedOff
        self.worseness = worseness
        self.step = step
        self.suspect = suspect
        self.clears = clears
        self.otherReadings = otherReadings
    }
}

/// What the rules make of a report.
public struct Verdict: Sendable, Hashable {
    /// One for each rule that has a limit for a kind in the report, in range or not, in the order of kinds and sides.
    /// Empty for a report that is too late to alert.
    public var assessments: [Assessment]
    /// What the rules beyond the bands say, one for each that the report concerns and that has what it needs. Of two
    /// outcomes, or an outcome and an assessment, with one rule code the more severe counts. Empty for a report that is
    /// too late to alert.
    public var outcomes: [RuleOutcome]
    /// The reds in a report that is too late to alert, the most telling first: raise one clinical amber `late-red` for
    /// the key worker about all of them.
    public var lateReds: [Assessment]
    /// Those of the rules beyond the bands: they belong to the same `late-red`.
    public var lateOutcomes: [RuleOutcome]

    public init(
        assessments: [Assessment] = [], outcomes: [RuleOutcome] = [], lateReds: [Assessment] = [],
        lateOutcomes: [RuleOutcome] = []
    ) {
        self.assessments = assessments
        self.outcomes = outcomes
        self.lateReds = lateReds
        self.lateOutcomes = lateOutcomes
    }

    /// The rule code for `lateReds`.
    public static let lateRedRule = "late-red"
    /// The rule code for an immediate red in a report that was refused.
    public static let unverifiedRedRule = "unverified-red"
    /// Rule codes that are ours: no pack may name a rule so.
    public static let reservedRules: Set<String> = [
        lateRedRule, unverifiedRedRule, Schedule.missedReadingRule, Schedule.missedReadingsRule,
        Schedule.unseenRule, Schedule.cutOffRule,
    ]
}
