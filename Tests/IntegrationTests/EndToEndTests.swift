import Foundation
import TestSupport
import Testing

/// The main job as its users see it: real mosquitto, real PostgreSQL, the built executable.
@Suite(.serialized) struct EndToEndTests {
    @Test func `the contract's example is stored, receipted and in the views`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        let now = Payload.now()
        try reader.publish(
            #"""
            {"id":"d41f-000123","taken_at":"\#(now)","sent_at":"\#(now)","seq":123,
             "readings":[{"kind":"systolic","value":142,"unit":"mm[Hg]"},{"kind":"diastolic","value":88,"unit":"mm[Hg]"},{"kind":"pulse","value":71,"unit":"/min"}],
             "answers":[{"question":"breathless","value":true}],
             "battery":87}
            """#)
        let receipt = try reader.receipted("d41f-000123")
        #expect(TestReader.member("outcome", of: receipt) == "stored")
        #expect(
            try stack.query("SELECT kind, value, unit, status FROM homeward.v_reading ORDER BY kind") == [
                ["diastolic", "88", "mm[Hg]", "accepted"], ["pulse", "71", "/min", "accepted"],
                ["systolic", "142", "mm[Hg]", "accepted"],
            ])
        #expect(
            try stack.query("SELECT report_id, site, device, patient, seq FROM homeward.v_report") == [
                ["d41f-000123", "north", "dev-0001", "P0001", "123"]
            ])
        #expect(try stack.query("SELECT question, value FROM homeward.v_answer") == [["breathless", "true"]])
    }

    @Test func `a red SpO2 beside an implausible weight is a red alert, and the weight alone is refused`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(webhook: hook.url)
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(
            Payload.report(
                "r1", readings: #"{"kind":"spo2","value":90,"unit":"%"},{"kind":"weight","value":900,"unit":"kg"}"#))
        let receipt = try reader.receipted("r1")
        #expect(TestReader.member("outcome", of: receipt) == "stored")
        #expect(receipt.contains(#""refused":[{"reading":1,"kind":"weight","reason":"implausible"}]"#))
        #expect(try stack.query("SELECT kind FROM homeward.v_reading") == [["spo2"]])
        let alerts = try stack.query("SELECT rule, class, severity, state, patient, summary FROM homeward.v_alert")
        #expect(alerts.count == 1)
        #expect(alerts.first?.prefix(5) == ["spo2-low", "clinical", "red", "open", "P0001"])
        #expect(alerts.first?.last?.contains("SpO2 90 %") == true)
        #expect(
            try stack.query("SELECT reason, report_id, times_seen FROM homeward.v_quarantine") == [
                ["implausible", "r1", "1"]
            ])
        #expect(eventually { hook.bodies.count == 1 })
        #expect(hook.bodies.first?.contains(#""rule":"spo2-low""#) == true)
        #expect(
            try eventually {
                try stack.query("SELECT channel, recipient, state FROM homeward.v_delivery") == [
                    ["webhook", "cm-01", "sent"]
                ]
            })
        let shown = try stack.run("alerts", "--config", stack.configurationFile.path, "list")
        #expect(shown.status == 0)
        #expect(shown.output.contains("spo2-low"))
    }

    @Test func `every reason that a message can provoke is in view, metric and receipt`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        let north = "homeward/v1/north/dev-0001/report"
        func reading(_ text: String) -> String { Payload.report("ID", readings: text) }
        let minute = 60.0
        func at(_ offset: Double) -> String { ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: offset)) }
        // What provokes the reason, and whether the report's id can be read.
        let rows: [(reason: String, topic: String, payload: String, receipted: Bool)] = [
            ("bad-topic", "homeward/v1/north/d v/report", Payload.report("ID"), false),
            ("too-large", north, String(repeating: "x", count: 65537), false),
            ("malformed", north, #"{"id":"ID","readings":[]}"#, true),
            ("malformed", north, "rubbish", false),
            ("empty", north, #"{"id":"ID","taken_at":"\#(Payload.now())"}"#, true),
            ("unknown-device", "homeward/v1/north/nobody/report", Payload.report("ID"), false),
            ("clock-future", north, Payload.report("ID", takenAt: at(10 * minute)), true),
            ("too-old", north, Payload.report("ID", takenAt: at(-31 * 24 * 60 * minute)), true),
            ("unpaired", "homeward/v1/north/dev-0002/report", Payload.report("ID"), false),
            ("unknown-kind", north, reading(#"{"kind":"mood","value":1,"unit":"1"}"#), true),
            ("unknown-code", north, reading(#"{"kind":"consciousness","value":"X"}"#), true),
            ("missing-unit", north, reading(#"{"kind":"weight","value":80}"#), true),
            ("unknown-unit", north, reading(#"{"kind":"weight","value":80,"unit":"cats"}"#), true),
            ("ambiguous-unit", north, reading(#"{"kind":"temperature","value":98.6,"unit":"Cel"}"#), true),
            ("implausible", north, reading(#"{"kind":"spo2","value":20,"unit":"%"}"#), true),
            (
                "inconsistent", north,
                reading(
                    #"{"kind":"systolic","value":80,"unit":"mm[Hg]"},{"kind":"diastolic","value":90,"unit":"mm[Hg]"}"#),
                true
            ),
            (
                "control-solution", north,
                reading(#"{"kind":"glucose","value":6,"unit":"mmol/L","flags":["control-solution"]}"#), true
            ),
        ]
        for (number, row) in rows.enumerated() {
            let id = "q\(number)"
            try reader.publish(row.payload.replacing("\"ID\"", with: "\"\(id)\""), topic: row.topic)
            guard row.receipted else { continue }
            let receipt = try reader.receipted(id)
            #expect(TestReader.member("outcome", of: receipt) == "quarantined", "\(row.reason)")
            #expect(TestReader.member("reason", of: receipt) == row.reason)
        }
        try reader.publish(Payload.report("c"))
        _ = reader.receipt(of: "c")
        try reader.publish(Payload.report("c", readings: #"{"kind":"spo2","value":96,"unit":"%"}"#))
        // Flagged retained only for who subscribes after it was published.
        _ = stack.stopDaemon()
        stack.broker.stop()
        try stack.broker.forgetSessions()
        try stack.broker.start()
        var late = try TestReader(port: stack.broker.port)
        try late.publish(Payload.report("old"), retained: true)
        try stack.startReadyDaemon()
        let expected = Set(rows.map(\.reason) + ["conflict", "retained"])
        #expect(
            try eventually {
                Set(try stack.query("SELECT DISTINCT reason FROM homeward.v_quarantine").compactMap(\.first))
                    == expected
            })
        #expect(eventually { stack.metric(#"homeward_reports_quarantined_total{reason="retained"}"#) == 1 })
        #expect(
            try stack.value("SELECT octet_length(payload) FROM homeward.v_quarantine WHERE reason = 'too-large'")
                == "65536")
        #expect(
            try stack.value("SELECT detail FROM homeward.v_quarantine WHERE reason = 'too-large'").contains("65537"))
    }

    @Test func `the counters add up and the same refusal is counted, not added`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        for _ in 0..<3 { try reader.publish("rubbish") }
        try reader.publish(Payload.report("a"))
        try reader.publish(Payload.report("a", takenAt: "2020-01-01T00:00:00Z"))
        _ = reader.receipt(of: "a")
        #expect(
            eventually {
                stack.metric("homeward_reports_received_total") == 5 && stack.metric("homeward_reports_in_flight") == 0
            })
        #expect(stack.metric("homeward_reports_stored_total") == 1)
        #expect(stack.metric(#"homeward_reports_quarantined_total{reason="malformed"}"#) == 3)
        #expect(
            try stack.query("SELECT reason, times_seen FROM homeward.v_quarantine ORDER BY reason") == [
                ["conflict", "1"], ["malformed", "3"],
            ])
    }

    @Test func `what enrol changed is in force for the next report`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port, device: "dev-0009")
        try reader.publish(Payload.report("a"))
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_quarantine") == "1" })
        let more = stack.directory.appending(path: "more.yaml")
        try """
        devices:
          - { code: dev-0009, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
        """.write(to: more, atomically: true, encoding: .utf8)
        try stack.expectSuccess(stack.run("enrol", "--config", stack.configurationFile.path, more.path))
        try reader.publish(Payload.report("a"))
        #expect(eventually { reader.hasReceipt(of: "a", outcome: "stored") })
    }

    @Test func `SIGTERM drains, acknowledges and exits 0; nothing comes again`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        for number in 0..<500 { while !reader.send(Payload.report("s\(number)")) { reader.serve() } }
        #expect(
            eventually {
                reader.serve()
                return (stack.metric("homeward_reports_received_total") ?? 0) > 0
            })
        #expect(stack.stopDaemon() == 0)
        try stack.startReadyDaemon()
        _ = reader.receipt(of: "s499")
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "500" })
        #expect(stack.metric("homeward_reports_duplicate_total") == 0)
    }

    @Test func `SIGHUP takes good packs and keeps the old ones when the new are bad`() throws {
        let stack = try Stack()
        let packs = stack.directory.appending(path: "protocols")
        let shipped = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "config/protocols")
        try FileManager.default.copyItem(at: shipped, to: packs)
        let settings = try String(contentsOf: stack.configurationFile, encoding: .utf8)
        try (settings + "\nprotocols: \(packs.path)\n")
            .write(to: stack.configurationFile, atomically: true, encoding: .utf8)
        try stack.startReadyDaemon()
        let adult = packs.appending(path: "adult.yaml")
        let text = try String(contentsOf: adult, encoding: .utf8)
        try "nonsense: [".write(to: adult, atomically: true, encoding: .utf8)
        stack.signalDaemon(SIGHUP)
        #expect(eventually { stack.log.contains("the old packs stay in force") })
        let stricter = text.replacing("amber: { at_or_below: 94 }", with: "amber: { at_or_below: 96 }")
        try #require(stricter != text)
        try stricter.write(to: adult, atomically: true, encoding: .utf8)
        stack.signalDaemon(SIGHUP)
        #expect(eventually { stack.log.contains("packs and registry reloaded") })
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("r", readings: #"{"kind":"spo2","value":96,"unit":"%"}"#))
        _ = try reader.receipted("r")
        #expect(try stack.query("SELECT rule, severity FROM homeward.v_alert") == [["spo2-low", "amber"]])
    }

    @Test func `servers that are away at the start are waited for`() throws {
        let stack = try Stack()
        stack.broker.stop()
        try stack.startDaemon()
        #expect(eventually { stack.get("/healthz")?.status == 200 })
        #expect(eventually { stack.get("/readyz")?.status == 503 })
        #expect(stack.get("/readyz")?.body.contains("broker") == true)
        try stack.broker.start()
        #expect(stack.isReady())
        #expect(stack.stopDaemon() == 0)
    }

    @Test func `a message that twice killed the daemon is quarantined unread`() throws {
        let stack = try Stack(environment: ["HOMEWARD_FAILPOINT": "crash:poison-pill", "SWIFT_BACKTRACE": "enable=no"])
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(#"{"id":"x","note":"poison-pill"}"#)
        for _ in 0..<2 {
            #expect(stack.waitForDaemon()?.reason == .uncaughtSignal)
            try stack.startDaemon()
        }
        #expect(
            try eventually {
                try stack.query("SELECT reason, report_id FROM homeward.v_quarantine") == [["crashed", ""]]
            })
        try reader.publish(Payload.report("after"))
        _ = try reader.receipted("after")
    }

    @Test func `a message that killed the daemon kills it no more out of the spool`() throws {
        let postgres = try PrivatePostgres()
        let broker = try PrivateBroker()
        let stack = try Stack(
            environment: ["HOMEWARD_FAILPOINT": "crash:poison-pill", "SWIFT_BACKTRACE": "enable=no"],
            servers: .init(
                broker: broker, postgres: postgres, brokerPort: broker.port,
                databasePort: UInt16(clamping: postgres.port)))
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(#"{"id":"x","note":"poison-pill"}"#)
        #expect(stack.waitForDaemon()?.reason == .uncaughtSignal)
        try stack.startDaemon()
        #expect(stack.waitForDaemon()?.reason == .uncaughtSignal)
        try postgres.stop()
        try stack.startDaemon()
        #expect(eventually { stack.metric("homeward_spool_bytes") ?? 0 > 0 })
        try postgres.start()
        #expect(
            try eventually(within: .seconds(40)) {
                try stack.query("SELECT reason, report_id FROM homeward.v_quarantine") == [["crashed", ""]]
            })
        try reader.publish(Payload.report("after"))
        _ = try reader.receipted("after")
    }

    @Test func `a row that PostgreSQL refuses is bisected out, the rest is stored`() throws {
        let stack = try Stack()
        _ = try stack.query(
            """
            CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF NEW.report_id = 'bad' THEN RAISE EXCEPTION 'no' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
            """)
        _ = try stack.query(
            "CREATE TRIGGER refuse BEFORE INSERT ON homeward.report_key FOR EACH ROW EXECUTE FUNCTION refuse()")
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        for number in 0..<50 { while !reader.send(Payload.report("u\(number)")) { reader.serve() } }
        while !reader.send(Payload.report("bad")) { reader.serve() }
        for number in 50..<100 { while !reader.send(Payload.report("u\(number)")) { reader.serve() } }
        let receipt = try reader.receipted("bad")
        #expect(TestReader.member("reason", of: receipt) == "unstorable")
        _ = reader.receipt(of: "u99")
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "100" })
        #expect(try stack.value("SELECT detail FROM homeward.v_quarantine").contains("23514"))
        #expect(stack.metric(#"homeward_reports_quarantined_total{reason="unstorable"}"#) == 1)
    }

    @Test func `an alert that ends and opens again within one batch is two alerts`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        func report(_ id: String, sequence: Int, second: Int) -> String {
            let taken = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: Double(second - 60)))
            return Payload.report(id, takenAt: taken)
                .replacing(#","readings""#, with: #","seq":\#(sequence),"readings""#)
        }
        try reader.publish(report("g1", sequence: 1, second: 1))
        try reader.publish(report("g3", sequence: 3, second: 3))
        _ = try reader.receipted("g3")
        func gaps() throws -> [String] {
            try stack.query("SELECT state FROM homeward.v_alert WHERE rule = 'sequence-gap' ORDER BY raised_at")
                .compactMap(\.first)
        }
        #expect(try gaps() == ["open"])
        // They wait at the broker and come together: what was missing, and then a new hole.
        #expect(stack.stopDaemon() == 0)
        try reader.publish(report("g2", sequence: 2, second: 4))
        try reader.publish(report("g9", sequence: 9, second: 9))
        try stack.startReadyDaemon()
        _ = try reader.receipted("g9")
        #expect(try gaps() == ["resolved", "open"])
    }
}
