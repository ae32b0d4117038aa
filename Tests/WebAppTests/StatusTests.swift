import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Instruments
import Logging
import NIOCore
import Synchronization
import Testing

@testable import WebApp

private struct OneMetric: MetricsSource {
    func families() -> [MetricFamily] { [.counter("homeward_reports_received_total", help: "Reports received.", 42)] }
}

let testPage = MetricsPage([OneMetric()])
let testLogger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

private func server(
    readiness: Readiness = Readiness(broker: true, database: true), apart: Bool = false
) -> [WebServer] {
    let http = WebServer.Address(host: "127.0.0.1", port: 0)
    return WebServer.servers(
        http: http, metrics: apart ? .init(host: "127.0.0.1", port: 1) : http, page: testPage,
        readiness: { readiness }, logger: testLogger)
}

private func ask(
    _ server: WebServer, _ path: String, _ method: HTTPRequest.Method = .get, headers: HTTPFields = [:],
    body: String? = nil, _ check: @escaping @Sendable (TestResponse) throws -> Void
) async throws {
    try await server.application().test(.router) { client in
        try await client.execute(
            uri: path, method: method, headers: headers, body: body.map { ByteBuffer(string: $0) }, testCallback: check)
    }
}

@Suite struct StatusTests {
    @Test func alive() async throws {
        try await ask(server()[0], "/healthz") { response in
            #expect(response.status == .ok)
            #expect(response.headers[.cacheControl] == "no-store")
            #expect(response.headers[.xContentTypeOptions] == "nosniff")
            #expect(response.headers[.contentSecurityPolicy] == "default-src 'none'; frame-ancestors 'none'")
        }
    }

    @Test(arguments: [
        (
            Readiness(broker: true, database: true), 200,
            #"{"ready":true,"broker":"connected","database":"connected","problems":[]}"#
        ),
        (
            Readiness(broker: false, database: true), 503,
            #"{"ready":false,"broker":"disconnected","database":"connected","problems":[]}"#
        ),
        (
            Readiness(broker: true, database: false), 503,
            #"{"ready":false,"broker":"connected","database":"disconnected","problems":[]}"#
        ),
        (
            Readiness(broker: true, database: true, others: ["spool is \"full\""]), 503,
            #"{"ready":false,"broker":"connected","database":"connected","problems":["spool is \"full\""]}"#
        ),
    ])
    func ready(readiness: Readiness, status: Int, body: String) async throws {
        try await ask(server(readiness: readiness)[0], "/readyz") { response in
            #expect(response.status.code == status)
            #expect(response.headers[.contentType] == "application/json")
            #expect(String(buffer: response.body) == body + "\n")
        }
    }

    @Test func metrics() async throws {
        try await ask(server()[0], "/metrics") { response in
            #expect(response.status == .ok)
            #expect(response.headers[.contentType] == "text/plain; version=0.0.4; charset=utf-8")
            #expect(String(buffer: response.body) == testPage.render())
        }
    }

    @Test(arguments: ["/healthz", "/readyz", "/metrics"])
    func headHasTheLengthAndNoBody(path: String) async throws {
        let length = Mutex(0)
        try await ask(server()[0], path) { response in length.withLock { $0 = response.body.readableBytes } }
        let expected = length.withLock { $0 }
        try await ask(server()[0], path, .head) { response in
            #expect(response.status == .ok)
            #expect(response.headers[.contentLength] == "\(expected)")
            #expect(response.body.readableBytes == 0)
        }
    }

    @Test(arguments: [HTTPRequest.Method.post, .put, .delete, .patch, .options, .trace])
    func otherMethodsAreNotAllowed(method: HTTPRequest.Method) async throws {
        try await ask(server()[0], "/readyz", method) { response in
            #expect(response.status == .methodNotAllowed)
            #expect(response.headers[.allow] == "GET, HEAD")
        }
    }

    @Test(arguments: ["/", "/alerts", "/metrics/", "/healthz/../alerts", "/HEALTHZ", "//healthz", "/readyz%00"])
    func everythingElseIsForCareManagers(path: String) async throws {
        for method in [HTTPRequest.Method.get, .post] {
            try await ask(server()[0], path, method) { response in
                #expect(response.status == .unauthorized)
                #expect(response.headers[.wwwAuthenticate] != nil)
                #expect(response.headers[.cacheControl] == "no-store")
            }
        }
    }

    @Test func aQueryDoesNotMatter() async throws {
        try await ask(server()[0], "/healthz?x=1") { #expect($0.status == .ok) }
    }

    @Test func aBodyThatIsTooLongIsRefused() async throws {
        try await ask(server()[0], "/healthz", .get, body: String(repeating: "x", count: 65537)) { response in
            #expect(response.status == .contentTooLarge)
            #expect(response.headers[.connection] == "close")
        }
        try await ask(server()[0], "/healthz", .get, body: "x") { response in
            #expect(response.status == .ok)
            #expect(response.headers[.connection] == "close")
        }
    }

    @Test func setApartTheStatusPagesMove() async throws {
        let servers = server(apart: true)
        try #require(servers.count == 2)
        for path in ["/healthz", "/readyz", "/metrics"] {
            try await ask(servers[0], path) { #expect($0.status == .unauthorized) }
            try await ask(servers[1], path) { #expect($0.status == .ok) }
        }
        try await ask(servers[0], "/") { #expect($0.status == .unauthorized) }
        try await ask(servers[1], "/") { #expect($0.status == .notFound) }
    }
}
