public import Registry

/// An entry of the registry as data: exactly the fields that are there.
public struct RegistryEntry: Hashable, Sendable {
    public let key: RegistryKey
    /// By the contract's field names; the code is the key's and not among them. `null` erases a field.
    public let fields: [String: FieldValue]

    /// Where each field stands, for those that come from a file.
    let sources: [String: DocumentNode]
    /// Where the entry begins; nil when it is the database's alone.
    let place: DocumentNode?

    /// An entry that comes from the database.
    public init(key: RegistryKey, fields: [String: FieldValue]) {
        self.init(key: key, fields: fields, sources: [:], place: nil)
    }

    init(key: RegistryKey, fields: [String: FieldValue], sources: [String: DocumentNode], place: DocumentNode?) {
        self.key = key
        self.fields = fields
        self.sources = sources
        self.place = place
    }

    /// This entry's fields over those of `stored`: a list replaces that list, what is absent here stays.
    public func merged(over stored: [String: FieldValue]) -> RegistryEntry {
        RegistryEntry(
            key: key, fields: stored.merging(fields) { _, new in new }, sources: sources, place: place)
    }

    /// The entry as a mapping to read: fields of a file at their lines, others at the entry's name.
    var node: DocumentNode {
        let stored = DocumentNode(file: key.description, line: nil, content: .null)
        let content = fields.sorted { $0.key < $1.key }.map { name, value in
            let node = sources[name] ?? DocumentNode(value, file: key.description)
            return DocumentNode.Field(name: name, line: node.line, value: node)
        }
        var result = place ?? stored
        result.content = .mapping(content)
        return result
    }

    /// What is wrong with the entry as a whole, where it begins.
    public func problem(_ message: String) -> DocumentProblem {
        DocumentProblem(file: node.file, line: node.line, message: message)
    }

    /// Equal when key and fields are: where they stand is no part of them.
    public static func == (left: RegistryEntry, right: RegistryEntry) -> Bool {
        left.key == right.key && left.fields == right.fields
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(key)
        hasher.combine(fields)
    }
}

extension DocumentNode {
    /// A value of the database, which has no line.
    init(_ value: FieldValue, file: String) {
        let content: Content =
            switch value {
            case .null: .null
            case .boolean(let value): .boolean(value)
            case .number(let value): .number(value)
            case .string(let value): .string(value, quoted: true)
            case .array(let values): .list(values.map { DocumentNode($0, file: file) })
            case .object(let values):
                .mapping(
                    values.sorted { $0.key < $1.key }.map { name, value in
                        Field(name: name, line: nil, value: DocumentNode(value, file: file))
                    })
            }
        self.init(file: file, line: nil, content: content)
    }

    var fieldValue: FieldValue {
        switch content {
        case .null: .null
        case .boolean(let value): .boolean(value)
        case .number(let value): .number(value)
        case .string(let value, _): .string(value)
        case .list(let nodes): .array(nodes.map(\.fieldValue))
        case .mapping(let fields):
            .object(Dictionary(fields.map { ($0.name, $0.value.fieldValue) }, uniquingKeysWith: { first, _ in first }))
        }
    }
}
