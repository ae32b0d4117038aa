import Foundation
import TestSupport
import Testing

/// Somebody who is signed in, as the database has them; their browser is a socket.
private struct Visitor {
    let stack: Stack
    let cookie: String
    private let formToken: String

    init(_ careManager: String, _ number: Int, _ stack: Stack) throws {
        self.stack = stack
        cookie = String(repeating: "0\(number)", count: 32)
        _ = try stack.query(
            """
            INSERT INTO homeward.web_account (care_manager, password_hash, totp_secret, changed_by)
            VALUES ('\(careManager)', 'none', decode(repeat('00', 20), 'hex'), 'test');
            INSERT INTO homeward.web_session (token_hash, care_manager, idle_until, expires_at)
            VALUES (sha256(decode('\(cookie)', 'hex')), '\(careManager)', now() + interval '1 hour', now() + interval '1 hour')
            """)
        let page = try #require(LoopbackHTTP.ask(port: stack.httpPort, path: "/", cookie: cookie))
        formToken = String(try #require(page.body.firstMatch(of: /name="form" value="([0-9a-f]+)"/)).1)
    }

    func look(_ path: String) throws -> (status: Int, head: String, body: String) {
        try #require(LoopbackHTTP.ask(port: stack.httpPort, path: path, cookie: cookie))
    }

    /// Sends a form; where to it is sent on, else the status.
    func send(_ path: String, _ form: String, once: Int) throws -> String {
        let digits = String(once)
        let number = String(repeating: "0", count: 32 - digits.count) + digits
        let answer = try #require(
            LoopbackHTTP.ask(
                port: stack.httpPort, path: path, cookie: cookie, form: "form=\(formToken)&once=\(number)&\(form)"))
        guard answer.status == 303 else { return "\(answer.status)" }
        return String(answer.head.firstMatch(of: /(?i)location: (\S+)/)?.1 ?? "nowhere")
    }
}

