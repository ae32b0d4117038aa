public import Alerting
public import Clinical
public import Ingestion
internal import Registry

/// What the burden report is made of, from one snapshot. Reads only. One thread.
public final class BurdenReader {
    /// The alerts of a time, and for whom they were.
    public struct Found: Sendable {
        public var alerts: [BurdenAlert] = []
        /// When each patient was enrolled.
        public var enrolled: [Instant] = []
        /// Of how many of the alerts each care manager had a message.
        public var told: [String: Int] = [:]
    }

    private var connection: PostgresConnection

    // The self-test's site is nobody's burden. Who answered first, whoever it was: an action of `homeward` is no person's. An alert of a list says so in the event
    // that opened it.
    private static let alerts = Statement(
        name: "burden_alerts",
        sql: """
            SELECT a.rule, a.class, a.severity, a.site, a.raised_at, answer.at, answer.actor, a.resolved_at, a.resolved_by,
                coalesce(ending.has_note, false), coalesce(opening.is_listed, false)
            FROM homeward.alert a
            LEFT JOIN LATERAL (
                SELECT e.at, e.actor FROM homeward.alert_event e
                WHERE e.alert = a.id AND e.actor <> 'homeward' AND e.transition IN ('acknowledged', 'taken', 'resolved')
                ORDER BY e.revision LIMIT 1
            ) answer ON true
            LEFT JOIN LATERAL (
                SELECT coalesce(e.explanation ->> 'note', '') <> '' AS has_note FROM homeward.alert_event e
                WHERE e.alert = a.id AND e.transition = 'resolved'
                ORDER BY e.revision DESC LIMIT 1
            ) ending ON a.state = 'resolved'
            LEFT JOIN LATERAL (
                SELECT e.explanation ? 'told_with' AS is_listed FROM homeward.alert_event e
                WHERE e.alert = a.id AND e.transition = 'opened'
                ORDER BY e.revision LIMIT 1
            ) opening ON true
            WHERE a.raised_at >= $1::timestamptz AND a.raised_at < $2::timestamptz
                AND ($3::text IS NULL OR a.site = $3::text) AND a.site IS DISTINCT FROM 'homeward-self'
            ORDER BY a.raised_at, a.id
            """)
    private static let enrolled = Statement(
        name: "burden_enrolled",
        sql: """
            SELECT min(e.valid_from)
            FROM homeward.registry_entry e JOIN homeward.patient p ON p.code = e.code JOIN homeward.site s ON s.id = p.site
            WHERE e.entity = 'patient' AND ($1::text IS NULL OR s.code = $1::text)
                AND s.code <> 'homeward-self'
            GROUP BY e.code
            """)
    private static let told = Statement(
        name: "burden_told",
        sql: """
            SELECT o.recipient, count(DISTINCT o.alert)
            FROM homeward.outbox o JOIN homeward.alert a ON a.id = o.alert
            WHERE a.raised_at >= $1::timestamptz AND a.raised_at < $2::timestamptz
                AND ($3::text IS NULL OR a.site = $3::text) AND a.site IS DISTINCT FROM 'homeward-self'
            GROUP BY o.recipient
            """)
    private static let site = Statement(
        name: "burden_site",
        sql: """
            SELECT coalesce(fields ->> 'timezone', '') FROM homeward.registry_current
            WHERE entity = 'site' AND ($1::text IS NULL OR code = $1::text) AND code <> 'homeward-self'
            ORDER BY code LIMIT 1
            """)

    /// - Parameter configuration: its deadline holds for each call; a long time of a large ward takes seconds.
    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("burden"))
    }

    /// The site's time zone, empty where it says none; of no site the first one's. Nil when there is no such site.
    public func timeZone(of site: Identifier?) throws(StoreFailure) -> String? {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(optional: site?.description)
        return try connection.run(Self.site, parameters, doing: "reading a site").text(0, 0)
    }

    /// Alerts raised from `since` to before `until`; of the site, or of all of them and the instance.
    public func read(since: Instant, until: Instant, site: Identifier?) throws(StoreFailure) -> Found {
        do {
            try connection.startCheckedCall()
            _ = try connection.query(
                """
                BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
                SET LOCAL statement_timeout = '60s'
                """, doing: "reading alerts")
            let found = try readSnapshot(since, until, site)
            _ = try connection.query("ROLLBACK", doing: "reading alerts")
            return found
        } catch {
            connection.close()
            throw error
        }
    }

    private func readSnapshot(
        _ since: Instant, _ until: Instant, _ site: Identifier?
    ) throws(StoreFailure) -> Found {
        var span = PostgresParameters()
        span.add(since)
        span.add(until)
        span.add(optional: site?.description)
        var found = Found()
        let alerts = try connection.run(Self.alerts, span, doing: "reading alerts")
        for row in 0..<alerts.rowCount {
            guard let rule = alerts.text(row, 0), let raisedAt = alerts.instant(row, 4),
                let alertClass = alerts.text(row, 1).flatMap(AlertClass.init(rawValue:)),
                let severity = alerts.text(row, 2).flatMap(Severity.init(rawValue:))
            else { throw StoreFailure(kind: .misconfigured, message: "reading alerts: a row can't be understood") }
            let by = alerts.text(row, 8)
            let ending: BurdenAlert.Ending? = by.map {
                $0 == "homeward" ? .cleared : .resolved(by: $0, hasNote: alerts.boolean(row, 9) ?? false)
            }
            found.alerts.append(
                BurdenAlert(
                    rule: rule, alertClass: alertClass, severity: severity, site: alerts.identifier(row, 3),
                    raisedAt: raisedAt, answeredAt: alerts.instant(row, 5), answeredBy: alerts.text(row, 6),
                    endedAt: alerts.instant(row, 7), ending: ending, isListed: alerts.boolean(row, 10) ?? false))
        }
        connection.startCall()
        var chosen = PostgresParameters()
        chosen.add(optional: site?.description)
        let enrolled = try connection.run(Self.enrolled, chosen, doing: "reading patients")
        for row in 0..<enrolled.rowCount {
            if let instant = enrolled.instant(row, 0) { found.enrolled.append(instant) }
        }
        connection.startCall()
        let told = try connection.run(Self.told, span, doing: "reading deliveries")
        for row in 0..<told.rowCount {
            if let who = told.text(row, 0), let count = told.int64(row, 1) { found.told[who] = Int(clamping: count) }
        }
        return found
    }
}
