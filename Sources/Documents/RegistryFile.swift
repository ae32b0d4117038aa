import Clinical
import Registry

/// Registry YAML -> entries as data. What stands in their fields is `RegistryBuilder`'s to check, after they were
/// merged with what the database has.
public enum RegistryFile {
    /// The entries of all the files at `paths`, in the order of files and lines.
    ///
    /// - Throws: every problem of every file: one that can't be read, is not YAML or not a registry, an entry without
    ///   a code, and an entry that stands twice, also in two files.
    public static func read(paths: [String]) throws(DocumentProblems) -> [RegistryEntry] {
        let problems = ProblemList()
        var entries: [RegistryEntry] = []
        for path in paths {
            guard let node = YAMLDocument.read(path: path, problems) else { continue }
            entries += read(node, problems)
        }
        return try checked(entries, problems)
    }

    /// The entries of one document that is in memory already. Throws as `read(paths:)` does.
    public static func parse(_ bytes: [UInt8], file: String) throws(DocumentProblems) -> [RegistryEntry] {
        let problems = ProblemList()
        let node = YAMLDocument.parse(bytes, file: file, problems)
        return try checked(node.map { read($0, problems) } ?? [], problems)
    }

    private static func checked(
        _ entries: [RegistryEntry], _ problems: ProblemList
    ) throws(DocumentProblems) -> [RegistryEntry] {
        var first: [RegistryKey: DocumentNode] = [:]
        for entry in entries {
            guard let place = entry.place else { continue }
            if let earlier = first[entry.key] {
                let line = earlier.line.map { ":\($0)" } ?? ""
                problems.add("\(entry.key) stands here a second time (first at \(earlier.file)\(line))", at: place)
            } else {
                first[entry.key] = place
            }
        }
        guard problems.refusals.isEmpty else { throw DocumentProblems(problems.refusals) }
        return entries
    }

    private static func read(_ node: DocumentNode, _ problems: ProblemList) -> [RegistryEntry] {
        if node.isNull { return [] }
        let document = DocumentValue<[RegistryEntry]>.record { reader in
            let lists: [(key: String, entity: RegistryEntity)] = [
                ("sites", .site), ("care_managers", .careManager), ("patients", .patient), ("devices", .device),
                ("escalation", .escalation),
            ]
            return lists.flatMap { reader.optional($0.key, .list(of: entry($0.entity))) ?? [] }
        }
        return document.read(node, DocumentContext(problems)) ?? []
    }

    private static func entry(_ entity: RegistryEntity) -> DocumentValue<RegistryEntry> {
        DocumentValue { node, context in
            guard case .mapping(var fields) = node.content else {
                context.reportMismatch("a mapping", at: node)
                return nil
            }
            let reader = MappingReader(node: node, fields: fields, context: DocumentContext(context.problems))
            let code: String?
            if entity == .escalation {
                code = escalationCode(reader)
            } else {
                code = reader.required("code", .identifier)?.description
                fields.removeAll { $0.name == "code" }
            }
            guard let code else { return nil }
            let named = fields.map { ($0.name, $0.value) }
            let sources = Dictionary(named, uniquingKeysWith: { first, _ in first })
            var place = node
            place.content = .null
            return RegistryEntry(
                key: RegistryKey(entity: entity, code: code), fields: sources.mapValues(\.fieldValue),
                sources: sources, place: place)
        }
    }

    private static func escalationCode(_ reader: MappingReader) -> String? {
        let site = reader.required("site", .identifier)
        let alertClass = reader.required("class", .choice(EscalationPath.AlertClass.self))
        let severity = reader.required("severity", .choice(Severity.self))
        let when: EscalationPath.When? =
            reader["when"] == nil ? .always : reader.optional("when", .choice(EscalationPath.When.self))
        guard let site, let alertClass, let severity, let when else { return nil }
        return "\(site)/\(alertClass.rawValue)/\(severity.rawValue)/\(when.rawValue)"
    }
}
