public import Alerting
public import Clinical
import Registry

/// What other threads have to say about this instance itself, for the technical route: an alert of the subject
/// `instance`, raised by the commit thread with its next transaction.
public struct TechnicalFinding: Sendable, Hashable {
    /// The rules that are not about one report.
    public enum Rule: String, Sendable, CaseIterable {
        /// The broker had forgotten our session: what it had queued for us is gone.
        case lostSession = "lost-session"
        /// Nothing can be received: the broker is away.
        case brokerAway = "broker-away"
        /// Homeward itself was down: what was due meanwhile is judged once what the broker kept has been read.
        case homewardAway = "homeward-away"
        /// The database was restored: what was long due waits for a person's word.
        case databaseRestored = "database-restored"
        /// Half of the spool's quota is used.
        case spoolFilling = "spool-filling"
        /// The spool takes no more: reading from the broker has stopped.
        case spoolFull = "spool-full"
        /// Records of the spool were damaged and set aside.
        case spoolCorrupt = "spool-corrupt"
        /// The kernel does not call its clock synchronised.
        case clockUnsynchronised = "clock-unsynchronised"
        /// Nobody can be told by some channel, or some person by one.
        case deadChannel = "channel-dead"
        /// The synthetic reading did not become an alert that reached its end in time.
        case selfTest = "self-test"
    }

    public var rule: Rule
    public var verdict: Finding.Verdict
    public var at: Instant
    /// One sentence for an operator.
    public var summary: String

    public init(_ rule: Rule, _ verdict: Finding.Verdict, at: Instant, summary: String) {
        self.rule = rule
        self.verdict = verdict
        self.at = at
        self.summary = summary
    }

    var finding: Finding {
        Finding(
            subject: .instance, site: nil, device: nil, rule: rule.rawValue, alertClass: .technical, verdict: verdict,
            takenAt: at, receivedAt: at, report: nil, summary: summary)
    }
}
