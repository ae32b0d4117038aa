internal import Alerting
internal import CLinux
internal import Clinical
internal import Documents
internal import Ingestion
internal import Registry

/// Messages that are no red's, by e-mail and text message: what leaves, alone or together, and what waits. Whoever holds
/// the lock plans and claims for every instance, so that a person gets one message, not one from each.
extension PostgresDeliveryQueue {
    private static let probe = Statement(
        name: "probe_gathering",
        sql: """
            SELECT EXISTS (
                SELECT FROM homeward.outbox
                WHERE state = 'pending' AND released_at IS NULL AND NOT urgent AND channel IN ('email', 'sms')
                    AND (held_for IS NULL OR next_attempt_at <= now())
                    AND created_at >= (SELECT homeward.held_before())
            ) OR EXISTS (
                SELECT FROM homeward.outbox
                WHERE state = 'pending' AND message IS NOT NULL AND next_attempt_at <= now()
                    AND (lease_until IS NULL OR lease_until <= now())
                    AND created_at >= (SELECT homeward.held_before())
            )
            """)
    private static let lock = Statement(
        name: "lock_gathering",
        sql: """
            SELECT ($1::text IS NULL OR EXISTS (
                SELECT FROM homeward.lease WHERE shard = $1::text AND epoch = $2::int8))
                AND pg_try_advisory_xact_lock(7811322041998343)
            """)

    // Everything that waits for whoever has something due, or new.
    private static let waiting = Statement(
        name: "waiting_deliveries",
        sql: """
            SELECT o.delivery_key, a.id, a.subject_type, a.subject, a.site, coalesce(e.severity, a.severity),
                o.created_at, o.held_for, o.next_attempt_at, o.channel, o.recipient, a.rule
            FROM homeward.outbox o
            JOIN homeward.alert a ON a.id = o.alert
            LEFT JOIN homeward.alert_event e ON e.alert = o.alert AND e.revision = o.revision
            WHERE o.state = 'pending' AND o.released_at IS NULL AND NOT o.urgent AND o.channel IN ('email', 'sms')
                AND o.created_at >= (SELECT homeward.held_before())
                AND EXISTS (
                    SELECT FROM homeward.outbox d
                    WHERE d.channel = o.channel AND d.recipient = o.recipient AND d.state = 'pending'
                        AND d.released_at IS NULL AND NOT d.urgent AND d.channel IN ('email', 'sms')
                        AND (d.held_for IS NULL OR d.next_attempt_at <= now()))
            ORDER BY o.channel, o.recipient, o.created_at, o.delivery_key
            LIMIT $1::int4
            FOR UPDATE OF o
            """)
    private static let sent = Statement(
        name: "released_deliveries",
        sql: """
            SELECT r.channel, r.recipient, max(r.released_at)
            FROM homeward.outbox r
            JOIN unnest($1::text[], $2::text[]) AS w (channel, recipient) USING (channel, recipient)
            WHERE r.released_at > now() - $3::int8 * interval '1 microsecond' AND NOT r.urgent
            GROUP BY r.channel, r.recipient, coalesce(r.message, r.delivery_key)
            """)
    private static let sites = Statement(
        name: "site_hours",
        sql: """
            SELECT now(), e.code, e.fields::text
            FROM (SELECT now()) n LEFT JOIN homeward.registry_current e ON e.entity = 'site'
            """)
    private static let release = Statement(
        name: "release_deliveries",
        sql: """
            UPDATE homeward.outbox o SET released_at = now(), next_attempt_at = now(), message = r.message
            FROM unnest($1::text[], $2::text[]) AS r (delivery_key, message)
            WHERE o.delivery_key = r.delivery_key
            """)
    private static let hold = Statement(
        name: "hold_deliveries",
        sql: """
            UPDATE homeward.outbox o SET held_for = h.held_for, next_attempt_at = h.until
            FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS h (delivery_key, held_for, until)
            WHERE o.delivery_key = h.delivery_key
            """)
    private static let claimGathered = Statement(
        name: "claim_gathered",
        sql: """
            WITH due AS (
                SELECT message, max(attempts) + 1 AS attempt FROM homeward.outbox
                WHERE state = 'pending' AND message IS NOT NULL AND next_attempt_at <= now()
                    AND (lease_until IS NULL OR lease_until <= now())
                    AND created_at >= (SELECT homeward.held_before())
                GROUP BY message
                ORDER BY min(next_attempt_at), message
                LIMIT $1::int4
            ), taken AS (
                UPDATE homeward.outbox o
                SET attempts = due.attempt, lease_until = now() + $2::int8 * interval '1 microsecond'
                FROM due WHERE o.message = due.message AND o.state = 'pending'
                RETURNING o.*
            )
            SELECT a.id, a.subject_type, a.subject, a.site, a.device, a.rule, a.class,
                coalesce(e.severity, a.severity), CASE WHEN e.alert IS NULL THEN a.state ELSE 'open' END,
                a.late, a.raised_at, coalesce(e.summary, a.summary), a.escalation_level, a.worst, a.acknowledged_at,
                a.worst_acknowledged, a.latest_taken_at, t.revision, t.step, t.channel, t.recipient, t.attempts,
                CASE t.channel WHEN 'email' THEN CASE WHEN c.fields IS NULL THEN f.fields -> 'fallback' ->> 'email'
                        ELSE c.fields ->> 'email' END
                    WHEN 'sms' THEN c.fields ->> 'mobile' END,
                t.delivery_key, t.message, a.state
            FROM taken t
            JOIN homeward.alert a ON a.id = t.alert
            LEFT JOIN homeward.alert_event e ON e.alert = t.alert AND e.revision = t.revision
            LEFT JOIN LATERAL (
                SELECT fields FROM homeward.registry_entry
                WHERE entity = 'care-manager' AND code = t.recipient ORDER BY version DESC LIMIT 1
            ) c ON true
            -- A site's fallback is told under the site's code.
            LEFT JOIN LATERAL (
                SELECT fields FROM homeward.registry_entry
                WHERE entity = 'site' AND code = t.recipient ORDER BY version DESC LIMIT 1
            ) f ON true
            ORDER BY t.message, array_position(ARRAY['red', 'amber', 'info'], coalesce(e.severity, a.severity)),
                t.created_at, t.delivery_key
            """)
    private static let openReds = Statement(
        name: "open_reds",
        sql: """
            SELECT site, count(*) FROM homeward.alert
            WHERE severity = 'red' AND state = 'open' AND site = ANY ($1::text[]) GROUP BY site
            """)

