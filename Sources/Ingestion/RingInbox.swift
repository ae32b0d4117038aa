import CLinux
public import Clinical
import Formats
public import Instruments
public import RingBuffer

/// The ring as the mqtt thread sees it.
public struct RingInbox: Inbox, ~Copyable, Sendable {
    /// Payloads larger than a slot's own memory are bounded together: over this the inbox counts as full.
    public static let maximumOverflow = 32 * 1024 * 1024

    private var ring: RingProducer<Slot>
    private let instruments: PipelineInstruments
    private let drained: DrainedReceipts
    private var overflow = 0
    private var stagedReports = 0
    private var stagedBytes = 0
    private var receipt: [UInt8] = []

    /// `drained`: receipts of reports that came out of the spool; they leave before those of the ring.
    public init(
        ring: consuming RingProducer<Slot>, instruments: PipelineInstruments,
        drained: DrainedReceipts = DrainedReceipts()
    ) {
        drained.announce(to: ring.wakeDescriptor)
        self.ring = ring
        self.instruments = instruments
        self.drained = drained
    }

    public var freeSlots: Int { overflow >= Self.maximumOverflow ? 0 : ring.freeSlots }

    public mutating func receive(
        topic: Span<UInt8>, payload: Span<UInt8>, fullLength: Int, digest: [UInt8]?, retained: Bool,
        receivedAt: Instant
    ) -> Bool {
        guard freeSlots > 0 else { return false }
        let taken: Void? = ring.stage { slot in
            slot.message.topic.replaceContents(with: topic, limit: Message.maximumTopic)
            slot.message.payload.replaceContents(with: payload, limit: Message.maximumPayload)
            slot.message.fullLength = fullLength
            slot.message.digest = digest
            slot.message.retained = retained
            slot.message.receivedAt = receivedAt
            slot.message.receivedTick = linux_monotonic_nanoseconds()
            slot.outcome = Outcome()
        }
        guard taken != nil else { return false }
        stagedBytes += topic.count + payload.count
        if payload.count > Slot.inlinePayload { overflow += min(payload.count, Message.maximumPayload) }
        if !topic.endsWithStatus { stagedReports += 1 }
        return true
    }

    public mutating func publish() {
        // Counted before the stages can see them, so that no scrape finds more stored than received.
        instruments.reportsReceived.add(stagedReports)
        stagedReports = 0
        instruments.stages.receivedBytes.add(stagedBytes)
        stagedBytes = 0
        ring.publish()
    }

    public var isAllDurable: Bool { ring.gauge.durable == ring.received }

    public mutating func releaseDurable(_ send: (_ topic: String, _ payload: Span<UInt8>) -> Bool) -> Bool {
        guard drained.takeAll({ send($0.topic, $0.payload.span) }) else { return false }
        var blocked = false
        var freedOverflow = 0
        var buffer: [UInt8] = []
        swap(&buffer, &receipt)
        _ = ring.release { slot in
            if let answer = slot.receipt, let topic = slot.decoded.topic {
                buffer.removeAll(keepingCapacity: true)
                answer.encode(into: &buffer)
                guard send(HomewardTopic.receipt(site: topic.site, device: topic.device), buffer.span) else {
                    blocked = true
                    return false
                }
            }
            if slot.message.payload.count > Slot.inlinePayload {
                freedOverflow += slot.message.payload.count
                slot.message.payload = []
                slot.message.payload.reserveCapacity(Slot.inlinePayload)
            }
            return true
        }
        swap(&buffer, &receipt)
        overflow -= freedOverflow
        return !blocked
    }

    public var wakeDescriptor: Int32 { ring.wakeDescriptor }
    public mutating func park() -> Bool { ring.park() }
    public mutating func drainWake() { ring.drainWake() }
    public var hasFailed: Bool { ring.failure }
}

extension [UInt8] {
    /// Reuses the array's memory where it suffices.
    mutating func replaceContents(with bytes: Span<UInt8>, limit: Int) {
        removeAll(keepingCapacity: true)
        let kept = bytes.extracting(first: Swift.min(bytes.count, limit))
        unsafe kept.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }
}

extension Slot {
    /// What the device is told; nil when nobody waits for an answer or the report's id can't be read.
    var receipt: Receipt? { outcome.receipt(for: message, decoded) }
}

extension Outcome {
    /// See `Slot.receipt`. A spooled report has no receipt before its commit.
    func receipt(for message: Message, _ decoded: Decoded) -> Receipt? {
        guard let id = decoded.report.id, decoded.topic != nil else { return nil }
        switch disposition {
        case .pending, .unanswered, .spooled:
            return nil
        case .stored:
            return Receipt(
                id: id, outcome: .stored, reason: nil,
                refused: refused.map { Receipt.Refused(reading: $0.index, kind: $0.kind, reason: $0.reason) },
                repeatAfterMinutes: repeatAfterMinutes, advice: advice, receivedAt: message.receivedAt)
        case .duplicate:
            return Receipt(id: id, outcome: .duplicate, receivedAt: message.receivedAt)
        case .quarantined(let reason):
            return Receipt(id: id, outcome: .quarantined, reason: reason, receivedAt: message.receivedAt)
        }
    }
}
