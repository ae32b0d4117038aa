public import Alerting
public import Clinical
internal import Ingestion

/// The table `timer`, on a connection of its own. Any number of instances may claim from it: a timer is given to one.
public final class PostgresTimerQueue: TimerQueue {
    private var connection: PostgresConnection

    private static let cancel = Statement(
        name: "cancel_timer", sql: "DELETE FROM homeward.timer WHERE kind = $1::text AND subject = $2::text")
    private static let claim = Statement(
        name: "claim_timers",
        sql: """
            WITH due AS (
                SELECT kind, subject FROM homeward.timer
                WHERE kind = ANY ($1::text[]) AND due_at <= now() AND (lease_until IS NULL OR lease_until <= now())
                    AND due_at >= (SELECT homeward.held_before())
                ORDER BY due_at
                LIMIT $2::int4
                FOR UPDATE SKIP LOCKED
            ), taken AS (
                UPDATE homeward.timer t
                SET claim = t.claim + 1, lease_until = now() + $3::int8 * interval '1 microsecond'
                FROM due WHERE t.kind = due.kind AND t.subject = due.subject
                RETURNING t.*
            )
            SELECT kind, subject, due_at, payload::text, claim FROM taken ORDER BY due_at, kind, subject
            """)
    private static let complete = Statement(
        name: "complete_timer",
        sql: "DELETE FROM homeward.timer WHERE kind = $1::text AND subject = $2::text AND claim = $3::int8")

    /// Connects at the first call, not here.
    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("timers"))
    }

    private func connect() throws(StoreFailure) {
        connection.startCall()
        try connection.connect()
    }

    public func schedule(_ timers: [Timer]) throws {
        guard !timers.isEmpty else { return }
        try connect()
        let call = TimerWriting.schedule(timers)
        _ = try connection.run(call.statement, call.parameters, doing: "scheduling timers")
    }

    public func cancel(kind: String, subject: String) throws {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(kind)
        parameters.add(subject)
        _ = try connection.run(Self.cancel, parameters, doing: "cancelling a timer")
    }

    public func claim(kinds: [String], limit: Int, lease: Interval) throws -> [ClaimedTimer] {
        try connect()
        var parameters = PostgresParameters()
        parameters.addTexts(of: kinds) { $0 }
        parameters.add(Int32(clamping: limit))
        parameters.add(lease.microseconds)
        let result = try connection.run(Self.claim, parameters, doing: "claiming timers")
        var timers: [ClaimedTimer] = []
        for row in 0..<result.rowCount {
            guard let kind = result.text(row, 0), let subject = result.text(row, 1), let due = result.instant(row, 2),
                let payload = result.text(row, 3), let claim = result.int64(row, 4)
            else { throw StoreFailure(kind: .misconfigured, message: "claiming timers: a row can't be understood") }
            timers.append(
                ClaimedTimer(timer: Timer(kind: kind, subject: subject, due: due, payload: payload), claim: claim))
        }
        return timers
    }

    public func complete(_ timer: ClaimedTimer) throws -> Bool {
        try connect()
        var parameters = PostgresParameters()
        parameters.add(timer.timer.kind)
        parameters.add(timer.timer.subject)
        parameters.add(timer.claim)
        return try connection.run(Self.complete, parameters, doing: "completing a timer").affectedRows == 1
    }
}
