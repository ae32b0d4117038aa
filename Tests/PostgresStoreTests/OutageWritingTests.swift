import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What was told of while the database was away is recorded as it was, once.
    @Suite struct OutageWritingTests {
        private func entry(_ alert: Episode, to recipient: String = "cm-01", step: Int = 0) -> OutboxEntry {
            OutboxEntry(
                alert: alert.id, revision: alert.revision, step: step, channel: .webhook, recipient: code(recipient))
        }

        private func made(
            _ entry: OutboxEntry, _ state: MadeDelivery.State, attempts: Int = 1, error: String? = nil
        ) -> MadeDelivery {
            MadeDelivery(
                entry: entry, severity: .red, at: morning, attempts: attempts, lastError: error, state: state)
        }

        private func batch(_ alert: Episode, _ deliveries: [MadeDelivery]) -> CommitBatch {
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.madeDeliveries = deliveries
            return batch
        }

        private func rows(_ database: TestDatabase) throws -> [[String?]] {
            try database.query(
                """
                SET timezone = 'UTC';
                SELECT recipient, state, attempts, last_error, sent_at FROM homeward.v_delivery ORDER BY recipient
                """)
        }

        @Test func deliveriesAreRecordedAsFarAsTheyCame() throws {
            let database = try TestDatabase()
            let alert = episode()
            let deliveries = [
                made(entry(alert, to: "cm-01"), .sent(at: longAgo), attempts: 2, error: "500\0"),
                made(entry(alert, to: "cm-02"), .failed, error: "redirect"),
                made(entry(alert, to: "cm-03"), .pending, attempts: 3, error: "no answer"),
                made(entry(alert, to: "cm-04"), .underWay(lease: .hours(1))),
            ]
            let expected: [[String?]] = [
                ["cm-01", "sent", "2", "500\u{FFFD}", "2020-01-01 00:00:00+00"],
                ["cm-02", "failed", "1", "redirect", nil],
                ["cm-03", "pending", "3", "no answer", nil], ["cm-04", "pending", "1", nil, nil],
            ]
            // Twice, as after a crash between the commit and our note of it.
            for _ in 0..<2 {
                _ = try database.store().store([], batch(alert, deliveries))
                #expect(try rows(database) == expected)
            }
            // Only what waits is sent from here; what is under way elsewhere is leased.
            let jobs = try PostgresDeliveryQueue(database.configuration).claim(limit: 9, lease: .seconds(60))
            #expect(jobs.map(\.entry) == [deliveries[2].entry])
            #expect(jobs.map(\.attempt) == [4])
            #expect(try database.value("SELECT bool_and(urgent)::text FROM homeward.outbox") == "true")
        }

        @Test func aSettledRowStaysAndAWaitingOneIsSettled() throws {
            let database = try TestDatabase()
            let alert = episode()
            var ordinary = CommitBatch()
            ordinary.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            ordinary.outbox = [entry(alert, to: "cm-01"), entry(alert, to: "cm-02")]
            let store = database.store()
            _ = try store.store([], ordinary)
            _ = try store.store([], batch(alert, [made(entry(alert, to: "cm-01"), .sent(at: longAgo), attempts: 2)]))
            let after: [[String?]] = [
                ["cm-01", "sent", "2", nil, "2020-01-01 00:00:00+00"], ["cm-02", "pending", "0", nil, nil],
            ]
            #expect(try rows(database) == after)
            _ = try store.store(
                [],
                batch(
                    alert,
                    [
                        made(entry(alert, to: "cm-01"), .failed, attempts: 9),
                        made(entry(alert, to: "cm-02"), .pending, attempts: 5),
                    ]))
            #expect(try rows(database) == after)
        }

        @Test func anAliasedAlertKeepsTheKeyThatItWasToldUnder() throws {
            let database = try TestDatabase()
            let store = database.store()
            let old = episode(1, state: .acknowledged, revision: 5)
            var first = CommitBatch()
            first.episodes = [EpisodeChange(episode: old, isNew: true, events: [event(old)])]
            _ = try store.store([], first)
            let told = episode(2)
            var delivery = made(entry(told), .pending)
            delivery.entry.alert = old.id
            delivery.entry.revision = old.revision
            var second = CommitBatch()
            second.aliases = [AlertAlias(alias: told.id, alert: old.id)]
            second.madeDeliveries = [delivery]
            for _ in 0..<2 { _ = try store.store([], second) }
            _ = try store.begin()
            let unknown = AlertID(high: 9, low: 9)
            #expect(try store.recorded([told.id, old.id, unknown]) == [told.id: old.id, old.id: old.id])
            #expect(try store.recorded([]).isEmpty)
            store.rollback()
            let queue = try PostgresDeliveryQueue(database.configuration)
            let job = try #require(try queue.claim(limit: 9, lease: .seconds(60)).first)
            #expect(job.entry.key == entry(told).key)
            #expect(job.episode.id == old.id)
            try queue.record(.sent(at: longAgo), of: job)
            #expect(try rows(database) == [["cm-01", "sent", "2", nil, "2020-01-01 00:00:00+00"]])
            #expect(try queue.claim(limit: 9, lease: .seconds(60)).isEmpty)
        }

        @Test func lateOutcomesAreRecordedAsTheDispatcherRecords() throws {
            let database = try TestDatabase()
            let alert = episode()
            let names = ["cm-01", "cm-02", "cm-03", "cm-04"]
            let store = database.store()
            _ = try store.store(
                [], batch(alert, names.map { made(entry(alert, to: $0), .underWay(lease: .hours(1)), attempts: 2) }))
            var late = CommitBatch()
            late.lateOutcomes = [
                LateOutcome(key: entry(alert, to: "cm-01").key, attempt: 1, outcome: .sent(at: longAgo)),
                LateOutcome(key: entry(alert, to: "cm-02").key, attempt: 2, outcome: .failed(error: "redirect")),
                LateOutcome(
                    key: entry(alert, to: "cm-03").key, attempt: 2, outcome: .retry(after: .seconds(0), error: "500")),
                // Of an attempt that was not the last: it says nothing.
                LateOutcome(key: entry(alert, to: "cm-04").key, attempt: 1, outcome: .failed(error: "too late")),
                LateOutcome(key: "nobody's", attempt: 1, outcome: .sent(at: longAgo)),
            ]
            for _ in 0..<2 {
                _ = try store.store([], late)
                #expect(
                    try rows(database) == [
                        ["cm-01", "sent", "2", nil, "2020-01-01 00:00:00+00"],
                        ["cm-02", "failed", "2", "redirect", nil], ["cm-03", "pending", "2", "500", nil],
                        ["cm-04", "pending", "2", nil, nil],
                    ])
            }
            let jobs = try PostgresDeliveryQueue(database.configuration).claim(limit: 9, lease: .seconds(60))
            #expect(jobs.map(\.entry.recipient) == [code("cm-03")])
        }

        @Test func everyOpenAlertIsReadWithoutALock() throws {
            let database = try TestDatabase()
            let store = database.store()
            let open = [
                episode(1), episode(2, rule: "pulse-high", state: .shelved),
                episode(3, rule: "temperature-high", state: .acknowledged),
            ]
            var batch = CommitBatch()
            batch.episodes = (open + [episode(4, rule: "weight-high", state: .resolved)]).map {
                EpisodeChange(episode: $0, isNew: true, events: [event($0)])
            }
            _ = try store.store([], batch)
            let other = database.store()
            _ = try other.begin()
            #expect(try other.openEpisodes(of: [.patient(code("P0001"))]).count == 3)
            _ = try store.begin()
            #expect(Set(try store.everyOpenEpisode()) == Set(open))
            store.rollback()
            other.rollback()
        }

        @Test func aliasesAreHistoryAndIngestMayAddThem() throws {
            let database = try TestDatabase()
            let script = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../deploy/roles.sql").standardized.path
            try database.cluster.runFile(script, database: database.name)
            let ingest = DatabaseConfiguration(
                url: database.cluster.url(database: database.name, user: "homeward_ingest"), deadline: .seconds(30))
            let store = database.store(ingest)
            let alert = episode()
            var outage = batch(alert, [made(entry(alert), .pending)])
            outage.aliases = [AlertAlias(alias: AlertID(high: 7, low: 8), alert: alert.id)]
            outage.lateOutcomes = [LateOutcome(key: entry(alert).key, attempt: 1, outcome: .sent(at: longAgo))]
            _ = try store.store([], outage)
            #expect(try rows(database).first?[1] == "sent")
            for statement in [
                "UPDATE homeward.alert_alias SET alias = gen_random_uuid()", "DELETE FROM homeward.alert_alias",
                "TRUNCATE homeward.alert_alias",
            ] {
                for user in ["homeward_ingest", PrivatePostgres.superuser] {
                    #expect(throws: PrivatePostgres.Failure.self) { try database.query(statement, user: user) }
                }
            }
            #expect(throws: PrivatePostgres.Failure.self) {
                try database.query(
                    "INSERT INTO homeward.alert_alias SELECT gen_random_uuid(), id FROM homeward.alert",
                    user: "homeward_web")
            }
        }
    }
}
