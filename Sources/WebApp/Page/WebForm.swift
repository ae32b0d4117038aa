/// The fields of a form or a query (application/x-www-form-urlencoded).
struct WebForm: Sendable {
    private var fields: [String: String] = [:]

    /// Nil for what is no such text: a bad escape, bytes that are no UTF-8, a NUL, a name that stands twice, or more than
    /// 64 fields.
    init?(_ text: String) {
        let pairs = text.split(separator: "&")
        guard pairs.count <= 64 else { return nil }
        for pair in pairs {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first.flatMap(Self.decoded),
                let value = Self.decoded(parts.count > 1 ? parts[1] : "")
            else { return nil }
            guard fields.updateValue(value, forKey: name) == nil else { return nil }
        }
    }

    /// Without white space at its ends; nil where it is missing or empty.
    subscript(name: String) -> String? {
        guard let value = fields[name] else { return nil }
        let characters = value.drop(while: \.isWhitespace)
        let end = characters.lastIndex { !$0.isWhitespace }
        return end.map { String(characters[...$0]) }
    }

    var names: some Sequence<String> { fields.keys }

    /// As it was typed.
    func exactly(_ name: String) -> String? { fields[name] }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
