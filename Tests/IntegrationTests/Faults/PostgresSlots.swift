import Foundation
import TestSupport

/// Another client of PostgreSQL that opens sessions until there is room for no more, and does nothing with them.
final class PostgresSlots {
    private let port: UInt16
    private var sessions: [Int32] = []

    init(port: Int) { self.port = UInt16(clamping: port) }

    deinit { releaseAll() }

    /// Takes every free slot, ends the sessions of that application, takes theirs, and so on until it has none.
    func takeAll(from application: String) throws {
        let sessionsOfIt = "FROM pg_stat_activity WHERE application_name LIKE '\(application)%'"
        let hasAll = try eventually(within: .seconds(60)) {
            while let session = try open() { sessions.append(session) }
            guard let first = sessions.first else { return false }
            let left = try query("SELECT count(*) \(sessionsOfIt)", on: first)
            if left != "0" { _ = try query("SELECT count(pg_terminate_backend(pid)) \(sessionsOfIt)", on: first) }
            return left == "0"
        }
        guard hasAll else { throw Stack.Failure(description: "\(application) keeps its sessions") }
    }

    func releaseAll() {
        for session in sessions { close(session) }
        sessions = []
    }

    /// A session of the superuser, who may use the last slots too; nil when there is no slot left.
    private func open() throws -> Int32? {
        guard let session = Loopback.connect(to: port) else { return nil }
        // Connected in blocking mode from here on: one answer at a time is waited for.
        _ = fcntl(session, F_SETFL, 0)
        var patience = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(session, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var writable = pollfd(fd: session, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&writable, 1, 10_000)
        let parameters = "user\0\(PrivatePostgres.superuser)\0database\0postgres\0\0"
        let length = Self.number(UInt32(parameters.utf8.count + 8))
        try write(length + Self.number(196_608) + Array(parameters.utf8), session)
        while true {
            let (type, body) = try message(session)
            if type == UInt8(ascii: "Z") { return session }
            guard type == UInt8(ascii: "E") else { continue }
            close(session)
            let text = String(decoding: body, as: UTF8.self)
            guard text.contains("C53300") else { throw Stack.Failure(description: "refused: \(text)") }
            return nil
        }
    }

    /// The only value of the only row.
    private func query(_ sql: String, on session: Int32) throws -> String {
        try write([UInt8(ascii: "Q")] + Self.number(UInt32(sql.utf8.count + 5)) + Array(sql.utf8) + [0], session)
        var value = ""
        while true {
            let (type, body) = try message(session)
            switch type {
            // Number of columns, length of the first, its text.
            case UInt8(ascii: "D"): value = String(decoding: body.dropFirst(6), as: UTF8.self)
            case UInt8(ascii: "E"): throw Stack.Failure(description: String(decoding: body, as: UTF8.self))
            case UInt8(ascii: "Z"): return value
            default: break
            }
        }
    }

    private func message(_ session: Int32) throws -> (type: UInt8, body: [UInt8]) {
        let head = try read(5, session)
        let length = head.dropFirst().reduce(0) { $0 << 8 | Int($1) }
        return (head[0], try read(length - 4, session))
    }

    private func read(_ count: Int, _ session: Int32) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var part = [UInt8](repeating: 0, count: count - bytes.count)
            let got = unsafe recv(session, &part, part.count, 0)
            guard got > 0 else { throw Stack.Failure(description: "no answer of PostgreSQL: errno \(errno)") }
            bytes += part[..<got]
        }
        return bytes
    }

    private func write(_ bytes: [UInt8], _ session: Int32) throws {
        guard unsafe send(session, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Stack.Failure(description: "PostgreSQL hears nothing: errno \(errno)")
        }
    }

    private static func number(_ value: UInt32) -> [UInt8] {
        [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
    }
}
