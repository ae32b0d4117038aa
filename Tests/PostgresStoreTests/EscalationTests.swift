import Alerting
import Clinical
import Dispatch
import Foundation
import Registry
import Synchronization
import TestSupport
import Testing

@testable import Ingestion
@testable import PostgresStore

extension PostgresStoreSuite {
    /// Steps of an alert's chain in the database: told once by any number of instances, ended by a person's action.
    @Suite struct EscalationTests {
        private let actor = AlertActor(account: "root", careManager: code("cm-01"))
        private var now: Instant { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }

        private static func store(_ database: TestDatabase) -> PostgresCommitStore {
            PostgresCommitStore(database.configuration) { _, version in
                SmallWard.registry(version: version, readers: [("P0001", "dev-0001")])
            }
        }

        /// A red that the key worker was told of, whose next step has come due.
        private func database() throws -> TestDatabase {
            let database = try TestDatabase()
            let alert = episode(1)
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [
                OutboxEntry(alert: alert.id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            let progress = Escalation.Progress(
                revision: 1, began: now - .minutes(16), told: .seconds(0), next: .minutes(15),
                people: [code("cm-01")])
            batch.timers = [EscalationTimer(of: alert, progress).timer(at: now)]
            _ = try database.store().store([], batch)
            return database
        }

        /// What this instance does with what is due; the events that it wrote.
        private func fire(_ database: TestDatabase) throws -> Int {
            var processor = BatchProcessor(packs: PackLibrary([]))
            let store = Self.store(database)
            var escalated = 0
            // A registry that is still being read is no failure: again, as the commit thread does.
            let isDone = try eventually(within: .seconds(60)) {
                do throws(StoreFailure) {
                    while let report = try processor.fireTimers(of: store, by: now) {
                        escalated += report.escalated.count
                    }
                    store.close()
                    return true
                } catch {
                    store.rollback()
                    guard error.kind == .transient else { throw error }
                    return false
                }
            }
            #expect(isDone)
            return escalated
        }

        private func timers(_ database: TestDatabase) throws -> [String] {
            try database.query("SELECT kind FROM homeward.timer ORDER BY kind").compactMap { $0.first ?? nil }
        }

        @Test func `of several instances one tells the next step, once`() throws {
            let database = try database()
            let fired = Mutex(0)
            let failures = Mutex<[String]>([])
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                do {
                    let count = try fire(database)
                    fired.withLock { $0 += count }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            #expect(failures.withLock { $0 } == [])
            #expect(fired.withLock { $0 } == 1)
            #expect(
                try database.query("SELECT recipient, step FROM homeward.outbox ORDER BY step") == [
                    ["cm-01", "0"], ["lead", "1"],
                ])
            #expect(try database.query("SELECT state, escalation_level FROM homeward.v_alert") == [["open", "1"]])
            #expect(
                try database.query("SELECT transition, actor FROM homeward.alert_event ORDER BY revision") == [
                    ["opened", "homeward"], ["escalated", "homeward"],
                ])
            #expect(
                try database.query("SELECT kind FROM homeward.timer WHERE due_at > now()") == [["escalation"]])
            // The message says what the alert says, not what its history says of the step.
            let queue = try PostgresDeliveryQueue(database.configuration)
            let jobs = try queue.claim(limit: 9, lease: .minutes(1))
            #expect(jobs.map(\.episode.summary) == [episode(1).summary, episode(1).summary])
            #expect(jobs.allSatisfy { $0.episode.state == .open && $0.episode.severity == .red })
        }

        @Test func `a crash before the commit leaves the step due`() throws {
            let database = try database()
            let store = Self.store(database)
            _ = try store.begin()
            let due = try store.dueTimers([EscalationTimer.kind], waited: .seconds(0), by: now, limit: 9)
            #expect(try store.timers(due.map(\.name), skippingLocked: true).count == 1)
            // Nobody else takes it meanwhile.
            #expect(try fire(database) == 0)
            store.close()
            var told = 0
            #expect(
                try eventually(within: .seconds(60)) {
                    told += try fire(database)
                    return told > 0
                })
            #expect(told == 1)
        }

