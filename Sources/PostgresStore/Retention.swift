internal import Clinical
internal import Ingestion

/// How long readings, reports and answers stay in the database.
public struct RetentionPolicy: Sendable {
    /// Whole months before this one. At least `least`.
    public var months: Int32
    /// The directory of the archive.
    public var archive: String

    /// A key that says that a report was stored before is kept for over 400 days, and no longer than its report.
    public static let least: Int32 = 14

    public init(months: Int32, archive: String) {
        self.months = months
        self.archive = archive
    }
}

/// Takes months that are past the policy out of the database: each is written to a file, the file is read back and compared
/// with the table row by row, and only then the table is dropped. For the role that owns the schema; the daemon's may not.
/// One thread.
public final class Retention {
    /// A month of one table, or what lay in its default partition.
    public struct Part: Hashable, Sendable {
        public var table: String
        public var partition: String
        public var rows: Int64
        /// Nil where it was not written: a dry run.
        public var file: String?
    }

    public struct Outcome: Sendable {
        /// Everything received before this day (UTC) was past the policy.
        public var before: String
        public var parts: [Part] = []
        public var keys: Int64 = 0
    }

    private var connection: PostgresConnection
    private let policy: RetentionPolicy

    public init(_ configuration: DatabaseConfiguration, policy: RetentionPolicy) {
        connection = PostgresConnection(configuration.named("retention"))
        self.policy = policy
    }

    /// - Parameter told: of each part as soon as it is done.
    /// - Throws: `StoreFailure`, or what the file system said. Whatever was not finished is in the database still.
    public func run(dryRun: Bool, told: (Part) -> Void) throws -> Outcome {
        try connection.startCheckedCall()
        connection.startCall(within: .hours(24))
        defer { connection.close() }
        try prepare()
        let before = try cutoff()
        var outcome = Outcome(before: before)
        if !dryRun { try writeCodes() }
        for (table, partition) in try parts(before) {
            let isDefault = partition.hasSuffix("_default")
            let part = Part(
                table: table, partition: partition,
                rows: isDefault || dryRun ? try count(partition, isDefault ? before : nil) : 0)
            if isDefault, part.rows == 0 { continue }
            let done = dryRun ? part : try retire(part, isDefault ? before : nil)
            told(done)
            outcome.parts.append(done)
        }
        outcome.keys = try forgetKeys(before, dryRun: dryRun)
        return outcome
    }

    private func prepare() throws(StoreFailure) {
        let state = try connection.query(
            """
            SET statement_timeout = 0;
            SET idle_in_transaction_session_timeout = 0;
            SET lock_timeout = '2s';
            SET timezone = 'UTC';
            SET datestyle = 'ISO, MDY';
            SET extra_float_digits = 1;
            SET bytea_output = 'hex';
            SET search_path = pg_catalog, pg_temp;
            SELECT pg_has_role(relowner, 'USAGE')::text, pg_try_advisory_lock(hashtext('homeward.retention'))::text
            FROM pg_class WHERE oid = 'homeward.report'::regclass
            """, doing: "preparing retention")
        guard state.text(0, 0) == "true" else {
            throw StoreFailure(
                kind: .misconfigured,
                message: "retention is for the role that owns the schema: connect as homeward_owner, as migrate does")
        }
        guard state.text(0, 1) == "true" else {
            throw StoreFailure(kind: .transient, message: "another retention is under way")
        }
    }

    private func cutoff() throws(StoreFailure) -> String {
        let months = max(policy.months, RetentionPolicy.least)
        let result = try connection.script(
            "SELECT (date_trunc('month', now()) - make_interval(months => \(months)))::date", doing: "reading the time")
        guard let day = result.text(0, 0) else { throw connection.failure("reading the time: no answer") }
        return day
    }

