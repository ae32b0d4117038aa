import Alerting
import Clinical
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport

/// A migrated database of its own in the run's cluster, with a small ward: one site, patients and devices of like
/// numbers.
struct TestDatabase {
    let cluster: PrivatePostgres
    let name: String
    let configuration: DatabaseConfiguration

    init(
        cluster: PrivatePostgres? = nil, migrated: Bool = true, devices: Int = 20, deadline: Interval = .seconds(30)
    ) throws {
        let cluster = try cluster ?? PrivatePostgres.shared()
        self.cluster = cluster
        name = try cluster.createDatabase()
        configuration = DatabaseConfiguration(url: cluster.url(database: name), deadline: deadline)
        guard migrated else { return }
        _ = try Migrator.migrate(configuration)
        try query(
            """
            INSERT INTO homeward.site (code) VALUES ('north');
            INSERT INTO homeward.patient (code, site) SELECT 'P' || lpad(n::text, 4, '0'), 1
            FROM generate_series(1, \(devices)) n;
            INSERT INTO homeward.device (code, site) SELECT 'dev-' || lpad(n::text, 4, '0'), 1
            FROM generate_series(1, \(devices)) n;
            """)
    }

    @discardableResult
    func query(_ sql: String, user: String = PrivatePostgres.superuser) throws -> [[String?]] {
        try cluster.query(sql, database: name, user: user)
    }

    /// The first value of the first row.
    func value(_ sql: String) throws -> String? { try query(sql).first?.first ?? nil }

    func store(_ configuration: DatabaseConfiguration? = nil) -> PostgresCommitStore {
        PostgresCommitStore(configuration ?? self.configuration) { _, version in Registry(version: version) }
    }
}

func code(_ text: String) -> Identifier {
    Identifier(text, grammar: .report)!
}

/// 2026-11-23T08:15:30Z, a Monday morning.
let morning = Instant(microseconds: 1_795_421_730_000_000)

/// Past, wherever the tests run.
let longAgo = Instant(microseconds: 1_577_836_800_000_000)

func key(_ device: Int = 1, _ report: String = "d41f-000123") -> ReportKey {
    let digits = String(device)
    return ReportKey(
        device: code("dev-" + String(repeating: "0", count: 4 - digits.count) + digits), report: code(report))
}

func claim(_ key: ReportKey, _ digest: UInt64 = 1, insert: Bool = true) -> KeyClaim {
    KeyClaim(key: key, digestHigh: digest, digestLow: ~digest, insert: insert)
}

func report(
    _ key: ReportKey, readings: [Reading]? = nil, answers: [SentAnswer] = [], receivedAt: Instant = morning,
    clockCorrected: Bool = false
) -> StoredReport {
    let pressure = [
        Reading(index: 0, kind: .systolic, value: 142, sentValue: 142, sentUnit: .millimetresOfMercury),
        Reading(index: 1, kind: .diastolic, value: 88, sentValue: 88, sentUnit: .millimetresOfMercury),
        Reading(index: 2, kind: .pulse, value: 71, sentValue: 71, sentUnit: .perMinute),
    ]
    let patient = code("P" + key.device.description.dropFirst(4))
    return StoredReport(
        key: key, site: code("north"), patient: patient, takenAt: receivedAt - .seconds(2), receivedAt: receivedAt,
        sequence: 123, battery: 87, raw: Array(#"{"id":"d41f-000123"}"#.utf8), readings: readings ?? pressure,
        answers: answers, clockCorrected: clockCorrected)
}

func refusal(
    _ reason: RefusalReason = .malformed, payload: [UInt8] = [0xff, 0, 0x7b],
    topic: String = "homeward/v1/north/dev-0001/report", detail: String = "no JSON", reading: Int? = nil
) -> QuarantinedReport {
    QuarantinedReport(
        reason: reason, detail: detail, site: code("north"), device: code("dev-0001"), reportID: nil,
        topic: Array(topic.utf8), payload: payload, receivedAt: morning, reading: reading)
}

func episode(
    _ number: UInt64 = 1, subject: Subject = .patient(code("P0001")), rule: String = "spo2-low",
    severity: Severity = .red, state: AlertState = .open, revision: Int32 = 1
) -> Episode {
    Episode(
        id: AlertID(high: 7, low: number), subject: subject, site: code("north"), device: code("dev-0001"), rule: rule,
        alertClass: .clinical, severity: severity, state: state, raisedAt: morning, summary: "SpO2 90 % at 08:15",
        worst: -90, latestTakenAt: morning, revision: revision)
}

func event(
    _ episode: Episode, _ transition: EpisodeEvent.Transition = .opened, actor: String = "homeward"
) -> EpisodeEvent {
    EpisodeEvent(
        alert: episode.id, revision: episode.revision, transition: transition, severity: episode.severity, at: morning,
        report: key(), actor: actor, summary: episode.summary, explanation: #"{"inputs":[{"value":90}]}"#)
}

extension CommitStore {
    /// One whole transaction.
    func store(_ claims: [KeyClaim] = [], _ batch: CommitBatch) throws(StoreFailure) -> [KeyVerdict] {
        _ = try begin()
        let verdicts = try claim(claims)
        try write(batch)
        try commit()
        return verdicts
    }

    /// Stores reports with their keys.
    func store(_ reports: [StoredReport]) throws(StoreFailure) {
        var batch = CommitBatch()
        batch.reports = reports
        _ = try store(reports.map { PostgresStoreTests.claim($0.key) }, batch)
    }
}
