internal import Clinical
public import Ingestion
public import Registry

/// One entry as it is to stand from now on.
public struct RegistryWrite: Sendable {
    /// `fields` is everything that the entry has; `lastEnrolled` what an enrolment file said of it.
    public var entry: RegistryEntry
    /// The site that it belongs to; of a site its own code, of an escalation nil.
    public var site: String?
    /// A device's pairings, all of them; nil for anything else.
    public var pairings: [Pairing]?

    public init(entry: RegistryEntry, site: String?, pairings: [Pairing]? = nil) {
        self.entry = entry
        self.site = site
        self.pairings = pairings
    }
}

/// The registry as `enrol` changes it: read, decide and write in one transaction, one enrolment at a time.
///
/// Every write is a new version of its entry; nothing is overwritten. When `change` has returned, every commit that
/// begins afterwards judges by the new registry. One thread; each call within the deadline given here.
public final class RegistryStore {
    /// A large registry takes its time to write; nothing else waits for it.
    private static let deadline = Interval.minutes(30)

    private var connection: PostgresConnection
    private let actor: String

    /// `actor` is who is recorded as having made the change.
    public init(_ configuration: DatabaseConfiguration, actor: String) {
        connection = PostgresConnection(configuration.named("enrol"))
        self.actor = actor
    }

    /// Gives the current entries to `decide` and writes what it returns, all or nothing; nil or an empty list writes
    /// nothing. `progress` is told how many of the writes are done.
    public func change(
        _ decide: (_ current: [RegistryEntry]) -> [RegistryWrite]?, progress: (Int) -> Void = { _ in }
    ) throws(StoreFailure) {
        connection.startCall()
        try connection.connect()
        defer { connection.close() }
        try ServerCheck.run(&connection)
        connection.startCall(within: Self.deadline)
        _ = try connection.query(
            """
            SET statement_timeout = 0; SET lock_timeout = '30s'; SET idle_in_transaction_session_timeout = 0;
            BEGIN; SET LOCAL synchronous_commit = on; SELECT pg_advisory_xact_lock(7811322041998342)
            """, doing: "waiting for another enrolment")
        let (entries, _) = try RegistryReading.entries(&connection)
        guard let writes = decide(entries), !writes.isEmpty else {
            _ = try connection.query("ROLLBACK", doing: "leaving the registry as it is")
            return
        }
        let version = try nextVersion()
        // Who is referred to comes before who refers.
        let order = RegistryEntry.Entity.allCases
        var written = 0
        for entity in order {
            let ofEntity = writes.filter { $0.entry.entity == entity }
            for start in stride(from: 0, to: ofEntity.count, by: 500) {
                let part = Array(ofEntity[start..<min(start + 500, ofEntity.count)])
                try write(part, of: entity, version: version)
                written += part.count
                progress(written)
            }
        }
        try pair(writes, version: version)
        _ = try connection.query("NOTIFY homeward_registry; COMMIT", doing: "committing the registry")
    }

