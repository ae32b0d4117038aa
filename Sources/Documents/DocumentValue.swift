public import Clinical
import Formats

/// Where problems go while a value is read, and how its place is called in them.
struct DocumentContext {
    let problems: ProblemList
    /// The key's path for messages: `broker.port`.
    var path: String
    /// False for what only people may read (names, numbers, secrets): messages leave the value out.
    var quotesValues = true

    init(_ problems: ProblemList, path: String = "", quotesValues: Bool = true) {
        self.problems = problems
        self.path = path
        self.quotesValues = quotesValues
    }

    func report(_ message: String, at node: DocumentNode, isNotice: Bool = false) {
        problems.add(path.isEmpty ? message : "\(path): \(message)", at: node, isNotice: isNotice)
    }

    func reportMismatch(_ expected: String, at node: DocumentNode) {
        report("expected \(expected), found \(node.found(quoting: quotesValues))", at: node)
    }
}

/// A way to read one type of value: a typed value, or nil after the problem was reported at its line.
struct DocumentValue<Value> {
    let read: (DocumentNode, DocumentContext) -> Value?

    init(_ read: @escaping (DocumentNode, DocumentContext) -> Value?) { self.read = read }

    /// Reads by `convert`; its nil is reported as "expected `expected`, found …".
    init(expected: String, _ convert: @escaping (DocumentNode.Content) -> Value?) {
        read = { node, context in
            if let value = convert(node.content) { return value }
            context.reportMismatch(expected, at: node)
            return nil
        }
    }

    /// The same, but its messages never quote what stands there.
    var withheld: DocumentValue {
        DocumentValue { node, context in
            var context = context
            context.quotesValues = false
            return read(node, context)
        }
    }

    /// The value turned into another by `transform`; its nil is reported as "expected `expected`, found …".
    func mapping<Other>(expected: String, _ transform: @escaping (Value) -> Other?) -> DocumentValue<Other> {
        DocumentValue<Other> { node, context in
            guard let value = read(node, context) else { return nil }
            if let other = transform(value) { return other }
            context.reportMismatch(expected, at: node)
            return nil
        }
    }
}

// MARK: - Scalars

extension DocumentValue where Value == String {
    /// Text of one character or more. A plain word that looks like a number, or is true or false, wants quotes.
    static var text: DocumentValue { DocumentValue(readText) }

    private static func readText(_ node: DocumentNode, _ context: DocumentContext) -> String? {
        switch node.content {
        case .string(let text, let quoted):
            if text.isEmpty {
                context.report("is empty", at: node)
                return nil
            }
            if !quoted, PlainScalar.looksLikeANumber(text) { break }
            return text
        case .number, .boolean: break
        default:
            context.reportMismatch("text", at: node)
            return nil
        }
        context.report(
            "expected text, found \(node.found(quoting: context.quotesValues)): put it in quotes", at: node)
        return nil
    }
}

extension DocumentValue where Value == Bool {
    /// `true` or `false`; not `yes`, `on` and their like.
    static var boolean: DocumentValue {
        DocumentValue(expected: "true or false") { content in
            if case .boolean(let value) = content { value } else { nil }
        }
    }
}

extension DocumentValue where Value == Double {
    /// Any finite number.
    static var number: DocumentValue {
        DocumentValue(expected: "a number") { content in
            if case .number(let value) = content { value } else { nil }
        }
    }

    static func number(in range: ClosedRange<Double>) -> DocumentValue {
        let ends = "\(DocumentNode.text(of: range.lowerBound)) to \(DocumentNode.text(of: range.upperBound))"
        return DocumentValue(expected: "a number from \(ends)") { content in
            if case .number(let value) = content, range.contains(value) { value } else { nil }
        }
    }
}

extension DocumentValue where Value == Int {
    /// A whole number in `range`.
    static func integer(in range: ClosedRange<Int>) -> DocumentValue {
        DocumentValue(expected: "a whole number from \(range.lowerBound) to \(range.upperBound)") { content in
            guard case .number(let value) = content, let whole = Int(exactly: value) else { return nil }
            return range.contains(whole) ? whole : nil
        }
    }

    /// `"HH:MM"` as minutes after midnight, 0 to 1439.
    static var clockTime: DocumentValue {
        DocumentValue(expected: "a time of day as \"HH:MM\"") { content in
            guard case .string(let text, _) = content else { return nil }
            return ClockTime.minutes(of: text)
        }
    }
}

extension DocumentValue where Value == Interval {
    /// As `Interval(written:)` reads it.
    static var duration: DocumentValue {
        DocumentValue(expected: "a length of time such as 2s, 15m, 4h or 7d") { content in
            guard case .string(let text, _) = content else { return nil }
            return Interval(written: text)
        }
    }
}

