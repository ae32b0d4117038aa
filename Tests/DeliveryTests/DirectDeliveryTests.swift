import Alerting
import Clinical
import Documents
import Formats
import Foundation
import TestSupport
import Testing

@testable import Delivery

/// What goes past the outbox, against real servers.
@Suite(.timeLimit(.minutes(2))) struct DirectDeliveryTests {
    private let now = Instant(microseconds: 1_795_421_730_000_000)

    private func channels(email: EmailChannel? = nil, sms: SMSChannel? = nil) -> DeliveryChannels {
        DeliveryChannels(
            webhook: WebhookChannel(publicURL: "http://p", secret: Array("key".utf8), deadline: .seconds(30)),
            email: email, sms: sms)
    }

    private func notice() throws -> Notice {
        Notice(
            key: "daily-north-2026-11-23-cm-01", site: try #require(Identifier("north")), sort: "daily",
            subject: "Homeward north: working", text: "working: 212 watched, 198 heard from, 14 not")
    }

    @Test func `a notice by e-mail`() throws {
        let server = try PrivateMailServer()
        let email = EmailChannel(
            server: .init(name: "127.0.0.1", port: server.port, security: .none), sender: "homeward@example.org",
            templates: .builtIn(), publicURL: "http://p")
        let error = channels(email: email).send(try notice(), by: .email, to: "cm-01@example.org", at: now)
        #expect(error == nil)
        let message = try #require(server.messages.first)
        #expect(PrivateMailServer.header("Subject", of: message) == "Homeward north: working")
        #expect(
            PrivateMailServer.header("Message-ID", of: message) == "<daily-north-2026-11-23-cm-01@example.org>")
        #expect(PrivateMailServer.header("Importance", of: message) == nil)
        #expect(message.contains("working: 212 watched, 198 heard from, 14 not"))
    }

    @Test func `a notice by webhook is signed as an alert is`() throws {
        let server = try LoopbackServer { _ in .status("204 No Content") }
        defer { server.stop() }
        #expect(channels().send(try notice(), by: .webhook, to: server.url + "/hook", at: now) == nil)
        let request = try #require(server.requests.first)
        #expect(request.headers["homeward-delivery"] == "daily-north-2026-11-23-cm-01")
        #expect(request.headers["homeward-timestamp"] == "1795421730")
        #expect(request.headers["homeward-signature"]?.wholeMatch(of: /sha256=[0-9a-f]{64}/) != nil)
        let body = try JSONDecoder().decode([String: String].self, from: Data(request.body))
        #expect(
            body == [
                "delivery": "daily-north-2026-11-23-cm-01", "message": "daily", "site": "north",
                "text": "working: 212 watched, 198 heard from, 14 not",
            ])
    }

    @Test func `a notice by text message`() throws {
        let gateway = try LoopbackServer { _ in .status("200 OK") }
        defer { gateway.stop() }
        let sms = SMSChannel(
            url: gateway.url, body: try GatewayBody(#"{"to":"{to}","text":"{text}"}"#), authorization: nil,
            caFile: nil, templates: .builtIn(), publicURL: "http://p")
        #expect(channels(sms: sms).send(try notice(), by: .sms, to: "+44 7700 900123", at: now) == nil)
        let request = try #require(gateway.requests.first)
        let body = try JSONDecoder().decode([String: String].self, from: Data(request.body))
        #expect(body == ["to": "+447700900123", "text": "working: 212 watched, 198 heard from, 14 not"])
    }

    @Test func `what is not delivered says why`() throws {
        let server = try LoopbackServer { _ in .status("500 Internal Server Error") }
        defer { server.stop() }
        #expect(channels().send(try notice(), by: .webhook, to: server.url, at: now) == "HTTP status 500")
        #expect(channels().send(try notice(), by: .email, to: "a@example.org", at: now) == "channel is not set up")
        #expect(channels().send(try notice(), by: .mqtt, to: "", at: now) == "channel is not set up")
        let closed = "http://127.0.0.1:\(try closedPort())/"
        #expect(channels().send(try notice(), by: .webhook, to: closed, at: now) != nil)
        let job = try makeJob(1, to: closed)
        #expect(channels().send(job, at: now) != nil)
        #expect(channels().send(try makeJob(1, to: "ftp://h/"), at: now) != nil)
    }

    @Test func `the heartbeat is one GET that carries the head of the audit chain`() throws {
        let server = try LoopbackServer { request in
            .status(request.path == "/beat?id=1&head=12:ab" ? "200 OK" : "404 Not Found")
        }
        defer { server.stop() }
        let address = server.url + "/beat?id=1&head={audit_head}"
        #expect(Heartbeat.call(address, auditHead: "12:ab", deadline: .seconds(30)) == nil)
        #expect(server.requests.count == 1)
        #expect(server.requests.first?.headers["homeward-audit-head"] == "12:ab")
        #expect(server.requests.first?.body.isEmpty == true)
        #expect(Heartbeat.call(server.url + "/else", auditHead: "", deadline: .seconds(30)) == "HTTP status 404")
        #expect(Heartbeat.call("nonsense", auditHead: "", deadline: .seconds(30)) != nil)
    }
}
