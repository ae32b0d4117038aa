import Alerting
import Clinical
import Dispatch
import Foundation
import PostgresStore
import Registry
import Synchronization
import Testing

@testable import Ingestion

extension PostgresStoreSuite {
    /// Timers in the commit's own transactions.
    @Suite struct TimerTests {
        private static let worker = CareManager(
            code: code("cm-01"), site: code("north"), webhook: "http://127.0.0.1:1/hook")

        private static let registry = Registry(
            version: 0, sites: [code("north"): Site(code: code("north"), name: "North")],
            careManagers: [worker.code: worker],
            patients: [
                code("P0001"): Patient(code: code("P0001"), site: code("north"), keyWorker: worker.code)
            ])

        private static func store(_ database: TestDatabase) -> PostgresCommitStore {
            PostgresCommitStore(database.configuration) { _, _ in registry }
        }

        private func red(_ patient: Int = 1, due: Instant = longAgo) -> HeldRed {
            let finding = Finding(
                subject: .patient(code("P000\(patient)")), site: code("north"), device: code("dev-0001"),
                rule: "systolic-high", alertClass: .clinical, verdict: .beyond(.red), takenAt: morning,
                receivedAt: due, report: key(), measure: 178, step: 10, summary: "systolic 178 mmHg; not repeated",
                explanation: #"{"value":178}"#)
            return HeldRed(key: key(), patient: code("P000\(patient)"), finding: finding)
        }

        private func hold(_ red: HeldRed, in database: TestDatabase) throws {
            var batch = CommitBatch()
            var alert = episode(1, subject: red.finding.subject, rule: "systolic-high", severity: .amber)
            alert.worst = 178
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.timers = [red.timer]
            _ = try database.store().store([], batch)
        }

        @Test func aTimerComesBackAsItWasSet() throws {
            let database = try TestDatabase()
            let store = Self.store(database)
            var batch = CommitBatch()
            batch.timers = [red(1).timer, red(2, due: Instant(microseconds: 4_000_000_000_000_000)).timer]
            _ = try store.store([], batch)
            _ = try store.begin()
            let due = try store.dueTimers([HeldRed.kind], waited: .seconds(2), by: morning, limit: 10)
            #expect(due.compactMap(HeldRed.init) == [red(1)])
            #expect(try store.dueTimers(["other"], waited: .seconds(0), by: morning, limit: 10).isEmpty)
            #expect(try store.everyTimer(HeldRed.kind).count == 2)
            // Another transaction leaves out what this one has locked.
            let names = batch.timers.map(\.name)
            #expect(try store.timers([names[0]], skippingLocked: false).count == 1)
            let other = Self.store(database)
            _ = try other.begin()
            #expect(try other.timers(names, skippingLocked: true).map(\.name) == [names[1]])
            other.rollback()
            try store.commit()
            batch.endedTimers = [names[0]]
            batch.timers = []
            _ = try store.store([], batch)
            #expect(try database.value("SELECT string_agg(subject, ',') FROM homeward.timer") == names[1].subject)
        }

        @Test func aMovedTimerIsMovedAndARolledBackOneIsNot() throws {
            let database = try TestDatabase()
            let store = Self.store(database)
            var batch = CommitBatch()
            batch.timers = [red(due: morning).timer]
            _ = try store.store([], batch)
            _ = try store.begin()
            batch.timers = [red(due: longAgo).timer]
            try store.write(batch)
            store.rollback()
            #expect(try store.everyTimer(HeldRed.kind).map(\.due) == [morning])
            _ = try store.store([], batch)
            #expect(try store.everyTimer(HeldRed.kind).map(\.due) == [longAgo])
        }

        @Test func dueReadingsAreSearchedForBySiteAndRisk() throws {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.site (code) VALUES ('south');
                UPDATE homeward.patient SET site = (SELECT id FROM homeward.site WHERE code = 'south')
                WHERE code = 'P0002';
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor) VALUES
                    ('patient', 'P0003', 1, '{"risk":"high"}', 'test', 'test'),
                    ('patient', 'P0004', 1, '{"risk":"high"}', 'test', 'test'),
                    ('patient', 'P0004', 2, '{"risk":"standard"}', 'test', 'test'),
                    ('patient', 'P0005', 1, '{"risk":"high"}', 'test', 'test')
                """)
            let now = Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
            func due(_ number: Int, since: Interval, deferredFor: Interval? = nil) -> Alerting.Timer {
                var reading = DueReadingTimer(patient: code("P000\(number)"), since: longAgo, schedule: "s")
                reading.deferredFrom = deferredFor.map { now - $0 }
                return reading.timer(due: now - since)
            }
            let store = Self.store(database)
            var batch = CommitBatch()
            batch.timers = [
                due(1, since: .hours(9)), due(2, since: .hours(1)), due(3, since: .minutes(1), deferredFor: .hours(5)),
                due(4, since: .hours(8)), due(5, since: .hours(3)), due(6, since: .hours(-1)), red(1).timer,
            ]
            _ = try store.store([], batch)
            func found(
                sites: Set<Identifier>? = nil, highRiskOnly: Bool = false, waited: Interval = .seconds(0),
                limit: Int = 100
            ) throws -> [String] {
                let search = DueReadingSearch(sites: sites, highRiskOnly: highRiskOnly, waited: waited, limit: limit)
                return try store.dueReadings(search, by: now).map(\.subject)
            }
            _ = try store.begin()
            #expect(try found() == ["P0001", "P0004", "P0005", "P0002", "P0003"])
            #expect(try found(sites: [code("north")]) == ["P0001", "P0004", "P0005", "P0003"])
            // Others of other sites don't take its place.
            #expect(try found(sites: [code("south")], limit: 1) == ["P0002"])
            #expect(try found(highRiskOnly: true, limit: 1) == ["P0005"])
            // Deferred ones wait from when they were due at first.
            #expect(try found(highRiskOnly: true, waited: .hours(4)) == ["P0003"])
            #expect(try found(waited: .hours(4)) == ["P0001", "P0004", "P0003"])
            store.rollback()
        }

        /// Our clock set a held red, so ours says when it is over, unless it stands still or was set back.
        @Test func ourOwnClockSaysWhenAHeldRedIsDue() throws {
            let database = try TestDatabase()
            let now = Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
            let store = Self.store(database)
            var batch = CommitBatch()
            batch.timers = [red(1, due: now + .hours(1)).timer, red(2, due: now - .hours(1)).timer]
            _ = try store.store([], batch)
            _ = try store.begin()
            func due(by instant: Instant) throws -> [Alerting.Timer] {
                try store.dueTimers([HeldRed.kind], waited: .seconds(0), by: instant, limit: 10)
            }
            #expect(try due(by: now).compactMap(HeldRed.init) == [red(2, due: now - .hours(1))])
            #expect(try due(by: now + .hours(1) - .seconds(1)).count == 1)
            #expect(try due(by: now + .hours(1)).count == 2)
            #expect(try due(by: longAgo).count == 1)
            store.rollback()
        }

        @Test func anInstanceIsNotedAndReadBack() throws {
            let database = try TestDatabase()
            let upkeep = DatabaseUpkeep(database.configuration)
            #expect(try upkeep.noteAlive("homeward", at: morning) == nil)
            #expect(try upkeep.noteAlive("homeward", at: morning + .hours(1)) == morning)
            #expect(try upkeep.noteAlive("other", at: morning) == nil)
            #expect(try upkeep.noteAlive("homeward", at: morning + .hours(2)) == morning + .hours(1))
        }

        @Test func anyNumberOfInstancesMakeItRedOnce() throws {
            let database = try TestDatabase()
            try hold(red(), in: database)
            let fired = Mutex(0)
            let failures = Mutex<[String]>([])
            DispatchQueue.concurrentPerform(iterations: 4) { _ in
                var options = BatchProcessor.Options()
                // Whoever is told next is another test's affair.
                options.escalates = false
                var processor = BatchProcessor(packs: PackLibrary([]), options: options)
                let store = Self.store(database)
                do throws(StoreFailure) {
                    let report = try processor.fireTimers(of: store, by: morning)
                    fired.withLock { $0 += report?.notifying.count ?? 0 }
                } catch {
                    failures.withLock { $0.append(error.description) }
                }
            }
            #expect(failures.withLock { $0 } == [])
            #expect(fired.withLock { $0 } == 1)
            #expect(
                try database.query("SELECT severity, revision, summary FROM homeward.alert") == [
                    ["red", "2", "systolic 178 mmHg; not repeated"]
                ])
            #expect(
                try database.query("SELECT transition FROM homeward.alert_event ORDER BY revision") == [
                    ["opened"], ["worsened"],
                ])
            #expect(try database.value("SELECT count(*) FROM homeward.outbox") == "1")
            #expect(try database.value("SELECT count(*) FROM homeward.timer") == "0")
        }
    }
}
