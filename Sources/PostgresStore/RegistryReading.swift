internal import Documents
internal import Formats
internal import Ingestion
internal import Registry

/// The registry's current entries, with the version that they belong to, from one snapshot.
enum RegistryReading {
    /// An entry, and what the enrolment file said when it was last loaded from one.
    struct Enrolled {
        var entry: RegistryEntry
        var lastEnrolled: [String: FieldValue]
    }

    private static let current = Statement(
        name: "registry",
        sql: """
            SELECT v.version, e.entity, e.code, e.fields::text
            FROM homeward.registry_version v LEFT JOIN homeward.registry_current e ON true
            """)
    private static let enrolled = Statement(
        name: "registry_enrolled",
        sql: """
            SELECT v.version, e.entity, e.code, e.fields::text, coalesce(e.last_enrolled, '{}')::text
            FROM homeward.registry_version v LEFT JOIN homeward.registry_current e ON true
            """)

    static func entries(
        _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> (entries: [RegistryEntry], version: Int64) {
        let result = try connection.run(current, PostgresParameters(), doing: "reading the registry")
        let version = try version(of: result)
        var entries: [RegistryEntry] = []
        entries.reserveCapacity(result.rowCount)
        for row in 0..<result.rowCount {
            if let entry = try entry(result, row) { entries.append(entry) }
        }
        return (entries, version)
    }

    /// For whoever changes the registry: what a file says again is no change.
    static func enrolledEntries(
        _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> (entries: [Enrolled], version: Int64) {
        let result = try connection.run(enrolled, PostgresParameters(), doing: "reading the registry")
        let version = try version(of: result)
        var entries: [Enrolled] = []
        for row in 0..<result.rowCount {
            guard let entry = try entry(result, row) else { continue }
            guard let lastEnrolled = fields(result.bytes(row, 4)) else { throw notUnderstood }
            entries.append(Enrolled(entry: entry, lastEnrolled: lastEnrolled))
        }
        return (entries, version)
    }

    /// The object's members; nil for what is no object.
    static func fields(_ json: [UInt8]?) -> [String: FieldValue]? {
        guard let json, let value = try? JSONReader.value(json.span, maximumDepth: deepest),
            case .object(let fields) = FieldValue(value)
        else { return nil }
        return fields
    }

    /// What people write into a registry is not deep.
    private static let deepest = 64

    private static func version(of result: borrowing PostgresResult) throws(StoreFailure) -> Int64 {
        guard let version = result.int64(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the registry: it has no version")
        }
        return version
    }

    /// Nil for the row of nulls that stands for a registry without entries.
    private static func entry(_ result: borrowing PostgresResult, _ row: Int) throws(StoreFailure) -> RegistryEntry? {
        guard let name = result.text(row, 1) else { return nil }
        guard let entity = RegistryEntity(rawValue: name), let code = result.text(row, 2),
            let fields = fields(result.bytes(row, 3))
        else { throw notUnderstood }
        return RegistryEntry(key: RegistryKey(entity: entity, code: code), fields: fields)
    }

    private static var notUnderstood: StoreFailure {
        StoreFailure(kind: .misconfigured, message: "reading the registry: an entry can't be understood")
    }
}
