public import Clinical

/// One MQTT message as it came, in a slot of the ring. The arrays keep their capacity from message to message.
public struct Message: Sendable {
    /// The most bytes of a payload that are kept, and the most that a payload may have.
    public static let maximumPayload = 64 * 1024
    /// The most bytes of a topic that are kept; an acceptable topic is far shorter.
    public static let maximumTopic = 1024

    public var topic: [UInt8]
    public var payload: [UInt8]
    /// What the payload's length was; over 64 KiB only the first 64 KiB are in `payload`.
    public var fullLength: Int
    /// SHA-256 of the whole payload; only where it is over 64 KiB.
    public var digest: [UInt8]?
    /// Flagged retained: delivered because we subscribed.
    public var retained: Bool
    public var receivedAt: Instant
    /// CLOCK_MONOTONIC, nanoseconds: for latencies, which a clock step must not bend.
    public var receivedTick: Int64

    public init(
        topic: [UInt8] = [], payload: [UInt8] = [], fullLength: Int? = nil, digest: [UInt8]? = nil,
        retained: Bool = false, receivedAt: Instant = Instant(microseconds: 0), receivedTick: Int64 = 0
    ) {
        self.topic = topic
        self.payload = payload
        self.fullLength = fullLength ?? payload.count
        self.digest = digest
        self.retained = retained
        self.receivedAt = receivedAt
        self.receivedTick = receivedTick
    }

    /// Whether it is a device's status rather than a report.
    public var isStatus: Bool { topic.span.endsWithStatus }

    func withBytes<Result>(_ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Result) -> Result {
        unsafe topic.withUnsafeBytes { topic in
            unsafe payload.withUnsafeBytes { payload in unsafe body(topic, payload) }
        }
    }
}

extension Span<UInt8> {
    /// Whether a topic of these bytes is a status topic; everything else is counted as a report.
    var endsWithStatus: Bool {
        let suffix: StaticString = "/status"
        guard count >= suffix.utf8CodeUnitCount else { return false }
        let start = count - suffix.utf8CodeUnitCount
        for offset in 0..<suffix.utf8CodeUnitCount
        where unsafe self[start + offset] != suffix.utf8Start[offset] { return false }
        return true
    }
}
