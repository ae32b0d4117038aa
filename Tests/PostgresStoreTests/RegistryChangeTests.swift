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
    /// The page changes the registry as `enrol` does, in the name of a session.
    @Suite struct RegistryChangeTests {
        static let ward = """
            sites:
              - { code: north, name: North Practice }
              - { code: south, name: South Practice }
            care_managers:
              - { code: cm-01, site: north, webhook: "http://127.0.0.1:9000/hook" }
              - { code: gp-01, site: north, webhook: "http://127.0.0.1:9000/hook", role: read-only }
              - { code: cm-99, site: south, webhook: "http://127.0.0.1:9000/hook" }
            patients:
              - { code: P0001, site: north, key_worker: cm-01, schedule: [ { kinds: [spo2], due: "09:00" } ] }
              - { code: P0002, site: north, key_worker: cm-01 }
            devices:
              - code: dev-0001
                site: north
                pairings: [ { patient: P0001, from: 2026-01-01T00:00:00Z } ]
              - { code: dev-0002, site: north }
            """
        private let database: TestDatabase
        private let change: RegistryChange

        init() throws {
            database = try TestDatabase(devices: 0)
            try database.enrol(Self.ward)
            change = RegistryChange(
                database.configuration, packs: BuiltInPacks.library(), served: ServedChannels())
        }

        private func event(_ form: FormID = FormID(), _ patient: String = "P0001") -> PatientEventRequest {
            PatientEventRequest(form: form, patient: code(patient), kind: "pause", note: "on holiday")
        }

        private func version() throws -> String? { try database.value("SELECT version FROM homeward.registry_version") }

        private let risk: [RegistryKey: [String: FieldValue]] = [
            RegistryKey(entity: .patient, code: "P0001"): ["risk": .string("high")]
        ]

        @Test func aChangeIsANewVersionWithWhoAndWhyOnce() throws {
            let session = try database.session("cm-01")
            let form = FormID()
            guard case .seen(.done(2)) = try change.apply(event(form), within: session, edit: { _ in risk }) else {
                Issue.record("not done")
                return
            }
            #expect(
                try database.query(
                    """
                    SELECT version, fields ->> 'risk', fields ->> 'key_worker', last_enrolled IS NOT NULL, source, actor, reason
                    FROM homeward.registry_entry WHERE code = 'P0001' ORDER BY version
                    """) == [
                        ["1", nil, "cm-01", "t", "enrol", "root", nil],
                        ["2", "high", "cm-01", "t", "page", "cm-01", "on holiday"],
                    ])
            let again = try change.apply(event(form), within: session, edit: { _ in risk })
            guard case .seen(.doneBefore) = again else {
                Issue.record("done twice")
                return
            }
            #expect(try version() == "2")
            #expect(
                try database.query("SELECT site, patient, care_manager, kind, note FROM homeward.patient_event")
                    == [["north", "P0001", "cm-01", "pause", "on holiday"]])
        }

        @Test(arguments: ["gp-01", "cm-99"]) func whoMayNotChangesNothing(_ who: String) throws {
            let session = try database.session(who)
            let answer = try change.apply(event(), within: session) { _ in
                Issue.record("asked what to change")
                return [:]
            }
            guard case .notThere = answer else {
                Issue.record("there for \(who)")
                return
            }
            #expect(try version() == "1")
            #expect(try database.value("SELECT count(*) FROM homeward.patient_event") == "0")
        }

        @Test func whatEnrolWouldRefuseIsRefusedAndLeavesNoTrace() throws {
            let session = try database.session("cm-01")
            let reader = RegistryKey(entity: .device, code: "dev-0001")
            let edits: [[RegistryKey: [String: FieldValue]]] = [
                [RegistryKey(entity: .patient, code: "P0001"): ["risk": .string("very")]],
                [RegistryKey(entity: .patient, code: "P0001"): ["key_worker": .null]],
                [
                    reader: [
                        "pairings": .array([
                            .object(["patient": .string("P0404"), "from": .string("2026-01-01T00:00:00Z")])
                        ])
                    ]
                ],
            ]
            for edit in edits {
                let answer = try change.apply(event(), within: session, edit: { _ in edit })
                guard case .seen(.refused(let refusal)) = answer else {
                    Issue.record("taken: \(edit)")
                    continue
                }
                #expect(!refusal.words.isEmpty)
            }
            let own = try change.apply(event(), within: session) { base throws(RegistryChange.Refusal) in
                #expect(base.viewer.careManager == code("cm-01") && base.registry.devices[code("dev-0001")] != nil)
                throw RegistryChange.Refusal("not on a Monday")
            }
            guard case .seen(.refused(RegistryChange.Refusal("not on a Monday"))) = own else {
                Issue.record("not refused")
                return
            }
            #expect(try version() == "1")
            #expect(try database.value("SELECT count(*) FROM homeward.patient_event") == "0")
        }
    }
}

extension TestDatabase {
    /// Loads registry YAML as `enrol` does.
    func enrol(_ yaml: String) throws {
        let store = RegistryStore(configuration)
        let files = try RegistryFile.parse(Array(yaml.utf8), file: "ward.yaml")
        let stored = try store.read()
        let plan = EnrolmentPlan(files: files, stored: stored.fields)
        let outcome = RegistryBuilder(packs: BuiltInPacks.library()).build(
            EnrolmentPlan.merged(files: files, stored: stored.fields))
        guard outcome.problems.isEmpty else { throw DocumentProblems(outcome.problems) }
        _ = try store.apply(
            RegistryUpdate(
                base: stored, changes: plan.changes, loaded: plan.loaded, registry: outcome.registry, source: "enrol",
                actor: "root"))
    }

    /// Somebody who is signed in.
    func session(_ careManager: String) throws -> SessionToken {
        let token = SessionToken(bytes: randomBytes(32))!
        try query(
            """
            INSERT INTO homeward.web_account (care_manager, password_hash, totp_secret, changed_by)
            VALUES ('\(careManager)', 'none', decode(repeat('00', 20), 'hex'), 'test') ON CONFLICT DO NOTHING;
            INSERT INTO homeward.web_session (token_hash, care_manager, idle_until, expires_at)
            VALUES (decode('\(hexadecimal(sha256(token.bytes)))', 'hex'), '\(careManager)', now() + interval '1 hour',
                now() + interval '1 hour')
            """)
        return token
    }
}
