public import Alerting
public import Clinical
internal import Formats
public import Ingestion
internal import Registry

/// Who may see a patient, who looked, and the patient's own data, in the page's role.
extension WebReader {
    private static let visible = Statement(
        name: "web_visible", sql: "SELECT now() FROM homeward.patient WHERE code = $1::text")
    private static let people = Statement(
        name: "web_people",
        sql: """
            SELECT c.code, e.fields ->> 'name', coalesce(e.fields ->> 'role', 'care-manager')
            FROM homeward.care_manager c
            JOIN homeward.registry_current e ON e.entity = 'care-manager' AND e.code = c.code
            ORDER BY c.code LIMIT 1000
            """)
    private static let sharing = Statement(
        name: "web_sharing",
        sql: """
            SELECT s.id, s.care_manager, e.fields ->> 'name', s.since, s.added_by, s.word, s.ended_at, s.ended_by,
                s.end_reason
            FROM homeward.information_sharing s
            LEFT JOIN homeward.registry_current e ON e.entity = 'care-manager' AND e.code = s.care_manager
            WHERE s.patient = $1::text ORDER BY s.ended_at IS NOT NULL, s.id DESC LIMIT 200
            """)
    private static let maySelect = Statement(name: "web_may_select", sql: "SELECT homeward.may_select($1::text)")
    private static let share = Statement(
        name: "web_share",
        sql: """
            INSERT INTO homeward.information_sharing (patient, care_manager, added_by, word)
            VALUES ($1::text, $2::text, $3::text, $4::text) ON CONFLICT DO NOTHING
            """)
    private static let unshare = Statement(
        name: "web_unshare",
        sql: """
            UPDATE homeward.information_sharing SET ended_at = now(), ended_by = $3::text, end_reason = $4::text
            WHERE id = $1::int8 AND patient = $2::text AND ended_at IS NULL
            """)

    public func sharing(of patient: Identifier, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<SharingFile>
    {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<SharingFile> in
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            let found = try reader.connection.run(Self.visible, parameters, doing: "reading a patient")
            guard let at = found.instant(0, 0) else { return .notThere }
            let people = try reader.connection.run(Self.people, PostgresParameters(), doing: "reading a team")
            let rows = try reader.connection.run(Self.sharing, parameters, doing: "reading who may see")
            try reader.note(viewer, "sharing", patient: patient)
            return .seen(
                SharingFile(
                    viewer: viewer, at: at, patient: patient, name: nil,
                    people: (0..<people.rowCount).compactMap { row in
                        guard let code = people.text(row, 0),
                            let role = people.text(row, 2).flatMap(CareManager.Role.init(rawValue:))
                        else { return nil }
                        return TeamMember(code: code, name: people.text(row, 1), role: role)
                    },
                    rows: (0..<rows.rowCount).compactMap { row in
                        guard let id = rows.int64(row, 0), let code = rows.text(row, 1),
                            let since = rows.instant(row, 3),
                            let by = rows.text(row, 4), let word = rows.text(row, 5)
                        else { return nil }
                        return SharingRow(
                            id: id, careManager: code, name: rows.text(row, 2), since: since, addedBy: by, word: word,
                            endedAt: rows.instant(row, 6), endedBy: rows.text(row, 7), endReason: rows.text(row, 8))
                    }))
        } ?? .signedOut
    }

