/// What an unquoted word of YAML means here.
///
/// Stricter than YAML 1.1 and 1.2, so that nothing changes its meaning by accident: `true`, `false`, `null`, `~` and
/// JSON's numbers are what they look like; `no`, `off`, `22:30` and `2026-12-24` are text; and what another reader takes
/// for a number (`010`, `0x1F`, `1_000`, `.inf`) is neither number nor text until it is put in quotes or written out.
enum PlainScalar {
    static func content(of text: String) -> DocumentNode.Content {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .boolean(true)
        case "false", "False", "FALSE": return .boolean(false)
        default: break
        }
        if isJSONNumber(text), let number = Double(text), number.isFinite { return .number(number) }
        return .string(text, quoted: false)
    }

    /// RFC 8259 section 6.
    static func isJSONNumber(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.first == "-" { rest.removeFirst() }
        guard let first = rest.first else { return false }
        let whole = takeDigits(&rest)
        guard whole > 0, first != "0" || whole == 1 else { return false }
        if rest.first == "." {
            rest.removeFirst()
            guard takeDigits(&rest) > 0 else { return false }
        }
        if rest.first == "e" || rest.first == "E" {
            rest.removeFirst()
            if rest.first == "+" || rest.first == "-" { rest.removeFirst() }
            guard takeDigits(&rest) > 0 else { return false }
        }
        return rest.isEmpty
    }

    /// Whether YAML 1.1 or 1.2 has a number here that we do not take: octal, hexadecimal, `1_000`, `+5`, `.5`, `.nan`.
    static func looksLikeANumber(_ text: String) -> Bool {
        var rest = Substring(text)
        if rest.first == "+" || rest.first == "-" { rest.removeFirst() }
        guard let first = rest.first, first.isASCII else { return false }
        let lowered = rest.lowercased()
        if [".inf", ".nan"].contains(lowered) { return true }
        if lowered.hasPrefix("0x") || lowered.hasPrefix("0o") || lowered.hasPrefix("0b") {
            return lowered.dropFirst(2).allSatisfy { $0.isHexDigit || $0 == "_" }
        }
        guard rest.contains(where: { isDigit($0) }), isDigit(first) || first == "." else { return false }
        guard lowered.allSatisfy({ isDigit($0) || "._e+-".contains($0) }) else { return false }
        let withoutMarks = rest.filter { $0 != "_" }
        return Double(withoutMarks) != nil
    }

    private static func takeDigits(_ text: inout Substring) -> Int {
        let digits = text.prefix(while: isDigit)
        text = text.dropFirst(digits.count)
        return digits.count
    }

    private static func isDigit(_ character: Character) -> Bool { ("0"..."9").contains(character) }
}