    /// The most rows of one plan.
    private static let most: Int32 = 20_000

    /// Plans what waits and claims messages of several alerts; committed when it returns. `released`: messages of one
    /// alert were let go too, for `claim` to find. Nothing where another instance is at it.
    func gather(limit: Int, lease: Interval) throws(StoreFailure) -> (jobs: [DeliveryJob], released: Bool) {
        lastGathering = linux_monotonic_nanoseconds()
        let probe = try connection.run(Self.probe, PostgresParameters(), doing: "looking for messages that wait")
        guard probe.boolean(0, 0) == true else { return ([], false) }
        do throws(StoreFailure) {
            _ = try connection.query("BEGIN; SET LOCAL synchronous_commit = on", doing: "gathering messages")
            var parameters = PostgresParameters()
            LeaseFence.add(seat, to: &parameters)
            let locked = try connection.run(Self.lock, parameters, doing: "gathering messages")
            guard locked.boolean(0, 0) == true else {
                _ = try connection.query("ROLLBACK", doing: "gathering messages")
                return ([], false)
            }
            let released = try plan()
            let jobs = limit > 0 ? try claimGathered(limit, lease) : []
            let committed = try connection.query("COMMIT", doing: "gathering messages")
            guard committed.commandTag == "COMMIT" else {
                throw StoreFailure(kind: .transient, message: "gathering messages: the transaction had failed")
            }
            return (jobs, released)
        } catch {
            // Whatever was begun ends with the session.
            connection.close()
            throw error
        }
    }

    private struct Recipient: Hashable {
        var channel: String
        var code: String
    }

    private func plan() throws(StoreFailure) -> Bool {
        var parameters = PostgresParameters()
        parameters.add(Self.most)
        let rows = try connection.run(Self.waiting, parameters, doing: "reading messages that wait")
        guard rows.rowCount > 0 else { return false }
        var waiting: [Recipient: [WaitingEntry]] = [:]
        for row in 0..<rows.rowCount {
            guard let (recipient, entry) = Self.entry(rows, row) else {
                throw StoreFailure(
                    kind: .misconfigured, message: "reading messages that wait: a row can't be understood")
            }
            waiting[recipient, default: []].append(entry)
        }
        let (now, hours) = try officeHours()
        let planning = MessagePlanning(policy: policy, hours: hours)
        let sent = try sent(to: Array(waiting.keys))
        var messages: [MessagePlan.Message] = []
        var held: [WaitingEntry] = []
        var ledger: [Suppression] = []
        for (recipient, entries) in waiting {
            let plan = planning.plan(entries, sent: sent[recipient] ?? [], at: now)
            messages += plan.messages
            held += plan.held
            ledger += plan.ledger
        }
        try write(messages, held, ledger)
        return messages.contains { $0.key == nil }
    }

    private static func entry(_ rows: borrowing PostgresResult, _ row: Int) -> (Recipient, WaitingEntry)? {
        guard let key = rows.text(row, 0), let alert = rows.uuid(row, 1),
            let subject = SubjectColumns.subject(type: rows.text(row, 2), code: rows.identifier(row, 3)),
            let severity = rows.text(row, 5).flatMap({ Severity(rawValue: $0) }), let since = rows.instant(row, 6),
            let next = rows.instant(row, 8), let channel = rows.text(row, 9), let recipient = rows.text(row, 10),
            let rule = rows.text(row, 11)
        else { return nil }
        let hold = rows.text(row, 7).flatMap { Suppression.Kind(rawValue: $0) }.map {
            WaitingEntry.Hold(kind: $0, until: next)
        }
        return (
            Recipient(channel: channel, code: recipient),
            WaitingEntry(
                key: key, alert: AlertID(high: alert.high, low: alert.low), subject: subject,
                site: rows.identifier(row, 4), rule: rule, severity: severity, since: since, hold: hold)
        )
    }

