import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Glibc
import Instruments
import TestSupport
import Testing

@testable import Delivery

/// Against a real SMTP server, which misbehaves when told to.
@Suite(.timeLimit(.minutes(20))) struct MailDeliveryTests {
    private static func channels(
        _ port: UInt16, _ security: EmailChannel.Server.Security = .none, login: (String, String)? = nil,
        caFile: String? = nil, deadline: Interval = .seconds(10)
    ) throws -> DeliveryChannels {
        let email = EmailChannel(
            server: .init(
                name: "127.0.0.1", port: port, security: security, username: login?.0, password: login?.1,
                caFile: caFile),
            sender: "homeward@example.org", templates: .builtIn(), publicURL: "https://h.example.org/")
        return DeliveryChannels(
            webhook: WebhookChannel(publicURL: "http://p", deadline: deadline), email: email)
    }

    private static func mail(_ number: UInt64 = 1) throws -> DeliveryJob {
        try makeJob(number, to: "cm-01@example.org", channel: .email)
    }

    @Test func `an alert's e-mail says what may be read on its way, and no more`() async throws {
        let server = try PrivateMailServer()
        let queue = try MemoryQueue([Self.mail()])
        try await withDispatcher(queue, channels: Self.channels(server.port)) { instruments, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
            #expect(instruments.deliveries["email", "sent"].value == 1)
        }
        let message = try #require(server.messages.first)
        #expect(server.messages.count == 1)
        #expect(PrivateMailServer.header("X-Sender", of: message) == "homeward@example.org")
        #expect(PrivateMailServer.header("X-Recipients", of: message) == "cm-01@example.org")
        #expect(PrivateMailServer.header("From", of: message) == "Homeward <homeward@example.org>")
        #expect(PrivateMailServer.header("To", of: message) == "<cm-01@example.org>")
        #expect(PrivateMailServer.header("Subject", of: message) == "RED: SpO2 low, P0001")
        #expect(
            PrivateMailServer.header("Message-ID", of: message)
                == "<00000000-0000-0007-0000-000000000001-0-0-email-cm-01@example.org>")
        #expect(PrivateMailServer.header("Importance", of: message) == "high")
        #expect(PrivateMailServer.header("Date", of: message)?.hasSuffix(" +0000") == true)
        let link = "https://h.example.org/alerts/00000000-0000-0007-0000-000000000001"
        #expect(message.replacing("=\r\n", with: "").contains(link))
        // What was measured stays behind the login.
        #expect(!message.contains("90 %") && !message.contains("below"))
    }

    @Test func `a digest is headed by the open reds and says no more of each alert than its own e-mail`() async throws {
        let server = try PrivateMailServer()
        let queue = try MemoryQueue([
            makeGathering(
                .digest, patients: ["P0001", "P0002", "P0002"], to: "cm-01@example.org", openReds: 2, channel: .email),
            makeGathering(.patient, patients: ["P0003", "P0003"], to: "cm-01@example.org", channel: .email),
        ])
        try await withDispatcher(queue, channels: Self.channels(server.port)) { _, _ in
            for _ in 0..<2 { #expect(await queue.next().map(\.outcome.isSent) == [true]) }
        }
        let messages = server.messages.map { $0.replacing("=\r\n", with: "") }
        let digest = try #require(messages.first { $0.contains("<digest-") })
        #expect(
            PrivateMailServer.header("Subject", of: digest) == "Open reds: 2. 3 other alerts at north")
        #expect(
            PrivateMailServer.header("Message-ID", of: digest) == "<digest-0011223344556677@example.org>")
        #expect(PrivateMailServer.header("Importance", of: digest) == nil)
        let link = "https://h.example.org/alerts/00000000-0000-0007-0000-000000000002"
        #expect(digest.contains("- amber: Pulse high, P0002, raised at 2026-11-23T08:15:32Z, open: \(link)"))
        #expect(digest.contains("- amber: SpO2 low, P0001, raised at 2026-11-23T08:15:32Z, resolved: "))
        #expect(!digest.contains("90 %") && !digest.contains("{"))
        let patient = try #require(messages.first { $0.contains("<patient-") })
        #expect(PrivateMailServer.header("Subject", of: patient) == "AMBER: 2 alerts, P0003")
        #expect(patient.contains("2 alerts of P0003 at north since 2026-11-23T08:15:32Z:"))
        #expect(!patient.contains("90 %") && !patient.contains("{"))
    }

    @Test func `STARTTLS and a login with a private authority`() async throws {
        let authorities = try Authorities()
        let server = try PrivateMailServer([
            "--tls", "starttls", "--certificate", authorities.path("server.pem"), "--key",
            authorities.path("server.key"), "--login", "homeward:geheim ünd lang",
        ])
        let queue = try MemoryQueue([Self.mail()])
        let channels = try Self.channels(
            server.port, .starttls, login: ("homeward", "geheim ünd lang"), caFile: authorities.path("ca.pem"))
        try await withDispatcher(queue, channels: channels) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == [nil])
        }
        let message = try #require(server.messages.first)
        #expect(PrivateMailServer.header("X-TLS", of: message) == "yes")
        #expect(PrivateMailServer.header("X-Login", of: message) == "yes")
    }

    @Test func `TLS from the first byte`() async throws {
        let authorities = try Authorities()
        let server = try PrivateMailServer([
            "--tls", "implicit", "--certificate", authorities.path("server.pem"), "--key",
            authorities.path("server.key"),
        ])
        let queue = try MemoryQueue([Self.mail()])
        let channels = try Self.channels(server.port, .implicit, caFile: authorities.path("ca.pem"))
        try await withDispatcher(queue, channels: channels) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == [nil])
        }
        #expect(server.messages.count == 1)
    }

    @Test(arguments: ["no starttls", "foreign authority", "wrong password"])
    func `nothing leaves where it could be read or to whom it is not for`(what: String) async throws {
        let authorities = try Authorities()
        let options =
            what == "no starttls"
            ? []
            : [
                "--tls", "starttls", "--certificate", authorities.path("server.pem"), "--key",
                authorities.path("server.key"), "--login", "homeward:geheim",
            ]
        let server = try PrivateMailServer(options)
        let queue = try MemoryQueue([Self.mail()])
        queue.keepRetries()
        let channels = try Self.channels(
            server.port, .starttls, login: ("homeward", what == "wrong password" ? "other" : "geheim"),
            caFile: authorities.path(what == "foreign authority" ? "foreign.pem" : "ca.pem"))
        try await withDispatcher(queue, channels: channels) { _, _ in
            // Ours or the server's to mend: tried again.
            guard case .retry(_, let error) = await queue.next().first?.outcome else {
                Issue.record("not tried again")
                return
            }
            switch what {
            case "no starttls": #expect(error == "Requested SSL level failed")
            case "foreign authority": #expect(error == "SSL peer certificate or SSH remote key was not OK")
            default: #expect(error.hasPrefix("SMTP AUTH: 535"))
            }
            #expect(!error.contains("other") && !error.contains("geheim"))
        }
        #expect(server.messages.isEmpty)
    }

    @Test(arguments: [
        (
            PrivateMailServer.Manner.rejectRecipient, true,
            "SMTP RCPT: 550 5.1.1 <recipient>: nobody of this name, about …"
        ),
        (.deferRecipient, false, "SMTP RCPT: 450 4.2.0 greylisted"),
        (.rejectSender, false, "SMTP MAIL: 553 5.7.1 sender not allowed"),
        (.rejectMessage, true, "SMTP body: 554 5.7.1 message refused"),
    ])
    func `a refusal is final where no other attempt would fare better`(
        manner: PrivateMailServer.Manner, isFinal: Bool, error: String
    ) async throws {
        let server = try PrivateMailServer()
        try server.behave(manner)
        let queue = try MemoryQueue([Self.mail()])
        queue.keepRetries()
        try await withDispatcher(queue, channels: Self.channels(server.port)) { _, _ in
            let outcome = await queue.next().first?.outcome
            #expect(outcome?.error == error)
            if case .failed = outcome { #expect(isFinal) } else { #expect(!isFinal) }
        }
    }

    @Test func `a deferred message gets through under the same Message-ID`() async throws {
        let server = try PrivateMailServer()
        try server.behave(.deferRecipient)
        let queue = try MemoryQueue([Self.mail()])
        try await withDispatcher(queue, channels: Self.channels(server.port)) { _, _ in
            _ = await queue.next()
            try server.behave(.take)
            while let next = await queue.next().first, !next.outcome.isSent {}
        }
        #expect(server.messages.count == 1)
    }

    /// The answer was lost, or the daemon died before it recorded it: whoever receives both can tell.
    @Test(arguments: [PrivateMailServer.Manner.loseAnswer, .halfClose])
    func `a message whose answer was lost is repeated under its Message-ID`(
        manner: PrivateMailServer.Manner
    ) async throws {
        let server = try PrivateMailServer()
        try server.behave(manner)
        let queue = try MemoryQueue([Self.mail()])
        let channels = try Self.channels(server.port, deadline: .seconds(3))
        try await withDispatcher(queue, channels: channels) { _, _ in
            guard case .retry = await queue.next().first?.outcome else {
                Issue.record("not tried again")
                return
            }
            try server.behave(.take)
            while let next = await queue.next().first, !next.outcome.isSent {}
        }
        let keys = Set(server.messages.map { PrivateMailServer.header("Message-ID", of: $0) })
        #expect(server.messages.count >= 2)
        #expect(keys.count == 1)
    }

    /// libcurl waits for the last answer and for that to QUIT wherever it is called: it must be nowhere that matters.
    @Test(arguments: [PrivateMailServer.Manner.slow, .noGoodbye])
    func `a mail server that hangs holds up no webhook`(manner: PrivateMailServer.Manner) async throws {
        let server = try PrivateMailServer()
        try server.behave(manner)
        let hook = try LoopbackServer { _ in .status("204 No Content") }
        defer { hook.stop() }
        let queue = MemoryQueue([])
        queue.keepRetries()
        let channels = try Self.channels(server.port, deadline: manner == .slow ? .minutes(10) : .seconds(10))
        try await withDispatcher(queue, channels: channels) { _, dispatcher in
            for number in 1...3 { queue.add(try Self.mail(UInt64(number))) }
            if manner == .noGoodbye {
                // Taken and recorded before the goodbye is waited for.
                #expect(await queue.next(3).allSatisfy(\.outcome.isSent))
            } else {
                await eventually { queue.isLeased(3) }
            }
            for number in 11...15 { queue.add(try makeJob(UInt64(number), to: hook.url)) }
            let next = await queue.next(5)
            #expect(next.allSatisfy { $0.outcome.isSent && $0.job.entry.channel == .webhook })
            if manner == .slow { try server.behave(.take) }
        }
    }

    @Test func `a server that accepts and says nothing meets the deadline`() async throws {
        let (listener, port) = try listenOnLoopback()
        defer { close(listener) }
        let queue = try MemoryQueue([Self.mail()])
        queue.keepRetries()
        let channels = try Self.channels(port, deadline: Interval(microseconds: 300_000))
        try await withDispatcher(queue, channels: channels) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == ["Timeout was reached"])
        }
    }

    @Test(arguments: [
        "cm-01@example.org\r\nRCPT TO:<other@example.org>", "cm-01@example.org>", "a b@example.org", "@example.org",
        "a@b@c", "ä@example.org", "a@example..org", "a@exa mple.org", "",
    ])
    func `an address that could say more than itself is refused`(address: String) throws {
        let channels = try Self.channels(25)
        let job = try makeJob(to: address, channel: .email)
        #expect(throws: DeliveryRefusal.self) { try channels.message(for: job, at: wallClock()) }
    }

    @Test func `a key that could be another header is refused`() throws {
        var job = try Self.mail()
        job.entry.key = "a>\r\nBcc: <x@y"
        #expect(throws: DeliveryRefusal.badKey) { try Self.channels(25).message(for: job, at: wallClock()) }
    }
}
