public import Clinical
internal import Cryptography
public import Ingestion

/// The row of `lease` that this instance holds or waits for, on a connection of its own. One thread.
public final class PostgresLease {
    /// How long the lease lasts without being renewed, by the server's clock.
    public static let span = Interval.seconds(6)

    /// How the lease stands after a look at it.
    public struct Answer: Sendable, Hashable {
        public var epoch: Int64
        public var isMine: Bool
        /// Whose it is: the machine's name and the sites that it serves.
        public var holder: String
        public var sites: String
        /// How often it has been renewed, ever.
        public var mark: Int64
        /// Until it ends, unless it is renewed.
        public var left: Interval
        /// The machines that wait for it; nil: none.
        public var standbys: String?
        /// Something waits to be judged by the holder.
        public var hasHandover: Bool
        /// What was due before a restore waits for a person's word.
        public var isHeld: Bool
    }

    private var connection: PostgresConnection
    private let shard: String
    private let instance: String
    /// What the shard's commit connections are called, and this instance's.
    private let sessions: (all: String, own: String)
    private let name: String
    private let sites: String
    private var isListening = false

    private static let renewal = Statement(
        name: "renew_lease",
        sql: """
            SELECT lease_epoch, is_mine, holder_name, holder_sites, mark, left_us, standbys, has_handover, is_held
            FROM homeward.renew_lease($1::text, $2::text, $3::text, $4::text, $5::int8, $6::bool, $7::int8,
                $8::int8 * interval '1 microsecond')
            """)
    private static let giveUp = Statement(
        name: "release_lease",
        sql: """
            WITH released AS (
                UPDATE homeward.lease l SET expires_at = now()
                WHERE l.shard = $1::text AND l.epoch = $2::int8 AND l.instance = $3::text
                    AND EXISTS (SELECT FROM homeward.lease_standby s
                        WHERE s.shard = l.shard AND s.seen_at > now() - interval '10 s')
                RETURNING l.shard)
            SELECT pg_notify('homeward_lease', shard) FROM released
            """)

    private static let other = Statement(
        name: "other_holder",
        sql: """
            SELECT name FROM homeward.lease WHERE shard = $1::text AND expires_at > now() AND instance <> $2::text
            """)

    /// The machine of another instance that holds the lease now; nil: none does.
    public static func otherHolder(
        _ configuration: DatabaseConfiguration, shard: String, instance: String
    ) throws(StoreFailure) -> String? {
        var connection = PostgresConnection(configuration.named("lease"))
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(shard)
        parameters.add(instance)
        return try connection.run(other, parameters, doing: "reading the lease").text(0, 0)
    }

    /// Connects at the first call, not here.
    ///
    /// - Parameters:
    ///   - instance: what makes it the same over its lives; two that run at once have different ones.
    ///   - name: its machine's, for people.
    public init(
        _ configuration: DatabaseConfiguration, shard: String, instance: String, name: String, sites: String
    ) {
        connection = PostgresConnection(configuration.named("lease"))
        self.shard = shard
        self.instance = instance
        sessions = (
            configuration.named(LeaseFence.session(shard: shard, instance: "")).applicationName,
            configuration.named(LeaseFence.session(shard: shard, instance: instance)).applicationName
        )
        self.name = name
        self.sites = sites
    }

    /// Renews the lease, takes it where it is free, or notes that this instance waits for it.
    ///
    /// - Parameters:
    ///   - epoch: of which it is held, or was last; nil: none.
    ///   - isStart: this life has not held it: an earlier life's is taken at once.
    ///   - mark: the most renewals ever seen; where the database is behind, what was due before waits from now on.
    public func renew(_ epoch: Int64?, isStart: Bool, mark: Int64?) throws(StoreFailure) -> Answer {
        if !connection.isConnected { isListening = false }
        try connection.startCheckedCall()
        // Before the look: what is released after it has a notification.
        if !isListening {
            _ = try connection.query("LISTEN homeward_lease", doing: "listening for the lease")
            isListening = true
        }
        var parameters = PostgresParameters()
        for text in [shard, instance, name, sites] { parameters.add(text) }
        if let epoch { parameters.add(epoch) } else { parameters.addNull() }
        parameters.add(UInt8(isStart ? 1 : 0))
        if let mark { parameters.add(mark) } else { parameters.addNull() }
        parameters.add(Self.span.microseconds)
        let row = try connection.run(Self.renewal, parameters, doing: "renewing the lease")
        guard let epoch = row.int64(0, 0), let isMine = row.boolean(0, 1), let mark = row.int64(0, 4),
            let left = row.int64(0, 5)
        else { throw StoreFailure(kind: .transient, message: "renewing the lease: it was taken away meanwhile") }
        return Answer(
            epoch: epoch, isMine: isMine, holder: row.text(0, 2) ?? "", sites: row.text(0, 3) ?? "", mark: mark,
            left: Interval(microseconds: left), standbys: row.text(0, 6), hasHandover: row.boolean(0, 7) ?? false,
            isHeld: row.boolean(0, 8) ?? false)
    }

