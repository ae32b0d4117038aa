import Alerting
import Clinical
import Ingestion
import PostgresStore
import Testing

extension PostgresStoreSuite {
    /// What of looks stands in the read audit besides whom they found.
    @Suite struct LookAuditTests {
        private func rows(_ ward: LeadWard, _ what: String) throws -> [[String?]] {
            try ward.database.query(
                """
                SELECT care_manager, site, patient, detail FROM homeward.read_audit WHERE what = '\(what)' ORDER BY id
                """)
        }

        @Test func aSearchIsRecordedWithItsWords() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let session = try ward.signIn("cm-01")
            try reader.searched("ada", isActivity: true, session)
            // The page by itself: once in ten minutes, of each search.
            for _ in 0..<3 { try reader.searched("ada", isActivity: false, session) }
            for _ in 0..<2 { try reader.searched("mary", isActivity: false, session) }
            try reader.searched("ada", isActivity: true, session)
            try reader.searched(String(repeating: "é", count: 300), isActivity: true, session)
            #expect(
                try rows(ward, "search") == [
                    ["cm-01", "north", nil, "ada"], ["cm-01", "north", nil, "mary"], ["cm-01", "north", nil, "ada"],
                    ["cm-01", "north", nil, String(repeating: "é", count: 200)],
                ])
            // Without a session there is nobody to note.
            try reader.end(session, everywhere: true)
            try reader.searched("nobody", isActivity: true, session)
            #expect(try rows(ward, "search").count == 4)
        }

        @Test func aRefusedLookIsRecordedAtBothSites() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let (session, gp) = (try ward.signIn("cm-01"), try ward.signIn("gp-01"))
            for _ in 0..<2 {
                guard case .notThere = try reader.patient(code("P0099"), days: 7, session),
                    case .notThere = try reader.plan(of: code("P0099"), session),
                    case .notThere = try reader.sharing(of: code("P0099"), session),
                    case .notThere = try reader.export(code("P0099"), after: nil, session),
                    case .notThere = try reader.patient(code("P0000"), days: 7, session),
                    case .notThere = try reader.patient(code("P0002"), days: 7, gp)
                else {
                    Issue.record("somebody else's patient is there")
                    return
                }
            }
            // Within a minute once; their own site does not learn whether there is such a patient elsewhere.
            #expect(
                Set(try rows(ward, "refused-patient").map { $0.map { $0 ?? "-" }.joined(separator: " ") }) == [
                    "cm-01 north - P0099", "cm-01 south P0099 P0099", "cm-01 north - P0000", "gp-01 north P0002 P0002",
                ])
            #expect(try rows(ward, "refused-patient").count == 4)
            func found(_ name: String, _ patient: String) throws -> [ReadAuditRow] {
                let search = AuditSearch(patient: code(patient))
                guard case .seen(let file) = try reader.searchAudit(search, try ward.signIn(name)) else { return [] }
                return file.rows
            }
            #expect(try found("lead-01", "P0099").map(\.detail) == ["P0099"])
            #expect(try found("lead-99", "P0099").map(\.careManager) == ["cm-01"])
        }

        /// Nobody writes into the audit what they like.
        @Test func theFunctionsNoteOnlyWhoAsks() throws {
            let ward = try LeadWard()
            try ward.ask("SELECT homeward.note_refusal('P0099')", try ward.signIn("cm-01"))
            #expect(try rows(ward, "refused-patient").allSatisfy { $0.first == "cm-01" })
            #expect(
                try ward.database.value(
                    """
                    SELECT count(*) FROM pg_proc p, aclexplode(p.proacl) a
                    WHERE p.proname IN ('note_search', 'note_refusal') AND a.grantee = 0
                    """) == "0", "not for everybody")
        }

        @Test func aRawReportIsALookAtWhoseItIs() throws {
            let ward = try LeadWard()
            // dev-0002 was P0002's until a day ago, and is P0001's.
            try ward.enrol(
                LeadWard.yaml.replacing(
                    "{ code: dev-0002, site: north, pairings: [] }",
                    with: """
                        { code: dev-0002, site: north, pairings: [
                              { patient: P0002, from: 2020-01-01T00:00:00Z, until: 2021-01-01T00:00:00Z },
                              { patient: P0001, from: 2021-01-01T00:00:00Z } ] }
                        """))
            let reader = WebReader(ward.database.configuration)
            let session = try ward.signIn("lead-01")
            func lookedAt(_ payload: String) throws -> [String?] {
                let id = try ward.hold("too-old", payload, device: "dev-0002")
                let before = try rows(ward, "quarantine").count
                guard case .seen = try reader.quarantined(id, session) else { return ["not there"] }
                return try rows(ward, "quarantine").dropFirst(before).map { $0[2] }
            }
            #expect(try lookedAt(#"{"taken_at": "2020-06-01T00:00:00Z"}"#) == ["P0002"])
            #expect(try lookedAt(#"{"taken_at": "2022-06-01T00:00:00Z"}"#) == ["P0001"])
            // Nobody's then, or it does not say: everybody who is shown as its holder.
            #expect(Set(try lookedAt(#"{"taken_at": "2019-06-01T00:00:00Z"}"#)) == ["P0001", "P0002"])
            #expect(Set(try lookedAt("not JSON")) == ["P0001", "P0002"])
        }
    }
}
