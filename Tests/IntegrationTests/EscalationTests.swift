import Foundation
import TestSupport
import Testing

/// A red that its key worker leaves unanswered, with the built executable and steps of seconds.
@Suite(.serialized) struct EscalationTests {
    private static let lowOxygen = #"{"kind":"spo2","value":80,"unit":"%"}"#

    private static func ward(_ steps: String, hooks: [String: WebhookCatcher]) -> String {
        let people = hooks.keys.sorted().map { code in
            let role = code == "lead" ? ", role: team-lead" : ""
            // Always away: his deputy is told in his place.
            let away = code == "cm-02" ? ", away: [ { from: 2020-01-01, until: 2099-12-31, deputy: cm-03 } ]" : ""
            return "  - { code: \(code), site: north, webhook: \"\(hooks[code]?.url ?? "")\"\(role)\(away) }"
        }
        return """
            sites:
              - { code: north, name: North Practice, timezone: Europe/London }
            care_managers:
            \(people.joined(separator: "\n"))
            patients:
              - { code: P0001, site: north, key_worker: cm-01, conditions: [copd] }
            devices:
              - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
            escalation:
              - { site: north, class: clinical, severity: red, when: always, steps: [ \(steps) ] }
            """
    }

    private func hooks() throws -> [String: WebhookCatcher] {
        var hooks: [String: WebhookCatcher] = [:]
        for code in ["cm-01", "cm-02", "cm-03", "lead"] { hooks[code] = try WebhookCatcher() }
        return hooks
    }

    private static let wait = Duration.seconds(90)

    private func expectTold(_ code: String, _ hooks: [String: WebhookCatcher], _ stack: Stack) {
        #expect(
            eventually(within: Self.wait) { hooks[code]?.bodies.isEmpty == false },
            "\(code) was not told: \(stack.log.suffix(2000))")
    }

    private func alert(_ stack: Stack) throws -> String { try stack.value("SELECT alert_id FROM homeward.v_alert") }

    private func timers(_ stack: Stack) throws -> [[String]] {
        try stack.query(
            "SELECT kind FROM homeward.timer WHERE kind IN ('escalation', 'acknowledgement-end') ORDER BY kind")
    }

    /// Whom each alert was told to, in the order of steps.
    private func told(_ stack: Stack) throws -> [[String]] {
        try stack.query("SELECT recipient FROM homeward.outbox ORDER BY revision, step, recipient")
    }

    @Test func `key worker, team lead and deputy are told through kill -9, and no further than the answer`() throws {
        let hooks = try hooks()
        let stack = try Stack(
            registry: Self.ward(
                "{ to: key-worker, after: 0s }, { to: team-lead, after: 2s }, { to: cm-02, after: 4s }", hooks: hooks))
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("a", readings: Self.lowOxygen))
        expectTold("cm-01", hooks, stack)
        stack.killDaemon()
        try stack.startReadyDaemon()
        expectTold("lead", hooks, stack)
        stack.killDaemon()
        try stack.startReadyDaemon()
        expectTold("cm-03", hooks, stack)
        #expect(hooks["cm-02"]?.bodies.isEmpty == true)
        // Each has heard of the same alert, as it was raised.
        let id = try alert(stack)
        for code in ["cm-01", "lead", "cm-03"] {
            #expect(hooks[code]?.bodies.first?.contains("\"alert\":\"\(id)\"") == true)
            #expect(hooks[code]?.bodies.first?.contains("\"state\":\"open\"") == true)
        }
        let answered = try stack.run("alerts", "--config", stack.configurationFile.path, "ack", id, "--as", "lead")
        #expect(answered.status == 0, "\(answered.errors)")
        // Nothing is left that could tell anybody until its hour is over.
        #expect(try timers(stack) == [["acknowledgement-end"]])
        let steps = try told(stack).map { $0[0] }
        #expect(Set(steps) == ["cm-01", "lead", "cm-03"])
        let history = try stack.run("alerts", "--config", stack.configurationFile.path, "show", id).output
        #expect(history.contains("told lead") && history.contains("cm-03"))
    }

    @Test func `an answer between two steps ends the chain`() throws {
        let hooks = try hooks()
        let stack = try Stack(
            registry: Self.ward(
                "{ to: key-worker, after: 0s }, { to: team-lead, after: 1s }, { to: cm-02, after: 1h }", hooks: hooks))
        try stack.startReadyDaemon()
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("a", readings: Self.lowOxygen))
        expectTold("lead", hooks, stack)
        #expect(try stack.query("SELECT state, escalation_level FROM homeward.v_alert") == [["open", "1"]])
        let id = try alert(stack)
        let answered = try stack.run("alerts", "--config", stack.configurationFile.path, "ack", id, "--as", "lead")
        #expect(answered.status == 0, "\(answered.errors)")
        #expect(try timers(stack) == [["acknowledgement-end"]])
        // An hour later nobody has resolved it: it is told of again, from the first step.
        let first = hooks["cm-01"]?.bodies.count ?? 0
        _ = try stack.query(
            "UPDATE homeward.timer SET due_at = now() WHERE kind = 'acknowledgement-end' RETURNING kind")
        #expect(eventually(within: Self.wait) { hooks["cm-01"]?.bodies.count ?? 0 > first })
        #expect(hooks["cm-01"]?.bodies.last?.contains("Acknowledged, and not resolved in time") == true)
        let resolved = try stack.run(
            "alerts", "--config", stack.configurationFile.path, "resolve", id, "--as", "lead", "--note", "seen at home")
        #expect(resolved.status == 0, "\(resolved.errors)")
        #expect(try timers(stack).isEmpty)
    }
}
