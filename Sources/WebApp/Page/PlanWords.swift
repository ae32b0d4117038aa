import Clinical
import Registry

/// Fields of a patient's entry as people read them.
enum PlanWords {
    static func label(_ field: String) -> String {
        let words = field.replacing("_", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    /// One line for each item of a list, else one; none for what is not there.
    static func lines(_ field: String, _ value: FieldValue) -> [String] {
        switch value {
        case .null: []
        case .array(let items): items.map { line(field, $0) }
        default: [line(field, value)]
        }
    }

    static func line(_ field: String, _ value: FieldValue) -> String {
        guard case .object(let fields) = value else { return words(value) }
        return switch field {
        case "limits": limit(fields)
        case "schedule": slot(fields)
        case "pauses": pause(fields)
        default: words(value)
        }
    }

    /// `SpO2: red below 85, amber below 88 (cm-01: prescribed 88-92)`
    private static func limit(_ fields: [String: FieldValue]) -> String {
        let kind = kindName(fields["kind"])
        let keys = LimitKey.allCases.compactMap { key -> String? in
            for isInclusive in [false, true] {
                if let value = fields[key.field(isInclusive: isInclusive)], value != .null {
                    return "\(key.words)\(isInclusive ? " or at" : "") \(words(value))"
                }
            }
            return nil
        }
        var parts = keys
        if case .string(let unit)? = fields["unit"] { parts.append("in \(unit)") }
        if fields["red"] == .string("off") { parts.append("red off until \(words(fields["until"] ?? .null))") }
        let by = [fields["by"], fields["reason"]].compactMap { $0 }.map(words).joined(separator: ": ")
        return "\(kind): \(parts.joined(separator: ", "))" + (by.isEmpty ? "" : " (\(by))")
    }

    /// `SpO2, Pulse at 09:00, every day, 2h early, 4h grace`
    private static func slot(_ fields: [String: FieldValue]) -> String {
        var kinds: [String] = []
        if case .array(let list)? = fields["kinds"] { kinds = list.map { kindName($0) } }
        var days = "every day"
        if case .array(let list)? = fields["days"], list.count < 7 { days = list.map(words).joined(separator: ", ") }
        let spans = ["early", "grace"].compactMap { name in
            fields[name].flatMap { $0 == .null ? nil : "\(words($0)) \(name)" }
        }
        return (["\(kinds.joined(separator: ", ")) at \(words(fields["due"] ?? .null))", days] + spans)
            .joined(separator: ", ")
    }

    /// `2026-12-20 to 2027-01-03: holiday, ended 2026-12-28 10:00 UTC`
    private static func pause(_ fields: [String: FieldValue]) -> String {
        var text = "\(words(fields["from"] ?? .null)) to \(words(fields["until"] ?? .null))"
        if let reason = fields["reason"], reason != .null { text += ": \(words(reason))" }
        if case .string(let ended)? = fields["ended"] {
            text += ", ended \(ended.prefix(16).replacing("T", with: " ")) UTC"
        }
        return text
    }

    static func words(_ pause: Pause) -> String {
        "\(pause.from) to \(pause.until)" + (pause.reason.map { ": \($0)" } ?? "")
    }

    private static func kindName(_ value: FieldValue?) -> String {
        guard case .string(let code)? = value else { return "?" }
        return Kind(code: code)?.name ?? code
    }

    static func words(_ value: FieldValue) -> String {
        switch value {
        case .null: ""
        case .boolean(let value): value ? "yes" : "no"
        case .number(let value): number(value)
        case .string(let text): text
        case .array(let items): items.map(words).joined(separator: ", ")
        case .object(let fields):
            fields.sorted { $0.key < $1.key }.map { "\(label($0.key).lowercased()) \(words($0.value))" }
                .joined(separator: ", ")
        }
    }

    /// `91`, `2.5`
    static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}

/// The four numbers of a limit.
enum LimitKey: String, CaseIterable {
    case redBelow = "red_below"
    case amberBelow = "amber_below"
    case amberAbove = "amber_above"
    case redAbove = "red_above"

    var words: String { rawValue.replacing("_", with: " ") }

    /// As the registry names it.
    func field(isInclusive: Bool) -> String { isInclusive ? rawValue.replacing("_", with: "_at_or_") : rawValue }
}
