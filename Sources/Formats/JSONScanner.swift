import Clinical

/// One walk over a JSON text, strict RFC 8259 in UTF-8: the one grammar under the report decoder and `JSONReader`.
///
/// It holds a place in the text and scratch space, not the text, which every function takes anew. What breaks the
/// grammar is thrown and ends the walk. What the grammar allows and the contract does not (duplicate keys, U+0000,
/// lone surrogates, numbers that no finite double can hold) is kept as the first `flaw`, and the walk goes on.
struct JSONScanner: Sendable {
    /// The outermost object or array is depth 1.
    let maximumDepth: Int
    var index = 0
    private(set) var flaw: JSONFault?
    private var depth = 0
    /// Names to be told apart, of the objects that are open, innermost last; each object knows its first.
    private var names: [Name] = []
    private var nameBytes: [UInt8] = []
    /// The last string that needed unescaping.
    private var unescaped: [UInt8] = []

    /// A string of the text: its bytes between the quotes.
    struct Text: BitwiseCopyable {
        var start: Int
        var end: Int
        var hasEscapes: Bool

        var range: Range<Int> { start..<end }
    }

    /// An object or array that is open.
    struct Container: BitwiseCopyable {
        var isFirst = true
        fileprivate var firstName: Int
        fileprivate var firstNameByte: Int
    }

    private struct Name: BitwiseCopyable {
        var start: Int
        var count: Int
        var offset: Int
    }

    init(maximumDepth: Int) {
        self.maximumDepth = maximumDepth
        names.reserveCapacity(32)
        nameBytes.reserveCapacity(512)
        unescaped.reserveCapacity(512)
    }

    /// Makes ready for another text; keeps the scratch space.
    mutating func restart() {
        index = 0
        flaw = nil
        depth = 0
        // Mostly there was none.
        guard !names.isEmpty else { return }
        names.removeAll(keepingCapacity: true)
        nameBytes.removeAll(keepingCapacity: true)
    }

    /// Keeps the first flaw.
    mutating func note(_ problem: JSONFault.Problem, at offset: Int) {
        if flaw == nil { flaw = JSONFault(problem, at: offset) }
    }

    /// For a reader that leaves a value's content to others.
    mutating func forgetFlaw() { flaw = nil }

    // MARK: Structure

    /// The byte at `index`; 0, which no grammar rule takes, at the end.
    @inline(__always)
    func peek(_ bytes: Span<UInt8>) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    func unexpected(_ bytes: Span<UInt8>) -> JSONFault {
        guard index < bytes.count else { return JSONFault(.unexpectedEnd, at: bytes.count) }
        let isMark =
            index == 0 && bytes.count >= 3 && bytes[0] == 0xEF && bytes[1] == 0xBB && bytes[2] == 0xBF
        return JSONFault(isMark ? .byteOrderMark : .unexpectedByte, at: index)
    }

    @inline(__always)
    mutating func skipSpace(_ bytes: Span<UInt8>) {
        // Readers write compact JSON: mostly there is nothing to skip.
        if index < bytes.count, bytes[index] <= 0x20 { skipSomeSpace(bytes) }
    }

    private mutating func skipSomeSpace(_ bytes: Span<UInt8>) {
        while index < bytes.count {
            switch bytes[index] {
            case 0x20, 0x0A, 0x0D, 0x09: index += 1
            default: return
            }
        }
    }

    /// Only white space may follow.
    mutating func end(_ bytes: Span<UInt8>) throws(JSONFault) {
        skipSpace(bytes)
        guard index == bytes.count else { throw JSONFault(.bytesAfterEnd, at: index) }
    }

    /// Steps over the `{` or `[` at `index`.
    mutating func open(_ bytes: Span<UInt8>) throws(JSONFault) -> Container {
        guard depth < maximumDepth else { throw JSONFault(.tooDeep, at: index) }
        depth += 1
        index += 1
        return Container(firstName: names.count, firstNameByte: nameBytes.count)
    }

