public import Alerting
public import Clinical
internal import Formats
public import Ingestion

/// All that is stored of a patient, for the patient, as lines of CSV, in the page's role.
///
/// Each query gives the columns after the record's kind, and is asked again after the last row of before, by its key: `$2` to
/// `$5`, as far as a key has so many parts.
extension WebReader {
    private struct ExportSource {
        var statement: Statement
        var record: String
        /// The columns of a row's key.
        var key: [Int]
        var atOnce = 2000
    }

    private static let exportReadings = Statement(
        name: "web_export_readings",
        sql: """
            SELECT to_char(r.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), d.code, r.report_id,
                r.place::text, to_char(r.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), k.code,
                coalesce(r.code, r.value::text), u.code, CASE WHEN r.code IS NULL THEN r.value_sent::text END, s.code,
                CASE WHEN c.place IS NOT NULL THEN 'entered-in-error' WHEN r.suspicions IS NOT NULL THEN 'suspect'
                    ELSE 'accepted' END, c.reason
            FROM homeward.patient p
            JOIN homeward.reading r ON r.patient = p.id
            JOIN homeward.device d ON d.id = r.device
            JOIN homeward.kind k ON k.id = r.kind
            LEFT JOIN homeward.unit u ON u.id = k.unit
            LEFT JOIN homeward.unit s ON s.id = r.unit_sent
            LEFT JOIN homeward.reading_correction c
                ON c.device = r.device AND c.report_id = r.report_id AND c.place = r.place
            WHERE p.code = $1::text AND ($2::text IS NULL OR
                (r.taken_at, d.code, r.report_id, r.place) > ($2::text::timestamptz, $3::text, $4::text, $5::text::int2))
            ORDER BY r.taken_at, d.code, r.report_id, r.place LIMIT $6::int4
            """)
    private static let exportAnswers = Statement(
        name: "web_export_answers",
        sql: """
            SELECT to_char(a.taken_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), d.code, a.report_id,
                a.place::text, to_char(a.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), a.question,
                a.value, NULL::text, NULL::text, NULL::text, NULL::text, NULL::text
            FROM homeward.patient p
            JOIN homeward.answer a ON a.patient = p.id
            JOIN homeward.device d ON d.id = a.device
            WHERE p.code = $1::text AND ($2::text IS NULL OR
                (a.taken_at, d.code, a.report_id, a.place) > ($2::text::timestamptz, $3::text, $4::text, $5::text::int2))
            ORDER BY a.taken_at, d.code, a.report_id, a.place LIMIT $6::int4
            """)
    private static let exportAlerts = Statement(
        name: "web_export_alerts",
        sql: """
            SELECT to_char(a.raised_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), a.id::text, '', '0',
                to_char(a.resolved_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), a.rule, a.severity,
                NULL::text, NULL::text, NULL::text, a.state, a.summary
            FROM homeward.alert a
            WHERE a.subject_type = 'patient' AND a.subject = $1::text AND ($2::text IS NULL OR
                (a.raised_at, a.id) > ($2::text::timestamptz, $3::text::uuid)) AND $4::text IS NOT DISTINCT FROM $4::text
                AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY a.raised_at, a.id LIMIT $6::int4
            """)
    private static let exportEvents = Statement(
        name: "web_export_events",
        sql: """
            SELECT to_char(e.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), NULL::text, e.id::text,
                NULL::text, NULL::text, e.kind, nullif(e.detail::text, '{}'), NULL::text, NULL::text, NULL::text, NULL::text,
                concat_ws(': ', 'by ' || e.care_manager, e.note)
            FROM homeward.patient_event e
            WHERE e.patient = $1::text
                AND ($2::text IS NULL OR (e.at, e.id) > ($2::text::timestamptz, $3::text::uuid))
                AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY e.at, e.id LIMIT $6::int4
            """)
    private static let exportFollowUps = Statement(
        name: "web_export_follow_ups",
        sql: """
            SELECT to_char(f.due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), NULL::text, f.id::text,
                NULL::text, to_char(f.done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'follow-up', f.note,
                NULL::text, NULL::text, NULL::text, CASE WHEN f.done_at IS NULL THEN 'open' ELSE 'done' END,
                concat_ws(', ', 'set by ' || f.set_by, 'done by ' || f.done_by)
            FROM homeward.follow_up f
            WHERE f.patient = $1::text
                AND ($2::text IS NULL OR (f.due_at, f.id) > ($2::text::timestamptz, $3::text::uuid))
                AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY f.due_at, f.id LIMIT $6::int4
            """)
    private static let exportSharing = Statement(
        name: "web_export_sharing",
        sql: """
            SELECT to_char(s.since AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), NULL::text, NULL::text, s.id::text,
                to_char(s.ended_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'sharing', s.care_manager,
                NULL::text, NULL::text, NULL::text, CASE WHEN s.ended_at IS NULL THEN 'current' ELSE 'ended' END,
                concat_ws('; ', 'on the word of: ' || s.word || ', by ' || s.added_by,
                    'ended by ' || s.ended_by || ': ' || s.end_reason)
            FROM homeward.information_sharing s
            WHERE s.patient = $1::text AND ($2::text IS NULL OR s.id > $2::text::int8)
                AND $3::text IS NOT DISTINCT FROM $3::text AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY s.id LIMIT $6::int4
            """)
    private static let exportPairings = Statement(
        name: "web_export_pairings",
        sql: """
            SELECT to_char(lower(h.period) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), d.code, NULL::text, h.id::text,
                to_char(upper(h.period) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'pairing', p.code, NULL::text,
                NULL::text, NULL::text, NULL::text, NULL::text
            FROM homeward.patient p
            JOIN homeward.pairing h ON h.patient = p.id AND h.retired_version IS NULL
            JOIN homeward.device d ON d.id = h.device
            WHERE p.code = $1::text AND ($2::text IS NULL OR h.id > $2::text::int8)
                AND $3::text IS NOT DISTINCT FROM $3::text AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY h.id LIMIT $6::int4
            """)
    // What each version of the entry changed; the first has all of it. The newest of each field is the detail.
    private static let exportVersions = Statement(
        name: "web_export_versions",
        sql: """
            SELECT to_char(e.valid_from AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), NULL::text, NULL::text,
                e.version::text, NULL::text, f.key,
                CASE jsonb_typeof(f.value) WHEN 'string' THEN f.value #>> '{}' ELSE f.value::text END, NULL::text, NULL::text,
                NULL::text, e.source, concat_ws(': ', 'by ' || e.actor, e.reason)
            FROM (
                SELECT version, valid_from, source, actor, reason, fields, lag(fields) OVER (ORDER BY version) AS before
                FROM homeward.registry_entry WHERE entity = 'patient' AND code = $1::text
            ) e
            CROSS JOIN LATERAL (
                SELECT k.key, e.fields -> k.key AS value
                FROM (
                    SELECT jsonb_object_keys(e.fields) UNION SELECT jsonb_object_keys(coalesce(e.before, '{}'))
                ) k (key)
                WHERE e.fields -> k.key IS DISTINCT FROM e.before -> k.key
            ) f
            WHERE ($2::text IS NULL OR (e.version, f.key) > ($2::text::int8, $3::text))
                AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY e.version, f.key LIMIT $6::int4
            """)
    // What was held of readers while they were the patient's, whether or not it was theirs that they sent.
    private static let exportQuarantined = Statement(
        name: "web_export_quarantined",
        sql: """
            SELECT to_char(q.received_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), q.device, q.report_id,
                q.place::text, NULL::text, q.reason, encode(q.payload, 'escape'), NULL::text, NULL::text, NULL::text, (
                    SELECT r.outcome FROM homeward.quarantine_release r WHERE r.quarantine = q.id ORDER BY r.id DESC LIMIT 1),
                q.detail, q.id::text
            FROM homeward.quarantine q
            WHERE EXISTS (
                    SELECT FROM homeward.pairing h JOIN homeward.patient p ON p.id = h.patient
                    JOIN homeward.device d ON d.id = h.device JOIN homeward.site s ON s.id = d.site
                    WHERE p.code = $1::text AND h.retired_version IS NULL AND d.code = q.device AND s.code = q.site
                        AND h.period @> q.received_at)
                AND ($2::text IS NULL OR q.id > $2::text::int8)
                AND $3::text IS NOT DISTINCT FROM $3::text AND $4::text IS NOT DISTINCT FROM $4::text AND $5::text IS NOT DISTINCT FROM $5::text
            ORDER BY q.id LIMIT $6::int4
            """)
    private static let exportDetails = Statement(
        name: "web_export_details",
        sql: """
            SELECT f.key, CASE jsonb_typeof(f.value) WHEN 'string' THEN f.value #>> '{}' ELSE f.value::text END
            FROM homeward.registry_current e CROSS JOIN LATERAL jsonb_each(e.fields) f
            WHERE e.entity = 'patient' AND e.code = $1::text ORDER BY f.key
            """)

