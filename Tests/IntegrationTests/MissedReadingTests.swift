import Foundation
import TestSupport
import Testing

/// Schedules and missed readings, with the built executable. Time passes by moving what the timers' rows say.
@Suite(.serialized) struct MissedReadingTests {
    private static func ward(patients: Int) -> String {
        let slot = #"{ kinds: [spo2], due: "09:00" }"#
        let people = (1...patients).map {
            "  - { code: P000\($0), site: north, key_worker: cm-01, schedule: [ \(slot) ] }"
        }
        return """
            sites:
              - { code: north, name: North Practice, timezone: Europe/London }
            care_managers:
              - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
            patients:
            \(people.joined(separator: "\n"))
            devices:
              - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
            """
    }

    /// As if the schedule had been in force for years and its window closed a minute ago.
    private func letItBeDue(_ stack: Stack, patients: Int) throws {
        #expect(
            try eventually {
                try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'due-reading'") == "\(patients)"
            })
        _ = try stack.query(
            """
            UPDATE homeward.timer SET due_at = now() - interval '1 minute',
                payload = jsonb_set(payload, '{since_us}', '0') WHERE kind = 'due-reading' RETURNING kind
            """)
    }

    @Test func `a missed reading is an amber, and its message`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(registry: Self.ward(patients: 1), webhook: hook.url)
        try stack.startReadyDaemon()
        try letItBeDue(stack, patients: 1)
        #expect(
            try eventually(within: .seconds(30)) {
                try stack.query("SELECT patient, class, rule, severity, state FROM homeward.v_alert") == [
                    ["P0001", "clinical", "missed-reading", "amber", "open"]
                ]
            })
        #expect(try stack.value("SELECT summary FROM homeward.v_alert").contains("at 09:00, not measured between"))
        #expect(eventually { hook.bodies.count == 1 })
        #expect(hook.bodies.first?.contains(#""rule":"missed-reading""#) == true)
        // The next one is in the future.
        let waiting = "SELECT count(*) FROM homeward.timer WHERE kind = 'due-reading' AND due_at > now()"
        #expect(try stack.value(waiting) == "1")
    }

    @Test func `an absence of Homeward is told once, and what was due meanwhile waits`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(registry: Self.ward(patients: 2), webhook: hook.url)
        try stack.startReadyDaemon()
        #expect(
            try eventually {
                try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'due-reading'") == "2"
                    && stack.value("SELECT count(*) FROM homeward.instance_alive") == "1"
            })
        #expect(stack.stopDaemon() == 0)
        // As if it had been down for an hour, over the end of a window.
        _ = try stack.query(
            """
            UPDATE homeward.timer SET due_at = now() - interval '1 minute',
                payload = jsonb_set(payload, '{since_us}', '0') WHERE kind = 'due-reading' RETURNING kind
            """)
        let then = try stack.value(
            """
            UPDATE homeward.instance_alive SET alive_at = now() - interval '1 hour'
            RETURNING to_char(alive_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
            """)
        let mark = stack.spool.appending(path: "alive")
        #expect(FileManager.default.fileExists(atPath: mark.path))
        try then.write(to: mark, atomically: true, encoding: .utf8)
        try stack.startReadyDaemon()
        #expect(
            try eventually {
                try stack.query("SELECT class, rule, severity, state FROM homeward.v_alert ORDER BY rule") == [
                    ["technical", "homeward-away", "amber", "open"], ["clinical", "patients-unseen", "amber", "open"],
                ]
            })
        #expect(
            try stack.value("SELECT summary FROM homeward.v_alert WHERE class = 'technical'")
                .contains("Homeward was down for 6"))
        #expect(
            try stack.value("SELECT summary FROM homeward.v_alert WHERE class = 'clinical'")
                .contains("2 patients could not be seen"))
        // The commit thread has gone on, and nobody was called missing: the readers have their time to come back.
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("after"))
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "1" })
        #expect(try stack.value("SELECT count(*) FROM homeward.v_alert WHERE rule LIKE 'missed%'") == "0")
        #expect(
            try stack.value("SELECT count(*) FROM homeward.timer WHERE kind = 'due-reading' AND due_at < now()")
                == "2")
        // A short stop is not told of.
        #expect(stack.stopDaemon() == 0)
        try stack.startReadyDaemon()
        try reader.publish(Payload.report("again"))
        #expect(try eventually { try stack.value("SELECT count(*) FROM homeward.v_report") == "2" })
        #expect(try stack.value("SELECT count(*) FROM homeward.v_alert") == "2")
    }

    @Test func `the burden of a day is reported as text, table and JSON`() throws {
        let stack = try Stack(registry: Self.ward(patients: 1))
        let alert = "00000000-0000-0000-0000-000000000001"
        _ = try stack.query(
            """
            WITH raised AS (
                INSERT INTO homeward.alert (id, subject_type, subject, site, rule, class, severity, state, late, raised_at,
                    escalation_level, summary, revision, acknowledged_at, acknowledged_by)
                VALUES ('\(alert)', 'patient', 'P0001', 'north', 'spo2-low', 'clinical', 'red', 'acknowledged', false,
                    now() - interval '1 minute', 0, 's', 2, now(), 'cm-01') RETURNING id, raised_at
            )
            INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, actor, summary, explanation)
            SELECT id, 2, 'acknowledged', 'red', raised_at + interval '30 seconds', 'cm-01', 's', '{}' FROM raised
            RETURNING alert
            """)
        func report(_ more: String...) throws -> Stack.Ended {
            try Stack.run(
                [
                    "report", "burden", "--config", stack.configurationFile.path, "--since", "2020-01-01", "--until",
                    "2099-01-01",
                ] + more)
        }
        let text = try report()
        #expect(text.status == 0, "\(text.errors)")
        #expect(text.output.contains("1 patients") && text.output.contains("spo2-low") && text.output.contains("100 %"))
        let json = try report("--json", "--site", "north")
        #expect(json.output.contains(#""rule":"spo2-low","class":"clinical","alerts":1,"red":1,"amber":0"#))
        #expect(json.output.contains(#""acknowledge_median_seconds":30"#))
        #expect(json.output.contains(#""resolve_median_seconds":null"#))
        #expect(json.output.contains(#""care_manager":"cm-01","told":0"#))
        let table = try report("--format", "csv").output.split(separator: "\n", omittingEmptySubsequences: false)
        let columns = table[0].split(separator: ",", omittingEmptySubsequences: false).count
        #expect(table[0].hasPrefix("row,name,class,alerts,red,amber,per_patient_week,acknowledged_share"))
        #expect(table.contains { $0.hasPrefix("rule,spo2-low,clinical,1,1,0,") })
        #expect(
            table.filter { !$0.isEmpty }.allSatisfy {
                $0.split(separator: ",", omittingEmptySubsequences: false).count == columns
            })
        #expect(try report("--site", "nowhere").status == 65)
        #expect(try report("--site", "no where").status == 64)
        #expect(
            try stack.run(
                "report", "burden", "--config", stack.configurationFile.path, "--since", "soon", "--until", "2099-01-01"
            ).status == 64)
    }

    @Test func `several of a site are one message`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(registry: Self.ward(patients: 5), webhook: hook.url)
        try stack.startReadyDaemon()
        try letItBeDue(stack, patients: 5)
        #expect(
            try eventually(within: .seconds(30)) {
                try stack.query("SELECT rule, count(*) FROM homeward.v_alert GROUP BY rule ORDER BY rule") == [
                    ["missed-reading", "5"], ["missed-readings", "1"],
                ]
            })
        #expect(eventually { hook.bodies.count == 1 })
        #expect(hook.bodies.first?.contains("5 patients have missed a reading that was due: P0001, P0002") == true)
        #expect(try stack.value("SELECT count(*) FROM homeward.v_delivery") == "1")
    }
}
