import Foundation
import Glibc

/// Words for a person, on standard error.
enum StandardError {
    /// What can't be written is let go: `FileHandle` would end the process where its exit status is still to come.
    static func write(_ text: String) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// Takes a line of progress away before other words are written.
    static func clearLine() {
        if isTerminal { write("\r\u{1b}[K") }
    }
}

/// Lines of data on standard output, written in large parts. A closed pipe ends the process quietly, as `cat` does.
struct BufferedOutput {
    private var bytes: [UInt8] = []

    mutating func write(_ line: String) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(UInt8(ascii: "\n"))
        if bytes.count >= 1 << 16 { flush() }
    }

    mutating func flush() {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                break
            }
            rest = rest.dropFirst(count)
        }
        bytes.removeAll(keepingCapacity: true)
    }
}

/// How far long work has come, on a terminal only, at most ten times a second.
struct Progress {
    private let label: String
    private let total: Int?
    private var shown = ContinuousClock.now
    private let started = ContinuousClock.now
    private var wrote = false

    init(label: String, total: Int?) {
        self.label = label
        self.total = total
    }

    mutating func advance(to done: Int) {
        guard StandardError.isTerminal, ContinuousClock.now - shown > .milliseconds(100) else { return }
        shown = .now
        wrote = true
        let part = total.map { $0 > 0 ? "\(min(100, done * 100 / $0)) %" : "" } ?? "\(done)"
        StandardError.write("\r\(label) \(part)\u{1b}[K")
    }

    func end() {
        if wrote { StandardError.clearLine() }
    }
}

/// What long work is at, on a terminal only, for work that can't say how far it has come.
struct Phases {
    private var wrote = false

    mutating func begin(_ words: String) {
        guard StandardError.isTerminal else { return }
        wrote = true
        StandardError.write("\r\(words)…\u{1b}[K")
    }

    mutating func end() {
        if wrote { StandardError.clearLine() }
        wrote = false
    }
}

/// The lines of a file, or of standard input for `-`, read in parts: a file of any size takes no more memory.
final class InputLines {
    private let handle: FileHandle
    private var buffer: [UInt8] = []
    private var start = 0
    private var ended = false
    /// Nil where the input is no regular file.
    let byteCount: Int?
    private(set) var bytesRead = 0

    init?(path: String) {
        if path == "-" {
            handle = .standardInput
            byteCount = nil
        } else {
            guard let opened = FileHandle(forReadingAtPath: path) else { return nil }
            let attributes = try? FileManager.default.attributesOfItem(atPath: path)
            guard attributes?[.type] as? FileAttributeType != .typeDirectory else { return nil }
            handle = opened
            byteCount = (attributes?[.size] as? NSNumber)?.intValue
        }
    }

    /// Without its newline; nil at the end.
    func next() -> [UInt8]? {
        var searched = start
        while true {
            if let newline = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = newline + 1 }
                return Array(buffer[start..<newline])
            }
            searched = buffer.count
            if ended {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                return Array(buffer[start...])
            }
            searched -= start
            buffer.removeFirst(start)
            start = 0
            let part = (try? handle.read(upToCount: 1 << 16)) ?? Data()
            if part.isEmpty { ended = true }
            bytesRead += part.count
            buffer.append(contentsOf: part)
        }
    }
}