extension EndToEndTests {
    private static let actionWard = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
          - { code: south, name: South Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
          - { code: lead-01, site: north, name: Lead 1, webhook: "WEBHOOK", role: team-lead }
          - { code: gp-01, site: north, name: The practice, webhook: "WEBHOOK", role: read-only }
          - { code: cm-99, site: south, name: Care manager 99, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [copd], schedule: [ { kinds: [spo2], due: "09:00" } ] }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
        """

    @Test func `what care managers do about a patient is done, once, and in force at once`() throws {
        let stack = try Stack(registry: Self.actionWard)
        try stack.startReadyDaemon()
        let visitor = try Visitor("cm-01", 1, stack)
        try typeIn(visitor)
        try survive(visitor)
        try pauseAndEnd(visitor)
        try fixAPairing(visitor)
        try typeForNobody(visitor)
        try replaceAndDischarge(visitor)
        _ = try stack.query(
            "INSERT INTO homeward.information_sharing (patient, care_manager, added_by, word) "
                + "VALUES ('P0001', 'gp-01', 'cm-01', 'the patient''s')")
        for (who, number) in [("gp-01", 2), ("cm-99", 3)] {
            let other = try Visitor(who, number, stack)
            #expect(try other.send("/patients/P0001/calls", "outcome=reached", once: 100 + number) == "404")
            #expect(try other.look("/patients/P0001").status == (who == "gp-01" ? 200 : 404))
        }
        #expect(
            try stack.value(
                "SELECT string_agg(DISTINCT care_manager, ' ') FROM homeward.patient_event") == "cm-01 lead-01")
        #expect(stack.stopDaemon() == 0)
    }

    /// A typed red is a red; what can't be is refused while the patient is on the telephone.
    private func typeIn(_ visitor: Visitor) throws {
        let stack = visitor.stack
        let path = "/patients/P0001/readings"
        let red = "source=carer&value-spo2=84&unit-spo2=%25"
        #expect(try visitor.send(path, red, once: 1) == "/patients/P0001?done=readings")
        #expect(try visitor.send(path, red, once: 1) == "/patients/P0001?done=before")
        #expect(
            try stack.query(
                """
                SELECT device, patient, value::text, status, flags @> '{told-by-carer,typed}' FROM homeward.v_reading
                """) == [["typed-P0001", "P0001", "84", "accepted", "t"]])
        #expect(
            try stack.query("SELECT rule, severity, state, device FROM homeward.v_alert WHERE class = 'clinical'")
                == [["spo2-low", "red", "open", "typed-P0001"]])
        let page = try visitor.look("/patients/P0001").body
        #expect(page.contains("cm-01, told by the carer") && page.contains("Typed in"))
        #expect(try visitor.send(path, "source=patient&value-temperature=98.6&unit-temperature=Cel", once: 2) == "409")
        #expect(
            try visitor.send(path, "source=patient&at=2020-01-01T08%3A00&value-pulse=70&unit-pulse=%2Fmin", once: 3)
                == "409")
        #expect(try stack.value("SELECT count(*) FROM homeward.v_quarantine") == "0")
        #expect(try stack.value("SELECT count(*) FROM homeward.typed_report") == "1")
        #expect(stack.metric("homeward_reports_received_total") == 1)
        #expect(stack.metric("homeward_reports_in_flight") == 0)
    }

    /// What was typed and not taken in when the daemon died is taken in once; a wrong one is marked, and its red stays.
    private func survive(_ visitor: Visitor) throws {
        let stack = visitor.stack
        stack.killDaemon()
        _ = try stack.query(
            """
            INSERT INTO homeward.typed_report (id, site, patient, device, care_manager, source, payload)
            VALUES ('00000000-0000-0000-0000-0000000000ff', 'north', 'P0001', 'typed-P0001', 'cm-01', 'patient',
                convert_to('{"id":"x-1","taken_at":"' || to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
                    || '","readings":[{"kind":"pulse","value":140,"unit":"/min","flags":["typed"]}]}', 'UTF8'))
            """)
        try stack.startReadyDaemon()
        #expect(
            try eventually {
                try stack.value("SELECT outcome FROM homeward.typed_report WHERE source = 'patient'") == "stored"
            })
        #expect(try stack.value("SELECT count(*) FROM homeward.v_reading WHERE kind = 'pulse'") == "1")
        #expect(
            try stack.query("SELECT severity, state FROM homeward.v_alert WHERE rule = 'pulse-high'") == [
                ["red", "open"]
            ])
        let form = "device=typed-P0001&report=x-1&reading=0&reason=misheard"
        #expect(try visitor.send("/patients/P0001/corrections", form, once: 4) == "/patients/P0001?done=marked")
        #expect(
            try stack.query("SELECT status FROM homeward.v_reading WHERE kind = 'pulse'") == [["entered-in-error"]])
        #expect(
            try stack.query("SELECT severity, state FROM homeward.v_alert WHERE rule = 'pulse-high'") == [
                ["red", "open"]
            ])
        #expect(
            try stack.value("SELECT summary FROM homeward.v_alert WHERE rule = 'pulse-high'").contains(
                "entered in error"))
    }

    /// Nothing is due while it lasts; ended, the next window is due again, and both are versions of the entry.
    private func pauseAndEnd(_ visitor: Visitor) throws {
        let stack = visitor.stack
        func days(_ count: Int) throws -> String {
            try stack.value("SELECT ((now() AT TIME ZONE 'Europe/London')::date + \(count))::text")
        }
        func isDue(withinDays count: Int) throws -> Bool {
            try stack.value(
                "SELECT coalesce(bool_or(due_at < now() + interval '\(count) days'), false) FROM homeward.timer "
                    + "WHERE kind = 'due-reading'") == "t"
        }
        #expect(try eventually { try isDue(withinDays: 2) })
        let (from, until) = (try days(0), try days(9))
        let pause = "from=\(from)&until=\(until)&reason=hospital"
        #expect(try visitor.send("/patients/P0001/pauses", pause, once: 20) == "/patients/P0001?done=pauses")
        #expect(try eventually { try !isDue(withinDays: 2) })
        #expect(try visitor.look("/patients/P0001").body.contains("End the pause"))
        let end = "pause=\(from)%2F\(until)&reason=home+again"
        #expect(try visitor.send("/patients/P0001/pauses-end", end, once: 21) == "/patients/P0001?done=pauses-end")
        #expect(try visitor.send("/patients/P0001/pauses-end", end, once: 21) == "/patients/P0001?done=before")
        #expect(try visitor.send("/patients/P0001/pauses-end", end, once: 22) == "409")
        #expect(try eventually { try isDue(withinDays: 2) })
        #expect(!(try visitor.look("/patients/P0001").body.contains("End the pause")))
        #expect(
            try stack.query(
                """
                SELECT actor, reason, fields -> 'pauses' -> 0 ->> 'reason', fields -> 'pauses' -> 0 ->> 'ended' IS NOT NULL
                FROM homeward.registry_entry WHERE code = 'P0001' AND source = 'page' ORDER BY version
                """) == [["cm-01", "hospital", "hospital", "f"], ["cm-01", "home again", "hospital", "t"]])
        #expect(try visitor.look("/patients/P0001/plan").body.contains("home again"))
    }

    /// A report that is held because its reader was nobody's: a lead says whose, and lets it in.
    private func fixAPairing(_ visitor: Visitor) throws {
        let stack = visitor.stack
        let lead = try Visitor("lead-01", 4, stack)
        var reader = try TestReader(port: stack.broker.port)
        let (taken, from, late) = try #require(
            stack.query(
                """
                SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                    to_char((t - interval '1 minute') AT TIME ZONE 'Europe/London', 'YYYY-MM-DD"T"HH24"%3A"MI'),
                    to_char((t + interval '2 minutes') AT TIME ZONE 'Europe/London', 'YYYY-MM-DD"T"HH24"%3A"MI')
                FROM (SELECT now() - interval '3 hours') n (t)
                """
            ).first.map { ($0[0], $0[1], $0[2]) })
        try reader.publish(Payload.report("held-1", takenAt: taken), topic: "homeward/v1/north/dev-0009/report")
        let held = "SELECT id FROM homeward.quarantine WHERE report_id = 'held-1'"
        #expect(try eventually { try !stack.query(held).isEmpty })
        let path = "/quarantine/\(try stack.value(held))"
        #expect(try lead.look(path).body.contains("Fix the pairing"))
        #expect(try visitor.look(path).status == 404)
        let form = "do=pair&reason=rang+her&patient="
        #expect(try visitor.send(path, form + "P0001&from=\(from)", once: 30) == "404")
        #expect(try lead.send(path, form + "P0404&from=\(from)", once: 31) == "422")
        #expect(try lead.send(path, form + "P0001&from=\(late)", once: 32) == "409", "it would begin too late")
        #expect(try lead.send(path, form + "P0001&from=\(from)", once: 33) == "\(path)?done=paired")
        #expect(try lead.send(path, form + "P0001&from=\(from)", once: 34) == "409", "pairings may not overlap")
        #expect(try lead.send(path, "do=release&note=rang+her", once: 35) == "\(path)?done=released")
        #expect(
            try eventually {
                try stack.query(
                    "SELECT patient, received_at - taken_at < interval '1 day' FROM homeward.v_report "
                        + "WHERE report_id = 'held-1'") == [["P0001", "t"]]
            })
        #expect(
            try stack.query("SELECT care_manager, kind, note FROM homeward.patient_event WHERE kind = 'pair-reader'")
                == [["lead-01", "pair-reader", "rang her"]])
    }

    /// Whoever typed it in waits for what becomes of it, also where it is held.
    private func typeForNobody(_ visitor: Visitor) throws {
        let stack = visitor.stack
        _ = try stack.query(
            """
            UPDATE homeward.registry_version SET version = version + 1;
            INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor)
            SELECT entity, code, v.version, jsonb_set(fields, '{pairings,0,from}',
                to_jsonb(to_char(now() AT TIME ZONE 'UTC' - interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))), 'test', 'test'
            FROM homeward.registry_current, homeward.registry_version v WHERE code = 'typed-P0001'
            """)
        let before = try stack.value(
            "SELECT to_char((now() - interval '3 hours') AT TIME ZONE 'Europe/London', 'YYYY-MM-DD\"T\"HH24\"%3A\"MI')")
        let form = "source=patient&at=\(before)&value-pulse=70&unit-pulse=%2Fmin"
        #expect(try visitor.send("/patients/P0001/readings", form, once: 40) == "409")
        #expect(
            try stack.query(
                "SELECT outcome, reason FROM homeward.typed_report WHERE outcome = 'quarantined'")
                == [["quarantined", "unpaired"]])
        #expect(try visitor.look("/patients/P0001").body.contains("unpaired"))
    }

    private func replaceAndDischarge(_ visitor: Visitor) throws {
        let stack = visitor.stack
        let slip = "old=dev-0001&new=dev-0007&reason=broken"
        #expect(try visitor.send("/patients/P0001/readers", slip, once: 50) == "409", "new here: is it right?")
        let replace = slip + "&new-here=dev-0007"
        #expect(try visitor.send("/patients/P0001/readers", replace, once: 5) == "/patients/P0001?done=readers")
        #expect(try visitor.send("/patients/P0001/readers", replace, once: 5) == "/patients/P0001?done=before")
        #expect(try visitor.send("/patients/P0001/readers", replace, once: 6) == "409")
        var reader = try TestReader(port: stack.broker.port)
        // Taken after the change, whatever the seconds that a payload leaves out.
        let after = try stack.value(
            "SELECT to_char(now() AT TIME ZONE 'UTC' + interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        try reader.publish(Payload.report("new-1", takenAt: after), topic: "homeward/v1/north/dev-0007/report")
        try reader.publish(Payload.report("old-1", takenAt: after), topic: "homeward/v1/north/dev-0001/report")
        #expect(
            try eventually {
                try stack.query("SELECT device, patient FROM homeward.v_report WHERE report_id = 'new-1'")
                    == [["dev-0007", "P0001"]]
            })
        #expect(
            try eventually {
                try stack.query("SELECT device, reason FROM homeward.v_quarantine WHERE device = 'dev-0001'")
                    == [["dev-0001", "unpaired"]]
            })
        let end = "because=discharged&reason=moved+away&sure=yes"
        #expect(try visitor.send("/patients/P0001/discharge", end, once: 7) == "/patients/P0001?done=discharge")
        try reader.publish(Payload.report("new-2", takenAt: after), topic: "homeward/v1/north/dev-0007/report")
        #expect(
            try eventually {
                try stack.value("SELECT reason FROM homeward.v_quarantine WHERE device = 'dev-0007'") == "unpaired"
            })
        #expect(
            try stack.query(
                """
                SELECT fields -> 'schedule', fields -> 'discharged' ->> 'because', actor, reason
                FROM homeward.registry_current WHERE code = 'P0001'
                """) == [["[]", "discharged", "cm-01", "moved away"]])
        #expect(
            try visitor.send("/patients/P0001/readings", "source=carer&value-spo2=84&unit-spo2=%25", once: 8) == "409")
        // Somebody has yet to deal with the reds.
        #expect(try visitor.look("/").body.contains("No longer monitored"))
    }
}
