internal import Clinical
internal import Cryptography
public import Ingestion

/// Where the audit chain ends: what is kept off the machine, so that a shortened or rewritten chain is known for one.
public struct AuditHead: Hashable, Sendable, CustomStringConvertible {
    public var number: Int64
    /// Lower-case hexadecimal digits: all 64, or the first 16 at least.
    public var hash: String

    static let least = 16

    init(number: Int64, hash: String) {
        self.number = number
        self.hash = hash
    }

    /// `NUMBER:HASH`, as `description` writes it.
    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let number = Int64(parts[0]), number > 0,
            (Self.least...64).contains(parts[1].utf8.count), parts[1].allSatisfy(\.isHexDigit)
        else { return nil }
        self.number = number
        hash = parts[1].lowercased()
    }

    public var description: String { "\(number):\(hash)" }

    /// With the first 16 digits: for people's eyes.
    public var short: String { "\(number):\(hash.prefix(Self.least))" }
}

/// What `homeward audit verify` found.
public struct AuditVerdict: Sendable {
    /// Where the chain and the tables do not agree.
    public struct Fault: Hashable, Sendable, CustomStringConvertible {
        /// Nil: of the chain itself.
        public var relation: String?
        public var batch: Int64
        public var words: String

        public var description: String { "\(relation ?? "audit_batch"):\(batch): \(words)" }
    }

    public var batches: Int64 = 0
    public var rows: Int64 = 0
    /// Nil: nothing has been sealed yet.
    public var head: AuditHead?
    /// Rows that came after the last batch of their table, or are being written: no fault.
    public var unsealed: Int64 = 0
    /// The first hundred.
    public var faults: [Fault] = []

    static let mostFaults = 100

    mutating func add(_ fault: Fault) {
        if faults.count < Self.mostFaults { faults.append(fault) }
    }
}

/// Holds the audit chain against the tables that it seals. It trusts nothing of the schema but the rows: the expressions
/// and the hashes are its own. One thread.
public final class AuditVerifier {
    /// A row that waits for longer to be sealed is stuck: sealing is tried every five minutes. Seconds.
    public static let longestUnsealed: Double = 3600

    private var connection: PostgresConnection
    private var verdict = AuditVerdict()
    /// Up to where each table of each cluster is sealed.
    private var ends: [Portion: Position] = [:]
    private var encodings: [String: String] = [:]

    private struct Portion: Hashable {
        var relation: String
        var cluster: Int64
    }

    struct Position: Hashable {
        var transaction: String
        var key: String
        static let beginning = Position(transaction: "0", key: "")
    }