    public func share(
        _ patient: Identifier, with careManager: Identifier, word: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<Bool> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Bool> in
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            guard viewer.leads,
                try reader.connection.run(Self.visible, parameters, doing: "reading a patient").rowCount == 1
            else { return .notThere }
            var who = PostgresParameters()
            who.add(careManager.description)
            guard try reader.connection.run(Self.maySelect, who, doing: "selecting somebody").boolean(0, 0) == true
            else {
                return .seen(false)
            }
            parameters.add(careManager.description)
            parameters.add(viewer.careManager.description)
            parameters.add(word)
            return .seen(
                try reader.connection.run(Self.share, parameters, doing: "selecting somebody").affectedRows == 1)
        } ?? .signedOut
    }

    public func endSharing(
        _ id: Int64, of patient: Identifier, reason: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<Bool> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Bool> in
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            guard viewer.leads,
                try reader.connection.run(Self.visible, parameters, doing: "reading a patient").rowCount == 1
            else { return .notThere }
            parameters = PostgresParameters()
            parameters.add(id)
            parameters.add(patient.description)
            parameters.add(viewer.careManager.description)
            parameters.add(reason)
            return .seen(
                try reader.connection.run(Self.unshare, parameters, doing: "ending a selection").affectedRows == 1)
        } ?? .signedOut
    }

    // MARK: The read audit

    static let auditPage = 200
    // Days as they are at the site.
    private static let audit = Statement(
        name: "web_search_audit",
        sql: """
            SELECT id, at, care_manager, patient, what FROM homeward.read_audit
            WHERE ($1::text IS NULL OR patient = $1::text) AND ($2::text IS NULL OR care_manager = $2::text)
                AND ($3::text IS NULL OR at >= ($3::text::date::timestamp AT TIME ZONE $5::text))
                AND ($4::text IS NULL OR at < (($4::text::date + 1)::timestamp AT TIME ZONE $5::text))
                AND ($6::int8 IS NULL OR id < $6::int8)
            ORDER BY id DESC LIMIT $7::int4
            """)

    public func searchAudit(_ search: AuditSearch, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<
        AuditFile
    > {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<AuditFile> in
            guard viewer.maySearchAudit else { return .notThere }
            let now = try reader.connection.run(
                Statement(name: "web_audit_now", sql: "SELECT now()"), PostgresParameters(), doing: "reading the time")
            var parameters = PostgresParameters()
            parameters.add(optional: search.patient?.description)
            parameters.add(optional: search.careManager?.description)
            parameters.add(optional: search.from?.description)
            parameters.add(optional: search.until?.description)
            parameters.add(viewer.timeZone)
            if let before = search.before { parameters.add(before) } else { parameters.addNull() }
            parameters.add(Int32(Self.auditPage + 1))
            let found = try reader.connection.run(Self.audit, parameters, doing: "reading the audit")
            var rows: [ReadAuditRow] = []
            var last: Int64?
            for row in 0..<min(found.rowCount, Self.auditPage) {
                guard let id = found.int64(row, 0), let at = found.instant(row, 1), let who = found.text(row, 2),
                    let what = found.text(row, 4)
                else { continue }
                last = id
                rows.append(ReadAuditRow(at: at, careManager: who, patient: found.text(row, 3), what: what))
            }
            let isSomebody = search.patient.map { code in rows.contains { $0.patient == code.description } } ?? false
            try reader.note(viewer, "audit", patient: isSomebody ? search.patient : nil)
            return .seen(
                AuditFile(
                    viewer: viewer, at: now.instant(0, 0) ?? Instant(microseconds: 0), rows: rows,
                    next: found.rowCount > Self.auditPage ? last : nil))
        } ?? .signedOut
    }

    // MARK: A patient's own data

    private static let exportedAtOnce = 2000
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
    private static let exportDetails = Statement(
        name: "web_export_details",
        sql: """
            SELECT f.key, CASE jsonb_typeof(f.value) WHEN 'string' THEN f.value #>> '{}' ELSE f.value::text END
            FROM homeward.registry_current e CROSS JOIN LATERAL jsonb_each(e.fields) f
            WHERE e.entity = 'patient' AND e.code = $1::text ORDER BY f.key
            """)

    /// A part of all that is stored of a patient; the first has the heads, and the personal details.
    public func export(
        _ patient: Identifier, after place: ExportPlace?, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<ExportPart> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<ExportPart> in
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            guard viewer.mayAct,
                try reader.connection.run(Self.visible, parameters, doing: "reading a patient").rowCount == 1
            else { return .notThere }
            guard let place else {
                try reader.note(viewer, "export", patient: patient)
                return .seen(ExportPart(lines: try reader.details(parameters), next: .init(table: .readings, key: [])))
            }
            return .seen(try reader.part(of: patient, after: place))
        } ?? .signedOut
    }

    private func details(_ parameters: PostgresParameters) throws(StoreFailure) -> String {
        var lines = CSVLine.text(
            [
                "record", "at", "reader", "report", "place", "received_or_ended_at", "kind", "value", "unit",
                "value_sent",
                "unit_sent", "status", "remark",
            ])
        let rows = try connection.run(Self.exportDetails, parameters, doing: "reading a patient")
        for row in 0..<rows.rowCount {
            lines += CSVLine.text(
                ["detail", nil, nil, nil, nil, nil, rows.text(row, 0), rows.text(row, 1), nil, nil, nil, nil, nil])
        }
        return lines
    }

    private func part(of patient: Identifier, after place: ExportPlace) throws(StoreFailure) -> ExportPart {
        let (statement, record, following): (Statement, String, ExportPlace.Table?) =
            switch place.table {
            case .readings: (Self.exportReadings, "reading", .answers)
            case .answers: (Self.exportAnswers, "answer", .alerts)
            case .alerts: (Self.exportAlerts, "alert", nil)
            }
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        for column in 0..<4 {
            parameters.add(optional: place.key.indices.contains(column) ? place.key[column] : nil)
        }
        parameters.add(Int32(Self.exportedAtOnce))
        let rows = try connection.run(statement, parameters, doing: "reading a patient's data")
        var lines = ""
        for row in 0..<rows.rowCount { lines += CSVLine.text([record] + (0..<12).map { rows.text(row, $0) }) }
        guard rows.rowCount < Self.exportedAtOnce else {
            let last = rows.rowCount - 1
            return ExportPart(
                lines: lines, next: .init(table: place.table, key: (0..<4).map { rows.text(last, $0) ?? "" }))
        }
        return ExportPart(lines: lines, next: following.map { .init(table: $0, key: []) })
    }
}
