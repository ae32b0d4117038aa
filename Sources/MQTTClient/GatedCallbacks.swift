internal import CLinux
internal import Clinical
internal import Cryptography
internal import Ingestion

/// Puts each PUBLISH straight from libmosquitto's memory into the inbox, and counts what was read since the last
/// flush. Owns the inbox, since C calls back without our loop's frame at hand; used by the mqtt thread alone.
final class GatedCallbacks<InboxType: Inbox & ~Copyable>: MosquittoCallbacks {
    /// A message that came although no slot was free. Under TLS one read may bring several.
    private struct Overflow {
        let topic: [UInt8]
        let payload: [UInt8]
        let retained: Bool
        let receivedAt: Instant
    }

    /// Of a longer payload this much is kept, with its length and digest.
    static var longestPayload: Int { 65_536 }

    var inbox: InboxType
    /// PUBLISHes read whose acknowledgements have not been flushed.
    private(set) var unacknowledged = 0
    /// PUBLISHes taken into the inbox and not yet published to the next stage.
    private(set) var unpublished = 0
    private var overflow: [Overflow] = []

    init(inbox: consuming InboxType) { self.inbox = inbox }

    var hasOverflow: Bool { !overflow.isEmpty }

    override func received(topic: Span<UInt8>, payload: Span<UInt8>, retained: Bool) {
        unacknowledged += 1
        let receivedAt = Instant(microseconds: linux_wall_clock_microseconds())
        if overflow.isEmpty, take(topic: topic, payload: payload, retained: retained, receivedAt: receivedAt) {
            return
        }
        overflow.append(
            Overflow(topic: topic.copy, payload: payload.copy, retained: retained, receivedAt: receivedAt))
    }

    /// Hands what was read to the next stage; moves what had no slot into those that have become free.
    func publish() {
        while let first = overflow.first,
            take(
                topic: first.topic.span, payload: first.payload.span, retained: first.retained,
                receivedAt: first.receivedAt)
        {
            overflow.removeFirst()
        }
        guard unpublished > 0 else { return }
        unpublished = 0
        inbox.publish()
    }

    /// All that was read may be acknowledged.
    var isAllDurable: Bool { overflow.isEmpty && unpublished == 0 && inbox.isAllDurable }

    /// The acknowledgements have left, or the connection that they belong to is gone.
    func settle() {
        unacknowledged = 0
        overflow.removeAll()
    }

    private func take(topic: Span<UInt8>, payload: Span<UInt8>, retained: Bool, receivedAt: Instant) -> Bool {
        let taken: Bool
        if payload.count > Self.longestPayload {
            // Not worth a digest while there is no room.
            guard inbox.freeSlots > 0 else { return false }
            taken = inbox.receive(
                topic: topic, payload: payload.extracting(first: Self.longestPayload), fullLength: payload.count,
                digest: sha256(payload), retained: retained, receivedAt: receivedAt)
        } else {
            taken = inbox.receive(
                topic: topic, payload: payload, fullLength: payload.count, digest: nil, retained: retained,
                receivedAt: receivedAt)
        }
        if taken { unpublished += 1 }
        return taken
    }
}

extension Span<UInt8> {
    fileprivate var copy: [UInt8] {
        unsafe withUnsafeBufferPointer { unsafe Array($0) }
    }
}
