public import Alerting
public import Clinical
public import Ingestion

/// A patient as a replay of what was stored begins with him.
public struct HistoryPatient: Hashable, Sendable {
    public var code: Identifier
    public var site: Identifier

    public init(code: Identifier, site: Identifier) {
        self.code = code
        self.site = site
    }
}

/// An alert as it was, with what happened to it.
public struct PastAlert: Sendable {
    public struct Event: Sendable, Hashable {
        /// As `EpisodeEvent.Transition` has it.
        public var transition: String
        public var severity: Severity
        public var at: Instant
        /// A report made it so, rather than a person or a timer.
        public var isOfReport: Bool
    }

    /// As it is now.
    public var episode: Episode
    public var resolvedAt: Instant?
    /// Oldest first.
    public var events: [Event]
    /// Whether the report that opened it is stored. One that a timer opened, or a report that was refused, can't be
    /// raised again by judging what is stored.
    public var isOfStoredReport: Bool

    public init(episode: Episode, resolvedAt: Instant?, events: [Event], isOfStoredReport: Bool) {
        self.episode = episode
        self.resolvedAt = resolvedAt
        self.events = events
        self.isOfStoredReport = isOfStoredReport
    }
}

/// A stored reading, with what was said of it.
public struct ReadingRow: Sendable, Hashable {
    public var key: ReportKey
    /// Its place in the report, counted from 0.
    public var reading: Int
    public var kind: String
    /// As it was sent: a number, or a coded kind's code.
    public var value: String
    public var unit: String?
    public var takenAt: Instant
    /// As `v_reading` has it.
    public var status: String
    /// Nil unless it was entered in error.
    public var correction: EnteredInError?
}

/// Reads what was stored of patients, report by report in the order of receipt, and the alerts that it raised. Nothing
/// is held between calls: any history takes the memory of a page. One thread.
public final class StoredHistory {
    /// How many reports a page has at most.
    public static let pageSize = 1000

    private var connection: PostgresConnection

