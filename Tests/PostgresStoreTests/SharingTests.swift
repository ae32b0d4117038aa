import Alerting
import Clinical
import Documents
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// Who may see a patient, who looked, and what leads approve, of the database in the page's role.
    @Suite struct SharingTests {
        /// A ward with a reading, an answer and an alert of each patient.
        private func ward() throws -> LeadWard {
            let ward = try LeadWard()
            let patients = [
                ("P0001", "dev-0001", "north"), ("P0002", "dev-0002", "north"), ("P0099", "dev-0099", "south"),
            ]
            for (patient, device, site) in patients {
                try ward.database.query(
                    """
                    WITH ids AS (
                        SELECT d.id AS device, p.id AS patient, s.id AS site FROM homeward.device d, homeward.patient p,
                            homeward.site s
                        WHERE d.code = '\(device)' AND p.code = '\(patient)' AND s.code = '\(site)'
                    ), r AS (
                        INSERT INTO homeward.reading (value, value_sent, taken_at, received_at, device, patient, site, place,
                            kind, flags, report_id)
                        SELECT 91, 91, now() - interval '1 hour', now() - interval '1 hour', device, patient, site, 0, 5, 0, 'r1'
                        FROM ids
                    )
                    INSERT INTO homeward.answer (taken_at, received_at, device, patient, site, place, value_type, report_id,
                        question, value)
                    SELECT now() - interval '1 hour', now() - interval '1 hour', device, patient, site, 0, 'text', 'r1',
                        'note', '=1+1' FROM ids
                    """)
            }
            var batch = CommitBatch()
            batch.episodes = [("P0001", "north", 1), ("P0002", "north", 2), ("P0099", "south", 3)].map {
                patient, site, number in
                var alert = episode(UInt64(number), subject: .patient(code(patient)))
                alert.site = code(site)
                return EpisodeChange(episode: alert, isNew: true, events: [event(alert)])
            }
            _ = try ward.database.store().store([], batch)
            return ward
        }

        @Test func whoMayOnlyLookSeesWhomTheyWereSelectedFor() throws {
            let ward = try ward()
            let reader = WebReader(ward.database.configuration)
            let (gp, lead) = (try ward.signIn("gp-01"), try ward.signIn("lead-01"))
            func visible() throws -> Set<Identifier> {
                try #require(reader.visible(gp, withPatients: true)?.patients)
            }
            func sees(_ patient: String) throws -> Bool {
                if case .seen = try reader.patient(code(patient), days: 7, gp) { true } else { false }
            }
            #expect(try visible().isEmpty)
            #expect(try !sees("P0001"))
            guard case .seen(true) = try reader.share(code("P0001"), with: code("gp-01"), word: "herself", lead),
                case .seen(false) = try reader.share(code("P0001"), with: code("gp-01"), word: "again", lead)
            else {
                Issue.record("not selected, or twice")
                return
            }
            #expect(try visible() == [code("P0001")])
            #expect(try sees("P0001"))
            #expect(try !sees("P0002") && !sees("P0099"))
            // Of every table that the page may read there is nothing of anybody else.
            let tables = try ward.database.query(
                """
                SELECT c.relname FROM pg_class c WHERE relnamespace = 'homeward'::regnamespace
                    AND relkind IN ('r', 'p', 'v') AND has_table_privilege('homeward_web', c.oid, 'SELECT') ORDER BY 1
                """
            ).compactMap { $0.first ?? nil }
            #expect(tables.contains("information_sharing") && tables.contains("quarantine_release"))
            let other = try #require(try ward.database.value("SELECT id FROM homeward.patient WHERE code = 'P0002'"))
            for table in tables {
                let rows = try ward.ask("SELECT t::text FROM homeward.\(table) t", gp).compactMap { $0.first ?? nil }
                #expect(
                    !rows.contains { $0.contains("P0002") || $0.contains("P0099") || $0.contains("dev-0002") },
                    "\(table)")
            }
            for table in ["reading", "answer"] {
                #expect(try ward.ask("SELECT count(*) FROM homeward.\(table) WHERE patient = \(other)", gp) == [["0"]])
                #expect(try ward.ask("SELECT count(*) FROM homeward.\(table)", gp) == [["1"]], "\(table)")
            }
            #expect(try ward.ask("SELECT subject FROM homeward.alert", gp) == [["P0001"]])

            guard case .seen(let file) = try reader.sharing(of: code("P0001"), gp), let row = file.rows.first else {
                Issue.record("who may see is not there")
                return
            }
            #expect(row.word == "herself" && row.addedBy == "lead-01" && file.team.map(\.code).contains("cm-01"))
            guard case .seen(true) = try reader.endSharing(row.id, of: code("P0001"), reason: "moved", lead),
                case .seen(false) = try reader.endSharing(row.id, of: code("P0001"), reason: "moved", lead)
            else {
                Issue.record("not ended, or twice")
                return
            }
            #expect(try visible().isEmpty)
            #expect(
                try ward.database.query("SELECT ended_by, end_reason FROM homeward.information_sharing")
                    == [["lead-01", "moved"]])
        }

        @Test func onlyALeadSelectsAndOnlyProfessionalsOfTheSite() throws {
            let ward = try ward()
            let reader = WebReader(ward.database.configuration)
            let insert = "INSERT INTO homeward.information_sharing (patient, care_manager, added_by, word) VALUES "
            for name in ["cm-01", "gp-01", "lead-99", "gp-99"] {
                let session = try ward.signIn(name)
                guard case .notThere = try reader.share(code("P0001"), with: code("gp-01"), word: "x", session) else {
                    Issue.record("\(name) selects")
                    return
                }
                #expect(throws: PrivatePostgres.Failure.self, "\(name)") {
                    try ward.ask(insert + "('P0001', 'gp-01', '\(name)', 'x')", session)
                }
            }
            let lead = try ward.signIn("lead-01")
            for who in ["gp-99", "cm-01", "nobody"] {
                guard case .seen(false) = try reader.share(code("P0001"), with: code(who), word: "x", lead) else {
                    Issue.record("\(who) is selected")
                    return
                }
                #expect(throws: PrivatePostgres.Failure.self, "\(who)") {
                    try ward.ask(insert + "('P0001', '\(who)', 'lead-01', 'x')", lead)
                }
            }
            for values in ["('P0099', 'gp-01', 'lead-01', 'x')", "('P0001', 'gp-01', 'cm-01', 'x')"] {
                #expect(throws: PrivatePostgres.Failure.self, "\(values)") { try ward.ask(insert + values, lead) }
            }
            #expect(try ward.database.value("SELECT count(*) FROM homeward.information_sharing") == "0")
        }

        // MARK: Looks

        @Test func theAuditIsSearchedByPatientPersonAndDay() throws {
            let ward = try ward()
            let reader = WebReader(ward.database.configuration)
            _ = try reader.patient(code("P0001"), days: 7, try ward.signIn("cm-01"))
            _ = try reader.patient(code("P0099"), days: 7, try ward.signIn("lead-99"))
            try ward.database.query(
                """
                INSERT INTO homeward.read_audit (at, care_manager, site, patient, what)
                SELECT now() - interval '9 days', 'cm-02', 'north', 'P0002', 'patient' FROM generate_series(1, 450)
                """)
            func search(_ name: String, _ search: AuditSearch) throws -> AuditFile? {
                if case .seen(let file) = try reader.searchAudit(search, try ward.signIn(name)) { file } else { nil }
            }
            for name in ["cm-01", "gp-01"] { #expect(try search(name, AuditSearch()) == nil, "\(name)") }
            let mine = try #require(try search("lead-01", AuditSearch(patient: code("P0001"))))
            #expect(mine.rows.map(\.careManager) == ["cm-01"])
            #expect(try search("lead-01", AuditSearch(patient: code("P0099")))?.rows.isEmpty == true)
            #expect(try search("lead-01", AuditSearch(careManager: code("lead-99")))?.rows.isEmpty == true)
            var found = 0
            var next: Int64?
            repeat {
                let page = try #require(
                    try search("lead-01", AuditSearch(careManager: code("cm-02"), before: next)))
                #expect(page.rows.count <= 200)
                found += page.rows.count
                next = page.next
            } while next != nil
            #expect(found == 450)
            let formatter = ISO8601DateFormatter()
            formatter.formatOptions = [.withFullDate]
            let parts = formatter.string(from: Date.now.addingTimeInterval(-3 * 86_400)).split(separator: "-").map {
                Int($0)
            }
            let day = try #require(CalendarDate(year: parts[0] ?? 0, month: parts[1] ?? 0, day: parts[2] ?? 0))
            #expect(try search("lead-01", AuditSearch(patient: code("P0002"), from: day))?.rows.isEmpty == true)
            #expect(try search("lead-01", AuditSearch(patient: code("P0002"), until: day))?.rows.count == 200)
            #expect(throws: PrivatePostgres.Failure.self) { try ward.database.query("DELETE FROM homeward.read_audit") }
        }

        /// What happens to a patient besides readings, with words that a spreadsheet would calculate.
        private func lives(_ ward: LeadWard) throws {
            try ward.database.query(
                """
                INSERT INTO homeward.patient_event (id, at, site, patient, care_manager, kind, note)
                VALUES (gen_random_uuid(), now(), 'north', 'P0001', 'cm-01', 'call', '-2+3'),
                    (gen_random_uuid(), now(), 'north', 'P0001', 'cm-01', 'review', NULL),
                    (gen_random_uuid(), now(), 'north', 'P0002', 'cm-01', 'call', 'P0002'),
                    (gen_random_uuid(), now(), 'north', 'P0001', 'cm-01', 'note', 'x');
                INSERT INTO homeward.patient_event (id, at, site, patient, care_manager, kind)
                SELECT gen_random_uuid(), now(), 'north', 'P0001', 'cm-01', 'call' FROM generate_series(1, 2200);
                INSERT INTO homeward.follow_up (id, site, patient, due_at, note, set_by, done_at, done_by)
                VALUES (gen_random_uuid(), 'north', 'P0001', now(), 'weigh', 'cm-01', NULL, NULL),
                    (gen_random_uuid(), 'north', 'P0001', now(), 'ring', 'cm-01', now(), 'cm-01');
                INSERT INTO homeward.information_sharing (patient, care_manager, added_by, word)
                VALUES ('P0001', 'gp-01', 'lead-01', 'herself');
                INSERT INTO homeward.registry_entry (entity, code, version, fields, source, actor, reason)
                SELECT entity, code, 100, fields || '{"phone": "=2+5", "risk": "high"}', 'page', 'cm-01', 'worse'
                FROM homeward.registry_current WHERE entity = 'patient' AND code = 'P0001';
                INSERT INTO homeward.quarantine (fingerprint, received_at, last_received_at, site, device, reason, detail,
                    topic, payload)
                SELECT sha256(n::text::bytea), CASE WHEN n > 120 THEN timestamptz '2019-01-01' ELSE now() END, now(), 'north',
                    'dev-0001', 'malformed', '@because', 'homeward/v1/north/dev-0001/report',
                    '\\x7bff'::bytea || convert_to(' ''not JSON'' ' || n, 'UTF8')
                FROM generate_series(1, 130) n;
                """)
        }

        /// Of a line without quotes and commas in its fields' own text, but for those in quotes.
        private static func columns(_ line: Substring) -> Int {
            var (count, isQuoted) = (1, false)
            for character in line.utf8 {
                if character == UInt8(ascii: "\"") { isQuoted.toggle() }
                if character == UInt8(ascii: ","), !isQuoted { count += 1 }
            }
            return count
        }

        @Test func aPatientsOwnDataIsWholeAndNoFormula() throws {
            let ward = try ward()
            let reader = WebReader(ward.database.configuration)
            try ward.database.query(
                """
                INSERT INTO homeward.reading (value, value_sent, taken_at, received_at, device, patient, site, place, kind,
                    flags, report_id)
                SELECT 90, 90, now() - interval '2 hours', now() - n * interval '1 second', r.device, r.patient, r.site, 0, 5, 0,
                    'x' || n
                FROM generate_series(1, 4500) n, homeward.reading r JOIN homeward.patient p ON p.id = r.patient
                WHERE p.code = 'P0001'
                """)
            let session = try ward.signIn("cm-01")
            try lives(ward)
            var text = ""
            var place: ExportPlace?
            var parts = 0
            repeat {
                guard case .seen(let part) = try reader.export(code("P0001"), after: place, session) else {
                    Issue.record("no data")
                    return
                }
                text += part.lines
                place = part.next
                parts += 1
            } while place != nil && parts < 40
            let lines = text.split(separator: "\r\n")
            #expect(lines.count { $0.hasPrefix("\"reading\"") } == 4501)
            #expect(Set(lines).count == lines.count, "nothing twice")
            #expect(lines.contains { $0.hasPrefix("\"answer\"") && $0.contains("\"'=1+1\"") })
            #expect(lines.contains { $0.hasPrefix("\"alert\"") && $0.contains("spo2-low") })
            #expect(lines.contains { $0.contains("\"name\",\"Ada Lovelace\"") })
            // What was done, who may see, whose reader, how the entry was, and what was held of the reader.
            for (record, words) in [
                ("event", #""call",,,,,,"by cm-01: -2+3""#), ("event", #""review""#), ("event", #""note"#),
                ("follow-up", #""open","set by cm-01""#), ("follow-up", #""done","set by cm-01, done by cm-01""#),
                ("sharing", #""gp-01",,,,"current","on the word of: herself, by lead-01""#),
                ("pairing", #""dev-0001""#), ("version", #""phone","'=2+5""#),
                ("version", #""risk","high",,,,"page","by cm-01: worse""#),
                ("quarantined", #""malformed","{\377 'not JSON'"#),
            ] {
                #expect(
                    lines.contains { $0.hasPrefix("\"\(record)\"") && $0.contains(words) }, "\(record) \(words)")
            }
            #expect(lines.count { $0.hasPrefix("\"quarantined\"") } == 120, "those of the pairing's time")
            #expect(lines.count { $0.hasPrefix("\"event\"") } == 2203)
            #expect(lines.allSatisfy { Self.columns($0) == 13 })
            #expect(!text.contains("P0002") && !text.contains("dev-0099"))
            #expect(try ward.database.value("SELECT count(*) FROM homeward.read_audit WHERE what = 'export'") == "1")
            for (name, patient) in [("gp-01", "P0001"), ("lead-99", "P0001"), ("cm-01", "P0099")] {
                guard case .notThere = try reader.export(code(patient), after: nil, try ward.signIn(name)) else {
                    Issue.record("\(name) has the data of \(patient)")
                    return
                }
            }
        }
    }
}
