internal import Ingestion

/// The registry's current entries, with the version that they belong to, from one snapshot.
enum RegistryReading {
    private static let statement = Statement(
        name: "registry",
        sql: """
            SELECT v.version, e.entity, e.code, e.fields::text, e.last_enrolled::text
            FROM homeward.registry_version v LEFT JOIN homeward.registry_current e ON true
            """)

    static func entries(
        _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> (entries: [RegistryEntry], version: Int64) {
        let result = try connection.run(statement, PostgresParameters(), doing: "reading the registry")
        guard let version = result.int64(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the registry: it has no version")
        }
        var entries: [RegistryEntry] = []
        for row in 0..<result.rowCount {
            // One row of nulls stands for a registry without entries.
            guard let name = result.text(row, 1) else { continue }
            guard let entity = RegistryEntry.Entity(rawValue: name), let code = result.text(row, 2),
                let fields = result.text(row, 3)
            else {
                throw StoreFailure(kind: .misconfigured, message: "reading the registry: an entry can't be understood")
            }
            entries.append(
                RegistryEntry(entity: entity, code: code, fields: fields, lastEnrolled: result.text(row, 4)))
        }
        return (entries, version)
    }
}
