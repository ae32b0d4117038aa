public import Alerting
public import Clinical
public import Ingestion
public import Registry

/// A row of the worklist, as `v_alert` has it.
public struct AlertRow: Sendable, Hashable {
    public var episode: Episode
    public var acknowledgedBy: String?
    public var resolvedAt: Instant?
    public var resolvedBy: String?
    /// How many rows of the suppression ledger are about it: what was not told at once and alone.
    public var suppressions: Int = 0
}

/// Which alerts; nil takes all.
public struct AlertFilter: Sendable, Hashable {
    /// From the first to the last of these; equal for one alert.
    public var ids: ClosedRange<AlertID>?
    /// Nil: all but the self-test's.
    public var site: Identifier?
    /// The patient whom the alert is about.
    public var patient: Identifier?
    public var alertClass: AlertClass?
    public var severity: Severity?
    /// Empty takes all.
    public var states: Set<AlertState>
    /// Only clinical ones that ended by themselves and that nobody has seen, whatever `states` says.
    public var recoveredUnseen: Bool
    /// Those that were resolved since then too, whatever `states` says.
    public var resolvedSince: Instant?
    public var limit: Int

    public init(
        ids: ClosedRange<AlertID>? = nil, site: Identifier? = nil, patient: Identifier? = nil,
        alertClass: AlertClass? = nil, severity: Severity? = nil,
        states: Set<AlertState> = [.open, .acknowledged, .shelved], recoveredUnseen: Bool = false,
        resolvedSince: Instant? = nil, limit: Int = .max
    ) {
        self.ids = ids
        self.site = site
        self.patient = patient
        self.alertClass = alertClass
        self.severity = severity
        self.states = states
        self.recoveredUnseen = recoveredUnseen
        self.resolvedSince = resolvedSince
        self.limit = limit
    }
}

/// A row of the suppression ledger.
public struct SuppressionRow: Sendable, Hashable {
    public var at: Instant
    public var kind: String
    public var reason: String
    public var actor: String
    public var until: Instant?
    /// Who was to be told, and how; nil where it is about the alert or the patient.
    public var recipient: String?
    public var channel: String?
    /// The key of the message of several alerts in which it left.
    public var message: String?
}

/// A row of `v_delivery`.
public struct DeliveryRow: Sendable, Hashable {
    public var channel: String
    public var recipient: String
    public var state: String
    public var attempts: Int
    public var lastError: String?
    public var sentAt: Instant?
}

/// Reads alerts for `homeward alerts list|show`. One thread.
public final class AlertReader {
    private var connection: PostgresConnection

