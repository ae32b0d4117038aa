/// SipHash-2-4 with 128 bits of output (Aumasson and Bernstein, "SipHash: a fast short-input PRF"; the 128-bit output
/// as in their reference code). Checked against the reference vectors.
struct SipHash128 {
    private var v0: UInt64
    private var v1: UInt64
    private var v2: UInt64
    private var v3: UInt64
    /// Bytes that do not fill a word yet, lowest first.
    private var tail: UInt64 = 0
    private var count: UInt64 = 0

    init(key0: UInt64, key1: UInt64) {
        v0 = key0 ^ 0x736f_6d65_7073_6575
        v1 = key1 ^ 0x646f_7261_6e64_6f6d ^ 0xee
        v2 = key0 ^ 0x6c79_6765_6e65_7261
        v3 = key1 ^ 0x7465_6462_7974_6573
    }

    /// Takes the eight bytes of `word`, lowest first.
    @inline(__always)
    mutating func append(_ word: UInt64) {
        let shift = (count & 7) * 8
        if shift == 0 {
            compress(word)
        } else {
            compress(tail | word << shift)
            tail = word >> (64 - shift)
        }
        count &+= 8
    }

    mutating func appendByte(_ byte: UInt8) {
        let shift = (count & 7) * 8
        tail |= UInt64(byte) << shift
        count &+= 1
        if shift == 56 {
            compress(tail)
            tail = 0
        }
    }

    /// The first eight bytes of the output as `first`, the rest as `second`, each lowest byte first.
    consuming func finish() -> (first: UInt64, second: UInt64) {
        compress(tail | (count & 0xff) << 56)
        v2 ^= 0xee
        for _ in 0..<4 { round() }
        let first = v0 ^ v1 ^ v2 ^ v3
        v1 ^= 0xdd
        for _ in 0..<4 { round() }
        return (first, v0 ^ v1 ^ v2 ^ v3)
    }

    @inline(__always)
    private mutating func compress(_ word: UInt64) {
        v3 ^= word
        round()
        round()
        v0 ^= word
    }

    @inline(__always)
    private mutating func round() {
        v0 = v0 &+ v1
        v2 = v2 &+ v3
        v1 = Self.rotate(v1, 13) ^ v0
        v3 = Self.rotate(v3, 16) ^ v2
        v0 = Self.rotate(v0, 32)
        v2 = v2 &+ v1
        v0 = v0 &+ v3
        v1 = Self.rotate(v1, 17) ^ v2
        v3 = Self.rotate(v3, 21) ^ v0
        v2 = Self.rotate(v2, 32)
    }

    private static func rotate(_ word: UInt64, _ count: UInt64) -> UInt64 { word &<< count | word &>> (64 - count) }
}
