/// What the broker publishes for a client that goes without saying goodbye. QoS 1.
public struct Will: Sendable, Hashable {
    public var topic: String
    public var payload: [UInt8]
    public var retained: Bool

    public init(topic: String, payload: [UInt8], retained: Bool) {
        self.topic = topic
        self.payload = payload
        self.retained = retained
    }
}
