import Alerting
import Clinical
import Foundation
import Glibc
import Synchronization
import Testing

@testable import Delivery

/// Two private authorities and a server's certificate for 127.0.0.1 by the first, in a directory of its own.
final class Authorities {
    let directory: URL

    init() throws {
        directory = FileManager.default.temporaryDirectory.appending(path: "homeward-delivery-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        for name in ["ca", "foreign"] {
            try runProgram(
                "openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).pem"),
                ])
        }
        try runProgram(
            "openssl",
            [
                "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=receiver",
                "-keyout", path("server.key"), "-out", path("server.csr"),
            ])
        try Data("subjectAltName=IP:127.0.0.1\n".utf8).write(to: directory.appending(path: "san"))
        try runProgram(
            "openssl",
            [
                "x509", "-req", "-in", path("server.csr"), "-CA", path("ca.pem"), "-CAkey", path("ca.key"),
                "-CAcreateserial", "-days", "2", "-extfile", path("san"), "-out", path("server.pem"),
            ])
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func path(_ name: String) -> String { directory.appending(path: name).path }
}

/// `openssl s_server`, which hands us what comes and sends what we say.
final class SecureServer {
    let port: UInt16
    private let process = Process()
    private let stdin = Pipe()
    private let stdout = Pipe()
    private let request = Mutex<LoopbackServer.Request?>(nil)

    var received: LoopbackServer.Request? { request.withLock { $0 } }

    init(_ authorities: Authorities) throws {
        port = try closedPort()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = [
            "openssl", "s_server", "-quiet", "-accept", "127.0.0.1:\(port)", "-cert", authorities.path("server.pem"),
            "-key", authorities.path("server.key"),
        ]
        process.standardInput = stdin
        process.standardOutput = stdout
        process.standardError = FileHandle.nullDevice
        try process.run()
    }

    /// Answers the first complete request.
    func answer(_ text: String) {
        let bytes = Mutex<[UInt8]>([])
        let writer = stdin.fileHandleForWriting
        stdout.fileHandleForReading.readabilityHandler = { [self] handle in
            let more = handle.availableData
            guard !more.isEmpty else {
                handle.readabilityHandler = nil
                return
            }
            let complete = bytes.withLock { bytes in
                bytes += more
                return LoopbackServer.parse(bytes)
            }
            guard let complete else { return }
            request.withLock { $0 = complete }
            writer.write(Data(text.utf8))
        }
    }

    func stop() {
        stdout.fileHandleForReading.readabilityHandler = nil
        // SIGTERM would not do: a child of a thread of the cooperative pool inherits its blocked signals.
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}

extension SecureServer: @unchecked Sendable {}

@Suite(.timeLimit(.minutes(20))) struct SecureDeliveryTests {
    @Test func aPrivateAuthorityIsTrusted() async throws {
        let authorities = try Authorities()
        let server = try SecureServer(authorities)
        defer { server.stop() }
        server.answer("HTTP/1.1 204 No Content\r\n\r\n")
        let queue = try MemoryQueue([makeJob(to: "https://127.0.0.1:\(server.port)/hook")])
        let channel = WebhookChannel(publicURL: "http://p", caFile: authorities.path("ca.pem"))
        try await withDispatcher(queue, channel: channel) { _, _ in
            // The server may need a moment to listen; until then the connection is refused.
            for await entry in queue.recorded {
                if case .sent = entry.outcome { break }
                guard case .retry(_, "Couldn't connect to server") = entry.outcome else {
                    Issue.record("\(entry.outcome)")
                    break
                }
            }
        }
        #expect(server.received?.path == "/hook")
    }

    @Test(arguments: ["foreign", "none", "other name"])
    func anybodyElseIsRefused(what: String) async throws {
        let authorities = try Authorities()
        let server = try SecureServer(authorities)
        defer { server.stop() }
        server.answer("HTTP/1.1 204 No Content\r\n\r\n")
        let host = what == "other name" ? "localhost" : "127.0.0.1"
        let queue = try MemoryQueue([makeJob(to: "https://\(host):\(server.port)/hook")])
        var channel = WebhookChannel(publicURL: "http://p")
        if what == "foreign" { channel.caFile = authorities.path("foreign.pem") }
        if what == "other name" { channel.caFile = authorities.path("ca.pem") }
        try await withDispatcher(queue, channel: channel) { _, _ in
            for await entry in queue.recorded {
                guard case .retry(_, let error) = entry.outcome else {
                    Issue.record("\(entry.outcome)")
                    break
                }
                if error == "Couldn't connect to server" { continue }
                #expect(error == "SSL peer certificate or SSH remote key was not OK")
                break
            }
        }
        #expect(server.received == nil)
    }
}