    /// The database's clock, and each site's hours. An entry that can't be understood is a site that is always open.
    private func officeHours() throws(StoreFailure) -> (now: Instant, hours: [Identifier: OfficeHours]) {
        let rows = try connection.run(Self.sites, PostgresParameters(), doing: "reading hours")
        guard let now = rows.instant(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading hours: the server does not tell its time")
        }
        var entries: [RegistryEntry] = []
        for row in 0..<rows.rowCount {
            guard let code = rows.text(row, 1), let fields = RegistryReading.fields(rows.bytes(row, 2)) else {
                continue
            }
            entries.append(RegistryEntry(key: RegistryKey(entity: .site, code: code), fields: fields))
        }
        let registry = RegistryBuilder(packs: PackLibrary()).build(entries).registry
        return (now, registry.sites.mapValues { OfficeHours($0) })
    }

    private func sent(to recipients: [Recipient]) throws(StoreFailure) -> [Recipient: [Instant]] {
        var parameters = PostgresParameters()
        parameters.addTexts(of: recipients) { $0.channel }
        parameters.addTexts(of: recipients) { $0.code }
        parameters.add(policy.limitSpan.microseconds)
        let rows = try connection.run(Self.sent, parameters, doing: "counting messages")
        var sent: [Recipient: [Instant]] = [:]
        for row in 0..<rows.rowCount {
            guard let channel = rows.text(row, 0), let code = rows.text(row, 1), let at = rows.instant(row, 2) else {
                continue
            }
            sent[Recipient(channel: channel, code: code), default: []].append(at)
        }
        return sent
    }

    private func write(
        _ messages: [MessagePlan.Message], _ held: [WaitingEntry], _ ledger: [Suppression]
    ) throws(StoreFailure) {
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        let released = messages.flatMap { message in message.entries.map { (key: $0.key, message: message.key) } }
        if !released.isEmpty {
            var parameters = PostgresParameters()
            parameters.addTexts(of: released) { $0.key }
            parameters.addTexts(of: released) { $0.message }
            calls.append((Self.release, parameters))
        }
        if !held.isEmpty {
            var parameters = PostgresParameters()
            parameters.addTexts(of: held) { $0.key }
            parameters.addTexts(of: held) { $0.hold?.kind.rawValue }
            parameters.addInstants(of: held) { $0.hold?.until }
            calls.append((Self.hold, parameters))
        }
        if !ledger.isEmpty { calls.append(SuppressionWriting.call(ledger)) }
        _ = try connection.run(calls, doing: "planning messages")
    }

    private func claimGathered(_ limit: Int, _ lease: Interval) throws(StoreFailure) -> [DeliveryJob] {
        var parameters = PostgresParameters()
        parameters.add(Int32(clamping: limit))
        parameters.add(lease.microseconds)
        let rows = try connection.run(Self.claimGathered, parameters, doing: "claiming gathered messages")
        guard rows.rowCount > 0 else { return [] }
        var jobs: [DeliveryJob] = []
        for row in 0..<rows.rowCount {
            guard var job = Self.job(rows, row), let message = rows.text(row, 24),
                let state = rows.text(row, 25).flatMap({ AlertState(rawValue: $0) })
            else {
                throw StoreFailure(kind: .misconfigured, message: "claiming gathered messages: not understood")
            }
            let alert = Gathering.Alert(key: job.entry.key, episode: job.episode, state: state)
            if jobs.last?.entry.key == message {
                jobs[jobs.count - 1].gathering?.alerts.append(alert)
            } else {
                job.entry.key = message
                job.gathering = Gathering(kind: Gathering.kind(of: message), alerts: [alert], openReds: 0)
                jobs.append(job)
            }
        }
        try countOpenReds(&jobs)
        return jobs
    }

    private func countOpenReds(_ jobs: inout [DeliveryJob]) throws(StoreFailure) {
        let sites = jobs.map { Set($0.episodes.compactMap(\.site)) }
        var parameters = PostgresParameters()
        parameters.addTexts(of: Set(sites.joined())) { $0.description }
        let rows = try connection.run(Self.openReds, parameters, doing: "counting open reds")
        var counts: [Identifier: Int] = [:]
        for row in 0..<rows.rowCount {
            if let site = rows.identifier(row, 0), let count = rows.int64(row, 1) {
                counts[site] = Int(clamping: count)
            }
        }
        for index in jobs.indices {
            jobs[index].gathering?.openReds = sites[index].reduce(0) { $0 + (counts[$1] ?? 0) }
        }
    }
}
