import Foundation
import TestSupport
import Testing

extension FaultStack {
    /// All is well again: everything is stored exactly once, everybody was told, and the counters add up.
    func expectSettled(_ readers: HomeReaders) throws {
        #expect(stack.isReady())
        #expect(eventually(within: .seconds(60), every: .milliseconds(100)) { readers.isSent })
        let ledger = Ledger(faulty: self, readers: readers)
        #expect(
            eventually(within: .seconds(120), every: .milliseconds(500)) {
                stack.metric("homeward_reports_in_flight") == 0 && ledger.missing.isEmpty
            }, "\(ledger.missing.prefix(20)); \(stack.log.suffix(3000))")
        readers.lose(patience: .seconds(1))
        #expect(
            eventually(within: .seconds(60), every: .milliseconds(100)) { ledger.unreceipted.isEmpty },
            "\(ledger.unreceipted.prefix(20))")
        let problems = try ledger.check()
        #expect(problems.isEmpty, "\(problems.prefix(40).joined(separator: "\n"))")
        try stack.expectCountersAddUp()
    }

    /// Sends these now and waits until the broker has them and the daemon has made them safe in its spool.
    func expectSpooled(_ places: Range<Int>, of readers: HomeReaders) throws {
        let before = stack.metric("homeward_spool_bytes") ?? 0
        for place in places { readers.send(place) }
        let bytes = places.reduce(0) { $0 + readers.reports[$1].payload.utf8.count }
        #expect(eventually { places.allSatisfy { readers.progress[$0].isAcknowledged } })
        #expect(
            eventually { (stack.metric("homeward_spool_bytes") ?? 0) - before >= Double(bytes) },
            "\(stack.metric("homeward_spool_bytes") ?? -1) bytes in the spool; \(stack.log.suffix(2000))")
    }

    /// A message about the alert of that rule, if one has come.
    func told(of rule: String, patient: String? = nil) -> String? {
        hook.bodies.first { body in
            TestReader.member("rule", of: body) == rule
                && (patient == nil || TestReader.member("patient", of: body) == patient)
        }
    }
}

extension Stack {
    /// Once nothing is in flight: received = stored + duplicate + quarantined.
    func expectCountersAddUp() throws {
        #expect(eventually(within: .seconds(60)) { metric("homeward_reports_in_flight") == 0 })
        let page = try #require(get("/metrics")).body
        let counts = try #require(CounterScraper.Counts(page: page))
        #expect(counts.problem == nil)
        #expect(counts.received == counts.ended)
    }

    /// Changes the configuration; the daemon reads it when it starts.
    func configure(_ old: String, as new: String) throws {
        let text = try String(contentsOf: configurationFile, encoding: .utf8)
        try #require(text.contains(old))
        try text.replacing(old, with: new).write(to: configurationFile, atomically: true, encoding: .utf8)
    }
}
