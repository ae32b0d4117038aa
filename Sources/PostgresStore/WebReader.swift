public import Alerting
public import Clinical
internal import Cryptography
public import Ingestion
public import Registry

/// What the care managers' page reads, each call one transaction in the role of the page and in the name of a session: row-
/// level security leaves only what that session's care manager may see. One thread.
public final class WebReader {
    var connection: PostgresConnection
    private let isApproved: @Sendable () -> Bool

    /// - Parameter isApproved: whether the packs in force are those that were approved last.
    public init(_ configuration: DatabaseConfiguration, isApproved: @escaping @Sendable () -> Bool = { true }) {
        connection = PostgresConnection(configuration.named("web"))
        self.isApproved = isApproved
    }

    // MARK: Sessions

    // Written at most once a minute.
    private static let touch = Statement(
        name: "web_touch",
        sql: """
            UPDATE homeward.web_session SET idle_until = now() + $2::int8 * interval '1 microsecond'
            WHERE token_hash = $1::bytea AND ended_at IS NULL AND expires_at > now() AND idle_until > now()
                AND idle_until < now() + $2::int8 * interval '1 microsecond' - interval '1 minute'
            """)
    private static let end = Statement(
        name: "web_end",
        sql: """
            WITH this AS (
                SELECT care_manager FROM homeward.web_session WHERE token_hash = $1::bytea AND ended_at IS NULL
            )
            , ended AS (
                UPDATE homeward.web_session SET ended_at = now()
                WHERE ended_at IS NULL AND care_manager IN (SELECT care_manager FROM this)
                    AND ($2::int4 = 1 OR token_hash = $1::bytea)
            )
            INSERT INTO homeward.read_audit (care_manager, site, what)
            SELECT this.care_manager, s.code, 'signed-out'
            FROM this JOIN homeward.care_manager c ON c.code = this.care_manager JOIN homeward.site s ON s.id = c.site
            """)
    // What the page asks for by itself is a look all the same: recorded every ten minutes.
    private static let list = Statement(
        name: "web_list_look",
        sql: """
            UPDATE homeward.web_session SET listed_at = now()
            WHERE token_hash = $1::bytea AND ended_at IS NULL AND expires_at > now() AND idle_until > now()
                AND ($2::int4 = 1 OR listed_at IS NULL OR listed_at < now() - interval '10 minutes')
            """)
    static let enter = Statement(
        name: "web_enter",
        sql: "SELECT set_config('homeward.session', $1::text, true), set_config('role', 'homeward_web', true)")
    static let leave = Statement(name: "web_leave", sql: "SELECT set_config('role', 'none', true)")
    private static let viewerStatement = Statement(
        name: "web_viewer",
        sql: """
            SELECT v.care_manager, v.role, v.site, coalesce(e.name, v.site),
                coalesce(e.timezone, 'Europe/London'), EXISTS (SELECT FROM homeward.pack_content)
                    AND NOT EXISTS (SELECT FROM homeward.pack_content c WHERE c.configured
                        AND NOT EXISTS (SELECT FROM homeward.pack_approval a WHERE a.pack = c.pack))
            FROM homeward.web_viewer() v LEFT JOIN homeward.web_site() e ON true
            """)
    private static let audit = Statement(
        name: "web_audit",
        sql: """
            INSERT INTO homeward.read_audit (care_manager, site, patient, what)
            VALUES ($1::text, $2::text, $3::text, $4::text)
            """)

    /// Who is signed in with that session; nil when it has ended.
    public func viewer(_ session: SessionToken, isActivity: Bool) throws(StoreFailure) -> Viewer? {
        try within(session, isActivity: isActivity) { viewer, _ throws(StoreFailure) in viewer }
    }

    public func end(_ session: SessionToken, everywhere: Bool) throws(StoreFailure) {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(sha256(session.bytes))
        parameters.add(Int32(everywhere ? 1 : 0))
        _ = try connection.run(Self.end, parameters, doing: "signing out")
    }

