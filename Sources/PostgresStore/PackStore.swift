public import Documents
public import Ingestion

/// Packs as the database keeps them, by the daemon's own role. One thread.
public final class PackStore {
    private var connection: PostgresConnection

    private static let record = Statement(
        name: "record_packs",
        sql: """
            INSERT INTO homeward.pack_content (pack, hash, configured, content)
            SELECT pack, hash, true, content FROM unnest($1::text[], $2::bytea[], $3::bytea[]) AS c (pack, hash, content)
            ON CONFLICT (pack, hash) DO UPDATE SET configured = true WHERE NOT pack_content.configured
            """)
    private static let unconfigure = Statement(
        name: "unconfigure_packs",
        sql: """
            UPDATE homeward.pack_content c SET configured = false
            WHERE configured AND NOT EXISTS (
                SELECT FROM unnest($1::text[], $2::bytea[]) AS w (pack, hash) WHERE w.pack = c.pack AND w.hash = c.hash)
            """)
    private static let approved = Statement(
        name: "approved_packs",
        sql: """
            SELECT a.pack, c.content
            FROM (SELECT DISTINCT ON (pack) id, pack, hash FROM homeward.pack_approval ORDER BY pack, id DESC) a
            JOIN homeward.pack_content c USING (pack, hash)
            WHERE NOT EXISTS (SELECT FROM homeward.pack_retirement r WHERE r.approval = a.id)
            ORDER BY a.pack
            """)

    private static let contents = Statement(
        name: "pack_contents", sql: "SELECT pack, content FROM homeward.pack_content WHERE hash = ANY ($1::bytea[])")

    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("packs"))
    }

    /// Notes what the daemon is configured with: what is new can be approved from now on.
    public func record(_ files: [PackBytes]) throws(StoreFailure) {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.addTexts(of: files) { $0.code }
        parameters.addArray(.bytea, of: files) { file, parameters in
            parameters.write(raw: file.hash)
            return true
        }
        let named = parameters
        parameters.addArray(.bytea, of: files) { file, parameters in
            parameters.write(raw: file.bytes)
            return true
        }
        _ = try connection.run([(Self.record, parameters), (Self.unconfigure, named)], doing: "noting the packs")
    }

    /// What was ever met with one of those hashes.
    public func contents(_ hashes: [[UInt8]]) throws(StoreFailure) -> [PackBytes] {
        try connection.startCheckedCall()
        var parameters = PostgresParameters()
        parameters.addArray(.bytea, of: hashes) { hash, parameters in
            parameters.write(raw: hash)
            return true
        }
        let rows = try connection.run(Self.contents, parameters, doing: "reading packs")
        return Self.files(rows)
    }

    /// Of each pack of which any content was ever approved, the one approved last, unless it was retired since.
    public func approved() throws(StoreFailure) -> [PackBytes] {
        try connection.startCheckedCall()
        let rows = try connection.run(Self.approved, PostgresParameters(), doing: "reading approved packs")
        return Self.files(rows)
    }

    private static func files(_ rows: borrowing PostgresResult) -> [PackBytes] {
        var files: [PackBytes] = []
        for row in 0..<rows.rowCount {
            guard let code = rows.text(row, 0), let bytes = rows.bytes(row, 1) else { continue }
            files.append(PackBytes(code: code, bytes: bytes))
        }
        return files
    }
}
