import Foundation
import TestSupport
import Testing

/// The care managers' page of the built daemon, with its real database: `EndToEndTests`' stack and real accounts.
extension EndToEndTests {
    private static let pageWard = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
          - { code: south, name: South Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
          - { code: cm-02, site: north, name: Care manager 2, webhook: "WEBHOOK" }
          - { code: lead-01, site: north, name: Lead 1, webhook: "WEBHOOK", role: administrator }
          - { code: gp-01, site: north, name: GP 1, role: read-only }
          - { code: cm-99, site: south, name: Care manager 99, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, name: Ada Lovelace, key_worker: cm-01, conditions: [copd] }
          - { code: P0002, site: north, name: "<b>Mary</b> Seacole", key_worker: cm-02 }
          - { code: P0099, site: south, name: Alan Turing, key_worker: cm-99 }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north }
        """

    private static let password = "correct horse battery staple"

    /// The secret of the authenticator app, as the command printed it.
    private func addUser(_ code: String, _ stack: Stack) throws -> String {
        let added = try stack.run(
            "user", "--config", stack.configurationFile.path, "add", code, input: Self.password + "\n")
        try stack.expectSuccess(added)
        let found = added.output.firstMatch(of: /^otpauth:\/\/totp\/Homeward:[a-z0-9-]+\?secret=([A-Z2-7]+)&/)
        return String(try #require(found).1)
    }

    @Test func `accounts are of care managers, have a long password and show their secret once`() throws {
        let stack = try Stack(registry: Self.pageWard)
        let config = stack.configurationFile.path
        #expect(try stack.run("user", "--config", config, "add", "cm-01", input: "too short\n").status == 65)
        #expect(try stack.run("user", "--config", config, "add", "cm-77", input: Self.password + "\n").status == 65)
        let secret = try addUser("cm-01", stack)
        #expect(try stack.run("user", "--config", config, "add", "cm-01", input: Self.password + "\n").status == 65)
        let reset = try stack.run("user", "--config", config, "reset", "cm-01", input: Self.password + "\n")
        #expect(reset.status == 0 && !reset.output.contains(secret))
        #expect(try stack.run("user", "--config", config, "disable", "cm-01").status == 0)
        #expect(try stack.run("user", "--config", config, "list").output.hasPrefix("cm-01  disabled  changed by "))
        #expect(try stack.run("user", "--config", config, "disable", "cm-02").status == 65)
        #expect(try !stack.value("SELECT password_hash FROM homeward.web_account").contains(Self.password))
    }

    /// HOMEWARD_BROWSER_PYTHON: a Python that has Playwright; Debian's chromium is where it always is.
    @Test(
        .enabled(if: ProcessInfo.processInfo.environment["HOMEWARD_BROWSER_PYTHON"] != nil), .timeLimit(.minutes(10)))
    func `a care manager works through the page in a browser`() throws {
        let python = try #require(ProcessInfo.processInfo.environment["HOMEWARD_BROWSER_PYTHON"])
        let stack = try Stack(registry: Self.pageWard)
        let secrets = try ["cm-01", "cm-02", "lead-01"].map { try addUser($0, stack) }
        try stack.startReadyDaemon()
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Browser/page.py")
        let screenshots = ProcessInfo.processInfo.environment["HOMEWARD_SCREENSHOTS"] ?? stack.directory.path
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/timeout")
        process.arguments = ["--signal=KILL", "540", python, script.standardized.path]
        process.arguments? += ["http://127.0.0.1:\(stack.httpPort)", "\(stack.broker.port)", screenshots] + secrets
        let words = stack.directory.appending(path: "browser")
        try Data().write(to: words)
        let output = try FileHandle(forWritingTo: words)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        let said = try String(contentsOf: words, encoding: .utf8)
        #expect(process.terminationStatus == 0, "\(said.suffix(3000))")
        // Open event streams do not hold the shutdown.
        #expect(stack.stopDaemon() == 0)
        #expect(
            try stack.query("SELECT DISTINCT patient FROM homeward.read_audit WHERE what = 'patient' ORDER BY 1")
                == [["P0001"], ["P0002"]])
    }
}
