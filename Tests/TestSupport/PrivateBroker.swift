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
    private var process: Process?

    /// - Parameters:
    ///   - options: further lines of mosquitto.conf. `{directory}` in them stands for the broker's directory.
    ///   - listener: lines that belong to the listener, such as certificates.
    ///   - files: written to the broker's directory before it starts.
    public init(
        options: [String] = [], listener: [String] = [], anonymous: Bool = true, files: [String: String] = [:],
        starts: Bool = true
    ) throws {
        port = try Self.freePort()
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
        lines += listener
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
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        let broker = Process()
        broker.executableURL = URL(filePath: "/usr/sbin/mosquitto")
        broker.arguments = ["-c", configuration.path(percentEncoded: false)]
        broker.standardError = output
        broker.standardOutput = output
        try broker.run()
        process = broker
        guard eventually(within: .seconds(20), { !broker.isRunning || Self.accepts(port: self.port) }), broker.isRunning
        else { throw NotStarted(log: self.log) }
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
        if let process, process.isRunning { _ = Glibc.kill(process.processIdentifier, number) }
    }

    private func end(_ number: Int32) {
        guard let ending = process else { return }
        signal(number)
        ending.waitUntilExit()
        process = nil
    }

    public static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
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
