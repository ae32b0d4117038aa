import Alerting
import Clinical
import Documents
import PostgresStore
import TestSupport
import Testing

@testable import Ingestion

extension PostgresStoreSuite {
    @Suite struct AlertDeskTests {
        private let actor = AlertActor(account: "root", careManager: code("cm-01"))

        private func database(_ severity: Severity = .red) throws -> TestDatabase {
            let database = try TestDatabase()
            var batch = CommitBatch()
            let opened = episode(1, severity: severity)
            batch.episodes = [EpisodeChange(episode: opened, isNew: true, events: [event(opened)])]
            _ = try database.store().store([], batch)
            return database
        }

        @Test func aLifeIsWrittenEventByEvent() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            func act(_ action: AlertAction, _ note: String?, after hours: Int64) throws -> AlertState? {
                try desk.act(
                    action, on: episode(1).id, by: actor, note: note, seen: nil, at: morning + .hours(hours))?.get()
                    .state
            }
            #expect(try act(.acknowledge, nil, after: 1) == .acknowledged)
            #expect(
                try database.query("SELECT acknowledged_by || ' ' || state FROM homeward.v_alert")
                    == [["cm-01 acknowledged"]])
            #expect(try act(.shelve(until: morning + .hours(3)), "visit at two", after: 2) == .shelved)
            #expect(try act(.unshelve, nil, after: 3) == .acknowledged)
            #expect(try act(.resolve, "rang her, inhaler used", after: 4) == .resolved)
            #expect(
                try database.query("SELECT resolved_by || ' ' || state FROM homeward.v_alert") == [["cm-01 resolved"]])
            let events = try AlertReader(database.configuration).events(of: episode(1).id)
            #expect(events.map(\.transition) == [.opened, .acknowledged, .shelved, .unshelved, .resolved])
            #expect(events.last?.explanation.contains("rang her, inhaler used") == true)
            #expect(events.last?.explanation.contains("\"account\": \"root\"") == true)
        }

        @Test func whatRecoveredIsListedUntilSomebodyHasSeenIt() throws {
            let database = try database(.amber)
            var ended = episode(1, severity: .amber, state: .resolved, revision: 2)
            ended.latestTakenAt = morning + .hours(1)
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: ended, isNew: false, events: [event(ended, .backInRange)])]
            _ = try database.store().store([], batch)
            let reader = AlertReader(database.configuration)
            let unseen = AlertFilter(recoveredUnseen: true)
            let before = try #require(try reader.alerts(unseen).first)
            let desk = AlertDesk(database.configuration)
            _ = try desk.act(.acknowledge, on: ended.id, by: actor, note: nil, seen: nil, at: morning + .hours(2))
            #expect(try reader.alerts(unseen).isEmpty)
            let after = try #require(try reader.alerts(AlertFilter(states: [.resolved])).first)
            #expect(after.acknowledgedBy == "cm-01")
            #expect(after.resolvedAt == before.resolvedAt && after.resolvedBy == "homeward")
        }

        @Test func aShelvedAlertComesBackByItselfOnce() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            // Both ends lie in the past of the server's clock: the timer is due at once.
            _ = try desk.act(.acknowledge, on: episode(1).id, by: actor, note: nil, seen: nil, at: longAgo)
            _ = try desk.act(
                .shelve(until: longAgo + .hours(1)), on: episode(1).id, by: actor, note: "visit", seen: nil, at: longAgo
            )
            var processors = (0..<3).map { _ in BatchProcessor(packs: BuiltInPacks.library()) }
            var reports: [BatchProcessor.Report] = []
            for index in processors.indices {
                let store = database.store()
                if let report = try processors[index].fireTimers(of: store, by: longAgo + .hours(2)) {
                    reports.append(report)
                }
            }
            #expect(reports.flatMap(\.notifying).map(\.episode.state) == [.open])
            #expect(try database.query("SELECT state, acknowledged_by FROM homeward.v_alert") == [["open", nil]])
            #expect(try database.query("SELECT kind FROM homeward.timer") == [["escalation"]])
        }

        @Test func aRefusalChangesNothing() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            let refused = try desk.act(
                .resolve, on: episode(1).id, by: actor, note: nil, seen: nil, at: morning + .hours(1))
            #expect(refused == .failure(.noteRequired))
            #expect(try database.query("SELECT state FROM homeward.v_alert") == [["open"]])
            #expect(try AlertReader(database.configuration).events(of: episode(1).id).count == 1)
            // The desk works on after it.
            let done = try desk.act(
                .acknowledge, on: episode(1).id, by: actor, note: nil, seen: nil, at: morning + .hours(1))
            #expect(try done?.get().state == .acknowledged)
        }

        @Test func whoSawLessIsRefused() throws {
            let database = try database(.amber)
            var batch = CommitBatch()
            var worse = episode(1, severity: .red)
            worse.revision = 2
            var worsened = event(worse, .worsened)
            worsened.revision = 2
            batch.episodes = [EpisodeChange(episode: worse, isNew: false, events: [worsened])]
            _ = try database.store().store([], batch)
            let desk = AlertDesk(database.configuration)
            let refused = try desk.act(
                .acknowledge, on: episode(1).id, by: actor, note: nil, seen: 1, at: morning + .hours(1))
            #expect(refused == .failure(.changedSince(seen: 1, now: 2)))
        }

        @Test func whoTakesWhatAnotherHasTakenIsToldSo() throws {
            let database = try database()
            let desk = AlertDesk(database.configuration)
            let at = morning + .hours(1)
            let other = AlertActor(account: "cm-02", careManager: code("cm-02"))
            let taken = try desk.act(.take, on: episode(1).id, by: other, note: nil, seen: 1, at: at)
            #expect(try taken?.get().state == .acknowledged)
            let refused = try desk.act(.take, on: episode(1).id, by: actor, note: nil, seen: 1, at: at)
            #expect(refused == .failure(.isOf("cm-02", since: at)))
            var snapshot = TriageSnapshot(at: at)
            _ = try TriageReader(database.configuration).readAlerts(&snapshot)
            #expect(snapshot.alerts.map(\.holder) == ["cm-02"] && snapshot.alerts.map(\.spoke) == [nil])
            // Having seen that, it is taken over.
            let over = try desk.act(.take, on: episode(1).id, by: actor, note: "you are off", seen: 2, at: at)
            #expect(try over?.get().revision == 3)
        }

        @Test func anAlertThatIsNotThereIsNoAlert() throws {
            let desk = AlertDesk(try database().configuration)
            #expect(
                try desk.act(.acknowledge, on: episode(9).id, by: actor, note: nil, seen: nil, at: morning) == nil)
            #expect(try desk.role(of: code("nobody")) == nil)
        }
    }
}
