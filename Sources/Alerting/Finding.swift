public import Clinical

/// What one report says of one rule: something is beyond a limit, or is in range again.
public struct Finding: Hashable, Sendable {
    public enum Verdict: Hashable, Sendable {
        case beyond(Severity)
        /// Inside every limit of the rule, by its clear margin.
        case inRange
        /// In range, and the reading before it waited for a confirmation that this one does not give: an amber stays open
        /// and says so. `clears`: inside every limit by the clear margin too.
        case unconfirmed(clears: Bool)
    }

    public var subject: Subject
    public var site: Identifier?
    public var device: Identifier?
    public var rule: String
    public var alertClass: AlertClass
    public var verdict: Verdict
    public var late: Bool
    /// Corrected `taken_at` of the reading; for a technical finding the time of receipt.
    public var takenAt: Instant
    public var receivedAt: Instant
    public var report: ReportKey?
    /// In the kind's canonical unit, signed so that higher is worse; nil where the rule has none.
    public var measure: Double?
    /// By how much a red must get worse to speak again after its acknowledgement.
    public var step: Double?
    /// A state that goes on: while its alert is open, the same again is no event of its history.
    public var isStanding = false
    /// One sentence that a nurse can read.
    public var summary: String
    /// JSON with all inputs.
    public var explanation: String

    public init(
        subject: Subject, site: Identifier?, device: Identifier?, rule: String, alertClass: AlertClass,
        verdict: Verdict, late: Bool = false, takenAt: Instant, receivedAt: Instant, report: ReportKey?,
        measure: Double? = nil, step: Double? = nil, summary: String, explanation: String = "{}"
    ) {
        self.subject = subject
        self.site = site
        self.device = device
        self.rule = rule
        self.alertClass = alertClass
        self.verdict = verdict
        self.late = late
        self.takenAt = takenAt
        self.receivedAt = receivedAt
        self.report = report
        self.measure = measure
        self.step = step
        self.summary = summary
        self.explanation = explanation
    }
}
