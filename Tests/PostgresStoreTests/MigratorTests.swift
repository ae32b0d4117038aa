import Clinical
import Foundation
import Ingestion
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    @Suite struct MigratorTests {
        @Test func migratingTwiceChangesNothing() throws {
            let database = try TestDatabase(migrated: false)
            #expect(try Migrator.migrate(database.configuration) == Migration.all.map(\.name))
            #expect(try Migrator.migrate(database.configuration).isEmpty)
            #expect(
                try database.value("SELECT max(version) FROM homeward.schema_migration")
                    == "\(Migrator.newestVersion)")
        }

        @Test func twoMigratorsAtOnceTakeTurns() throws {
            let database = try TestDatabase(migrated: false)
            let configuration = database.configuration
            let migrators = (0..<2).map { _ in Running { try Migrator.migrate(configuration) } }
            let applied = try migrators.flatMap { try $0.value() }
            #expect(applied.sorted() == Migration.all.map(\.name))
        }

        @Test func aChangedFileIsRefused() throws {
            let database = try TestDatabase()
            var changed = Migration.all
            changed[1].sql += Array("-- an afterthought".utf8)
            let failure = #expect(throws: StoreFailure.self) {
                _ = try Migrator.migrate(database.configuration, with: changed)
            }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.contains(changed[1].name) == true)
        }

        @Test func aFailedFileLeavesNothing() throws {
            let database = try TestDatabase()
            let version = Int32(Migrator.newestVersion + 1)
            let bad = Migration(
                version: version, name: "bad", sql: Array("CREATE TABLE homeward.half (); SELECT 1 / 0".utf8))
            let failure = #expect(throws: StoreFailure.self) {
                _ = try Migrator.migrate(database.configuration, with: Migration.all + [bad])
            }
            #expect(failure?.sqlState == "22012")
            #expect(try database.value("SELECT to_regclass('homeward.half')") == nil)
            #expect(try Migrator.migrate(database.configuration).isEmpty)
        }

        /// Migrations only add: instances roll one after the other, and nobody takes a schema back.
        @Test func aNewerSchemaIsWorkedWithAndNeverTakenBack() throws {
            let database = try TestDatabase()
            let later = Migration(
                version: 999, name: "later",
                sql: Array("ALTER TABLE homeward.report ADD COLUMN later text; CREATE TABLE homeward.later ()".utf8))
            #expect(try Migrator.migrate(database.configuration, with: Migration.all + [later]) == ["later"])
            try database.store().store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_reading") == "3")
            let failure = #expect(throws: StoreFailure.self) { _ = try Migrator.migrate(database.configuration) }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.contains("newer") == true)
            #expect(try database.value("SELECT to_regclass('homeward.later')") != nil)
        }

        @Test func anOlderOrMissingSchemaSaysWhatToDo() throws {
            let database = try TestDatabase(migrated: false)
            let missing = #expect(throws: StoreFailure.self) { _ = try database.store().begin() }
            _ = try Migrator.migrate(database.configuration)
            try database.query("DELETE FROM homeward.schema_migration WHERE version > 1")
            let older = #expect(throws: StoreFailure.self) { _ = try database.store().begin() }
            for failure in [missing, older] {
                #expect(failure?.kind == .misconfigured)
                #expect(failure?.message.contains("homeward migrate") == true)
            }
        }

        @Test func everyFileOfTheFolderIsListedInOrder() throws {
            let folder = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../Sources/PostgresStore/migrations")
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            #expect(files == Migration.all.map(\.name))
            let versions = Migration.all.map(\.version)
            #expect(versions.first == 1 && zip(versions, versions.dropFirst()).allSatisfy { $0 < $1 })
            for migration in Migration.all {
                #expect(migration.name.hasPrefix("m" + String(10_000 + migration.version).dropFirst() + "_"))
                #expect(try Array(Data(contentsOf: folder.appending(path: migration.name))) == migration.sql)
            }
        }

        @Test func kindsUnitsAndFlagsAreThoseOfTheCode() throws {
            let database = try TestDatabase()
            #expect(
                try database.query("SELECT id, code FROM homeward.kind ORDER BY id")
                    == Kind.allCases.map { ["\($0.rawValue)", $0.code] })
            #expect(
                try database.query("SELECT id, code FROM homeward.unit ORDER BY id")
                    == UCUMUnit.allCases.map { ["\($0.rawValue)", $0.code] })
            for (flag, name) in ReadingFlags.names {
                #expect(
                    try database.value("SELECT homeward.flag_names(\(flag.rawValue)::smallint, NULL)") == "{\(name)}")
            }
        }

        @Test func partitionsAreMadeAheadAndTheDefaultOneIsEmptied() throws {
            let database = try TestDatabase()
            let partitions = """
                SELECT count(*) FROM pg_inherits WHERE inhparent = 'homeward.reading'::regclass
                """
            // Last month, this one, two ahead, and the default.
            #expect(try database.value(partitions) == "5")
            let now = Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))
            let soon = now + .days(31 * 4)
            try database.store().store([
                report(key(1, "now"), receivedAt: now), report(key(1, "soon"), receivedAt: soon),
                report(key(1, "long-ago"), receivedAt: now - .days(400)),
            ])
            #expect(try database.value("SELECT count(*) FROM homeward.reading_default") == "6")
            try database.query("SELECT homeward.make_partitions(5)")
            #expect(try database.value(partitions) == "8")
            #expect(try database.value("SELECT count(*) FROM homeward.reading_default") == "3")
            #expect(try database.value("SELECT count(*) FROM homeward.v_reading") == "9")
            #expect(try database.value("SELECT count(*) FROM homeward.report_default") == "1")
            try DatabaseUpkeep(database.configuration).maintain()
            #expect(try database.value(partitions) == "8")
        }
    }
}
