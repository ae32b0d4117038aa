internal import Alerting
public import Clinical
public import Ingestion

/// A stored reading that is to be marked entered in error.
struct FoundReading {
    var patient: Identifier
    var kind: Kind
    var takenAt: Instant
    var receivedAt: Instant
}

/// A report that is behind an alert's event.
struct AlertCause {
    var alert: AlertID
    /// It did not cause the alert, it ended it.
    var isEnd: Bool
    var key: ReportKey
    /// When it was received.
    var at: Instant
    /// What it was found to be then.
    var severity: Severity
    /// Of the reading that a band found beyond its limit; nil for another rule.
    var kind: String?
    /// Nil where the report is not stored: it was refused and raised an alert all the same.
    var stored: StoredMessage?
}

extension PostgresCommitStore {
    private static let findReading = Statement(
        name: "find_reading",
        sql: """
            SELECT p.code, r.kind, r.taken_at, r.received_at
            FROM homeward.device d
            JOIN homeward.site s ON s.code = $1::text
            JOIN homeward.report m ON m.device = d.id AND m.report_id = $3::text AND m.site = s.id
            JOIN homeward.reading r ON r.patient = m.patient AND r.taken_at = m.taken_at
                AND r.received_at = m.received_at AND r.device = m.device AND r.report_id = m.report_id
                AND r.place = $4::int2
            JOIN homeward.patient p ON p.id = r.patient
            WHERE d.code = $2::text
            """)

    // Whoever comes second waits here for the first, and changes nothing.
    private static let insertCorrection = Statement(
        name: "insert_correction",
        sql: """
            INSERT INTO homeward.reading_correction (device, report_id, place, patient, taken_at, received_at,
                corrected_by, actor, reason)
            SELECT d.id, $2::text, $3::int2, p.id, $5::timestamptz, $6::timestamptz, $7::text, $8::text, $9::text
            FROM homeward.device d, homeward.patient p
            WHERE d.code = $1::text AND p.code = $4::text
            ON CONFLICT DO NOTHING
            RETURNING true
            """)

    private static let readCorrection = Statement(
        name: "read_correction",
        sql: """
            SELECT c.corrected_at, c.corrected_by, c.actor, c.reason, pg_current_xact_id_if_assigned()::text
            FROM homeward.reading_correction c JOIN homeward.device d ON d.id = c.device
            WHERE d.code = $1::text AND c.report_id = $2::text AND c.place = $3::int2
            """)

    // In the columns of `read_history`.
    private static let correctedReadings = Statement(
        name: "corrected_readings",
        sql: """
            SELECT p.code, d.code, r.report_id, r.place, r.kind, r.value, r.value_sent, r.unit_sent, r.flags, r.taken_at,
                r.suspicions IS NOT NULL
            FROM homeward.patient p
            JOIN homeward.reading_correction c ON c.patient = p.id
            JOIN homeward.reading r ON r.patient = c.patient AND r.taken_at = c.taken_at
                AND r.received_at = c.received_at AND r.device = c.device AND r.report_id = c.report_id
                AND r.place = c.place
            JOIN homeward.device d ON d.id = r.device
            WHERE p.code = $1::text
            ORDER BY r.taken_at
            """)

    private static let correctedSince = Statement(
        name: "corrected_since",
        sql: """
            SELECT d.code, c.report_id, c.place
            FROM homeward.reading_correction c JOIN homeward.device d ON d.id = c.device
            WHERE c.taken_at >= $1::timestamptz
            """)