        @Test func `an answer ends it in its own transaction`() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            func act(_ action: AlertAction) throws -> [String] {
                let result = try desk.act(
                    action, on: episode(1).id, by: actor, note: "on my way", seen: nil, at: now)
                _ = try result?.get()
                return try timers(database)
            }
            #expect(try act(.acknowledge) == ["acknowledgement-end"])
            #expect(try fire(database) == 0)
            #expect(try act(.take) == ["acknowledgement-end"])
            #expect(try act(.shelve(until: now + .hours(1))) == ["shelving-end"])
            #expect(try act(.unshelve) == ["acknowledgement-end"])
            #expect(try act(.resolve) == [])
            #expect(try database.value("SELECT count(*) FROM homeward.outbox") == "1")
        }

        @Test func `an answer and a step that come together leave no timer that tells`() throws {
            for _ in 0..<4 {
                let database = try database()
                let failures = Mutex<[String]>([])
                DispatchQueue.concurrentPerform(iterations: 2) { index in
                    do {
                        if index == 0 {
                            _ = try fire(database)
                        } else {
                            let desk = AlertDesk(database.configuration)
                            _ = try desk.act(
                                .acknowledge, on: episode(1).id, by: actor, note: nil, seen: nil, at: now)?.get()
                        }
                    } catch {
                        failures.withLock { $0.append("\(error)") }
                    }
                }
                #expect(failures.withLock { $0 } == [])
                #expect(try timers(database) == ["acknowledgement-end"])
                #expect(try database.value("SELECT state FROM homeward.v_alert") == "acknowledged")
            }
        }

        @Test func `an acknowledged red comes back when its hour is over, and goes up its chain anew`() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            _ = try desk.act(.acknowledge, on: episode(1).id, by: actor, note: nil, seen: nil, at: now)
            // It lies an hour ahead by the server's clock.
            #expect(
                try database.value("SELECT due_at - now() <= interval '1 hour' FROM homeward.timer") == "t")
            #expect(
                try database.value("SELECT due_at - now() > interval '30 minutes' FROM homeward.timer") == "t")
            try database.query("UPDATE homeward.timer SET due_at = now()")
            _ = try fire(database)
            #expect(try database.query("SELECT state, acknowledged_by FROM homeward.v_alert") == [["open", nil]])
            #expect(
                try database.query("SELECT recipient, revision FROM homeward.outbox ORDER BY revision") == [
                    ["cm-01", "1"], ["cm-01", "3"],
                ])
            #expect(
                try database.query(
                    "SELECT transition, actor, explanation ->> 'cause' FROM homeward.alert_event WHERE revision = 3")
                    == [["reopened", "homeward", "acknowledged-not-resolved"]])
            #expect(try timers(database) == ["escalation"])
        }

        @Test func `where a channel is dead the next step is told at once`() throws {
            let database = try database()
            try database.query("UPDATE homeward.timer SET due_at = now() + interval '1 hour'")
            #expect(try fire(database) == 0)
            let queue = try PostgresDeliveryQueue(database.configuration)
            let job = try #require(try queue.claim(limit: 9, lease: .minutes(1)).first)
            try queue.recordDead(.retry(after: .minutes(1), error: "refused"), of: job)
            #expect(try fire(database) == 1)
            #expect(try database.query("SELECT recipient FROM homeward.outbox WHERE step = 1") == [["lead"]])
        }

        @Test func `what was open before there were timers gets one`() throws {
            let database = try TestDatabase(migrated: false)
            _ = try Migrator.migrate(database.configuration, with: Migration.all.filter { $0.version < 10 })
            try database.query(
                """
                INSERT INTO homeward.alert (id, subject_type, subject, site, rule, class, severity, state, late,
                    raised_at, escalation_level, summary, revision, acknowledged_at, resolved_at)
                SELECT ('0a000000-0000-4000-8000-00000000000' || n)::uuid, subject_type, subject, 'north', rule,
                    'clinical', severity, state, false, now(), 0, '', 1, NULL,
                    CASE state WHEN 'resolved' THEN now() END
                FROM (VALUES (1, 'patient', 'P0001', 'a', 'red', 'open'), (2, 'instance', '', 'b', 'amber', 'open'),
                    (3, 'patient', 'P0001', 'c', 'red', 'acknowledged'),
                    (4, 'patient', 'P0001', 'd', 'amber', 'acknowledged'),
                    (5, 'patient', 'P0001', 'e', 'red', 'resolved'), (6, 'patient', 'P0001', 'f', 'info', 'open'),
                    (7, 'patient', 'P0001', 'missed-reading', 'amber', 'open'))
                    AS a (n, subject_type, subject, rule, severity, state);
                INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, actor, summary,
                    explanation)
                SELECT id, 4, 'worsened', severity, now(), 'homeward', '', '{}' FROM homeward.alert
                """)
            _ = try Migrator.migrate(database.configuration)
            let store = Self.store(database)
            _ = try store.begin()
            let escalations = try store.everyTimer(EscalationTimer.kind).sorted { $0.subject < $1.subject }
            #expect(escalations.map { String($0.subject.suffix(1)) } == ["1", "2"])
            #expect(
                escalations.compactMap(EscalationTimer.init).map(\.subject) == [.patient(code("P0001")), .instance])
            #expect(escalations.compactMap(EscalationTimer.init).map(\.progress.revision) == [4, 4])
            let ends = try store.everyTimer(AcknowledgementEnd.kind)
            #expect(ends.compactMap(AcknowledgementEnd.init).map { String($0.alert.description.suffix(1)) } == ["3"])
        }
    }
}
