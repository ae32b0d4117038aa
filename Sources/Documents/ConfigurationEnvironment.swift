/// `HOMEWARD_BROKER_HOST` and the like, over the file.
enum ConfigurationEnvironment {
    static let prefix = "HOMEWARD_"

    /// Ours, but no settings: told to nobody.
    static let others: Set<String> = ["HOMEWARD_FAILPOINT"]

    /// How a variable's text becomes a value.
    enum Sort {
        case text
        /// A number, true or false: as a plain word of YAML.
        case word
        /// Comma-separated.
        case list
    }

    /// Every setting that a variable can override.
    static let settings: [(path: String, sort: Sort)] = [
        ("broker.host", .text), ("broker.port", .word), ("broker.protocol", .text), ("broker.client_id", .text),
        ("broker.username", .text), ("broker.password_file", .text), ("broker.tls.ca_file", .text),
        ("broker.tls.certificate_file", .text), ("broker.tls.key_file", .text),
        ("broker.tls.watched_directory", .text), ("broker.insecure", .word),
        ("database.url", .text), ("database.password_file", .text), ("sites", .list), ("protocols", .text),
        ("spool.directory", .text), ("spool.quota", .text), ("spool.key_file", .text), ("deadlines.durable", .text),
        ("deadlines.database", .text), ("deadlines.delivery", .text), ("http.host", .text), ("http.port", .word),
        ("http.public_url", .text), ("http.tls.certificate_file", .text), ("http.tls.key_file", .text),
        ("metrics.host", .text), ("metrics.port", .word), ("heartbeat_url", .text),
        ("retention.months", .word), ("retention.archive", .text),
        ("delivery.webhook.secret_file", .text), ("delivery.webhook.ca_file", .text), ("delivery.sms.url", .text),
        ("delivery.sms.body", .text), ("delivery.sms.authorization_file", .text), ("delivery.sms.ca_file", .text),
        ("delivery.mqtt.sites", .list), ("delivery.templates", .text), ("delivery.smtp.ca_file", .text),
        ("delivery.smtp.host", .text), ("delivery.smtp.port", .word),
        ("delivery.smtp.from", .text), ("delivery.smtp.username", .text), ("delivery.smtp.password_file", .text),
        ("delivery.smtp.tls", .text), ("log.level", .text), ("log.format", .text),
    ]

    /// Secrets that a variable may carry itself; in the file they are refused.
    static let secrets = [
        "broker.password", "database.password", "delivery.smtp.password", "delivery.sms.authorization",
        "delivery.webhook.secret",
    ]

    static func variable(of path: String) -> String {
        prefix + path.uppercased().replacing(".", with: "_")
    }

    /// `root` with every override in its place. A variable that is empty overrides nothing. One that begins like a
    /// section but names no setting is a problem, any other unknown `HOMEWARD_` variable a notice.
    static func overlay(_ environment: [String: String], on root: DocumentNode, _ problems: ProblemList) -> DocumentNode
    {
        var root = root
        let byName = Dictionary(uniqueKeysWithValues: settings.map { (variable(of: $0.path), $0) })
        let known = byName.keys.sorted() + secrets.map(variable)
        let sections = Set(settings.compactMap { $0.path.contains(".") ? $0.path.split(separator: ".").first : nil })
        for (name, text) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(prefix) {
            if let setting = byName[name] {
                guard !text.isEmpty else { continue }
                let value = DocumentNode(file: name, line: nil, content: content(of: text, setting.sort, of: name))
                root = put(value, at: setting.path.split(separator: ".")[...], in: root)
            } else if !known.contains(name), !others.contains(name) {
                let nearest = NearestName.nearest(to: name, among: known).map { "; the nearest is \($0)" } ?? ""
                let isOfSection = sections.contains { name.hasPrefix(variable(of: "\($0).")) }
                problems.add(
                    DocumentProblem(
                        file: name, line: nil, message: "no setting has this name\(nearest)", isNotice: !isOfSection))
            }
        }
        return root
    }

    private static func content(of text: String, _ sort: Sort, of variable: String) -> DocumentNode.Content {
        switch sort {
        case .text: .string(text, quoted: true)
        case .word: PlainScalar.content(of: text)
        case .list:
            .list(
                text.split(separator: ",").map { part in
                    let code = part.trimmingPrefix(while: \.isWhitespace)
                    let trimmed = String(code.reversed().drop(while: \.isWhitespace).reversed())
                    return DocumentNode(
                        file: variable, line: nil, content: .string(trimmed, quoted: true))
                })
        }
    }

    /// A section that is not there is made; one that is no mapping stays as it is, for its reader to refuse.
    private static func put(_ value: DocumentNode, at path: ArraySlice<Substring>, in parent: DocumentNode)
        -> DocumentNode
    {
        guard let name = path.first.map(String.init) else { return value }
        var fields: [DocumentNode.Field]
        switch parent.content {
        case .mapping(let present): fields = present
        case .null: fields = []
        default: return parent
        }
        let empty = DocumentNode(file: value.file, line: nil, content: .null)
        let place = fields.firstIndex { $0.name == name }
        let child = put(value, at: path.dropFirst(), in: place.map { fields[$0].value } ?? empty)
        let field = DocumentNode.Field(name: name, line: place.map { fields[$0].line } ?? nil, value: child)
        if let place { fields[place] = field } else { fields.append(field) }
        var result = parent
        result.content = .mapping(fields)
        return result
    }
}
