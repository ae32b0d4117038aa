import Foundation
import TestSupport
import Testing

/// `homeward doctor`, `homeward route test` and what the daemon does about coverage and the daily message.
extension EndToEndTests {
    private static func ward(away: String = "", fallback: String = "") -> String {
        """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London\(fallback) }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK"\(away) }
          - { code: adm-1, site: north, name: Administrator, webhook: "WEBHOOK", role: administrator }
        patients:
          - { code: P0001, site: north, key_worker: cm-01 }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
        """
    }

    /// So many days from now, where the ward is.
    private static func day(_ days: Double) -> String {
        var style = Date.ISO8601FormatStyle(timeZone: TimeZone(identifier: "Europe/London") ?? .gmt)
        style = style.year().month().day()
        return Date.now.addingTimeInterval(days * 86_400).formatted(style)
    }

    @Test func `doctor follows a synthetic reading to its alert, apart from people, and calls the heartbeat`() throws {
        let hook = try WebhookCatcher()
        let heartbeat = try WebhookCatcher()
        let stack = try Stack(
            registry: Self.ward(), webhook: hook.url,
            environment: [
                "HOMEWARD_HEARTBEAT_URL": heartbeat.url, "HOMEWARD_DELIVERY_WEBHOOK_SECRET": "a secret of some length",
            ])
        try stack.startReadyDaemon()
        let config = stack.configurationFile.path
        for round in 1...2 {
            let ended = try stack.run("doctor", "--config", config, "--within", "5m")
            #expect(ended.status == 0, "\(ended.output)\(ended.errors)\(stack.log.suffix(3000))")
            for check in ["configuration", "spool", "database", "broker", "coverage", "self-test", "heartbeat"] {
                let line = ended.output.split(separator: "\n").first { $0.contains(" \(check) ") }
                #expect(line?.hasPrefix("ok") == true, "\(check): \(ended.output)")
            }
            #expect(heartbeat.arrivals.count == round)
        }
        #expect(hook.bodies.isEmpty)
        let json = try stack.run("doctor", "--config", config, "--within", "5m", "--json")
        #expect(json.output.contains(#"{"check":"self-test","state":"ok","detail":"the alert of a synthetic reading"#))
        for view in ["v_report", "v_reading", "v_alert", "v_delivery"] {
            #expect(try stack.value("SELECT count(*) FROM homeward.\(view)") == "0", "\(view)")
        }
        #expect(
            try stack.query("SELECT DISTINCT site, state FROM homeward.alert") == [["homeward-self", "resolved"]])
        #expect(try stack.run("alerts", "--config", config, "list", "--all").output == "no alerts\n")
        #expect(stack.metric(#"homeward_alerts_raised_total{class="clinical",severity="red"}"#) == 0)
        #expect(try !stack.run("triage", "--config", config).output.contains("homeward-self"))
        // What happened is sealed, and the heartbeat carries the chain's head off the machine.
        #expect(
            try eventually {
                try stack.query("SELECT homeward.seal_audit()") == [["0"]]
                    && stack.value("SELECT count(*) > 0 FROM homeward.audit_batch") == "t"
            })
        #expect(try stack.run("doctor", "--config", config, "--within", "5m").status == 0)
        let head = try #require(heartbeat.arrivals.last?.auditHead)
        let verified = try stack.run("audit", "verify", "--config", config, "--head", head)
        #expect(verified.status == 0, "\(verified.output)\(verified.errors)")
        #expect(verified.output.hasPrefix("ok: "))
        _ = try stack.query(
            "SET session_replication_role = replica; UPDATE homeward.alert_event SET summary = 'nothing happened'")
        let broken = try stack.run("audit", "verify", "--config", config, "--head", head)
        #expect(broken.status == 65)
        #expect(broken.output.contains("alert_event:"))
        #expect(try stack.run("audit", "verify", "--config", config, "--head", "nonsense").status == 64)
        // As if its transaction had not ended for two hours: no sealing reaches it.
        _ = try stack.query(
            """
            INSERT INTO homeward.read_audit (care_manager, what, sealing_xid, sealing_at)
            VALUES ('cm-01', 'worklist', '18446744073709551614', now() - interval '2 hours')
            """)
        let stuck = try stack.run("doctor", "--config", config, "--within", "5m").output.split(separator: "\n")
        let words = stuck.first { $0.contains(" audit ") }
        #expect(words?.hasPrefix("warning") == true && words?.contains("not sealed for 72") == true, "\(stuck)")
        // Nobody may take what is the self-test's own.
        let file = stack.directory.appending(path: "own.yaml")
        try "sites: [ { code: homeward-self, name: Mine } ]".write(to: file, atomically: true, encoding: .utf8)
        let refused = try stack.run("enrol", "--config", config, file.path)
        #expect(refused.status == 65)
        #expect(refused.errors.contains("are the self-test's own"))
    }

    @Test func `a reading that becomes no alert turns readiness red and tells the technical route at once`() throws {
        let hook = try WebhookCatcher()
        let heartbeat = try WebhookCatcher()
        let stack = try Stack(
            registry: Self.ward(), webhook: hook.url, environment: ["HOMEWARD_HEARTBEAT_URL": heartbeat.url])
        try stack.startReadyDaemon()
        let config = stack.configurationFile.path
        // A daemon that hangs takes no report.
        stack.signalDaemon(SIGSTOP)
        let failed = try stack.run("doctor", "--config", config, "--within", "2s")
        #expect(failed.status == 69, "\(failed.output)")
        #expect(failed.output.contains("no receipt came for the synthetic reading"))
        #expect(hook.bodies.count == 1)
        #expect(hook.bodies.first?.contains(#""rule":"self-test","severity":"red""#) == true)
        // Who was told is not told again at every run.
        #expect(try stack.run("doctor", "--config", config, "--within", "1s").status == 69)
        #expect(hook.bodies.count == 1)
        #expect(heartbeat.arrivals.isEmpty)

        stack.signalDaemon(SIGCONT)
        #expect(
            eventually(within: .seconds(120)) { stack.get("/readyz").map { $0.body.contains("self-test:") } == true },
            "\(stack.log.suffix(2000))")
        #expect(stack.get("/readyz")?.status == 503)
        #expect(
            try eventually(within: .seconds(120)) {
                try stack.query("SELECT class, severity, state FROM homeward.v_alert WHERE rule = 'self-test'") == [
                    ["technical", "red", "open"]
                ]
            })
        let healed = try stack.run("doctor", "--config", config, "--within", "5m")
        #expect(healed.status == 0, "\(healed.output)\(stack.log.suffix(3000))")
        #expect(heartbeat.arrivals.count == 1)
        #expect(eventually(within: .seconds(120)) { stack.get("/readyz")?.status == 200 })
    }

    @Test func `doctor says what is away or wrong, with the status of sysexits`() throws {
        let stack = try Stack(registry: Self.ward())
        let config = stack.configurationFile.path
        // No daemon; the broker goes too.
        stack.broker.stop()
        let away = try stack.run("doctor", "--config", config, "--within", "1s")
        #expect(away.status == 69)
        #expect(away.output.contains("failed   broker"))
        let nowhere = try Stack.run(
            ["doctor", "--config", config],
            environment: ["HOMEWARD_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"])
        #expect(nowhere.status == 69)
        #expect(nowhere.output.contains("failed   database"))
        #expect(try stack.run("doctor", "--config", "/nowhere.yaml").status == 78)
        #expect(try stack.run("doctor", "--config", config, "--within", "soon").status == 64)
    }

    @Test func `a hole in the coming days is found by doctor, by the daemon, by triage and by a dry run`() throws {
        let hook = try WebhookCatcher()
        let (from, until) = (Self.day(3), Self.day(4))
        let stack = try Stack(
            registry: Self.ward(away: ", away: [ { from: \(from), until: \(until) } ]"), webhook: hook.url,
            // An instance of one site is sent its self-test's reading too.
            environment: ["HOMEWARD_SITES": "north"])
        let config = stack.configurationFile.path
        let dry = try stack.run("enrol", "--config", config, "--dry-run", stack.registryFile.path)
        #expect(dry.status == 0)
        let words = "\(from) 00:00"
        #expect(dry.errors.contains("coverage hole at north: from "), "\(dry.errors)")
        #expect(dry.errors.contains(words))
        try stack.startReadyDaemon()
        #expect(
            try eventually(within: .seconds(120)) {
                try stack.query(
                    "SELECT site, class, severity, state FROM homeward.v_alert WHERE rule = 'coverage-hole'")
                    == [["north", "technical", "amber", "open"]]
            }, "\(stack.log.suffix(2000))")
        #expect(
            try stack.value("SELECT summary FROM homeward.v_alert").contains("cm-01 is away until \(until)"))
        let triage = try stack.run("triage", "--config", config)
        #expect(triage.output.hasPrefix("GREY"))
        #expect(triage.output.contains("\(words) an alert would reach nobody"))
        let doctor = try stack.run("doctor", "--config", config, "--within", "5m")
        #expect(doctor.status == 65, "\(doctor.output)")
        #expect(doctor.output.contains("failed   coverage"))
        #expect(doctor.output.contains("ok       self-test"))
        #expect(doctor.output.contains("a clinical red of P0001 would reach nobody: cm-01 is away until \(until)"))
        // Mended, the alert ends by itself.
        let mended = stack.directory.appending(path: "mended.yaml")
        try """
        care_managers:
          - { code: cm-02, site: north, name: Care manager 2, webhook: "\(hook.url)" }
          - { code: cm-01, site: north, away: [ { from: \(from), until: \(until), deputy: cm-02 } ] }
        """.write(to: mended, atomically: true, encoding: .utf8)
        try stack.expectSuccess(stack.run("enrol", "--config", config, mended.path))
        #expect(
            try eventually(within: .seconds(120)) {
                try stack.value("SELECT state FROM homeward.v_alert WHERE rule = 'coverage-hole'") == "resolved"
            }, "\(stack.log.suffix(2000))")
    }

    @Test func `route test prints who would be told, when and how`() throws {
        let registry = """
            sites:
              - { code: north, name: North, timezone: Europe/London, hours: { mon-fri: "08:00-18:00" }, fallback: { email: duty@example.org } }
            care_managers:
              - { code: cm-01, site: north, webhook: "http://127.0.0.1:9/secret", away: [ { from: 2026-12-24, until: 2027-01-02, deputy: cm-02 } ] }
              - { code: cm-02, site: north, webhook: "http://127.0.0.1:9/hook", email: second@example.org, mobile: "+44 7700 900123" }
              - { code: lead, site: north, role: team-lead }
            patients:
              - { code: P0001, site: north, key_worker: cm-01 }
            escalation:
              - { site: north, class: clinical, severity: red, when: always, steps: [ { to: key-worker, after: 0m }, { to: team-lead, after: 15m }, { to: cm-01, after: 30m } ] }
            """
        let stack = try Stack(registry: registry)
        let extra = """

            delivery:
              smtp: { host: 127.0.0.1, port: 2525, from: homeward@example.org, tls: none }
              sms: { url: "http://127.0.0.1:9/send", body: '{"to":"{to}","text":"{text}"}' }
            """
        let handle = try FileHandle(forWritingTo: stack.configurationFile)
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(extra.utf8))
        try handle.close()
        let config = stack.configurationFile.path
        func ask(_ arguments: String...) throws -> Stack.Ended {
            try Stack.run(["route", "test", "--config", config] + arguments)
        }
        let told = try ask("--patient", "P0001", "--at", "2026-12-24T03:00", "--severity", "red")
        #expect(told.status == 0, "\(told.errors)")
        #expect(
            told.output == """
                clinical red of P0001 at north, raised Thu 2026-12-24 03:00 (Europe/London, 2026-12-24T03:00:00Z)
                step 0  +0m  Thu 2026-12-24 03:00  key-worker
                    cm-02 for cm-01, who is away: webhook http://127.0.0.1:9/…, email s…@example.org, sms …123
                step 1  +15m  Thu 2026-12-24 03:15  team-lead
                    nobody: lead has no channel that is set up
                step 2  +15m  Thu 2026-12-24 03:15  cm-01
                    cm-02 for cm-01, who is away: webhook http://127.0.0.1:9/…, email s…@example.org, sms …123
                unanswered  +30m  Thu 2026-12-24 03:30  the chain begins again every 15m; the fallback is told \
                "unanswered": email d…@example.org

                """, "\(told.output)")
        let amber = try ask(
            "--patient", "P0001", "--at", "2026-07-01T10:00:00Z", "--severity", "amber", "--json")
        #expect(amber.status == 0)
        #expect(
            amber.output.hasPrefix(
                #"{"patient":"P0001","site":"north","class":"clinical","severity":"amber","at":"2026-07-01T10:00:00Z","#
                    + #""local":"Wed 2026-07-01 11:00","timezone":"Europe/London","reaches_somebody":true,"steps":["#),
            "\(amber.output)")
        #expect(amber.output.contains(#"{"care_manager":"cm-01","instead_of":null,"channels":[{"channel":"webhook""#))
        #expect(!amber.output.contains("secret"))
        let technical = try ask(
            "--patient", "P0001", "--at", "2026-07-01T10:00", "--severity", "red", "--class", "technical")
        #expect(technical.status == 65)
        #expect(technical.output.contains("NOBODY would be told"))
        for (arguments, status, words) in [
            (["--patient", "P9", "--at", "2026-07-01T10:00", "--severity", "red"], Int32(65), "no patient P9"),
            (["--patient", "P0001", "--at", "soon", "--severity", "red"], 64, "--at: soon is no time"),
            (["--patient", "P0001", "--at", "2026-03-29T01:30", "--severity", "red"], 64, "does not exist"),
            (["--patient", "P0001", "--at", "2026-07-01T10:00", "--severity", "loud"], 64, "--severity"),
        ] {
            let refused = try Stack.run(["route", "test", "--config", config] + arguments)
            #expect(refused.status == status, "\(arguments)")
            #expect(refused.errors.contains(words), "\(refused.errors)")
        }
    }

    @Test func `of two instances one sends the daily message`() throws {
        let hook = try WebhookCatcher()
        let stack = try Stack(registry: Self.ward(), webhook: hook.url)
        try stack.startReadyDaemon()
        let second = Process()
        second.executableURL = try Stack.executable
        second.arguments = ["serve", "--config", stack.configurationFile.path]
        let port = try PrivateBroker.freePort()
        second.environment = ProcessInfo.processInfo.environment.merging([
            "HOMEWARD_BROKER_CLIENT_ID": "second", "HOMEWARD_HTTP_PORT": "\(port)",
            "HOMEWARD_SPOOL_DIRECTORY": stack.directory.appending(path: "second").path,
        ]) { $1 }
        second.standardError = FileHandle.nullDevice
        try second.run()
        defer {
            second.terminate()
            second.waitUntilExit()
        }
        #expect(eventually(within: .seconds(120)) { LoopbackHTTP.get(port: port, path: "/readyz")?.status == 200 })
        let timer = "FROM homeward.timer WHERE kind = 'daily-message'"
        #expect(try eventually(within: .seconds(120)) { try stack.value("SELECT count(*) \(timer)") == "1" })
        // Whatever the day brought before, it is over.
        var reader = try TestReader(port: stack.broker.port)
        try reader.publish(Payload.report("r1", readings: #"{"kind":"spo2","value":97,"unit":"%"}"#))
        _ = try reader.receipted("r1")
        let before = hook.bodies.count
        for round in 1...3 {
            _ = try stack.query("UPDATE homeward.timer SET due_at = now() WHERE kind = 'daily-message'")
            #expect(
                try eventually(within: .seconds(120)) {
                    try stack.value("SELECT due_at > now() \(timer)") == "t" && hook.bodies.count >= before + round
                })
            #expect(hook.bodies.count == before + round)
        }
        #expect(hook.bodies.last?.contains(#""message":"daily","site":"north""#) == true)
        #expect(hook.bodies.last?.contains("working: 1 watched, 1 heard from, 0 not") == true)
    }
}
