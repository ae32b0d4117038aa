extension JSONScanner {
    /// Reads the string whose opening quote is at `index`.
    @inline(__always)
    mutating func string(_ bytes: Span<UInt8>) throws(JSONFault) -> Text {
        let start = index + 1
        let end = JSONString.endOfPlain(bytes, from: start)
        if end < bytes.count, bytes[end] == UInt8(ascii: "\"") {
            index = end + 1
            return Text(start: start, end: end, hasEscapes: false)
        }
        return try longString(bytes, from: start)
    }

    /// The string whose bytes begin at `start`, with whatever it holds.
    mutating func longString(_ bytes: Span<UInt8>, from start: Int) throws(JSONFault) -> Text {
        var hasEscapes = false
        index = JSONString.endOfPlain(bytes, from: start)
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""):
                let text = Text(start: start, end: index, hasEscapes: hasEscapes)
                index += 1
                return text
            case UInt8(ascii: "\\"):
                hasEscapes = true
                try escape(bytes)
            case 0..<0x20:
                throw JSONFault(.controlCharacter, at: index)
            default:
                let length = JSONString.lengthOfScalar(bytes, at: index)
                guard length > 0 else { throw JSONFault(.invalidUTF8, at: index) }
                index += length
            }
            index = JSONString.endOfPlain(bytes, from: index)
        }
        throw JSONFault(.unexpectedEnd, at: bytes.count)
    }

    private mutating func escape(_ bytes: Span<UInt8>) throws(JSONFault) {
        let start = index
        index += 1
        switch peek(bytes) {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
            index += 1
        case UInt8(ascii: "u"):
            guard let unit = JSONString.codeUnit(bytes, at: index + 1) else {
                throw JSONFault(bytes.count - index < 5 ? .unexpectedEnd : .badEscape, at: start)
            }
            index += 5
            switch unit {
            case 0: note(.nulCharacter, at: start)
            case 0xD800..<0xDC00:
                guard JSONString.lowSurrogate(bytes, at: index) != nil else {
                    note(.loneSurrogate, at: start)
                    return
                }
                index += 6
            case 0xDC00..<0xE000: note(.loneSurrogate, at: start)
            default: break
            }
        default:
            throw JSONFault(index < bytes.count ? .badEscape : .unexpectedEnd, at: start)
        }
    }
}

/// The inside of JSON strings.
enum JSONString {
    /// The first offset from `start` on whose byte is a quote, a backslash, a control character or not ASCII; the
    /// count of bytes when there is none.
    @inline(__always)
    static func endOfPlain(_ bytes: Span<UInt8>, from start: Int) -> Int {
        var index = start
        let raw = unsafe bytes.bytes
        // Eight bytes at a time. A borrow can only spoil lanes above a true hit, so the lowest hit is right.
        let ones: UInt64 = 0x0101_0101_0101_0101
        let tops: UInt64 = 0x8080_8080_8080_8080
        while bytes.count - index >= 8 {
            let word = unsafe UInt64(littleEndian: raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
            let quotes = word ^ (ones &* 0x22)
            let backslashes = word ^ (ones &* 0x5C)
            let hits =
                (((quotes &- ones) & ~quotes) | ((backslashes &- ones) & ~backslashes)
                    | ((word &- (ones &* 0x20)) & ~word) | word) & tops
            if hits != 0 { return index + hits.trailingZeroBitCount / 8 }
            index += 8
        }
        while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), 0..<0x20, 0x80...0xFF: return index
            default: index += 1
            }
        }
        return index
    }

    /// The length of the well-formed UTF-8 sequence (Unicode table 3-7) at `index`, which is not ASCII; 0 when there
    /// is none.
    static func lengthOfScalar(_ bytes: Span<UInt8>, at index: Int) -> Int {
        let left = bytes.count - index
        func isContinuation(_ offset: Int, _ range: ClosedRange<UInt8> = 0x80...0xBF) -> Bool {
            offset < left && range.contains(bytes[index + offset])
        }
        switch bytes[index] {
        case 0xC2...0xDF:
            return isContinuation(1) ? 2 : 0
        case 0xE0:
            return isContinuation(1, 0xA0...0xBF) && isContinuation(2) ? 3 : 0
        case 0xED:
            return isContinuation(1, 0x80...0x9F) && isContinuation(2) ? 3 : 0
        case 0xE1...0xEF:
            return isContinuation(1) && isContinuation(2) ? 3 : 0
        case 0xF0:
            return isContinuation(1, 0x90...0xBF) && isContinuation(2) && isContinuation(3) ? 4 : 0
        case 0xF1...0xF3:
            return isContinuation(1) && isContinuation(2) && isContinuation(3) ? 4 : 0
        case 0xF4:
            return isContinuation(1, 0x80...0x8F) && isContinuation(2) && isContinuation(3) ? 4 : 0
        default:
            return 0
        }
    }

    /// The UTF-16 code unit of the four hexadecimal digits at `index`.
    static func codeUnit(_ bytes: Span<UInt8>, at index: Int) -> UInt16? {
        guard bytes.count - index >= 4 else { return nil }
        var unit: UInt16 = 0
        for offset in 0..<4 {
            let byte = bytes[index + offset]
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            unit = unit << 4 | UInt16(digit)
        }
        return unit
    }

    /// The low surrogate escaped at `index`.
    static func lowSurrogate(_ bytes: Span<UInt8>, at index: Int) -> UInt16? {
        guard bytes.count - index >= 6, bytes[index] == UInt8(ascii: "\\"), bytes[index + 1] == UInt8(ascii: "u"),
            let unit = codeUnit(bytes, at: index + 2), (0xDC00..<0xE000).contains(unit)
        else { return nil }
        return unit
    }

    /// Replaces `output` by the UTF-8 of a string that `JSONScanner.string` has let pass; a lone surrogate becomes
    /// U+FFFD, or its own three bytes, which are no UTF-8.
    static func unescape(_ bytes: Span<UInt8>, into output: inout [UInt8], keepingSurrogates: Bool = false) {
        output.removeAll(keepingCapacity: true)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            index += 1
            guard byte == UInt8(ascii: "\\"), index < bytes.count else {
                output.append(byte)
                continue
            }
            let escape = bytes[index]
            index += 1
            switch escape {
            case UInt8(ascii: "b"): output.append(0x08)
            case UInt8(ascii: "f"): output.append(0x0C)
            case UInt8(ascii: "n"): output.append(0x0A)
            case UInt8(ascii: "r"): output.append(0x0D)
            case UInt8(ascii: "t"): output.append(0x09)
            case UInt8(ascii: "u"):
                let high = codeUnit(bytes, at: index) ?? 0xFFFD
                index += 4
                var value = UInt32(high)
                if (0xD800..<0xDC00).contains(high), let low = lowSurrogate(bytes, at: index) {
                    index += 6
                    value = 0x10000 + (UInt32(high) & 0x3FF) << 10 + UInt32(low) & 0x3FF
                }
                if keepingSurrogates, (0xD800..<0xE000).contains(value) {
                    output += [0xED, UInt8(0x80 | value >> 6 & 0x3F), UInt8(0x80 | value & 0x3F)]
                    continue
                }
                let scalar = Unicode.Scalar(value) ?? "\u{FFFD}"
                output.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            default: output.append(escape)
            }
        }
    }
}
