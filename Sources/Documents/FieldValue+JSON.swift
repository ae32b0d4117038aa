public import Formats
public import Registry

extension FieldValue {
    /// Of a name that stands twice the first; `JSONReader` gives none.
    public init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let bool): self = .boolean(bool)
        case .number(let number): self = .number(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map { FieldValue($0) })
        case .object(let members):
            self = .object(
                Dictionary(members.map { ($0.0, FieldValue($0.1)) }, uniquingKeysWith: { first, _ in first }))
        }
    }
}

extension JSONWriter {
    /// An entry's fields, as an object.
    public mutating func fields(_ fields: [String: FieldValue]) {
        beginObject()
        for (name, value) in fields {
            self.name(name)
            field(value)
        }
        endObject()
    }

    private mutating func field(_ field: FieldValue) {
        switch field {
        case .null: null()
        case .boolean(let bool): value(bool)
        case .number(let number): value(number)
        case .string(let text): value(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.field(element) }
            endArray()
        case .object(let members): fields(members)
        }
    }
}