    private static let patients = Statement(
        name: "history_patients",
        sql: """
            SELECT p.code, s.code FROM homeward.patient p JOIN homeward.site s ON s.id = p.site
            WHERE ($1::text IS NULL OR p.code = $1::text) AND ($2::text IS NULL OR s.code = $2::text)
            ORDER BY p.code
            """)
    // Readers that were the patient's at any time: reports are found by reader and time of receipt.
    private static let reports = Statement(
        name: "history_reports",
        sql: """
            SELECT d.code, m.report_id, m.received_at, m.raw,
                (SELECT string_agg(c.place::text, ',') FROM homeward.reading_correction c
                 WHERE c.device = m.device AND c.report_id = m.report_id)
            FROM homeward.patient p
            JOIN homeward.report m ON m.patient = p.id
                AND m.device IN (SELECT held.device FROM homeward.pairing held WHERE held.patient = p.id)
            JOIN homeward.device d ON d.id = m.device
            WHERE p.code = $1::text AND m.received_at >= $2::timestamptz AND m.received_at < $5::timestamptz
                AND (m.received_at, d.code, m.report_id) > ($2::timestamptz, $3::text, $4::text)
            ORDER BY m.received_at, d.code, m.report_id
            LIMIT $6::int4
            """)
    private static let readings = Statement(
        name: "history_readings",
        sql: """
            SELECT d.code, r.report_id, r.place, k.code, coalesce(r.code, r.value_sent::text), sent.code, r.taken_at,
                CASE WHEN c.device IS NOT NULL THEN 'entered-in-error'
                    WHEN r.suspicions IS NULL THEN 'accepted' ELSE 'suspect' END,
                r.kind, c.corrected_at, c.corrected_by, c.actor, c.reason
            FROM homeward.patient p
            JOIN homeward.reading r ON r.patient = p.id AND r.taken_at >= $2::timestamptz
                AND r.received_at >= $2::timestamptz - interval '1 hour'
            JOIN homeward.device d ON d.id = r.device
            JOIN homeward.kind k ON k.id = r.kind
            LEFT JOIN homeward.unit sent ON sent.id = r.unit_sent
            LEFT JOIN homeward.reading_correction c
                ON c.device = r.device AND c.report_id = r.report_id AND c.place = r.place
            WHERE p.code = $1::text
            ORDER BY r.taken_at, d.code, r.report_id, r.place
            """)
    private static let alerts = Statement(
        name: "history_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision, resolved_at,
                EXISTS (SELECT FROM homeward.alert_event e
                    JOIN homeward.device d ON d.code = e.device
                    JOIN homeward.report m ON m.device = d.id AND m.received_at = e.at AND m.report_id = e.report_id
                    WHERE e.alert = a.id AND e.transition = 'opened')
            FROM homeward.alert a
            WHERE subject_type = 'patient' AND subject = $1::text AND class = 'clinical'
                AND raised_at < $3::timestamptz AND (resolved_at IS NULL OR resolved_at >= $2::timestamptz)
            ORDER BY raised_at, id
            """)
    private static let events = Statement(
        name: "history_events",
        sql: """
            SELECT alert, transition, severity, at, report_id IS NOT NULL FROM homeward.alert_event WHERE alert = ANY ($1::uuid[])
            ORDER BY alert, revision
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("history"))
    }

    private func connect() throws(StoreFailure) {
        connection.startCall()
        guard !connection.isConnected else { return }
        try connection.connect()
        do {
            try ServerCheck.run(&connection)
        } catch {
            connection.close()
            throw error
        }
    }

    /// By code; nil takes all.
    public func patients(_ patient: Identifier?, site: Identifier?) throws(StoreFailure) -> [HistoryPatient] {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(optional: patient?.description)
        parameters.add(optional: site?.description)
        let result = try connection.run(Self.patients, parameters, doing: "reading patients")
        return (0..<result.rowCount).compactMap { row in
            guard let code = result.identifier(row, 0), let site = result.identifier(row, 1) else { return nil }
            return HistoryPatient(code: code, site: site)
        }
    }

    /// The reports received from `start` and before `end`, in the order of receipt, at most a page of them.
    ///
    /// - Parameter last: the last one of the page before; nil for the first page.
    public func reports(
        of patient: HistoryPatient, from start: Instant, until end: Instant, after last: StoredMessage?
    ) throws(StoreFailure) -> [StoredMessage] {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(patient.code.description)
        parameters.add(last?.receivedAt ?? start)
        parameters.add(last?.key.device.description ?? "")
        parameters.add(last?.key.report.description ?? "")
        parameters.add(end)
        parameters.add(Int32(Self.pageSize))
        let result = try connection.run(Self.reports, parameters, doing: "reading reports")
        var reports: [StoredMessage] = []
        reports.reserveCapacity(result.rowCount)
        for row in 0..<result.rowCount {
            guard let device = result.identifier(row, 0), let report = result.identifier(row, 1, grammar: .report),
                let receivedAt = result.instant(row, 2), let raw = result.bytes(row, 3)
            else { throw StoreFailure(kind: .misconfigured, message: "reading reports: a row can't be understood") }
            let places = (result.text(row, 4) ?? "").split(separator: ",").compactMap { Int($0) }
            reports.append(
                StoredMessage(
                    key: ReportKey(device: device, report: report), site: patient.site, patient: patient.code,
                    receivedAt: receivedAt, raw: raw, enteredInError: Set(places)))
        }
        return reports
    }

    /// The patient's readings taken from then on, oldest first.
    public func readings(of patient: Identifier, since: Instant) throws(StoreFailure) -> [ReadingRow] {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        parameters.add(since)
        let result = try connection.run(Self.readings, parameters, doing: "reading readings")
        var rows: [ReadingRow] = []
        for row in 0..<result.rowCount {
            guard let device = result.identifier(row, 0), let report = result.identifier(row, 1, grammar: .report),
                let place = result.int16(row, 2), let name = result.text(row, 3), let value = result.text(row, 4),
                let takenAt = result.instant(row, 6), let status = result.text(row, 7),
                let kind = result.int16(row, 8).flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) })
            else { throw StoreFailure(kind: .misconfigured, message: "reading readings: a row can't be understood") }
            let key = ReportKey(device: device, report: report)
            var correction: EnteredInError?
            if let at = result.instant(row, 9), let by = result.text(row, 10), let actor = result.text(row, 11),
                let reason = result.text(row, 12)
            {
                correction = EnteredInError(
                    key: key, reading: Int(place), kind: kind, at: at, by: by, actor: actor, reason: reason)
            }
            rows.append(
                ReadingRow(
                    key: key, reading: Int(place), kind: name, value: value, unit: result.text(row, 5),
                    takenAt: takenAt, status: status, correction: correction))
        }
        return rows
    }

    /// The patient's clinical alerts that were open at `start` or raised from then on and before `end`, oldest first.
    public func alerts(
        of patient: Identifier, from start: Instant, until end: Instant
    ) throws(StoreFailure) -> [PastAlert] {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        parameters.add(start)
        parameters.add(end)
        let result = try connection.run(Self.alerts, parameters, doing: "reading alerts")
        let episodes = try EpisodeRow.episodes(result)
        var ids = PostgresParameters()
        ids.addAlerts(of: episodes) { $0.id }
        let happened = try connection.run(Self.events, ids, doing: "reading alerts' history")
        var events: [AlertID: [PastAlert.Event]] = [:]
        for row in 0..<happened.rowCount {
            guard let id = happened.uuid(row, 0), let transition = happened.text(row, 1),
                let severity = happened.text(row, 2).flatMap({ Severity(rawValue: $0) }),
                let at = happened.instant(row, 3), let isOfReport = happened.boolean(row, 4)
            else { continue }
            events[AlertID(high: id.high, low: id.low), default: []].append(
                PastAlert.Event(transition: transition, severity: severity, at: at, isOfReport: isOfReport))
        }
        return episodes.enumerated().map { row, episode in
            PastAlert(
                episode: episode, resolvedAt: result.instant(row, 18), events: events[episode.id] ?? [],
                isOfStoredReport: result.boolean(row, 19) ?? false)
        }
    }
}
