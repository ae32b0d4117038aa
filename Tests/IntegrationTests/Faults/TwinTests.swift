import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Two instances of one shard: whatever becomes of the one that holds the lease, the other goes on, nothing is lost,
    /// doubled or alarmed twice, and the one that was stopped does no harm when it wakes.
    @Suite struct TwinTests {
        /// A ward that reports all the time, and reds of readers that measure nothing else.
        private static func reports(reds: Int, seconds: Int, rate: Int) -> [FaultWard.Report] {
            let ordered = (1...reds).map { FaultWard.oxygen("red-\($0)", device: $0, value: 86, isOrdered: true) }
            let others = Array((reds + 1)...FaultWard.devices)
            return ordered
                + (0..<seconds * rate).map { number in
                    FaultWard.oxygen(
                        "u-\(number)", device: others[number % others.count], value: 97, at: number * 1000 / rate)
                }
        }

        @Test func `killed, stopped or cut off, the holder of the lease is taken over from and does no harm`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let first = faulty.stack
            #expect(first.metric("homeward_lease_held") == 1)
            let second = try Stack(beside: first)
            try second.startDaemon()
            try expectStandby(second)
            let readers = HomeReaders(
                port: first.broker.port, reports: Self.reports(reds: 3, seconds: 40, rate: 25), patience: nil)
            defer { readers.stop() }
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })

            let restart = try faulty.inflict(.daemonKilled)
            readers.send(0)
            expectTakeover(by: second, "of a killed holder")
            try restart()
            try expectStandby(first)
            #expect(eventually { second.get("/readyz")?.status == 200 })
            #expect(eventually { (second.metric("homeward_reports_stored_total") ?? 0) > 50 })

            second.signalDaemon(SIGSTOP)
            readers.send(1)
            expectTakeover(by: first, "of a stopped holder")
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })
            second.signalDaemon(SIGCONT)
            try expectStandby(second)

            let links = [Fault.Link.broker, .database]
            let mend = try links.map { try faulty.inflict(.linkStalled($0)) }
            readers.send(2)
            expectTakeover(by: second, "of a holder whose network is cut")
            for undo in mend { try undo() }
            try expectStandby(first)
            try expectSettled(readers, of: faulty, by: second)
            #expect(try first.query("SELECT DISTINCT state FROM homeward.v_alert") == [["open"]])
        }

        @Test func `what a holder took in and told of without the database is judged by the other, once`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startPreparedDaemon()
            let first = faulty.stack
            let second = try Stack(beside: first)
            try second.startDaemon()
            try expectStandby(second)
            #expect(eventually { first.metric("homeward_lease_standby") == 1 })
            let readers = HomeReaders(
                port: first.broker.port, reports: Self.reports(reds: 3, seconds: 15, rate: 25), patience: nil)
            defer { readers.stop() }
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })

            // It still reads, and tells of the red from memory; the lease is the other's before long.
            let mend = try faulty.inflict(.linkStalled(.database))
            readers.send(0)
            #expect(eventually { (first.metric("homeward_spool_bytes") ?? 0) > 0 })
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P1") != nil })
            expectTakeover(by: second, "of a holder that the database can't be reached by")
            readers.send(1)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P2") != nil })
            try mend()
            try expectStandby(first)
            #expect(eventually { first.metric("homeward_spool_bytes") == 0 }, "\(first.log.suffix(2000))")
            #expect((first.metric("homeward_reports_handed_over_total") ?? 0) > 0)
            #expect(eventually { first.metric("homeward_reports_in_flight") == 0 })

            // An orderly stop gives the lease away at once.
            #expect(second.stopDaemon() == 0)
            expectTakeover(by: first, "of one that was stopped in order")
            readers.send(2)
            try second.startDaemon()
            try expectStandby(second)
            try expectSettled(readers, of: faulty, by: first)
            let status = try second.run("status", "--config", second.configurationFile.path)
            #expect(status.status == 0, "\(status.output)\(status.errors)")
            #expect(status.output.contains("lease        standing by"), "\(status.output)")
        }

        /// It waits, and says for whom.
        private func expectStandby(_ instance: Stack) throws {
            #expect(
                eventually {
                    instance.get("/readyz").map { $0.status == 503 && $0.body.contains(#""state":"standby""#) } ?? false
                }, "\(instance.get("/readyz")?.body ?? "no answer"); \(instance.log.suffix(3000))")
            #expect(instance.metric("homeward_lease_held") == 0)
            #expect(instance.metric("homeward_broker_connected") == 0)
            #expect(instance.get("/readyz")?.body.contains(#""holder":""#) == true)
        }

        private func expectTakeover(by instance: Stack, _ what: String) {
            let began = ContinuousClock.now
            let isHolder = eventually(every: .milliseconds(20)) {
                instance.metric("homeward_lease_held") == 1 && instance.metric("homeward_broker_connected") == 1
            }
            #expect(isHolder, "taking over \(what): \(instance.log.suffix(3000))")
            print("twins: took over \(what) after \((.now - began) / .milliseconds(1)) ms")
        }

        private func expectSettled(_ readers: HomeReaders, of faulty: FaultStack, by holder: Stack) throws {
            #expect(eventually(every: .milliseconds(100)) { readers.isSent })
            let ledger = Ledger(faulty: faulty, readers: readers)
            #expect(
                eventually(within: .seconds(120), every: .milliseconds(500)) { ledger.missing.isEmpty },
                "\(ledger.missing.prefix(20)); \(holder.log.suffix(3000))")
            #expect(try eventually { try holder.value("SELECT count(*) FROM homeward.handover") == "0" })
            readers.lose(patience: .seconds(1))
            #expect(
                eventually(every: .milliseconds(100)) { ledger.unreceipted.isEmpty }, "\(ledger.unreceipted.prefix(20))")
            let problems = try ledger.check()
            #expect(problems.isEmpty, "\(problems.prefix(40).joined(separator: "\n")); \(holder.log.suffix(3000))")
            #expect(eventually { holder.metric("homeward_reports_in_flight") == 0 })
        }
    }
}
