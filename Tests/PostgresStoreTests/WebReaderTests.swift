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
    /// Sessions, lock-out, and what row-level security leaves of the database.
    @Suite struct WebReaderTests {
        private static let password = Array("correct horse battery".utf8)
        private static let secret = Array("12345678901234567890".utf8)
        private let now = Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))

        /// North with P0001 and P0002, south with P0099 and its own reader; a care manager, a lead and a reader of north, a
        /// care manager of south. Each patient has a reading and a red.
        private func ward() throws -> TestDatabase {
            let database = try TestDatabase(devices: 2)
            try database.query(
                """
                INSERT INTO homeward.site (code) VALUES ('south');
                INSERT INTO homeward.patient (code, site) VALUES ('P0099', 2);
                INSERT INTO homeward.device (code, site) VALUES ('dev-0099', 2);
                INSERT INTO homeward.care_manager (code, site)
                VALUES ('cm-01', 1), ('lead-01', 1), ('gp-01', 1), ('cm-99', 2);
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor) VALUES
                    ('site', 'north', 1, '{"name": "North Practice", "timezone": "Europe/Paris"}', 'test', 'test'),
                    ('site', 'south', 1, '{"name": "South Practice"}', 'test', 'test'),
                    ('care-manager', 'cm-01', 1, '{"site": "north"}', 'test', 'test'),
                    ('care-manager', 'lead-01', 1, '{"site": "north", "role": "team-lead"}', 'test', 'test'),
                    ('care-manager', 'gp-01', 1, '{"site": "north", "role": "read-only"}', 'test', 'test'),
                    ('care-manager', 'cm-99', 1, '{"site": "south"}', 'test', 'test'),
                    ('patient', 'P0001', 1, '{"site": "north", "phone": "1"}', 'test', 'test'),
                    ('patient', 'P0099', 1, '{"site": "south", "phone": "99"}', 'test', 'test');
                INSERT INTO homeward.pairing (device, patient, period, version)
                SELECT d.id, d.id, tstzrange('2020-01-01', NULL), 1 FROM homeward.device d;
                """)
            var batch = CommitBatch()
            var southern = report(key(99, "s"), receivedAt: now - .minutes(5))
            southern.site = code("south")
            batch.reports = [report(key(1, "n"), receivedAt: now - .minutes(5)), southern]
            let north = episode(1)
            var south = episode(2, subject: .patient(code("P0099")))
            south.site = code("south")
            south.device = code("dev-0099")
            batch.episodes = [north, south].map { EpisodeChange(episode: $0, isNew: true, events: [event($0)]) }
            batch.outbox = [north, south].map {
                OutboxEntry(alert: $0.id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            }
            _ = try database.store().store(batch.reports.map { claim($0.key) }, batch)
            return database
        }

        /// The code of the account's next step: no test waits half a minute for the next one.
        private func oneTimeCode(_ database: TestDatabase, _ name: String) throws -> String {
            let present = Int64(Date.now.timeIntervalSince1970) / OneTimeCode.stepSeconds
            try database.query(
                "UPDATE homeward.web_account SET totp_last_step = 0 WHERE care_manager = '\(name)'")
            return OneTimeCode.code(secret: Self.secret, step: present)
        }

        private func signIn(_ database: TestDatabase, _ name: String) throws -> SessionToken {
            let accounts = WebAccounts(database.configuration)
            _ = try accounts.add(code(name), password: Self.password, secret: Self.secret, by: "root")
            let outcome = try accounts.signIn(
                SignInAttempt(
                    careManager: name, password: Self.password, oneTimeCode: try oneTimeCode(database, name)))
            guard case .signedIn(let session) = outcome else {
                throw StoreFailure(kind: .poison, message: "not signed in")
            }
            return session
        }

        private func isSignedIn(_ outcome: SignInOutcome) -> Bool {
            if case .signedIn = outcome { true } else { false }
        }

        @Test func aSessionIsItsCareManagersUntilItEnds() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            let viewer = try #require(try reader.viewer(session, isActivity: true))
            #expect(viewer.careManager == code("cm-01") && viewer.site == code("north") && viewer.role == .careManager)
            #expect(viewer.siteName == "North Practice" && viewer.timeZone == "Europe/Paris")
            #expect(
                try database.value(
                    "SELECT count(*) FROM homeward.web_session WHERE encode(token_hash, 'hex') = "
                        + "'\(hexadecimal(session.bytes))'") == "0", "the token itself is not stored")
            let other = try signIn(database, "cm-01")
            try reader.end(session, everywhere: false)
            #expect(try reader.viewer(session, isActivity: true) == nil)
            #expect(try reader.viewer(other, isActivity: true) != nil)
            let third = try signIn(database, "cm-01")
            try reader.end(other, everywhere: true)
            #expect(try reader.viewer(third, isActivity: true) == nil)
            for change in [
                "UPDATE homeward.web_session SET idle_until = now() WHERE ended_at IS NULL",
                "UPDATE homeward.web_session SET expires_at = now() WHERE ended_at IS NULL",
            ] {
                let again = try signIn(database, "cm-01")
                #expect(try reader.viewer(again, isActivity: true) != nil)
                try database.query(change)
                #expect(try reader.viewer(again, isActivity: true) == nil)
                try database.query("UPDATE homeward.web_session SET ended_at = now() WHERE ended_at IS NULL")
            }
            let last = try signIn(database, "cm-01")
            #expect(try isDone(WebAccounts(database.configuration).disable(code("cm-01"), by: "root")))
            #expect(try reader.viewer(last, isActivity: true) == nil)
        }

        private func isDone(_ change: WebAccounts.Change) -> Bool { if case .done = change { true } else { false } }

        @Test func usePutsOffTheIdleEndAndThePageByItselfDoesNot() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            func idle() throws -> String? {
                try database.value("SELECT idle_until > now() + interval '10 minutes' FROM homeward.web_session")
            }
            try database.query("UPDATE homeward.web_session SET idle_until = now() + interval '2 minutes'")
            #expect(try reader.viewer(session, isActivity: false) != nil)
            #expect(try idle() == "f")
            #expect(try reader.viewer(session, isActivity: true) != nil)
            #expect(try idle() == "t")
        }

        @Test func signingInNeedsAllThreeAndLocksOut() throws {
            let database = try ward()
            let accounts = WebAccounts(database.configuration)
            #expect(try isDone(accounts.add(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")))
            guard
                case .thereAlready = try accounts.add(
                    code("cm-01"), password: Self.password, secret: Self.secret, by: "root"),
                case .noSuchCareManager = try accounts.add(
                    code("cm-77"), password: Self.password, secret: Self.secret, by: "root")
            else {
                Issue.record("an account twice, or of nobody")
                return
            }
            func attempt(_ name: String, _ password: [UInt8], _ digits: String) throws -> Bool {
                isSignedIn(
                    try accounts.signIn(SignInAttempt(careManager: name, password: password, oneTimeCode: digits)))
            }
            let digits = try oneTimeCode(database, "cm-01")
            #expect(try !attempt("cm-01", Self.password, "000000x"))
            #expect(try !attempt("cm-01", Array("correct horse batterx".utf8), digits))
            #expect(try !attempt("cm-02", Self.password, digits))
            #expect(try !attempt("", [], ""))
            #expect(try !attempt("cm-01'; --", Self.password, digits))
            #expect(try attempt("cm-01", Self.password, digits))
            #expect(try !attempt("cm-01", Self.password, digits), "a code is taken once")
            for _ in 0..<6 { #expect(try !attempt("cm-01", [1], "")) }
            // Locked out: also with the right ones, and without a count.
            let failures = try database.value("SELECT failures FROM homeward.web_address")
            #expect(try !attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
            #expect(try database.value("SELECT failures FROM homeward.web_address") == failures)
            #expect(
                try database.value(
                    "SELECT locked_until BETWEEN now() AND now() + interval '15 minutes' FROM homeward.web_address")
                    == "t")
            try database.query("UPDATE homeward.web_address SET locked_until = now(), failures = 40")
            #expect(try !attempt("cm-01", [1], ""))
            #expect(
                try database.value("SELECT locked_until <= now() + interval '15 minutes' FROM homeward.web_address")
                    == "t")
            try database.query("UPDATE homeward.web_address SET locked_until = now()")
            #expect(try attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
            #expect(try database.value("SELECT failures FROM homeward.web_address") == "0")
            #expect(try isDone(accounts.disable(code("cm-01"), by: "root")))
            #expect(try !attempt("cm-01", Self.password, try oneTimeCode(database, "cm-01")))
        }

        @Test func aStrangerLocksOutStrangersAndNotWhoComesFromWhereTheyAlwaysDo() throws {
            let database = try ward()
            let accounts = WebAccounts(database.configuration)
            _ = try accounts.add(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")
            func attempt(from address: String, isRight: Bool) throws -> Bool {
                isSignedIn(
                    try accounts.signIn(
                        SignInAttempt(
                            careManager: "cm-01", password: isRight ? Self.password : [1],
                            oneTimeCode: try oneTimeCode(database, "cm-01"), address: address)))
            }
            #expect(try attempt(from: "192.0.2.1", isRight: true))
            // From anywhere, each time another place.
            for number in 0..<8 { #expect(try !attempt(from: "198.51.100.\(number)", isRight: false)) }
            #expect(try database.value("SELECT failures, locked_until > now() FROM homeward.web_account") == "5")
            #expect(try !attempt(from: "203.0.113.1", isRight: true), "a new place waits as well")
            #expect(try attempt(from: "192.0.2.1", isRight: true), "the known one does not")
            #expect(
                try database.query("SELECT address, failures FROM homeward.web_address") == [["192.0.2.1", "0"]],
                "strangers leave no row")
            // What was is forgotten by and by.
            try database.query(
                "UPDATE homeward.web_account SET failed_at = now() - interval '1 hour', locked_until = now()")
            #expect(try !attempt(from: "198.51.100.1", isRight: false))
            #expect(try database.query("SELECT failures, locked_until FROM homeward.web_account") == [["1", nil]])
            #expect(try attempt(from: "203.0.113.1", isRight: true))
            // Their own failures count.
            for _ in 0..<5 { #expect(try !attempt(from: "192.0.2.1", isRight: false)) }
            #expect(try !attempt(from: "192.0.2.1", isRight: true))
            #expect(try attempt(from: "203.0.113.1", isRight: true))
        }

        @Test func aResetEndsSessionsAndForgetsWhereTheyCameFrom() throws {
            let database = try ward()
            let session = try signIn(database, "cm-01")
            let accounts = WebAccounts(database.configuration)
            try database.query("UPDATE homeward.web_account SET disabled_at = now()")
            #expect(
                try isDone(accounts.reset(code("cm-01"), password: Self.password, secret: Self.secret, by: "root")))
            #expect(try WebReader(database.configuration).viewer(session, isActivity: true) == nil)
            #expect(
                try database.query("SELECT disabled_at, failures, locked_until FROM homeward.web_account")
                    == [[nil, "0", nil]])
            #expect(try database.value("SELECT count(*) FROM homeward.web_address") == "0")
            guard
                case .noSuchAccount = try accounts.reset(
                    code("lead-01"), password: Self.password, secret: Self.secret, by: "root")
            else {
                Issue.record("an account of nobody was reset")
                return
            }
        }

        @Test func whatThePageAsksForByItselfIsALookNowAndThen() throws {
            let database = try ward()
            let reader = WebReader(database.configuration)
            let session = try signIn(database, "cm-01")
            func looks() throws -> String? {
                try database.value("SELECT count(*) FROM homeward.read_audit WHERE what = 'worklist'")
            }
            for _ in 0..<3 { #expect(try reader.looker(session, isActivity: false) != nil) }
            #expect(try looks() == "1")
            for _ in 0..<2 { #expect(try reader.looker(session, isActivity: true) != nil) }
            #expect(try looks() == "3")
            try database.query("UPDATE homeward.web_session SET listed_at = now() - interval '11 minutes'")
            #expect(try reader.looker(session, isActivity: false) != nil)
            #expect(try looks() == "4")
            try reader.end(session, everywhere: true)
            try reader.end(session, everywhere: true)
            #expect(
                try database.value("SELECT count(*) FROM homeward.read_audit WHERE what = 'signed-out'") == "1")
            #expect(try reader.looker(session, isActivity: false) == nil)
            #expect(try looks() == "4")
        }

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
                    "SELECT care_manager, what, patient FROM homeward.read_audit ORDER BY id") == [
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
