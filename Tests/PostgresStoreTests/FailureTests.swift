import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What each failure of the server asks of us, provoked for real.
    @Suite struct FailureTests {
        /// A row that PostgreSQL refuses is its own fault alone: what came before it can be stored.
        @Test(arguments: [
            [SentAnswer(question: .unknown("note"), value: .text("a\0b"))],
            [SentAnswer(question: .unknown("no\0te"), value: .boolean(true))],
        ])
        func textWithNULIsPoison(answers: [SentAnswer]) throws {
            let database = try TestDatabase()
            let store = database.store()
            let failure = #expect(throws: StoreFailure.self) { try store.store([report(key(), answers: answers)]) }
            #expect(failure?.kind == .poison)
            #expect(failure?.sqlState == "22021")
            try store.store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "1")
        }

        @Test(arguments: [Double.nan, .infinity, -.infinity])
        func valuesThatAreNoNumbersArePoison(value: Double) throws {
            let database = try TestDatabase()
            let reading = Reading(index: 0, kind: .weight, value: value, sentValue: 70, sentUnit: .kilogram)
            let failure = #expect(throws: StoreFailure.self) {
                try database.store().store([report(key(), readings: [reading])])
            }
            #expect(failure?.kind == .poison)
            #expect(failure?.sqlState == "23514")
            #expect(failure?.message.contains("reading_finite") == true)
        }

        @Test func aTimeBeyondTheCalendarIsPoison() throws {
            let database = try TestDatabase()
            var late = report(key())
            late.takenAt = Instant(microseconds: .min)
            let failure = #expect(throws: StoreFailure.self) { try database.store().store([late]) }
            #expect(failure?.kind == .poison)
        }

        @Test(arguments: [
            ("22012", StoreFailure.Class.poison), ("23514", .poison), ("54001", .poison), ("40001", .transient),
            ("40P01", .transient), ("53100", .transient), ("53300", .transient), ("57014", .transient),
            ("08006", .transient), ("25006", .transient), ("58030", .transient), ("42501", .misconfigured),
            ("42P01", .misconfigured), ("0A000", .misconfigured), ("28000", .misconfigured), ("3D000", .misconfigured),
            ("P0001", .misconfigured),
        ])
        func eachStateHasItsClass(state: String, kind: StoreFailure.Class) throws {
            let database = try TestDatabase()
            let store = database.store()
            try database.query(
                """
                CREATE FUNCTION homeward.fail() RETURNS trigger LANGUAGE plpgsql AS
                    $$ BEGIN RAISE EXCEPTION 'on purpose' USING ERRCODE = '\(state)'; END $$;
                CREATE TRIGGER fail BEFORE INSERT ON homeward.report FOR EACH ROW EXECUTE FUNCTION homeward.fail()
                """)
            let failure = #expect(throws: StoreFailure.self) { try store.store([report(key())]) }
            #expect(failure?.kind == kind)
            #expect(failure?.sqlState == state)
            try database.query("DROP TRIGGER fail ON homeward.report")
            try store.store([report(key())])
            #expect(try database.value("SELECT count(*) FROM homeward.v_reading") == "3")
        }

        @Test func aLockedTableIsTransient() throws {
            let database = try TestDatabase()
            let blocker = database.store()
            _ = try blocker.begin()
            _ = try blocker.claim([claim(key())])
            let failure = #expect(throws: StoreFailure.self) { try database.store().store([report(key())]) }
            #expect(failure?.kind == .transient)
            #expect(failure?.sqlState == "55P03")
        }

        @Test func aTerminatedBackendIsTransientAndReplaced() throws {
            let database = try TestDatabase()
            let store = database.store()
            let terminate = """
                SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE application_name = 'homeward-commit' AND datname = current_database()
                """
            _ = try store.begin()
            try database.query(terminate)
            let failure = #expect(throws: StoreFailure.self) { _ = try store.claim([claim(key())]) }
            #expect(failure?.kind == .transient)
            try store.store([report(key())])
            // While nothing was under way nobody notices at all.
            try database.query(terminate)
            try store.store([report(key(2))])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "2")
        }

        @Test func aReadOnlyServerIsTransient() throws {
            let database = try TestDatabase()
            try database.query("ALTER DATABASE \(database.name) SET default_transaction_read_only = on")
            // Refused by libpq itself (target_session_attrs); on an open connection it is 25006.
            let refused = #expect(throws: StoreFailure.self) { _ = try database.store().begin() }
            #expect(refused?.kind == .transient)
        }

        @Test func missingThingsAndRightsAreMisconfigured() throws {
            let database = try TestDatabase()
            func failure(_ url: String, password: String? = nil) -> StoreFailure? {
                let configuration = DatabaseConfiguration(url: url, password: password, deadline: .seconds(30))
                return #expect(throws: StoreFailure.self) { _ = try database.store(configuration).begin() }
            }
            let cluster = database.cluster
            let role = PrivatePostgres.roleWithPassword
            let wrong = failure(cluster.url(database: database.name, user: role), password: "wrong")
            #expect(wrong?.kind == .misconfigured)
            #expect(wrong?.sqlState == "28P01")
            #expect(failure(cluster.url(database: database.name, user: role))?.kind == .misconfigured)
            #expect(failure(cluster.url(database: "nowhere"))?.sqlState == "3D000")
            #expect(failure("postgresql://u:secret@127.0.0.1/x")?.message.contains("password_file") == true)
            #expect(failure("nonsense nonsense")?.kind == .misconfigured)
            let away = failure("postgresql://postgres@127.0.0.1:1/x")
            #expect(away?.kind == .transient)
            #expect(away?.sqlState == nil)
            try database.query("ALTER TABLE homeward.report RENAME TO elsewhere")
            let missing = #expect(throws: StoreFailure.self) { try database.store().store([report(key())]) }
            #expect(missing?.kind == .misconfigured)
            #expect(missing?.sqlState == "42P01")
        }

        @Test func theRightPasswordConnects() throws {
            let database = try TestDatabase()
            try database.query(
                """
                GRANT ALL ON SCHEMA homeward TO public;
                GRANT ALL ON ALL TABLES IN SCHEMA homeward TO public;
                ALTER ROLE \(PrivatePostgres.roleWithPassword) NOBYPASSRLS
                """)
            let url = database.cluster.url(database: database.name, user: PrivatePostgres.roleWithPassword)
            let configuration = DatabaseConfiguration(url: url, password: "right", deadline: .seconds(30))
            // It would see no alert, and take their timers for done.
            let bound = #expect(throws: StoreFailure.self) { _ = try database.store(configuration).begin() }
            #expect(bound?.kind == .misconfigured)
            #expect(bound?.message.contains("row-level security") == true)
            try database.query("ALTER ROLE \(PrivatePostgres.roleWithPassword) BYPASSRLS")
            try database.store(configuration).store([report(key())])
        }

        @Test func aServerThatWouldLoseCommitsIsRefused() throws {
            let cluster = try PrivatePostgres(settings: ["full_page_writes": "off"])
            let database = try TestDatabase(cluster: cluster)
            let failure = #expect(throws: StoreFailure.self) { _ = try database.store().begin() }
            #expect(failure?.kind == .misconfigured)
            #expect(failure?.message.contains("full_page_writes") == true)
        }

        /// Every port call ends by its deadline although TCP says nothing, and the same batch again is stored once.
        @Test(arguments: [0, 1, 2, 3])
        func aStoppedServerIsTransientWithinTheDeadline(step: Int) throws {
            let cluster = try PrivatePostgres.shared()
            let database = try TestDatabase(deadline: .seconds(2))
            let store = database.store()
            _ = try store.begin()
            store.rollback()
            var batch = CommitBatch()
            batch.reports = [report(key())]
            func call(_ step: Int) throws {
                switch step {
                case 0: _ = try store.begin()
                case 1: _ = try store.claim([claim(key())])
                case 2: try store.write(batch)
                default: try store.commit()
                }
            }
            for earlier in 0..<step { try call(earlier) }
            do {
                cluster.freeze()
                defer { cluster.thaw() }
                let failure = #expect(throws: StoreFailure.self) { try call(step) }
                #expect(failure?.kind == .transient)
                #expect(failure?.message.contains("deadline passed") == true)
                // Connecting again meets the same silence, and the same deadline.
                #expect(throws: StoreFailure.self) { _ = try store.begin() }
            }
            // As the commit stage does: again until it works; the keys tell what was stored already.
            let retry = database.store(DatabaseConfiguration(url: database.configuration.url, deadline: .seconds(30)))
            #expect(try eventually { try storedUnlessTransient(batch, retry) })
            #expect(
                try database.query(
                    "SELECT (SELECT count(*) FROM homeward.v_report), (SELECT count(*) FROM homeward.v_reading)")
                    == [["1", "3"]])
        }

        private func storedUnlessTransient(_ batch: CommitBatch, _ store: PostgresCommitStore) throws -> Bool {
            do {
                _ = try store.begin()
                if try store.claim([claim(key())]) == [.new] { try store.write(batch) }
                try store.commit()
                return true
            } catch {
                let failure = error
                guard failure.kind == .transient else { throw failure }
                return false
            }
        }

        @Test func whatWasCommittedSurvivesAKill() throws {
            let cluster = try PrivatePostgres()
            let database = try TestDatabase(cluster: cluster)
            let store = database.store()
            for number in 0..<20 { try store.store([report(key(1, "r\(number)"))]) }
            cluster.kill9()
            try cluster.start()
            try store.store([report(key(1, "after"))])
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "21")
        }
    }
}