    private static let lockAlerts = Statement(
        name: "lock_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert a
            WHERE subject_type = 'patient' AND subject = $1::text AND class = 'clinical'
                AND EXISTS (SELECT FROM homeward.alert_event e
                    WHERE e.alert = a.id AND e.report_id IS NOT NULL AND e.at >= $2::timestamptz)
            ORDER BY id
            FOR UPDATE
            """)

    // What a timer did to an alert has its cause in an earlier event.
    private static let alertCauses = Statement(
        name: "alert_causes",
        sql: """
            SELECT e.alert, e.device, e.report_id, e.at, e.severity, e.explanation ->> 'level', e.explanation ->> 'kind',
                s.code, p.code, m.raw, e.transition = 'back-in-range'
            FROM homeward.alert_event e
            LEFT JOIN homeward.device d ON d.code = e.device
            LEFT JOIN homeward.report m ON m.device = d.id AND m.received_at = e.at AND m.report_id = e.report_id
            LEFT JOIN homeward.site s ON s.id = m.site
            LEFT JOIN homeward.patient p ON p.id = m.patient
            WHERE e.alert = ANY ($1::uuid[]) AND e.report_id IS NOT NULL
                AND e.transition IN ('opened', 'joined', 'worsened', 'reopened', 'back-in-range')
            ORDER BY e.alert, e.revision
            """)

    private static let annotatedAlerts = Statement(
        name: "annotated_alerts",
        sql: """
            SELECT DISTINCT alert FROM homeward.alert_event
            WHERE alert = ANY ($1::uuid[]) AND transition = 'entered-in-error' AND device = $2::text
                AND report_id = $3::text AND explanation ->> 'reading' = $4::text
            """)

    private static let annotateAlert = Statement(
        name: "annotate_alert",
        sql: """
            UPDATE homeward.alert SET state = $2::text, summary = $3::text, worst = $4::float8,
                worst_acknowledged = $5::float8, revision = $6::int4,
                resolved_at = CASE WHEN $2::text = 'resolved' THEN coalesce(resolved_at, $7::timestamptz) END,
                resolved_by = CASE WHEN $2::text = 'resolved' THEN coalesce(resolved_by, $8::text) END
            WHERE id = $1::uuid
            """)

    private static let hasOlderWriters = Statement(
        name: "older_writers",
        sql: "SELECT pg_snapshot_xmin(pg_current_snapshot()) <= $1::text::xid8")

    public func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(since)
        let result = try connection.run(Self.correctedSince, parameters, doing: "reading corrections")
        var corrected: [ReportKey: Set<Int>] = [:]
        for row in 0..<result.rowCount {
            guard let device = result.identifier(row, 0), let report = result.identifier(row, 1, grammar: .report),
                let place = result.int16(row, 2)
            else { continue }
            corrected[ReportKey(device: device, report: report), default: []].insert(Int(place))
        }
        return corrected
    }

    func find(_ key: ReportKey, at site: Identifier, place: Int16) throws(StoreFailure) -> FoundReading? {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(site.description)
        parameters.add(key.device.description)
        parameters.add(key.report.description)
        parameters.add(place)
        let result = try connection.run(Self.findReading, parameters, doing: "looking for a reading")
        guard let patient = result.identifier(0, 0),
            let kind = result.int16(0, 1).flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
            let takenAt = result.instant(0, 2), let receivedAt = result.instant(0, 3)
        else { return nil }
        return FoundReading(patient: patient, kind: kind, takenAt: takenAt, receivedAt: receivedAt)
    }

    /// - Returns: the correction as it stands, whether it is new, and this transaction, where it wrote.
    func mark(
        _ key: ReportKey, place: Int16, _ found: FoundReading, by: String, actor: String, reason: String
    ) throws(StoreFailure) -> (correction: EnteredInError, isNew: Bool, transaction: String?) {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(key.device.description)
        parameters.add(key.report.description)
        parameters.add(place)
        let identity = parameters
        parameters.add(found.patient.description)
        parameters.add(found.takenAt)
        parameters.add(found.receivedAt)
        parameters.add(by)
        parameters.add(actor)
        parameters.add(reason)
        let inserted = try connection.run(Self.insertCorrection, parameters, doing: "marking a reading").rowCount
        let result = try connection.run(Self.readCorrection, identity, doing: "marking a reading")
        guard let at = result.instant(0, 0), let by = result.text(0, 1), let actor = result.text(0, 2),
            let reason = result.text(0, 3)
        else { throw StoreFailure(kind: .transient, message: "marking a reading: it was not written") }
        let correction = EnteredInError(
            key: key, reading: Int(place), kind: found.kind, at: at, by: by, actor: actor, reason: reason)
        return (correction, inserted > 0, result.text(0, 4))
    }

    /// The patient's readings that were entered in error, oldest first.
    func correctedReadings(of patient: Identifier) throws(StoreFailure) -> [PastReading] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        let result = try connection.run(Self.correctedReadings, parameters, doing: "reading corrections")
        return (0..<result.rowCount).compactMap { Self.pastReading(result, $0) }
    }

    /// Clinical alerts of the patient that a report received since then is part of, open or not, locked.
    func lockAlerts(of patient: Identifier, since: Instant) throws(StoreFailure) -> [Episode] {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        parameters.add(since)
        let result = try connection.run(Self.lockAlerts, parameters, doing: "reading alerts")
        return try EpisodeRow.episodes(result)
    }

    func causes(of alerts: [AlertID]) throws(StoreFailure) -> [AlertCause] {
        guard !alerts.isEmpty else { return [] }
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addAlerts(of: alerts) { $0 }
        let result = try connection.run(Self.alertCauses, parameters, doing: "reading what caused alerts")
        var causes: [AlertCause] = []
        for row in 0..<result.rowCount {
            guard let id = result.uuid(row, 0), let device = result.identifier(row, 1),
                let report = result.identifier(row, 2, grammar: .report), let at = result.instant(row, 3),
                let severity = result.text(row, 4).flatMap({ Severity(rawValue: $0) })
            else { continue }
            let key = ReportKey(device: device, report: report)
            var stored: StoredMessage?
            if let site = result.identifier(row, 7), let patient = result.identifier(row, 8),
                let raw = result.bytes(row, 9)
            {
                stored = StoredMessage(key: key, site: site, patient: patient, receivedAt: at, raw: raw)
            }
            // The event has the alert's severity, which never falls; a late red raises an amber.
            let level = result.text(row, 5).flatMap { Severity(rawValue: $0) } ?? severity
            causes.append(
                AlertCause(
                    alert: AlertID(high: id.high, low: id.low), isEnd: result.boolean(row, 10) ?? false, key: key,
                    at: at, severity: min(level, severity),
                    kind: result.text(row, 6), stored: stored))
        }
        return causes
    }

    /// Those that say it already.
    func annotated(_ alerts: [AlertID], with correction: EnteredInError) throws(StoreFailure) -> Set<AlertID> {
        guard !alerts.isEmpty else { return [] }
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addAlerts(of: alerts) { $0 }
        parameters.add(correction.key.device.description)
        parameters.add(correction.key.report.description)
        parameters.add("\(correction.reading)")
        let result = try connection.run(Self.annotatedAlerts, parameters, doing: "reading alerts' history")
        var annotated: Set<AlertID> = []
        for row in 0..<result.rowCount {
            guard let id = result.uuid(row, 0) else { continue }
            annotated.insert(AlertID(high: id.high, low: id.low))
        }
        return annotated
    }

    func annotate(_ changes: [EpisodeChange]) throws(StoreFailure) {
        guard !changes.isEmpty else { return }
        connection.startCall()
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        for change in changes {
            guard let event = change.events.last else { continue }
            let episode = change.episode
            var parameters = PostgresParameters()
            parameters.add((episode.id.high, episode.id.low))
            parameters.add(episode.state.rawValue)
            parameters.add(episode.summary)
            if let worst = episode.worst { parameters.add(worst) } else { parameters.addNull() }
            if let worst = episode.worstAcknowledged { parameters.add(worst) } else { parameters.addNull() }
            parameters.add(episode.revision)
            parameters.add(event.at)
            parameters.add(event.actor)
            calls.append((Self.annotateAlert, parameters))
        }
        calls.append(EpisodeWriting.call(changes.flatMap(\.events)))
        var timers = CommitBatch()
        timers.endedTimers = changes.filter { $0.episode.state == .resolved }
            .flatMap { AlertTimers.all(of: $0.episode.id) }
        calls += TimerWriting.calls(timers)
        _ = try connection.run(calls, doing: "annotating alerts")
    }

    /// Whether a transaction that wrote before that one is still under way. Outside of any transaction.
    func hasOlderWriters(than transaction: String) throws(StoreFailure) -> Bool {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(transaction)
        let result = try connection.run(Self.hasOlderWriters, parameters, doing: "waiting for what is being judged")
        return result.boolean(0, 0) ?? false
    }
}
