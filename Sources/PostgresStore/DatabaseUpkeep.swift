internal import Alerting
public import Clinical
public import Ingestion
internal import Registry

/// Small jobs beside the pipeline, on a connection of their own: the health probe and the daily upkeep. One thread.
public final class DatabaseUpkeep {
    private var connection: PostgresConnection

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("upkeep"))
    }

    /// The server's clock, asked for within the deadline. The schema is checked when it connects.
    public func probe() throws(StoreFailure) -> Instant {
        try connection.startCheckedCall()
        let result = try connection.run(Self.clock, PostgresParameters(), doing: "probing")
        guard let now = result.instant(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "probing: the server does not tell its time")
        }
        return now
    }

    /// Notes that the instance is alive, by our clock, and returns what it noted before; nil: nothing.
    public func noteAlive(_ clientID: String, at now: Instant) throws(StoreFailure) -> Instant? {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(clientID)
        parameters.add(now)
        return try connection.run(Self.alive, parameters, doing: "noting that we are alive").instant(0, 0)
    }

    /// The patients' readers that have been offline for longer than `grace` and have reported nothing since, by the
    /// server's clock, with how many of each site have ever told their state, and which alerts about it are open.
    ///
    /// - Parameter sites: those that this instance serves; empty: all.
    public func silentReaders(
        for grace: Interval, sites: [Identifier]
    ) throws(StoreFailure) -> SilentReaders {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(grace.microseconds)
        parameters.addTexts(of: sites) { $0.description }
        let offline = try connection.run(Self.offline, parameters, doing: "reading offline readers")
        var silent = SilentReaders()
        for row in 0..<offline.rowCount {
            guard let device = offline.identifier(row, 0), let site = offline.identifier(row, 1),
                let since = offline.instant(row, 2)
            else { continue }
            silent.offline.append(SilentReaders.Reader(device: device, site: site, since: since))
        }
        var chosen = PostgresParameters()
        chosen.addTexts(of: sites) { $0.description }
        let known = try connection.run(Self.known, chosen, doing: "counting readers")
        for row in 0..<known.rowCount {
            if let site = known.identifier(row, 0), let count = known.int64(row, 1) { silent.known[site] = Int(count) }
        }
        var rules = PostgresParameters()
        rules.addTexts(of: SilentReaders.rules) { $0 }
        rules.addTexts(of: sites) { $0.description }
        let open = try connection.run(Self.open, rules, doing: "reading alerts about offline readers")
        for row in 0..<open.rowCount {
            let subject = SubjectColumns.subject(type: open.text(row, 0), code: open.identifier(row, 1))
            if let subject { silent.open[subject] = open.identifier(row, 2) }
        }
        return silent
    }

    /// How the last self-test of that code failed; nil where it did not, or there was none.
    public func selfTestFailure(of code: Identifier) throws(StoreFailure) -> SelfTestFailure? {
        try connection.startCheckedCall()
        return try SelfTestDesk.standing(of: code, &connection)
    }

    /// The sites that have an open alert of that rule.
    public func sites(withOpen rule: String) throws(StoreFailure) -> Set<Identifier> {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.addTexts(of: [rule]) { $0 }
        parameters.addTexts(of: [String]()) { $0 }
        let open = try connection.run(Self.open, parameters, doing: "reading open alerts")
        return Set((0..<open.rowCount).compactMap { open.text($0, 0) == "site" ? open.identifier($0, 1) : nil })
    }

    private static let alive = Statement(
        name: "note_alive",
        sql: """
            WITH before AS (
                SELECT alive_at FROM homeward.instance_alive WHERE client_id = $1::text
            ), noted AS (
                INSERT INTO homeward.instance_alive (client_id, alive_at) VALUES ($1::text, $2::timestamptz)
                ON CONFLICT (client_id) DO UPDATE SET alive_at = excluded.alive_at
            )
            SELECT alive_at FROM before
            """)
    // Whatever took it away: an earlier version that raised the red, a row that could not be understood, a restore.
    private static let heal = Statement(
        name: "heal_timers",
        sql: """
            INSERT INTO homeward.timer (kind, subject, due_at, payload)
            SELECT wanted.kind, a.id::text, now(), jsonb_strip_nulls(jsonb_build_object(
                'type', a.subject_type, 'code', nullif(a.subject, ''),
                'revision', CASE a.state WHEN 'open' THEN (
                    SELECT max(e.revision) FROM homeward.alert_event e
                    WHERE e.alert = a.id AND e.transition IN ('opened', 'worsened', 'reopened')) END))
            FROM homeward.alert a
            CROSS JOIN LATERAL (
                SELECT CASE a.state WHEN 'open' THEN 'escalation' ELSE 'acknowledgement-end' END AS kind) wanted
            WHERE a.state IN ('open', 'acknowledged') AND a.severity = 'red' AND a.site IS DISTINCT FROM 'homeward-self'
                AND NOT EXISTS (
                    SELECT FROM homeward.timer t WHERE t.kind = wanted.kind AND t.subject = a.id::text)
            ON CONFLICT DO NOTHING
            """)

    /// Sets the timer of each open or acknowledged red that has none, due at once. How many those were: none, as long as
    /// this version alone raises alerts.
    public func healTimers() throws(StoreFailure) -> Int {
        try connection.startCheckedCall()
        let done = try connection.run(Self.heal, PostgresParameters(), doing: "setting timers that are missing")
        return done.affectedRows
    }

    private static let clock = Statement(name: "clock", sql: "SELECT clock_timestamp()")
    // A reader that is nobody's, put away in a drawer, tells of no patient.
    private static let offline = Statement(
        name: "offline_readers",
        sql: """
            SELECT d.code, s.code, o.since
            FROM homeward.device_status o JOIN homeward.device d ON d.id = o.device JOIN homeward.site s ON s.id = d.site
            WHERE NOT o.online AND o.since < now() - $1::int8 * interval '1 microsecond'
                AND EXISTS (
                    SELECT FROM homeward.pairing p
                    WHERE p.device = o.device AND p.retired_version IS NULL AND p.period @> now())
                AND (cardinality($2::text[]) = 0 OR s.code = ANY ($2::text[]))
                AND NOT EXISTS (
                    SELECT FROM homeward.report r WHERE r.device = o.device AND r.received_at > o.since)
            ORDER BY o.since, d.code
            """)
    private static let known = Statement(
        name: "known_readers",
        sql: """
            SELECT s.code, count(*)
            FROM homeward.device_status o JOIN homeward.device d ON d.id = o.device JOIN homeward.site s ON s.id = d.site
            WHERE (cardinality($1::text[]) = 0 OR s.code = ANY ($1::text[]))
                AND EXISTS (
                    SELECT FROM homeward.pairing p
                    WHERE p.device = o.device AND p.retired_version IS NULL AND p.period @> now())
            GROUP BY s.code
            """)
    private static let open = Statement(
        name: "open_offline_alerts",
        sql: """
            SELECT subject_type, subject, site FROM homeward.alert
            WHERE state <> 'resolved' AND rule = ANY ($1::text[])
                AND (cardinality($2::text[]) = 0 OR site = ANY ($2::text[]))
            """)

    /// Seals what has been committed since, up to that many rows of each table that the audit chain covers, and says how
    /// many rows those were: as many or more, and there may be more of them. Another instance that seals is not waited for.
    public func sealAudit(most: Int32 = 1000) throws(StoreFailure) -> Int64 {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(most)
        return try connection.run(Self.seal, parameters, doing: "sealing the audit chain").int64(0, 0) ?? 0
    }

    /// For how long the row has waited that has waited longest to be sealed; 0: none waits.
    public func auditUnsealedSeconds() throws(StoreFailure) -> Double {
        try connection.startCheckedCall()
        return try Self.unsealedSeconds(&connection)
    }

    static func unsealedSeconds(_ connection: inout PostgresConnection) throws(StoreFailure) -> Double {
        try connection.run(unsealed, PostgresParameters(), doing: "looking for what is not sealed").double(0, 0) ?? 0
    }

    private static let unsealed = Statement(
        name: "audit_unsealed", sql: "SELECT homeward.audit_unsealed_seconds()")
    private static let seal = Statement(name: "seal_audit", sql: "SELECT homeward.seal_audit($1::int4)")

    /// Makes the partitions of the coming months; for once a day. Doing it again changes nothing.
    public func maintain() throws(StoreFailure) {
        try connection.startCheckedCall()
        _ = try connection.query("SELECT homeward.make_partitions()", doing: "making partitions")
    }
}
