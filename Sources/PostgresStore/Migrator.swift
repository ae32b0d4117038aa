internal import Clinical
public import Ingestion

/// Brings the schema `homeward` up to date (`homeward migrate`).
public enum Migrator {
    /// The version that this binary works with.
    public static var newestVersion: Int { Int(Migration.all.last?.version ?? 0) }

    /// Applies what is missing, each file in a transaction of its own and under an advisory lock, so that two
    /// migrators take turns; makes the partitions ahead and grants the separate roles their rights. Doing it again
    /// changes nothing.
    ///
    /// - Returns: the names of the files that were applied.
    /// - Throws: `misconfigured` when an applied file was changed since, or the schema is newer than this binary.
    public static func migrate(_ configuration: DatabaseConfiguration) throws(StoreFailure) -> [String] {
        try migrate(configuration, with: Migration.all)
    }

    static func migrate(
        _ configuration: DatabaseConfiguration, with migrations: [Migration]
    ) throws(StoreFailure) -> [String] {
        var connection = PostgresConnection(configuration.named("migrate"))
        connection.startCall()
        try connection.connect()
        // A migration may rewrite tables: it has its time.
        connection.startCall(within: .hours(6))
        _ = try connection.query(
            """
            SET statement_timeout = 0;
            SET lock_timeout = '60s';
            SET idle_in_transaction_session_timeout = 0;
            SET search_path = pg_catalog;
            SET client_min_messages = warning
            """, doing: "preparing to migrate")
        try begin(&connection)
        _ = try connection.query(
            """
            CREATE SCHEMA IF NOT EXISTS homeward;
            CREATE TABLE IF NOT EXISTS homeward.schema_migration (
                version integer PRIMARY KEY,
                name text NOT NULL,
                checksum bytea NOT NULL,
                applied_at timestamptz NOT NULL DEFAULT now()
            );
            COMMIT
            """, doing: "creating the schema")
        var applied: [String] = []
        for migration in migrations where try apply(migration, newest: migrations.last?.version ?? 0, &connection) {
            applied.append(migration.name)
        }
        _ = try connection.query(
            "SELECT homeward.make_partitions(); SELECT homeward.grant_rights()", doing: "making partitions")
        return applied
    }

    private static func begin(_ connection: inout PostgresConnection) throws(StoreFailure) {
        _ = try connection.query(
            "BEGIN; SELECT pg_advisory_xact_lock(7811322041998341)", doing: "waiting for another migration")
    }

    /// True if it was applied now.
    private static func apply(
        _ migration: Migration, newest: Int32, _ connection: inout PostgresConnection
    ) throws(StoreFailure) -> Bool {
        try begin(&connection)
        var parameters = PostgresParameters()
        parameters.add(migration.version)
        parameters.add(migration.sql)
        let state = try connection.run(
            Statement(
                name: "migration_state",
                sql: """
                    SELECT (SELECT max(version) FROM homeward.schema_migration),
                        (SELECT checksum = sha256($2::bytea) FROM homeward.schema_migration WHERE version = $1::int4)
                    """), parameters, doing: "reading the schema's version")
        if let found = state.int32(0, 0), found > newest {
            throw StoreFailure(
                kind: .misconfigured,
                message: "the schema is at version \(found), newer than this binary's \(newest): run the newer homeward"
            )
        }
        if let same = state.boolean(0, 1) {
            _ = try connection.query("ROLLBACK", doing: "migrating")
            guard same else {
                throw StoreFailure(
                    kind: .misconfigured, message: "\(migration.name) was changed after it had been applied")
            }
            return false
        }
        let sql = String(decoding: migration.sql, as: UTF8.self)
        _ = try connection.script(sql, doing: "applying a migration")
        parameters.add(migration.name)
        _ = try connection.run(
            Statement(
                name: "migration_applied",
                sql: """
                    INSERT INTO homeward.schema_migration (version, checksum, name)
                    VALUES ($1::int4, sha256($2::bytea), $3::text)
                    """), parameters, doing: "recording a migration")
        _ = try connection.query("COMMIT", doing: "applying a migration")
        return true
    }
}

/// What must hold of the server before anything is stored through a new connection.
enum ServerCheck {
    /// Throws `misconfigured` if the schema is not this binary's, or the server would lose what it confirmed.
    static func run(_ connection: inout PostgresConnection) throws(StoreFailure) {
        let result: PostgresResult
        do {
            result = try connection.query(
                """
                SELECT coalesce((SELECT max(version) FROM homeward.schema_migration), 0),
                    current_setting('fsync', true), current_setting('full_page_writes', true),
                    (SELECT row_security_active(oid)::text FROM pg_class WHERE oid = to_regclass('homeward.alert'))
                """, doing: "reading the schema's version")
        } catch  where error.sqlState == "42P01" || error.sqlState == "3F000" {
            throw StoreFailure(
                kind: .misconfigured, sqlState: error.sqlState,
                message: "there is no schema homeward in this database: run `homeward migrate`")
        }
        let version = result.text(0, 0).flatMap { Int($0) } ?? 0
        if version < Migrator.newestVersion {
            throw StoreFailure(
                kind: .misconfigured,
                message: "the schema is at version \(version), older than this binary's \(Migrator.newestVersion): "
                    + "run `homeward migrate`")
        }
        // A newer one is worked with: migrations only add, so that instances roll one after the other.
        // Whoever sees no alerts would take their timers for those of alerts that are over.
        if result.text(0, 3) == "true" {
            throw StoreFailure(
                kind: .misconfigured,
                message: "row-level security binds this role, which would see no alert: connect as the owner or as "
                    + "homeward_ingest (membership is not enough), or ALTER ROLE … BYPASSRLS")
        }
        for (column, setting) in [(1, "fsync"), (2, "full_page_writes")] where result.text(0, column) == "off" {
            throw StoreFailure(
                kind: .misconfigured, message: "the server runs with \(setting) = off: it would lose confirmed reports")
        }
    }
}
