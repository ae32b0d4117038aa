import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// The database is not what the daemon left: an older schema, or an older state.
    @Suite struct RestoreTests {
        private static let server = "/usr/lib/postgresql/15/bin/"

        /// Runs a client of PostgreSQL's, which must succeed.
        private func run(_ tool: String, _ arguments: [String]) throws {
            let process = Process()
            process.executableURL = URL(filePath: Self.server + tool)
            process.arguments = arguments
            try process.run()
            process.waitUntilExit()
            guard process.terminationStatus == 0 else { throw Stack.Failure(description: "\(tool) failed") }
        }

        @Test func `a restored database holds what was due long before until a person says what becomes of it`()
            throws
        {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            let stack = faulty.stack
            try faulty.startReadyDaemon()
            let readers = HomeReaders(
                port: stack.broker.port,
                reports: [
                    FaultWard.oxygen("old", device: 1, value: 86, isOrdered: true),
                    FaultWard.oxygen("lost", device: 2, value: 97, isOrdered: true),
                    FaultWard.oxygen("new", device: 4, value: 86, isOrdered: true),
                ], patience: nil)
            defer { readers.stop() }
            readers.send(0)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P1") != nil })
            #expect(
                try eventually { try stack.query("SELECT DISTINCT state FROM homeward.v_delivery") == [["sent"]] })
            let dump = stack.directory.appending(path: "homeward.dump").path
            let url = stack.postgres.url(database: stack.database)
            try run("pg_dump", ["-Fc", "-f", dump, url])

            // As if hours had passed since: the lease was renewed so often, and the state directory knows it.
            _ = try stack.query("UPDATE homeward.lease SET renewals = renewals + 1000")
            let memory = stack.spool.appending(path: "lease")
            #expect(
                eventually {
                    let words = (try? String(contentsOf: memory, encoding: .utf8))?.split(separator: " ") ?? []
                    return words.count == 5 && Int(words[3]).map { $0 > 1000 } ?? false
                })
            readers.send(1)
            #expect(eventually { readers.progress[1].isStored })
            #expect(stack.stopDaemon() == 0)
            try stack.postgres.query("DROP DATABASE \(stack.database) WITH (FORCE)")
            try stack.postgres.query("CREATE DATABASE \(stack.database)")
            try run("pg_restore", ["--no-owner", "-d", url, dump])
            try stack.expectSuccess(stack.run("migrate", "--config", stack.configurationFile.path))
            _ = try stack.query("UPDATE homeward.timer SET due_at = now() - interval '5 hours'")

            try faulty.startReadyDaemon()
            #expect(stack.get("/readyz")?.body.contains(#""restored":true"#) == true)
            #expect(stack.log.contains("behind what this instance remembers"))
            readers.send(2)
            #expect(eventually { faulty.told(of: "spo2-low", patient: "P4") != nil })
            let status = try stack.run("status", "--config", stack.configurationFile.path)
            #expect(status.status == 0 && status.output.contains("homeward timers list"), "\(status.output)")
            let list = try stack.run("timers", "--config", stack.configurationFile.path, "list")
            #expect(list.status == 0 && list.output.contains("escalation"), "\(list.output)\(list.errors)")
            #expect(list.output.contains("red spo2-low P1"), "\(list.output)")
            func arrivals() -> Int {
                faulty.hook.bodies.count { TestReader.member("patient", of: $0) == "P1" }
            }
            #expect(arrivals() == 1)
            let waiting = "SELECT count(*) FROM homeward.timer WHERE due_at < now() - interval '4 hours'"
            #expect(try stack.value(waiting) != "0")

            let told = "SELECT severity, state FROM homeward.v_alert WHERE rule = 'database-restored'"
            #expect(try eventually { try stack.query(told) == [["amber", "open"]] })

            let released = try stack.run("timers", "--config", stack.configurationFile.path, "release")
            #expect(released.status == 0 && released.output.hasPrefix("released: "), "\(released.errors)")
            #expect(eventually { arrivals() > 1 }, "\(stack.log.suffix(2000))")
            #expect(eventually { stack.get("/readyz")?.body.contains(#""restored""#) == false })
            #expect(try stack.run("timers", "--config", stack.configurationFile.path, "expire").status == 65)
            #expect(try eventually { try stack.query(told) == [["amber", "resolved"]] })
            // A start later it is not found again.
            #expect(stack.stopDaemon() == 0)
            try faulty.startReadyDaemon()
            #expect(stack.get("/readyz")?.body.contains(#""restored""#) == false)
        }

        @Test func `a schema older than the program spools until it is migrated, and loses nothing`() throws {
            let faulty = try FaultStack()
            defer { try? faulty.heal() }
            let stack = faulty.stack
            try makeOlder(stack)
            // What an earlier version leaves: it had subscribed.
            try FileManager.default.createDirectory(at: stack.spool, withIntermediateDirectories: true)
            try "127.0.0.1\n".write(
                to: stack.spool.appending(path: "broker-session"), atomically: true, encoding: .utf8)
            try faulty.startDaemon()
            // What is published before there is a session is nobody's to keep.
            #expect(eventually { stack.metric("homeward_broker_connected") == 1 }, "\(stack.log.suffix(2000))")
            let reports = (0..<600).map { number in
                FaultWard.oxygen("u\(number)", device: [1, 2, 3, 5][number % 4], value: 97, at: number * 20)
            }
            let readers = HomeReaders(port: stack.broker.port, reports: reports, patience: nil)
            defer { readers.stop() }
            #expect(eventually { (stack.metric("homeward_spool_bytes") ?? 0) > 0 }, "\(stack.log.suffix(2000))")
            #expect(
                eventually {
                    stack.get("/readyz").map { $0.status == 503 && $0.body.contains("run `homeward migrate`") } ?? false
                })
            #expect(readers.progress.allSatisfy { $0.receipts.isEmpty })
            let migrated = try stack.run("migrate", "--config", stack.configurationFile.path)
            #expect(migrated.status == 0, "\(migrated.errors)")
            #expect(
                eventually(every: .milliseconds(100)) { readers.isSent && readers.progress.allSatisfy { $0.isStored } },
                "\(stack.log.suffix(2000))")
            #expect(stack.isReady())
            #expect(stack.metric("homeward_lease_held") == 1)
            try stack.expectCountersAddUp()
            #expect(try stack.value("SELECT count(*) FROM homeward.v_report") == "600")
        }

        /// The database at the schema of version 14, with the same ward.
        private func makeOlder(_ stack: Stack) throws {
            let newer = stack.database + "_newer"
            try stack.postgres.query("ALTER DATABASE \(stack.database) RENAME TO \(newer)")
            try stack.postgres.query("CREATE DATABASE \(stack.database)")
            _ = try stack.query(
                """
                CREATE SCHEMA homeward;
                CREATE TABLE homeward.schema_migration (version integer PRIMARY KEY, name text NOT NULL,
                    checksum bytea NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())
                """)
            let folder = URL(filePath: #filePath).deletingLastPathComponent()
                .appending(path: "../../../Sources/PostgresStore/migrations").standardized
            let files = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted().prefix(14)
            for (number, name) in files.enumerated() {
                let file = folder.appending(path: name)
                try stack.postgres.runFile(file.path, database: stack.database)
                let bytes = try Data(contentsOf: file).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
                // Some are longer than an argument may be.
                let record = stack.directory.appending(path: "record.sql")
                try "INSERT INTO homeward.schema_migration VALUES (\(number + 1), '\(name)', sha256('\\x\(bytes)'))"
                    .write(to: record, atomically: true, encoding: .utf8)
                try stack.postgres.runFile(record.path, database: stack.database)
            }
            _ = try stack.query("SELECT homeward.make_partitions(); SELECT homeward.grant_rights()")
            for table in ["registry_entry", "site", "patient", "device", "care_manager", "pairing"] {
                let columns = try stack.value(
                    """
                    SELECT string_agg(quote_ident(column_name), ',' ORDER BY ordinal_position)
                    FROM information_schema.columns
                    WHERE table_schema = 'homeward' AND table_name = '\(table)' AND is_generated = 'NEVER'
                    """)
                let file = stack.directory.appending(path: "\(table).copy").path
                try run(
                    "psql",
                    [
                        "-Xq", stack.postgres.url(database: newer), "-c",
                        "\\copy (SELECT \(columns) FROM homeward.\(table)) TO '\(file)'",
                    ])
                try run(
                    "psql",
                    [
                        "-Xq", stack.postgres.url(database: stack.database), "-c",
                        "\\copy homeward.\(table) (\(columns)) FROM '\(file)'",
                    ])
            }
            _ = try stack.query(
                "UPDATE homeward.registry_version SET version = (SELECT max(version) FROM homeward.registry_entry)")
        }
    }
}
