import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// The ledger must see what it is there to see: nothing fails here but what the test itself spoils.
    @Suite struct LedgerTests {
        @Test func `the ledger sees what is lost, doubled, misjudged or untold`() throws {
            let faulty = try FaultStack()
            try faulty.startReadyDaemon()
            let ward = FaultWard(seed: 5, seconds: 4, rate: 60)
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: ward.reports, patience: nil)
            defer { readers.stop() }
            let ledger = Ledger(faulty: faulty, readers: readers)
            #expect(
                eventually(within: .seconds(60), every: .milliseconds(100)) {
                    readers.isSent && ledger.missing.isEmpty && ledger.unreceipted.isEmpty
                        && faulty.stack.metric("homeward_reports_in_flight") == 0
                })
            #expect(try ledger.check() == [])

            let stored = try faulty.stack.query(
                "SELECT report_id FROM homeward.v_report WHERE device = 'dev-1' ORDER BY report_id LIMIT 2"
            ).compactMap(\.first)
            try #require(stored.count == 2)
            try spoil(faulty, "UPDATE homeward.report SET report_id = '\(stored[0])' WHERE report_id = '\(stored[1])'")
            #expect(ledger.missing.contains { $0.hasPrefix(stored[1]) })
            expect(try ledger.check(), "\(stored[0]) stored 2 times", "\(stored[1]) stored 0 times")

            try spoil(faulty, "UPDATE homeward.quarantine SET reason = 'empty' WHERE reason = 'unpaired'")
            expect(try ledger.check(), "unpaired: 0 rows", "in quarantine and should not be")

            try spoil(faulty, "UPDATE homeward.alert SET severity = 'amber' WHERE severity = 'red'")
            expect(try ledger.check(), "red by the rules, amber in v_alert", "nobody was told")

            try spoil(faulty, "DELETE FROM homeward.outbox")
            expect(try ledger.check(), "0 on record")
            try spoil(faulty, "DELETE FROM homeward.alert WHERE class = 'clinical'")
            expect(try ledger.check(), "nothing in v_alert", "told of an alert that is not")
        }

        @Test func `counters that do not add up are seen`() throws {
            func page(stored: Int, inFlight: Int) -> String {
                """
                homeward_reports_received_total 10
                homeward_reports_stored_total \(stored)
                homeward_reports_duplicate_total 1
                homeward_reports_quarantined_total{reason="empty"} 1
                homeward_reports_quarantined_total{reason="malformed"} 2
                homeward_reports_in_flight \(inFlight)
                """
            }
            #expect(try #require(CounterScraper.Counts(page: page(stored: 4, inFlight: 2))).problem == nil)
            #expect(try #require(CounterScraper.Counts(page: page(stored: 4, inFlight: 1))).problem != nil)
            #expect(try #require(CounterScraper.Counts(page: page(stored: 7, inFlight: -1))).problem != nil)
        }

        /// Past constraints that are triggers; the daemon writes nothing by now.
        private func spoil(_ faulty: FaultStack, _ sql: String) throws {
            _ = try faulty.stack.query("SET session_replication_role = replica; \(sql)")
        }

        private func expect(_ problems: [String], _ texts: String...) {
            for text in texts {
                #expect(problems.contains { $0.contains(text) }, "\(text); seen: \(problems.prefix(10))")
            }
        }
    }
}