    /// Steps to the value of the object's next member and gives its name; nil after the closing brace.
    mutating func nextName(_ bytes: Span<UInt8>, in object: inout Container) throws(JSONFault) -> Text? {
        skipSpace(bytes)
        let byte = peek(bytes)
        if byte == UInt8(ascii: "}") {
            index += 1
            depth -= 1
            if names.count > object.firstName { close(object) }
            return nil
        }
        if object.isFirst {
            object.isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unexpected(bytes) }
            index += 1
            skipSpace(bytes)
        }
        guard peek(bytes) == UInt8(ascii: "\"") else { throw unexpected(bytes) }
        let start = index + 1
        let end = JSONString.endOfPlain(bytes, from: start)
        // As readers write: nothing in the name to look at twice, no white space before the colon.
        if bytes.count - end >= 2, bytes[end] == UInt8(ascii: "\""), bytes[end + 1] == UInt8(ascii: ":") {
            index = end + 2
            skipSpace(bytes)
            return Text(start: start, end: end, hasEscapes: false)
        }
        return try longName(bytes)
    }

    private mutating func longName(_ bytes: Span<UInt8>) throws(JSONFault) -> Text {
        let name = try longString(bytes, from: index + 1)
        skipSpace(bytes)
        guard peek(bytes) == UInt8(ascii: ":") else { throw unexpected(bytes) }
        index += 1
        skipSpace(bytes)
        return name
    }

    /// Steps to the array's next element; false after the closing bracket.
    mutating func nextElement(_ bytes: Span<UInt8>, in array: inout Container) throws(JSONFault) -> Bool {
        skipSpace(bytes)
        let byte = peek(bytes)
        if byte == UInt8(ascii: "]") {
            index += 1
            depth -= 1
            // "[1,]" comes here only by way of the comma below, which does not return to this point.
            return false
        }
        if array.isFirst {
            array.isFirst = false
        } else {
            guard byte == UInt8(ascii: ",") else { throw unexpected(bytes) }
            index += 1
            skipSpace(bytes)
            guard peek(bytes) != UInt8(ascii: "]") else { throw unexpected(bytes) }
        }
        return true
    }

    /// Steps over the value at `index`, whatever it is, and checks all of it.
    mutating func skipValue(_ bytes: Span<UInt8>) throws(JSONFault) {
        switch peek(bytes) {
        case UInt8(ascii: "\""):
            _ = try string(bytes)
        case UInt8(ascii: "{"):
            var object = try open(bytes)
            while let name = try nextName(bytes, in: &object) {
                remember(name, bytes)
                try skipValue(bytes)
            }
        case UInt8(ascii: "["):
            var array = try open(bytes)
            while try nextElement(bytes, in: &array) { try skipValue(bytes) }
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try number(bytes)
            if !number.isFinite(in: bytes) { note(.numberOutOfRange, at: number.start) }
        default:
            _ = try literal(bytes)
        }
    }

    /// The same without recursion, for texts whose depth nobody has limited.
    mutating func skipValueOfAnyDepth(_ bytes: Span<UInt8>) throws(JSONFault) {
        var open: [(container: Container, isObject: Bool)] = []
        repeat {
            let byte = peek(bytes)
            if byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") {
                open.append((try self.open(bytes), byte == UInt8(ascii: "{")))
            } else {
                try skipValue(bytes)
            }
            // To the next value, out of what ends here.
            while var innermost = open.popLast() {
                if innermost.isObject {
                    guard let name = try nextName(bytes, in: &innermost.container) else { continue }
                    remember(name, bytes)
                } else {
                    guard try nextElement(bytes, in: &innermost.container) else { continue }
                }
                open.append(innermost)
                break
            }
        } while !open.isEmpty
    }

    enum Literal { case null, yes, no }

    /// Reads `null`, `true` or `false` at `index`.
    mutating func literal(_ bytes: Span<UInt8>) throws(JSONFault) -> Literal {
        switch peek(bytes) {
        case UInt8(ascii: "n"):
            try word("null", bytes)
            return .null
        case UInt8(ascii: "t"):
            try word("true", bytes)
            return .yes
        case UInt8(ascii: "f"):
            try word("false", bytes)
            return .no
        default:
            throw unexpected(bytes)
        }
    }

    private mutating func word(_ word: StaticString, _ bytes: Span<UInt8>) throws(JSONFault) {
        for offset in 0..<word.utf8CodeUnitCount {
            guard unsafe peek(bytes) == word.utf8Start[offset] else { throw unexpected(bytes) }
            index += 1
        }
    }

    // MARK: Names

    /// Keeps a name of the innermost object, to be compared with its other names when it closes.
    mutating func remember(_ name: Text, _ bytes: Span<UInt8>) {
        let start = nameBytes.count
        if name.hasEscapes {
            unescape(name, bytes)
            nameBytes.append(contentsOf: unescaped)
        } else {
            for offset in name.start..<name.end { nameBytes.append(bytes[offset]) }
        }
        names.append(Name(start: start, count: nameBytes.count - start, offset: name.start))
    }

    private mutating func close(_ object: Container) {
        let count = names.count - object.firstName
        if count > 16 {
            // Sorting stays quick even when a hostile text has ten thousand names.
            let nameBytes = nameBytes
            names[object.firstName...].sort { Self.precedes($0, $1, in: nameBytes) }
            for second in (object.firstName + 1)..<names.count { compare(second - 1, second) }
        } else if count > 1 {
            for second in (object.firstName + 1)..<names.count {
                for first in object.firstName..<second { compare(first, second) }
            }
        }
        names.removeSubrange(object.firstName...)
        nameBytes.removeSubrange(object.firstNameByte...)
    }

    private mutating func compare(_ first: Int, _ second: Int) {
        let (first, second) = (names[first], names[second])
        guard first.count == second.count else { return }
        for offset in 0..<first.count where nameBytes[first.start + offset] != nameBytes[second.start + offset] {
            return
        }
        note(.duplicateKey, at: max(first.offset, second.offset))
    }

    private static func precedes(_ left: Name, _ right: Name, in nameBytes: [UInt8]) -> Bool {
        if left.count != right.count { return left.count < right.count }
        for offset in 0..<left.count {
            let (a, b) = (nameBytes[left.start + offset], nameBytes[right.start + offset])
            if a != b { return a < b }
        }
        return left.offset < right.offset
    }

    // MARK: Text

    /// The entry of `table` that `text` names.
    mutating func find<Entry>(_ text: Text, _ bytes: Span<UInt8>, in table: NameTable<Entry>) -> Entry? {
        if text.hasEscapes {
            unescape(text, bytes)
            return table.find(unescaped.span)
        }
        return table.find(bytes.extracting(text.range))
    }

    mutating func copy(_ text: Text, _ bytes: Span<UInt8>) -> String {
        if text.hasEscapes {
            unescape(text, bytes)
            return String(decoding: unescaped, as: UTF8.self)
        }
        // `string` has validated these bytes.
        return unsafe String(copying: UTF8Span(unchecked: bytes.extracting(text.range)))
    }

    mutating func identifier(_ text: Text, _ bytes: Span<UInt8>) -> Identifier? {
        if text.hasEscapes {
            unescape(text, bytes)
            return Identifier(unescaped.span, grammar: .report)
        }
        return Identifier(bytes.extracting(text.range), grammar: .report)
    }

    mutating func instant(_ text: Text, _ bytes: Span<UInt8>) -> Instant? {
        if text.hasEscapes {
            unescape(text, bytes)
            return RFC3339.parse(unescaped.span)
        }
        return RFC3339.parse(bytes.extracting(text.range))
    }

    private mutating func unescape(_ text: Text, _ bytes: Span<UInt8>) {
        JSONString.unescape(bytes.extracting(text.range), into: &unescaped)
    }
}
