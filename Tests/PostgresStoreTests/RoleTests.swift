import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// deploy/roles.sql: each role can do its work and nothing else.
    @Suite struct RoleTests {
        private static let script = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../deploy/roles.sql").standardized.path

        private func configuration(_ database: TestDatabase, _ role: String) -> DatabaseConfiguration {
            DatabaseConfiguration(
                url: database.cluster.url(database: database.name, user: role), deadline: .seconds(30))
        }

        /// Whichever comes first, migration or roles.
        @Test(arguments: [true, false])
        func ingestStoresAndCanNotTouchHistory(migratedFirst: Bool) throws {
            let database = try TestDatabase(migrated: migratedFirst)
            try database.cluster.runFile(Self.script, database: database.name)
            if !migratedFirst {
                _ = try Migrator.migrate(configuration(database, "homeward_owner"))
                try database.query(
                    """
                    INSERT INTO homeward.site (code) VALUES ('north');
                    INSERT INTO homeward.patient (code, site) VALUES ('P0001', 1);
                    INSERT INTO homeward.device (code, site) VALUES ('dev-0001', 1)
                    """)
            }
            _ = try Migrator.migrate(configuration(database, "homeward_owner"))
            let ingest = configuration(database, "homeward_ingest")
            var batch = CommitBatch()
            batch.reports = [report(key(), answers: [SentAnswer(question: .known(.tired), value: .boolean(false))])]
            batch.quarantined = [refusal(), refusal()]
            batch.statuses = [
                DeviceStatusRow(device: code("dev-0001"), online: true, battery: 1, firmware: nil, receivedAt: morning)
            ]
            batch.sequences = [DeviceSequence(device: code("dev-0001"), highest: 1)]
            batch.episodes = [EpisodeChange(episode: episode(), isNew: true, events: [event(episode())])]
            batch.outbox = [
                OutboxEntry(alert: episode().id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            let store = database.store(ingest)
            _ = try store.store([claim(key())], batch)
            batch.reports = []
            batch.episodes[0].isNew = false
            _ = try store.store([], batch)
            #expect(try PostgresDeliveryQueue(ingest).claim(limit: 1, lease: .seconds(9)).count == 1)
            try PostgresTimerQueue(ingest).schedule([Timer(kind: "k", subject: "s", due: longAgo)])
            try DatabaseUpkeep(ingest).maintain()
            #expect(try DatabaseUpkeep(ingest).noteAlive("homeward", at: morning) == nil)
            #expect(try DatabaseUpkeep(ingest).noteAlive("homeward", at: morning) == morning)
            #expect(try AlertReader(ingest).alerts().count == 1)
            try expectRefused(
                [
                    "UPDATE homeward.report SET battery = 1", "DELETE FROM homeward.report",
                    "UPDATE homeward.reading SET value = 1", "DELETE FROM homeward.reading",
                    "UPDATE homeward.reading_correction SET reason = ''", "DELETE FROM homeward.reading_correction",
                    "TRUNCATE homeward.reading_correction",
                    "DELETE FROM homeward.reading_default", "DELETE FROM homeward.answer",
                    "UPDATE homeward.answer SET value = ''", "DELETE FROM homeward.report_key",
                    "UPDATE homeward.report_key SET digest = gen_random_uuid()",
                    "UPDATE homeward.alert_event SET summary = ''", "DELETE FROM homeward.alert_event",
                    "UPDATE homeward.registry_entry SET actor = ''", "DELETE FROM homeward.registry_entry",
                    "UPDATE homeward.quarantine SET payload = ''", "DELETE FROM homeward.quarantine",
                    "DELETE FROM homeward.alert", "DELETE FROM homeward.outbox", "TRUNCATE homeward.reading",
                    "DROP TABLE homeward.reading", "ALTER TABLE homeward.reading DISABLE TRIGGER ALL",
                    "CREATE TABLE homeward.own ()", "DROP SCHEMA homeward CASCADE",
                    "INSERT INTO homeward.schema_migration VALUES (99, '', '')",
                ], as: "homeward_ingest", in: database)
        }

        /// What a person does on the page is written by the daemon's role; the page's own only asks whether it may.
        @Test func theWebRoleWritesNoAlert() throws {
            let database = try TestDatabase()
            try database.cluster.runFile(Self.script, database: database.name)
            try expectRefused(
                [
                    "INSERT INTO homeward.alert SELECT * FROM homeward.alert", "DELETE FROM homeward.alert",
                    "UPDATE homeward.alert SET state = 'resolved'",
                    "INSERT INTO homeward.alert_event SELECT * FROM homeward.alert_event",
                    "UPDATE homeward.instance_alive SET alive_at = now()",
                ].map { "SET ROLE homeward_web; \($0)" }, as: "homeward_ingest", in: database)
        }

        @Test func readersReadTheViewsAlone() throws {
            let database = try TestDatabase()
            try database.cluster.runFile(Self.script, database: database.name)
            let reader = "reader_of_\(database.name)"
            try database.query("CREATE ROLE \(reader) LOGIN IN ROLE homeward_read")
            try database.store().store([report(key())])
            #expect(try database.query("SELECT kind FROM homeward.v_reading", user: reader).count == 3)
            for view in ["v_report", "v_answer", "v_quarantine", "v_alert", "v_delivery"] {
                try database.query("SELECT * FROM homeward.\(view)", user: reader)
            }
            try expectRefused(
                [
                    "SELECT * FROM homeward.registry_entry", "INSERT INTO homeward.unit VALUES (99, '')",
                    "DELETE FROM homeward.alert", "SELECT homeward.make_partitions()",
                ], as: reader, in: database)
            try expectRefused(
                [
                    "INSERT INTO homeward.report_key VALUES (gen_random_uuid(), now(), 1, 'x')",
                    "DELETE FROM homeward.reading", "UPDATE homeward.outbox SET state = 'failed'",
                    "UPDATE homeward.reading_correction SET reason = ''", "DELETE FROM homeward.reading_correction",
                    "SELECT password_hash FROM homeward.web_account", "SELECT * FROM homeward.web_session",
                ].map { "SET ROLE homeward_web; \($0)" }, as: "homeward_ingest", in: database)
            let correction = """
                INSERT INTO homeward.reading_correction (device, report_id, place, patient, taken_at, received_at,
                    corrected_by, actor, reason)
                SELECT 1, 'd41f-000123', 0, 1, now(), now(), 'cm-01', 'root', 'the cuff was loose'
                """
            try database.query(correction, user: "homeward_ingest")
            try expectRefused([correction], as: reader, in: database)
            #expect(
                try database.query("SELECT status FROM homeward.v_reading ORDER BY kind", user: reader)
                    == [["accepted"], ["accepted"], ["entered-in-error"]])
        }

        /// The owner too, unless he takes the trigger away: history does not change by accident.
        @Test func theOwnerDoesNotChangeHistoryByAccident() throws {
            let database = try TestDatabase()
            try database.store().store([report(key())])
            for statement in ["UPDATE homeward.reading SET value = 1", "DELETE FROM homeward.report"] {
                #expect(throws: PrivatePostgres.Failure.self) { try database.query(statement) }
            }
        }

        private func expectRefused(_ statements: [String], as role: String, in database: TestDatabase) throws {
            for statement in statements {
                let failure = #expect(throws: PrivatePostgres.Failure.self, "\(statement)") {
                    try database.query(statement, user: role)
                }
                let words = failure?.description ?? ""
                #expect(
                    words.contains("permission denied") || words.contains("must be owner"), "\(statement): \(words)")
            }
        }
    }
}
