public import Alerting
public import Clinical
public import Documents
public import Ingestion
internal import Registry

/// The registry's entries and what else the triage states are made of, from one snapshot.
public struct StoredTriage: Sendable {
    public var entries: [RegistryEntry]
    public var version: Int64
    public var snapshot: TriageSnapshot
}

/// Reads what `homeward triage` shows. It looks a month back. One thread.
public final class TriageReader {
    private var connection: PostgresConnection

    private static let version = Statement(
        name: "triage_version", sql: "SELECT version FROM homeward.registry_version")
    private static let clock = Statement(name: "triage_clock", sql: "SELECT now()")

    // For each patient and kind one look into the index, whatever there is.
    private static let latest = Statement(
        name: "triage_latest",
        sql: """
            SELECT p.code, k.id, r.taken_at, r.received_at, r.suspicions IS NOT NULL
            FROM homeward.patient p JOIN homeward.site s ON s.id = p.site CROSS JOIN homeward.kind k
            CROSS JOIN LATERAL (
                SELECT taken_at, received_at, suspicions FROM homeward.reading r
                WHERE patient = p.id AND kind = k.id AND received_at > now() - interval '31 days'
                    AND taken_at <= now() + interval '5 minutes'
                    AND NOT EXISTS (
                        SELECT FROM homeward.reading_correction c
                        WHERE c.device = r.device AND c.report_id = r.report_id AND c.place = r.place)
                ORDER BY taken_at DESC LIMIT 1
            ) r
            WHERE ($1::text IS NULL OR s.code = $1::text) AND ($2::text[] IS NULL OR p.code = ANY ($2::text[]))
            """)
    private static let followUps = Statement(
        name: "triage_follow_ups",
        sql: """
            SELECT DISTINCT ON (patient) patient, id, due_at, note, set_by FROM homeward.follow_up
            WHERE done_at IS NULL AND due_at <= now() ORDER BY patient, due_at, id
            """)
    private static let reviews = Statement(
        name: "triage_reviews",
        sql: """
            SELECT patient, max(at) FROM homeward.patient_event
            WHERE kind = 'review' AND at > now() - interval '2 days' GROUP BY patient
            """)

    // Of a reading the kind stands in the detail; a report has none.
    private static let refusals = Statement(
        name: "triage_refusals",
        sql: """
            SELECT p.code, CASE WHEN q.place IS NOT NULL THEN substring(q.detail from '"kind":"([^"]*)"') END, q.reason,
                max(q.received_at)
            FROM homeward.pairing h
            JOIN homeward.patient p ON p.id = h.patient
            JOIN homeward.site s ON s.id = p.site
            JOIN homeward.device d ON d.id = h.device
            JOIN homeward.quarantine q ON q.device = d.code AND h.period @> q.received_at
            WHERE h.retired_version IS NULL AND q.received_at > now() - interval '31 days'
                AND q.topic NOT LIKE '%/status' AND ($1::text IS NULL OR s.code = $1::text)
            GROUP BY 1, 2, 3
            ORDER BY 4 DESC, 3
            """)

    private static let alerts = Statement(
        name: "triage_alerts",
        sql: """
            SELECT subject_type, subject, class, rule, severity, state, raised_at, revision, id,
                CASE WHEN state = 'open' AND severity = 'red' THEN (
                    SELECT e.revision FROM homeward.alert_event e
                    WHERE e.alert = a.id AND e.transition IN ('opened', 'worsened', 'reopened')
                    ORDER BY e.revision DESC LIMIT 1) END,
                CASE WHEN state IN ('acknowledged', 'shelved') THEN coalesce((
                    SELECT e.actor FROM homeward.alert_event e
                    WHERE e.alert = a.id AND e.transition IN ('acknowledged', 'taken')
                    ORDER BY e.revision DESC LIMIT 1), acknowledged_by) END
            FROM homeward.alert a
            WHERE state <> 'resolved' AND (class = 'clinical' OR rule = ANY ($1::text[]))
                AND ($2::text IS NULL OR site IS NULL OR site = $2::text)
            """)

