public import Clinical

/// Something that kept a message from leaving at once and alone: a row of the suppression ledger, which is only added to.
///
/// A red's message has none: it is never gathered, delayed, limited or part of a digest.
public struct Suppression: Hashable, Sendable {
    public enum Kind: String, CaseIterable, Sendable {
        /// One message for several alerts of a patient, or one list for several patients.
        case merge
        /// Raised out of the site's hours: it waits for their beginning.
        case digest
        /// Its recipient has had enough messages on this channel for now.
        case limit
        case shelving
        /// A patient's missed readings are not looked for.
        case pause
    }

    public var kind: Kind
    /// Nil for a pause.
    public var alert: AlertID?
    /// The patient of a pause.
    public var patient: Identifier?
    /// One sentence.
    public var reason: String
    /// A care manager's code, or `homeward`.
    public var actor: String
    /// Until when; nil where it was not for a time.
    public var until: Instant?
    /// The key of the outbox row that it is about; nil where it is about the alert itself.
    public var delivery: String?
    /// The key of the message in which it left, where that is one of several alerts.
    public var message: String?

    public init(
        kind: Kind, alert: AlertID?, patient: Identifier? = nil, reason: String, actor: String = "homeward",
        until: Instant? = nil, delivery: String? = nil, message: String? = nil
    ) {
        self.kind = kind
        self.alert = alert
        self.patient = patient
        self.reason = reason
        self.actor = actor
        self.until = until
        self.delivery = delivery
        self.message = message
    }
}
