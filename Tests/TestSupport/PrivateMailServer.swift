import Foundation
internal import Glibc

/// A real SMTP server of the test's own: free loopback port, temporary directory. Ends with this object, by its process
/// id. See `Tests/Servers/mail.py`.
public final class PrivateMailServer: @unchecked Sendable {
    // @unchecked: the process is started and ended by one test alone; the rest is files.
    public struct NotStarted: Error {}

    public enum Manner: String, Sendable {
        case take
        case rejectRecipient = "reject-recipient"
        case deferRecipient = "defer-recipient"
        case rejectSender = "reject-sender"
        case rejectMessage = "reject-message"
        case slow
        /// It keeps the message and says nothing.
        case holdAnswer = "hold-answer"
        case loseAnswer = "lose-answer"
        case halfClose = "half-close"
        case noGoodbye = "no-goodbye"
    }

    public let port: UInt16
    private let directory: URL
    private let process = Process()

    /// - Parameter options: `--tls`, `--certificate`, `--key`, `--login`, each with its value.
    public init(_ options: [String] = []) throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "homeward-mail-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let script = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../Servers/mail.py")
        let output = Pipe()
        // Debian's own interpreter: the package is installed for it alone.
        process.executableURL = URL(filePath: "/usr/bin/python3")
        process.arguments = [script.standardized.path, directory.path] + options
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        var line = ""
        while !line.hasSuffix("\n") {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw NotStarted() }
            line += String(decoding: more, as: UTF8.self)
        }
        guard let port = UInt16(line.dropLast()) else { throw NotStarted() }
        self.port = port
    }

    deinit {
        // SIGTERM would not do: a child of a thread of the cooperative pool inherits its blocked signals.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        try? FileManager.default.removeItem(at: directory)
    }

    public func behave(_ manner: Manner) throws {
        try Data(manner.rawValue.utf8).write(to: directory.appending(path: "manner"), options: .atomic)
    }

    /// What it has taken, in order, with the envelope's lines (`X-Sender`, `X-Recipients`, `X-TLS`, `X-Login`) in front.
    public var messages: [String] {
        var messages: [String] = []
        while let text = try? Data(contentsOf: directory.appending(path: "\(messages.count + 1).eml")) {
            messages.append(String(decoding: text, as: UTF8.self))
        }
        return messages
    }

    /// The value of a header of the message, unfolded.
    public static func header(_ name: String, of message: String) -> String? {
        let text = message.replacing("\r\n", with: "\n")
        let lines = text.replacing("\n ", with: " ").split(separator: "\n", omittingEmptySubsequences: false)
        for line in lines {
            if line.isEmpty { return nil }
            if line.lowercased().hasPrefix("\(name.lowercased()): ") { return String(line.dropFirst(name.count + 2)) }
        }
        return nil
    }
}
