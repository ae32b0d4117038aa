import Cryptography

/// The first bytes of a segment file.
///
///     0  magic      "HWSPOOL" and the end of a line
///     8  version    1
///     12 flags      1: records are encrypted
///     16 number     as in the file's name
///     24 previous   number of the segment before it in its life, 0 for none
///     32 reaches    bytes of that segment that were acknowledged
///     40 mark       4 random bytes that begin every record
///     44 salt       12 random bytes that go into every record's checksum
///     56 nonce      24 bytes, and
///     80 tag        16 bytes: nothing, sealed under the key, to know the key by; zeros without a key
///     96 checksum   CRC-32C of all before it
///
/// Mark and salt are not known outside, so that no payload can be made to look like a record when a damaged segment is
/// searched for the next one.
struct SegmentHeader: Hashable {
    static let byteCount = 100
    static let version: UInt32 = 1
    private static let magic = Array("HWSPOOL\n".utf8)
    private static let encryptedFlag: UInt32 = 1

    var number: UInt64
    var previousNumber: UInt64
    var previousLength: UInt64
    var mark: UInt32
    var salt: [UInt8]
    var isEncrypted: Bool

    enum Fault: Error { case damaged, version(UInt32), keyMissing, wrongKey }

    /// A new segment's, with a mark and a salt of its own.
    init(number: UInt64, previousNumber: UInt64, previousLength: UInt64, isEncrypted: Bool) {
        let random = randomBytes(16)
        self.number = number
        self.previousNumber = previousNumber
        self.previousLength = previousLength
        self.isEncrypted = isEncrypted
        mark = random.span.number(UInt32.self, at: 0)
        salt = Array(random[4...])
    }

    init(_ bytes: Span<UInt8>, key: SpoolKey?) throws(Fault) {
        guard bytes.count >= Self.byteCount, bytes.extracting(first: 8).array == Self.magic,
            checksum(bytes.extracting(first: 96)) == bytes.number(UInt32.self, at: 96)
        else { throw .damaged }
        let version = bytes.number(UInt32.self, at: 8)
        guard version == Self.version else { throw .version(version) }
        isEncrypted = bytes.number(UInt32.self, at: 12) & Self.encryptedFlag != 0
        number = bytes.number(UInt64.self, at: 16)
        previousNumber = bytes.number(UInt64.self, at: 24)
        previousLength = bytes.number(UInt64.self, at: 32)
        mark = bytes.number(UInt32.self, at: 40)
        salt = bytes.extracting(44..<56).array
        guard isEncrypted else { return }
        guard let key else { throw .keyMissing }
        var nothing: [UInt8] = []
        guard key.open(bytes.extracting(56..<96), binding: bytes.extracting(first: 56), into: &nothing)
        else { throw .wrongKey }
    }

    func bytes(key: SpoolKey?) -> [UInt8] {
        var bytes = Self.magic
        bytes.append(number: Self.version)
        bytes.append(number: isEncrypted ? Self.encryptedFlag : 0)
        bytes.append(number: number)
        bytes.append(number: previousNumber)
        bytes.append(number: previousLength)
        bytes.append(number: mark)
        bytes += salt
        if isEncrypted, let key {
            let described = bytes
            let nothing: [UInt8] = []
            let nonce = randomBytes(SpoolKey.nonceCount)
            key.seal(nothing.span, binding: described.span, nonce: nonce.span, to: &bytes)
        } else {
            bytes += repeatElement(0, count: SpoolKey.nonceCount + SpoolKey.tagCount)
        }
        bytes.append(number: checksum(bytes.span))
        return bytes
    }
}
