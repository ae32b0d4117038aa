import Clinical
import Foundation
import Ingestion
import Registry
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    @Suite struct AuditChainTests {
        private static let look = """
            INSERT INTO homeward.read_audit (care_manager, site, patient, what) VALUES ('cm-01', 'north', 'P0001', 'patient')
            """
        private static let entry = """
            INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor)
            VALUES ('patient', 'P00' || (SELECT 10 + count(*) FROM homeward.registry_entry), 1,
                '{"name": "Zoë; 3:x;"}', 'ward.yaml', 'root')
            """

        /// Three batches: two looks at a patient, an entry of the registry, another look.
        private func sealed() throws -> (database: TestDatabase, upkeep: DatabaseUpkeep) {
            let database = try TestDatabase()
            let upkeep = DatabaseUpkeep(database.configuration)
            for statements in [[Self.look, Self.look, Self.entry], [Self.look]] {
                // In one transaction: another of the cluster, beginning in between, would part them.
                try database.query(statements.joined(separator: "; "))
                try settle(database, upkeep)
            }
            #expect(try database.value("SELECT count(*) FROM homeward.audit_batch") == "3")
            return (database, upkeep)
        }

        /// Other tests' transactions in the cluster hold back what came after they began.
        private func settle(_ database: TestDatabase, _ upkeep: DatabaseUpkeep) throws {
            let isSealed = try eventually(within: .seconds(120)) {
                _ = try upkeep.sealAudit()
                return try verdict(database).unsealed == 0
            }
            try #require(isSealed)
        }

        private func verdict(_ database: TestDatabase, heads: [AuditHead] = []) throws -> AuditVerdict {
            try AuditVerifier(database.configuration).verify(heads: heads)
        }

        @Test func aChainThatNobodyTouchedIsWhole() throws {
            let (database, upkeep) = try sealed()
            let first = try verdict(database)
            #expect(first.faults == [])
            #expect(first.batches == 3 && first.rows == 4 && first.unsealed == 0)
            let head = try #require(first.head)
            #expect(try AuditVerifier(database.configuration).standing()?.head == head)
            #expect(AuditHead(head.description) == head)
            let short = try #require(AuditHead(head.short))
            #expect(try upkeep.sealAudit() == 0, "nothing new, no batch")
            try database.query(Self.look)
            #expect(try verdict(database, heads: [head, short]).unsealed == 1)
            try settle(database, upkeep)
            let second = try verdict(database, heads: [head, short])
            #expect(second.faults == [])
            #expect(second.head?.number == 4)
        }

        /// What was there when the chain began has one transaction in common, however much it is.
        @Test func eachBatchOfALongTransactionIsReadByTheIndex() throws {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.read_audit (care_manager, site, patient, what)
                SELECT 'cm-01', 'north', 'P0001', 'patient' FROM generate_series(1, 4500)
                """)
            try settle(database, DatabaseUpkeep(database.configuration))
            let batches = try database.query(
                """
                SELECT after_xid, after_key, last_xid, last_key FROM homeward.audit_batch
                WHERE relation = 'read_audit' ORDER BY number
                """)
            #expect(batches.count == 5)
            let key = "(\(AuditVerifier.encoding(of: ["id"]))) COLLATE \"C\""
            for batch in batches.dropFirst() {
                let fields = try batch.map { try #require($0) }
                let rows = AuditVerifier.rows(
                    after: .init(transaction: fields[0], key: fields[1]),
                    through: .init(transaction: fields[2], key: fields[3]), key: key)
                let plan = try database.query(
                    """
                    SET enable_sort = off;
                    EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT id FROM homeward.read_audit
                    WHERE sealing_cluster = homeward.this_cluster() AND \(rows) ORDER BY sealing_xid, \(key)
                    """
                ).compactMap { $0.first ?? nil }.joined(separator: "\n")
                let condition = plan.split(separator: "\n").first { $0.contains("Index Cond") } ?? ""
                #expect(plan.contains("read_audit_sealing"), "\(plan)")
                #expect(condition.contains("sealing_xid = '\(fields[2])'"), "\(plan)")
                #expect(condition.contains(" > '") && condition.contains(" <= '"), "\(plan)")
                #expect(!plan.contains("Filter"), "\(plan)")
            }
            #expect(try verdict(database).faults == [])
        }

        @Test func whatWaitsToBeSealedHasAnAge() throws {
            let database = try TestDatabase()
            let upkeep = DatabaseUpkeep(database.configuration)
            #expect(try upkeep.auditUnsealedSeconds() == 0)
            try database.query(Self.look)
            try database.query(
                """
                SET session_replication_role = replica;
                UPDATE homeward.read_audit SET sealing_at = now() - interval '2 hours'
                """)
            // A row that came later is not older.
            try database.query(Self.look)
            let waited = try upkeep.auditUnsealedSeconds()
            #expect(waited >= 7200)
            #expect(try AuditVerifier(database.configuration).unsealedSeconds() >= waited)
            try settle(database, upkeep)
            #expect(try upkeep.auditUnsealedSeconds() == 0)
        }

        /// What a superuser does who takes the triggers away, and which fault says so.
        private static let tampering = [
            ("UPDATE homeward.read_audit SET patient = 'P0002' WHERE id = 2", "read_audit:1: changed"),
            ("DELETE FROM homeward.read_audit WHERE id = 1", "read_audit:1: 1 of 2 rows missing"),
            ("DELETE FROM homeward.read_audit", "read_audit:1: 2 of 2 rows missing"),
            ("UPDATE homeward.registry_entry SET reason = ''", "registry_entry:2: changed"),
            (
                """
                INSERT INTO homeward.read_audit (id, care_manager, what, sealing_xid) OVERRIDING SYSTEM VALUE
                SELECT 0, 'cm-02', 'worklist', sealing_xid FROM homeward.read_audit WHERE id = 1
                """, "read_audit:1: 1 rows too many"
            ),
            (
                // After the last that the first batch sealed: the next one of its table has it.
                """
                INSERT INTO homeward.read_audit (care_manager, what, sealing_xid)
                SELECT 'cm-02', 'worklist', sealing_xid FROM homeward.read_audit WHERE id = 1
                """, "read_audit:3: 1 rows too many"
            ),
            ("UPDATE homeward.audit_batch SET sealed_at = now() WHERE number = 2", "registry_entry:2: changed"),
            ("DELETE FROM homeward.audit_batch WHERE number = 2", "audit_batch:2: missing"),
            ("DROP TABLE homeward.read_audit", "read_audit:1: its table"),
            (
                "ALTER TABLE homeward.read_audit DROP COLUMN site CASCADE",
                "read_audit:1: its table or one of its columns"
            ),
            (
                "UPDATE homeward.audit_batch SET relation = 'alert; DROP' WHERE number = 1",
                "alert; DROP:1: names no table"
            ),
        ]

        @Test func whatWasChangedIsFound() throws {
            let original = try sealed().database
            for (statement, fault) in Self.tampering {
                let copy = try original.cluster.createDatabase(template: original.name)
                try original.cluster.query(
                    "SET client_min_messages = warning; SET session_replication_role = replica; \(statement)",
                    database: copy)
                let verdict = try AuditVerifier(
                    DatabaseConfiguration(url: original.cluster.url(database: copy), deadline: .seconds(30))
                ).verify(heads: [])
                #expect(
                    verdict.faults.contains { $0.description.hasPrefix(fault) }, "\(statement): \(verdict.faults)")
            }
        }

        @Test func aChainThatWasCutOffOrMadeAnewIsKnownByItsHead() throws {
            let (database, upkeep) = try sealed()
            let head = try #require(try verdict(database).head)
            try database.query(
                "SET session_replication_role = replica; DELETE FROM homeward.audit_batch WHERE number = 3")
            #expect(try verdict(database).faults == [])
            #expect(
                try verdict(database, heads: [head]).faults.map(\.description)
                    == ["audit_batch:3: was noted and is not there: the chain is cut off"])
            try settle(database, upkeep)
            #expect(try verdict(database).faults == [])
            #expect(
                try verdict(database, heads: [head]).faults.map(\.description)
                    == ["audit_batch:3: is another than the head that was noted"])
        }

        /// Numbers of a sequence are committed out of their order: the lower one here comes after the higher was sealed.
        @Test func aRowThatIsCommittedLateIsSealedToo() throws {
            let database = try TestDatabase()
            let upkeep = DatabaseUpkeep(database.configuration)
            try database.query("CREATE TABLE public.go ()")
            let late = Running {
                // Holds the transaction open until it is told to go on.
                try database.query(
                    """
                    BEGIN; \(Self.look);
                    DO $$ BEGIN
                        FOR turn IN 1..12000 LOOP
                            EXIT WHEN EXISTS (SELECT FROM public.go);
                            PERFORM pg_sleep(0.01);
                        END LOOP;
                    END $$;
                    COMMIT
                    """)
            }
            let holders = """
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
                """
            try #require(eventually(within: .seconds(60)) { try database.value(holders) == "1" })
            try database.query(Self.look)
            #expect(try upkeep.sealAudit() == 0, "what came after a transaction that has not ended waits for it")
            #expect(try verdict(database).unsealed == 1)
            try database.query("INSERT INTO public.go DEFAULT VALUES")
            _ = try late.value()
            try settle(database, upkeep)
            let verdict = try verdict(database)
            #expect(verdict.faults == [] && verdict.rows == 2)
        }

        @Test func aPortionIsBoundedAndTheRestFollows() throws {
            let database = try TestDatabase()
            let upkeep = DatabaseUpkeep(database.configuration)
            // One transaction, so that the bound lies within it.
            try database.query(
                """
                INSERT INTO homeward.read_audit (care_manager, what) SELECT 'cm-' || n, 'worklist'
                FROM generate_series(1, 25) n
                """)
            let isSealed = try eventually(within: .seconds(120)) {
                let rows = try upkeep.sealAudit(most: 10)
                #expect(rows <= 10)
                return try verdict(database).unsealed == 0
            }
            #expect(isSealed)
            #expect(
                try database.query("SELECT rows FROM homeward.audit_batch ORDER BY number") == [["10"], ["10"], ["5"]])
            #expect(try verdict(database).faults == [])
        }

        /// The next table of history needs its trigger, nothing else; a column that is added later belongs to later batches.
        @Test func aNewTableOfHistoryJoinsWithTheNextMigration() throws {
            let (database, upkeep) = try sealed()
            try database.query(
                """
                CREATE TABLE homeward.plan_change (id integer PRIMARY KEY, words text NOT NULL);
                INSERT INTO homeward.plan_change VALUES (1, 'before');
                CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.plan_change
                    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
                ALTER TABLE homeward.read_audit ADD COLUMN seconds integer
                """)
            _ = try Migrator.migrate(database.configuration)
            try database.query("INSERT INTO homeward.plan_change (id, words) VALUES (2, 'after'); \(Self.look)")
            try settle(database, upkeep)
            let verdict = try verdict(database)
            #expect(verdict.faults == [])
            #expect(verdict.rows == 7)
        }

        /// The daemon's role seals, and can neither write nor change what is sealed.
        @Test func theIngestRoleSealsAndForgesNothing() throws {
            let database = try TestDatabase()
            let script = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../deploy/roles.sql").standardized.path
            try database.cluster.runFile(script, database: database.name)
            let ingest = DatabaseConfiguration(
                url: database.cluster.url(database: database.name, user: "homeward_ingest"), deadline: .seconds(30))
            try database.query(Self.look, user: "homeward_ingest")
            try settle(database, DatabaseUpkeep(ingest))
            #expect(try AuditVerifier(ingest).verify(heads: []).rows == 1)
            for statement in [
                "INSERT INTO homeward.audit_batch SELECT * FROM homeward.audit_batch",
                "UPDATE homeward.audit_batch SET rows = 2", "DELETE FROM homeward.audit_batch",
                "TRUNCATE homeward.audit_batch", "DELETE FROM homeward.audit_source",
                "UPDATE homeward.read_audit SET what = 'audit'", "DELETE FROM homeward.read_audit",
                "TRUNCATE homeward.read_audit", "DROP TABLE homeward.audit_batch", "DELETE FROM homeward.suppression",
                "UPDATE homeward.delivery_attempt SET error = ''", "DELETE FROM homeward.delivery_attempt",
                "DELETE FROM homeward.alert_alias", "TRUNCATE homeward.alert_event", "TRUNCATE homeward.report",
                "TRUNCATE homeward.registry_entry", "SELECT homeward.chain_history()",
            ] {
                for role in ["homeward_ingest", "homeward_web"] {
                    let failure = #expect(throws: PrivatePostgres.Failure.self, "\(role): \(statement)") {
                        try database.query("SET ROLE \(role); \(statement)", user: "homeward_ingest")
                    }
                    let words = failure?.description ?? ""
                    #expect(words.contains("permission denied") || words.contains("must be owner"), "\(words)")
                }
            }
        }

        /// The operator's guide: pg_dump, pg_restore, `audit verify` with a head that was noted before. Sealing goes on.
        @Test func aDumpThatIsRestoredHoldsEverythingAndTheChain() throws {
            let (database, upkeep) = try sealed()
            try database.store().store([report(key(1, "r-1")), report(key(2, "r-2"))])
            try database.query("\(Self.look)")
            let head = try #require(try verdict(database).head)
            let restored = try database.cluster.restoreCopy(of: database.name)
            let copy = DatabaseConfiguration(url: database.cluster.url(database: restored), deadline: .seconds(30))
            for table in ["report", "reading", "report_key", "registry_entry", "read_audit", "audit_batch", "timer"] {
                let count = "SELECT count(*) FROM homeward.\(table)"
                #expect(
                    try database.cluster.query(count, database: restored) == database.query(count), "\(table)")
            }
            let verdict = try AuditVerifier(copy).verify(heads: [head])
            #expect(verdict.faults == [] && verdict.unsealed == 1)
            #expect(try Migrator.migrate(copy) == [])
            let verdicts = try PostgresCommitStore(copy) { _, version in Registry(version: version) }
                .store([claim(key(1, "r-1"))], CommitBatch())
            #expect(verdicts.count == 1 && verdicts.first != .new, "what the dump holds is known for a duplicate")
            #expect(
                try eventually(within: .seconds(120)) {
                    _ = try DatabaseUpkeep(copy).sealAudit()
                    return try AuditVerifier(copy).verify(heads: [head]).unsealed == 0
                })
            #expect(try AuditVerifier(copy).verify(heads: [head]).faults == [])
            _ = upkeep
        }

        @Test(arguments: [
            "", "1", "0:0123456789abcdef", "1:0123", "1:0123456789abcdeg", "-1:0123456789abcdef", "1:2:3",
        ])
        func whatIsNoHeadIsRefused(text: String) {
            #expect(AuditHead(text) == nil)
        }
    }
}
