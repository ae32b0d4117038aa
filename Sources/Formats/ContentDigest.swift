public import Clinical

/// What a report says, in 128 bits: two reports of one device with one id are duplicates when their digests are
/// equal, and a conflict when not.
///
/// It covers the instant of `taken_at` as sent, `seq` (absent is its own value), the sequence of readings (kind,
/// value, unit, and flags as a set) and the sequence of answers (question, and value with its type). It leaves out
/// `sent_at`, `battery`, unknown fields and how the bytes were written. Names count as text, so that a name that a
/// later version learns keeps its digest. Numbers count by bit pattern, but -0 is 0.
///
/// The digest is stored: what it is computed from, and the key, never change. SipHash-2-4-128 under a published key
/// guards against accident, not against a device that forges its own reports.
public struct ContentDigest: Hashable, Sendable, BitwiseCopyable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init(of report: SentReport) {
        // The bytes of "homeward content".
        var hash = SipHash128(key0: 0x6472_6177_656d_6f68, key1: 0x746e_6574_6e6f_6320)
        hash.append(UInt64(bitPattern: report.takenAt.microseconds))
        hash.append(report.sequence == nil ? 0 : 1)
        hash.append(UInt64(bitPattern: report.sequence ?? 0))
        hash.append(UInt64(report.readings.count))
        for reading in report.readings { Self.append(reading, to: &hash) }
        hash.append(UInt64(report.answers.count))
        for answer in report.answers { Self.append(answer, to: &hash) }
        (high, low) = hash.finish()
    }

    private static func append(_ reading: SentReading, to hash: inout SipHash128) {
        switch reading.kind {
        case .known(let kind): append(kind.code, to: &hash)
        case .unknown(let text): append(text, to: &hash)
        }
        switch reading.value {
        case .number(let number):
            hash.append(0)
            append(number, to: &hash)
        case .code(let text):
            hash.append(1)
            append(text, to: &hash)
        }
        switch reading.unit {
        case nil: hash.append(0)
        case .known(let unit)?:
            hash.append(1)
            append(unit.code, to: &hash)
        case .unknown(let text)?:
            hash.append(1)
            append(text, to: &hash)
        }
        appendFlags(of: reading, to: &hash)
    }

    private static func append(_ answer: SentAnswer, to hash: inout SipHash128) {
        switch answer.question {
        case .known(let question): append(question.rawValue, to: &hash)
        case .unknown(let text): append(text, to: &hash)
        }
        switch answer.value {
        case .boolean(let value):
            hash.append(0)
            hash.append(value ? 1 : 0)
        case .number(let number):
            hash.append(1)
            append(number, to: &hash)
        case .text(let text):
            hash.append(2)
            append(text, to: &hash)
        }
    }

    /// The set of flags in the order of their bytes. `clock-corrected` is ours, not the device's.
    private static func appendFlags(of reading: SentReading, to hash: inout SipHash128) {
        let flags = reading.flags.subtracting(.clockCorrected)
        if reading.otherFlags.isEmpty {
            hash.append(UInt64(flags.rawValue.nonzeroBitCount))
            for (flag, name) in sortedFlags where flags.contains(flag) { append(name, to: &hash) }
            return
        }
        var names = reading.otherFlags
        for (flag, name) in sortedFlags where flags.contains(flag) { names.append(name) }
        // By bytes: String's own order takes canonically equivalent texts for the same.
        names.sort { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        var distinct: [String] = []
        for name in names where !(distinct.last?.utf8.elementsEqual(name.utf8) ?? false) { distinct.append(name) }
        hash.append(UInt64(distinct.count))
        for name in distinct { append(name, to: &hash) }
    }

    private static let sortedFlags = ReadingFlags.names
        .filter { $0.flag != .clockCorrected }
        .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }

    private static func append(_ number: Double, to hash: inout SipHash128) {
        hash.append(number == 0 ? 0 : number.bitPattern)
    }

    /// Length first, then the UTF-8 in words filled up with zeros: no two sequences of texts give the same words.
    private static func append(_ text: String, to hash: inout SipHash128) {
        let bytes = text.utf8.span
        hash.append(UInt64(bytes.count))
        var word: UInt64 = 0
        for index in bytes.indices {
            word |= UInt64(bytes[index]) << (UInt64(index & 7) * 8)
            if index & 7 == 7 {
                hash.append(word)
                word = 0
            }
        }
        if bytes.count & 7 != 0 { hash.append(word) }
    }
}