    private func nextVersion() throws(StoreFailure) -> Int64 {
        let result = try connection.run(
            Self.bump, PostgresParameters(), doing: "counting the registry's version up")
        guard let version = result.int64(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "writing the registry: it has no version")
        }
        return version
    }

    private func write(
        _ writes: [RegistryWrite], of entity: RegistryEntry.Entity, version: Int64
    ) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(version)
        parameters.addTexts(of: writes) { $0.entry.entity.rawValue }
        parameters.addTexts(of: writes) { $0.entry.code }
        parameters.addTexts(of: writes) { $0.entry.fields }
        parameters.addTexts(of: writes) { $0.entry.lastEnrolled }
        parameters.add(actor)
        var calls: [(statement: Statement, parameters: PostgresParameters)] = [(Self.insertEntries, parameters)]
        if let statement = Self.identities[entity] {
            var identities = PostgresParameters()
            identities.addTexts(of: writes) { $0.entry.code }
            if entity != .site { identities.addTexts(of: writes) { $0.site } }
            calls.append((statement, identities))
        }
        _ = try connection.run(calls, doing: "writing the registry")
    }

    /// A span that is still wanted as it is stays; any other is retired, and new ones are added.
    private func pair(_ writes: [RegistryWrite], version: Int64) throws(StoreFailure) {
        let devices = writes.filter { $0.pairings != nil }
        guard !devices.isEmpty else { return }
        let spans = devices.flatMap { write in (write.pairings ?? []).map { (write.entry.code, $0) } }
        var wanted = PostgresParameters()
        wanted.add(version)
        wanted.addTexts(of: devices) { $0.entry.code }
        wanted.addTexts(of: spans) { $0.0 }
        wanted.addTexts(of: spans) { $0.1.patient.description }
        wanted.addInstants(of: spans) { $0.1.from }
        wanted.addInstants(of: spans) { $0.1.until }
        var added = PostgresParameters()
        added.add(version)
        added.addTexts(of: spans) { $0.0 }
        added.addTexts(of: spans) { $0.1.patient.description }
        added.addInstants(of: spans) { $0.1.from }
        added.addInstants(of: spans) { $0.1.until }
        _ = try connection.run(
            [(Self.retirePairings, wanted), (Self.insertPairings, added)], doing: "writing the pairings")
    }

    private static let bump = Statement(
        name: "registry_bump",
        sql: "UPDATE homeward.registry_version SET version = version + 1 RETURNING version")

    private static let insertEntries = Statement(
        name: "registry_insert",
        sql: """
            INSERT INTO homeward.registry_entry (entity, code, version, fields, last_enrolled, source, actor)
            SELECT entity, code, $1::int8, fields::jsonb, last_enrolled::jsonb, 'enrol', $6::text
            FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS e (entity, code, fields, last_enrolled)
            """)

    private static let identities: [RegistryEntry.Entity: Statement] = [
        .site: Statement(
            name: "registry_sites",
            sql: "INSERT INTO homeward.site (code) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"),
        .careManager: Statement(
            name: "registry_care_managers",
            sql: """
                INSERT INTO homeward.care_manager (code, site)
                SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
                JOIN homeward.site s ON s.code = e.site
                ON CONFLICT (code) DO UPDATE SET site = excluded.site
                """),
        .patient: Statement(
            name: "registry_patients",
            sql: """
                INSERT INTO homeward.patient (code, site)
                SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
                JOIN homeward.site s ON s.code = e.site
                ON CONFLICT (code) DO UPDATE SET site = excluded.site
                """),
        .device: Statement(
            name: "registry_devices",
            sql: """
                INSERT INTO homeward.device (code, site)
                SELECT e.code, s.id FROM unnest($1::text[], $2::text[]) AS e (code, site)
                JOIN homeward.site s ON s.code = e.site
                ON CONFLICT (code) DO UPDATE SET site = excluded.site
                """),
    ]

    private static let retirePairings = Statement(
        name: "registry_retire_pairings",
        sql: """
            UPDATE homeward.pairing p SET retired_version = $1::int8
            FROM homeward.device d
            WHERE p.device = d.id AND p.retired_version IS NULL AND d.code = ANY ($2::text[])
                AND NOT EXISTS (
                    SELECT FROM unnest($3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[])
                        AS w (device, patient, since, until)
                    JOIN homeward.patient q ON q.code = w.patient
                    WHERE w.device = d.code AND q.id = p.patient AND tstzrange(w.since, w.until) = p.period)
            """)

    private static let insertPairings = Statement(
        name: "registry_insert_pairings",
        sql: """
            INSERT INTO homeward.pairing (device, patient, period, version)
            SELECT d.id, q.id, tstzrange(w.since, w.until), $1::int8
            FROM unnest($2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[])
                AS w (device, patient, since, until)
            JOIN homeward.device d ON d.code = w.device
            JOIN homeward.patient q ON q.code = w.patient
            WHERE NOT EXISTS (
                SELECT FROM homeward.pairing p
                WHERE p.device = d.id AND p.patient = q.id AND p.period = tstzrange(w.since, w.until)
                    AND p.retired_version IS NULL)
            """)
}
