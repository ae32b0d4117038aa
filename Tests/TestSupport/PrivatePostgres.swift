public import Foundation
internal import Glibc
internal import Synchronization

/// A real PostgreSQL cluster of the test run's own: temporary directory, free loopback port, `fsync` on. As root it
/// runs as the user `postgres`. It ends with this process, however that ends.
public final class PrivatePostgres: Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    public static let superuser = "postgres"
    /// Connections of this role must give a password; all others are trusted.
    public static let roleWithPassword = "needs_password"

    /// One for the whole run: making a cluster takes seconds.
    public static func shared() throws -> PrivatePostgres { try sharedResult.get() }
    private static let sharedResult = Result { try PrivatePostgres() }

    public let directory: URL
    public let port: Int
    private let settings: [String: String]
    private let guardianInput: Int32
    private let databases = Atomic<Int>(0)

    private static let binaries = URL(filePath: "/usr/lib/postgresql/15/bin")

    private var data: String { directory.appending(path: "data").path }

    /// - Parameters:
    ///   - settings: over those of the cluster, by name.
    ///   - address: an address of this machine on which it listens as well, and trusts whoever is in its subnet of four.
    public init(settings: [String: String] = [:], address: String? = nil) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "homeward-postgres-\(UUID().uuidString)")
        port = try Self.freePort()
        self.settings = address.map { settings.merging(["listen_addresses": "127.0.0.1,\($0)"]) { $1 } } ?? settings
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        if geteuid() == 0 { try Self.run(["/bin/chown", "postgres:", directory.path]) }
        // It reads until the last writer is gone, which is this process: then it stops the cluster and tidies up.
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0, fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0,
            fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0
        else { throw Failure(description: "no pipe: errno \(errno)") }
        guardianInput = ends[1]
        let script = """
            trap '' INT TERM HUP
            cat >/dev/null
            pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
            if [ -n "$pid" ]; then
                children=$(ps -o pid= --ppid "$pid")
                kill -CONT $pid $children 2>/dev/null
                kill -QUIT "$pid" 2>/dev/null
                while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
            fi
            rm -rf "$1"
            """
        _ = try Self.spawn(["/bin/sh", "-c", script, "guardian", directory.path], input: ends[0], output: nil)
        close(ends[0])
        try Self.runAsServer([
            Self.binaries.appending(path: "initdb").path, "-D", data, "-U", Self.superuser, "--auth=trust", "--no-sync",
            "--encoding=UTF8", "--locale=C.UTF-8",
        ])
        let rules = try String(contentsOfFile: data + "/pg_hba.conf", encoding: .utf8)
        let subnet = address.map { "host all all \($0)/30 trust\n" } ?? ""
        let password = "host all \(Self.roleWithPassword) 127.0.0.1/32 scram-sha-256\n"
        try Self.write(password + rules + subnet, to: data + "/pg_hba.conf")
        try start()
        try query("CREATE ROLE \(Self.roleWithPassword) LOGIN PASSWORD 'right'")
    }

    deinit { close(guardianInput) }

    // MARK: Start and stop

    /// The process id of the postmaster; nil when it does not run.
    public var processID: pid_t? {
        guard let text = try? String(contentsOfFile: data + "/postmaster.pid", encoding: .utf8) else { return nil }
        return text.split(separator: "\n").first.flatMap { pid_t($0) }
    }

    /// The postmaster's children: backends and background processes.
    public var childProcessIDs: [pid_t] {
        guard let parent = processID,
            let text = try? String(contentsOfFile: "/proc/\(parent)/task/\(parent)/children", encoding: .utf8)
        else { return [] }
        return text.split(separator: " ").compactMap { pid_t($0) }
    }

    public func start() throws {
        var options = "-p \(port) -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=on"
        options += " -c max_wal_size=4GB -c checkpoint_timeout=30min -c shared_buffers=256MB -c max_connections=60"
        for (name, value) in settings { options += " -c \(name)=\(value)" }
        try Self.runAsServer([
            Self.binaries.appending(path: "pg_ctl").path, "-D", data, "-w", "-t", "60", "-l", data + "/server.log",
            "-o", options, "start",
        ])
    }

    public func stop() throws {
        try Self.runAsServer([
            Self.binaries.appending(path: "pg_ctl").path, "-D", data, "-w", "-m", "fast", "stop",
        ])
    }

    public func restart() throws {
        try stop()
        try start()
    }

    /// `kill -9` of the postmaster and all its children, as a power cut would.
    public func kill9() {
        let processes = [processID].compactMap { $0 } + childProcessIDs
        for process in processes { _ = kill(process, SIGKILL) }
        for process in processes {
            while kill(process, 0) == 0 && !Self.isZombie(process) { usleep(10_000) }
        }
        // After a power cut no process has the number in it; here a zombie may.
        try? FileManager.default.removeItem(atPath: data + "/postmaster.pid")
    }

    private static func isZombie(_ process: pid_t) -> Bool {
        guard let text = try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8) else { return true }
        return text.split(separator: ")").last?.hasPrefix(" Z") ?? true
    }

    /// SIGSTOP to every process of the cluster: connections stay open and nothing answers.
    public func freeze() {
        for process in [processID].compactMap({ $0 }) + childProcessIDs { _ = kill(process, SIGSTOP) }
    }

    public func thaw() {
        for process in childProcessIDs + [processID].compactMap({ $0 }) { _ = kill(process, SIGCONT) }
    }

    /// CPU seconds of all its processes so far, those that have ended included.
    public var cpuSeconds: Double {
        let parent = processID.map { TestSupport.cpuSeconds(of: $0, withEndedChildren: true) } ?? 0
        return childProcessIDs.reduce(parent) { $0 + TestSupport.cpuSeconds(of: $1) }
    }

    // MARK: Databases

    public func url(database: String, user: String = superuser) -> String {
        "postgresql://\(user)@127.0.0.1:\(port)/\(database)"
    }

    /// A new, empty database; its name.
    /// - Parameter template: a database that nobody is connected to.
    public func createDatabase(owner: String = superuser, template: String = "template1") throws -> String {
        let name = "test_\(databases.add(1, ordering: .relaxed).newValue)"
        try query("CREATE DATABASE \(name) OWNER \(owner) TEMPLATE \(template)")
        return name
    }

    /// Runs SQL through psql and returns its rows as text; null is nil.
    @discardableResult
    public func query(
        _ sql: String, database: String = "postgres", user: String = superuser
    ) throws -> [[String?]] {
        let output = try Self.run([
            "/usr/bin/psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-F", "\u{1F}", "-R", "\u{1E}", "-P",
            "null=\u{1D}", "-d", url(database: database, user: user), "-c", sql,
        ])
        guard !output.isEmpty else { return [] }
        let text = output.hasSuffix("\n") ? String(output.dropLast()) : output
        return text.split(separator: "\u{1E}", omittingEmptySubsequences: false).map { row in
            row.split(separator: "\u{1F}", omittingEmptySubsequences: false).map { $0 == "\u{1D}" ? nil : String($0) }
        }
    }

    /// Runs a file of SQL through psql.
    public func runFile(_ path: String, database: String) throws {
        try Self.run(["/usr/bin/psql", "-X", "-q", "-d", url(database: database), "-f", path])
    }

    /// Dumps a database as the operator's guide says, and restores it into a new one, whose name this is.
    public func restoreCopy(of database: String) throws -> String {
        let dump = FileManager.default.temporaryDirectory.appending(path: "homeward-dump-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: dump) }
        let tool = { (name: String) in Self.binaries.appending(path: name).path }
        try Self.run([tool("pg_dump"), "--format=custom", "--file", dump, url(database: database)])
        let copy = try createDatabase()
        try Self.run([tool("pg_restore"), "--exit-on-error", "--dbname", url(database: copy), dump])
        return copy
    }

    /// Reads a CSV file with a header into a table.
    public func copyFile(_ path: String, into table: String, database: String) throws {
        try Self.run([
            "/usr/bin/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url(database: database), "-c",
            "\\copy \(table) FROM '\(path)' (FORMAT csv, HEADER)",
        ])
    }

    // MARK: Processes

    private static func freePort() throws -> Int {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                unsafe bind(descriptor, pointer, length) == 0 && getsockname(descriptor, pointer, &length) == 0
            }
        }
        guard bound else { throw Failure(description: "no free port: errno \(errno)") }
        return Int(UInt16(bigEndian: address.sin_port))
    }

    private static func write(_ text: String, to path: String) throws {
        // In place: the file stays the server user's.
        let file = try FileHandle(forWritingTo: URL(filePath: path))
        try file.truncate(atOffset: 0)
        try file.write(contentsOf: Data(text.utf8))
        try file.close()
    }

    @discardableResult
    private static func runAsServer(_ command: [String]) throws -> String {
        let place = ["/usr/bin/env", "--chdir=/"]
        guard geteuid() == 0 else { return try run(place + command) }
        let user = ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        return try run(user + place + command)
    }

    @discardableResult
    private static func run(_ command: [String]) throws -> String {
        let output = FileManager.default.temporaryDirectory.appending(path: "homeward-output-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: output) }
        // A file, not a pipe: a server that is started would hold the pipe open for ever.
        let file = unsafe open(output.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0o600)
        defer { close(file) }
        let process = try spawn(command, input: nil, output: file)
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let text = try String(contentsOf: output, encoding: .utf8)
        guard status == 0 else { throw Failure(description: "\(command[0]): \(text)") }
        return text
    }

    /// Starts a program with these descriptors (nil is /dev/null) and no others. Foundation's `Process`
    /// is of no use here: it waits until the program's children have ended as well, and a server never does.
    private static func spawn(_ command: [String], input: Int32?, output: Int32?) throws -> pid_t {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (descriptor, target) in [(input, 0), (output, 1), (output, 2)] as [(Int32?, Int32)] {
            if let descriptor {
                unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, target)
            } else {
                unsafe posix_spawn_file_actions_addopen(&actions, target, "/dev/null", O_RDWR, 0)
            }
        }
        // A server that inherited a test's sockets would keep them open. Closing what is not open is no error here.
        for descriptor in Int32(3)..<1024 { unsafe posix_spawn_file_actions_addclose(&actions, descriptor) }
        var arguments = unsafe command.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in command.indices { unsafe free(arguments[index]) } }
        var process = pid_t()
        let error = unsafe posix_spawn(&process, command[0], &actions, nil, arguments, environ)
        guard error == 0 else { throw Failure(description: "\(command[0]): errno \(error)") }
        return process
    }
}
