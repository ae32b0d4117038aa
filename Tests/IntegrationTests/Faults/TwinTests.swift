import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Two instances of one shard: whatever becomes of the one that holds the lease, the other goes on, nothing is lost,
    /// doubled or alarmed twice, and the one that was stopped does no harm when it wakes.
    @Suite struct TwinTests {
        @Test func `killed, stopped or cut off, the holder of the lease is taken over from and does no harm`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let first = faulty.stack
            #expect(first.metric("homeward_lease_held") == 1)
            let second = try Stack(beside: first)
            try second.startDaemon()
            try second.expectStandby()
            let readers = HomeReaders(
                port: first.broker.port, reports: FaultWard.twinReports(reds: 3, marks: 3, seconds: 40, rate: 25),
                patience: nil)
            defer { readers.stop() }
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })

            let restart = try faulty.inflict(.daemonKilled)
            readers.send(0)
            second.expectTakeover("of a killed holder")
            try restart()
            try first.expectStandby()
            #expect(eventually { second.get("/readyz")?.status == 200 })
            second.expectStored(3, of: readers)

            second.signalDaemon(SIGSTOP)
            readers.send(1)
            first.expectTakeover("of a stopped holder")
            first.expectStored(4, of: readers)
            second.signalDaemon(SIGCONT)
            try second.expectStandby()

            let links = [Fault.Link.broker, .database]
            let mend = try links.map { try faulty.inflict(.linkStalled($0)) }
            readers.send(2)
            second.expectTakeover("of a holder whose network is cut")
            second.expectStored(5, of: readers)
            for undo in mend { try undo() }
            try first.expectStandby()
            try faulty.expectSettled(readers, by: second)
            #expect(try first.query("SELECT DISTINCT state FROM homeward.v_alert") == [["open"]])
        }

        @Test func `what a holder took in and told of without the database is judged by the other, once`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startPreparedDaemon()
            let first = faulty.stack
            let second = try Stack(beside: first)
            try second.startDaemon()
            try second.expectStandby()
            #expect(eventually { first.metric("homeward_lease_standby") == 1 })
            let readers = HomeReaders(
                port: first.broker.port, reports: FaultWard.twinReports(reds: 3, seconds: 15, rate: 25), patience: nil)
            defer { readers.stop() }
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })

            // It still reads, and tells of the red from memory; the lease is the other's before long.
            let mend = try faulty.inflict(.linkStalled(.database))
            readers.send(0)
            #expect(eventually { (first.metric("homeward_spool_bytes") ?? 0) > 0 })
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P1") != nil })
            second.expectTakeover("of a holder that the database can't be reached by")
            readers.send(1)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P2") != nil })
            try mend()
            try first.expectStandby()
            #expect(eventually { first.metric("homeward_spool_bytes") == 0 }, "\(first.log.suffix(2000))")
            #expect((first.metric("homeward_reports_handed_over_total") ?? 0) > 0)
            #expect(eventually { first.metric("homeward_reports_in_flight") == 0 })

            // An orderly stop gives the lease away at once.
            #expect(second.stopDaemon() == 0)
            first.expectTakeover("of one that was stopped in order")
            readers.send(2)
            try second.startDaemon()
            try second.expectStandby()
            try faulty.expectSettled(readers, by: first)
            let status = try second.run("status", "--config", second.configurationFile.path)
            #expect(status.status == 0, "\(status.output)\(status.errors)")
            #expect(status.output.contains("lease        standing by"), "\(status.output)")
            // A machine that is busy may keep it from the database for longer than it waits.
            var words = ""
            let saysSo = try eventually {
                let doctor = try second.run("doctor", "--config", second.configurationFile.path)
                words = doctor.output + doctor.errors
                return doctor.output.contains("this instance stands by for")
            }
            #expect(saysSo, "\(words)")
        }
    }
}
