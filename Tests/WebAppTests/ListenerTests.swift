import Foundation
import Glibc
import Instruments
import ServiceLifecycle
import Synchronization
import Testing

@testable import WebApp

private struct ProgramFailed: Error {
    var status: Int32
}

/// Runs a program of the system to its end; its standard output.
@discardableResult
private func runProgram(_ name: String, _ arguments: [String]) async throws -> String {
    try await blocking { try waitForProgram(name, arguments) }
}

private func waitForProgram(_ name: String, _ arguments: [String]) throws -> String {
    let process = Process()
    let stdout = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [name] + arguments
    process.standardOutput = stdout
    process.standardError = FileHandle.nullDevice
    try process.run()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw ProgramFailed(status: process.terminationStatus) }
    return String(decoding: output, as: UTF8.self)
}

/// Does what blocks on a thread of its own: the server needs those of the cooperative pool.
private func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        Thread { continuation.resume(with: Result { try body() }) }.start()
    }
}

/// A connected socket to 127.0.0.1.
private func connectTo(_ port: Int) throws -> Int32 {
    struct CannotConnect: Error {}
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(truncatingIfNeeded: port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let code = unsafe withUnsafePointer(to: &address) { pointer in
        unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
            unsafe connect(connection, generic, socklen_t(MemoryLayout<sockaddr_in>.size))
        }
    }
    guard code == 0 else { throw CannotConnect() }
    return connection
}

private func sendText(_ text: String, to connection: Int32) {
    let bytes = Array(text.utf8)
    _ = unsafe send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
}

/// Everything until the other side closes.
private func receiveAll(from connection: Int32) -> String {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = unsafe recv(connection, &buffer, buffer.count, 0), count > 0 { all += buffer.prefix(count) }
    return String(decoding: all, as: UTF8.self)
}

private func makeServer(port: Int = 0, tls: WebServer.TLSFiles? = nil) -> WebServer {
    WebServer.servers(
        http: .init(host: "127.0.0.1", port: port, tls: tls), page: testPage,
        readiness: { Readiness(broker: true, database: false) }, logger: testLogger)[0]
}

