import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Ways in which PostgreSQL fails that the seeds don't draw.
    @Suite struct DatabaseFailureTests {
        @Test func `another client that takes every connection costs nothing`() throws {
            let cluster = try SecondServer.cluster.get()
            let faulty = try FaultStack(cluster: cluster)
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let red = FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true)
            let usual = (0..<40).map {
                FaultWard.oxygen("u\($0)", device: [1, 2, 3][$0 % 3], value: 97, isOrdered: true)
            }
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: [red] + usual, patience: nil)
            defer { readers.stop() }
            for place in 1..<21 { readers.send(place) }
            #expect(eventually { readers.progress[1..<21].allSatisfy(\.isStored) })

            let others = PostgresSlots(port: cluster.port)
            try others.takeAll(from: "homeward")
            try faulty.expectSpooled(21..<41, of: readers)
            readers.send(0)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            // The probe looks every two seconds.
            #expect(eventually { faulty.stack.get("/readyz")?.status == 503 })
            #expect(faulty.stack.log.contains("53300"))
            #expect(readers.progress[21...].allSatisfy { $0.receipts.isEmpty })

            others.releaseAll()
            try faulty.expectSettled(readers)
        }

        @Test func `an orderly restart of PostgreSQL in mid-stream costs nothing`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let reds = [FaultWard.oxygen("red", device: 4, value: 86, at: 1000)]
            let usual = (0..<300).map {
                FaultWard.oxygen("u\($0)", device: [1, 2, 3, 5][$0 % 4], value: 97, at: $0 * 10)
            }
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reds + usual, patience: nil)
            defer { readers.stop() }
            #expect(eventually { readers.progress.count(where: \.isStored) >= 80 })
            try faulty.stack.postgres.restart()
            try faulty.expectSettled(readers)
        }

        @Test func `a COMMIT whose answer is lost doubles nothing, and its red is told of`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            try faulty.startReadyDaemon()
            let reports = [
                FaultWard.oxygen("usual", device: 1, value: 97, isOrdered: true),
                FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true),
                FaultWard.oxygen("after", device: 1, value: 96, isOrdered: true),
            ]
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reports, patience: nil)
            defer { readers.stop() }
            readers.send(0)
            #expect(eventually { readers.progress[0].isStored })
            faulty.databaseLink.loseAnswer(to: "COMMIT", after: "COPY homeward.report")
            readers.send(1)
            #expect(eventually { readers.progress[1].isStored }, "\(faulty.stack.log.suffix(2000))")
            #expect(faulty.databaseLink.answersLost == 1)
            // The first time it was stored; what the daemon can know of it is that it is there.
            #expect(readers.progress[1].receipts.map(\.outcome) == ["duplicate"])
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            #expect(
                try faulty.stack.query("SELECT patient, severity, state FROM homeward.v_alert") == [
                    ["P4", "red", "open"]
                ])
            readers.send(2)
            try faulty.expectSettled(readers)
            #expect(faulty.stack.metric("homeward_spool_bytes") == 0)
        }
    }
}
