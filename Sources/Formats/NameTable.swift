/// A small fixed set of names of at most 24 bytes, found by their bytes alone: no string is made, nothing is hashed
/// that a sender could make collide.
struct NameTable<Entry: Sendable>: Sendable {
    private var slots: [Slot]

    private struct Slot: Sendable {
        var key: Key
        var entry: Entry?
    }

    /// The bytes of a name as words, overlapping where it is short; together with the count they are the name.
    private struct Key: Equatable, Sendable, BitwiseCopyable {
        var count: Int
        var first: UInt64 = 0
        var second: UInt64 = 0
        var last: UInt64 = 0

        init() { count = 0 }

        @inline(__always)
        init?(_ bytes: Span<UInt8>) {
            let raw = unsafe bytes.bytes
            count = bytes.count
            switch count {
            case 1...3:
                first =
                    UInt64(bytes[0]) | UInt64(bytes[count / 2]) << 8 | UInt64(bytes[count - 1]) << 16
            case 4...7:
                first = unsafe UInt64(raw.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt32.self))
                last = unsafe UInt64(raw.unsafeLoadUnaligned(fromByteOffset: count - 4, as: UInt32.self))
            case 8...24:
                first = unsafe raw.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt64.self)
                last = unsafe raw.unsafeLoadUnaligned(fromByteOffset: count - 8, as: UInt64.self)
                if count > 16 { second = unsafe raw.unsafeLoadUnaligned(fromByteOffset: 8, as: UInt64.self) }
            default: return nil
            }
        }

        var hash: Int {
            let mixed = (first ^ (last << 7 | last >> 57) ^ second &+ UInt64(count)) &* 0x9E37_79B9_7F4A_7C15
            return Int(truncatingIfNeeded: mixed >> 58)
        }
    }

    /// `names` are at most 32 and differ; a name of no bytes or of more than 24 is never found.
    init(_ names: [(name: String, entry: Entry)]) {
        slots = Array(repeating: Slot(key: Key(), entry: nil), count: 64)
        precondition(names.count <= 32)
        for (name, entry) in names {
            guard let key = Key(Array(name.utf8).span) else { continue }
            var index = key.hash
            while slots[index].entry != nil { index = (index + 1) & 63 }
            slots[index] = Slot(key: key, entry: entry)
        }
    }

    func find(_ bytes: Span<UInt8>) -> Entry? {
        guard let key = Key(bytes) else { return nil }
        var index = key.hash
        while let entry = slots[index].entry {
            if slots[index].key == key { return entry }
            index = (index + 1) & 63
        }
        return nil
    }
}
