internal import Clinical
internal import Ingestion

/// The small ids of the hot tables by code. Ids never change and are never given twice, so that this only grows.
struct RegistryIdentifiers: Sendable {
    private(set) var sites: [Identifier: Int32] = [:]
    private(set) var patients: [Identifier: Int32] = [:]
    private(set) var devices: [Identifier: Int32] = [:]

    private static let statement = Statement(
        name: "identifiers",
        sql: """
            SELECT 1::int2, id, code FROM homeward.site UNION ALL
            SELECT 2::int2, id, code FROM homeward.patient UNION ALL
            SELECT 3::int2, id, code FROM homeward.device
            """)

    mutating func load(_ connection: inout PostgresConnection) throws(StoreFailure) {
        let result = try connection.run(Self.statement, PostgresParameters(), doing: "reading the registry's ids")
        for row in 0..<result.rowCount {
            guard let code = result.identifier(row, 2), let id = result.int32(row, 1) else { continue }
            switch result.int16(row, 0) {
            case 1: sites[code] = id
            case 2: patients[code] = id
            default: devices[code] = id
            }
        }
    }
}
