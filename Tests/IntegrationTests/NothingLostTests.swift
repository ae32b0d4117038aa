import Foundation
import TestSupport
import Testing

@Suite(.serialized) struct NothingLostTests {
    /// The full run of the promise: HOMEWARD_KILLS=20 HOMEWARD_REPORTS=20000.
    static func setting(_ name: String, default standard: Int) -> Int {
        ProcessInfo.processInfo.environment[name].flatMap(Int.init) ?? standard
    }

    @Test func `kill -9 again and again loses nothing and doubles nothing`() throws {
        let kills = Self.setting("HOMEWARD_KILLS", default: 5)
        let reports = Self.setting("HOMEWARD_REPORTS", default: 5000)
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        var sent = 0
        var killed = 0
        while sent < reports {
            if reader.send(Payload.report("k\(sent)")) { sent += 1 } else { reader.serve() }
            if sent % 64 == 0 { reader.serve() }
            // Kill in mid-stream: some are in the ring, some committed and not acknowledged, some with the broker.
            if killed < kills, sent >= (killed + 1) * reports / (kills + 1) {
                stack.killDaemon()
                try stack.startDaemon()
                killed += 1
            }
        }
        #expect(killed == kills)
        #expect(
            try eventually(within: .seconds(120)) {
                reader.serve()
                return try stack.value("SELECT count(*) FROM homeward.v_report") == "\(reports)"
            })
        #expect(try stack.value("SELECT count(DISTINCT report_id) FROM homeward.v_report") == "\(reports)")
        #expect(try stack.value("SELECT count(*) FROM homeward.v_reading") == "\(reports)")
        #expect(stack.stopDaemon() == 0)
    }

    @Test func `ten thousand random payloads neither stop nor slow the stream`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        var random = SystemRandomNumberGenerator()
        let count = Self.setting("HOMEWARD_RUBBISH", default: 10_000)
        for number in 0..<count {
            let length = Int.random(in: 0...200, using: &random)
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
            while !reader.send(bytes) { reader.serve() }
            if number % 1000 == 0 { while !reader.send(Payload.report("good\(number)")) { reader.serve() } }
            if number % 64 == 0 { reader.serve() }
        }
        while !reader.send(Payload.report("last")) { reader.serve() }
        let receipt = try reader.receipted("last", within: .seconds(60))
        #expect(TestReader.member("outcome", of: receipt) == "stored")
        #expect(try stack.value("SELECT count(*) FROM homeward.v_report") == "\((count + 999) / 1000 + 1)")
        #expect(try stack.value("SELECT sum(times_seen) FROM homeward.v_quarantine") == "\(count)")
        #expect(eventually { stack.metric("homeward_reports_in_flight") == 0 })
    }

    @Test func `PostgreSQL away for a while: reports wait and are stored once`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        for number in 0..<200 {
            while !reader.send(Payload.report("p\(number)")) { reader.serve() }
            if number % 50 == 25 {
                _ = try stack.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'homeward%' "
                        + "AND datname = current_database()")
            }
        }
        _ = reader.receipt(of: "p199")
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "200" })
    }
}