    /// Months that ended by then, oldest first, and the default partitions.
    private func parts(_ before: String) throws(StoreFailure) -> [(String, String)] {
        let found = try connection.script(
            """
            SELECT p.relname, c.relname
            FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
            WHERE p.relnamespace = 'homeward'::regnamespace AND p.relname IN ('report', 'reading', 'answer')
                AND (c.relname = p.relname || '_default' OR c.relname ~ '^[a-z]+_[0-9]{4}_[0-9]{2}$'
                    AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= '\(before)'::date)
            ORDER BY right(c.relname, 7), c.relname
            """, doing: "reading partitions")
        return (0..<found.rowCount).compactMap { row in
            guard let table = found.text(row, 0), let partition = found.text(row, 1) else { return nil }
            return (table, partition)
        }
    }

    private func count(_ partition: String, _ before: String?) throws(StoreFailure) -> Int64 {
        let result = try connection.script(
            "SELECT count(*) FROM homeward.\(partition)\(Self.condition(before))", doing: "counting")
        return result.text(0, 0).flatMap { Int64($0) } ?? 0
    }

    private static func condition(_ before: String?) -> String {
        before.map { " WHERE received_at < '\($0) 00:00+00'" } ?? ""
    }

    // MARK: One part

    private func retire(_ part: Part, _ before: String?) throws -> Part {
        var part = part
        _ = try connection.query("BEGIN ISOLATION LEVEL REPEATABLE READ", doing: "archiving")
        do {
            // Before the snapshot: nothing is added to a month that is to go. Of a default partition only what the snapshot
            // shows goes, and reports come in meanwhile.
            if before == nil {
                _ = try connection.script(
                    "LOCK TABLE ONLY homeward.\(part.partition) IN SHARE ROW EXCLUSIVE MODE", doing: "archiving")
            }
            let rows = "SELECT * FROM homeward.\(part.partition)\(Self.condition(before))"
            let place = Self.free(
                "\(policy.archive)/\(part.partition)\(before.map { "_before_\($0)" } ?? "")", ".csv")
            let digest = try archive(rows, like: part.partition, at: place + ".part")
            part.rows = digest.rows
            part.file = place
            try ArchiveFile.put(place + ".part", at: place)
            try Self.note(digest.hash, of: place)
            try drop(part, before)
            _ = try connection.query("COMMIT", doing: "archiving")
        } catch {
            if connection.isConnected { _ = try? connection.query("ROLLBACK", doing: "archiving") }
            throw error
        }
        return part
    }

    /// Writes the rows, reads the file back into a table beside and compares the two.
    private func archive(
        _ rows: String, like partition: String, at path: String
    ) throws -> (rows: Int64, hash: String) {
        var file = try ArchiveFile(at: path)
        try connection.copyOut("COPY (\(rows)) TO STDOUT (FORMAT csv, HEADER)", doing: "archiving") {
            try file.append($0)
        }
        let hash = try file.sync()
        _ = try connection.script(
            "CREATE TEMPORARY TABLE archived (LIKE homeward.\(partition)) ON COMMIT DROP", doing: "verifying an archive"
        )
        try connection.copyIn("COPY archived FROM STDIN (FORMAT csv, HEADER)", doing: "verifying an archive") {
            try file.read()
        }
        let result = try connection.script(
            """
            SELECT (SELECT count(*) FROM archived),
                (SELECT count(*) FROM (\(rows) EXCEPT ALL TABLE archived) missing),
                (SELECT count(*) FROM (TABLE archived EXCEPT ALL \(rows)) added)
            """, doing: "verifying an archive")
        guard let count = result.text(0, 0).flatMap({ Int64($0) }), result.text(0, 1) == "0", result.text(0, 2) == "0"
        else { throw ArchiveFile.Failure(description: "\(path) is not what the table holds: nothing was dropped") }
        return (count, hash)
    }

