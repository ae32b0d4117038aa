import Foundation
import TestSupport
import Testing

/// What is asked of two instances of one shard, whatever becomes of one of them.
extension Stack {
    /// It waits, and says for whom.
    func expectStandby() throws {
        #expect(
            eventually {
                get("/readyz").map { $0.status == 503 && $0.body.contains(#""state":"standby""#) } ?? false
            }, "\(get("/readyz")?.body ?? "no answer"); \(log.suffix(3000))")
        #expect(metric("homeward_lease_held") == 0)
        #expect(metric("homeward_broker_connected") == 0)
        // A commit that was refused says it before the lease was asked for.
        #expect(eventually { get("/readyz")?.body.contains(#""holder":""#) == true })
    }

    func expectStored(_ place: Int, of readers: HomeReaders) {
        readers.send(place)
        #expect(eventually { readers.progress[place].isStored }, "\(log.suffix(3000))")
    }

    /// It holds the lease and reads from the broker; how long that took from `began` is printed.
    func expectTakeover(_ what: String, since began: ContinuousClock.Instant = .now) {
        let isHolder = eventually(every: .milliseconds(20)) {
            metric("homeward_lease_held") == 1 && metric("homeward_broker_connected") == 1
        }
        #expect(isHolder, "taking over \(what): \(log.suffix(3000))")
        print("twins: took over \(what) after \((.now - began) / .milliseconds(1)) ms")
    }
}

extension FaultStack {
    /// Nothing is lost, doubled or alarmed twice.
    func expectSettled(_ readers: HomeReaders, by holder: Stack) throws {
        #expect(eventually(every: .milliseconds(100)) { readers.isSent })
        let ledger = Ledger(faulty: self, readers: readers)
        #expect(
            eventually(within: .seconds(120), every: .milliseconds(500)) { ledger.missing.isEmpty },
            "\(ledger.missing.prefix(20)); \(holder.log.suffix(3000))")
        #expect(try eventually { try holder.value("SELECT count(*) FROM homeward.handover") == "0" })
        readers.lose(patience: .seconds(1))
        #expect(
            eventually(every: .milliseconds(100)) { ledger.unreceipted.isEmpty },
            "\(ledger.unreceipted.prefix(20))")
        let problems = try ledger.check()
        #expect(problems.isEmpty, "\(problems.prefix(40).joined(separator: "\n")); \(holder.log.suffix(3000))")
        #expect(eventually { holder.metric("homeward_reports_in_flight") == 0 })
    }
}

extension FaultWard {
    /// A ward that reports all the time; before that, sent when the test says so, reds of readers that measure nothing
    /// else, and usual reports.
    static func twinReports(reds: Int, marks: Int = 0, seconds: Int, rate: Int) -> [Report] {
        let ordered = (1...reds).map { oxygen("red-\($0)", device: $0, value: 86, isOrdered: true) }
        let others = Array((reds + 1)...devices)
        return ordered
            + (0..<marks).map { oxygen("mark-\($0)", device: others[0], value: 97, isOrdered: true) }
            + (0..<seconds * rate).map { number in
                oxygen("u-\(number)", device: others[number % others.count], value: 97, at: number * 1000 / rate)
            }
    }
}
