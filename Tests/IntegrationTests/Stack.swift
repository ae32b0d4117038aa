import Foundation
import TestSupport

/// The whole of Homeward as its users run it: a private broker, a private database, and the built executable.
final class Stack {
    let broker: PrivateBroker
    let database: String
    let postgres: PrivatePostgres
    let directory: URL
    let httpPort: UInt16
    private var daemon: Process?
    /// Whose servers these are.
    private let host: Stack?
    private let environment: [String: String]
    /// Where the daemon runs; nil: in this machine's network.
    private let network: NetworkNamespace?

    static let ward = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, webhook: "WEBHOOK" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [copd] }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north, pairings: [] }
        """

    /// The servers that a test puts under the daemon instead of the common ones, and the ports by which it goes there.
    struct Servers {
        var broker: PrivateBroker
        var postgres: PrivatePostgres
        var brokerPort: UInt16
        var databasePort: UInt16
        /// The daemon runs in it, and reaches both at their addresses there.
        var network: NetworkNamespace?
    }

    /// Starts broker and database, migrates and enrols the ward.
    init(
        registry: String = Stack.ward, webhook: String = "http://127.0.0.1:9/hook",
        environment: [String: String] = [:], servers: Servers? = nil
    )
        throws
    {
        broker = try servers?.broker ?? PrivateBroker()
        postgres = try servers?.postgres ?? PrivatePostgres.shared()
        database = try postgres.createDatabase()
        let brokerPort = servers?.brokerPort ?? broker.port
        network = servers?.network
        let databaseHost = network?.address(of: .database) ?? "127.0.0.1"
        let databaseURL = postgres.url(database: database).replacing(
            "127.0.0.1:\(postgres.port)/",
            with: "\(databaseHost):\(servers?.databasePort ?? UInt16(clamping: postgres.port))/")
        directory = FileManager.default.temporaryDirectory.appending(path: "homeward-stack-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        httpPort = try PrivateBroker.freePort()
        host = nil
        self.environment = environment
        try configure(brokerPort: brokerPort, databaseURL: databaseURL)
        try registry.replacing("WEBHOOK", with: webhook)
            .write(to: directory.appending(path: "ward.yaml"), atomically: true, encoding: .utf8)
        try expectSuccess(run("migrate", "--config", configurationFile.path))
        try expectSuccess(
            run("enrol", "--config", configurationFile.path, directory.appending(path: "ward.yaml").path))
    }

    /// Another instance of the same shard: a state directory and a port of its own, the same servers, no proxies before
    /// them. Its clock is the common one.
    init(beside other: Stack) throws {
        broker = other.broker
        postgres = other.postgres
        database = other.database
        environment = other.environment
        host = other
        network = nil
        directory = FileManager.default.temporaryDirectory.appending(path: "homeward-twin-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        httpPort = try PrivateBroker.freePort()
        try configure(brokerPort: broker.port, databaseURL: postgres.url(database: database))
    }

    private func configure(brokerPort: UInt16, databaseURL: String) throws {
        let broker = network.map { "host: \($0.address(of: .broker)), insecure: true" } ?? "host: 127.0.0.1"
        let configuration = """
            broker: { \(broker), port: \(brokerPort) }
            database: { url: "\(databaseURL)" }
            sites: ["*"]
            spool: { directory: \(spool.path) }
            http: { host: 127.0.0.1, port: \(httpPort), public_url: "http://127.0.0.1:\(httpPort)" }
            log: { level: info, format: json }
            """
        try configuration.write(to: configurationFile, atomically: true, encoding: .utf8)
    }

    deinit {
        if let daemon, daemon.isRunning { Foundation.kill(daemon.processIdentifier, SIGKILL) }
        if host == nil { broker.stop() }
        try? FileManager.default.removeItem(at: directory)
    }

    var spool: URL { directory.appending(path: "spool") }
    var registryFile: URL { directory.appending(path: "ward.yaml") }
    var configurationFile: URL { directory.appending(path: "homeward.yaml") }

    /// The one that HOMEWARD_BINARY names, such as a release build, else that built beside the tests.
    static var executable: URL {
        get throws {
            if let path = ProcessInfo.processInfo.environment["HOMEWARD_BINARY"] {
                let named = URL(filePath: path)
                guard FileManager.default.isExecutableFile(atPath: named.path) else {
                    throw Failure(description: "HOMEWARD_BINARY is no executable: \(path)")
                }
                return named
            }
            let bundle = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath()
            var folder = bundle.deletingLastPathComponent()
            for _ in 0..<4 {
                let candidate = folder.appending(path: "homeward")
                if FileManager.default.isExecutableFile(atPath: candidate.path) { return candidate }
                folder = folder.deletingLastPathComponent()
            }
            throw Failure(description: "no homeward executable near \(bundle.path)")
        }
    }

    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    struct Ended {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs a subcommand to its end.
    @discardableResult
    func run(_ arguments: String..., input: String? = nil) throws -> Ended {
        try Self.run(arguments, input: input, environment: environment)
    }

    static func run(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:]
    ) throws -> Ended {
        let process = Process()
        process.executableURL = try executable
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let files = FileManager.default.temporaryDirectory.appending(path: "homeward-run-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: files) }
        // Files rather than pipes: a pipe that nobody empties would stop a talkative command.
        for name in ["in", "out", "err"] {
            try Data((name == "in" ? input ?? "" : "").utf8).write(to: files.appending(path: name))
        }
        process.standardInput = try FileHandle(forReadingFrom: files.appending(path: "in"))
        process.standardOutput = try FileHandle(forWritingTo: files.appending(path: "out"))
        process.standardError = try FileHandle(forWritingTo: files.appending(path: "err"))
        try process.run()
        process.waitUntilExit()
        return Ended(
            status: process.terminationStatus,
            output: try String(contentsOf: files.appending(path: "out"), encoding: .utf8),
            errors: try String(contentsOf: files.appending(path: "err"), encoding: .utf8))
    }

    func expectSuccess(_ ended: Ended) throws {
        guard ended.status == 0 else { throw Failure(description: "exit \(ended.status): \(ended.errors)") }
    }

    // MARK: - The daemon

    var log: String {
        (try? String(contentsOf: directory.appending(path: "log"), encoding: .utf8)) ?? ""
    }

    /// - Parameter launcher: a program and its arguments that becomes the daemon.
    func startDaemon(_ extra: [String: String] = [:], launcher: [String] = []) throws {
        let logFile = directory.appending(path: "log")
        if !FileManager.default.fileExists(atPath: logFile.path) {
            try Data().write(to: logFile)
        }
        let handle = try FileHandle(forWritingTo: logFile)
        try handle.seekToEnd()
        let process = Process()
        let launcher = (network?.launcher ?? []) + launcher
        let command = try launcher + [Self.executable.path, "serve", "--config", configurationFile.path]
        process.executableURL = command.first.map { URL(filePath: $0) }
        process.arguments = Array(command.dropFirst())
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }.merging(extra) { $1 }
        process.standardError = handle
        process.standardInput = FileHandle.nullDevice
        try process.run()
        daemon = process
    }

    func startReadyDaemon() throws {
        try startDaemon()
        guard isReady() else { throw Failure(description: "not ready: \(log.suffix(2000))") }
    }

    func isReady() -> Bool { eventually(within: .seconds(30)) { get("/readyz")?.status == 200 } }

    /// kill -9.
    func killDaemon() {
        guard let daemon else { return }
        Foundation.kill(daemon.processIdentifier, SIGKILL)
        daemon.waitUntilExit()
        self.daemon = nil
    }

    /// SIGTERM; the exit status.
    func stopDaemon() -> Int32 {
        guard let daemon else { return -1 }
        daemon.terminate()
        daemon.waitUntilExit()
        self.daemon = nil
        return daemon.terminationStatus
    }

    var daemonProcessID: pid_t? { daemon?.processIdentifier }

    func signalDaemon(_ number: Int32) {
        if let daemon { Foundation.kill(daemon.processIdentifier, number) }
    }

    /// The status of a daemon that ends by itself.
    func waitForDaemon() -> (reason: Process.TerminationReason, status: Int32)? {
        guard let daemon else { return nil }
        daemon.waitUntilExit()
        self.daemon = nil
        return (daemon.terminationReason, daemon.terminationStatus)
    }

    // MARK: - What the outside sees

    func get(_ path: String) -> (status: Int, body: String)? {
        LoopbackHTTP.get(port: httpPort, path: path, in: network)
    }

    /// The value of one series; nil when it is not on the page.
    func metric(_ series: String) -> Double? {
        guard let page = get("/metrics")?.body else { return nil }
        for line in page.split(separator: "\n") where line.hasPrefix(series + " ") {
            return Double(line.dropFirst(series.count + 1))
        }
        return nil
    }

    /// Rows as text; null is the empty text.
    func query(_ sql: String) throws -> [[String]] {
        try postgres.query(sql, database: database).map { $0.map { $0 ?? "" } }
    }

    /// The first column of the first row.
    func value(_ sql: String) throws -> String { try query(sql).first?.first ?? "" }
}