    /// Nil when the session has ended.
    ///
    /// - Parameter isList: the worklist is looked at: when that was last recorded and the record are written as one.
    func within<Value>(
        _ session: SessionToken, isActivity: Bool, isList: Bool = false,
        _ body: (Viewer, WebReader) throws(StoreFailure) -> Value
    ) throws(StoreFailure) -> Value? {
        try connection.startCheckedCall()
        do throws(StoreFailure) {
            let hash = sha256(session.bytes)
            var parameters = PostgresParameters()
            if isActivity {
                parameters.add(hash)
                parameters.add(WebAccounts.idleTime.microseconds)
                _ = try connection.run(Self.touch, parameters, doing: "keeping a session")
            }
            _ = try connection.query("BEGIN", doing: "reading for the page")
            var isLook = false
            if isList {
                parameters = PostgresParameters()
                parameters.add(hash)
                parameters.add(Int32(isActivity ? 1 : 0))
                isLook = try connection.run(Self.list, parameters, doing: "keeping a session").affectedRows == 1
            }
            parameters = PostgresParameters()
            parameters.add(hexadecimal(hash))
            try Self.enter(parameters, &connection)
            var value: Value?
            if var viewer = try Self.viewer(&connection) {
                viewer.hasApprovedLimits = viewer.hasApprovedLimits && isApproved()
                if isLook { try note(viewer, "worklist", patient: nil) }
                value = try body(viewer, self)
            }
            _ = try connection.query("COMMIT", doing: "reading for the page")
            return value
        } catch {
            // The role and the session end with the connection.
            connection.close()
            throw error
        }
    }

    /// Whose session it is, in a transaction that has taken on the page's role.
    static func viewer(_ connection: inout PostgresConnection) throws(StoreFailure) -> Viewer? {
        let row = try connection.run(viewerStatement, PostgresParameters(), doing: "reading a session")
        guard let careManager = row.identifier(0, 0), let site = row.identifier(0, 2),
            let role = row.text(0, 1).flatMap(CareManager.Role.init(rawValue:)), let siteName = row.text(0, 3),
            let timeZone = row.text(0, 4), let hasApprovedLimits = row.boolean(0, 5)
        else { return nil }
        return Viewer(
            careManager: careManager, role: role, site: site, siteName: siteName, timeZone: timeZone,
            hasApprovedLimits: hasApprovedLimits)
    }

    /// Takes on the page's role until the end of the transaction.
    static func enter(_ parameters: PostgresParameters, _ connection: inout PostgresConnection) throws(StoreFailure) {
        do throws(StoreFailure) {
            _ = try connection.run(enter, parameters, doing: "taking on the page's role")
        } catch {
            guard error.kind != .transient else { throw error }
            throw StoreFailure(
                kind: .misconfigured, sqlState: error.sqlState,
                message:
                    "the database's role can't take on homeward_web: run deploy/roles.sql, or create that role and "
                    + "grant it to this one, then `homeward migrate`")
        }
    }

