public import Alerting
public import Clinical
public import Ingestion
internal import Registry

/// Who may see a patient, and who looked, in the page's role.
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
            guard let at = try reader.now(seeing: patient) else {
                try reader.refuse(patient)
                return .notThere
            }
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
        try writeSharing(of: patient, session) { viewer, reader throws(StoreFailure) -> Bool in
            var who = PostgresParameters()
            who.add(careManager.description)
            let may = try reader.connection.run(Self.maySelect, who, doing: "selecting somebody")
            guard may.boolean(0, 0) == true else { return false }
            var parameters = PostgresParameters()
            parameters.add(patient.description)
            parameters.add(careManager.description)
            parameters.add(viewer.careManager.description)
            parameters.add(word)
            return try reader.connection.run(Self.share, parameters, doing: "selecting somebody").affectedRows == 1
        }
    }

    public func endSharing(
        _ id: Int64, of patient: Identifier, reason: String, _ session: SessionToken
    ) throws(StoreFailure) -> DeskAnswer<Bool> {
        try writeSharing(of: patient, session) { viewer, reader throws(StoreFailure) -> Bool in
            var parameters = PostgresParameters()
            parameters.add(id)
            parameters.add(patient.description)
            parameters.add(viewer.careManager.description)
            parameters.add(reason)
            return try reader.connection.run(Self.unshare, parameters, doing: "ending a selection").affectedRows == 1
        }
    }

    /// For who leads, of a patient whom they may see.
    private func writeSharing(
        of patient: Identifier, _ session: SessionToken, _ write: (Viewer, WebReader) throws(StoreFailure) -> Bool
    ) throws(StoreFailure) -> DeskAnswer<Bool> {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Bool> in
            guard viewer.leads, try reader.now(seeing: patient) != nil else { return .notThere }
            return .seen(try write(viewer, reader))
        } ?? .signedOut
    }

    /// The time on PostgreSQL's clock, where the patient is there for the viewer.
    func now(seeing patient: Identifier) throws(StoreFailure) -> Instant? {
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        return try connection.run(Self.visible, parameters, doing: "reading a patient").instant(0, 0)
    }

    // MARK: The read audit

    static let auditPage = 200
    // Days as they are at the site.
    private static let audit = Statement(
        name: "web_search_audit",
        sql: """
            SELECT id, at, care_manager, patient, what, detail FROM homeward.read_audit
            WHERE ($1::text IS NULL OR patient = $1::text OR (what = 'refused-patient' AND detail = $1::text))
                AND ($2::text IS NULL OR care_manager = $2::text)
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
                rows.append(
                    ReadAuditRow(
                        at: at, careManager: who, patient: found.text(row, 3), what: what, detail: found.text(row, 5)))
            }
            let isSomebody = search.patient.map { code in rows.contains { $0.patient == code.description } } ?? false
            try reader.note(viewer, "audit", patient: isSomebody ? search.patient : nil)
            return .seen(
                AuditFile(
                    viewer: viewer, at: now.instant(0, 0) ?? Instant(microseconds: 0), rows: rows,
                    next: found.rowCount > Self.auditPage ? last : nil))
        } ?? .signedOut
    }
}
