import Alerting
import Clinical
import Cryptography
import Foundation
import Ingestion
import PostgresStore

/// Suites about the page's reader: two sites by hand, and accounts whose passwords are hashed as they are.
protocol WebWard {}

extension WebWard {
    static var password: [UInt8] { Array("correct horse battery".utf8) }
    static var secret: [UInt8] { Array("12345678901234567890".utf8) }
    var now: Instant { Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000)) }

    /// North with P0001 and P0002, south with P0099 and its own reader; a care manager, a lead and a reader of north, a
    /// care manager of south. Each patient has a reading and a red.
    func ward() throws -> TestDatabase {
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
    func oneTimeCode(_ database: TestDatabase, _ name: String) throws -> String {
        let present = Int64(Date.now.timeIntervalSince1970) / OneTimeCode.stepSeconds
        try database.query(
            "UPDATE homeward.web_account SET totp_last_step = 0 WHERE care_manager = '\(name)'")
        return OneTimeCode.code(secret: Self.secret, step: present)
    }

    func signIn(_ database: TestDatabase, _ name: String) throws -> SessionToken {
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

    func isSignedIn(_ outcome: SignInOutcome) -> Bool {
        if case .signedIn = outcome { true } else { false }
    }

    func isDone(_ change: WebAccounts.Change) -> Bool { if case .done = change { true } else { false } }
}
