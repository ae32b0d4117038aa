internal import Documents
internal import Foundation
internal import Ingestion
internal import Registry

/// The registry's current entries, with the version that they belong to, from one snapshot.
enum RegistryReading {
    struct Entry {
        var key: RegistryKey
        var fields: [String: FieldValue]
        /// What the enrolment file said when the entry was last loaded from one.
        var lastEnrolled: [String: FieldValue]
    }

    private static let statement = Statement(
        name: "registry",
        sql: """
            SELECT v.version, e.entity, e.code, e.fields::text, coalesce(e.last_enrolled, '{}')::text
            FROM homeward.registry_version v LEFT JOIN homeward.registry_current e ON true
            """)

    static func entries(
        _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> (entries: [Entry], version: Int64) {
        let result = try connection.run(statement, PostgresParameters(), doing: "reading the registry")
        guard let version = result.int64(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the registry: it has no version")
        }
        var entries: [Entry] = []
        for row in 0..<result.rowCount {
            // One row of nulls stands for a registry without entries.
            guard let name = result.text(row, 1) else { continue }
            guard let entity = RegistryEntity(rawValue: name), let code = result.text(row, 2),
                let fields = fields(result.bytes(row, 3)), let lastEnrolled = Self.fields(result.bytes(row, 4))
            else {
                throw StoreFailure(kind: .misconfigured, message: "reading the registry: an entry can't be understood")
            }
            entries.append(
                Entry(key: RegistryKey(entity: entity, code: code), fields: fields, lastEnrolled: lastEnrolled))
        }
        return (entries, version)
    }

    static func fields(_ json: [UInt8]?) -> [String: FieldValue]? {
        json.flatMap { try? JSONDecoder().decode([String: FieldValue].self, from: Data($0)) }
    }
}
