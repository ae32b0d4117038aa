public import Alerting
public import Clinical
public import Ingestion

/// What the daily messages need of the database: when they are due, and who was heard from. One thread. What is asked once
/// a day keeps no connection.
public final class DailyMessageDesk {
    /// Of their timers; the subject is the site.
    public static let timer = "daily-message"

    private let configuration: DatabaseConfiguration
    private let queue: PostgresTimerQueue

    private static let ensure = Statement(
        name: "ensure_daily_messages",
        sql: """
            INSERT INTO homeward.timer (kind, subject, due_at)
            SELECT $1::text, subject, due_at FROM unnest($2::text[], $3::timestamptz[]) AS w (subject, due_at)
            ON CONFLICT DO NOTHING
            """)
    private static let heard = Statement(
        name: "heard_from",
        sql: """
            SELECT DISTINCT p.code FROM homeward.report r
            JOIN homeward.site s ON s.id = r.site JOIN homeward.patient p ON p.id = r.patient
            WHERE s.code = $1::text AND r.received_at > now() - $2::int8 * interval '1 microsecond'
            """)

    public init(_ configuration: DatabaseConfiguration) {
        self.configuration = configuration.named("daily")
        queue = PostgresTimerQueue(configuration)
    }

    /// Sets the times of those sites that have none.
    public func ensure(_ dues: [Identifier: Instant]) throws(StoreFailure) {
        guard !dues.isEmpty else { return }
        var connection = PostgresConnection(configuration)
        try connection.startCheckedCall()
        let sorted = dues.sorted { $0.key.description < $1.key.description }
        var parameters = PostgresParameters()
        parameters.add(Self.timer)
        parameters.addTexts(of: sorted) { $0.key.description }
        parameters.addInstants(of: sorted) { $0.value }
        _ = try connection.run(Self.ensure, parameters, doing: "scheduling daily messages")
    }

    /// Those that are due, for nobody else until the lease ends.
    public func claim(limit: Int, lease: Interval) throws -> [ClaimedTimer] {
        try queue.claim(kinds: [Self.timer], limit: limit, lease: lease)
    }

    /// Moves one to its next time.
    public func move(_ timer: Timer) throws { try queue.schedule([timer]) }

    /// Takes one away: its site is gone.
    public func remove(_ timer: ClaimedTimer) throws { _ = try queue.complete(timer) }

    /// Where the audit chain ends; nil where nothing has been sealed.
    public func auditHead() throws(StoreFailure) -> AuditHead? {
        var connection = PostgresConnection(configuration)
        try connection.startCheckedCall()
        return try AuditVerifier.head(&connection)
    }

    /// The patients of a site of whom a report was received in that time.
    public func patientsHeardFrom(at site: Identifier, within span: Interval) throws(StoreFailure) -> Set<Identifier> {
        var connection = PostgresConnection(configuration)
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(site.description)
        parameters.add(span.microseconds)
        let result = try connection.run(Self.heard, parameters, doing: "counting who was heard from")
        return Set((0..<result.rowCount).compactMap { result.identifier($0, 0) })
    }
}
