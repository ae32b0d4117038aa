import Clinical
import Formats
public import RingBuffer

/// Bytes to validated readings: the pure, stateless middle of the pipeline. One value per thread.
public struct DecodeStage: Sendable {
    private var decoder = ReportDecoder()
    private let crashGuard: CrashGuard?

    public init(crashGuard: CrashGuard? = nil) {
        self.crashGuard = crashGuard
    }

    /// Works slot after slot until the ring is finished or failed. The body of the decode thread.
    public mutating func run(_ ring: consuming RingStage<Slot>) {
        crashGuard?.prepareThread()
        while case .slots(let range) = ring.wait(milliseconds: -1) {
            for sequence in range {
                ring.withSlot(sequence) { slot in decode(slot.message, into: &slot.decoded) }
            }
            guard let last = range.last else { continue }
            ring.publish(through: last)
        }
        ring.finish()
    }

    /// The first fault in the contract's order wins: `bad-topic`, `too-large`, (`crashed`), `malformed`, `empty`.
    public mutating func decode(_ message: Message, into decoded: inout Decoded) {
        decoded.reset()
        guard let topic = HomewardTopic(message.topic.span), topic.leaf != .receipt else {
            decoded.fault = Decoded.Fault(
                reason: .badTopic, detail: "not homeward/v1/{site}/{device}/report or status")
            return
        }
        decoded.topic = topic
        if message.fullLength > Message.maximumPayload {
            let hash = (message.digest ?? []).map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
            decoded.fault = Decoded.Fault(
                reason: .tooLarge, detail: "{\"length\":\(message.fullLength),\"sha256\":\"\(hash)\"}")
            return
        }
        if let crashGuard {
            if crashGuard.isCondemned(message) {
                decoded.fault = Decoded.Fault(
                    reason: .crashed, detail: "these bytes ended the daemon twice; kept unread")
                return
            }
            crashGuard.watch(message) { decode(message.payload.span, topic: topic, message, into: &decoded) }
        } else {
            decode(message.payload.span, topic: topic, message, into: &decoded)
        }
    }

    private mutating func decode(
        _ payload: Span<UInt8>, topic: HomewardTopic, _ message: Message, into decoded: inout Decoded
    ) {
        Failpoint.crashIfAsked(by: payload)
        do throws(ReportFault) {
            if topic.leaf == .status {
                // An empty payload clears a retained status: nothing is said by it.
                if payload.isEmpty { return }
                decoded.status = try DeviceStatus.decode(payload)
                return
            }
            try decoder.decode(payload, into: &decoded.report)
        } catch {
            decoded.fault = Decoded.Fault(reason: error.reason, detail: error.detail)
            return
        }
        decoded.digest = ContentDigest(of: decoded.report)
        decoded.clock = Clocks.correct(
            takenAt: decoded.report.takenAt, sentAt: decoded.report.sentAt, receivedAt: message.receivedAt)
        Validation.validate(decoded.report, into: &decoded.readings)
    }
}