extension Interval {
    /// `2s`, `15m`, `4h`, `7d`: a whole number and one unit, at most 36,500 days.
    public init?(written text: String) {
        guard let unit = text.last, let count = DecimalDigits.value(of: text.dropLast()) else { return nil }
        let seconds: Int64
        switch unit {
        case "s": seconds = 1
        case "m": seconds = 60
        case "h": seconds = 3600
        case "d": seconds = 86400
        default: return nil
        }
        let (total, overflow) = count.multipliedReportingOverflow(by: seconds)
        if overflow || total > 36_500 * 86_400 { return nil }
        self = .seconds(total)
    }
}

extension DocumentValue where Value == Int64 {
    /// `512KiB`, `64MiB`, `1GiB`, `2TiB` in bytes; `0` needs no unit.
    static var size: DocumentValue {
        DocumentValue(expected: "a size such as 512KiB, 64MiB or 1GiB") { content in
            if case .number(0) = content { return 0 }
            guard case .string(let text, _) = content else { return nil }
            if text == "0" { return 0 }
            let units: [(suffix: String, bytes: Int64)] = [
                ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
            ]
            guard let unit = units.first(where: { text.hasSuffix($0.suffix) }) else { return nil }
            guard let count = DecimalDigits.value(of: text.dropLast(unit.suffix.count)) else { return nil }
            let (total, overflow) = count.multipliedReportingOverflow(by: unit.bytes)
            return overflow ? nil : total
        }
    }
}

extension DocumentValue where Value == CalendarDate {
    /// `YYYY-MM-DD`, a day that exists.
    static var date: DocumentValue {
        DocumentValue(expected: "a date as YYYY-MM-DD") { content in
            guard case .string(let text, _) = content else { return nil }
            return CalendarDate(text)
        }
    }
}

extension DocumentValue where Value == Instant {
    /// RFC 3339 with a zone.
    static var instant: DocumentValue {
        DocumentValue(expected: "a time with its zone such as 2026-01-01T00:00:00Z") { content in
            guard case .string(let text, _) = content else { return nil }
            return RFC3339.parse(text)
        }
    }
}

extension DocumentValue where Value == Identifier {
    /// A code: 1 to 64 of `[A-Za-z0-9_-]`.
    static var identifier: DocumentValue {
        DocumentValue<String>.text.mapping(expected: "a code of 1 to 64 of [A-Za-z0-9_-]") {
            Identifier($0)
        }
    }
}

extension DocumentValue where Value == Kind {
    static var kind: DocumentValue {
        DocumentValue(expected: "one of " + Kind.allCases.map(\.code).joined(separator: ", ")) {
            if case .string(let text, _) = $0 { Kind(code: text) } else { nil }
        }
    }
}

extension DocumentValue where Value == UCUMUnit {
    static var unit: DocumentValue {
        DocumentValue(expected: "a UCUM unit such as mm[Hg], mmol/L or mg/dL") {
            if case .string(let text, _) = $0 { UCUMUnit(code: text) } else { nil }
        }
    }
}

extension DocumentValue where Value: RawRepresentable & CaseIterable, Value.RawValue == String {
    /// One of the raw values of an enumeration.
    static func choice(_ type: Value.Type) -> DocumentValue {
        let names = Value.allCases.map(\.rawValue)
        let expected = names.count == 1 ? names.joined() : "one of " + names.joined(separator: ", ")
        return DocumentValue(expected: expected) { content in
            if case .string(let text, _) = content { Value(rawValue: text) } else { nil }
        }
    }
}

// MARK: - Collections

extension DocumentValue {
    /// A list of what `element` reads. Bad elements are reported each at its line and left out.
    static func list<Element>(of element: DocumentValue<Element>) -> DocumentValue<[Element]>
    where Value == [Element] {
        DocumentValue<[Element]> { node, context in
            guard case .list(let nodes) = node.content else {
                context.reportMismatch("a list", at: node)
                return nil
            }
            return nodes.compactMap { element.read($0, context) }
        }
    }

    /// A mapping with keys of its own (`baselines`): each name with its line and what `element` reads of its value.
    static func names<Element>(of element: DocumentValue<Element>) -> DocumentValue<[NamedValue<Element>]> {
        DocumentValue<[NamedValue<Element>]> { node, context in
            guard case .mapping(let fields) = node.content else {
                context.reportMismatch("a mapping", at: node)
                return nil
            }
            return fields.compactMap { field in
                var inner = context
                inner.path = context.path.isEmpty ? field.name : "\(context.path).\(field.name)"
                guard let value = element.read(field.value, inner) else { return nil }
                return NamedValue(name: field.name, node: field.value, value: value)
            }
        }
    }

    /// A mapping with known keys. `body` asks for every key that it knows before it returns: what was never asked for
    /// is reported as unknown, with the nearest key that was.
    static func record(_ body: @escaping (MappingReader) -> Value?) -> DocumentValue {
        DocumentValue { node, context in
            guard case .mapping(let fields) = node.content else {
                context.reportMismatch("a mapping", at: node)
                return nil
            }
            let reader = MappingReader(node: node, fields: fields, context: context)
            let value = body(reader)
            reader.reportUnknownKeys()
            return value
        }
    }
}

/// One entry of a mapping with keys of its own.
struct NamedValue<Value> {
    var name: String
    var node: DocumentNode
    var value: Value
}
