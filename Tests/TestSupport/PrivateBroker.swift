public import Foundation
internal import Glibc

/// A real mosquitto of the test's own: free loopback port, temporary directory, persistence on, everything logged.
/// Ends with this object, by its process id.
public final class PrivateBroker: @unchecked Sendable {
    // @unchecked: used by one test at a time; the process is started and ended by that test alone.
    public struct NotStarted: Error { public let log: String }

    public let port: UInt16
    public let directory: URL
    private let options: [String]
    private var process: pid_t?

    /// - Parameters:
    ///   - options: further lines of mosquitto.conf. `{directory}` in them stands for the broker's directory.
    ///   - listener: lines that belong to the listener, such as certificates. `{port}` in them stands for its port.
    ///   - files: written to the broker's directory before it starts.
    public init(
        options: [String] = [], listener: [String] = [], anonymous: Bool = true, files: [String: String] = [:],
        starts: Bool = true
    ) throws {
        let port = try Self.freePort()
        self.port = port
        directory = FileManager.default.temporaryDirectory.appending(
            path: "homeward-broker-\(UUID().uuidString)", directoryHint: .isDirectory)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for (name, text) in files {
            try Data(text.utf8).write(to: directory.appending(path: name))
        }
        var lines = [
            "user \(getuid() == 0 ? "root" : NSUserName())", "persistence true", "persistence_location {directory}/",
            "log_type all", "log_dest stderr", "max_queued_messages 0", "max_inflight_messages 2000",
            "allow_anonymous \(anonymous)",
        ]
        lines += options
        lines.append("listener \(port) 127.0.0.1")
        lines += listener.map { $0.replacing("{port}", with: "\(port)") }
        let path = directory.path(percentEncoded: false)
        self.options = lines.map { $0.replacing("{directory}/", with: path).replacing("{directory}", with: path) }
        if starts { try start() }
    }

    deinit {
        kill()
        // A directory left in /tmp spoils no later test.
        try? FileManager.default.removeItem(at: directory)
    }

    /// Starts the broker and returns when it accepts connections. Its session store is that of the last orderly stop.
    public func start() throws {
        let configuration = directory.appending(path: "mosquitto.conf")
        try Data((options.joined(separator: "\n") + "\n").utf8).write(to: configuration)
        let log = directory.appending(path: "mosquitto.log")
        if !FileManager.default.fileExists(atPath: log.path(percentEncoded: false)) {
            try Data().write(to: log)
        }
        let broker = try Self.spawn(
            "/usr/sbin/mosquitto", ["-c", configuration.path(percentEncoded: false)],
            output: log.path(percentEncoded: false))
        process = broker
        let answers = eventually { Self.hasExited(broker) || Self.accepts(port: port) }
        guard answers, !Self.hasExited(broker) else { throw NotStarted(log: self.log) }
    }

    /// Orderly: sessions and queues are saved.
    public func stop() { end(SIGTERM) }

    /// kill -9: what was not saved is lost.
    public func kill() { end(SIGKILL) }

    /// Stops the process in its tracks, as a hung machine would; its sockets stay open.
    public func freeze() { signal(SIGSTOP) }

    public func thaw() { signal(SIGCONT) }

    /// Forgets all sessions and queues. Only while the broker is stopped.
    public func forgetSessions() throws {
        let store = directory.appending(path: "mosquitto.db")
        if FileManager.default.fileExists(atPath: store.path(percentEncoded: false)) {
            try FileManager.default.removeItem(at: store)
        }
    }

    /// All that the broker has logged; `log_type all` names each packet.
    public var log: String {
        guard let bytes = FileManager.default.contents(atPath: directory.appending(path: "mosquitto.log").path) else {
            return ""
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// How many lines of the log contain `text`.
    public func logged(_ text: String) -> Int {
        log.split(separator: "\n").count { $0.contains(text) }
    }

    private func signal(_ number: Int32) {
        if let process { _ = Glibc.kill(process, number) }
    }

    private func end(_ number: Int32) {
        guard let ending = process else { return }
        _ = Glibc.kill(ending, number)
        _ = waitpid(ending, nil, 0)
        process = nil
    }

    /// Not Foundation's `Process`: its child inherits the signal mask of this thread, and the concurrency pool's
    /// threads block SIGTERM.
    private static func spawn(_ program: String, _ arguments: [String], output: String) throws -> pid_t {
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_APPEND, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // Or it would hold open what a client of the test has closed.
        for descriptor in Int32(3)..<256 { unsafe posix_spawn_file_actions_addclose(&actions, descriptor) }
        var texts = unsafe ([program] + arguments).map { unsafe strdup($0) }
        defer { unsafe texts.forEach { unsafe free($0) } }
        unsafe texts.append(nil)
        var child = pid_t()
        let refusal = unsafe posix_spawn(&child, program, &actions, &attributes, texts, environ)
        guard refusal == 0 else { throw POSIXError(POSIXErrorCode(rawValue: refusal) ?? .ENOENT) }
        return child
    }

    /// Looks without taking the exit status.
    private static func hasExited(_ process: pid_t) -> Bool {
        var status = unsafe siginfo_t()
        let result = unsafe waitid(P_PID, id_t(process), &status, WEXITED | WNOHANG | WNOWAIT)
        return result != 0 || (unsafe status.si_signo) == SIGCHLD
    }

    public static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe bind(descriptor, address, length) | getsockname(descriptor, address, &length)
            }
        }
        guard result == 0 else { throw POSIXError(.EADDRNOTAVAIL) }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func accepts(port: UInt16) -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = loopback(port: port)
        return unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe connect(descriptor, address, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }
}