    private func drop(_ part: Part, _ before: String?) throws(StoreFailure) {
        if before != nil {
            _ = try connection.script(
                "DELETE FROM homeward.\(part.partition)\(Self.condition(before))", doing: "deleting what was archived")
            return
        }
        // A moment alone with the table: commits go on before and after, and queue behind an attempt for no longer than this.
        _ = try connection.query(
            "SET LOCAL lock_timeout = '200ms'; SAVEPOINT drop", doing: "dropping a partition")
        for attempt in 1...Self.attempts {
            do throws(StoreFailure) {
                _ = try connection.script(
                    "ALTER TABLE homeward.\(part.table) DETACH PARTITION homeward.\(part.partition); "
                        + "DROP TABLE homeward.\(part.partition)", doing: "dropping a partition")
                return
            } catch {
                guard error.sqlState == "55P03" || error.sqlState == "40P01", attempt < Self.attempts else {
                    throw error
                }
                // What has queued meanwhile is through long before the next one.
                _ = try connection.query(
                    "ROLLBACK TO SAVEPOINT drop; SELECT pg_sleep(3)", doing: "dropping a partition")
            }
        }
    }

    private static let attempts = 30

    // MARK: What goes with it

    /// The codes behind the numbers in archived rows: none is ever taken away, so the newest files are good for all.
    private func writeCodes() throws {
        for table in ["site", "patient", "device", "kind", "unit"] {
            let place = "\(policy.archive)/\(table).csv"
            var file = try ArchiveFile(at: place + ".part")
            try connection.copyOut(
                "COPY (SELECT * FROM homeward.\(table) ORDER BY id) TO STDOUT (FORMAT csv, HEADER)", doing: "archiving"
            ) { try file.append($0) }
            let hash = try file.sync()
            try ArchiveFile.put(place + ".part", at: place)
            try Self.note(hash, of: place)
        }
    }

    /// As `sha256sum --check` reads it.
    private static func note(_ hash: String, of place: String) throws {
        let name = place.split(separator: "/").last ?? ""
        var file = try ArchiveFile(at: place + ".sha256.part")
        try file.append(Array("\(hash)  \(name)\n".utf8))
        _ = try file.sync()
        try ArchiveFile.put(place + ".sha256.part", at: place + ".sha256")
    }

    /// A name that is not taken: what was archived is never overwritten.
    private static func free(_ name: String, _ ending: String) -> String {
        var place = name + ending
        var number = 2
        while ArchiveFile.exists(place), number < 10_000 {
            place = "\(name)_\(number)\(ending)"
            number += 1
        }
        return place
    }

    /// Blocks of the keys' table that one statement looks through: some ten thousand keys.
    static let blocksAtOnce: Int64 = 100

    /// The keys of a range of blocks that go; each block is read once, however many there are.
    static func forgetting(before: String, blocks: Range<Int64>) -> String {
        "DELETE FROM homeward.report_key WHERE ctid >= '(\(blocks.lowerBound),0)'::tid "
            + "AND ctid < '(\(blocks.upperBound),0)'::tid AND stored_at < '\(before) 00:00+00'"
    }

    /// In portions, so that no commit waits long for a row.
    private func forgetKeys(_ before: String, dryRun: Bool) throws(StoreFailure) -> Int64 {
        if dryRun {
            return try connection.script(
                "SELECT count(*) FROM homeward.report_key WHERE stored_at < '\(before) 00:00+00'",
                doing: "counting keys"
            ).text(0, 0).flatMap { Int64($0) } ?? 0
        }
        // What is added meanwhile is new.
        let end =
            try connection.script(
                "SELECT pg_relation_size('homeward.report_key') / current_setting('block_size')::int8",
                doing: "measuring keys"
            ).text(0, 0).flatMap { Int64($0) } ?? 0
        var forgotten: Int64 = 0
        for start in stride(from: 0, to: end, by: Int(Self.blocksAtOnce)) {
            forgotten += Int64(
                try connection.script(
                    Self.forgetting(before: before, blocks: start..<start + Self.blocksAtOnce),
                    doing: "forgetting keys"
                ).affectedRows)
        }
        return forgotten
    }
}
