public import Clinical

/// Appends JSON to a buffer: receipts, webhooks, output of `replay`, log lines.
///
/// It puts the commas; that names and values alternate and that what is opened is closed is the caller's part. The
/// output holds no control character, raw or as C1, so that one value stays one line on any terminal.
public struct JSONWriter: Sendable {
    /// What was written so far.
    public private(set) var bytes: [UInt8]
    private var needsComma = false

    /// Writes behind what `bytes` hold already.
    public init(appendingTo bytes: consuming [UInt8] = []) { self.bytes = bytes }

    /// What was written, as text.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    public mutating func beginObject() { open(UInt8(ascii: "{")) }
    public mutating func endObject() { close(UInt8(ascii: "}")) }
    public mutating func beginArray() { open(UInt8(ascii: "[")) }
    public mutating func endArray() { close(UInt8(ascii: "]")) }

    /// A member's name; its value comes next.
    public mutating func name(_ name: String) {
        separate()
        appendString(name)
        bytes.append(UInt8(ascii: ":"))
        needsComma = false
    }

    public mutating func null() { literal("null") }

    public mutating func value(_ bool: Bool) { literal(bool ? "true" : "false") }

    public mutating func value(_ text: String) {
        separate()
        appendString(text)
    }

    public mutating func value(_ identifier: Identifier) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        // An identifier's grammar holds nothing to escape.
        for index in 0..<identifier.count { bytes.append(identifier[index]) }
        bytes.append(UInt8(ascii: "\""))
    }

    /// RFC 3339 in UTC.
    public mutating func value(_ instant: Instant) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        RFC3339.append(instant, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
    }

    /// The shortest digits that read back as the same double, `142` for a whole one; null for one that is not finite.
    public mutating func value(_ number: Double) {
        guard number.isFinite else { return null() }
        var text = number.description
        if text.hasSuffix(".0") { text.removeLast(2) }
        literal(text)
    }

    public mutating func value(_ integer: Int64) { literal(String(integer)) }

    public mutating func value(_ integer: Int) { literal(String(integer)) }

    public mutating func value(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .bool(let bool): self.value(bool)
        case .number(let number): self.value(number)
        case .string(let text): self.value(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.value(element) }
            endArray()
        case .object(let members):
            beginObject()
            for (name, value) in members {
                self.name(name)
                self.value(value)
            }
            endObject()
        }
    }

    /// JSON text that is a value already, as it stands.
    public mutating func raw(_ json: Span<UInt8>) {
        separate()
        for index in json.indices { bytes.append(json[index]) }
    }

    /// A line feed between values (NDJSON).
    public mutating func endLine() {
        bytes.append(0x0A)
        needsComma = false
    }

    /// Changes buffers with `other`.
    mutating func exchange(_ other: inout [UInt8]) { swap(&bytes, &other) }

    private mutating func open(_ bracket: UInt8) {
        separate()
        bytes.append(bracket)
        needsComma = false
    }

    private mutating func close(_ bracket: UInt8) {
        bytes.append(bracket)
        needsComma = true
    }

    private mutating func separate() {
        if needsComma { bytes.append(UInt8(ascii: ",")) }
        needsComma = true
    }

    private mutating func literal(_ text: String) {
        separate()
        bytes.append(contentsOf: text.utf8)
    }

    private mutating func appendString(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": bytes.append(contentsOf: #"\""#.utf8)
            case "\\": bytes.append(contentsOf: #"\\"#.utf8)
            case "\n": bytes.append(contentsOf: #"\n"#.utf8)
            case "\r": bytes.append(contentsOf: #"\r"#.utf8)
            case "\t": bytes.append(contentsOf: #"\t"#.utf8)
            case "\u{00}"..<"\u{20}", "\u{7F}"..<"\u{A0}":
                bytes.append(contentsOf: #"\u00"#.utf8)
                bytes.append(Self.digit(scalar.value >> 4))
                bytes.append(Self.digit(scalar.value & 0xF))
            case "\u{20}"..<"\u{7F}":
                bytes.append(UInt8(truncatingIfNeeded: scalar.value))
            default:
                bytes.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func digit(_ value: UInt32) -> UInt8 {
        let value = UInt8(truncatingIfNeeded: value & 0xF)
        return value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
