import Foundation
import Glibc
import Synchronization

/// A small HTTP server on a free port of 127.0.0.1, one thread per connection, that answers as its script says, well
/// or badly. One request per connection.
final class LoopbackServer: Sendable {
    struct Request: Sendable {
        var path: String
        var headers: [String: String]
        var body: [UInt8]
    }

    enum Answer: Sendable {
        /// Exactly these bytes, then close.
        case bytes(String)
        /// Nothing, until the client gives up.
        case silence
        /// These bytes, and then one more now and then until the client gives up.
        case drip(String)
        /// A good answer with a body of a megabyte.
        case flood
        /// Closes our half without an answer and waits for the client's.
        case halfClose

        static func status(_ line: String, headers: [String] = []) -> Answer {
            .bytes(
                (["HTTP/1.1 \(line)"] + headers + ["Content-Length: 0", "Connection: close", "", ""])
                    .joined(separator: "\r\n"))
        }
    }

    struct CannotListen: Error {}

    let port: UInt16
    private let listener: Int32
    private let script: @Sendable (Request) -> Answer
    private let state = Mutex<(requests: [Request], connections: Set<Int32>, isStopped: Bool)>(([], [], false))

    var url: String { "http://127.0.0.1:\(port)" }
    var requests: [Request] { state.withLock { $0.requests } }

    init(_ script: @escaping @Sendable (Request) -> Answer) throws {
        (listener, port) = try listenOnLoopback()
        self.script = script
        Thread { [listener, weak self] in
            while true {
                let connection = accept(listener, nil, nil)
                guard connection >= 0, let self else { return }
                let isStopped = self.state.withLock { state in
                    state.connections.insert(connection)
                    return state.isStopped
                }
                if isStopped { shutdown(connection, Int32(SHUT_RDWR)) }
                Thread { self.serve(connection) }.start()
            }
        }.start()
    }

    func stop() {
        state.withLock { state in
            guard !state.isStopped else { return }
            state.isStopped = true
            for connection in state.connections { shutdown(connection, Int32(SHUT_RDWR)) }
            shutdown(listener, Int32(SHUT_RDWR))
            close(listener)
        }
    }

    private func serve(_ connection: Int32) {
        if let request = readRequest(connection) {
            state.withLock { $0.requests.append(request) }
            answer(connection, script(request))
        }
        state.withLock { state in
            state.connections.remove(connection)
            close(connection)
        }
    }

    private func answer(_ connection: Int32, _ answer: Answer) {
        switch answer {
        case .bytes(let text): write(connection, text)
        case .flood: write(connection, "HTTP/1.1 200 OK\r\n\r\n" + String(repeating: "x", count: 1 << 20))
        case .silence: while !read(connection).isEmpty {}
        case .halfClose:
            shutdown(connection, Int32(SHUT_WR))
            while !read(connection).isEmpty {}
        case .drip(let text):
            write(connection, text)
            // Paced by a wait for the client to hang up.
            var poller = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
            while unsafe poll(&poller, 1, 20) == 0, write(connection, "x") {}
        }
    }

    private func readRequest(_ connection: Int32) -> Request? {
        var bytes: [UInt8] = []
        while true {
            let more = read(connection)
            if more.isEmpty { return nil }
            bytes += more
            if let request = Self.parse(bytes) { return request }
        }
    }

    static func parse(_ bytes: [UInt8]) -> Request? {
        guard let end = bytes.firstRange(of: Array("\r\n\r\n".utf8)) else { return nil }
        var lines = String(decoding: bytes[..<end.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
        let path = lines.removeFirst().split(separator: " ").dropFirst().first.map(String.init) ?? ""
        var headers: [String: String] = [:]
        for line in lines {
            guard let colon = line.firstIndex(of: ":") else { continue }
            headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                in: .whitespaces)
        }
        let body = Array(bytes[end.upperBound...])
        // A GET has no body.
        guard body.count >= headers["content-length"].flatMap({ Int($0) }) ?? 0 else { return nil }
        return Request(path: path, headers: headers, body: body)
    }

    private func read(_ connection: Int32) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = unsafe recv(connection, &buffer, buffer.count, 0)
        return count > 0 ? Array(buffer.prefix(count)) : []
    }

    @discardableResult
    private func write(_ connection: Int32, _ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return unsafe send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
    }
}

/// A listening socket on a free port of 127.0.0.1.
func listenOnLoopback() throws -> (socket: Int32, port: UInt16) {
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isListening = unsafe withUnsafeMutablePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            unsafe bind(listener, generic, length) == 0 && listen(listener, 64) == 0
                && getsockname(listener, generic, &length) == 0
        }
    }
    guard isListening else { throw LoopbackServer.CannotListen() }
    return (listener, UInt16(bigEndian: address.sin_port))
}

/// A port of 127.0.0.1 on which nobody listens.
func closedPort() throws -> UInt16 {
    let (socket, port) = try listenOnLoopback()
    close(socket)
    return port
}
