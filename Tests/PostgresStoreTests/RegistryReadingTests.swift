import Clinical
import Dispatch
import Ingestion
import Registry
import Synchronization
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    /// A registry that moved is read beside the commit thread.
    @Suite struct RegistryReadingTests {
        private struct Contradiction: Error {}

        /// Builds a registry when it is told to; what it built, in order.
        private final class Builder: Sendable {
            let begun = Mutex<[Int64]>([])
            let isBroken = Mutex(false)
            let permits = DispatchSemaphore(value: 0)

            func store(_ database: TestDatabase) -> PostgresCommitStore {
                PostgresCommitStore(database.configuration) { _, version in
                    self.begun.withLock { $0.append(version) }
                    self.permits.wait()
                    let isBroken = self.isBroken.withLock { $0 }
                    if isBroken { throw Contradiction() }
                    return Registry(version: version)
                }
            }

            func hasBegun(_ versions: [Int64]) -> Bool { eventually { begun.withLock { $0 } == versions } }
        }

        private func expectBeingRead(_ store: PostgresCommitStore) {
            let failure = #expect(throws: StoreFailure.self) {
                _ = try store.begin()
                _ = try store.registry()
            }
            #expect(failure?.kind == .transient)
            #expect(failure?.message == "the registry is being read")
            store.rollback()
        }

        private func moveVersion(_ database: TestDatabase) throws {
            try database.query("UPDATE homeward.registry_version SET version = version + 1")
        }

        @Test func nobodyWaitsForALargeRegistry() throws {
            let database = try TestDatabase()
            let builder = Builder()
            let store = builder.store(database)
            try moveVersion(database)
            for _ in 0..<2 { expectBeingRead(store) }
            // Its connection is gone while it is built, and reports are stored meanwhile.
            #expect(builder.hasBegun([1]))
            let sessions =
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'homeward-registry' "
                + "AND datname = current_database()"
            #expect(try eventually { try database.value(sessions) == "0" })
            try store.store([report(key())])
            builder.permits.signal()
            #expect(try store.registryInTime().version == 1)
            #expect(builder.begun.withLock { $0 } == [1])
        }

        /// The load does not outwait the report's own time either.
        @Test func aLimitThatIsPastEndsTheWait() throws {
            let database = try TestDatabase()
            let builder = Builder()
            let store = builder.store(database)
            _ = try store.begin()
            store.limit(until: 0)
            let failure = #expect(throws: StoreFailure.self) { _ = try store.registry() }
            #expect(failure?.message == "the registry is being read")
            store.limit(until: nil)
            builder.permits.signal()
            #expect(try store.registryInTime().version == 0)
        }

        @Test func aVersionThatMovesDuringALoadIsReadNext() throws {
            let database = try TestDatabase(devices: 1)
            let builder = Builder()
            let store = builder.store(database)
            try moveVersion(database)
            expectBeingRead(store)
            #expect(builder.hasBegun([1]))
            try moveVersion(database)
            try database.query(
                """
                INSERT INTO homeward.patient (code, site) VALUES ('P0002', 1);
                INSERT INTO homeward.device (code, site) VALUES ('dev-0002', 1)
                """)
            builder.permits.signal()
            #expect(
                eventually {
                    expectBeingRead(store)
                    return builder.begun.withLock { $0 } == [1, 2]
                })
            builder.permits.signal()
            #expect(try store.registryInTime().version == 2)
            // The ids came with it: a new device's report is stored without reading them again.
            #expect(store.identifiers.devices[code("dev-0002")] != nil)
            #expect(store.identifiers.patients[code("P0002")] != nil)
            try store.store([report(key(2))])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report WHERE patient = 'P0002'") == "1")
        }

        /// The transaction began before the registry moved, the load after it.
        @Test func aRegistryNewerThanTheTransactionIsTaken() throws {
            let database = try TestDatabase()
            let store = database.store()
            #expect(try store.begin() == 0)
            try moveVersion(database)
            #expect(try eventually { try version(store) == 1 })
        }

        /// In the transaction that is open; nil while it is being read.
        private func version(_ store: PostgresCommitStore) throws -> Int64? {
            do throws(StoreFailure) {
                return try store.registry().version
            } catch {
                guard error.kind == .transient else { throw error }
                return nil
            }
        }

        @Test func aFailedLoadIsToldOnceAndBegunAgain() throws {
            let database = try TestDatabase()
            let builder = Builder()
            let store = builder.store(database)
            builder.isBroken.withLock { $0 = true }
            expectBeingRead(store)
            builder.permits.signal()
            let failure = #expect(throws: StoreFailure.self) { _ = try store.registryInTime() }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.hasPrefix("the registry in the database can't be read") == true)
            builder.isBroken.withLock { $0 = false }
            builder.permits.signal()
            #expect(try store.registryInTime().version == 0)
            #expect(builder.begun.withLock { $0 } == [0, 0])
        }

        @Test func whatTheServerRefusesTheLoadIsItsFailure() throws {
            let database = try TestDatabase()
            let store = database.store()
            try database.query("ALTER VIEW homeward.registry_current RENAME TO elsewhere")
            let failure = #expect(throws: StoreFailure.self) { _ = try store.registryInTime() }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.sqlState == "42P01")
            try database.query("ALTER VIEW homeward.elsewhere RENAME TO registry_current")
            #expect(try store.registryInTime().version == 0)
        }

        @Test func aStoreMayEndWhileItsRegistryIsRead() throws {
            let database = try TestDatabase()
            let builder = Builder()
            weak var ended: PostgresCommitStore?
            do {
                let store = builder.store(database)
                ended = store
                expectBeingRead(store)
                store.close()
                expectBeingRead(store)
            }
            #expect(ended == nil)
            #expect(builder.hasBegun([0]))
            builder.permits.signal()
        }
    }
}

extension PostgresCommitStore {
    /// As the commit stage does: a transaction per attempt, again while the registry is being read. Leaves the
    /// transaction open.
    func registryInTime() throws -> Registry {
        var read: Registry?
        let isRead = try eventually {
            do throws(StoreFailure) {
                _ = try begin()
                read = try registry()
                return true
            } catch {
                rollback()
                guard error.kind == .transient else { throw error }
                return false
            }
        }
        #expect(isRead)
        return try #require(read)
    }
}
