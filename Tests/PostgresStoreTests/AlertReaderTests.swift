import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    @Suite struct AlertReaderTests {
        private func database() throws -> TestDatabase {
            let database = try TestDatabase()
            var resolved = episode(3, subject: .device(code("dev-0001")), rule: "sequence-hole", severity: .amber)
            resolved.alertClass = .technical
            resolved.state = .resolved
            let changes = [
                EpisodeChange(episode: episode(1, severity: .amber), isNew: true, events: [event(episode(1))]),
                EpisodeChange(
                    episode: episode(2, subject: .patient(code("P0002"))), isNew: true, events: [event(episode(2))]),
                EpisodeChange(episode: resolved, isNew: true, events: [event(resolved, .resolved, actor: "cm-01")]),
            ]
            var batch = CommitBatch()
            batch.episodes = changes
            batch.outbox = [
                OutboxEntry(alert: episode(2).id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            _ = try database.store().store([], batch)
            return database
        }

        @Test func filtersChooseAndRedsComeFirst() throws {
            let reader = AlertReader(try database().configuration)
            func found(_ filter: AlertFilter) throws -> [UInt64] { try reader.alerts(filter).map(\.episode.id.low) }
            #expect(try found(AlertFilter()) == [2, 1])
            #expect(try found(AlertFilter(states: [])) == [2, 1, 3])
            #expect(try found(AlertFilter(patient: code("P0001"))) == [1])
            #expect(try found(AlertFilter(severity: .red)) == [2])
            #expect(try found(AlertFilter(alertClass: .technical, states: [.resolved])) == [3])
            #expect(try found(AlertFilter(site: code("south"))) == [])
            #expect(try found(AlertFilter(ids: episode(3).id...episode(3).id, states: [])) == [3])
            #expect(try found(AlertFilter(limit: 1)) == [2])
        }

        @Test func anAlertIsShownWithItsHistoryAndDeliveries() throws {
            let database = try database()
            let reader = AlertReader(database.configuration)
            let resolved = try #require(try reader.alerts(AlertFilter(states: [.resolved])).first)
            #expect(resolved.resolvedBy == "cm-01")
            #expect(resolved.resolvedAt == morning)
            let events = try reader.events(of: episode(2).id)
            #expect(events.map(\.transition) == [.opened])
            #expect(events.first?.report == key())
            #expect(events.first?.explanation.contains("\"value\": 90") == true)
            let deliveries = try reader.deliveries(of: episode(2).id)
            #expect(deliveries.map { [$0.channel, $0.recipient, $0.state] } == [["webhook", "cm-01", "pending"]])
            #expect(deliveries.first?.attempts == 0)
        }

        @Test func `a schema that is missing says what to do, and a newer one is worked with`() throws {
            let database = try TestDatabase(migrated: false)
            let missing = #expect(throws: StoreFailure.self) { _ = try AlertReader(database.configuration).alerts() }
            #expect(missing?.kind == .misconfigured)
            #expect(missing?.message.contains("homeward migrate") == true)
            _ = try Migrator.migrate(database.configuration)
            #expect(try AlertReader(database.configuration).alerts().isEmpty)
            try database.query("INSERT INTO homeward.schema_migration VALUES (999, 'later', '')")
            #expect(try AlertReader(database.configuration).alerts().isEmpty)
        }

        @Test func theProbeTellsWhetherTheServerAnswers() throws {
            let cluster = try PrivatePostgres()
            let database = try TestDatabase(cluster: cluster)
            let upkeep = DatabaseUpkeep(database.configuration)
            let told = try upkeep.probe()
            #expect(abs((told - Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))).seconds) < 30)
            try cluster.stop()
            let failure = #expect(throws: StoreFailure.self) { _ = try upkeep.probe() }
            #expect(failure?.kind == .transient)
            try cluster.start()
            _ = try upkeep.probe()
        }
    }
}
