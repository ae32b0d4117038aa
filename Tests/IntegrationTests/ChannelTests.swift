import Foundation
import TestSupport
import Testing

/// One alert by every channel: real PostgreSQL, broker and mail server, the built executable.
@Suite(.serialized) struct ChannelTests {
    private static func ward(_ worker: String) -> String {
        """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, \(worker) }
          - { code: lead, site: north, role: team-lead, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [copd] }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
        """
    }

    private static func mail(_ port: UInt16) -> [String: String] {
        [
            "HOMEWARD_DELIVERY_SMTP_HOST": "127.0.0.1", "HOMEWARD_DELIVERY_SMTP_PORT": "\(port)",
            "HOMEWARD_DELIVERY_SMTP_FROM": "homeward@example.org",
        ]
    }

    private static let low = #"{"kind":"spo2","value":90,"unit":"%"}"#

    @Test func `a red goes out by webhook, e-mail, text message and to the ward's display`() throws {
        let mail = try PrivateMailServer()
        let hook = try WebhookCatcher()
        let gateway = try WebhookCatcher()
        var environment = Self.mail(mail.port)
        environment["HOMEWARD_DELIVERY_SMS_URL"] = gateway.url
        environment["HOMEWARD_DELIVERY_SMS_BODY"] = #"{"to":"{to}","text":"{text}"}"#
        environment["HOMEWARD_DELIVERY_MQTT_SITES"] = "*"
        let stack = try Stack(
            registry: Self.ward(#"webhook: "WEBHOOK", email: cm-01@example.org, mobile: "+44 7700 900123""#),
            webhook: hook.url, environment: environment)
        try stack.startReadyDaemon()
        let display = try Display(stack.broker)
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("r1", readings: Self.low))
        _ = try reader.receipted("r1")
        #expect(
            try eventually {
                try stack.query("SELECT channel, recipient, state FROM homeward.v_delivery ORDER BY channel") == [
                    ["email", "cm-01", "sent"], ["mqtt", "north", "sent"], ["sms", "cm-01", "sent"],
                    ["webhook", "cm-01", "sent"],
                ]
            })
        let alert = try stack.value("SELECT alert_id FROM homeward.v_alert")
        #expect(hook.bodies.count == 1)
        #expect(gateway.bodies.first?.contains(#"{"to":"+447700900123","text":"RED: SpO2 low, P0001. http://"#) == true)
        #expect(mail.messages.count == 1)
        #expect(mail.messages.first?.replacing("=\r\n", with: "").contains("/alerts/\(alert)") == true)
        #expect(eventually { display.text.contains("\n") })
        #expect(display.text.contains(#""alert":"\#(alert)","site":"north","patient":"P0001""#))
        // What was measured leaves by the webhook alone, which the contract says.
        for text in mail.messages + gateway.bodies + [display.text] { #expect(!text.contains("90 %")) }
        #expect(
            try stack.query("SELECT outcome, count(*) FROM homeward.delivery_attempt GROUP BY 1") == [["sent", "4"]])
        for channel in ["webhook", "email", "sms", "mqtt"] {
            #expect(stack.metric("homeward_deliveries_total{channel=\"\(channel)\",outcome=\"sent\"}") == 1)
        }
        #expect(stack.stopDaemon() == 0)
    }

    @Test func `kill -9 between an e-mail and its record: it is sent again under its Message-ID`() throws {
        let mail = try PrivateMailServer()
        try mail.behave(.holdAnswer)
        // Leases last as long as an attempt may.
        let environment = Self.mail(mail.port).merging(["HOMEWARD_DEADLINES_DELIVERY": "2s"]) { $1 }
        let stack = try Stack(registry: Self.ward("email: cm-01@example.org"), environment: environment)
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("r1", readings: Self.low))
        #expect(eventually { mail.messages.count == 1 })
        stack.killDaemon()
        #expect(try stack.query("SELECT state, attempts FROM homeward.v_delivery") == [["pending", "1"]])
        try mail.behave(.take)
        try stack.startDaemon()
        #expect(
            try eventually(within: .seconds(40)) {
                try stack.value("SELECT state FROM homeward.v_delivery") == "sent"
            })
        #expect(mail.messages.count == 2)
        #expect(Set(mail.messages.map { PrivateMailServer.header("Message-ID", of: $0) }).count == 1)
        #expect(try stack.query("SELECT attempt, outcome FROM homeward.delivery_attempt") == [["2", "sent"]])
    }

    @Test func `a dead channel is a technical alert, which ends when it lives again`() throws {
        let hook = try WebhookCatcher()
        let port = try PrivateBroker.freePort()
        let stack = try Stack(
            registry: Self.ward("email: cm-01@example.org"), webhook: hook.url, environment: Self.mail(port))
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("r1", readings: Self.low))
        #expect(
            try eventually(within: .seconds(60)) {
                try stack.query("SELECT class, severity, state FROM homeward.v_alert WHERE rule = 'channel-dead'") == [
                    ["technical", "amber", "open"]
                ]
            })
        let summary = try stack.value("SELECT summary FROM homeward.v_alert WHERE rule = 'channel-dead'")
        #expect(summary.contains("email by smtp:127.0.0.1:\(port): Couldn't connect to server"))
        #expect(!summary.contains("P0001"))
        // Told by what still lives.
        #expect(eventually { hook.bodies.contains { $0.contains("channel-dead") } })
        #expect(Int(try stack.value("SELECT count(*) FROM homeward.delivery_attempt WHERE dead")) ?? 0 > 0)
    }

    @Test func `enrol refuses whom nothing can reach, and check says what is wrong`() throws {
        let stack = try Stack()
        let file = stack.directory.appending(path: "more.yaml")
        try Self.ward("email: cm-01@example.org").replacing(
            "lead, site: north, role: team-lead", with: "cm-03, site: north"
        )
        .replacing("cm-01", with: "cm-09").replacing("P0001", with: "P0009").replacing("dev-0001", with: "dev-0009")
        .replacing("WEBHOOK", with: "http://127.0.0.1:9/hook")
        .write(to: file, atomically: true, encoding: .utf8)
        let path = stack.configurationFile.path
        let refused = try stack.run("enrol", "--config", path, "--dry-run", file.path)
        #expect(refused.status == 65)
        #expect(refused.errors.contains("an alert of P0009 would reach nobody"))
        #expect(refused.errors.contains("delivery.smtp and delivery.sms not set up"))
        let served = try Stack.run(["enrol", "--config", path, "--dry-run", file.path], environment: Self.mail(25))
        #expect(served.status == 0, "\(served.errors)")
        let text = try String(contentsOf: stack.configurationFile, encoding: .utf8)
        try (text + "\ndelivery:\n  smtp:\n    host: mail.example.org\n    from: h@example.org\n")
            .write(to: stack.configurationFile, atomically: true, encoding: .utf8)
        let line = text.split(separator: "\n", omittingEmptySubsequences: false).count + 3
        let checked = try stack.run("check", "--config", path)
        #expect(checked.status == 78)
        #expect(checked.output.contains("\(path):\(line): delivery.smtp.host: mail.example.org is not this machine"))
    }
}

/// A ward's display: everything under `homeward/v1/+/alerts`, a line each.
private final class Display {
    private let process = Process()
    private let file: URL

    init(_ broker: PrivateBroker) throws {
        file = broker.directory.appending(path: "display")
        try Data().write(to: file)
        process.executableURL = URL(filePath: "/usr/bin/mosquitto_sub")
        process.arguments = [
            "-h", "127.0.0.1", "-p", "\(broker.port)", "-q", "1", "-i", "display", "-t", "homeward/v1/+/alerts",
        ]
        process.standardOutput = try FileHandle(forWritingTo: file)
        try process.run()
        guard eventually({ broker.logged("Sending SUBACK to display") == 1 }) else {
            throw Stack.Failure(description: "the display can't subscribe")
        }
    }

    deinit {
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }

    var text: String { (try? String(contentsOf: file, encoding: .utf8)) ?? "" }
}
