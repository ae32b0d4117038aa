import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Instruments
import Testing

@testable import Delivery

@Suite(.timeLimit(.minutes(20))) struct TextMessageTests {
    private static func channels(
        _ url: String, body: String = #"{"to":"{to}","text":"{text}"}"#, authorization: String? = nil,
        caFile: String? = nil
    ) throws -> DeliveryChannels {
        let sms = SMSChannel(
            url: url, body: try GatewayBody(body), authorization: authorization, caFile: caFile,
            templates: .builtIn(), publicURL: "https://h.example.org")
        return DeliveryChannels(webhook: WebhookChannel(publicURL: "http://p"), sms: sms)
    }

    private static func text(attempt: Int = 1) throws -> DeliveryJob {
        try makeJob(to: "+44 7700 900123", attempt: attempt, channel: .sms)
    }

    private static let words =
        "RED: SpO2 low, P0001. https://h.example.org/alerts/00000000-0000-0007-0000-000000000001"

    @Test func `a gateway of JSON`() async throws {
        let gateway = try LoopbackServer { _ in .status("202 Accepted") }
        defer { gateway.stop() }
        let queue = try MemoryQueue([Self.text()])
        let channels = try Self.channels("\(gateway.url)/send?key=1", authorization: "Bearer geheim")
        try await withDispatcher(queue, channels: channels) { instruments, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
            #expect(instruments.deliveries["sms", "sent"].value == 1)
        }
        let request = try #require(gateway.requests.first)
        #expect(request.path == "/send?key=1")
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["authorization"] == "Bearer geheim")
        #expect(request.headers["homeward-delivery"]?.hasSuffix("-sms-cm-01") == true)
        let body = try JSONDecoder().decode([String: String].self, from: Data(request.body))
        #expect(body == ["to": "+447700900123", "text": Self.words])
    }

    @Test func `several alerts are one text message`() async throws {
        let gateway = try LoopbackServer { _ in .status("202 Accepted") }
        defer { gateway.stop() }
        let queue = try MemoryQueue([
            makeGathering(
                .patient, patients: Array(repeating: "P0003", count: 5), to: "+44 7700 900123", channel: .sms)
        ])
        try await withDispatcher(queue, channels: Self.channels("\(gateway.url)/send")) { _, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
            queue.add(
                try makeGathering(
                    .digest, patients: ["P0001", "P0002"], to: "+44 7700 900123", openReds: 1, channel: .sms))
            #expect(await queue.next().map(\.outcome.isSent) == [true])
        }
        let texts = try gateway.requests.map {
            try JSONDecoder().decode([String: String].self, from: Data($0.body))["text"]
        }
        #expect(
            texts == [
                "AMBER: 5 alerts, P0003: SpO2 low, Pulse high, Temperature high and 1 more. https://h.example.org/",
                "Open reds: 1. 2 other alerts at north. https://h.example.org/",
            ])
    }

    @Test func `a gateway of forms, over TLS with a private authority`() async throws {
        let authorities = try Authorities()
        let gateway = try SecureServer(authorities)
        defer { gateway.stop() }
        gateway.answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        let queue = try MemoryQueue([Self.text()])
        let channels = try Self.channels(
            "https://127.0.0.1:\(gateway.port)/sms", body: "from=Homeward&to={to}&text={text}",
            caFile: authorities.path("ca.pem"))
        try await withDispatcher(queue, channels: channels) { _, _ in
            for await entry in queue.recorded where entry.outcome.isSent { break }
        }
        let request = try #require(gateway.received)
        #expect(request.headers["content-type"] == "application/x-www-form-urlencoded")
        var form = URLComponents()
        form.percentEncodedQuery = String(decoding: request.body, as: UTF8.self)
        #expect(form.queryItems?.first { $0.name == "to" }?.value == "+447700900123")
        #expect(form.queryItems?.first { $0.name == "text" }?.value == Self.words)
    }

    @Test func `a gateway that is busy is asked again when it says, also for a red within its cap`() throws {
        var generator = SystemRandomNumberGenerator()
        var job = try Self.text()
        for (severity, wait) in [(Severity.amber, Int64(90)), (.red, 30)] {
            job.episode.severity = severity
            let outcome = try Self.channels("http://127.0.0.1/").outcome(
                of: .http(.answered(status: 429, retryAfter: 90)), for: job, at: wallClock(), using: &generator)
            guard case .retry(let after, _) = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(after == .seconds(wait))
        }
    }

    /// Nothing that is put into a body says anything but itself.
    @Test(arguments: [
        #"{"to":"{to}","text":"{text}","n":{"x":[1]}}"#, "to={to}&text={text}", "<sms to=\"{to}\"><t>{text}</t></sms>",
        "{to} {text}",
    ])
    func `values are escaped for the body's form`(template: String) throws {
        let hostile = #"","x":"1&y=2%26+<b>{to}{text}\é\#u{1}"# + "\r\n"
        let body = try GatewayBody(template)
        let bytes = body.bytes(to: "+44", text: hostile)
        let text = String(decoding: bytes, as: UTF8.self)
        switch body.form {
        case .json:
            let value = try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
            #expect(value["text"] as? String == hostile && value["to"] as? String == "+44" && value.count == 3)
        case .urlEncoded:
            var form = URLComponents()
            form.percentEncodedQuery = text
            #expect(form.queryItems?.count == 2)
            #expect(form.queryItems?.last?.value == hostile)
        case .xml:
            #expect(!text.contains("<b>") && text.contains("&lt;b&gt;{to}{text}"))
            #expect(!text.unicodeScalars.contains { $0.value < 0x20 })
        case .plain:
            #expect(text.hasPrefix("+44 ") && !text.unicodeScalars.contains { $0.value < 0x20 })
        }
    }

    @Test(arguments: [
        (#"{"to":{to},"text":"{text}"}"#, GatewayBody.Fault.notJSON), (#"{"to":"{to}","text":"{text}""#, .notJSON),
        ("to={to}", .missing("text")), ("", .missing("to")),
    ])
    func `a body that can't be filled is refused`(template: String, fault: GatewayBody.Fault) {
        #expect(throws: fault) { try GatewayBody(template) }
    }

    @Test(arguments: [
        ("+44 7700 900123", "+447700900123"), ("07700-900.123", "07700900123"), ("(020) 7946 0000", "02079460000"),
        ("+44;1", nil), ("12", nil), ("4+4123456", nil), ("+12345678901234567", nil), ("１２３４５６", nil),
    ])
    func `numbers`(text: String, number: String?) { #expect(SMSChannel.number(text) == number) }
}

@Suite struct AlertWordsTests {
    @Test(arguments: [
        ("spo2-low", "SpO2 low"), ("glucose-high", "Glucose high"), ("late-red", "Late red"), ("", ""),
        ("too-low", "Too low"),
    ])
    func `a rule in words`(rule: String, title: String) throws {
        var job = try makeJob(to: nil)
        job.episode.rule = rule
        #expect(AlertWords(episode: job.episode, link: "").value(of: "title") == title)
    }

    @Test func `every place has its words`() throws {
        let words = try AlertWords(episode: makeJob(to: nil).episode, link: "u")
        for place in MessageTemplates.places where place != "late" { #expect(!words.value(of: place).isEmpty) }
        #expect(words.value(of: "raised_at") == "2026-11-23T08:15:32Z")
    }

    /// In whatever a site's own templates say.
    @Test func `the site's fallback reads that nobody has answered`() throws {
        let words = try AlertWords(episode: makeJob(to: nil).episode, link: "u", isUnanswered: true)
        #expect(words.value(of: "severity_in_capitals") == "UNANSWERED RED")
        #expect(words.value(of: "severity") == "red and unanswered")
    }
}

@Suite struct ChannelHealthTests {
    private final class Told: @unchecked Sendable { var news: [ChannelHealth.News] = [] }

    private func make() -> (ChannelHealth, Told) {
        let told = Told()
        return (ChannelHealth { told.news.append($0) }, told)
    }

    private let failure = DeliveryOutcome.retry(after: .seconds(0), error: "e")

    @Test func `three failures over ten seconds are a death, told once, and one success a recovery`() throws {
        let (health, told) = make()
        let job = try makeJob(to: nil)
        func note(_ outcome: DeliveryOutcome, _ seconds: Int64, host: String = "h:1") -> Bool {
            health.note(outcome, of: job, host: host, at: Instant(microseconds: seconds * 1_000_000))
        }
        // Many at once are one hiccup.
        #expect((0..<9).allSatisfy { _ in !note(failure, 0) })
        #expect(!note(failure, 9) && note(failure, 10) && note(failure, 11))
        #expect(told.news == [.died("webhook by h:1: e")])
        // Another endpoint is not this one.
        #expect(!note(failure, 12, host: "h:2") && !note(.sent(at: job.episode.raisedAt), 13, host: "h:2"))
        #expect(!note(.sent(at: job.episode.raisedAt), 14))
        #expect(told.news.last == .allAlive && told.news.count == 2)
        #expect(!note(failure, 30))
    }

    @Test func `a recipient that is refused for good is dead alone until something arrives`() throws {
        let (health, told) = make()
        let job = try makeJob(to: nil, channel: .email)
        let now = Instant(microseconds: 0)
        #expect(health.note(.failed(error: "550"), of: job, host: "smtp:h:25", at: now))
        #expect(health.note(.failed(error: "550"), of: job, host: "smtp:h:25", at: now))
        #expect(told.news == [.died("email to cm-01: 550")])
        #expect(!health.note(.sent(at: now), of: job, host: "smtp:h:25", at: now))
        #expect(told.news.last == .allAlive)
    }
}
