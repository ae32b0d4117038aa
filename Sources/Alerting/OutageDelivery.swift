public import Clinical

/// A message about an alert that was raised while PostgreSQL was away.
public struct OutageNotice: Hashable, Sendable {
    public var job: DeliveryJob
    /// When the report was received that gave rise to it. A transition that PostgreSQL learns of later, of a report
    /// that was received no later, has been told with this message.
    public var at: Instant

    public init(job: DeliveryJob, at: Instant) {
        self.job = job
        self.at = at
    }
}

/// How far a message of an outage has come.
public struct MadeDelivery: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        /// Not sent yet, or to be sent again: PostgreSQL's outbox takes it over.
        case pending
        /// On its way now; nobody else may send it for that long. Its outcome comes later.
        case underWay(lease: Interval)
        case sent(at: Instant)
        case failed
        /// PostgreSQL's outbox has it already, as a message of that alert.
        case handedOver(to: AlertID)
    }

    public var entry: OutboxEntry
    public var severity: Severity
    /// `OutageNotice.at`.
    public var at: Instant
    /// Attempts begun.
    public var attempts: Int
    public var lastError: String?
    public var state: State

    public init(
        entry: OutboxEntry, severity: Severity, at: Instant, attempts: Int, lastError: String? = nil, state: State
    ) {
        self.entry = entry
        self.severity = severity
        self.at = at
        self.attempts = attempts
        self.lastError = lastError
        self.state = state
    }
}

/// What came of an attempt that was under way when PostgreSQL's outbox took its message over.
public struct LateOutcome: Hashable, Sendable {
    public var key: String
    public var attempt: Int
    public var outcome: DeliveryOutcome

    public init(key: String, attempt: Int, outcome: DeliveryOutcome) {
        self.key = key
        self.attempt = attempt
        self.outcome = outcome
    }
}

/// An id under which an alert was told of during an outage, when it turned out to be part of an older one.
public struct AlertAlias: Hashable, Sendable {
    public var alias: AlertID
    public var alert: AlertID

    public init(alias: AlertID, alert: AlertID) {
        self.alias = alias
        self.alert = alert
    }
}
