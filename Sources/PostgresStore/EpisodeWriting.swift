internal import Alerting
internal import Clinical
internal import Ingestion
internal import Registry

/// Alerts, their events and what is to be sent because of them.
enum EpisodeWriting {
    // An id that is there already was raised before by the very same report (a refused report is not remembered and
    // is judged afresh when it comes again): nothing is raised twice.
    private static let insertAlerts = Statement(
        name: "insert_alerts",
        sql: """
            INSERT INTO homeward.alert (id, subject_type, subject, site, device, rule, class, severity, state, late,
                raised_at, summary, escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at,
                revision, acknowledged_by, resolved_at, resolved_by)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::bool[], $11::timestamptz[], $12::text[], $13::int4[], $14::float8[],
                $15::timestamptz[], $16::float8[], $17::timestamptz[], $18::int4[], $19::text[], $20::timestamptz[],
                $21::text[])
            ON CONFLICT (id) DO NOTHING
            """)

    // The identity of an alert never changes: who may not insert may update.
    private static let updateAlerts = Statement(
        name: "update_alerts",
        sql: """
            UPDATE homeward.alert AS a SET severity = c.severity, state = c.state, late = c.late, summary = c.summary,
                escalation_level = c.escalation_level, worst = c.worst, acknowledged_at = c.acknowledged_at,
                worst_acknowledged = c.worst_acknowledged, latest_taken_at = c.latest_taken_at, revision = c.revision,
                acknowledged_by = CASE WHEN c.acknowledged_at IS NULL THEN NULL
                    WHEN c.acknowledged_at = a.acknowledged_at THEN coalesce(a.acknowledged_by, c.acknowledged_by)
                    ELSE coalesce(c.acknowledged_by, a.acknowledged_by) END,
                resolved_at = coalesce(a.resolved_at, c.resolved_at),
                resolved_by = coalesce(a.resolved_by, c.resolved_by)
            FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::bool[], $11::timestamptz[], $12::text[], $13::int4[], $14::float8[],
                $15::timestamptz[], $16::float8[], $17::timestamptz[], $18::int4[], $19::text[], $20::timestamptz[],
                $21::text[])
                AS c (id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                    escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                    acknowledged_by, resolved_at, resolved_by)
            WHERE a.id = c.id
            """)

    private static let insertEvents = Statement(
        name: "insert_events",
        sql: """
            INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, device, report_id, actor,
                summary, explanation)
            SELECT alert, revision, transition, severity, at, device, report_id, actor, summary, explanation::jsonb
            FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::text[], $5::timestamptz[], $6::text[], $7::text[],
                $8::text[], $9::text[], $10::text[])
                AS e (alert, revision, transition, severity, at, device, report_id, actor, summary, explanation)
            ON CONFLICT DO NOTHING
            """)

    static func calls(_ changes: [EpisodeChange]) -> [(statement: Statement, parameters: PostgresParameters)] {
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        let opened = changes.filter(\.isNew)
        let changed = changes.filter { !$0.isNew }
        // First what ended: its subject may have opened the next alert of the same rule within this very batch.
        if !changed.isEmpty { calls.append((updateAlerts, alertParameters(changed))) }
        if !opened.isEmpty { calls.append((insertAlerts, alertParameters(opened))) }
        let events = changes.flatMap(\.events)
        if !events.isEmpty { calls.append(call(events)) }
        return calls
    }

    /// The events alone.
    static func call(_ events: [EpisodeEvent]) -> (statement: Statement, parameters: PostgresParameters) {
        (insertEvents, eventParameters(events))
    }

    private static func alertParameters(_ changes: [EpisodeChange]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addArray(.uuid, of: changes) { change, parameters in
            parameters.write((change.episode.id.high, change.episode.id.low))
            return true
        }
        parameters.addTexts(of: changes) { SubjectColumns($0.episode.subject).type }
        parameters.addTexts(of: changes) { SubjectColumns($0.episode.subject).code }
        parameters.addTexts(of: changes) { $0.episode.site?.description }
        parameters.addTexts(of: changes) { $0.episode.device?.description }
        parameters.addTexts(of: changes) { $0.episode.rule }
        parameters.addTexts(of: changes) { $0.episode.alertClass.rawValue }
        parameters.addTexts(of: changes) { $0.episode.severity.rawValue }
        parameters.addTexts(of: changes) { $0.episode.state.rawValue }
        parameters.addBooleans(of: changes) { $0.episode.late }
        parameters.addInstants(of: changes) { $0.episode.raisedAt }
        parameters.addTexts(of: changes) { $0.episode.summary }
        parameters.addNumbers(.int4, of: changes) { Int32(clamping: $0.episode.escalationLevel) }
        parameters.addDoubles(of: changes) { $0.episode.worst }
        parameters.addInstants(of: changes) { $0.episode.acknowledgedAt }
        parameters.addDoubles(of: changes) { $0.episode.worstAcknowledged }
        parameters.addInstants(of: changes) { $0.episode.latestTakenAt }
        parameters.addNumbers(.int4, of: changes) { $0.episode.revision }
        parameters.addTexts(of: changes) { change in
            guard let at = change.episode.acknowledgedAt else { return nil }
            return change.events.last {
                $0.transition == .acknowledged || ([.taken, .resolved].contains($0.transition) && $0.at == at)
            }?.actor
        }
        parameters.addInstants(of: changes) { resolution(of: $0)?.at }
        parameters.addTexts(of: changes) { resolution(of: $0)?.by }
        return parameters
    }

