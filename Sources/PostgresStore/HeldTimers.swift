public import Clinical
public import Ingestion

/// What a restored database would do late: timers and messages that were due over an hour before the restore was found.
/// For `homeward timers`. One thread.
public final class HeldTimers {
    /// One restore that nobody has spoken of yet.
    public struct Hold: Sendable, Hashable {
        public var foundAt: Instant
        /// What was due before that time waits.
        public var before: Instant
        /// By how many renewals of a lease, one each 2 s, the database was behind what a state directory remembers.
        public var behind: Int64
    }

    /// Something that waits.
    public struct Item: Sendable, Hashable {
        /// The timer's kind, or `delivery`.
        public var kind: String
        /// The timer's subject; of a delivery, its channel and recipient.
        public var subject: String
        public var due: Instant
        /// The alert that it is of, in a few words; nil for what is no alert's.
        public var alert: String?
    }

    public enum End: String, Sendable {
        /// All of it happens now.
        case released
        /// Missed readings, daily messages and messages are let go; what is due next is set anew. What belongs to an open
        /// alert is due again in a quarter of an hour: no command about time lets a red go.
        case expired
    }

    private var connection: PostgresConnection

    private static let hold = Statement(
        name: "restore_hold",
        sql: "SELECT found_at, before, behind FROM homeward.restore_hold WHERE ended_at IS NULL")
    private static let items = Statement(
        name: "held_items",
        sql: """
            SELECT t.kind, t.subject, t.due_at, a.severity || ' ' || a.rule || ' ' || a.subject
            FROM homeward.restore_hold h JOIN homeward.timer t ON t.due_at < h.before
            LEFT JOIN homeward.alert a ON a.id::text = t.subject
            WHERE h.ended_at IS NULL
            UNION ALL
            SELECT 'delivery', o.channel || ' ' || o.recipient, o.created_at,
                a.severity || ' ' || a.rule || ' ' || a.subject
            FROM homeward.restore_hold h JOIN homeward.outbox o ON o.created_at < h.before AND o.state = 'pending'
            JOIN homeward.alert a ON a.id = o.alert
            WHERE h.ended_at IS NULL
            ORDER BY 3, 1, 2
            """)
    private static let letGo = Statement(
        name: "let_timers_go",
        sql: """
            DELETE FROM homeward.timer t USING homeward.restore_hold h
            WHERE h.ended_at IS NULL AND t.due_at < h.before AND t.kind IN ('due-reading', 'daily-message')
            """)
    private static let putOff = Statement(
        name: "put_timers_off",
        sql: """
            UPDATE homeward.timer t SET due_at = now() + interval '15 minutes', claim = t.claim + 1, lease_until = NULL
            FROM homeward.restore_hold h
            WHERE h.ended_at IS NULL AND t.due_at < h.before
            """)
    private static let giveUp = Statement(
        name: "give_messages_up",
        sql: """
            UPDATE homeward.outbox o SET state = 'failed', last_error = 'expired after a restore', lease_until = NULL
            FROM homeward.restore_hold h
            WHERE h.ended_at IS NULL AND o.created_at < h.before AND o.state = 'pending'
            """)
    // Schedules and daily messages are looked through again.
    private static let moveRegistry = Statement(
        name: "move_registry", sql: "UPDATE homeward.registry_version SET version = version + 1")
    private static let end = Statement(
        name: "end_restore_hold",
        sql: """
            UPDATE homeward.restore_hold SET ended_at = now(), ended_as = $1::text, ended_by = $2::text
            WHERE ended_at IS NULL
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("timers"))
    }

    /// Nil where nothing waits for a word. What waits comes in the order in which it was due.
    public func read() throws(StoreFailure) -> (hold: Hold, items: [Item])? {
        try connection.startCheckedCall()
        let found = try connection.run(Self.hold, PostgresParameters(), doing: "reading the restore's hold")
        guard let foundAt = found.instant(0, 0), let before = found.instant(0, 1), let behind = found.int64(0, 2) else {
            return nil
        }
        let rows = try connection.run(Self.items, PostgresParameters(), doing: "reading what waits")
        var items: [Item] = []
        for row in 0..<rows.rowCount {
            guard let kind = rows.text(row, 0), let subject = rows.text(row, 1), let due = rows.instant(row, 2) else {
                throw StoreFailure(kind: .misconfigured, message: "reading what waits: a row can't be understood")
            }
            items.append(Item(kind: kind, subject: subject, due: due, alert: rows.text(row, 3)))
        }
        return (Hold(foundAt: foundAt, before: before, behind: behind), items)
    }

    /// In one transaction; false where nothing waited.
    public func end(_ end: End, by actor: String) throws(StoreFailure) -> Bool {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(end.rawValue)
        parameters.add(actor)
        let none = PostgresParameters()
        let work =
            end == .expired
            ? [(Self.letGo, none), (Self.putOff, none), (Self.giveUp, none), (Self.moveRegistry, none)] : []
        let affected = try connection.run(
            work + [(Self.end, parameters), (OutboxWriting.notify, none)], doing: "ending the restore's hold")
        return affected.dropLast().last == 1
    }
}
