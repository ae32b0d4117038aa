import Foundation
import TestSupport
import Testing

extension EndToEndTests {
    @Test func `triage lists who must be looked at, says why nobody is green unearned, and show explains`() throws {
        let registry = """
            sites:
              - { code: north, name: North Practice, timezone: Europe/London }
              - { code: south, name: South Practice, timezone: Europe/London }
            care_managers:
              - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
              - { code: cm-02, site: south, name: Care manager 2, webhook: "WEBHOOK" }
            patients:
              - { code: P0001, site: north, key_worker: cm-01, schedule: [ { kinds: [spo2], due: "09:00", days: [mon, tue, wed, thu, fri, sat, sun], early: 2h, grace: 4h } ] }
              - { code: P0002, site: north, key_worker: cm-01, schedule: [ { kinds: [spo2], due: "09:00", days: [mon, tue, wed, thu, fri, sat, sun], early: 2h, grace: 4h } ] }
              - { code: P0003, site: north, key_worker: cm-01, conditions: [anticoagulation] }
              - { code: P0004, site: south, key_worker: cm-02, pauses: [ { from: 2020-01-01, until: 2099-01-01, reason: hospital } ] }
            devices:
              - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
              - { code: dev-0002, site: north, pairings: [ { patient: P0002, from: 2020-01-01T00:00:00Z } ] }
            """
        let stack = try Stack(registry: registry)
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(
            Payload.report("r1", readings: #"{"kind":"spo2","value":90,"unit":"%"}"#),
            topic: "homeward/v1/north/dev-0001/report")
        try reader.publish(
            Payload.report("r2", readings: #"{"kind":"spo2","value":97,"unit":"%"}"#),
            topic: "homeward/v1/north/dev-0002/report")
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "2" })

        let config = stack.configurationFile.path
        let listed = try stack.run("triage", "--config", config)
        #expect(listed.status == 0, "\(listed.errors)")
        let lines = listed.output.split(separator: "\n").map { line in
            line.split(separator: " ").prefix(3).joined(separator: " ")
        }
        #expect(lines == ["RED north P0001", "GREY north P0003", "PAUSED south P0004", "GREEN north P0002"])
        #expect(listed.output.contains("red spo2-low (open)"))
        #expect(listed.output.contains("the protocol pack anticoagulation is not enabled"))
        #expect(listed.output.contains("paused until 2099-01-01 (hospital)"))
        let json = try stack.run("triage", "--config", config, "--site", "south", "--json")
        #expect(json.output.hasPrefix(#"{"site":"south","patient":"P0004","state":"paused","reason":"paused until"#))
        #expect(json.output.contains(#""key_worker":"cm-02""#) && json.output.contains(#""code":"no-schedule""#))
        #expect(try stack.run("triage", "--config", config, "--site", "nowhere").status == 65)
        #expect(try stack.run("triage", "--config", config, "--site", "no where").status == 64)

        try judgesByApprovedPacks(stack)
        // What was refused makes the patient grey until it is repeated.
        try reader.publish(
            Payload.report("r3", readings: #"{"kind":"spo2","value":20,"unit":"%"}"#),
            topic: "homeward/v1/north/dev-0002/report")
        func state(of patient: String) throws -> Substring? {
            try stack.run("triage", "--config", config).output.split(separator: "\n").first { $0.contains(patient) }
        }
        #expect(
            try eventually { try state(of: "P0002")?.hasPrefix("GREY") == true })
        #expect(try state(of: "P0002")?.contains("was refused (implausible)") == true)
        try reader.publish(
            Payload.report("r4", readings: #"{"kind":"spo2","value":97,"unit":"%"}"#),
            topic: "homeward/v1/north/dev-0002/report")
        #expect(try eventually { try state(of: "P0002")?.hasPrefix("GREEN") == true })

        let id = try stack.value("SELECT alert_id FROM homeward.v_alert WHERE rule = 'spo2-low'")
        let shown = try stack.run("alerts", "--config", config, "show", String(id.prefix(8)), "--json")
        for part in [
            #""value_sent":90"#, #""unit_sent":"%""#, #""severity":"red""#, #""pack":"adult""#, #""pack_hash":""#,
            #""joined_untold":0"#, #""suppressed":{"#, #""limit":{"side":"low","value":92"#,
        ] { #expect(shown.output.contains(part), "\(part)") }
        let limited = try stack.run("alerts", "--config", config, "list", "--all", "--limit", "1")
        #expect(limited.output.split(separator: "\n").count == 1)
        #expect(limited.errors.contains("more than 1"))
    }

    /// Another content of a pack than the configured one was approved: it judges, for the command as for the daemon.
    private func judgesByApprovedPacks(_ stack: Stack) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../..")
        let pack = try String(
            contentsOf: root.appending(path: "config/protocols/anticoagulation.yaml").standardized, encoding: .utf8
        ).replacing("enabled: false", with: "enabled: true")
        _ = try stack.query(
            """
            INSERT INTO homeward.pack_content (pack, hash, configured, content)
            SELECT 'anticoagulation', sha256(c), false, c FROM (SELECT convert_to($pack$\(pack)$pack$, 'UTF8')) t (c);
            INSERT INTO homeward.pack_approval (pack, hash, approved_by, note)
            SELECT pack, hash, 'committee', 'x' FROM homeward.pack_content WHERE pack = 'anticoagulation' AND NOT configured
            """)
        let config = stack.configurationFile.path
        let listed = try stack.run("triage", "--config", config)
        #expect(listed.status == 0 && !listed.output.contains("anticoagulation is not enabled"))
        #expect(listed.errors.contains("pack anticoagulation: judged by the content approved last"))
    }
}
