/// The strict general reader, for status messages, receipts and recorded messages: the same grammar as the report
/// decoder's.
public enum JSONReader {
    /// One member of an outermost object and where its value stands.
    public struct Member: Sendable, Equatable {
        public var name: String
        /// The bytes of the value, from its first to its last, without the white space around.
        public var range: Range<Int>
    }

    /// The value that `bytes`, all of them, are. Throws for anything that is not RFC 8259 in UTF-8 or breaks the
    /// contract's content rules: duplicate keys, U+0000, lone surrogates, numbers beyond a double. `maximumDepth`
    /// is at most 512.
    public static func value(_ bytes: Span<UInt8>, maximumDepth: Int = 8) throws(JSONFault) -> JSONValue {
        var scanner = JSONScanner(maximumDepth: min(maximumDepth, 512))
        scanner.skipSpace(bytes)
        let value = try read(bytes, &scanner)
        try scanner.end(bytes)
        if let flaw = scanner.flaw { throw flaw }
        return value
    }

    /// The members of the object that `bytes`, all of them, are, with the values as raw text.
    ///
    /// The grammar is checked to the bottom, however deep that is, and the outermost names by the content rules;
    /// whether a value's inside keeps those is left to whoever reads the value, so that a recorded message can hold a
    /// malformed payload.
    public static func members(_ bytes: Span<UInt8>) throws(JSONFault) -> [Member] {
        var scanner = JSONScanner(maximumDepth: .max)
        scanner.skipSpace(bytes)
        guard scanner.peek(bytes) == UInt8(ascii: "{") else {
            throw scanner.index < bytes.count
                ? JSONFault(.notAnObject, at: scanner.index) : scanner.unexpected(bytes)
        }
        var members: [Member] = []
        var object = try scanner.open(bytes)
        while let name = try scanner.nextName(bytes, in: &object) {
            scanner.remember(name, bytes)
            let start = scanner.index
            if let flaw = scanner.flaw { throw flaw }
            try scanner.skipValueOfAnyDepth(bytes)
            scanner.forgetFlaw()
            members.append(Member(name: scanner.copy(name, bytes), range: start..<scanner.index))
        }
        try scanner.end(bytes)
        if let flaw = scanner.flaw { throw flaw }
        return members
    }

    /// The UTF-8 of the string that `bytes`, all of them, are, U+0000 and lone surrogates too: of these the three bytes
    /// that UTF-8 would have for them if it allowed them, so that whoever reads the text finds it invalid.
    public static func text(_ bytes: Span<UInt8>) throws(JSONFault) -> [UInt8] {
        var scanner = JSONScanner(maximumDepth: 1)
        guard scanner.peek(bytes) == UInt8(ascii: "\"") else { throw scanner.unexpected(bytes) }
        let text = try scanner.string(bytes)
        try scanner.end(bytes)
        var output: [UInt8] = []
        JSONString.unescape(bytes.extracting(text.range), into: &output, keepingSurrogates: true)
        return output
    }

    private static func read(_ bytes: Span<UInt8>, _ scanner: inout JSONScanner) throws(JSONFault) -> JSONValue {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "\""):
            let text = try scanner.string(bytes)
            return .string(scanner.copy(text, bytes))
        case UInt8(ascii: "{"):
            var object = try scanner.open(bytes)
            var members: [(String, JSONValue)] = []
            while let name = try scanner.nextName(bytes, in: &object) {
                scanner.remember(name, bytes)
                let name = scanner.copy(name, bytes)
                members.append((name, try read(bytes, &scanner)))
            }
            return .object(members)
        case UInt8(ascii: "["):
            var array = try scanner.open(bytes)
            var elements: [JSONValue] = []
            while try scanner.nextElement(bytes, in: &array) { elements.append(try read(bytes, &scanner)) }
            return .array(elements)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try scanner.number(bytes)
            guard let double = number.double(in: bytes) else {
                scanner.note(.numberOutOfRange, at: number.start)
                return .null
            }
            return .number(double)
        default:
            switch try scanner.literal(bytes) {
            case .null: return .null
            case .yes: return .bool(true)
            case .no: return .bool(false)
            }
        }
    }
}
