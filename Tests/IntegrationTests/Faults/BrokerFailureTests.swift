import Foundation
import TestSupport
import Testing

extension FaultSuite {
    @Suite struct BrokerFailureTests {
        @Test func `a broker that lost our session is told of, and the stream goes on`() throws {
            let faulty = try FaultStack(registry: FaultWard.registryWithAdministrator)
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let reports = [
                FaultWard.oxygen("before", device: 1, value: 97, isOrdered: true),
                FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true),
                FaultWard.oxygen("after", device: 2, value: 97, isOrdered: true),
            ]
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reports, patience: nil)
            defer { readers.stop() }
            readers.send(0)
            #expect(eventually { readers.progress[0].isStored })
            #expect(try faulty.stack.value("SELECT count(*) FROM homeward.v_alert") == "0")

            faulty.stack.broker.stop()
            try faulty.stack.broker.forgetSessions()
            try faulty.stack.broker.start()
            #expect(
                try eventually {
                    try faulty.stack.query(
                        """
                        SELECT class, severity, state, site, patient, device FROM homeward.v_alert
                        WHERE rule = 'lost-session'
                        """) == [["technical", "amber", "open", "", "", ""]]
                }, "\(faulty.stack.log.suffix(2000))")
            #expect(try faulty.stack.value("SELECT subject_type FROM homeward.alert") == "instance")
            #expect(eventually { faulty.told(of: "lost-session") != nil })
            #expect(faulty.stack.isReady())
            readers.send(1)
            readers.send(2)
            #expect(eventually { readers.progress.allSatisfy(\.isStored) })
            try faulty.expectSettled(readers)
        }

        @Test func `a session that was lost while the daemon was down is told of too`() throws {
            let faulty = try FaultStack(registry: FaultWard.registryWithAdministrator)
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            #expect(faulty.stack.stopDaemon() == 0)
            // With its session there is nothing to tell.
            try faulty.startReadyDaemon()
            #expect(faulty.stack.stopDaemon() == 0)
            #expect(try faulty.stack.value("SELECT count(*) FROM homeward.v_alert") == "0")
            faulty.stack.broker.stop()
            try faulty.stack.broker.forgetSessions()
            try faulty.stack.broker.start()
            try faulty.startReadyDaemon()
            #expect(
                try eventually {
                    try faulty.stack.query("SELECT rule, class, severity, state FROM homeward.v_alert")
                        == [["lost-session", "technical", "amber", "open"]]
                }, "\(faulty.stack.log.suffix(2000))")
            #expect(eventually { faulty.told(of: "lost-session") != nil })
            try faulty.stack.expectCountersAddUp()
        }

        @Test func `a device that floods keeps nobody waiting, and all of it is stored`() throws {
            let flood = 6000
            let faulty = try FaultStack(registry: FaultWard.registryWithAdministrator)
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            // All of it waits with the broker when the daemon comes: faster it can't be sent.
            #expect(faulty.stack.stopDaemon() == 0)
            var reader = try TestReader(port: faulty.stack.broker.port, device: "+")
            var calm: [(id: String, after: Int)] = []
            for number in 0..<flood {
                let topic = "homeward/v1/north/dev-1/report"
                while !reader.send(Payload.report("flood-\(number)"), topic: topic) { reader.serve() }
                if number % 64 == 0 { reader.serve() }
                guard number % 50 == 49 else { continue }
                calm.append((id: "calm-\(number)", after: number + 1))
                let other = "homeward/v1/north/dev-\(2 + calm.count % 5)/report"
                while !reader.send(Payload.report("calm-\(number)"), topic: other) { reader.serve() }
            }
            try reader.publish(Payload.report("last"), topic: "homeward/v1/north/dev-7/report")

            try faulty.startReadyDaemon()
            #expect(
                eventually(within: .seconds(120)) {
                    reader.serve()
                    return reader.receipts.count == flood + calm.count + 1
                }, "\(reader.receipts.count) receipts; \(faulty.stack.log.suffix(2000))")
            for (id, receipts) in reader.receipts {
                #expect(receipts.map { TestReader.member("outcome", of: $0) } == ["stored"], "\(id): \(receipts)")
            }
            // A calm device's report came after all that the flood had sent before it, and did not wait for that.
            let order = reader.receiptOrder
            let place = try #require(order.firstIndex(of: "last"))
            let floodBefore = order[..<place].count { $0.hasPrefix("flood-") }
            #expect(floodBefore < flood, "the last calm report waited for the whole flood")
            let lastFlood = try #require(order.lastIndex { $0.hasPrefix("flood-") })
            #expect(calm.allSatisfy { report in order.firstIndex(of: report.id).map { $0 < lastFlood } ?? false })

            #expect(
                try faulty.stack.query(
                    "SELECT count(*), count(DISTINCT report_id) FROM homeward.v_report WHERE device = 'dev-1'")
                    == [["\(flood)", "\(flood)"]])
            #expect(
                try eventually {
                    try faulty.stack.query(
                        "SELECT DISTINCT device, class, severity, state FROM homeward.v_alert WHERE rule = 'flood'")
                        == [["dev-1", "technical", "amber", "resolved"]]
                }, "\(faulty.stack.log.suffix(2000))")
            #expect(eventually { faulty.told(of: "flood") != nil })
            #expect(faulty.stack.metric("homeward_spool_bytes") == 0)
            try faulty.stack.expectCountersAddUp()
        }
    }
}
