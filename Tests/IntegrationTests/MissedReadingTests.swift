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
