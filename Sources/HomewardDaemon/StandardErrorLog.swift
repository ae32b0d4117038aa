import CLinux
import Clinical
import Formats
import Foundation
public import Logging

/// One line a record on standard error: static words, data in metadata, no patient data at info or above.
///
/// Under systemd each line begins with its priority (`<4>`), which journald takes off. Every control character is
/// escaped, so that no input can forge a second line. Any thread may log; a line is written by one `write`.
public struct StandardErrorLog: LogHandler {
    public enum Format: String, CaseIterable, Sendable {
        /// `2026-11-23T08:15:31Z warning broker: disconnected reason=keepalive`
        case text
        /// One JSON object a line.
        case json
    }

    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    private let label: String
    private let format: Format
    private let underSystemd: Bool

    public init(label: String, level: Logger.Level, format: Format) {
        self.label = label
        self.format = format
        logLevel = level
        underSystemd = ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
        var line = underSystemd ? "<\(event.level.priority)>" : ""
        let now = Instant(microseconds: linux_wall_clock_microseconds())
        switch format {
        case .text:
            if !underSystemd { line += RFC3339.format(now) + " " }
            line += "\(event.level.rawValue) \(label): \(Self.escaped("\(event.message)"))"
            for (key, value) in all { line += " \(key)=\(Self.quoted("\(value)"))" }
        case .json:
            var writer = JSONWriter()
            writer.beginObject()
            writer.name("at")
            writer.value(now)
            writer.name("level")
            writer.value(event.level.rawValue)
            writer.name("part")
            writer.value(label)
            writer.name("message")
            writer.value("\(event.message)")
            for (key, value) in all {
                writer.name(key)
                writer.value("\(value)")
            }
            writer.endObject()
            line += writer.text
        }
        line += "\n"
        var bytes = Array(line.utf8)
        unsafe bytes.withUnsafeMutableBytes { buffer in
            _ = unsafe write(STDERR_FILENO, buffer.baseAddress, buffer.count)
        }
    }

    static func quoted(_ text: String) -> String {
        let plain = text.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=")
        }
        if plain && !text.isEmpty { return text }
        return "\"" + escaped(text).replacing("\"", with: "\\\"") + "\""
    }

    /// No control character of C0 or C1, no line separator and no bidirectional control leaves as itself.
    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0..<0x20, 0x7f..<0xa0, 0x2028, 0x2029, 0x202a...0x202e, 0x2066...0x2069:
                result += "\\u{" + String(scalar.value, radix: 16) + "}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

extension Logger.Level {
    /// syslog's number, as journald reads it.
    var priority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
