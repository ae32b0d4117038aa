import Ingestion
import Registry
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    @Suite struct RegistryReadingTests {
        /// The server ends a session that idles in a transaction for 10 s; building a large registry may take longer.
        @Test func aRegistryMayTakeLongToBuild() throws {
            let database = try TestDatabase()
            var limits: [String?] = []
            weak var building: PostgresCommitStore?
            let store = PostgresCommitStore(database.configuration) { _, version in
                limits.append(
                    try building?.connection.query("SHOW idle_in_transaction_session_timeout", doing: "asking")
                        .text(0, 0))
                return Registry(version: version)
            }
            building = store
            _ = try store.begin()
            _ = try store.registry()
            #expect(limits == ["10min"])
        }
    }
}
