public import Clinical
public import Ingestion

/// A self-test that failed and has not succeeded since.
public struct SelfTestFailure: Hashable, Sendable {
    public var since: Instant
    /// One sentence without a full stop.
    public var words: String

    public init(since: Instant, words: String) {
        self.since = since
        self.words = words
    }
}

/// What a self-test notes in the database, on a connection of its own. One thread.
public final class SelfTestDesk {
    private var connection: PostgresConnection

    private static let begin = Statement(
        name: "begin_self_test",
        sql: """
            INSERT INTO homeward.self_test AS t (code, sink, running_until)
            VALUES ($1::text, $2::text, now() + $3::int8 * interval '1 microsecond')
            ON CONFLICT (code) DO UPDATE SET sink = excluded.sink, running_until = excluded.running_until
            WHERE t.running_until IS NULL OR t.running_until <= now()
            """)
    private static let succeed = Statement(
        name: "succeed_self_test",
        sql: """
            INSERT INTO homeward.self_test (code, succeeded_at) VALUES ($1::text, now())
            ON CONFLICT (code) DO UPDATE
            SET running_until = NULL, succeeded_at = now(), failed_at = NULL, failure = NULL
            """)
    private static let fail = Statement(
        name: "fail_self_test",
        sql: """
            INSERT INTO homeward.self_test AS t (code, failed_at, failure)
            VALUES ($1::text, $3::timestamptz, $2::text)
            ON CONFLICT (code) DO UPDATE
            SET running_until = NULL, failed_at = coalesce(t.failed_at, excluded.failed_at), failure = excluded.failure
            """)
    // What nobody waits for any more is not sent.
    private static let giveUp = Statement(
        name: "give_up_self_test",
        sql: """
            UPDATE homeward.outbox SET state = 'failed', last_error = 'the self-test is over', lease_until = NULL
            WHERE recipient = $1::text AND state = 'pending'
            """)
    static let failure = Statement(
        name: "self_test_failure", sql: "SELECT failed_at, failure FROM homeward.self_test WHERE code = $1::text")
    private static let rights = Statement(
        name: "rights",
        sql: """
            SELECT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user),
                (SELECT string_agg(right_on, ', ') FROM unnest($1::text[], $2::text[]) AS r (right_name, table_name)
                CROSS JOIN LATERAL (SELECT right_name || ' on ' || table_name) AS w (right_on)
                WHERE NOT has_table_privilege('homeward.' || table_name, right_name))
            """)

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("doctor"))
    }

    /// What the role may not do though the daemon has to, as "INSERT on report, …"; nil where nothing is missing. And
    /// whether it may do everything, which a daemon should not.
    public func rights() throws(StoreFailure) -> (isSuperuser: Bool, missing: String?) {
        try connection.startCheckedCall()
        let inserts = [
            "report_key", "report", "reading", "answer", "quarantine", "alert", "alert_event", "outbox", "timer",
            "delivery_attempt", "device_status", "device_sequence", "alert_alias", "reading_correction", "suppression",
            "self_test", "instance_alive", "lease", "handover",
        ]
        let updates = [
            "alert", "outbox", "timer", "device_status", "device_sequence", "self_test", "instance_alive", "lease",
        ]
        let deletes = ["timer", "lease_standby", "handover"]
        let wanted =
            inserts.map { ("INSERT", $0) } + updates.map { ("UPDATE", $0) } + deletes.map { ("DELETE", $0) }
        var parameters = PostgresParameters()
        parameters.addTexts(of: wanted) { $0.0 }
        parameters.addTexts(of: wanted) { $0.1 }
        let result = try connection.run(Self.rights, parameters, doing: "reading the role's rights")
        return (result.boolean(0, 0) ?? false, result.text(0, 1))
    }

    /// From now on deliveries to the synthetic care manager go to `sink`; what was left of an earlier one is given up.
    /// False while another self-test of this instance is under way, for `lasting` at most.
    public func begin(_ code: Identifier, sink: String, lasting: Interval) throws(StoreFailure) -> Bool {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(code.description)
        parameters.add(sink)
        parameters.add(lasting.microseconds)
        let isOurs = try connection.run(Self.begin, parameters, doing: "beginning a self-test").affectedRows == 1
        // Of one that was killed.
        if isOurs { try giveUp(code) }
        return isOurs
    }

    private func giveUp(_ code: Identifier) throws(StoreFailure) {
        var parameters = PostgresParameters()
        parameters.add(code.description)
        _ = try connection.run(Self.giveUp, parameters, doing: "giving up deliveries of a self-test")
    }

    /// Ends it, and gives up what was not delivered. `failure`: one sentence; nil for a success.
    ///
    /// - Returns: the failure as it stands now, and whether it is new: the self-test before this one had not failed.
    public func end(
        _ code: Identifier, failure: String?, at instant: Instant
    ) throws(StoreFailure) -> (failure: SelfTestFailure, isNew: Bool)? {
        try connection.startCheckedCall()
        let before = try Self.standing(of: code, &connection)
        try giveUp(code)
        var parameters = PostgresParameters()
        parameters.add(code.description)
        guard let failure else {
            _ = try connection.run(Self.succeed, parameters, doing: "ending a self-test")
            return nil
        }
        parameters.add(failure)
        parameters.add(instant)
        _ = try connection.run(Self.fail, parameters, doing: "ending a self-test")
        return (SelfTestFailure(since: before?.since ?? instant, words: failure), before == nil)
    }

    static func standing(
        of code: Identifier, _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> SelfTestFailure? {
        var parameters = PostgresParameters()
        parameters.add(code.description)
        let result = try connection.run(failure, parameters, doing: "reading the self-test")
        guard let since = result.instant(0, 0), let words = result.text(0, 1) else { return nil }
        return SelfTestFailure(since: since, words: words)
    }
}