    /// - Parameter configuration: its deadline holds for each call; a large ward takes seconds.
    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("triage"))
    }

    /// - Parameters:
    ///   - site: nil: all of them. The registry is read whole.
    ///   - known: the version of a registry that the caller has: while it is the current one, no entries are read.
    public func read(site: Identifier? = nil, known: Int64? = nil) throws(StoreFailure) -> StoredTriage {
        do {
            let stored = try readSnapshot(site, known)
            _ = try connection.query("ROLLBACK", doing: "reading triage states")
            return stored
        } catch {
            connection.close()
            throw error
        }
    }

    /// The open alerts of now in place of those of `snapshot`, and the time: for between two calls of `read`. Returns the
    /// registry's version.
    public func readAlerts(_ snapshot: inout TriageSnapshot) throws(StoreFailure) -> Int64 {
        do {
            try connection.startCheckedCall()
            var fresh = TriageSnapshot(at: try readClock())
            try readAlerts(nil, &fresh)
            snapshot.alerts = fresh.alerts
            snapshot.at = fresh.at
            let version = try connection.run(
                Self.version, PostgresParameters(), doing: "reading the registry's version")
            return version.int64(0, 0) ?? -1
        } catch {
            connection.close()
            throw error
        }
    }

    private func readClock() throws(StoreFailure) -> Instant {
        let clock = try connection.run(Self.clock, PostgresParameters(), doing: "reading the clock")
        guard let now = clock.instant(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the clock: the server does not tell its time")
        }
        return now
    }

    private func readSnapshot(_ site: Identifier?, _ known: Int64?) throws(StoreFailure) -> StoredTriage {
        try connection.startCheckedCall()
        _ = try connection.query(
            """
            BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
            SET LOCAL statement_timeout = '60s'
            """, doing: "reading triage states")
        let current = try connection.run(Self.version, PostgresParameters(), doing: "reading the registry's version")
        let isKnown = known != nil && current.int64(0, 0) == known
        let (entries, version) = isKnown ? ([], known ?? 0) : try RegistryReading.entries(&connection)
        connection.startCall()
        var snapshot = TriageSnapshot(at: try readClock())
        var chosen = PostgresParameters()
        chosen.add(optional: site?.description)
        try readLatest(site, nil, &snapshot)
        try readRefusals(chosen, &snapshot)
        try readAlerts(site, &snapshot)
        return StoredTriage(
            entries: entries, version: version,
            snapshot: snapshot)
    }

    /// The latest readings of these patients as they are now, in place of those of `snapshot`.
    public func readLatest(of patients: Set<Identifier>, _ snapshot: inout TriageSnapshot) throws(StoreFailure) {
        do {
            try connection.startCheckedCall()
            for patient in patients { snapshot.latest[patient] = nil }
            try readLatest(nil, patients, &snapshot)
        } catch {
            connection.close()
            throw error
        }
    }

    /// Follow-ups that are due, and when each patient was last reviewed, today or yesterday.
    public func readDesk() throws(StoreFailure) -> (followUps: [Identifier: FollowUp], reviews: [Identifier: Instant]) {
        do {
            try connection.startCheckedCall()
            var followUps: [Identifier: FollowUp] = [:]
            var reviews: [Identifier: Instant] = [:]
            let due = try connection.run(Self.followUps, PostgresParameters(), doing: "reading follow-ups")
            for row in 0..<due.rowCount {
                guard let patient = due.identifier(row, 0), let id = due.uuid(row, 1), let at = due.instant(row, 2),
                    let note = due.text(row, 3), let setBy = due.text(row, 4)
                else { continue }
                followUps[patient] = FollowUp(id: FormID(high: id.high, low: id.low), due: at, note: note, setBy: setBy)
            }
            let signed = try connection.run(Self.reviews, PostgresParameters(), doing: "reading reviews")
            for row in 0..<signed.rowCount {
                if let patient = signed.identifier(row, 0), let at = signed.instant(row, 1) { reviews[patient] = at }
            }
            return (followUps, reviews)
        } catch {
            connection.close()
            throw error
        }
    }

    private func readLatest(
        _ site: Identifier?, _ patients: Set<Identifier>?, _ snapshot: inout TriageSnapshot
    ) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(optional: site?.description)
        if let patients { parameters.addTexts(of: patients) { $0.description } } else { parameters.addNull() }
        let latest = try connection.run(Self.latest, parameters, doing: "reading latest readings")
        for row in 0..<latest.rowCount {
            guard let patient = latest.identifier(row, 0),
                let kind = latest.int16(row, 1).flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
                let takenAt = latest.instant(row, 2), let receivedAt = latest.instant(row, 3),
                let isSuspect = latest.boolean(row, 4)
            else { continue }
            snapshot.latest[patient, default: [:]][kind] = TriageFacts.Latest(
                takenAt: takenAt, receivedAt: receivedAt, isSuspect: isSuspect)
        }
    }

    private func readRefusals(_ chosen: PostgresParameters, _ snapshot: inout TriageSnapshot) throws(StoreFailure) {
        let refusals = try connection.run(Self.refusals, chosen, doing: "reading refused readings")
        for row in 0..<refusals.rowCount {
            guard let patient = refusals.identifier(row, 0), let reason = refusals.text(row, 2),
                let at = refusals.instant(row, 3)
            else { continue }
            snapshot.refusals[patient, default: []].append(
                TriageFacts.Refusal(kind: refusals.text(row, 1), reason: reason, at: at))
        }
    }

    private func readAlerts(_ site: Identifier?, _ snapshot: inout TriageSnapshot) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.addTexts(of: [TriageSnapshot.readerClockRule, TriageSnapshot.serverClockRule]) { $0 }
        parameters.add(optional: site?.description)
        let alerts = try connection.run(Self.alerts, parameters, doing: "reading open alerts")
        for row in 0..<alerts.rowCount {
            guard let subject = SubjectColumns.subject(type: alerts.text(row, 0), code: alerts.identifier(row, 1)),
                let alertClass = alerts.text(row, 2).flatMap({ AlertClass(rawValue: $0) }),
                let rule = alerts.text(row, 3), let severity = alerts.text(row, 4).flatMap({ Severity(rawValue: $0) }),
                let state = alerts.text(row, 5).flatMap({ AlertState(rawValue: $0) }),
                let raisedAt = alerts.instant(row, 6), let revision = alerts.int32(row, 7),
                let id = alerts.uuid(row, 8)
            else {
                // An alert that is left out could be a red.
                throw StoreFailure(kind: .misconfigured, message: "reading open alerts: a row can't be understood")
            }
            snapshot.alerts.append(
                TriageSnapshot.OpenAlert(
                    subject: subject, alertClass: alertClass,
                    alert: TriageFacts.Alert(rule: rule, severity: severity, state: state, raisedAt: raisedAt),
                    revision: revision, id: AlertID(high: id.high, low: id.low), spoke: alerts.int32(row, 9),
                    holder: alerts.text(row, 10)))
        }
    }
}
