public import Alerting
internal import Clinical
public import Ingestion
internal import Registry

extension PostgresCommitStore {
    private static let openAlerts = Statement(
        name: "open_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert
            WHERE state <> 'resolved' AND (subject_type, subject) IN (SELECT * FROM unnest($1::text[], $2::text[]))
            ORDER BY id
            FOR UPDATE
            """)

    private static let everyOpenAlert = Statement(
        name: "every_open_alert",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision
            FROM homeward.alert WHERE state <> 'resolved'
            """)

    private static let recordedAlerts = Statement(
        name: "recorded_alerts",
        sql: """
            SELECT id, id FROM homeward.alert WHERE id = ANY ($1::uuid[])
            UNION ALL
            SELECT alias, alert_id FROM homeward.alert_alias WHERE alias = ANY ($1::uuid[])
            """)

    private static let openSubjects = Statement(
        name: "open_subjects",
        sql: "SELECT DISTINCT subject_type, subject FROM homeward.alert WHERE state <> 'resolved'")

    public func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        guard !subjects.isEmpty else { return [] }
        connection.startCall()
        let columns = subjects.map { SubjectColumns($0) }
        var parameters = PostgresParameters()
        parameters.addTexts(of: columns) { $0.type }
        parameters.addTexts(of: columns) { $0.code }
        let result = try connection.run(Self.openAlerts, parameters, doing: "reading open alerts")
        return try EpisodeRow.episodes(result)
    }

    public func everyOpenEpisode() throws(StoreFailure) -> [Episode] {
        connection.startCall()
        let result = try connection.run(Self.everyOpenAlert, PostgresParameters(), doing: "reading every open alert")
        return try EpisodeRow.episodes(result)
    }

    public func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] {
        guard !alerts.isEmpty else { return [:] }
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addAlerts(of: alerts) { $0 }
        let result = try connection.run(Self.recordedAlerts, parameters, doing: "reading recorded alerts")
        var recorded: [AlertID: AlertID] = [:]
        for row in 0..<result.rowCount {
            guard let id = result.uuid(row, 0), let standing = result.uuid(row, 1) else { continue }
            recorded[AlertID(high: id.high, low: id.low)] = AlertID(high: standing.high, low: standing.low)
        }
        return recorded
    }

    public func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> {
        connection.startCall()
        let result = try connection.run(
            Self.openSubjects, PostgresParameters(), doing: "reading subjects with open alerts")
        var subjects: Set<Subject> = []
        for row in 0..<result.rowCount {
            let subject = SubjectColumns.subject(type: result.text(row, 0), code: result.identifier(row, 1))
            if let subject { subjects.insert(subject) }
        }
        return subjects
    }
}

/// An alert in the column order of `open_alerts`.
enum EpisodeRow {
    static func episodes(_ result: borrowing PostgresResult) throws(StoreFailure) -> [Episode] {
        var episodes: [Episode] = []
        for row in 0..<result.rowCount {
            guard let episode = episode(result, row, from: 0) else {
                throw StoreFailure(kind: .misconfigured, message: "reading alerts: a row can't be understood")
            }
            episodes.append(episode)
        }
        return episodes
    }

    /// The alert whose columns begin at `first`.
    static func episode(_ result: borrowing PostgresResult, _ row: Int, from first: Int) -> Episode? {
        guard let id = result.uuid(row, first),
            let subject = SubjectColumns.subject(
                type: result.text(row, first + 1), code: result.identifier(row, first + 2)),
            let rule = result.text(row, first + 5),
            let alertClass = result.text(row, first + 6).flatMap({ AlertClass(rawValue: $0) }),
            let severity = result.text(row, first + 7).flatMap({ Severity(rawValue: $0) }),
            let state = result.text(row, first + 8).flatMap({ AlertState(rawValue: $0) }),
            let late = result.boolean(row, first + 9), let raisedAt = result.instant(row, first + 10),
            let summary = result.text(row, first + 11), let level = result.int32(row, first + 12),
            let revision = result.int32(row, first + 17)
        else { return nil }
        return Episode(
            id: AlertID(high: id.high, low: id.low), subject: subject, site: result.identifier(row, first + 3),
            device: result.identifier(row, first + 4), rule: rule, alertClass: alertClass, severity: severity,
            state: state, late: late, raisedAt: raisedAt, summary: summary, escalationLevel: Int(level),
            worst: result.double(row, first + 13), acknowledgedAt: result.instant(row, first + 14),
            worstAcknowledged: result.double(row, first + 15), latestTakenAt: result.instant(row, first + 16),
            revision: revision)
    }
}
