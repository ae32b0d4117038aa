import Foundation
import TestSupport
import Testing

/// Confirmation before red, with the built executable. Time passes by moving what the timers' rows say.
@Suite(.serialized) struct ConfirmationTests {
    private static let ward = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [hypertension] }
          - { code: P0002, site: north, key_worker: cm-01, conditions: [hypertension] }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north, can_ask: false, pairings: [ { patient: P0002, from: 2020-01-01T00:00:00Z } ] }
        """

    private func pressure(_ id: String, _ systolic: Int, _ diastolic: Int) -> String {
        Payload.report(
            id,
            readings: #"{"kind":"systolic","value":\#(systolic),"unit":"mm[Hg]"},"#
                + #"{"kind":"diastolic","value":\#(diastolic),"unit":"mm[Hg]"}"#)
    }

    private func moveTimer(to time: String, _ stack: Stack) throws {
        _ = try stack.query(
            "UPDATE homeward.timer SET due_at = \(time) WHERE kind = 'confirmation' RETURNING kind")
    }

    private func alerts(_ stack: Stack) throws -> [[String]] {
        try stack.query("SELECT patient, rule, severity, state FROM homeward.v_alert ORDER BY patient, rule")
    }

    @Test func `silence after kill -9 is red, once, and told`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(registry: Self.ward, webhook: hook.url)
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(pressure("a", 178, 101))
        #expect(try reader.receipted("a").contains(#""repeat_after_minutes":30"#))
        #expect(try alerts(stack) == [["P0001", "systolic-high", "amber", "open"]])
        #expect(eventually { hook.bodies.count == 1 })
        // A daemon that dies before it has recorded a message sends it again.
        #expect(try eventually { try stack.query("SELECT state FROM homeward.v_delivery") == [["sent"]] })
        stack.killDaemon()
        try moveTimer(to: "now() - interval '1 minute'", stack)
        try stack.startReadyDaemon()
        #expect(try eventually { try alerts(stack) == [["P0001", "systolic-high", "red", "open"]] })
        #expect(eventually { hook.bodies.count == 2 })
        #expect(hook.bodies.last?.contains("not repeated within 30 min") == true)
        #expect(try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'confirmation'") == "0")
        #expect(try stack.value("SELECT count(*) FROM homeward.v_delivery") == "2")
        #expect(
            try stack.query("SELECT transition FROM homeward.alert_event ORDER BY revision") == [
                ["opened"], ["worsened"],
            ])
    }

    @Test func `silence is told of while PostgreSQL is away and nothing comes, and recorded once`() throws {
        let hook = try WebhookCatcher()
        let postgres = try PrivatePostgres()
        let broker = try PrivateBroker()
        let stack = try Stack(
            registry: Self.ward, webhook: hook.url,
            servers: .init(
                broker: broker, postgres: postgres, brokerPort: broker.port,
                databasePort: UInt16(clamping: postgres.port)))
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(pressure("a", 178, 101))
        _ = try reader.receipted("a")
        #expect(eventually { hook.bodies.count == 1 })
        // A daemon that dies before it has recorded a message sends it again.
        #expect(try eventually { try stack.query("SELECT state FROM homeward.v_delivery") == [["sent"]] })
        stack.killDaemon()
        try moveTimer(to: "now() + interval '8 seconds'", stack)
        try stack.startReadyDaemon()
        // Between two batches it has looked at what waits.
        for id in ["b", "c"] {
            try reader.publish(Payload.report(id))
            _ = try reader.receipted(id)
        }
        try postgres.stop()
        #expect(eventually(within: .seconds(60)) { hook.bodies.count == 2 })
        #expect(hook.bodies.last?.contains(#""severity":"red""#) == true)
        try postgres.start()
        #expect(
            try eventually(within: .seconds(40)) {
                try alerts(stack) == [["P0001", "systolic-high", "red", "open"]]
                    && stack.query("SELECT state FROM homeward.v_delivery") == [["sent"], ["sent"]]
            })
        #expect(try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'confirmation'") == "0")
        #expect(hook.bodies.count == 2)
    }

    @Test func `a normal repeat leaves it unconfirmed, a reader that can't ask waits for nothing`() throws {
        let stack = try Stack(registry: Self.ward)
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(pressure("a", 178, 101))
        _ = try reader.receipted("a")
        // Reports of one instant have no order of their own.
        let later = ISO8601DateFormatter().string(from: Date(timeIntervalSinceNow: 2))
        let normal = pressure("b", 150, 88)
        let taken = try #require(TestReader.member("taken_at", of: normal))
        try reader.publish(normal.replacing(taken, with: later))
        _ = try reader.receipted("b")
        #expect(try alerts(stack) == [["P0001", "systolic-high", "amber", "open"]])
        #expect(
            try stack.value("SELECT summary FROM homeward.v_alert").contains("not confirmed, 178 mmHg then 150 mmHg"))
        #expect(try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'confirmation'") == "0")
        var mute = try TestReader(port: stack.broker.port, device: "dev-0002")
        try mute.publish(pressure("c", 178, 101))
        _ = try mute.receipted("c")
        #expect(try alerts(stack).last == ["P0002", "systolic-high", "red", "open"])
    }
}
