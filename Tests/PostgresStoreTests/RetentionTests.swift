import Clinical
import Foundation
import Ingestion
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    @Suite final class RetentionTests {
        private let archive = FileManager.default.temporaryDirectory.appending(
            path: "homeward-archive-\(UUID().uuidString)")

        init() throws {
            try FileManager.default.createDirectory(at: archive, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(at: archive) }

        private var policy: RetentionPolicy { RetentionPolicy(months: 14, archive: archive.path) }

        /// Reports of 20 months ago in a partition of theirs, of 30 months ago in the default one, and of now.
        private func filled() throws -> (database: TestDatabase, month: String) {
            let database = try TestDatabase()
            let now = Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))
            let month = try #require(
                try database.value("SELECT to_char(now() - interval '20 months', 'YYYY_MM')"))
            for table in ["report", "reading", "answer"] {
                try database.query(
                    """
                    SET timezone = 'UTC';
                    DO $$ BEGIN
                        EXECUTE format('CREATE TABLE homeward.\(table)_\(month) PARTITION OF homeward.\(table) '
                            'FOR VALUES FROM (%L) TO (%L)', to_date('\(month)', 'YYYY_MM'),
                            to_date('\(month)', 'YYYY_MM') + interval '1 month');
                    END $$
                    """)
            }
            let middle = try database.value(
                "SELECT (extract(epoch FROM to_date('\(month)', 'YYYY_MM') + interval '9 days') * 1000000)::bigint")
            let old = Instant(microseconds: try #require(middle.flatMap { Int64($0) }))
            let odd = [
                Reading(
                    index: 0, kind: .systolic, value: 142.125, sentValue: 18.95, sentUnit: .kilopascal)
            ]
            try database.store().store([
                report(key(1, "old-1"), receivedAt: old), report(key(2, "old-2"), readings: odd, receivedAt: old),
                report(key(1, "older"), receivedAt: now - .days(913)), report(key(1, "new"), receivedAt: now),
            ])
            try database.query(
                "UPDATE homeward.report_key SET stored_at = now() - interval '20 months' WHERE report_id LIKE 'old%'")
            return (database, month)
        }

        @Test func whatIsPastThePolicyIsArchivedComparedAndDropped() throws {
            let (database, month) = try filled()
            let dry = try Retention(database.configuration, policy: policy).run(dryRun: true) { _ in }
            let rows: Int64 = dry.parts.map(\.rows).reduce(0, +)
            #expect(rows == 10)
            #expect(dry.keys == 3)
            #expect(try database.value("SELECT count(*) FROM homeward.reading") == "10")
            #expect(try FileManager.default.contentsOfDirectory(atPath: archive.path).isEmpty)

            var told: [Retention.Part] = []
            let outcome = try Retention(database.configuration, policy: policy).run(dryRun: false) { told.append($0) }
            #expect(told == outcome.parts)
            #expect(
                outcome.parts.map(\.partition)
                    == [
                        "answer_\(month)", "reading_\(month)", "report_\(month)", "reading_default", "report_default",
                    ])
            #expect(outcome.parts.map(\.rows) == [0, 4, 2, 3, 1])
            #expect(outcome.keys == 3)
            #expect(try database.value("SELECT count(*) FROM homeward.reading") == "3")
            #expect(try database.value("SELECT count(*) FROM homeward.report") == "1")
            #expect(try database.value("SELECT count(*) FROM homeward.report_key") == "1")
            #expect(try database.value("SELECT to_regclass('homeward.reading_\(month)')") == nil)
            try DatabaseUpkeep(database.configuration).maintain()
            #expect(try database.value("SELECT to_regclass('homeward.reading_\(month)')") == nil)

            // The files are whole, say so themselves, and go back into a table as they were.
            for part in outcome.parts {
                let file = try #require(part.file)
                #expect(FileManager.default.fileExists(atPath: file + ".sha256"))
            }
            #expect(FileManager.default.fileExists(atPath: archive.appending(path: "device.csv").path))
            #expect(
                try FileManager.default.contentsOfDirectory(atPath: archive.path).allSatisfy { !$0.hasSuffix(".part") })
            try database.query("CREATE TABLE public.back (LIKE homeward.reading)")
            let file = archive.appending(path: "reading_\(month).csv").path
            try database.cluster.copyFile(file, into: "public.back", database: database.name)
            #expect(
                try database.query(
                    "SELECT value, value_sent, report_id FROM public.back WHERE kind = 1 ORDER BY report_id")
                    == [["142", "142", "old-1"], ["142.125", "18.95", "old-2"]])

            let again = try Retention(database.configuration, policy: policy).run(dryRun: false) { _ in }
            #expect(again.parts.isEmpty && again.keys == 0)
        }

        /// However many go, each block of the keys' table is read once.
        @Test func keysAreForgottenBlockByBlock() throws {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.report_key (digest, stored_at, device, report_id)
                SELECT gen_random_uuid(),
                    now() - CASE WHEN n % 3 = 0 THEN interval '1 day' ELSE interval '20 months' END, 1, 'k-' || n
                FROM generate_series(1, 30000) n;
                ANALYZE homeward.report_key
                """)
            let size = try database.value("SELECT pg_relation_size('homeward.report_key') / 8192")
            let blocks = try #require(size.flatMap { Int64($0) })
            #expect(blocks > 2 * Retention.blocksAtOnce)
            let plan = try database.query(
                "EXPLAIN \(Retention.forgetting(before: "2000-01-01", blocks: 100..<200))"
            ).compactMap { $0.first ?? nil }.joined(separator: "\n")
            #expect(plan.contains("Tid Range Scan"), "\(plan)")
            let outcome = try Retention(database.configuration, policy: policy).run(dryRun: false) { _ in }
            #expect(outcome.keys == 20_000)
            #expect(try database.value("SELECT count(*) FROM homeward.report_key") == "10000")
        }

        @Test func anArchiveIsNeverOverwrittenAndAFailureDropsNothing() throws {
            let (database, month) = try filled()
            let taken = archive.appending(path: "reading_\(month).csv")
            try Data("mine".utf8).write(to: taken)
            let nowhere = RetentionPolicy(months: 14, archive: archive.appending(path: "missing").path)
            #expect(throws: (any Error).self) {
                _ = try Retention(database.configuration, policy: nowhere).run(dryRun: false) { _ in }
            }
            #expect(try database.value("SELECT count(*) FROM homeward.reading") == "10")
            let outcome = try Retention(database.configuration, policy: policy).run(dryRun: false) { _ in }
            #expect(try String(contentsOf: taken, encoding: .utf8) == "mine")
            #expect(outcome.parts.contains { $0.file?.hasSuffix("reading_\(month)_2.csv") == true })
        }

        @Test func theDaemonsRoleMayNot() throws {
            let (database, _) = try filled()
            let script = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../deploy/roles.sql").standardized.path
            try database.cluster.runFile(script, database: database.name)
            func configuration(_ role: String) -> DatabaseConfiguration {
                DatabaseConfiguration(
                    url: database.cluster.url(database: database.name, user: role), deadline: .seconds(30))
            }
            let failure = #expect(throws: StoreFailure.self) {
                _ = try Retention(configuration("homeward_ingest"), policy: policy).run(dryRun: false) { _ in }
            }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.contains("homeward_owner") == true)
            #expect(try database.value("SELECT count(*) FROM homeward.reading") == "10")
            let outcome = try Retention(configuration("homeward_owner"), policy: policy).run(dryRun: false) { _ in }
            #expect(outcome.parts.count == 5)
        }
    }
}
