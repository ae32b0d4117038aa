public import Alerting
public import Clinical
public import Ingestion
public import Registry

/// A patient's file and alerts, in the page's role.
extension WebReader {
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
            LIMIT $3::int4
            """)
    /// Ninety days of a sensor that measures every five minutes, and of what else there is.
    static let mostReadings = 40_000
    private static let answers = Statement(
        name: "web_answers",
        sql: """
            SELECT a.question, a.value, a.taken_at
            FROM homeward.patient p
            JOIN homeward.answer a ON a.patient = p.id AND a.taken_at > now() - $2::int4 * interval '1 day'
            WHERE p.code = $1::text
            ORDER BY a.taken_at DESC, a.place LIMIT 200
            """)
    private static let oneAlert = Statement(
        name: "web_alert",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                acknowledged_by, resolved_at, resolved_by
            FROM homeward.alert WHERE id = $1::uuid
            """)
    private static let alerts = Statement(
        name: "web_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                acknowledged_by, resolved_at, resolved_by
            FROM homeward.alert
            WHERE id IN (
                SELECT id FROM homeward.alert WHERE subject_type = 'patient' AND subject = $1::text
                UNION ALL
                SELECT id FROM homeward.alert WHERE subject_type = 'device' AND subject IN (
                    SELECT d.code FROM homeward.pairing h JOIN homeward.patient p ON p.id = h.patient
                    JOIN homeward.device d ON d.id = h.device
                    WHERE p.code = $1::text AND h.retired_version IS NULL AND h.period @> now()))
                AND (state <> 'resolved' OR raised_at > now() - $2::int4 * interval '1 day')
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
        /// There are more: these are all from then on.
        public var readingsFrom: Instant?
        public var answers: [PatientAnswer]
        public var alerts: [AlertFile]
        public var devices: [PatientDevice]
        public var events: [PatientEvent]
        public var followUps: [FollowUp]
        public var typed: [TypedReport]
        /// The entry's fields over those days, oldest first; the first stood before them.
        public var entries: [(from: Instant, fields: [String: FieldValue])]
        /// There are more: these are all from then on.
        public var entriesFrom: Instant?
        public var packs: PackRecords
    }

    public func patient(_ code: Identifier, days: Int, _ session: SessionToken) throws(StoreFailure) -> DeskAnswer<
        Stored
    > {
        try within(session, isActivity: true) { viewer, reader throws(StoreFailure) -> DeskAnswer<Stored> in
            var parameters = PostgresParameters()
            parameters.add(code.description)
            let found = try reader.connection.run(Self.patient, parameters, doing: "reading a patient")
            guard let at = found.instant(0, 0) else {
                try reader.refuse(code)
                return .notThere
            }
            let devices = try reader.devices(parameters)
            parameters.add(Int32(clamping: days))
            let (readings, readingsFrom) = try reader.readings(parameters)
            let (entries, entriesFrom) = try reader.entries(parameters)
            let stored = Stored(
                viewer: viewer, at: at, readings: readings, readingsFrom: readingsFrom,
                answers: try reader.answers(parameters), alerts: try reader.alerts(Self.alerts, parameters),
                devices: devices, events: try reader.patientEvents(parameters),
                followUps: try reader.followUps(of: code), typed: try reader.typedReports(of: code),
                entries: entries, entriesFrom: entriesFrom, packs: try reader.packRecords())
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

    /// Oldest first; where there are more than are shown, from when on they are all.
    private func readings(
        _ parameters: PostgresParameters
    ) throws(StoreFailure) -> (readings: [ChartReading], from: Instant?) {
        var parameters = parameters
        parameters.add(Int32(clamping: Self.mostReadings + 1))
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
        guard readings.count > Self.mostReadings else { return (readings, nil) }
        readings.removeFirst(readings.count - Self.mostReadings)
        return (readings, readings.first?.takenAt)
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
        parameters.add(real.map { ($0.high, $0.low) } ?? (id.high, id.low))
        return try alerts(Self.oneAlert, parameters).first
    }

    private func alerts(
        _ statement: Statement, _ parameters: PostgresParameters
    ) throws(StoreFailure) -> [AlertFile] {
        let result = try connection.run(statement, parameters, doing: "reading alerts")
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
