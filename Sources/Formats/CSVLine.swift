/// A line of CSV (RFC 4180) that no spreadsheet takes for a formula.
public enum CSVLine {
    /// Every field in quotes, the line with its end. What a spreadsheet would calculate gets an apostrophe in front, which
    /// makes it text there: whatever begins with `=`, `+`, `-`, `@` or a control, or with one of these after white space,
    /// numbers apart.
    public static func text(_ fields: [String?]) -> String {
        fields.map { field in
            guard let field else { return "" }
            let guarded = isFormula(field) ? "'" + field : field
            return "\"" + guarded.replacing("\"", with: "\"\"") + "\""
        }.joined(separator: ",") + "\r\n"
    }

    private static func isFormula(_ field: String) -> Bool {
        // A negative number is one.
        if field.utf8.first == UInt8(ascii: "-"), let number = Double(field), number.isFinite { return false }
        for scalar in field.unicodeScalars {
            switch scalar {
            // Also in their full-width forms, which some read as the same.
            case "=", "+", "-", "@", "\t", "\r", "\n", "\u{FF1D}", "\u{FF0B}", "\u{FF0D}", "\u{FF20}", "\u{2212}":
                return true
            case _ where scalar.properties.isWhitespace || scalar.value < 0x20 || scalar.value == 0xFEFF: continue
            default: return false
            }
        }
        return false
    }
}
