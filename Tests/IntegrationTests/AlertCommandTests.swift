import Foundation
import TestSupport
import Testing

/// `homeward alerts ack|take|shelve|resolve` against a real database, as a care manager at a terminal uses them.
@Suite(.serialized) struct AlertCommandTests {
    private let stack: Stack
    private let alert: String

    init() throws {
        stack = try Stack()
        // As the daemon would have written it; what is tried here is what people do with it.
        alert = "0a000000-0000-4000-8000-000000000001"
        _ = try stack.postgres.query(
            """
            INSERT INTO homeward.alert VALUES ('\(alert)', 'patient', 'P0001', 'north', 'dev-0001', 'spo2-low',
                'clinical', 'red', 'open', false, now(), NULL, NULL, NULL, NULL, 0, 'SpO2 85 %', -85, NULL, now(), 1);
            INSERT INTO homeward.alert_event VALUES ('\(alert)', 1, 'opened', 'red', now(), 'dev-0001', 'r-1',
                'homeward', 'SpO2 85 %', '{}')
            """, database: stack.database)
    }

    private func alerts(_ arguments: String...) throws -> Stack.Ended {
        try Stack.run(["alerts", "--config", stack.configurationFile.path] + arguments)
    }

    private func state() throws -> String? {
        try stack.postgres.query(
            "SELECT state || ' ' || coalesce(acknowledged_by, '-') || ' ' || coalesce(resolved_by, '-') "
                + "FROM homeward.v_alert", database: stack.database
        ).first?.first ?? nil
    }

    @Test func aRedIsSeenShelvedAndEnded() throws {
        #expect(try alerts("ack", alert, "--as", "cm-01").status == 0)
        #expect(try state() == "acknowledged cm-01 -")
        let shelved = try alerts("shelve", alert, "--as", "cm-01", "--note", "visit at two", "--for", "2h")
        #expect(shelved.status == 0, "\(shelved.errors)")
        #expect(try state() == "shelved cm-01 -")
        #expect(try alerts("shelve", alert, "--end").status == 0)
        let bare = try alerts("resolve", String(alert.prefix(8)), "--as", "cm-01")
        #expect(bare.status == 65)
        #expect(bare.errors.contains("a note is required"))
        #expect(try state() == "acknowledged cm-01 -")
        let resolved = try alerts("resolve", String(alert.prefix(8)), "--as", "cm-01", "--note", "rang", "--json")
        #expect(resolved.status == 0)
        #expect(resolved.output.contains("\"resolved\""))
        #expect(try state() == "resolved cm-01 cm-01")
        let history = try alerts("show", alert).output
        for words in ["acknowledged by cm-01", "shelved by cm-01: visit at two", "resolved by cm-01: rang"] {
            #expect(history.contains(words))
        }
        #expect(try alerts("ack", alert).errors.contains("it is resolved"))
    }

    @Test func whoMayNotActChangesNothing() throws {
        let unknown = try alerts("ack", alert, "--as", "cm-99")
        #expect(unknown.status == 65)
        #expect(unknown.errors.contains("no care manager cm-99"))
        #expect(try alerts("ack", "ffff").status == 65)
        #expect(try alerts("shelve", alert, "--note", "x", "--for", "soon").status == 64)
        #expect(try alerts("shelve", alert, "--note", "x").errors.contains("only an acknowledged alert"))
        #expect(try state() == "open - -")
    }

    /// Once as it stands, then each change as it comes, until somebody has seen enough.
    @Test func whatHappensIsFollowedUntilInterrupted() throws {
        let lines = stack.directory.appending(path: "followed")
        try Data().write(to: lines)
        let process = Process()
        process.executableURL = try Stack.executable
        process.arguments = ["alerts", "--config", stack.configurationFile.path, "list", "--follow", "--json"]
        let output = try FileHandle(forWritingTo: lines)
        defer { try? output.close() }
        process.standardOutput = output
        try process.run()
        defer { if process.isRunning { process.terminate() } }
        func said() -> [String] {
            (try? String(contentsOf: lines, encoding: .utf8))?.split(separator: "\n").map(String.init) ?? []
        }
        #expect(eventually { said().count == 1 })
        #expect(try alerts("ack", alert, "--as", "cm-01").status == 0)
        #expect(eventually { said().count == 2 })
        #expect(try alerts("resolve", alert, "--as", "cm-01", "--note", "rang").status == 0)
        #expect(eventually { said().count == 3 })
        #expect(said().compactMap { TestReader.member("state", of: $0) } == ["open", "acknowledged", "resolved"])
        process.interrupt()
        process.waitUntilExit()
        #expect(process.terminationReason == .exit)
        #expect(process.terminationStatus == 0)
    }
}
