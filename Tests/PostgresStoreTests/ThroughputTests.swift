import Clinical
import Foundation
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    @Suite struct ThroughputTests {
        /// Not a bar, a figure: what a report with its raw bytes and three readings costs in a full batch, and how long
        /// a small one takes. The check is that all of them are there.
        @Test func aRoughFigure() throws {
            let database = try TestDatabase(devices: 2000)
            let store = database.store()
            let raw = [UInt8](repeating: UInt8(ascii: "x"), count: 300)
            func batch(_ number: Int, _ size: Int) throws {
                var batch = CommitBatch()
                batch.reports = (0..<size).map { index in
                    var report = report(key(index % 2000 + 1, "d41f-\(100_000 + number)"))
                    report.raw = raw
                    return report
                }
                _ = try store.store(batch.reports.map { claim($0.key) }, batch)
            }
            try batch(0, 2000)
            var count = 2000
            let cpu = database.cluster.cpuSeconds
            let start = Date.now
            for number in 1...20 {
                try batch(number, 2000)
                count += 2000
            }
            let seconds = Date.now.timeIntervalSince(start)
            let used = database.cluster.cpuSeconds - cpu
            var times: [Double] = []
            for number in 21...220 {
                let start = Date.now
                try batch(number, 4)
                count += 4
                times.append(Date.now.timeIntervalSince(start) * 1000)
            }
            times.sort()
            print(
                """
                batches of 2,000: \(Int(40_000 / seconds)) reports/s, \
                \(String(format: "%.1f", used * 25)) PostgreSQL CPU s per million; \
                batches of 4: p50 \(String(format: "%.2f", times[100])) ms, p99 \(String(format: "%.2f", times[198])) ms
                """)
            #expect(try database.value("SELECT count(*) FROM homeward.report") == "\(count)")
            #expect(try database.value("SELECT count(*) FROM homeward.reading") == "\(3 * count)")
        }
    }
}
