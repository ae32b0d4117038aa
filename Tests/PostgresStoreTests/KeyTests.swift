import Clinical
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// (device, report id) is unique for ever, whoever stores first.
    @Suite struct KeyTests {
        @Test func aKeyIsNewOnceThenDuplicateOrConflict() throws {
            let database = try TestDatabase()
            let store = database.store()
            let claims = (1...5).map { claim(key($0)) }
            #expect(try store.store(claims, CommitBatch()) == Array(repeating: .new, count: 5))
            let again = [
                claim(key(3)), claim(key(4), 2), claim(key(1, "another")), claim(key(2), insert: false),
                claim(key(2), 9, insert: false), claim(key(6), insert: false),
                claim(ReportKey(device: code("nobody"), report: code("x")), insert: false),
            ]
            #expect(
                try store.store(again, CommitBatch())
                    == [.duplicate, .conflict, .new, .duplicate, .conflict, .new, .new])
            // What was only looked up was not inserted.
            #expect(try store.store([claim(key(6), 5)], CommitBatch()) == [.new])
            #expect(try database.value("SELECT count(*) FROM homeward.report_key") == "7")
        }

        @Test func keysOfATransactionThatFailedAreNewAgain() throws {
            let database = try TestDatabase()
            let store = database.store()
            _ = try store.begin()
            #expect(try store.claim([claim(key())]) == [.new])
            store.rollback()
            #expect(try store.store([claim(key())], CommitBatch()) == [.new])
        }

        /// The second waits for the first inside its insert and then sees what was committed meanwhile.
        @Test(arguments: [(UInt64(1), KeyVerdict.duplicate), (2, .conflict)])
        func aTwinCommittedMeanwhileIsSeen(digest: UInt64, expected: KeyVerdict) throws {
            let database = try TestDatabase()
            let first = database.store()
            _ = try first.begin()
            #expect(try first.claim([claim(key())]) == [.new])
            let second = Running { try claimPatiently([claim(key(2)), claim(key(), digest), claim(key(3))], database) }
            let waits = try eventually {
                try database.value(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                    == "1"
            }
            #expect(waits)
            try first.commit()
            #expect(try second.value() == [.new, expected, .new])
        }

        /// Again when the wait for a lock was over before the other had committed.
        private func claimPatiently(_ claims: [KeyClaim], _ database: TestDatabase) throws -> [KeyVerdict] {
            while true {
                do {
                    return try database.store().store(claims, CommitBatch())
                } catch {
                    let failure = error
                    guard failure.sqlState == "55P03" else { throw failure }
                }
            }
        }

        @Test func aDeviceThatIsAddedLaterIsFound() throws {
            let database = try TestDatabase()
            let store = database.store()
            try store.store([report(key(1))])
            try database.query(
                """
                INSERT INTO homeward.device (code, site) VALUES ('dev-0077', 1);
                INSERT INTO homeward.patient (code, site) VALUES ('P0077', 1)
                """)
            try store.store([report(key(77))])
            let failure = #expect(throws: StoreFailure.self) { try store.store([report(key(99))]) }
            #expect(failure?.kind == .misconfigured)
            #expect(try database.value("SELECT count(*) FROM homeward.v_report") == "2")
        }
    }
}
