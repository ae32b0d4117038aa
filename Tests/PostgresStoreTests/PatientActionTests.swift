import Alerting
import Clinical
import Cryptography
import Documents
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What is done about patients: once, by who may, of who is there, and kept.
    @Suite struct PatientActionTests {
        private let database: TestDatabase
        private let actions: PatientActions

        init() throws {
            database = try TestDatabase(devices: 0)
            try database.enrol(RegistryChangeTests.ward)
            actions = PatientActions(database.configuration)
        }

        private func event(
            _ kind: String = "call", _ patient: String = "P0001", form: FormID = FormID()
        ) -> PatientEventRequest {
            PatientEventRequest(form: form, patient: code(patient), kind: kind, note: "a note", detail: "{\"a\":\"b\"}")
        }

        private func perform(
            _ event: PatientEventRequest, _ addition: PatientEventAddition? = nil, _ session: SessionToken
        ) throws -> PatientActionOutcome? {
            let answer = try actions.perform(event, also: addition, within: session)
            if case .seen(let outcome) = answer { return outcome }
            return nil
        }

        @Test func whatIsDoneIsKeptOnce() throws {
            let session = try database.session("cm-01")
            let call = event()
            #expect(try perform(call, nil, session) == .done)
            #expect(try perform(call, nil, session) == .doneBefore)
            #expect(
                try database.query(
                    "SELECT site, patient, care_manager, kind, note, detail::text FROM homeward.patient_event")
                    == [["north", "P0001", "cm-01", "call", "a note", "{\"a\": \"b\"}"]])
            #expect(throws: PrivatePostgres.Failure.self) {
                try database.query("DELETE FROM homeward.patient_event")
            }
        }

        @Test(arguments: [("gp-01", "P0001"), ("cm-99", "P0001"), ("cm-01", "P0404")])
        func whoMayNotDoesNothing(who: String, patient: String) throws {
            let session = try database.session(who)
            #expect(try perform(event("call", patient), nil, session) == nil)
            #expect(
                try perform(
                    event("follow-up", patient), .followUp(due: "2999-01-01T09:00", note: "x"), session) == nil)
            #expect(try database.value("SELECT count(*) FROM homeward.patient_event") == "0")
            #expect(try database.value("SELECT count(*) FROM homeward.follow_up") == "0")
        }

        @Test func aFollowUpComesBackWhenItIsDue() throws {
            let session = try database.session("cm-01")
            func local(_ delay: String) throws -> String {
                try #require(
                    try database.value(
                        """
                        SELECT to_char((now() + interval '\(delay)') AT TIME ZONE 'Europe/London', 'YYYY-MM-DD"T"HH24:MI')
                        """))
            }
            let request = event("follow-up")
            #expect(
                try perform(request, .followUp(due: local("2 hours"), note: "weigh again"), session) == .done)
            for delay in ["-2 hours", "2 years"] {
                let outcome = try perform(event("follow-up"), .followUp(due: local(delay), note: "x"), session)
                guard case .refused = outcome else {
                    Issue.record("\(delay) was taken")
                    return
                }
            }
            #expect(
                try database.value(
                    "SELECT due_at - now() BETWEEN interval '118 minutes' AND interval '120 minutes' FROM homeward.follow_up"
                )
                    == "t")
            let triage = TriageReader(database.configuration)
            #expect(try triage.readDesk().followUps.isEmpty)
            try database.query("UPDATE homeward.follow_up SET due_at = now()")
            let due = try triage.readDesk().followUps[code("P0001")]
            #expect(due?.note == "weigh again" && due?.setBy == "cm-01" && due?.id == request.form)
            // Another site's care manager can't end it, nor one who may only look.
            for who in ["cm-99", "gp-01"] {
                #expect(
                    try perform(event("follow-up-done"), .followedUp(request.form), database.session(who)) == nil)
            }
            #expect(try perform(event("follow-up-done", "P0002"), .followedUp(request.form), session) == .doneBefore)
            #expect(try !triage.readDesk().followUps.isEmpty)
            #expect(try perform(event("follow-up-done"), .followedUp(request.form), session) == .done)
            #expect(try perform(event("follow-up-done"), .followedUp(request.form), session) == .doneBefore)
            #expect(try triage.readDesk().followUps.isEmpty)
            #expect(
                try database.value("SELECT string_agg(kind, ' ' ORDER BY at) FROM homeward.patient_event")
                    == "follow-up follow-up-done")
        }

        @Test func aReviewIsKnownToTheWorklist() throws {
            #expect(try perform(event("review"), nil, database.session("cm-01")) == .done)
            #expect(try TriageReader(database.configuration).readDesk().reviews.keys.map(\.description) == ["P0001"])
        }

        @Test func aTypedReportWaitsUntilItIsTakenIn() throws {
            let session = try database.session("cm-01")
            let request = event("typed-reading")
            let addition = PatientEventAddition.typedReport(
                device: code("typed-P0001"), source: "carer", payload: Array("{}".utf8))
            #expect(try perform(request, addition, session) == .done)
            #expect(try perform(request, addition, session) == .doneBefore)
            let store = database.store()
            _ = try store.begin()
            let waiting = try store.waitingReports(sites: nil, limit: 10)
            #expect(waiting.map(\.form) == [request.form] && waiting.first?.payload == Array("{}".utf8))
            #expect(waiting.first?.device == code("typed-P0001") && waiting.first?.site == code("north"))
            #expect(try store.waitingReports(sites: [code("south")], limit: 10).isEmpty)
            #expect(try store.waitingReports(sites: [code("north")], limit: 10).count == 1)
            #expect(try actions.outcome(ofTyped: request.form) == nil)
            try store.note([TypedOutcome(form: request.form, outcome: "quarantined", reason: "implausible")])
            try store.commit()
            let outcome = try actions.outcome(ofTyped: request.form)
            #expect(outcome?.outcome == "quarantined" && outcome?.reason == "implausible")
            _ = try store.begin()
            #expect(try store.waitingReports(sites: nil, limit: 10).isEmpty)
            store.rollback()
        }

        /// Whatever is asked in the page's role, by hand.
        @Test func rowLevelSecurityBindsEveryWrite() throws {
            let session = try database.session("cm-01")
            let looker = try database.session("gp-01")
            func ask(_ sql: String, _ session: SessionToken) throws {
                try database.query(
                    """
                    BEGIN; SET LOCAL homeward.session = '\(hexadecimal(sha256(session.bytes)))';
                    SET LOCAL ROLE homeward_web; \(sql); COMMIT
                    """)
            }
            let event = "INSERT INTO homeward.patient_event (id, site, patient, care_manager, kind) VALUES "
            let id = "gen_random_uuid()"
            try ask("\(event) (\(id), 'north', 'P0001', 'cm-01', 'call')", session)
            for (sql, session) in [
                ("\(event) (\(id), 'north', 'P0001', 'gp-01', 'call')", looker),
                ("\(event) (\(id), 'north', 'P0001', 'lead-01', 'call')", session),
                ("\(event) (\(id), 'south', 'P0001', 'cm-01', 'call')", session),
                ("\(event) (\(id), 'north', 'P0404', 'cm-01', 'call')", session),
                (
                    "INSERT INTO homeward.typed_report (id, site, patient, device, care_manager, source, payload) VALUES "
                        + "(\(id), 'north', 'P0001', 'd', 'gp-01', 'patient', 'x')", looker
                ),
                (
                    "INSERT INTO homeward.follow_up (id, site, patient, due_at, note, set_by) VALUES "
                        + "(\(id), 'north', 'P0001', now(), 'x', 'gp-01')", looker
                ),
                ("UPDATE homeward.typed_report SET outcome = 'stored'", session),
                ("UPDATE homeward.patient_event SET note = 'x'", session),
                ("DELETE FROM homeward.follow_up", session),
                ("INSERT INTO homeward.registry_entry SELECT * FROM homeward.registry_entry", session),
            ] {
                #expect(throws: PrivatePostgres.Failure.self, "\(sql)") { try ask(sql, session) }
            }
            #expect(try database.value("SELECT count(*) FROM homeward.patient_event") == "1")
        }
    }
}