    private static func source(_ table: ExportPlace.Table) -> ExportSource {
        switch table {
        case .readings: ExportSource(statement: exportReadings, record: "reading", key: [0, 1, 2, 3])
        case .answers: ExportSource(statement: exportAnswers, record: "answer", key: [0, 1, 2, 3])
        case .alerts: ExportSource(statement: exportAlerts, record: "alert", key: [0, 1])
        case .events: ExportSource(statement: exportEvents, record: "event", key: [0, 2])
        case .followUps: ExportSource(statement: exportFollowUps, record: "follow-up", key: [0, 2])
        case .sharing: ExportSource(statement: exportSharing, record: "sharing", key: [3])
        case .pairings: ExportSource(statement: exportPairings, record: "pairing", key: [3])
        case .versions: ExportSource(statement: exportVersions, record: "version", key: [3, 5])
        // Up to 64 KiB each.
        case .quarantined: ExportSource(statement: exportQuarantined, record: "quarantined", key: [12], atOnce: 50)
        }
    }

    /// A part of all that is stored of a patient; the first has the heads, and the personal details.
    public func export(
        _ patient: Identifier, after place: ExportPlace?, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<ExportPart> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<ExportPart> in
            guard try reader.now(seeing: patient) != nil else {
                try reader.refuse(patient)
                return .notThere
            }
            guard viewer.mayAct else { return .notThere }
            guard let place else {
                try reader.note(viewer, "export", patient: patient)
                return .seen(
                    ExportPart(
                        lines: try reader.details(of: patient),
                        next: ExportPlace.Table.allCases.first.map { .init(table: $0, key: []) }))
            }
            return .seen(try reader.part(of: patient, after: place))
        } ?? .signedOut
    }

    private func details(of patient: Identifier) throws(StoreFailure) -> String {
        var lines = CSVLine.text(
            [
                "record", "at", "reader", "report", "place", "received_or_ended_at", "kind", "value", "unit",
                "value_sent",
                "unit_sent", "status", "remark",
            ])
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        let rows = try connection.run(Self.exportDetails, parameters, doing: "reading a patient")
        for row in 0..<rows.rowCount {
            lines += CSVLine.text(
                ["detail", nil, nil, nil, nil, nil, rows.text(row, 0), rows.text(row, 1), nil, nil, nil, nil, nil])
        }
        return lines
    }

    private func part(of patient: Identifier, after place: ExportPlace) throws(StoreFailure) -> ExportPart {
        let source = Self.source(place.table)
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        for part in 0..<4 { parameters.add(optional: place.key.indices.contains(part) ? place.key[part] : nil) }
        parameters.add(Int32(source.atOnce))
        let rows = try connection.run(source.statement, parameters, doing: "reading a patient's data")
        var lines = ""
        for row in 0..<rows.rowCount { lines += CSVLine.text([source.record] + (0..<12).map { rows.text(row, $0) }) }
        if rows.rowCount == source.atOnce {
            let key = source.key.map { rows.text(rows.rowCount - 1, $0) ?? "" }
            return ExportPart(lines: lines, next: .init(table: place.table, key: key))
        }
        let following = ExportPlace.Table.allCases.drop { $0 != place.table }.dropFirst().first
        return ExportPart(lines: lines, next: following.map { .init(table: $0, key: []) })
    }
}
