/// What happened between us and the broker, for logs and metrics. Carries no topic and no payload.
public enum BrokerEvent: Hashable, Sendable {
    /// Which of the two connections.
    public enum Client: String, Sendable {
        case subscriber
        case publisher
    }

    case connected(Client, sessionPresent: Bool)
    /// The broker had kept no session although we had one: what was queued or unacknowledged there is gone.
    case lostSession
    /// Every filter is granted at QoS 1.
    case subscribed
    /// At least one filter was refused, or granted at QoS 0. Asked again with back-off.
    case subscriptionRefused(ReasonCode)
    case disconnected(Client, MQTTError)
    /// Another client connected under our client id, says the broker.
    case sessionTakenOver
    /// The broker accepts us and soon closes without a word, again and again: probably another client under our id,
    /// which Mosquitto does not tell.
    case sessionContested
    /// What was read was not durable within the hold limit: the connection is closed without acknowledging, and stays
    /// off until everything is durable.
    case heldTooLong
    /// Publications that the broker refused, counted; at most one such event a minute.
    case publicationsRefused(ReasonCode, count: Int)

    /// The event's one name, for the log message and the metric's label.
    public var word: StaticString {
        switch self {
        case .connected: "connected"
        case .lostSession: "lost-session"
        case .subscribed: "subscribed"
        case .subscriptionRefused: "subscription-refused"
        case .disconnected: "disconnected"
        case .sessionTakenOver: "session-taken-over"
        case .sessionContested: "session-contested"
        case .heldTooLong: "held-too-long"
        case .publicationsRefused: "publications-refused"
        }
    }
}
