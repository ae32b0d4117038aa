public import Alerting
public import Clinical
public import Ingestion
internal import Registry

extension PostgresCommitStore {
    // Held reds were set by our clock, so it says when they are due. Where it stands still or was set back the server's
    // does, beyond the difference at which ours is no longer trusted. All others are the server's, whatever ours does.
    private static let due = Statement(
        name: "due_timers",
        sql: """
            SELECT kind, subject, due_at, payload::text, (extract(epoch FROM now() - due_at) * 1000000)::int8
            FROM homeward.timer
            WHERE kind = ANY ($1::text[])
                AND due_at >= (SELECT homeward.held_before())
                AND due_at <= greatest($4::timestamptz, now()) - $2::int8 * interval '1 microsecond'
                AND (kind <> $6::text OR due_at <= greatest($4::timestamptz, now() - $5::int8 * interval '1 microsecond')
                        - $2::int8 * interval '1 microsecond')
                AND (kind = $6::text OR due_at <= now() - $2::int8 * interval '1 microsecond')
            ORDER BY due_at, kind, subject
            LIMIT $3::int4
            """)
    // By the server's clock: where ours has run ahead nobody is called missing for it.
    private static let dueReadings = Statement(
        name: "due_readings",
        sql: """
            SELECT t.kind, t.subject, t.due_at, t.payload::text,
                (extract(epoch FROM now() - t.due_at) * 1000000)::int8
            FROM homeward.timer t
            WHERE t.kind = $1::text AND t.due_at <= now()
                AND t.due_at >= (SELECT homeward.held_before())
                AND coalesce(to_timestamp((t.payload ->> $2::text)::float8 / 1000000), t.due_at)
                    <= now() - $3::int8 * interval '1 microsecond'
                AND ($4::text[] IS NULL OR EXISTS (
                    SELECT FROM homeward.patient p JOIN homeward.site s ON s.id = p.site
                    WHERE p.code = t.subject AND s.code = ANY ($4::text[])))
                AND (NOT $5::bool OR EXISTS (
                    SELECT FROM homeward.registry_current r
                    WHERE r.entity = $6::text AND r.code = t.subject AND r.fields ->> 'risk' = 'high'))
            ORDER BY t.due_at, t.subject
            LIMIT $7::int4
            """)
    private static let named = Statement(
        name: "named_timers",
        sql: """
            SELECT t.kind, t.subject, t.due_at, t.payload::text,
                (extract(epoch FROM now() - t.due_at) * 1000000)::int8
            FROM homeward.timer t
            JOIN unnest($1::text[], $2::text[]) AS wanted (kind, subject) USING (kind, subject)
            ORDER BY t.kind, t.subject
            FOR UPDATE OF t
            """)
    private static let unlocked = Statement(
        name: "unlocked_timers",
        sql: """
            SELECT t.kind, t.subject, t.due_at, t.payload::text,
                (extract(epoch FROM now() - t.due_at) * 1000000)::int8
            FROM homeward.timer t
            JOIN unnest($1::text[], $2::text[]) AS wanted (kind, subject) USING (kind, subject)
            ORDER BY t.kind, t.subject
            FOR UPDATE OF t SKIP LOCKED
            """)
    private static let every = Statement(
        name: "every_timer",
        sql: """
            SELECT kind, subject, due_at, payload::text, (extract(epoch FROM now() - due_at) * 1000000)::int8
            FROM homeward.timer WHERE kind = $1::text
            """)

    public func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Timer] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addTexts(of: kinds) { $0 }
        parameters.add(waited.microseconds)
        parameters.add(Int32(clamping: limit))
        parameters.add(instant)
        parameters.add(ServerClockWatch.tolerance.microseconds)
        parameters.add(HeldRed.kind)
        return try TimerRow.timers(try connection.run(Self.due, parameters, doing: "reading due timers"))
    }

    public func dueReadings(_ search: DueReadingSearch, by instant: Instant) throws(StoreFailure) -> [Timer] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(DueReadingSearch.kind)
        parameters.add(DueReadingSearch.deferredFrom)
        parameters.add(search.waited.microseconds)
        if let sites = search.sites {
            parameters.addTexts(of: sites.sorted { $0.description < $1.description }) { $0.description }
        } else {
            parameters.addNull()
        }
        parameters.add(UInt8(search.highRiskOnly ? 1 : 0))
        parameters.add(RegistryEntity.patient.rawValue)
        parameters.add(Int32(clamping: search.limit))
        return try TimerRow.timers(try connection.run(Self.dueReadings, parameters, doing: "reading due timers"))
    }

    public func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer] {
        guard !names.isEmpty else { return [] }
        connection.startCall()
        let statement = skippingLocked ? Self.unlocked : Self.named
        return try TimerRow.timers(
            try connection.run(statement, TimerWriting.parameters(names), doing: "locking timers"))
    }

    public func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(kind)
        return try TimerRow.timers(try connection.run(Self.every, parameters, doing: "reading every timer"))
    }
}

private enum TimerRow {
    static func timers(_ result: borrowing PostgresResult) throws(StoreFailure) -> [Timer] {
        var timers: [Timer] = []
        for row in 0..<result.rowCount {
            guard let kind = result.text(row, 0), let subject = result.text(row, 1), let due = result.instant(row, 2),
                let payload = result.text(row, 3), let late = result.int64(row, 4)
            else { throw StoreFailure(kind: .misconfigured, message: "reading timers: a row can't be understood") }
            timers.append(
                Timer(
                    kind: kind, subject: subject, due: due, payload: payload, late: Interval(microseconds: late)))
        }
        return timers
    }
}

/// Setting and ending timers, in whatever transaction.
enum TimerWriting {
    private static let schedule = Statement(
        name: "schedule_timers",
        sql: """
            INSERT INTO homeward.timer AS t (kind, subject, due_at, payload)
            SELECT DISTINCT ON (kind, subject) kind, subject,
                coalesce(now() + delay * interval '1 microsecond', due_at), payload::jsonb
            FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::int8[]) WITH ORDINALITY
                AS wanted (kind, subject, due_at, payload, delay, place)
            ORDER BY kind, subject, place DESC
            ON CONFLICT (kind, subject) DO UPDATE SET due_at = excluded.due_at, payload = excluded.payload,
                claim = t.claim + 1, lease_until = NULL
            """)
    private static let end = Statement(
        name: "end_timers",
        sql: """
            DELETE FROM homeward.timer t USING unnest($1::text[], $2::text[]) AS ended (kind, subject)
            WHERE t.kind = ended.kind AND t.subject = ended.subject
            """)

    static func calls(_ batch: CommitBatch) -> [(statement: Statement, parameters: PostgresParameters)] {
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        if !batch.endedTimers.isEmpty { calls.append((end, parameters(batch.endedTimers))) }
        if !batch.timers.isEmpty { calls.append(schedule(batch.timers)) }
        return calls
    }

    static func schedule(_ timers: [Timer]) -> (statement: Statement, parameters: PostgresParameters) {
        var parameters = PostgresParameters()
        parameters.addTexts(of: timers) { $0.kind }
        parameters.addTexts(of: timers) { $0.subject }
        parameters.addInstants(of: timers) { $0.due }
        parameters.addTexts(of: timers) { $0.payload }
        parameters.addNumbers(.int8, of: timers) { $0.delay?.microseconds }
        return (schedule, parameters)
    }

    static func parameters(_ names: [TimerName]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addTexts(of: names) { $0.kind }
        parameters.addTexts(of: names) { $0.subject }
        return parameters
    }
}
