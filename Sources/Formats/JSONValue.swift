/// Any JSON value, for the cold paths.
public indirect enum JSONValue: Sendable {
    case null
    case bool(Bool)
    /// Finite. Integers beyond ±2^53 are as near as a double comes.
    case number(Double)
    case string(String)
    case array([JSONValue])
    /// In the order of the text; no name stands twice in what `JSONReader` gives.
    case object([(String, JSONValue)])

    /// The member `name`, compared by UTF-8; nil when there is none or this is no object. A member that is null is
    /// `.null`.
    public subscript(name: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.0.utf8.elementsEqual(name.utf8) }?.1
    }

    public var string: String? { if case .string(let text) = self { text } else { nil } }
    public var number: Double? { if case .number(let number) = self { number } else { nil } }
    public var bool: Bool? { if case .bool(let bool) = self { bool } else { nil } }
    public var array: [JSONValue]? { if case .array(let elements) = self { elements } else { nil } }
    public var object: [(String, JSONValue)]? { if case .object(let members) = self { members } else { nil } }
}

/// Equal as JSON means it: the order of an object's members says nothing.
extension JSONValue: Hashable {
    public static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): left.utf8.elementsEqual(right.utf8)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)):
            left.count == right.count
                && zip(sorted(left), sorted(right)).allSatisfy {
                    $0.0.utf8.elementsEqual($1.0.utf8) && $0.1 == $1.1
                }
        default: false
        }
    }

    public func hash(into hasher: inout Hasher) {
        switch self {
        case .null: hasher.combine(0)
        case .bool(let bool): hasher.combine(bool)
        case .number(let number): hasher.combine(number)
        case .string(let text): hasher.combine(text)
        case .array(let elements): hasher.combine(elements)
        case .object(let members):
            hasher.combine(members.count)
            for (name, value) in Self.sorted(members) {
                hasher.combine(name)
                hasher.combine(value)
            }
        }
    }

    private static func sorted(_ members: [(String, JSONValue)]) -> [(String, JSONValue)] {
        members.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
    }
}
