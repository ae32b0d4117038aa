import Alerting
import Clinical
import Documents
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// Which contents of packs were approved, and retired, of the database in the page's role.
    @Suite struct PackApprovalTests {
        @Test func aPackIsApprovedByWhoMay() throws {
            let ward = try LeadWard()
            let store = PackStore(ward.database.configuration)
            let reader = WebReader(ward.database.configuration)
            func pack(_ text: String) -> PackBytes { PackBytes(code: "copd", bytes: Array(text.utf8)) }
            func isApproved() throws -> Bool {
                try #require(try reader.viewer(try ward.signIn("cm-01"), isActivity: false)).hasApprovedLimits
            }
            #expect(try !isApproved(), "nothing is named yet")
            try store.record([pack("one")])
            #expect(try store.approved().isEmpty)
            #expect(try !isApproved())
            // Packs judge both sites' patients: no lead of one approves them.
            for name in ["cm-01", "gp-01", "lead-01"] {
                let session = try ward.signIn(name)
                guard case .notThere = try reader.approve("copd", hash: pack("one").hash, note: "x", session) else {
                    Issue.record("\(name) approves")
                    return
                }
                #expect(throws: PrivatePostgres.Failure.self, "\(name)") {
                    try ward.ask(
                        "INSERT INTO homeward.pack_approval (pack, hash, approved_by, note) "
                            + "SELECT pack, hash, '\(name)', 'x' FROM homeward.pack_content", session)
                }
            }
            let lead = try ward.signIn("admin-01")
            func approve(_ text: String) throws -> String {
                switch try reader.approve("copd", hash: pack(text).hash, note: "committee", lead) {
                case .seen(let refusal): refusal.map { "\($0)" } ?? "done"
                case .notThere: "not there"
                case .signedOut: "signed out"
                }
            }
            #expect(try approve("two") == "not there")
            #expect(try approve("one") == "done")
            #expect(try approve("one") == "approvedAlready")
            #expect(try isApproved())
            // A changed one waits; what was approved is kept.
            try store.record([pack("two")])
            #expect(try store.approved() == [pack("one")])
            #expect(try isApproved())
            try store.record([pack("three")])
            #expect(try approve("two") == "notConfigured")
            #expect(try approve("three") == "done")
            #expect(try store.approved() == [pack("three")])
            #expect(try approve("one") == "done", "an approved one may come back")
            #expect(try store.approved() == [pack("one")])
            guard case .seen(let file) = try reader.packs(try ward.signIn("gp-01")) else {
                Issue.record("no packs")
                return
            }
            #expect(file.versions.map(\.isConfigured) == [true, false, false])
            #expect(throws: PrivatePostgres.Failure.self) {
                try ward.database.query("UPDATE homeward.pack_approval SET note = 'other'")
            }
        }

        /// Of a single site its lead may, too.
        @Test func theLeadOfAnOnlySiteApproves() throws {
            let ward = try LeadWard()
            let store = PackStore(ward.database.configuration)
            let reader = WebReader(ward.database.configuration)
            let pack = PackBytes(code: "copd", bytes: Array("one".utf8))
            try store.record([pack])
            let lead = try ward.signIn("lead-01")
            guard case .notThere = try reader.approve("copd", hash: pack.hash, note: "x", lead) else {
                Issue.record("the lead of one of two sites approves")
                return
            }
            try ward.database.query(
                """
                DELETE FROM homeward.pairing; DELETE FROM homeward.patient WHERE code = 'P0099';
                DELETE FROM homeward.device WHERE code = 'dev-0099';
                DELETE FROM homeward.care_manager WHERE code IN ('lead-99', 'gp-99');
                DELETE FROM homeward.site WHERE code = 'south'
                """)
            guard case .seen(nil) = try reader.approve("copd", hash: pack.hash, note: "x", lead) else {
                Issue.record("the lead of the only site can't")
                return
            }
            #expect(try store.approved() == [pack])
        }

        @Test func anApprovedPackWithoutAFileIsRetiredByWhoMayOnceNobodyNamesIt() throws {
            let ward = try LeadWard()
            let store = PackStore(ward.database.configuration)
            let reader = WebReader(ward.database.configuration)
            let packs = ["adult", "asthma", "copd"].map { PackBytes(code: $0, bytes: Array("\($0)".utf8)) }
            try store.record(packs)
            let admin = try ward.signIn("admin-01")
            for pack in packs.dropLast() {
                guard case .seen(nil) = try reader.approve(pack.code, hash: pack.hash, note: "x", admin) else {
                    Issue.record("not approved")
                    return
                }
            }
            func retire(_ pack: String, _ session: SessionToken) throws -> String {
                switch try reader.retire(pack, reason: "nobody uses it", session) {
                case .seen(let refusal): refusal.map { "\($0)" } ?? "done"
                case .notThere: "not there"
                case .signedOut: "signed out"
                }
            }
            #expect(try retire("asthma", admin) == "configured")
            try store.record([])
            #expect(try store.approved() == Array(packs.dropLast()), "taking the files away retires nothing")
            for name in ["cm-01", "gp-01", "lead-01"] {
                let session = try ward.signIn(name)
                #expect(try retire("asthma", session) == "not there", "\(name)")
                #expect(throws: PrivatePostgres.Failure.self, "\(name)") {
                    try ward.ask(
                        "INSERT INTO homeward.pack_retirement (approval, retired_by, reason) "
                            + "SELECT id, '\(name)', 'x' FROM homeward.pack_approval", session)
                }
            }
            #expect(try retire("copd", admin) == "notApproved")
            #expect(try retire("none", admin) == "not there")
            #expect(try retire("adult", admin) == "named(3)", "everybody's")
            try ward.enrol("patients: [ { code: P0099, site: south, conditions: [asthma] } ]")
            #expect(try retire("asthma", admin) == "named(1)", "of whatever site")
            try ward.enrol("patients: [ { code: P0099, site: south, conditions: [] } ]")
            #expect(try retire("asthma", admin) == "done")
            #expect(try retire("asthma", admin) == "notApproved")
            #expect(try store.approved().map(\.code) == ["adult"])
            #expect(
                try ward.database.query("SELECT retired_by, reason FROM homeward.pack_retirement")
                    == [["admin-01", "nobody uses it"]])
            guard case .seen(let file) = try reader.packs(admin) else {
                Issue.record("no packs")
                return
            }
            let approval = try #require(file.versions.first { $0.pack == "asthma" }?.approvals.first)
            #expect(approval.retirement?.by == "admin-01" && approval.retirement?.reason == "nobody uses it")
            // It may come back.
            guard case .seen(nil) = try reader.approve("asthma", hash: packs[1].hash, note: "again", admin) else {
                Issue.record("not approved again")
                return
            }
            #expect(try store.approved().map(\.code) == ["adult", "asthma"])
            #expect(throws: PrivatePostgres.Failure.self) {
                try ward.database.query("UPDATE homeward.pack_retirement SET reason = 'other'")
            }
        }
    }
}
