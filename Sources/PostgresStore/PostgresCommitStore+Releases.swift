public import Clinical
public import Ingestion

extension PostgresCommitStore {
    private static let waiting = Statement(
        name: "waiting_releases",
        sql: """
            SELECT r.id, q.reason, q.topic, q.payload, q.received_at
            FROM homeward.quarantine_release r JOIN homeward.quarantine q ON q.id = r.quarantine
            WHERE r.done_at IS NULL AND ($2::text[] IS NULL OR q.site IS NULL OR q.site = ANY ($2::text[]))
            ORDER BY r.id LIMIT $1::int4
            """)
    private static let lock = Statement(
        name: "lock_releases",
        sql: """
            SELECT id FROM homeward.quarantine_release WHERE id = ANY ($1::int8[]) AND done_at IS NULL
            ORDER BY id FOR UPDATE SKIP LOCKED
            """)

    public func waitingReleases(limit: Int, at sites: Set<Identifier>?) throws(StoreFailure) -> [Release] {
        // Whoever connects is a transaction of reports or timers.
        guard connection.isConnected, connection.isIdle else { return [] }
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.add(Int32(clamping: limit))
        if let sites {
            parameters.addTexts(of: Array(sites)) { $0.description }
        } else {
            parameters.addNull()
        }
        let rows = try connection.run(Self.waiting, parameters, doing: "reading releases")
        return try (0..<rows.rowCount).map { row throws(StoreFailure) in
            guard let id = rows.int64(row, 0), let reason = rows.text(row, 1).flatMap(RefusalReason.init(rawValue:)),
                let topic = rows.text(row, 2), let payload = rows.bytes(row, 3), let receivedAt = rows.instant(row, 4)
            else {
                throw StoreFailure(kind: .misconfigured, message: "reading releases: a row can't be understood")
            }
            let message = Message(topic: Array(topic.utf8), payload: payload, receivedAt: receivedAt)
            return Release(id: id, reason: reason, message: message)
        }
    }

    public func lockReleases(_ releases: [Int64]) throws(StoreFailure) -> Set<Int64> {
        connection.startCall()
        var parameters = PostgresParameters()
        parameters.addNumbers(.int8, of: releases) { $0 }
        let rows = try connection.run(Self.lock, parameters, doing: "locking releases")
        return Set((0..<rows.rowCount).compactMap { rows.int64($0, 0) })
    }
}

/// The ends of releases.
enum ReleaseWriting {
    private static let statement = Statement(
        name: "end_releases",
        sql: """
            UPDATE homeward.quarantine_release r SET done_at = now(), outcome = w.outcome, reason = w.reason
            FROM unnest($1::int8[], $2::text[], $3::text[]) AS w (id, outcome, reason)
            WHERE r.id = w.id AND r.done_at IS NULL
            """)

    static func call(_ results: [ReleaseResult]) -> (statement: Statement, parameters: PostgresParameters) {
        var parameters = PostgresParameters()
        parameters.addNumbers(.int8, of: results) { $0.id }
        parameters.addTexts(of: results) { $0.outcome }
        parameters.addTexts(of: results) { $0.reason?.rawValue }
        return (statement, parameters)
    }
}
