import Alerting
import Clinical
import Cryptography
import Documents
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

/// Two enrolled sites with the shipped packs, and sessions of their people without the cost of a password.
struct LeadWard {
    static let packs = BuiltInPacks.library()
    static let yaml = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
          - { code: south, name: South Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "http://127.0.0.1:9/hook" }
          - { code: lead-01, site: north, name: Lead 1, webhook: "http://127.0.0.1:9/hook", role: team-lead }
          - { code: admin-01, site: north, name: Administrator 1, role: administrator }
          - { code: gp-01, site: north, name: GP 1, role: read-only }
          - { code: lead-99, site: south, name: Lead 99, webhook: "http://127.0.0.1:9/hook", role: team-lead }
          - { code: gp-99, site: south, name: GP 99, role: read-only }
        patients:
          - { code: P0001, site: north, name: Ada Lovelace, key_worker: cm-01, conditions: [copd] }
          - { code: P0002, site: north, name: Mary Seacole, key_worker: cm-01 }
          - { code: P0099, site: south, name: Alan Turing, key_worker: lead-99 }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north, pairings: [] }
          - { code: dev-0099, site: south, pairings: [ { patient: P0099, from: 2020-01-01T00:00:00Z } ] }
        """

    let database: TestDatabase

    init() throws {
        database = try TestDatabase(devices: 0)
        try database.query("DELETE FROM homeward.site")
        try enrol(Self.yaml)
    }

    func enrol(_ yaml: String) throws {
        let registryStore = RegistryStore(database.configuration)
        let files = try RegistryFile.parse(Array(yaml.utf8), file: "ward.yaml")
        let stored = try registryStore.read()
        let plan = EnrolmentPlan(files: files, stored: stored.fields, replace: true)
        let outcome = RegistryBuilder(packs: Self.packs).build(
            EnrolmentPlan.merged(files: files, stored: stored.fields))
        #expect(outcome.problems.isEmpty)
        _ = try registryStore.apply(
            RegistryUpdate(
                base: stored, changes: plan.changes, loaded: plan.loaded, registry: outcome.registry, source: "enrol",
                actor: "root"))
    }

    /// A session as signing in makes it.
    func signIn(_ name: String) throws -> SessionToken {
        let token = try #require(SessionToken(bytes: randomBytes(32)))
        try database.query(
            """
            INSERT INTO homeward.web_account (care_manager, password_hash, totp_secret, changed_by)
            VALUES ('\(name)', 'none', '\\x\(String(repeating: "00", count: 20))', 'test') ON CONFLICT DO NOTHING;
            INSERT INTO homeward.web_session (token_hash, care_manager, idle_until, expires_at)
            VALUES ('\\x\(hexadecimal(sha256(token.bytes)))', '\(name)', now() + interval '1 hour',
                now() + interval '1 hour')
            """)
        return token
    }

    /// Asks in the page's role, in the name of a session.
    @discardableResult
    func ask(_ sql: String, _ session: SessionToken) throws -> [[String?]] {
        let name = hexadecimal(sha256(session.bytes))
        return try database.query(
            "BEGIN; SET LOCAL homeward.session = '\(name)'; SET LOCAL ROLE homeward_web; \(sql); COMMIT")
    }

    /// A row of quarantine by hand; its number.
    @discardableResult
    func hold(
        _ reason: String, _ payload: String = "{}", site: String? = "north", device: String = "dev-0001",
        receivedAt: String = "now() - interval '2 days'", place: Int? = nil, leaf: String = "report"
    ) throws -> Int64 {
        let site = site.map { "'\($0)'" } ?? "NULL"
        let topic = "homeward/v1/north/\(device)/\(leaf)"
        let id = try database.value(
            """
            INSERT INTO homeward.quarantine (fingerprint, received_at, last_received_at, place, site, device, reason, detail,
                topic, payload)
            VALUES (sha256('\(reason) \(UUID())'), \(receivedAt), \(receivedAt), \(place.map { "\($0)" } ?? "NULL"), \(site),
                '\(device)', '\(reason)', 'because', '\(topic)', convert_to($sql$\(payload)$sql$, 'UTF8'))
            RETURNING id
            """)
        return try #require(id.flatMap { Int64($0) })
    }
}
