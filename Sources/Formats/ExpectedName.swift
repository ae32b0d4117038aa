/// A member's name with its quotes and colon, `"kind":`, as compact JSON writes it: compared with the text by two loads.
struct ExpectedName: BitwiseCopyable, Sendable {
    let field: ReportField
    /// The field's bit.
    let mask: ReportField.Mask
    fileprivate let count: Int
    fileprivate let lastOffset: Int
    fileprivate let first: UInt64
    fileprivate let last: UInt64
    /// Which bytes of both are the name's.
    fileprivate let bytes: UInt64

    /// The text of `field` has at most 16 bytes with its quotes and colon.
    init(_ field: ReportField) {
        let bytes = Array("\"\(field.rawValue)\":".utf8)
        precondition(bytes.count <= 16)
        self.field = field
        count = bytes.count
        lastOffset = max(count - 8, 0)
        mask = field.mask
        self.bytes = count < 8 ? 1 << (UInt64(count) * 8) - 1 : .max
        var words: [UInt64] = [0, 0]
        for offset in 0..<min(count, 8) {
            words[0] |= UInt64(bytes[offset]) << (UInt64(offset) * 8)
            words[1] |= UInt64(bytes[lastOffset + offset]) << (UInt64(offset) * 8)
        }
        first = words[0]
        last = words[1]
    }
}

extension JSONScanner {
    /// Steps to the value of the object's next member if that is `name`, written without white space but behind the
    /// comma, and gives where the name begins; else nil, and nothing has changed.
    @inline(__always)
    mutating func step(over name: ExpectedName, _ bytes: Span<UInt8>, in object: inout Container) -> Int? {
        var start = index
        guard bytes.count - start >= 17 else { return nil }
        if !object.isFirst {
            guard bytes[start] == UInt8(ascii: ",") else { return nil }
            start += 1
            while bytes.count - start >= 17, isSpace(bytes[start]) { start += 1 }
        }
        let raw = unsafe bytes.bytes
        let first = unsafe UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: start, as: UInt64.self))
        let last = unsafe UInt64(
            littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: start + name.lastOffset, as: UInt64.self))
        guard first & name.bytes == name.first, last & name.bytes == name.last else { return nil }
        object.isFirst = false
        index = start + name.count
        skipSpace(bytes)
        return start + 1
    }

    @inline(__always)
    private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 }
}
