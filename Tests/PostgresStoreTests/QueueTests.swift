import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import Testing

extension PostgresStoreSuite {
    /// Outbox and timers: what is due is given to one, and comes again when he fails.
    @Suite struct QueueTests {
        private func database() throws -> TestDatabase {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor) VALUES
                    ('care-manager', 'cm-01', 1, '{"webhook": "http://old"}', 'enrol', 'root'),
                    ('care-manager', 'cm-01', 2, '{"webhook": "http://new", "email": "a@example.org", "mobile": "+44"}',
                        'enrol', 'root')
                """)
            return database
        }

        private func raise(
            _ number: UInt64, _ severity: Severity, to recipient: String = "cm-01", channel: Channel = .webhook,
            in database: TestDatabase
        ) throws -> Episode {
            let alert = episode(number, rule: "rule-\(number)", severity: severity)
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [
                OutboxEntry(
                    alert: alert.id, revision: alert.revision, step: 0, channel: channel, recipient: code(recipient))
            ]
            _ = try database.store().store([], batch)
            return alert
        }

        @Test func redsAreClaimedFirstWithTheirAddress() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            #expect(try queue.claim(limit: 10, lease: .seconds(60)).isEmpty)
            let amber = try raise(1, .amber, channel: .email, in: database)
            let red = try raise(2, .red, in: database)
            let lost = try raise(3, .amber, to: "cm-99", in: database)
            try database.query("UPDATE homeward.outbox SET released_at = now() WHERE channel = 'email'")
            let jobs = try queue.claim(limit: 10, lease: .seconds(60))
            #expect(jobs.map(\.episode) == [red, amber, lost])
            #expect(jobs.map(\.address) == ["http://new", "a@example.org", nil])
            #expect(jobs.map(\.attempt) == [1, 1, 1])
            #expect(jobs.first?.entry.key == "\(red.id)-1-0-webhook-cm-01")
            // Leased: nobody else gets them, not even a new worker.
            #expect(try PostgresDeliveryQueue(database.configuration).claim(limit: 10, lease: .seconds(60)).isEmpty)
            #expect(try database.value("SELECT min(attempts) FROM homeward.v_delivery") == "1")
        }

        @Test func outcomesAreRecorded() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            for number in 1...3 { _ = try raise(UInt64(number), .red, in: database) }
            let jobs = try queue.claim(limit: 10, lease: .seconds(60))
            try #require(jobs.count == 3)
            try queue.record(.sent(at: longAgo), of: jobs[0])
            try queue.record(.retry(after: .seconds(0), error: "500\0"), of: jobs[1])
            try queue.record(.failed(error: "redirect"), of: jobs[2])
            #expect(
                try database.query(
                    "SELECT state, attempts, last_error FROM homeward.v_delivery ORDER BY alert_id") == [
                        ["sent", "1", nil], ["pending", "1", "500\u{FFFD}"], ["failed", "1", "redirect"],
                    ])
            let again = try queue.claim(limit: 10, lease: .seconds(60))
            #expect(again.map(\.entry) == [jobs[1].entry])
            #expect(again.map(\.attempt) == [2])
        }

        /// Else a daemon whose clock is behind would send again without a pause, and one ahead wait for too long.
        @Test func `a retry waits by PostgreSQL's clock`() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            _ = try raise(1, .red, in: database)
            let job = try #require(try queue.claim(limit: 1, lease: .seconds(60)).first)
            try queue.record(.retry(after: .hours(1), error: "500"), of: job)
            #expect(try queue.claim(limit: 1, lease: .seconds(60)).isEmpty)
            let isInAnHour = "next_attempt_at BETWEEN now() + interval '30 min' AND now() + interval '1 hour'"
            #expect(try database.value("SELECT \(isInAnHour) FROM homeward.outbox") == "t")
        }

        @Test func eachAttemptIsARowThatNobodyChanges() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            _ = try raise(1, .red, in: database)
            let first = try #require(try queue.claim(limit: 1, lease: .seconds(60)).first)
            try queue.record(.retry(after: .seconds(0), error: "500"), of: first)
            // Recorded again, since the answer to the first call was lost.
            try queue.record(.retry(after: .seconds(0), error: "500"), of: first)
            let second = try #require(try queue.claim(limit: 1, lease: .seconds(60)).first)
            try queue.recordDead(.retry(after: .seconds(0), error: "Timeout"), of: second)
            let third = try #require(try queue.claim(limit: 1, lease: .seconds(60)).first)
            try queue.record(.sent(at: longAgo), of: third)
            #expect(
                try database.query(
                    "SELECT attempt, outcome, dead, error FROM homeward.delivery_attempt ORDER BY attempt") == [
                        ["1", "retry", "f", "500"], ["2", "retry", "t", "Timeout"], ["3", "sent", "f", nil],
                    ])
            #expect(throws: (any Error).self) { try database.query("UPDATE homeward.delivery_attempt SET error = 'x'") }
            #expect(throws: (any Error).self) { try database.query("DELETE FROM homeward.delivery_attempt") }
        }

        /// One alert that two people of step 0 are told of, one of them by two channels, and the next step in an hour.
        private func chain(in database: TestDatabase) throws -> PostgresDeliveryQueue {
            let alert = episode(1, severity: .red)
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [(Channel.webhook, "cm-01"), (.email, "cm-01"), (.webhook, "cm-02"), (.mqtt, "north")].map {
                OutboxEntry(
                    alert: alert.id, revision: alert.revision, step: 0, channel: $0.0, recipient: code($0.1))
            }
            _ = try database.store().store([], batch)
            try database.query(
                """
                INSERT INTO homeward.timer (kind, subject, due_at) VALUES
                    ('escalation', '\(alert.id)', now() + interval '1 hour'),
                    ('other', '\(alert.id)', now() + interval '1 hour')
                """)
            return try PostgresDeliveryQueue(database.configuration)
        }

        private func due(_ database: TestDatabase) throws -> [[String?]] {
            try database.query("SELECT kind FROM homeward.timer WHERE due_at <= now() ORDER BY kind")
        }

        @Test func whereNobodyOfAStepCanBeReachedTheNextIsToldAtOnce() throws {
            let database = try database()
            let queue = try chain(in: database)
            let jobs = try queue.claim(limit: 9, lease: .seconds(60))
            #expect(jobs.count == 4)
            let people = jobs.filter { $0.entry.channel != .mqtt }
            try queue.record(.sent(at: longAgo), of: #require(jobs.first { $0.entry.channel == .mqtt }))
            try queue.recordDead(.failed(error: "550"), of: people[0])
            try queue.recordDead(.retry(after: .seconds(0), error: "Timeout"), of: people[1])
            // Somebody may yet be reached.
            try queue.record(.retry(after: .seconds(0), error: "500"), of: people[2])
            #expect(try due(database).isEmpty)
            let again = try queue.claim(limit: 9, lease: .seconds(60)).filter { $0.entry.key == people[2].entry.key }
            try queue.recordDead(.retry(after: .seconds(0), error: "500"), of: #require(again.first))
            #expect(try due(database) == [["escalation"]])
        }

        @Test func whoeverWasReachedHasHisTime() throws {
            let database = try database()
            let queue = try chain(in: database)
            let people = try queue.claim(limit: 9, lease: .seconds(60)).filter { $0.entry.channel != .mqtt }
            try queue.record(.sent(at: longAgo), of: people[0])
            for job in people.dropFirst() { try queue.recordDead(.failed(error: "550"), of: job) }
            #expect(try due(database).isEmpty)
        }

        @Test func aChainThatGoesRoundKeepsItsTime() throws {
            let database = try database()
            let queue = try chain(in: database)
            try database.query(
                """
                INSERT INTO homeward.outbox (delivery_key, alert, revision, step, channel, recipient, urgent)
                SELECT 'round-' || delivery_key, alert, revision, 2, channel, recipient, true FROM homeward.outbox
                WHERE channel <> 'mqtt'
                """)
            for job in try queue.claim(limit: 9, lease: .seconds(60)) {
                try queue.recordDead(.failed(error: "550"), of: job)
            }
            #expect(try due(database).isEmpty)
        }

        @Test func theFallbackOfASiteHasItsAddress() throws {
            let database = try database()
            try database.query(
                """
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor)
                VALUES ('site', 'south', 1, '{"name": "S", "fallback": {"email": "duty@example.org"}}', 'enrol', 'root')
                """)
            _ = try raise(1, .red, to: "south", channel: .email, in: database)
            let jobs = try PostgresDeliveryQueue(database.configuration).claim(limit: 1, lease: .seconds(9))
            #expect(jobs.map(\.address) == ["duty@example.org"])
        }

        @Test func aLeaseThatRanOutIsClaimedAgainAndTheOldHolderIsTooLate() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            _ = try raise(1, .red, in: database)
            let first = try #require(try queue.claim(limit: 1, lease: .seconds(0)).first)
            let second = try #require(try queue.claim(limit: 1, lease: .seconds(60)).first)
            #expect(second.attempt == 2)
            try queue.record(.failed(error: "too late"), of: first)
            #expect(try database.value("SELECT state FROM homeward.v_delivery") == "pending")
            // But what was sent was sent.
            try queue.record(.sent(at: longAgo), of: first)
            try queue.record(.failed(error: "second"), of: second)
            #expect(try database.value("SELECT state FROM homeward.v_delivery") == "sent")
        }

        @Test func anAlertStandsInItsDeliveryAsItDidThen() throws {
            let database = try database()
            var alert = try raise(1, .amber, in: database)
            alert.severity = .red
            alert.state = .acknowledged
            alert.acknowledgedAt = longAgo
            alert.summary = "worse"
            alert.revision = 2
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: alert, isNew: false, events: [event(alert, .acknowledged)])]
            _ = try database.store().store([], batch)
            let job = try PostgresDeliveryQueue(database.configuration).claim(limit: 1, lease: .seconds(1)).first
            #expect(job?.episode.severity == .amber)
            #expect(job?.episode.summary == "SpO2 90 % at 08:15")
            #expect(job?.episode.state == .open)
            #expect(job?.episode.revision == 1)
        }

        /// Each wait has an hour; it is the event that ends it.
        @Test func waitingEndsByNotificationOrWake() throws {
            let database = try database()
            let queue = try PostgresDeliveryQueue(database.configuration)
            _ = try queue.claim(limit: 1, lease: .seconds(1))
            queue.waitForWork(milliseconds: 3_600_000)
            let woken = Running { queue.waitForWork(milliseconds: 3_600_000) }
            _ = try raise(1, .red, in: database)
            try woken.value()
            let wokenByHand = Running { queue.waitForWork(milliseconds: 3_600_000) }
            queue.wake()
            try wokenByHand.value()
            #expect(try queue.claim(limit: 1, lease: .seconds(1)).count == 1)
        }

        @Test func aTimerIsScheduledMovedClaimedAndCompleted() throws {
            let database = try TestDatabase()
            let timers = PostgresTimerQueue(database.configuration)
            let due = Timer(kind: "escalate", subject: "a", due: longAgo, payload: #"{"step": 1}"#)
            let far = Timer(kind: "escalate", subject: "b", due: Instant(microseconds: 32_503_680_000_000_000))
            try timers.schedule([far, due, Timer(kind: "shelve", subject: "a", due: longAgo)])
            let claimed = try timers.claim(kinds: ["escalate"], limit: 10, lease: .seconds(60))
            #expect(claimed.map(\.timer) == [due])
            #expect(try timers.claim(kinds: ["escalate"], limit: 10, lease: .seconds(60)).isEmpty)
            // Moved while it was handled: the handler's completion must not take the new time away.
            try timers.schedule([due])
            #expect(try timers.complete(try #require(claimed.first)) == false)
            let again = try timers.claim(kinds: ["escalate"], limit: 10, lease: .seconds(60))
            #expect(try timers.complete(try #require(again.first)))
            #expect(try timers.complete(try #require(again.first)) == false)
            try timers.cancel(kind: "escalate", subject: "b")
            #expect(try database.query("SELECT kind, subject FROM homeward.timer") == [["shelve", "a"]])
            // A lease that ran out.
            #expect(try timers.claim(kinds: ["shelve"], limit: 1, lease: .seconds(0)).count == 1)
            #expect(try timers.claim(kinds: ["shelve"], limit: 1, lease: .seconds(0)).count == 1)
        }

        @Test func twoClaimersNeverGetTheSameTimer() throws {
            let database = try TestDatabase()
            let configuration = database.configuration
            let count = 2000
            let timers = (0..<count).map { Timer(kind: "missed", subject: "\($0)", due: longAgo) }
            try PostgresTimerQueue(configuration).schedule(timers)
            let claimers = (0..<2).map { _ in
                Running { () -> [String] in
                    let queue = PostgresTimerQueue(configuration)
                    var mine: [String] = []
                    while true {
                        let claimed = try queue.claim(kinds: ["missed"], limit: 17, lease: .seconds(600))
                        if claimed.isEmpty { return mine }
                        mine += claimed.map(\.timer.subject)
                    }
                }
            }
            let claimed = try claimers.flatMap { try $0.value() }
            #expect(claimed.count <= count)
            #expect(Set(claimed).count == claimed.count)
            // Rows that the other had locked at that moment are left for the next round.
            let rest = try PostgresTimerQueue(configuration).claim(
                kinds: ["missed"], limit: count, lease: .seconds(600))
            #expect(claimed.count + rest.count == count)
        }
    }
}
