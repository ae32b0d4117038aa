public import Clinical
public import Registry

public typealias AlertClass = EscalationPath.AlertClass

/// Whom or what an alert is about. At most one alert is open per (subject, rule).
public enum Subject: Hashable, Sendable {
    case patient(Identifier)
    case device(Identifier)
    case site(Identifier)
    case instance
}

/// 128 bits derived from (rule, subject, opening report), so that a retried or replayed opening has the same id.
public struct AlertID: Hashable, Comparable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// As the database orders them.
    public static func < (left: AlertID, right: AlertID) -> Bool { (left.high, left.low) < (right.high, right.low) }
}

public enum AlertState: String, CaseIterable, Sendable {
    case open
    case acknowledged
    case shelved
    case resolved
}

/// An alert: it opens, may worsen, and ends.
public struct Episode: Hashable, Sendable {
    public var id: AlertID
    public var subject: Subject
    /// Nil only for an alert of the instance.
    public var site: Identifier?
    /// The reader whose report opened it, where one did.
    public var device: Identifier?
    public var rule: String
    public var alertClass: AlertClass
    /// Never falls within an episode.
    public var severity: Severity
    public var state: AlertState
    public var late: Bool
    public var raisedAt: Instant
    public var summary: String
    public var escalationLevel: Int
    /// The worst measure so far, in the kind's canonical unit, signed so that higher is worse; nil where the rule has none.
    public var worst: Double?
    public var acknowledgedAt: Instant?
    /// `worst` when it was acknowledged: a red that gets worse by the pack's step from here speaks again.
    public var worstAcknowledged: Double?
    /// Corrected `taken_at` of the newest reading that joined it: older ones never clear it.
    public var latestTakenAt: Instant?
    /// Grows by one with each event; a delivery's key holds it.
    public var revision: Int32

    public init(
        id: AlertID, subject: Subject, site: Identifier?, device: Identifier?, rule: String, alertClass: AlertClass,
        severity: Severity, state: AlertState = .open, late: Bool = false, raisedAt: Instant, summary: String,
        escalationLevel: Int = 0, worst: Double? = nil, acknowledgedAt: Instant? = nil,
        worstAcknowledged: Double? = nil, latestTakenAt: Instant? = nil, revision: Int32 = 0
    ) {
        self.id = id
        self.subject = subject
        self.site = site
        self.device = device
        self.rule = rule
        self.alertClass = alertClass
        self.severity = severity
        self.state = state
        self.late = late
        self.raisedAt = raisedAt
        self.summary = summary
        self.escalationLevel = escalationLevel
        self.worst = worst
        self.acknowledgedAt = acknowledgedAt
        self.worstAcknowledged = worstAcknowledged
        self.latestTakenAt = latestTakenAt
        self.revision = revision
    }
}

/// One row of an alert's append-only history.
public struct EpisodeEvent: Hashable, Sendable {
    public enum Transition: String, CaseIterable, Sendable {
        case opened
        /// A further reading of the same severity or less.
        case joined
        case worsened
        /// It had been acknowledged or shelved and speaks again.
        case reopened
        /// Nobody has acknowledged it: the next of its chain are told.
        case escalated
        /// Back in range: an amber ends; a red stays open, awaiting a note.
        case backInRange = "back-in-range"
        case acknowledged
        /// "I have it": by whom it is being dealt with.
        case taken
        case shelved
        /// Taken back by a person: acknowledged as before.
        case unshelved
        case resolved
        /// A reading that caused it was marked entered in error: an amber that nothing else caused ends.
        case enteredInError = "entered-in-error"
    }

    public var alert: AlertID
    public var revision: Int32
    public var transition: Transition
    public var severity: Severity
    public var at: Instant
    /// The report that caused it; nil where a person or a timer did.
    public var report: ReportKey?
    /// A care manager's code, or `homeward`.
    public var actor: String
    public var summary: String
    /// JSON: all inputs (values, times, limits, pack and its hash).
    public var explanation: String

    public init(
        alert: AlertID, revision: Int32, transition: Transition, severity: Severity, at: Instant, report: ReportKey?,
        actor: String, summary: String, explanation: String
    ) {
        self.alert = alert
        self.revision = revision
        self.transition = transition
        self.severity = severity
        self.at = at
        self.report = report
        self.actor = actor
        self.summary = summary
        self.explanation = explanation
    }
}

/// An episode after a batch, with what happened to it.
public struct EpisodeChange: Sendable {
    public var episode: Episode
    public var isNew: Bool
    public var events: [EpisodeEvent]

    public init(episode: Episode, isNew: Bool, events: [EpisodeEvent]) {
        self.episode = episode
        self.isNew = isNew
        self.events = events
    }
}

extension Episode {
    /// Many of these may be acknowledged at once; anything else is looked at by itself.
    public var isMinor: Bool { alertClass == .technical || severity == .info }
}
