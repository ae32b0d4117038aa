/// One value of a document with the line where it stands: plain values, nothing of the YAML library.
struct DocumentNode: Hashable, Sendable {
    var file: String
    /// Nil for a value that comes from the database.
    var line: Int?
    var content: Content

    enum Content: Hashable, Sendable {
        case null
        case boolean(Bool)
        /// Always finite.
        case number(Double)
        /// `quoted` is false for a plain word, which another YAML reader may take for something else.
        case string(String, quoted: Bool)
        case list([DocumentNode])
        /// In the document's order; names are unique.
        case mapping([Field])
    }

    struct Field: Hashable, Sendable {
        var name: String
        var line: Int?
        var value: DocumentNode
    }

    var isNull: Bool { content == .null }

    /// What stands here, for a message: "a list", "the number 5". `quoting` false leaves the value itself out.
    func found(quoting: Bool) -> String {
        switch content {
        case .null: "nothing"
        case .boolean(let value): quoting ? "\(value)" : "true or false"
        case .number(let value): quoting ? "the number \(DocumentNode.text(of: value))" : "a number"
        case .string(let text, _): quoting ? "\"\(DocumentNode.excerpt(of: text))\"" : "text"
        case .list: "a list"
        case .mapping: "a mapping"
        }
    }

    /// The number as a person writes it: `5`, not `5.0`.
    static func text(of number: Double) -> String {
        if let whole = Int64(exactly: number), number.magnitude < 1e15 { return String(whole) }
        return String(number)
    }

    /// At most 60 characters, control characters shown as `?`, so that a message stays one line.
    static func excerpt(of text: String) -> String {
        let shown = text.unicodeScalars.prefix(60).map { scalar in
            scalar.properties.generalCategory == .control ? "?" : Character(scalar)
        }
        return String(shown) + (text.unicodeScalars.count > 60 ? "…" : "")
    }
}
