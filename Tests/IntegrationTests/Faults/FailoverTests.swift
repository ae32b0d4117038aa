import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Several hosts in `database.url`, of which the first that takes writes is the right one.
    @Suite struct FailoverTests {
        @Test(arguments: [Fault.databaseKilled, .databaseReadOnly, .databaseFrozen])
        func `a first host that takes no writes is passed over for the second`(fault: Fault) throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            let second = try SecondServer(of: faulty)
            _ = try faulty.inflict(fault)
            try faulty.startReadyDaemon()
            let reports = [
                FaultWard.oxygen("usual", device: 1, value: 97), FaultWard.oxygen("red", device: 4, value: 86),
            ]
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: reports, patience: nil)
            defer { readers.stop() }
            #expect(
                eventually { readers.progress.allSatisfy(\.isStored) },
                "\(fault): \(faulty.stack.log.suffix(2000))")
            #expect(try second.reports().sorted() == ["red", "usual"])
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            try faulty.stack.expectCountersAddUp()
        }

        @Test(arguments: [Fault.databaseKilled, .databaseFrozen])
        func `a failover in mid-stream goes on with the second server and loses nothing`(fault: Fault) throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            let second = try SecondServer(of: faulty)
            try second.setReadOnly(true)
            try faulty.startReadyDaemon()
            let red = FaultWard.oxygen("red", device: 4, value: 86, isOrdered: true)
            let usual = (0..<400).map { number in
                FaultWard.oxygen("u\(number)", device: [1, 2, 3, 5][number % 4], value: 97, at: number * 10)
            }
            let readers = HomeReaders(port: faulty.stack.broker.port, reports: [red] + usual, patience: nil)
            defer { readers.stop() }
            #expect(eventually { readers.progress.count(where: \.isStored) >= 100 })

            let bringBack = try faulty.inflict(fault)
            readers.send(0)
            #expect(eventually { (faulty.stack.metric("homeward_spool_bytes") ?? 0) > 0 })
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            let storedBefore = zip(readers.reports, readers.progress).filter(\.1.isStored).map(\.0.id)
            try second.setReadOnly(false)
            #expect(
                eventually(within: .seconds(60), every: .milliseconds(50)) {
                    readers.isSent && readers.progress.allSatisfy(\.isStored)
                }, "\(faulty.stack.log.suffix(3000))")
            try faulty.stack.expectCountersAddUp()
            #expect(eventually { faulty.stack.get("/readyz")?.status == 200 })

            try bringBack()
            let first = try faulty.stack.query("SELECT report_id FROM homeward.v_report").compactMap(\.first)
            let then = try second.reports()
            #expect(Set(first).count == first.count)
            #expect(Set(then).count == then.count)
            #expect(Set(first).union(then) == Set(readers.reports.map(\.id)))
            #expect(Set(first).isSuperset(of: storedBefore))
            // What the first server was about to answer when it went is the only one that may be on both.
            #expect(Set(then).isDisjoint(with: storedBefore))
            #expect(then.contains("red"))
            #expect(
                try second.query("SELECT severity, state FROM homeward.v_alert WHERE rule = 'spo2-low'")
                    == [["red", "open"]])
            #expect(
                try eventually {
                    try second.query("SELECT DISTINCT state FROM homeward.v_delivery") == [["sent"]]
                })
        }
    }
}

/// A second PostgreSQL with the ward in it, named as the second host of the daemon's database.
final class SecondServer {
    /// Making one takes seconds.
    static let cluster = Result { try PrivatePostgres(settings: ["max_connections": "20"]) }

    private let cluster: PrivatePostgres
    private let database: String

    init(of faulty: FaultStack) throws {
        let stack = faulty.stack
        cluster = try Self.cluster.get()
        database = stack.database
        try cluster.query("DROP DATABASE IF EXISTS \(database) WITH (FORCE)")
        try cluster.query("CREATE DATABASE \(database)")
        let addressOfFirst = "127.0.0.1:\(faulty.databaseLink.port)"
        let addressOfSecond = "127.0.0.1:\(cluster.port)"
        try stack.configure(addressOfFirst, as: addressOfSecond)
        try stack.expectSuccess(stack.run("migrate", "--config", stack.configurationFile.path))
        try stack.expectSuccess(
            stack.run("enrol", "--config", stack.configurationFile.path, stack.registryFile.path))
        // The first host without the proxy: a proxy would take connections for a server that is dead.
        try stack.configure(addressOfSecond, as: "127.0.0.1:\(stack.postgres.port),\(addressOfSecond)")
    }

    func query(_ sql: String) throws -> [[String]] {
        try cluster.query(sql, database: database).map { $0.map { $0 ?? "" } }
    }

    func reports() throws -> [String] { try query("SELECT report_id FROM homeward.v_report").compactMap(\.first) }

    /// For new sessions, as a server that follows another one is to a client.
    func setReadOnly(_ on: Bool) throws {
        try cluster.query("ALTER DATABASE \(database) SET default_transaction_read_only = \(on)")
    }
}
