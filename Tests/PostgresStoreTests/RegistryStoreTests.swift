import Clinical
import Documents
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What `enrol` writes is what the commit thread reads.
    @Suite struct RegistryStoreTests {
        private static let ward = """
            sites:
              - { code: north, name: North Practice }
            care_managers:
              - { code: cm-01, site: north, webhook: "http://127.0.0.1:9000/hook" }
            patients:
              - { code: P0001, site: north, key_worker: cm-01, conditions: [copd], baselines: { spo2: 91.5 } }
              - { code: P0002, site: north, key_worker: cm-01 }
            devices:
              - code: dev-0001
                site: north
                pairings:
                  - { patient: P0001, from: 2026-01-01T00:00:00Z, until: 2026-06-30T12:00:00Z }
                  - { patient: P0002, from: 2026-06-30T12:00:00Z }
            """

        private let database: TestDatabase
        private let registryStore: RegistryStore
        private let packs = BuiltInPacks.library()

        init() throws {
            database = try TestDatabase(devices: 0)
            registryStore = RegistryStore(database.configuration)
        }

        private func update(_ yaml: String) throws -> RegistryUpdate {
            let files = try RegistryFile.parse(Array(yaml.utf8), file: "ward.yaml")
            let stored = try registryStore.read()
            let plan = EnrolmentPlan(files: files, stored: stored.fields)
            let all = EnrolmentPlan.merged(files: files, stored: stored.fields)
            let outcome = RegistryBuilder(packs: packs).build(all)
            #expect(outcome.problems.isEmpty)
            return RegistryUpdate(
                base: stored, changes: plan.changes, loaded: plan.loaded, registry: outcome.registry, source: "enrol",
                actor: "root")
        }

        @Test func eachPauseIsARowOfTheLedgerOnce() throws {
            func ward(_ pauses: String) -> String {
                Self.ward.replacing(
                    "code: P0002, site: north",
                    with: "code: P0002, site: north, timezone: Asia/Tokyo, pauses: [\(pauses)]")
            }
            let first = "{ from: 2026-12-20, until: 2027-01-03, reason: holiday }"
            _ = try registryStore.apply(update(ward(first)))
            // The entry changes, that pause does not.
            _ = try registryStore.apply(update(ward(first + ", { from: 2027-03-01, until: 2027-03-01, reason: ward }")))
            let ended = first.replacing("}", with: ", ended: 2026-12-28T10:00:00Z }")
            _ = try registryStore.apply(update(ward(ended + ", { from: 2027-03-01, until: 2027-03-01, reason: ward }")))
            #expect(
                try database.query(
                    """
                    SELECT kind, patient, reason, actor, until AT TIME ZONE 'UTC' FROM homeward.suppression ORDER BY id
                    """) == [
                        ["pause", "P0002", "from 2026-12-20: holiday", "root", "2027-01-03 15:00:00"],
                        ["pause", "P0002", "from 2027-03-01: ward", "root", "2027-03-01 15:00:00"],
                        ["pause", "P0002", "ended early, from 2026-12-20: holiday", "root", "2026-12-28 10:00:00"],
                    ])
        }

        @Test func whatIsEnrolledIsReadBackByTheCommitThread() throws {
            let change = try update(Self.ward)
            #expect(try registryStore.apply(change) == 1)
            let packs = packs
            let store = PostgresCommitStore(database.configuration) { packs }
            #expect(try store.begin() == 1)
            let registry = try store.registryInTime()
            #expect(registry.version == 1)
            #expect(registry.sites == change.registry.sites)
            #expect(registry.careManagers == change.registry.careManagers)
            #expect(registry.patients == change.registry.patients)
            #expect(registry.devices == change.registry.devices)
            store.rollback()
            try store.store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_reading WHERE patient = 'P0001'") == "3")
        }

        @Test func theSameAgainWritesNothing() throws {
            _ = try registryStore.apply(try update(Self.ward))
            #expect(try registryStore.apply(try update(Self.ward)) == 1)
            #expect(try database.value("SELECT count(*) FROM homeward.registry_entry") == "5")
        }

        @Test func aChangeAddsVersionsAndRetiresPairings() throws {
            _ = try registryStore.apply(try update(Self.ward))
            let changed = Self.ward.replacing("2026-06-30T12:00:00Z", with: "2026-07-31T00:00:00Z")
                .replacing("91.5", with: "92")
            #expect(try registryStore.apply(try update(changed)) == 2)
            #expect(
                try database.query(
                    "SELECT entity, code FROM homeward.registry_entry WHERE version = 2 ORDER BY entity") == [
                        ["device", "dev-0001"], ["patient", "P0001"],
                    ])
            #expect(
                try database.query(
                    """
                    SET timezone = 'UTC';
                    SELECT patient, upper(period), version, retired_version FROM homeward.pairing ORDER BY id
                    """) == [
                        ["1", "2026-06-30 12:00:00+00", "1", "2"], ["2", nil, "1", "2"],
                        ["1", "2026-07-31 00:00:00+00", "2", nil], ["2", nil, "2", nil],
                    ])
            let stored = try registryStore.read()
            let patient = stored.fields[RegistryKey(entity: .patient, code: "P0001")]
            #expect(patient?["baselines"]?.value == .object(["spo2": .number(92)]))
            #expect(patient?["baselines"]?.loaded == .object(["spo2": .number(92)]))
        }

        @Test func aChangeOfAnOlderRegistryIsRefused() throws {
            let first = try update(Self.ward)
            let second = try update(Self.ward)
            _ = try registryStore.apply(first)
            let failure = #expect(throws: StoreFailure.self) { _ = try registryStore.apply(second) }
            #expect(failure?.kind == .transient)
            #expect(try database.value("SELECT version FROM homeward.registry_version") == "1")
        }

        /// The caller checks; where he did not, the schema does, and nothing of the change is written.
        @Test func overlappingPairingsAreRefusedWhole() throws {
            var change = try update(Self.ward)
            let device = code("dev-0001")
            change.registry.devices[device]?.pairings[1].from = Instant(microseconds: 1_767_225_600_000_000)
            let failure = #expect(throws: StoreFailure.self) { _ = try registryStore.apply(change) }
            #expect(failure?.sqlState == "23P01")
            #expect(try database.value("SELECT count(*) FROM homeward.registry_entry") == "0")
            #expect(try database.value("SELECT count(*) FROM homeward.device") == "0")
        }
    }
}