    // A process that stands still in the middle of a COPY would keep its keys locked for as long as it stands: no timeout
    // of the server's ends that.
    private static let endOthers = Statement(
        name: "end_other_commits",
        sql: """
            SELECT count(*) FILTER (WHERE ended) FROM (
                SELECT pg_terminate_backend(pid) AS ended FROM pg_stat_activity
                WHERE datname = current_database() AND usename = current_user
                    AND starts_with(application_name, $1::text)
                    AND (application_name <> $2::text
                        OR backend_start < clock_timestamp() - $3::int8 * interval '1 microsecond')) s
            """)

    /// Ends the sessions in which an earlier holder of the lease commits, another instance or an earlier life of this
    /// one: what they had begun is rolled back, and its locks are gone. How many those were.
    ///
    /// - Parameter uptime: for how long this life has had the lease's name.
    public func endOtherCommits(uptime: Interval) throws(StoreFailure) -> Int64 {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(sessions.all)
        parameters.add(sessions.own)
        parameters.add(uptime.microseconds)
        return try connection.run(Self.endOthers, parameters, doing: "ending an earlier holder's sessions").int64(0, 0)
            ?? 0
    }

    /// Readable when there may be news between two calls: a lease was released, or the connection is gone. -1: none.
    public var descriptor: Int32 { connection.socket }

    /// Takes in what the server said between two calls; true: a lease was released, this one or another shard's.
    public func takeNews() -> Bool { connection.takeNotifications() }

    /// Whoever waits may take it at once, and is told. False, and it is kept, where nobody has waited of late.
    public func release(_ epoch: Int64) throws(StoreFailure) -> Bool {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.add(shard)
        parameters.add(epoch)
        parameters.add(instance)
        return try connection.run(Self.giveUp, parameters, doing: "releasing the lease").rowCount > 0
    }
}

/// Refuses what a holder that was taken over from is about to commit.
enum LeaseFence {
    /// What a commit connection is called, apart from the application's name: at most 63 bytes in all.
    static func session(shard: String, instance: String) -> String {
        "commit-\(hexadecimal(Array(sha256(Array(shard.utf8)).prefix(4))))-\(instance)"
    }

    static let hold = Statement(
        name: "hold_lease", sql: "SELECT homeward.hold_lease($1::text, $2::int8, $3::text)")
    static let commit = Statement(name: "COMMIT", sql: "COMMIT")

    /// The condition of a statement that only the holder may run: `$shard` and `$epoch`, null for whoever has no lease.
    static func add(_ seat: LeaseSeat?, to parameters: inout PostgresParameters) {
        if let seat {
            parameters.add(seat.shard)
            // No epoch is below 1.
            parameters.add(seat.epoch ?? 0)
        } else {
            parameters.addNull()
            parameters.addNull()
        }
    }

    typealias Call = (statement: Statement, parameters: PostgresParameters)

    /// The end of a transaction of the holder's.
    static func calls(_ seat: LeaseSeat) throws(StoreFailure) -> [Call] {
        switch seat.standing {
        case .holder(let epoch?):
            // The lease was taken anew since this transaction was judged, and another may have held it in between.
            guard seat.isJudged(under: epoch) else {
                throw StoreFailure(kind: .transient, message: "committing: judged under another epoch of the lease")
            }
            var parameters = PostgresParameters()
            parameters.add(seat.shard)
            parameters.add(epoch)
            parameters.add(seat.instance)
            return [(hold, parameters), (commit, PostgresParameters())]
        case .holder(nil):
            throw StoreFailure(kind: .transient, message: "committing: the lease is not taken yet")
        case .undecided, .standby:
            throw StoreFailure(kind: .fenced, message: "committing: the lease is not held")
        }
    }
}