    // Reds first, then the longest waiting.
    private static let alerts = Statement(
        name: "list_alerts",
        sql: """
            SELECT id, subject_type, subject, site, device, rule, class, severity, state, late, raised_at, summary,
                escalation_level, worst, acknowledged_at, worst_acknowledged, latest_taken_at, revision,
                acknowledged_by, resolved_at, resolved_by,
                (SELECT count(*) FROM homeward.suppression s WHERE s.alert = homeward.alert.id)
            FROM homeward.alert
            WHERE ($1::uuid IS NULL OR id BETWEEN $1::uuid AND $2::uuid) AND ($3::text IS NULL OR site = $3::text)
                AND ($4::text IS NULL OR (subject_type = 'patient' AND subject = $4::text))
                AND ($5::text IS NULL OR class = $5::text) AND ($6::text IS NULL OR severity = $6::text)
                AND (cardinality($7::text[]) = 0 OR $12::int4 = 1 OR state = ANY ($7::text[])
                    OR state = 'resolved' AND resolved_at >= $13::timestamptz)
                AND ($12::int4 = 0 OR (state = 'resolved' AND class = 'clinical' AND resolved_by = 'homeward'
                    AND acknowledged_at IS NULL))
                AND ($1::uuid IS NOT NULL OR $3::text IS NOT NULL OR site IS DISTINCT FROM 'homeward-self')
                AND ($8::uuid IS NULL OR (array_position(ARRAY['red', 'amber', 'info'], severity), raised_at, id)
                    > ($9::int4, $10::timestamptz, $8::uuid))
            ORDER BY array_position(ARRAY['red', 'amber', 'info'], severity), raised_at, id
            LIMIT $11::int4
            """)
    private static let events = Statement(
        name: "alert_events",
        sql: """
            SELECT revision, transition, severity, at, device, report_id, actor, summary, explanation::text
            FROM homeward.alert_event WHERE alert = $1::uuid ORDER BY revision
            """)
    // A pause is no alert's, but says why one of the patient's did not come, or not sooner.
    private static let suppressions = Statement(
        name: "alert_suppressions",
        sql: """
            SELECT s.at, s.kind, s.reason, s.actor, s.until, s.recipient, s.channel, s.message
            FROM homeward.suppression s
            WHERE s.alert = $1::uuid
                OR s.kind = 'pause' AND s.patient = $2::text AND s.until > $3::timestamptz
            ORDER BY s.at, s.id
            """)
    private static let clock = Statement(name: "alerts_clock", sql: "SELECT now()")
    private static let deliveries = Statement(
        name: "alert_deliveries",
        sql: """
            SELECT channel, recipient, state, attempts, last_error, sent_at
            FROM homeward.outbox WHERE alert = $1::uuid ORDER BY revision, step, channel, recipient
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("alerts"))
    }

    /// Reds first, then the longest waiting; read page by page, so that no number of them is too large.
    public func alerts(_ filter: AlertFilter = AlertFilter()) throws(StoreFailure) -> [AlertRow] {
        var rows: [AlertRow] = []
        while rows.count < filter.limit {
            let page = try page(filter, after: rows.last?.episode, limit: min(Self.pageSize, filter.limit - rows.count))
            rows += page
            if page.count < Self.pageSize { break }
        }
        return rows
    }

    private static let pageSize = 1000

    private func page(
        _ filter: AlertFilter, after last: Episode?, limit: Int
    ) throws(StoreFailure) -> [AlertRow] {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        for id in [filter.ids?.lowerBound, filter.ids?.upperBound] {
            if let id { parameters.add((id.high, id.low)) } else { parameters.addNull() }
        }
        parameters.add(optional: filter.site?.description)
        parameters.add(optional: filter.patient?.description)
        parameters.add(optional: filter.alertClass?.rawValue)
        parameters.add(optional: filter.severity?.rawValue)
        parameters.addTexts(of: filter.states) { $0.rawValue }
        if let last {
            parameters.add((last.id.high, last.id.low))
            parameters.add(Int32(clamping: 1 + ([.red, .amber, .info].firstIndex(of: last.severity) ?? 2)))
            parameters.add(last.raisedAt)
        } else {
            for _ in 0..<3 { parameters.addNull() }
        }
        parameters.add(Int32(clamping: limit))
        parameters.add(Int32(filter.recoveredUnseen ? 1 : 0))
        parameters.add(optional: filter.resolvedSince)
        let result = try connection.run(Self.alerts, parameters, doing: "reading alerts")
        let episodes = try EpisodeRow.episodes(result)
        return episodes.enumerated().map { row, episode in
            AlertRow(
                episode: episode, acknowledgedBy: result.text(row, 18), resolvedAt: result.instant(row, 19),
                resolvedBy: result.text(row, 20), suppressions: Int(clamping: result.int64(row, 21) ?? 0))
        }
    }

    /// The alert's history, oldest first.
    public func events(of alert: AlertID) throws(StoreFailure) -> [EpisodeEvent] {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        let result = try connection.run(Self.events, parameters, doing: "reading an alert's history")
        var events: [EpisodeEvent] = []
        for row in 0..<result.rowCount {
            guard let revision = result.int32(row, 0),
                let transition = result.text(row, 1).flatMap({ EpisodeEvent.Transition(rawValue: $0) }),
                let severity = result.text(row, 2).flatMap({ Severity(rawValue: $0) }),
                let at = result.instant(row, 3), let actor = result.text(row, 6), let summary = result.text(row, 7),
                let explanation = result.text(row, 8)
            else {
                throw StoreFailure(kind: .misconfigured, message: "reading an alert's history: not understood")
            }
            var report: ReportKey?
            if let device = result.identifier(row, 4), let id = result.identifier(row, 5, grammar: .report) {
                report = ReportKey(device: device, report: id)
            }
            events.append(
                EpisodeEvent(
                    alert: alert, revision: revision, transition: transition, severity: severity, at: at,
                    report: report, actor: actor, summary: summary, explanation: explanation))
        }
        return events
    }

    /// What was not told at once and alone, in the ledger's order, with the patient's pauses that were not over when it
    /// was raised.
    public func suppressions(of alert: Episode) throws(StoreFailure) -> [SuppressionRow] {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add((alert.id.high, alert.id.low))
        if case .patient(let code) = alert.subject { parameters.add(code.description) } else { parameters.addNull() }
        parameters.add(alert.raisedAt)
        let result = try connection.run(Self.suppressions, parameters, doing: "reading the suppression ledger")
        return (0..<result.rowCount).compactMap { row in
            guard let at = result.instant(row, 0) else { return nil }
            return SuppressionRow(
                at: at, kind: result.text(row, 1) ?? "", reason: result.text(row, 2) ?? "",
                actor: result.text(row, 3) ?? "", until: result.instant(row, 4), recipient: result.text(row, 5),
                channel: result.text(row, 6), message: result.text(row, 7))
        }
    }

    /// The server's clock.
    public func now() throws(StoreFailure) -> Instant {
        try connection.startCheckedCall()
        let result = try connection.run(Self.clock, PostgresParameters(), doing: "reading the clock")
        guard let now = result.instant(0, 0) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the clock: the server does not tell its time")
        }
        return now
    }

    public func deliveries(of alert: AlertID) throws(StoreFailure) -> [DeliveryRow] {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add((alert.high, alert.low))
        let result = try connection.run(Self.deliveries, parameters, doing: "reading deliveries")
        return (0..<result.rowCount).map { row in
            DeliveryRow(
                channel: result.text(row, 0) ?? "", recipient: result.text(row, 1) ?? "",
                state: result.text(row, 2) ?? "", attempts: Int(result.int32(row, 3) ?? 0),
                lastError: result.text(row, 4), sentAt: result.instant(row, 5))
        }
    }
}