    /// When and by whom it ended; nil while it is not resolved.
    private static func resolution(of change: EpisodeChange) -> (at: Instant, by: String)? {
        guard change.episode.state == .resolved else { return nil }
        let last = change.events.last { $0.transition == .resolved || $0.transition == .backInRange }
        return (last?.at ?? change.episode.latestTakenAt ?? change.episode.raisedAt, last?.actor ?? "homeward")
    }

    private static func eventParameters(_ events: [EpisodeEvent]) -> PostgresParameters {
        var parameters = PostgresParameters()
        parameters.addArray(.uuid, of: events) { event, parameters in
            parameters.write((event.alert.high, event.alert.low))
            return true
        }
        parameters.addNumbers(.int4, of: events) { $0.revision }
        parameters.addTexts(of: events) { $0.transition.rawValue }
        parameters.addTexts(of: events) { $0.severity.rawValue }
        parameters.addInstants(of: events) { $0.at }
        parameters.addTexts(of: events) { $0.report?.device.description }
        parameters.addTexts(of: events) { $0.report?.report.description }
        parameters.addTexts(of: events) { $0.actor }
        parameters.addTexts(of: events) { $0.summary }
        parameters.addTexts(of: events) { $0.explanation }
        return parameters
    }
}

/// A subject as two columns of `alert`.
struct SubjectColumns {
    var type: String
    /// Empty for the instance.
    var code: String

    init(_ subject: Subject) {
        switch subject {
        case .patient(let code): (type, self.code) = ("patient", code.description)
        case .device(let code): (type, self.code) = ("device", code.description)
        case .site(let code): (type, self.code) = ("site", code.description)
        case .instance: (type, self.code) = ("instance", "")
        }
    }

    static func subject(type: String?, code: Identifier?) -> Subject? {
        switch (type, code) {
        case ("patient", let code?): .patient(code)
        case ("device", let code?): .device(code)
        case ("site", let code?): .site(code)
        case ("instance", _): .instance
        default: nil
        }
    }
}

enum OutboxWriting {
    /// The dispatcher listens on it.
    static let channel: StaticString = "homeward_outbox"

    private static let insert = Statement(
        name: "insert_outbox",
        sql: """
            INSERT INTO homeward.outbox (delivery_key, alert, revision, step, channel, recipient, urgent)
            SELECT o.delivery_key, o.alert, o.revision, o.step, o.channel, o.recipient, coalesce(a.severity = 'red', true)
            FROM unnest($1::text[], $2::uuid[], $3::int4[], $4::int4[], $5::text[], $6::text[])
                AS o (delivery_key, alert, revision, step, channel, recipient)
            LEFT JOIN homeward.alert a ON a.id = o.alert
            ON CONFLICT DO NOTHING
            """)

    static let notify = Statement(
        name: "notify_outbox", sql: "SELECT pg_notify('homeward_outbox', '')")

    static func calls(_ entries: [OutboxEntry]) -> [(statement: Statement, parameters: PostgresParameters)] {
        var parameters = PostgresParameters()
        parameters.addTexts(of: entries) { $0.key }
        parameters.addArray(.uuid, of: entries) { entry, parameters in
            parameters.write((entry.alert.high, entry.alert.low))
            return true
        }
        parameters.addNumbers(.int4, of: entries) { $0.revision }
        parameters.addNumbers(.int4, of: entries) { Int32(clamping: $0.step) }
        parameters.addTexts(of: entries) { $0.channel.rawValue }
        parameters.addTexts(of: entries) { $0.recipient.description }
        return [(insert, parameters), (notify, PostgresParameters())]
    }
}
