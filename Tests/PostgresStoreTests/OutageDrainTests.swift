import Alerting
import Clinical
import Foundation
import Outage
import PostgresStore
import Registry
import TestSupport
import Testing

@testable import Ingestion

extension PostgresStoreSuite {
    /// Judged in memory and told, then drained into the database.
    @Suite struct OutageDrainTests {
        private static func registry(_ version: Int64) -> Registry {
            SmallWard.registry(version: version, readers: [("P0001", "dev-0001")])
        }

        private func commit(
            _ id: String, _ value: Int, _ processor: inout BatchProcessor, _ store: any CommitStore,
            recording ledger: (any OutageLedger)? = nil
        ) throws -> BatchProcessor.Report {
            let payload =
                "{\"id\":\"\(id)\",\"taken_at\":\"2026-11-23T08:15:30Z\",\"readings\":[{\"kind\":\"spo2\","
                + "\"value\":\(value),\"unit\":\"%\"}]}"
            let message = Message(
                topic: Array("homeward/v1/north/dev-0001/report".utf8), payload: Array(payload.utf8),
                receivedAt: morning)
            var decoding = DecodeStage()
            var decoded = Decoded()
            decoding.decode(message, into: &decoded)
            var batch = [
                Candidate(message: message, decoded: decoded, admission: .unreadable(.malformed, detail: ""))
            ]
            var report: BatchProcessor.Report?
            // A registry that is still being read is no failure: the same batch again, as the commit stage does.
            let isCommitted = try eventually {
                do throws(StoreFailure) {
                    report = try processor.commit(&batch, to: store, recording: ledger)
                    return true
                } catch {
                    guard error.kind == .transient else { throw error }
                    return false
                }
            }
            #expect(isCommitted)
            return try #require(report)
        }

        /// `hasOlder`: the database has an open amber of the rule that memory did not know of.
        @Test(arguments: [false, true])
        func aRedOfAnOutageIsRecordedOnceAsItWasSent(hasOlder: Bool) throws {
            let database = try TestDatabase()
            let store = PostgresCommitStore(database.configuration) { _, version in Self.registry(version) }
            var processor = BatchProcessor(packs: SmallWard.packs)
            if hasOlder { _ = try commit("older", 93, &processor, store) }

            let directory = FileManager.default.temporaryDirectory.appending(path: "drain-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(at: directory) }
            let deliveries = try OutageDeliveries(directory: directory.path)
            let memory = OutageStore()
            memory.use(Self.registry(0))
            var inOutage = BatchProcessor(packs: SmallWard.packs)
            let reds = try commit("red", 90, &inOutage, memory).notifying
            try deliveries.add(Route(registry: Self.registry(0)).outageNotices(for: reds))
            for job in deliveries.claim(limit: 9, lease: .minutes(1)) where job.entry.recipient == code("cm-01") {
                deliveries.record(.sent(at: longAgo), of: job)
            }

            for _ in 0..<2 { _ = try commit("red", 90, &processor, store, recording: deliveries) }
            _ = try processor.recordLeftovers(of: deliveries, to: store)
            let told = try #require(reds.first).episode.id
            #expect(try database.value("SELECT count(*) FROM homeward.v_alert") == "1")
            #expect(try database.value("SELECT severity FROM homeward.v_alert") == "red")
            let aliases = try database.query("SELECT alias FROM homeward.alert_alias")
            #expect(aliases == (hasOlder ? [[told.description]] : []))
            let rows = """
                SELECT o.delivery_key, o.state, o.attempts FROM homeward.outbox o WHERE urgent ORDER BY 1
                """
            let entries = Route(registry: Self.registry(0)).outageEntries(for: reds[0], at: morning).map(\.key)
            // Under way when it was recorded: leased, so that nobody else sends it.
            let expected = [[entries[0], "sent", "1"], [entries[1], "pending", "1"]]
            #expect(try database.query(rows) == expected)
            let queue = try PostgresDeliveryQueue(database.configuration)
            #expect(try queue.claim(limit: 9, lease: .minutes(1)).allSatisfy { $0.entry.recipient != code("lead") })

            let job = DeliveryJob(
                entry: Route(registry: Self.registry(0)).outageEntries(for: reds[0], at: morning)[1], attempt: 1,
                address: nil, episode: reds[0].episode)
            deliveries.record(.sent(at: longAgo), of: job)
            var none: [Candidate] = []
            _ = try processor.commit(&none, to: store, recording: deliveries)
            #expect(try database.query(rows).map { $0[1] } == ["sent", "sent"])
            deliveries.endOutage()
            #expect(deliveries.isEmpty)
        }
    }
}
