import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import Testing

extension PostgresStoreSuite {
    /// What leaves alone, what together, and what waits; each delay in the ledger.
    @Suite struct NoiseTests {
        private func database() throws -> TestDatabase {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor) VALUES
                    ('site', 'north', 1, '{"name": "North"}', 'enrol', 'root'),
                    ('care-manager', 'cm-01', 1, '{"email": "a@example.org", "mobile": "+44"}', 'enrol', 'root'),
                    ('care-manager', 'cm-02', 1, '{"email": "b@example.org"}', 'enrol', 'root')
                """)
            return database
        }

        /// One alert each, told to both by e-mail.
        private func raise(
            _ numbers: ClosedRange<UInt64>, _ severity: Severity, patients: UInt64 = 20,
            to people: [String] = ["cm-01", "cm-02"], channel: Channel = .email, in database: TestDatabase
        ) throws {
            var batch = CommitBatch()
            for number in numbers {
                let digits = String(1 + number % patients)
                let patient = code("P" + String(repeating: "0", count: 4 - digits.count) + digits)
                let alert = episode(number, subject: .patient(patient), rule: "rule-\(number)", severity: severity)
                batch.episodes.append(EpisodeChange(episode: alert, isNew: true, events: [event(alert)]))
                batch.outbox += people.map {
                    OutboxEntry(
                        alert: alert.id, revision: alert.revision, step: 0, channel: channel, recipient: code($0))
                }
            }
            _ = try database.store().store([], batch)
        }

        /// As if so much time had passed.
        private func pass(_ seconds: Int, in database: TestDatabase) throws {
            try database.query(
                """
                UPDATE homeward.outbox SET created_at = created_at - interval '\(seconds) s',
                    next_attempt_at = next_attempt_at - interval '\(seconds) s',
                    released_at = released_at - interval '\(seconds) s'
                """)
        }

        private let lease = Interval.seconds(600)

        @Test func `500 alerts with 3 reds: the reds alone and first, then one digest for each person`() throws {
            let database = try database()
            try raise(1...250, .amber, in: database)
            try raise(251...253, .red, in: database)
            try raise(254...500, .amber, in: database)
            let queue = try PostgresDeliveryQueue(database.configuration)
            let first = try queue.claim(limit: 80, lease: lease)
            #expect(first.count == 6)
            #expect(first.allSatisfy { $0.episode.severity == .red && $0.gathering == nil })
            // The others wait for a minute, which the ledger says.
            #expect(try queue.claim(limit: 80, lease: lease).isEmpty)
            let waits = "SELECT count(*) FROM homeward.suppression WHERE kind = 'merge' AND until > now()"
            #expect(try database.value(waits) == "994")
            try pass(61, in: database)
            let configuration = database.configuration
            let claimers = (0..<2).map { _ in
                Running { [lease] () -> [DeliveryJob] in
                    let queue = try PostgresDeliveryQueue(configuration)
                    return try (0..<6).flatMap { _ in try queue.claim(limit: 80, lease: lease) }
                }
            }
            let jobs = try claimers.flatMap { try $0.value() }
            #expect(jobs.map(\.entry.recipient.description).sorted() == ["cm-01", "cm-02"])
            #expect(jobs.allSatisfy { $0.gathering?.kind == .digest && $0.gathering?.openReds == 3 })
            #expect(jobs.allSatisfy { Set($0.rows).count == 497 && $0.rows.count == 497 })
            #expect(jobs.map(\.address).sorted { $0 ?? "" < $1 ?? "" } == ["a@example.org", "b@example.org"])
            for job in first + jobs { try queue.record(.sent(at: longAgo), of: job) }
            #expect(try queue.claim(limit: 80, lease: lease).isEmpty)
            // Nothing is lost, and the ledger tells of each where it went.
            #expect(try database.query("SELECT DISTINCT state, attempts FROM homeward.v_delivery") == [["sent", "1"]])
            #expect(try database.value("SELECT count(*) FROM homeward.delivery_attempt") == "1000")
            #expect(
                try database.query(
                    """
                    SELECT count(*), count(DISTINCT delivery_key), count(DISTINCT s.message), count(*) FILTER (
                        WHERE s.message = o.message AND s.recipient = o.recipient AND s.channel = 'email')
                    FROM homeward.suppression s JOIN homeward.outbox o USING (delivery_key) WHERE s.kind = 'limit'
                    """) == [["994", "994", "2", "994"]])
            #expect(
                try database.value(
                    """
                    SELECT count(*) FROM homeward.suppression s JOIN homeward.alert a ON a.id = s.alert
                    WHERE a.severity = 'red'
                    """) == "0")
        }

        @Test func `a red never waits behind what is planned`() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            try raise(1...3, .amber, in: database)
            #expect(try queue.claim(limit: 9, lease: lease).isEmpty)
            try raise(4...4, .red, to: ["cm-01"], in: database)
            // While another instance plans, too.
            let planner = try PostgresDeliveryQueue(database.configuration)
            try pass(61, in: database)
            #expect(try queue.claim(limit: 9, lease: lease).map(\.episode.severity) == [.red])
            #expect(try planner.claim(limit: 9, lease: lease).allSatisfy { $0.gathering?.kind == .digest })
        }

        @Test func `a patient's ambers are one message, and a program's are never gathered`() throws {
            let database = try database()
            try raise(1...3, .amber, patients: 1, to: ["cm-01"], in: database)
            try raise(4...6, .amber, patients: 1, to: ["cm-01"], channel: .webhook, in: database)
            let queue = try PostgresDeliveryQueue(database.configuration)
            let program = try queue.claim(limit: 9, lease: lease)
            #expect(program.map(\.entry.channel) == [.webhook, .webhook, .webhook])
            #expect(try queue.claim(limit: 9, lease: lease).isEmpty)
            try pass(61, in: database)
            let jobs = try queue.claim(limit: 9, lease: lease)
            #expect(jobs.map(\.gathering?.kind) == [.patient])
            #expect(jobs.map(\.rows.count) == [3])
            #expect(jobs.first?.entry.key.hasPrefix("patient-") == true)
        }

        /// As when the daemon is killed after it claimed, or after it sent: the same message, under its key.
        @Test func `a gathered message is repeated whole`() throws {
            let database = try database()
            try raise(1...5, .amber, to: ["cm-01"], in: database)
            try pass(61, in: database)
            let died = try PostgresDeliveryQueue(database.configuration)
            let first = try #require(try died.claim(limit: 9, lease: .seconds(0)).first)
            // More came meanwhile: it is no part of what was sent.
            try raise(6...6, .amber, to: ["cm-01"], in: database)
            let queue = try PostgresDeliveryQueue(database.configuration)
            let second = try #require(try queue.claim(limit: 9, lease: .seconds(600)).first)
            #expect(second.attempt == 2)
            #expect(second.entry.key == first.entry.key && second.gathering == first.gathering)
            #expect(try queue.claim(limit: 9, lease: lease).isEmpty)
            try queue.record(.retry(after: .seconds(0), error: "421"), of: second)
            let third = try #require(try queue.claim(limit: 9, lease: lease).first)
            #expect(third.attempt == 3 && third.rows == first.rows)
            try queue.recordDead(.failed(error: "550"), of: third)
            #expect(
                try database.query(
                    "SELECT state, attempts, last_error, count(*) FROM homeward.v_delivery GROUP BY 1, 2, 3 ORDER BY 1")
                    == [["failed", "3", "550", "5"], ["pending", "0", nil, "1"]])
            #expect(try database.value("SELECT count(*) FROM homeward.delivery_attempt") == "10")
        }

        @Test func `the night's ambers leave in the morning, headed by the open reds`() throws {
            let database = try database()
            let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
            // In UTC.
            let today = try #require(
                Int(try database.value("SELECT extract(isodow FROM now() AT TIME ZONE 'UTC')::int") ?? ""))
            func hours(_ version: Int, _ days: [Int]) throws {
                let spans = days.map { "\"\(names[(today - 1 + $0 + 7) % 7])\": \"00:00-24:00\"" }.joined(
                    separator: ", ")
                try database.query(
                    """
                    INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor)
                    VALUES ('site', 'north', \(version), '{"name": "N", "timezone": "UTC", "hours": {\(spans)}}', '', '')
                    """)
            }
            try hours(2, [3])
            try raise(1...4, .amber, to: ["cm-01"], in: database)
            try raise(5...6, .red, to: ["cm-01"], in: database)
            let queue = try PostgresDeliveryQueue(database.configuration)
            let reds = try queue.claim(limit: 9, lease: lease)
            #expect(reds.map(\.episode.severity) == [.red, .red])
            #expect(try queue.claim(limit: 9, lease: lease).isEmpty)
            #expect(
                try database.query(
                    """
                    SELECT s.kind, count(*), bool_and(s.until = o.next_attempt_at AND o.held_for = 'digest'),
                        min(s.until) > now() + interval '2 days' - interval '1 minute'
                    FROM homeward.suppression s JOIN homeward.outbox o USING (delivery_key) GROUP BY 1
                    """) == [["digest", "4", "t", "t"]])
            // Three days later.
            try hours(3, [-1, 0, 1])
            try pass(3 * 86400, in: database)
            try database.query("UPDATE homeward.outbox SET next_attempt_at = now() WHERE held_for IS NOT NULL")
            let digest = try queue.claim(limit: 9, lease: lease)
            #expect(digest.map(\.gathering?.kind) == [.digest])
            #expect(digest.map(\.rows.count) == [4])
            #expect(digest.map(\.gathering?.openReds) == [2])
            #expect(
                try database.value(
                    "SELECT count(*) FROM homeward.suppression WHERE kind = 'digest' AND message IS NOT NULL") == "4")
        }

        @Test func `enough messages delay and merge the next ones`() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            for number in UInt64(1)...2 {
                try raise(number...number, .amber, to: ["cm-01"], channel: .sms, in: database)
                try pass(61, in: database)
                #expect(try queue.claim(limit: 9, lease: lease).map(\.gathering) == [nil])
            }
            try raise(3...4, .amber, to: ["cm-01"], channel: .sms, in: database)
            try pass(61, in: database)
            #expect(try queue.claim(limit: 9, lease: lease).isEmpty)
            #expect(try database.value("SELECT count(*) FROM homeward.outbox WHERE held_for = 'limit'") == "2")
            // Another channel has its own limit.
            try raise(5...5, .amber, to: ["cm-01"], in: database)
            try pass(61, in: database)
            #expect(try queue.claim(limit: 9, lease: lease).map(\.entry.channel) == [.email])
            try pass(600, in: database)
            #expect(try queue.claim(limit: 9, lease: lease).map { $0.rows.count } == [1, 1])
        }

        @Test func `shelvings and pauses are rows of the ledger, which nobody changes`() throws {
            let database = try database()
            try raise(1...1, .amber, patients: 1, in: database)
            let desk = AlertDesk(database.configuration)
            let actor = AlertActor(account: "root", careManager: code("cm-01"))
            _ = try desk.act(.acknowledge, on: episode(1).id, by: actor, note: nil, seen: nil, at: morning)
            _ = try desk.act(
                .shelve(until: morning + .hours(2)), on: episode(1).id, by: actor, note: "visit", seen: nil, at: morning
            )
            let reader = AlertReader(database.configuration)
            let row = try #require(try reader.alerts().first)
            #expect(row.suppressions == 1)
            let rows = try reader.suppressions(of: row.episode)
            #expect(rows.map(\.kind) == ["shelving"])
            #expect(rows.map(\.reason) == ["visit"])
            #expect(rows.map(\.actor) == ["cm-01"])
            #expect(rows.map(\.until) == [morning + .hours(2)])
            for statement in ["UPDATE homeward.suppression SET reason = ''", "DELETE FROM homeward.suppression"] {
                #expect(throws: (any Error).self) { try database.query(statement) }
            }
        }
    }
}
