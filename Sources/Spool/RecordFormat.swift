import Clinical
import Cryptography
import Ingestion

/// How messages lie in one segment, one record after another.
///
///     0  mark      the segment's
///     4  length    of the body; with the highest bit set, of a gap to step over, which nothing else vouches for
///     8  checksum  CRC-32C of the segment's salt, the record's offset in the file, the length and the body
///     12 body      the message; where the segment is encrypted nonce, ciphertext and tag of it, bound to salt and offset
///
/// A message: flags (1 retained, 2 with digest) and the digest's length in a byte each, the topic's length in two,
/// `receivedAt` and `fullLength` in eight each, then topic, digest and payload.
///
/// The offset in the checksum keeps what an earlier life left further on in a file from being taken for a record.
struct RecordFormat {
    static let frameCount = 12
    static let fixedCount = 20
    static let maximumDigest = 64
    static let gapFlag: UInt32 = 0x8000_0000
    /// Longer than any body, encrypted or not.
    static let maximumBody =
        fixedCount + Message.maximumTopic + maximumDigest + Message.maximumPayload + SpoolKey.nonceCount
        + SpoolKey.tagCount

    let mark: UInt32
    let salt: [UInt8]
    /// Of an encrypted segment.
    let key: SpoolKey?
    private let saltChecksum: UInt32

    init(_ header: SegmentHeader, key: SpoolKey?) {
        mark = header.mark
        salt = header.salt
        self.key = header.isEncrypted ? key : nil
        saltChecksum = checksum(header.salt.span)
    }

    /// Whether a message keeps to the bounds of `Message`, so that it can be read back.
    static func holds(_ message: Message) -> Bool {
        message.topic.count <= Message.maximumTopic && message.payload.count <= Message.maximumPayload
            && (message.digest?.count ?? 0) <= maximumDigest
    }

    /// What a message takes in a file.
    static func byteCount(of message: Message, isEncrypted: Bool) -> Int {
        frameCount + fixedCount + message.topic.count + (message.digest?.count ?? 0) + message.payload.count
            + (isEncrypted ? SpoolKey.nonceCount + SpoolKey.tagCount : 0)
    }

    /// Appends the record of a message which will begin at `offset` in the file. `nonce` is read only with a key.
    func append(_ message: Message, at offset: Int, nonce: Span<UInt8>, to buffer: inout [UInt8]) {
        let start = buffer.count
        buffer.append(number: mark)
        buffer.append(number: UInt64(0))
        if let key {
            var plain: [UInt8] = []
            Self.append(message, to: &plain)
            key.seal(plain.span, binding: binding(offset).span, nonce: nonce, to: &buffer)
        } else {
            Self.append(message, to: &buffer)
        }
        let length = UInt32(truncatingIfNeeded: buffer.count - start - Self.frameCount)
        let sum = checksum(
            buffer.span.extracting((start + Self.frameCount)...), after: placeChecksum(offset, length))
        buffer.put(length, at: start + 4)
        buffer.put(sum, at: start + 8)
    }

    /// The frame that has the bytes from `offset` to `offset + count` stepped over; `count` is 12 or more.
    func gap(at offset: Int, count: Int) -> [UInt8] {
        let length = UInt32(truncatingIfNeeded: count - Self.frameCount) | Self.gapFlag
        var frame: [UInt8] = []
        frame.append(number: mark)
        frame.append(number: length)
        frame.append(number: placeChecksum(offset, length))
        return frame
    }

    func placeChecksum(_ offset: Int, _ length: UInt32) -> UInt32 {
        checksum(number: length, after: checksum(number: UInt64(offset), after: saltChecksum))
    }

    func binding(_ offset: Int) -> [UInt8] {
        var bytes = salt
        bytes.append(number: UInt64(offset))
        return bytes
    }

    private static func append(_ message: Message, to buffer: inout [UInt8]) {
        buffer.append((message.retained ? 1 : 0) | (message.digest == nil ? 0 : 2))
        buffer.append(UInt8(truncatingIfNeeded: message.digest?.count ?? 0))
        buffer.append(number: UInt16(truncatingIfNeeded: message.topic.count))
        buffer.append(number: message.receivedAt.microseconds)
        buffer.append(number: Int64(message.fullLength))
        buffer += message.topic
        if let digest = message.digest { buffer += digest }
        buffer += message.payload
    }

    /// Where digest and payload begin in a plain body; nil when its lengths don't fit, which a sound checksum leaves
    /// only to a fault of ours.
    static func places(in body: Span<UInt8>) -> (digest: Int, payload: Int)? {
        guard body.count >= fixedCount else { return nil }
        let digest = fixedCount + Int(body.number(UInt16.self, at: 2))
        let payload = digest + Int(body[1])
        return payload <= body.count ? (digest, payload) : nil
    }

    static func message(_ body: Span<UInt8>) -> Message? {
        guard let (digest, payload) = places(in: body) else { return nil }
        return Message(
            topic: body.extracting(fixedCount..<digest).array,
            payload: body.extracting(payload...).array,
            fullLength: Int(truncatingIfNeeded: body.number(Int64.self, at: 12)),
            digest: body[0] & 2 == 0 ? nil : body.extracting(digest..<payload).array,
            retained: body[0] & 1 != 0,
            receivedAt: Instant(microseconds: body.number(Int64.self, at: 4)))
    }
}