    func note(_ viewer: Viewer, _ what: String, patient: Identifier?) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(viewer.careManager.description)
        parameters.add(viewer.site.description)
        parameters.add(optional: patient?.description)
        parameters.add(what)
        _ = try connection.run(Self.audit, parameters, doing: "recording a look")
    }

    // MARK: Worklist

    private static let patients = Statement(name: "web_patients", sql: "SELECT code FROM homeward.patient")
    private static let others = Statement(
        name: "web_others",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert
            WHERE state <> 'resolved' AND subject_type <> 'patient'
            ORDER BY array_position(ARRAY['red', 'amber', 'info'], severity), raised_at, id
            LIMIT 200
            """)

    public struct Visible: Sendable {
        public var viewer: Viewer
        /// Nil where they were not asked for.
        public var patients: Set<Identifier>?
        /// Open alerts of the site that are about no patient.
        public var others: [Episode]
    }

    /// Who looks at the worklist, which is recorded; nil when the session has ended.
    public func looker(_ session: SessionToken, isActivity: Bool) throws(StoreFailure) -> Viewer? {
        try within(session, isActivity: isActivity, isList: true) { viewer, _ throws(StoreFailure) in viewer }
    }

    /// What of the worklist that session's care manager may see; nil when it has ended.
    public func visible(_ session: SessionToken, withPatients: Bool) throws(StoreFailure) -> Visible? {
        try within(session, isActivity: false) { viewer, reader throws(StoreFailure) in
            var patients: Set<Identifier>?
            if withPatients {
                let rows = try reader.connection.run(Self.patients, PostgresParameters(), doing: "reading patients")
                patients = Set((0..<rows.rowCount).compactMap { rows.identifier($0, 0) })
            }
            let others = try EpisodeRow.episodes(
                try reader.connection.run(Self.others, PostgresParameters(), doing: "reading alerts"))
            return Visible(viewer: viewer, patients: patients, others: others)
        }
    }

    // MARK: A patient

    private static let patient = Statement(
        name: "web_patient", sql: "SELECT now() FROM homeward.patient WHERE code = $1::text")
    private static let readings = Statement(
        name: "web_readings",
        sql: """
            SELECT d.code, r.report_id, r.place, r.kind, r.value, r.code, r.value_sent, sent.code, r.taken_at,
                r.received_at, r.suspicions IS NOT NULL, c.corrected_by || ': ' || c.reason,
                t.care_manager || ', told by the ' || t.source
            FROM homeward.patient p
            JOIN homeward.reading r ON r.patient = p.id AND r.taken_at > now() - $2::int4 * interval '1 day'
                AND r.received_at > now() - $2::int4 * interval '1 day' - interval '1 hour'
            JOIN homeward.device d ON d.id = r.device
            LEFT JOIN homeward.unit sent ON sent.id = r.unit_sent
            LEFT JOIN homeward.typed_report t ON starts_with(d.code, 'typed-') AND t.patient = p.code
                AND replace(t.id::text, '-', '') = r.report_id
            LEFT JOIN homeward.reading_correction c
                ON c.device = r.device AND c.report_id = r.report_id AND c.place = r.place
            WHERE p.code = $1::text
            ORDER BY r.taken_at DESC, d.code, r.report_id, r.place
            LIMIT 20000
            """)
    private static let answers = Statement(
        name: "web_answers",
        sql: """
            SELECT a.question, a.value, a.taken_at
            FROM homeward.patient p
            JOIN homeward.answer a ON a.patient = p.id AND a.taken_at > now() - $2::int4 * interval '1 day'
            WHERE p.code = $1::text
            ORDER BY a.taken_at DESC, a.place LIMIT 200
            """)
    private static let alerts = Statement(
        name: "web_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                acknowledged_by, resolved_at, resolved_by
            FROM homeward.alert
            WHERE CASE WHEN $3::uuid IS NOT NULL THEN id = $3::uuid ELSE
                ((subject_type = 'patient' AND subject = $1::text) OR (subject_type = 'device' AND subject IN (
                    SELECT d.code FROM homeward.pairing h JOIN homeward.patient p ON p.id = h.patient
                    JOIN homeward.device d ON d.id = h.device
                    WHERE p.code = $1::text AND h.retired_version IS NULL AND h.period @> now())))
                AND (state <> 'resolved' OR raised_at > now() - $2::int4 * interval '1 day') END
            ORDER BY state = 'resolved', array_position(ARRAY['red', 'amber', 'info'], severity), raised_at DESC, id
            LIMIT 100
            """)
    private static let devices = Statement(
        name: "web_devices",
        sql: """
            SELECT d.code, lower(h.period), upper(h.period), s.online, s.battery, s.firmware, s.received_at
            FROM homeward.pairing h
            JOIN homeward.patient p ON p.id = h.patient
            JOIN homeward.device d ON d.id = h.device
            LEFT JOIN homeward.device_status s ON s.device = d.id
            WHERE p.code = $1::text AND h.retired_version IS NULL
            ORDER BY lower(h.period) DESC LIMIT 20
            """)

    public struct Stored: Sendable {
        public var viewer: Viewer
        public var at: Instant
        public var readings: [ChartReading]
        public var answers: [PatientAnswer]
        public var alerts: [AlertFile]
        public var devices: [PatientDevice]
        public var events: [PatientEvent]
        public var followUps: [FollowUp]
        public var typed: [TypedReport]
        /// The entry's fields over those days, oldest first; the first stood before them.
        public var entries: [(from: Instant, fields: [String: FieldValue])]
    }

    public func patient(_ code: Identifier, days: Int, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<
        Stored
    > {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Stored> in
            var parameters = PostgresParameters()
            parameters.add(code.description)
            let found = try reader.connection.run(Self.patient, parameters, doing: "reading a patient")
            guard let at = found.instant(0, 0) else { return .notThere }
            let devices = try reader.devices(parameters)
            parameters.add(Int32(clamping: days))
            let stored = Stored(
                viewer: viewer, at: at, readings: try reader.readings(parameters),
                answers: try reader.answers(parameters), alerts: try reader.alerts(of: parameters, id: nil),
                devices: devices, events: try reader.patientEvents(parameters),
                followUps: try reader.followUps(of: code), typed: try reader.typedReports(of: code),
                entries: try reader.entries(parameters))
            try reader.note(viewer, "patient", patient: code)
            return .seen(stored)
        } ?? .signedOut
    }

    private func devices(_ parameters: PostgresParameters) throws(StoreFailure) -> [PatientDevice] {
        let result = try connection.run(Self.devices, parameters, doing: "reading devices")
        return (0..<result.rowCount).compactMap { row in
            guard let code = result.identifier(row, 0), let from = result.instant(row, 1) else { return nil }
            return PatientDevice(
                code: code, from: from, until: result.instant(row, 2), isOnline: result.boolean(row, 3),
                battery: result.double(row, 4), firmware: result.text(row, 5), heardAt: result.instant(row, 6))
        }
    }

    private func readings(_ parameters: PostgresParameters) throws(StoreFailure) -> [ChartReading] {
        let result = try connection.run(Self.readings, parameters, doing: "reading readings")
        var readings: [ChartReading] = []
        readings.reserveCapacity(result.rowCount)
        for row in (0..<result.rowCount).reversed() {
            guard let device = result.identifier(row, 0), let report = result.identifier(row, 1, grammar: .report),
                let place = result.int16(row, 2), let value = result.double(row, 4),
                let kind = result.int16(row, 3).flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
                let valueSent = result.double(row, 6), let takenAt = result.instant(row, 8),
                let receivedAt = result.instant(row, 9), let isSuspect = result.boolean(row, 10)
            else { throw StoreFailure(kind: .misconfigured, message: "reading readings: a row can't be understood") }
            readings.append(
                ChartReading(
                    key: ReportKey(device: device, report: report), place: Int(place), kind: kind, value: value,
                    code: result.text(row, 5), valueSent: valueSent, unitSent: result.text(row, 7), takenAt: takenAt,
                    receivedAt: receivedAt, isSuspect: isSuspect, correction: result.text(row, 11),
                    typed: result.text(row, 12)))
        }
        return readings
    }

    private func answers(_ parameters: PostgresParameters) throws(StoreFailure) -> [PatientAnswer] {
        let result = try connection.run(Self.answers, parameters, doing: "reading answers")
        return (0..<result.rowCount).compactMap { row in
            guard let question = result.text(row, 0), let value = result.text(row, 1),
                let takenAt = result.instant(row, 2)
            else { return nil }
            return PatientAnswer(question: question, value: value, takenAt: takenAt)
        }
    }

    // MARK: Alerts

    private static let alias = Statement(
        name: "web_alias", sql: "SELECT alert_id FROM homeward.alert_alias WHERE alias = $1::uuid")

    /// By its id, or one that it was told of under.
    public func alert(_ id: AlertID, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<(Viewer, AlertFile)> {
        try within(session, isActivity: true) {
            viewer, reader throws(StoreFailure) -> DeskAnswer<(Viewer, AlertFile)> in
            guard let file = try reader.alertFile(id) else { return .notThere }
            var patient: Identifier?
            if case .patient(let code) = file.episode.subject { patient = code }
            try reader.note(viewer, "alert", patient: patient)
            return .seen((viewer, file))
        } ?? .signedOut
    }

    func alertFile(_ id: AlertID) throws(StoreFailure) -> AlertFile? {
        var alias = PostgresParameters()
        alias.add((id.high, id.low))
        let real = try connection.run(Self.alias, alias, doing: "reading an alert").uuid(0, 0)
        var parameters = PostgresParameters()
        parameters.addNull()
        parameters.addNull()
        return try alerts(of: parameters, id: real.map { AlertID(high: $0.high, low: $0.low) } ?? id).first
    }

    private func alerts(of parameters: PostgresParameters, id: AlertID?) throws(StoreFailure) -> [AlertFile] {
        var parameters = parameters
        if let id { parameters.add((id.high, id.low)) } else { parameters.addNull() }
        let result = try connection.run(Self.alerts, parameters, doing: "reading alerts")
        let episodes = try EpisodeRow.episodes(result)
        var files = episodes.enumerated().map { row, episode in
            AlertFile(
                episode: episode, acknowledgedBy: result.text(row, 18), resolvedAt: result.instant(row, 19),
                resolvedBy: result.text(row, 20), events: [], told: [])
        }
        try readHistory(of: &files)
        return files
    }

    // MARK: Corrections and the audit

    private static let correctable = Statement(
        name: "web_correctable",
        sql: """
            SELECT 1 FROM homeward.patient p
            JOIN homeward.device d ON d.code = $2::text
            JOIN homeward.reading r ON r.patient = p.id AND r.device = d.id AND r.report_id = $3::text
                AND r.place = $4::int2
            WHERE p.code = $1::text
            LIMIT 1
            """)

    /// Who asks, if the reading is there for them and they may say something of it.
    public func corrector(_ request: CorrectionRequest, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<
        Viewer
    > {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Viewer> in
            guard viewer.mayAct, let place = Int16(exactly: request.place) else { return .notThere }
            var parameters = PostgresParameters()
            parameters.add(request.patient.description)
            parameters.add(request.key.device.description)
            parameters.add(request.key.report.description)
            parameters.add(place)
            let found = try reader.connection.run(Self.correctable, parameters, doing: "reading a reading")
            return found.rowCount == 1 ? .seen(viewer) : .notThere
        } ?? .signedOut
    }
}
