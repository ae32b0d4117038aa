import Alerting
import Clinical
import Foundation
import Ingestion
import Registry
import TestSupport
import Testing

@testable import PostgresStore

extension PostgresStoreSuite {
    /// After a restore nothing that was due long before happens without a person's word.
    @Suite struct HeldTimersTests {
        private func restored(_ database: TestDatabase) throws {
            var batch = CommitBatch()
            let alert = episode(1, severity: .red)
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [
                OutboxEntry(alert: alert.id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            _ = try database.store().store([], batch)
            try database.query(
                """
                UPDATE homeward.outbox SET created_at = now() - interval '3 hours';
                INSERT INTO homeward.timer (kind, subject, due_at)
                SELECT 'escalation', id::text, now() - interval '2 hours' FROM homeward.alert;
                INSERT INTO homeward.timer (kind, subject, due_at) VALUES
                    ('due-reading', 'P0002', now() - interval '5 hours'),
                    ('escalation', 'just now', now() - interval '5 minutes')
                """)
            let lease = PostgresLease(
                database.configuration, shard: "homeward", instance: "a", name: "a", sites: "*")
            // A few renewals behind is a failover; many are a restore.
            #expect(try !lease.renew(nil, isStart: true, mark: 50).isHeld)
            #expect(try lease.renew(1, isStart: false, mark: 5000).isHeld)
            // By then the row has caught up.
            #expect(try lease.renew(1, isStart: false, mark: 5001).mark > 5000)
        }

        private func due(_ database: TestDatabase) throws -> [String] {
            let store = database.store()
            _ = try store.begin()
            let timers = try store.dueTimers(["escalation"], waited: .seconds(0), by: longAgo, limit: 10)
            let readings = try store.dueReadings(
                DueReadingSearch(sites: nil, highRiskOnly: false, waited: .seconds(0), limit: 10), by: longAgo)
            store.rollback()
            return (timers + readings).map { timer in
                timer.subject == "just now" || timer.kind == "due-reading" ? timer.subject : "alert"
            }
        }

        @Test func whatWasLongDueWaitsAndIsReleased() throws {
            let database = try TestDatabase()
            try restored(database)
            #expect(try due(database) == ["just now"])
            let queue = try PostgresDeliveryQueue(database.configuration)
            #expect(try queue.claim(limit: 10, lease: .seconds(30)).isEmpty)
            let timers = HeldTimers(database.configuration)
            let read = try #require(try timers.read())
            #expect(read.hold.behind > 4000)
            #expect(read.items.map(\.kind) == ["due-reading", "delivery", "escalation"])
            #expect(read.items.map(\.alert) == [nil, "red spo2-low P0001", "red spo2-low P0001"])
            #expect(try timers.end(.released, by: "somebody"))
            #expect(try Set(due(database)) == ["just now", "alert", "P0002"])
            #expect(try queue.claim(limit: 10, lease: .seconds(30)).count == 1)
            #expect(try timers.read() == nil)
            #expect(try !timers.end(.expired, by: "somebody"))
            let ended = try database.query("SELECT ended_as, ended_by FROM homeward.restore_hold")
            #expect(ended == [["released", "somebody"]])
        }

        @Test func whoeverWaitsAndRemembersMoreHoldsNothingAgain() throws {
            let database = try TestDatabase()
            try restored(database)
            try database.query("UPDATE homeward.lease SET expires_at = now() + interval '1 day'")
            let standby = PostgresLease(
                database.configuration, shard: "homeward", instance: "b", name: "b", sites: "*")
            let waiting = try standby.renew(nil, isStart: true, mark: 9000)
            #expect(!waiting.isMine && waiting.isHeld && waiting.mark == 9000)
            #expect(try HeldTimers(database.configuration).end(.released, by: "somebody"))
            #expect(try !standby.renew(nil, isStart: false, mark: 9000).isHeld)
            #expect(try database.value("SELECT renewals FROM homeward.lease") == "9000")
            #expect(try database.value("SELECT count(*) FROM homeward.restore_hold") == "1")
        }

        @Test func whatIsExpiredIsLetGoButForOpenAlerts() throws {
            let database = try TestDatabase()
            try restored(database)
            let before = try database.value("SELECT version FROM homeward.registry_version")
            #expect(try HeldTimers(database.configuration).end(.expired, by: "somebody"))
            #expect(try due(database) == ["just now"])
            #expect(
                try database.query(
                    "SELECT kind, due_at > now() + interval '10 minutes' FROM homeward.timer WHERE due_at > now()")
                    == [["escalation", "t"]])
            #expect(try database.value("SELECT count(*) FROM homeward.timer WHERE kind = 'due-reading'") == "0")
            #expect(
                try database.query("SELECT state, last_error FROM homeward.v_delivery")
                    == [["failed", "expired after a restore"]])
            // Schedules are looked through again.
            #expect(try database.value("SELECT version FROM homeward.registry_version") != before)
        }
    }
}
