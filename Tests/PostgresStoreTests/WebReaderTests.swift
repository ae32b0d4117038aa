import Alerting
import Clinical
import Cryptography
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What row-level security leaves of the database, and what is read of it.
    @Suite struct WebReaderTests: WebWard {
        @Test func aVeryLongHistoryIsReadInParts() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            try database.query(
                """
                INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, actor, summary, explanation)
                SELECT id, n, CASE WHEN n % 10 = 0 THEN 'worsened' ELSE 'joined' END, 'red', now(), 'homeward', 'event ' || n,
                    '{}'
                FROM homeward.alert, generate_series(2, 3000) n WHERE subject = 'P0001'
                """)
            guard case .seen(let stored) = try reader.patient(code("P0001"), days: 7, session) else {
                Issue.record("P0001 is not there")
                return
            }
            let file = try #require(stored.alerts.first)
            #expect(file.events.count <= 44 && file.hasOlderEvents && file.joined == 1000)
            #expect(file.events.first?.revision == 1 && file.events.last?.revision == 3000)
            #expect(file.events.contains { $0.report != nil }, "why it was raised")
            var before: Int32?
            var seen = 0
            while true {
                guard case .seen(let part) = try reader.history(of: file.episode.id, before: before, session) else {
                    Issue.record("no history")
                    return
                }
                seen += part.events.count
                before = part.events.last?.revision
                guard part.hasOlder else { break }
            }
            #expect(seen == 3000 && before == 1)
            guard case .notThere = try reader.history(of: episode(2).id, before: nil, session) else {
                Issue.record("another site's history is there")
                return
            }
        }

        @Test func minorAlertsAreThoseOfTheSiteThatAreNoClinicalAmberOrRed() throws {
            let database = try ward()
            var batch = CommitBatch()
            let technical = episode(3, subject: .device(code("dev-0001")), rule: "battery-low", severity: .amber)
            let info = episode(4, rule: "note", severity: .info)
            var foreign = episode(5, subject: .device(code("dev-0099")), rule: "battery-low", severity: .amber)
            foreign.site = code("south")
            foreign.device = code("dev-0099")
            batch.episodes = [technical, info, foreign].map { episode in
                var episode = episode
                if episode.rule == "battery-low" { episode.alertClass = .technical }
                return EpisodeChange(episode: episode, isNew: true, events: [event(episode)])
            }
            _ = try database.store().store([], batch)
            let session = try signIn(database, "cm-01")
            guard case .seen((_, let list)) = try WebReader(database.configuration).minorAlerts(session) else {
                Issue.record("signed out")
                return
            }
            #expect(Set(list.map(\.id)) == [technical.id, info.id])
            let desk = AlertDesk(database.configuration)
            let actor = AlertActor(account: "cm-01", careManager: code("cm-01"))
            func acknowledge(_ number: UInt64) throws -> AlertActionRefusal? {
                let result = try desk.act(
                    .acknowledge, on: episode(number).id, by: actor, note: nil, seen: nil, within: session,
                    minorOnly: true, at: now)
                if case .failure(let refusal) = result { return refusal }
                return nil
            }
            #expect(try acknowledge(1) == .notMinor)
            #expect(try acknowledge(3) == nil && acknowledge(4) == nil)
            // A red is handed over to one of the site who may act, and to nobody else.
            for (name, refusal) in [
                ("gp-01", AlertActionRefusal.noSuchCareManager), ("cm-99", .noSuchCareManager),
                ("cm-77", .noSuchCareManager),
                ("lead-01", nil),
            ] as [(String, AlertActionRefusal?)] {
                let result = try desk.act(
                    .take, on: episode(1).id, by: AlertActor(account: "cm-01", careManager: code(name)),
                    note: "off at two",
                    seen: nil, within: session, handingTo: code(name), at: now)
                if case .failure(let found) = result { #expect(found == refusal) } else { #expect(refusal == nil) }
            }
            #expect(
                try database.query(
                    "SELECT actor, explanation ->> 'account' FROM homeward.alert_event WHERE transition = 'taken'")
                    == [["lead-01", "cm-01"]])
        }

        @Test func anotherSitesPatientIsNotThere() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            #expect(try reader.looker(session, isActivity: true) != nil)
            let visible = try #require(try reader.visible(session, withPatients: true))
            #expect(visible.patients == [code("P0001"), code("P0002")])
            #expect(try reader.visible(session, withPatients: false)?.patients == nil)
            guard case .seen(let stored) = try reader.patient(code("P0001"), days: 7, session) else {
                Issue.record("P0001 is not there")
                return
            }
            #expect(stored.readings.count == 3 && stored.alerts.count == 1 && stored.devices.count == 1)
            #expect(
                stored.alerts.first?.events.count == 1 && stored.alerts.first?.told == ["cm-01 by webhook: pending"])
            for other in ["P0099", "P0000"] {
                guard case .notThere = try reader.patient(code(other), days: 7, session) else {
                    Issue.record("\(other) is there")
                    return
                }
            }
            guard case .notThere = try reader.alert(episode(2).id, session),
                case .seen = try reader.alert(episode(1).id, session)
            else {
                Issue.record("another site's alert is there")
                return
            }
            #expect(
                try database.query(
                    "SELECT care_manager, what, patient FROM homeward.read_audit WHERE what <> 'refused-patient' ORDER BY id"
                ) == [
                    ["cm-01", "signed-in", nil], ["cm-01", "worklist", nil], ["cm-01", "patient", "P0001"],
                    ["cm-01", "alert", "P0001"],
                ])
        }

        /// Whatever is asked of the database in the page's role: by hand, of every table that the role may read.
        @Test func rowLevelSecurityBindsEveryQuery() throws {
            let database = try ward()
            let session = try signIn(database, "cm-01")
            func ask(_ sql: String, _ session: SessionToken?) throws -> [[String?]] {
                let name = session.map { hexadecimal(sha256($0.bytes)) } ?? ""
                return try database.query(
                    "BEGIN; SET LOCAL homeward.session = '\(name)'; SET LOCAL ROLE homeward_web; \(sql); COMMIT")
            }
            let tables = try database.query(
                """
                SELECT c.relname FROM pg_class c WHERE relnamespace = 'homeward'::regnamespace AND relkind IN ('r', 'p', 'v')
                    AND has_table_privilege('homeward_web', c.oid, 'SELECT') ORDER BY 1
                """
            ).compactMap { $0.first ?? nil }
            #expect(tables.contains("reading") && tables.contains("v_alert") && tables.count > 20)
            let open: Set<String> = ["kind", "unit", "registry_version"]
            for table in tables {
                let mine = try ask("SELECT t::text FROM homeward.\(table) t", session).compactMap { $0.first ?? nil }
                #expect(
                    !mine.contains { $0.contains("south") || $0.contains("P0099") || $0.contains("dev-0099") },
                    "\(table)")
                if !open.contains(table) {
                    #expect(
                        try ask("SELECT count(*) FROM homeward.\(table)", nil) == [["0"]], "\(table) without a session")
                }
            }
            for table in ["patient", "reading", "alert", "alert_event", "outbox", "registry_entry", "report", "device"]
            {
                #expect(try ask("SELECT count(*) > 0 FROM homeward.\(table)", session) == [["t"]], "\(table)")
            }
            for refused in [
                "SELECT * FROM homeward.web_account", "SELECT * FROM homeward.web_session",
                "SELECT * FROM homeward.reading_default", "UPDATE homeward.alert SET revision = revision",
                "UPDATE homeward.alert SET state = 'resolved'", "DELETE FROM homeward.read_audit",
                "INSERT INTO homeward.read_audit (care_manager, site, what) VALUES ('lead-01', 'north', 'patient')",
                "INSERT INTO homeward.read_audit (care_manager, site, patient, what) VALUES ('cm-01', 'north', 'P0099', 'patient')",
                "INSERT INTO homeward.alert_event SELECT * FROM homeward.alert_event",
            ] {
                #expect(throws: PrivatePostgres.Failure.self, "\(refused)") { try ask(refused, session) }
            }
        }

        @Test func onlyWhoMayActActsAndOnlyOnTheirSitesAlerts() throws {
            let database = try ward()
            let desk = AlertDesk(database.configuration)
            func act(_ name: String, _ number: UInt64) throws -> Bool {
                let actor = AlertActor(account: name, careManager: code(name))
                let session = try signIn(database, name)
                return try desk.act(
                    .acknowledge, on: episode(number).id, by: actor, note: nil, seen: 1, within: session, at: now)
                    != nil
            }
            #expect(try !act("gp-01", 1))
            #expect(try !act("cm-99", 1))
            #expect(try !act("cm-01", 2))
            #expect(try database.value("SELECT count(*) FROM homeward.alert WHERE state <> 'open'") == "0")
            #expect(try act("cm-01", 1))
            #expect(try database.value("SELECT acknowledged_by FROM homeward.alert WHERE state <> 'open'") == "cm-01")
        }

        @Test func aReadingIsCorrectedByWhoMay() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            func sight(_ name: String, _ patient: String, _ device: Int, _ report: String) throws -> Bool {
                let request = CorrectionRequest(
                    patient: code(patient), key: key(device, report), place: 0, reason: "cuff")
                if case .seen = try reader.corrector(request, try signIn(database, name)) { return true }
                return false
            }
            #expect(try sight("cm-01", "P0001", 1, "n"))
            #expect(try !sight("gp-01", "P0001", 1, "n"))
            #expect(try !sight("cm-01", "P0002", 1, "n"))
            #expect(try !sight("cm-01", "P0099", 99, "s"))
            #expect(try !sight("cm-99", "P0001", 1, "n"))
        }
    }
}