    /// The rows after one position up to another. Within one transaction by the key alone: compared as rows, the index would
    /// be read to the transaction's end for each batch, and what was there when the chain began has one in common.
    static func rows(after: Position, through last: Position, key: String) -> String {
        guard after.transaction != last.transaction else {
            return "sealing_xid = '\(last.transaction)'::xid8 AND \(key) > \(quoted(after.key)) "
                + "AND \(key) <= \(quoted(last.key))"
        }
        return "(sealing_xid, \(key)) > ('\(after.transaction)'::xid8, \(quoted(after.key))) "
            + "AND (sealing_xid, \(key)) <= ('\(last.transaction)'::xid8, \(quoted(last.key)))"
    }

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("audit"))
    }

    /// For how long the row has waited that has waited longest to be sealed; 0: none waits.
    public func unsealedSeconds() throws(StoreFailure) -> Double {
        try connection.startCheckedCall()
        return try DatabaseUpkeep.unsealedSeconds(&connection)
    }

    /// Where the chain ends now and since when, by the server's clock; nil where nothing has been sealed.
    public func standing() throws(StoreFailure) -> (head: AuditHead, sealedMinutesAgo: Int64)? {
        try connection.startCheckedCall()
        let last = try connection.query(
            """
            SELECT number, encode(hash, 'hex'), (extract(epoch FROM now() - sealed_at) / 60)::bigint
            FROM homeward.audit_batch ORDER BY number DESC LIMIT 1
            """, doing: "reading the head of the audit chain")
        guard let number = last.text(0, 0).flatMap({ Int64($0) }), let hash = last.text(0, 1),
            let minutes = last.text(0, 2).flatMap({ Int64($0) })
        else { return nil }
        return (AuditHead(number: number, hash: hash), minutes)
    }

    /// Reads every batch and every row that it covers, as they stand at one moment.
    ///
    /// - Parameter heads: noted earlier and elsewhere; each must be a batch of the chain.
    public func verify(heads: [AuditHead]) throws(StoreFailure) -> AuditVerdict {
        verdict = AuditVerdict()
        ends = [:]
        try connection.startCheckedCall()
        connection.startCall(within: .hours(12))
        defer { connection.close() }
        // Each batch by the index: whatever the statistics, a million rows of one transaction are not sorted for each.
        _ = try connection.query(
            """
            SET statement_timeout = 0;
            SET idle_in_transaction_session_timeout = 0;
            SET standard_conforming_strings = on;
            SET timezone = 'UTC';
            SET datestyle = 'ISO, MDY';
            SET intervalstyle = 'postgres';
            SET bytea_output = 'hex';
            SET extra_float_digits = 1;
            SET enable_sort = off;
            SET search_path = pg_catalog, pg_temp;
            BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY
            """, doing: "preparing to verify")
        var wanted = Dictionary(grouping: heads, by: \.number)
        var previous = String(repeating: "0", count: 64)
        var number: Int64 = 0
        while true {
            let batches = try self.batches(after: number)
            guard batches.rowCount > 0 else { break }
            for row in 0..<batches.rowCount {
                guard let batch = Batch(batches, row) else {
                    verdict.add(.init(relation: nil, batch: number + 1, words: "a batch can't be read"))
                    return verdict
                }
                if batch.number != number + 1 {
                    verdict.add(
                        .init(
                            relation: nil, batch: number + 1, words: "missing: the next is \(batch.number)"))
                }
                if batch.previous != previous {
                    verdict.add(
                        .init(relation: batch.relation, batch: batch.number, words: "does not follow the one before"))
                }
                try check(batch)
                for head in wanted.removeValue(forKey: batch.number) ?? [] where !batch.hash.hasPrefix(head.hash) {
                    verdict.add(
                        .init(relation: nil, batch: head.number, words: "is another than the head that was noted"))
                }
                number = batch.number
                previous = batch.hash
                verdict.batches += 1
                verdict.rows += batch.rows
                verdict.head = AuditHead(number: number, hash: previous)
            }
        }
        for head in wanted.keys.sorted() {
            verdict.add(.init(relation: nil, batch: head, words: "was noted and is not there: the chain is cut off"))
        }
        try countUnsealed()
        return verdict
    }

    // MARK: Batches

    private struct Batch {
        var number: Int64
        var previous: String
        var relation: String
        var keyColumns: [String]
        var columns: [String]
        var cluster: Int64
        var after: Position
        var last: Position
        var rows: Int64
        var sealedAt: String
        var hash: String

        init?(_ result: borrowing PostgresResult, _ row: Int) {
            guard let number = result.text(row, 0).flatMap({ Int64($0) }), let previous = result.text(row, 1),
                let relation = result.text(row, 2), let keys = result.text(row, 3), let columns = result.text(row, 4),
                let cluster = result.text(row, 5).flatMap({ Int64($0) }), let afterTransaction = result.text(row, 6),
                let afterKey = result.text(row, 7), let lastTransaction = result.text(row, 8),
                let lastKey = result.text(row, 9), let rows = result.text(row, 10).flatMap({ Int64($0) }),
                let sealedAt = result.text(row, 11), let hash = result.text(row, 12),
                UInt64(afterTransaction) != nil, UInt64(lastTransaction) != nil
            else { return nil }
            self.number = number
            self.previous = previous
            self.relation = relation
            keyColumns = keys.split(separator: ",").map(String.init)
            self.columns = columns.split(separator: ",").map(String.init)
            self.cluster = cluster
            after = Position(transaction: afterTransaction, key: afterKey)
            last = Position(transaction: lastTransaction, key: lastKey)
            self.rows = rows
            self.sealedAt = sealedAt
            self.hash = hash
        }

        /// What the hash covers before the rows.
        var header: [String] {
            [
                "homeward-audit-1", "\(number)", previous, relation, keyColumns.joined(separator: ","),
                columns.joined(separator: ","), "\(cluster)", after.transaction, after.key, last.transaction, last.key,
                "\(rows)", sealedAt,
            ]
        }
    }

    private func batches(after number: Int64) throws(StoreFailure) -> PostgresResult {
        try connection.script(
            """
            SELECT number, encode(previous, 'hex'), relation, array_to_string(key_columns, ','),
                array_to_string(columns, ','), cluster, after_xid, after_key, last_xid, last_key, rows,
                (extract(epoch FROM sealed_at) * 1000000)::bigint, encode(hash, 'hex')
            FROM homeward.audit_batch WHERE number > \(number) ORDER BY number LIMIT 500
            """, doing: "reading the audit chain")
    }

    private func check(_ batch: Batch) throws(StoreFailure) {
        let portion = Portion(relation: batch.relation, cluster: batch.cluster)
        func fault(_ words: String) {
            verdict.add(.init(relation: batch.relation, batch: batch.number, words: words))
        }
        if ends[portion, default: .beginning] != batch.after { fault("does not begin where the one before it ended") }
        ends[portion] = batch.last
        guard Self.isName(batch.relation), batch.columns.allSatisfy(Self.isName), !batch.columns.isEmpty,
            batch.keyColumns.allSatisfy(Self.isName), !batch.keyColumns.isEmpty
        else { return fault("names no table of ours") }
        let key = "(\(encoding(of: batch.keyColumns))) COLLATE \"C\""
        let sql = """
            SELECT \(encoding(of: batch.columns)) FROM homeward.\(batch.relation)
            WHERE sealing_cluster = \(batch.cluster)
                AND \(Self.rows(after: batch.after, through: batch.last, key: key))
            ORDER BY sealing_xid, \(key)
            """
        guard let rows = try unlessGone(sql) else { return fault("its table or one of its columns is gone") }
        var bytes = batch.header.flatMap(Self.field)
        for row in 0..<rows.rowCount { bytes += Self.field(rows.text(row, 0) ?? "") }
        guard hexadecimal(sha256(bytes)) != batch.hash else { return }
        let difference = Int64(rows.rowCount) - batch.rows
        if difference < 0 {
            fault("\(-difference) of \(batch.rows) rows missing")
        } else {
            fault(difference > 0 ? "\(difference) rows too many" : "changed: the batch, or one of its rows")
        }
    }

    /// Nil where a table or a column that it names is not there.
    private func unlessGone(_ sql: String) throws(StoreFailure) -> PostgresResult? {
        _ = try connection.query("SAVEPOINT rows", doing: "verifying")
        do throws(StoreFailure) {
            return try connection.script(sql, doing: "reading sealed rows")
        } catch  where error.sqlState == "42P01" || error.sqlState == "42703" {
            _ = try connection.query("ROLLBACK TO SAVEPOINT rows", doing: "verifying")
            return nil
        }
    }

    private func countUnsealed() throws(StoreFailure) {
        let sources = try connection.query(
            "SELECT relation, array_to_string(key_columns, ',') FROM homeward.audit_source", doing: "reading sources")
        for row in 0..<sources.rowCount {
            guard let relation = sources.text(row, 0), let keys = sources.text(row, 1), Self.isName(relation) else {
                continue
            }
            let columns = keys.split(separator: ",").map(String.init)
            guard columns.allSatisfy(Self.isName) else { continue }
            let key = "(\(encoding(of: columns))) COLLATE \"C\""
            let sealed = ends.filter { $0.key.relation == relation }.map { portion, end in
                "sealing_cluster = \(portion.cluster) AND (sealing_xid < '\(end.transaction)'::xid8 "
                    + "OR sealing_xid = '\(end.transaction)'::xid8 AND \(key) <= \(Self.quoted(end.key)))"
            }
            let condition = sealed.isEmpty ? "true" : "NOT (\(sealed.joined(separator: " OR ")))"
            let count = try unlessGone("SELECT count(*) FROM homeward.\(relation) WHERE \(condition)")
            verdict.unsealed += count?.text(0, 0).flatMap { Int64($0) } ?? 0
        }
    }

    // MARK: Encoding

    /// `LENGTH:TEXT;`, the length in bytes of UTF-8.
    private static func field(_ text: String) -> [UInt8] {
        Array("\(text.utf8.count):".utf8) + Array(text.utf8) + [UInt8(ascii: ";")]
    }

    /// Each column so, and `-;` for a null.
    private func encoding(of columns: [String]) -> String {
        let key = columns.joined(separator: ",")
        if let known = encodings[key] { return known }
        let made = Self.encoding(of: columns)
        encodings[key] = made
        return made
    }

    static func encoding(of columns: [String]) -> String {
        columns.map { "coalesce(octet_length(\"\($0)\"::text) || ':' || \"\($0)\"::text, '-') || ';'" }
            .joined(separator: " || ")
    }

    /// Of a table or column, as our migrations name them: nothing that would have to be quoted.
    private static func isName(_ text: String) -> Bool {
        guard let first = text.utf8.first, first > 0x39, text.utf8.count < 64 else { return false }
        return text.utf8.allSatisfy { (0x61...0x7a).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5f }
    }

    private static func quoted(_ text: String) -> String { "'" + text.replacing("'", with: "''") + "'" }
}
