import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Two instances of one shard, the first of which has a network of its own, with cables that are pulled: packets vanish.
    @Suite(
        .enabled(
            if: NetworkNamespace.obstacle == nil,
            "this machine gives no network namespace: \(NetworkNamespace.obstacle ?? "")"))
    struct NetworkCutTests {
        @Test func `with its cables pulled, the holder of the lease is taken over from and does no harm`() throws {
            let network = try NetworkNamespace()
            let faulty = try FaultStack(
                cluster: PrivatePostgres(address: network.address(of: .database)), network: network)
            try faulty.startPreparedDaemon()
            let first = faulty.stack
            // Plain text to another machine, as it was told: said at each start.
            #expect(first.log.contains("broker.insecure is true"))
            let second = try Stack(beside: first)
            try second.startDaemon()
            try second.expectStandby()
            #expect(eventually { first.metric("homeward_lease_standby") == 1 })
            let readers = HomeReaders(
                port: first.broker.port, reports: FaultWard.twinReports(reds: 6, marks: 4, seconds: 70, rate: 25),
                patience: nil)
            defer { readers.stop() }
            #expect(eventually { (first.metric("homeward_reports_stored_total") ?? 0) > 50 })

            // All at once, and a red at that moment.
            let pulled = ContinuousClock.now
            let plugIn = try Fault.Link.allCases.map { try faulty.inflict(.linkStalled($0)) }
            readers.send(0)
            second.expectTakeover("of a holder whose cables are pulled", since: pulled)
            #expect(first.metric("homeward_lease_held") == 1)
            second.expectStored(6, of: readers)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P1") != nil })
            for plug in plugIn { try plug() }
            try first.expectStandby()
            print("twins: knows it \((.now - pulled) / .milliseconds(1)) ms after the cables were pulled")

            // Its turn again; then the database's first: it spools and tells from memory before it is alone.
            #expect(second.stopDaemon() == 0)
            first.expectTakeover("of one that was stopped in order")
            try second.startDaemon()
            try second.expectStandby()
            #expect(eventually { first.metric("homeward_lease_standby") == 1 })
            let cut = ContinuousClock.now
            let plugDatabase = try faulty.inflict(.linkStalled(.database))
            readers.send(1)
            #expect(eventually { (first.metric("homeward_spool_bytes") ?? 0) > 0 }, "\(first.log.suffix(2000))")
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P2") != nil })
            let plugBroker = try faulty.inflict(.linkStalled(.broker))
            readers.send(2)
            second.expectTakeover("of a holder that was cut off step by step", since: cut)
            second.expectStored(7, of: readers)
            #expect((first.metric("homeward_spool_bytes") ?? 0) > 0)
            try plugBroker()
            try plugDatabase()
            try first.expectStandby()
            #expect(eventually { first.metric("homeward_spool_bytes") == 0 }, "\(first.log.suffix(2000))")
            #expect((first.metric("homeward_reports_handed_over_total") ?? 0) > 0)
            #expect(eventually { first.metric("homeward_reports_in_flight") == 0 })

            try startWithoutDatabase(faulty, second, readers)
            try loseBroker(faulty, second, readers)
            try faulty.expectSettled(readers, by: second)
            #expect(try first.query("SELECT DISTINCT state FROM homeward.v_alert") == [["open"]])
        }

        /// A start of one of two while it can't reach the database: it does not know whether the other holds the lease.
        private func startWithoutDatabase(_ faulty: FaultStack, _ holder: Stack, _ readers: HomeReaders) throws {
            let starting = faulty.stack
            // It stood by when it was killed: it begins nothing.
            starting.killDaemon()
            let plugIn = try faulty.inflict(.linkStalled(.database))
            try faulty.startDaemon()
            #expect(eventually { starting.log.contains("this instance did not hold it last: waiting") })
            readers.send(3)
            holder.expectStored(8, of: readers)
            #expect(starting.metric("homeward_broker_connected") == 0)
            #expect(starting.metric("homeward_lease_held") == 0)
            #expect(holder.metric("homeward_lease_held") == 1)
            try plugIn()
            try starting.expectStandby()

            // It held the lease when it was killed, and can't ask whether it has lost it: once the lease must have ended it
            // goes on, for want of anybody who says otherwise, until the broker gives the session back to the other.
            #expect(holder.stopDaemon() == 0)
            starting.expectTakeover("of one that was stopped in order")
            try holder.startDaemon()
            try holder.expectStandby()
            #expect(eventually { starting.metric("homeward_lease_standby") == 1 })
            starting.killDaemon()
            let plugAgain = try faulty.inflict(.linkStalled(.database))
            try faulty.startDaemon()
            holder.expectTakeover("of a killed holder")
            #expect(eventually { starting.log.contains("going on as its last holder") }, "\(starting.log.suffix(2000))")
            #expect(eventually { starting.log.contains("leaving the broker to it") }, "\(starting.log.suffix(3000))")
            readers.send(4)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P5") != nil })
            #expect(eventually { holder.get("/readyz")?.status == 200 }, "\(holder.log.suffix(2000))")
            try plugAgain()
            try starting.expectStandby()
            #expect(eventually { starting.metric("homeward_spool_bytes") == 0 }, "\(starting.log.suffix(2000))")
        }

        /// The holder can ask for the lease as ever and hears nothing of the readers: the other one does.
        private func loseBroker(_ faulty: FaultStack, _ other: Stack, _ readers: HomeReaders) throws {
            let holder = faulty.stack
            #expect(other.stopDaemon() == 0)
            holder.expectTakeover("of one that was stopped in order")
            try other.startDaemon()
            try other.expectStandby()
            #expect(eventually { holder.metric("homeward_lease_standby") == 1 })
            let cut = ContinuousClock.now
            let plugIn = try faulty.inflict(.linkStalled(.broker))
            readers.send(5)
            other.expectTakeover("of a holder that can't reach the broker", since: cut)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P6") != nil })
            other.expectStored(9, of: readers)
            try holder.expectStandby()
            #expect(holder.metric("homeward_database_connected") == 1)
            try plugIn()
            #expect(eventually { holder.metric("homeward_reports_in_flight") == 0 })
        }
    }
}
