public import Clinical
public import Formats

/// A place in the ring: the message, what decoding made of it, and what became of it.
///
/// The mqtt thread writes `message`, the decode thread `decoded`, the commit thread `outcome`; each only while the
/// slot is between the cursor ahead of it and its own.
public struct Slot: Sendable {
    /// A payload up to this size lies in memory that the slot keeps; a larger one travels beside it and is given back.
    public static let inlinePayload = 1024

    public var message: Message
    public var decoded: Decoded
    public var outcome: Outcome

    public init() {
        message = Message()
        message.topic.reserveCapacity(160)
        message.payload.reserveCapacity(Self.inlinePayload)
        decoded = Decoded()
        outcome = Outcome()
    }
}

/// What the decode stage made of a message. Stateless: it knows no registry.
public struct Decoded: Sendable {
    /// Why it can't be a report (or status) at all.
    public struct Fault: Sendable, Hashable {
        public var reason: RefusalReason
        public var detail: String
    }

    /// Nil where the topic can't be read.
    public var topic: HomewardTopic?
    public var fault: Fault?
    public var status: DeviceStatus?
    /// Its `id` is set also beside a fault, when it could be read.
    public var report = SentReport()
    public var readings = ValidatedReadings()
    public var clock = CorrectedClock(takenAt: Instant(microseconds: 0), corrected: false, refusal: nil)
    public var digest = ContentDigest(high: 0, low: 0)

    public init() {}

    mutating func reset() {
        topic = nil
        fault = nil
        status = nil
        report.reset()
        readings.reset()
    }
}

/// What became of a message; the receipt says it to the device.
public struct Outcome: Sendable {
    public enum Disposition: Sendable, Hashable {
        case pending
        /// A status, a report without a readable id or topic: nobody waits for a receipt.
        case unanswered
        case stored
        case duplicate
        case quarantined(RefusalReason)
        /// On the local disk, until PostgreSQL takes it.
        case spooled
    }

    public var disposition = Disposition.pending
    /// Only when stored without some readings.
    public var refused: [RefusedReading] = []
    /// Set when the patient is asked to measure again.
    public var repeatAfterMinutes: Int?
    /// Set when the pack has advice for what was measured; in the patient's language.
    public var advice: Receipt.Advice?

    public init() {}
}
