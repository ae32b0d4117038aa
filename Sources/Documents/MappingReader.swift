/// Reads a mapping key by key and remembers what was asked for. Made by `DocumentValue.record`.
///
/// A key whose value is null (`phone:`) counts as absent.
final class MappingReader {
    let node: DocumentNode
    let context: DocumentContext
    private let fields: [String: DocumentNode.Field]
    private let order: [DocumentNode.Field]
    private var known: [String] = []

    init(node: DocumentNode, fields: [DocumentNode.Field], context: DocumentContext) {
        self.node = node
        self.context = context
        self.order = fields
        self.fields = Dictionary(fields.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    }

    /// The value of `key`; nil when it is absent, and when it is wrong, which is reported.
    func optional<Value>(_ key: String, _ type: DocumentValue<Value>) -> Value? {
        guard let value = self[key] else { return nil }
        return type.read(value, context(of: key))
    }

    /// The value of `key`; nil when it is wrong or absent, both of which are reported.
    func required<Value>(_ key: String, _ type: DocumentValue<Value>) -> Value? {
        guard let value = self[key] else {
            context.problems.add("\(pathOf(key)) is missing", at: node)
            return nil
        }
        return type.read(value, context(of: key))
    }

    /// The value of `key` as it stands; nil when it is absent or null. Marks the key as known.
    subscript(key: String) -> DocumentNode? {
        if !known.contains(key) { known.append(key) }
        guard let value = fields[key]?.value, !value.isNull else { return nil }
        return value
    }

    /// Whether `[]` stands at `key`.
    func isEmptyList(_ key: String) -> Bool { self[key]?.content == .list([]) }

    /// Reports `message` at the line of `key`, or at the mapping's own where the key is absent.
    func report(_ message: String, at key: String) {
        context(of: key).report(message, at: fields[key]?.value ?? node)
    }

    /// Tells `message` as a notice, which refuses nothing.
    func note(_ message: String, at key: String) {
        context(of: key).report(message, at: fields[key]?.value ?? node, isNotice: true)
    }

    /// The same about the mapping as a whole.
    func note(_ message: String) { context.report(message, at: node, isNotice: true) }

    /// Reports `message` about the mapping as a whole.
    func report(_ message: String) { context.report(message, at: node) }

    func reportUnknownKeys() {
        for field in order where !known.contains(field.name) {
            let nearest = NearestName.nearest(to: field.name, among: known)
            let hint = nearest.map { "; the nearest known key is \"\($0)\"" } ?? ""
            let place = DocumentNode(file: field.value.file, line: field.line, content: .null)
            let path = pathOf(DocumentNode.excerpt(of: field.name))
            context.problems.add("unknown key \"\(path)\"\(hint)", at: place)
        }
    }

    private func pathOf(_ key: String) -> String { context.path.isEmpty ? key : "\(context.path).\(key)" }

    func context(of key: String) -> DocumentContext {
        var inner = context
        inner.path = pathOf(key)
        return inner
    }
}