/// A server that listens while `body` runs, and is then asked to stop.
private func withServer(_ server: WebServer, _ body: @escaping @Sendable (Int) async throws -> Void) async throws {
    let (ports, continuation) = AsyncStream<Int>.makeStream()
    var server = server
    server.onListening = { port in continuation.yield(port) }
    let group = ServiceGroup(services: [server], logger: testLogger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask {
            defer { continuation.finish() }
            try await group.run()
        }
        for await port in ports {
            do {
                try await body(port)
            } catch {
                Issue.record(error)
            }
            break
        }
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}

@Suite(.timeLimit(.minutes(20))) struct ListenerTests {
    @Test func answersOnItsPort() async throws {
        try await withServer(makeServer()) { port in
            let connection = try await blocking { try connectTo(port) }
            defer { close(connection) }
            sendText("GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", to: connection)
            let answer = try await blocking { receiveAll(from: connection) }
            #expect(answer.hasPrefix("HTTP/1.1 503 Service Unavailable\r\n"))
            #expect(answer.contains(#""database":"disconnected""#))
        }
    }

    @Test func anAddressHasNoMoreThanItsShareOfConnections() async throws {
        var server = makeServer()
        server.share = ConnectionShare(most: 2, sparesLoopback: false)
        try await withServer(server) { port in
            let request = "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"
            func answer(_ connection: Int32) async throws -> Bool {
                sendText(request, to: connection)
                return try await blocking {
                    var buffer = [UInt8](repeating: 0, count: 512)
                    return unsafe recv(connection, &buffer, buffer.count, 0) > 0
                }
            }
            let (first, second) = (
                try await blocking { try connectTo(port) }, try await blocking { try connectTo(port) }
            )
            defer { close(second) }
            #expect(try await answer(first))
            #expect(try await answer(second))
            let third = try await blocking { try connectTo(port) }
            #expect(try await !answer(third), "closed without a word")
            close(third)
            close(first)
            // Whoever gives one back has one again, as soon as the server knows.
            while true {
                let again = try await blocking { try connectTo(port) }
                defer { close(again) }
                if try await answer(again) { break }
            }
        }
    }

    @Test func sharesAreCounted() {
        let share = ConnectionShare(most: 1)
        #expect(share.take("192.0.2.1") && !share.take("192.0.2.1") && share.take("2001:db8::1"))
        share.giveBack("192.0.2.1")
        #expect(share.take("192.0.2.1"))
        for own in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            #expect(share.take(own) && share.take(own))
            share.giveBack(own)
        }
    }

    @Test func aTakenPortIsAClearError() async throws {
        try await withServer(makeServer()) { port in
            await #expect(throws: WebServerFault.portTaken("127.0.0.1:\(port)")) {
                try await makeServer(port: port).run()
            }
        }
    }

    @Test func badTLSFilesAreAClearError() async throws {
        await #expect(throws: WebServerFault.badTLSFiles("/nowhere/c.pem, /nowhere/k.pem")) {
            try await makeServer(tls: .init(certificate: "/nowhere/c.pem", key: "/nowhere/k.pem")).run()
        }
    }

    /// Open at shutdown: a connection that never said anything, half a request, one kept alive, and a body that never
    /// ends. None of them keeps the service from ending.
    @Test func openConnectionsDoNotHoldTheShutdown() async throws {
        let connections = Mutex<[Int32]>([])
        try await withServer(makeServer()) { port in
            for text in [
                "", "GET /healthz HTT", "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n",
                "POST /healthz HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\nx",
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            ] {
                let connection = try await blocking { try connectTo(port) }
                connections.withLock { $0.append(connection) }
                sendText(text, to: connection)
            }
        }
        for connection in connections.withLock({ $0 }) {
            _ = try await blocking { receiveAll(from: connection) }
            close(connection)
        }
    }

    @Test func aBodyIsNotWaitedFor() async throws {
        try await withServer(makeServer()) { port in
            let connection = try await blocking { try connectTo(port) }
            defer { close(connection) }
            sendText("POST /metrics HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\nx", to: connection)
            // Ends although the body never does: the server hangs up.
            #expect(try await blocking { receiveAll(from: connection) }.hasPrefix("HTTP/1.1 405 "))
        }
    }

    @Test func headersHaveALimit() async throws {
        try await withServer(makeServer()) { port in
            let connection = try await blocking { try connectTo(port) }
            defer { close(connection) }
            sendText(
                "GET /healthz HTTP/1.1\r\nHost: h\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n",
                to: connection)
            #expect(try await !blocking { receiveAll(from: connection) }.contains("200 OK"))
        }
    }

    @Test func servesOverTLS() async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "homeward-web-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let files = WebServer.TLSFiles(
            certificate: directory.appending(path: "c.pem").path, key: directory.appending(path: "k.pem").path)
        try await runProgram(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", files.key, "-out",
                files.certificate,
            ])
        let unfinished = Mutex<Int32?>(nil)
        defer { unfinished.withLock { $0.map { _ = close($0) } } }
        try await withServer(makeServer(tls: files)) { port in
            // A handshake that never goes on: it does not hold the shutdown either.
            let connection = try await blocking { try connectTo(port) }
            unfinished.withLock { $0 = connection }
            sendText("\u{16}\u{3}\u{1}", to: connection)
            let answer = try await runProgram(
                "curl",
                [
                    "--silent", "--noproxy", "*", "--cacert", files.certificate, "--write-out", "%{http_code}",
                    "https://127.0.0.1:\(port)/healthz",
                ])
            #expect(answer == "alive\n200")
            // Plain text and an old TLS get no answer.
            await #expect(throws: ProgramFailed.self) {
                try await runProgram("curl", ["--silent", "--noproxy", "*", "http://127.0.0.1:\(port)/healthz"])
            }
            await #expect(throws: ProgramFailed.self) {
                try await runProgram(
                    "curl",
                    [
                        "--silent", "--noproxy", "*", "--cacert", files.certificate, "--tls-max", "1.1",
                        "https://127.0.0.1:\(port)/healthz",
                    ])
            }
        }
    }
}
