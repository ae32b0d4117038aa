import Alerting
import Clinical
import Foundation
import Registry
import Testing

@testable import Delivery

private let now = Instant(microseconds: 1_795_421_740_999_999)

private func value(_ name: String, of request: HTTPRequest) -> String? {
    request.headers.first { $0.name == name }?.value
}

@Suite struct WebhookChannelTests {
    @Test func bodyHasTheFieldsOfTheContract() throws {
        let job = try makeJob(to: "http://127.0.0.1:9000/hook")
        let request = try WebhookChannel(publicURL: "http://127.0.0.1:8480").request(for: job, at: now)
        #expect(
            String(decoding: request.body, as: UTF8.self) == """
                {"delivery":"00000000-0000-0007-0000-000000000001-0-0-webhook-cm-01",\
                "alert":"00000000-0000-0007-0000-000000000001","site":"north","patient":"P0001",\
                "class":"clinical","rule":"spo2-low","severity":"red","state":"open","late":false,\
                "raised_at":"2026-11-23T08:15:32Z","summary":"SpO2 90 %: below 92 %",\
                "url":"http://127.0.0.1:8480/alerts/00000000-0000-0007-0000-000000000001"}
                """)
        #expect(value("Content-Type", of: request) == "application/json")
        #expect(value("Homeward-Delivery", of: request) == job.entry.key)
        #expect(value("Homeward-Timestamp", of: request) == "1795421740")
        #expect(value("Homeward-Signature", of: request) == nil)
    }

    @Test func retryHasTheSameKeyAndBody() throws {
        let channel = WebhookChannel(publicURL: "https://ward.example/", secret: Array("s".utf8))
        let first = try channel.request(for: makeJob(to: "http://h/"), at: now)
        let second = try channel.request(for: makeJob(to: "http://h/", attempt: 2), at: now + .seconds(9))
        #expect(first.body == second.body)
        #expect(value("Homeward-Delivery", of: first) == value("Homeward-Delivery", of: second))
        #expect(value("Homeward-Signature", of: first) != value("Homeward-Signature", of: second))
        #expect(String(decoding: first.body, as: UTF8.self).contains("\"https://ward.example/alerts/0000"))
    }

    @Test(arguments: [
        "quote \" backslash \\ slash /", "tab\tline\nnull\0delete\u{7f}", "5 mmol/L \u{2265} 4 \u{1F600} é",
        "\u{2028}\u{2029}\u{202e}",
    ])
    func summaryIsEscaped(summary: String) throws {
        let job = try makeJob(to: "http://h/", summary: summary)
        let body = try WebhookChannel(publicURL: "http://p").request(for: job, at: now).body
        let object = try #require(try JSONSerialization.jsonObject(with: Data(body)) as? [String: Any])
        #expect(object["summary"] as? String == summary)
        #expect(object.count == 12)
        #expect(body.allSatisfy { $0 >= 0x20 && $0 != 0x7f })
    }

    @Test func subjectsWithoutPatient() throws {
        let job = try makeJob(to: "http://h/", subject: .instance)
        let body = try WebhookChannel(publicURL: "http://p").request(for: job, at: now).body
        #expect(String(decoding: body, as: UTF8.self).contains("\"patient\":null"))
    }

    /// Foundation's formatter is the oracle, from where its calendar is Gregorian.
    @Test(arguments: 0..<200)
    func raisedAtIsRFC3339(step: Int) throws {
        var generator = SeededGenerator(state: UInt64(step))
        let seconds = Int64.random(in: -12_219_206_400...253_402_300_799, using: &generator)
        var job = try makeJob(to: "http://h/")
        job.episode.raisedAt = Instant(microseconds: seconds * 1_000_000)
        let body = try WebhookChannel(publicURL: "http://p").request(for: job, at: now).body
        let expected = Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
        #expect(String(decoding: body, as: UTF8.self).contains("\"raised_at\":\"\(expected)\""), "seed \(step)")
    }

    @Test(arguments: [
        ("http://h/\r\nX-Evil: 1", "recipient's webhook is not an http or https address"),
        ("http://h/ HTTP/1.1", "recipient's webhook is not an http or https address"),
        ("http://h/\u{0}", "recipient's webhook is not an http or https address"),
        ("http://hé/", "recipient's webhook is not an http or https address"),
        ("ftp://h/", "recipient's webhook is not an http or https address"),
        ("file:///etc/passwd", "recipient's webhook is not an http or https address"),
        ("gopher://h/", "recipient's webhook is not an http or https address"),
        ("h/hook", "recipient's webhook is not an http or https address"),
        ("http://", "recipient's webhook is not an http or https address"),
        ("http://h:99999/", "recipient's webhook is not an http or https address"),
        ("", "recipient has no address on this channel"), (nil, "recipient has no address on this channel"),
    ])
    func badAddressesAreRefused(address: String?, reason: String) throws {
        let channel = WebhookChannel(publicURL: "http://p")
        let job = try makeJob(to: address)
        let refusal = #expect(throws: DeliveryRefusal.self) { try channel.request(for: job, at: now) }
        #expect(refusal?.rawValue == reason)
    }

    @Test(arguments: [
        ("http://Host.Example/x", "host.example:80"), ("https://h/", "h:443"), ("HTTP://h:8080?a=b", "h:8080"),
        ("https://user:pass@h/x", "h:443"), ("http://[::1]:9000/", "[::1]:9000"),
    ])
    func hostOfAnAddress(address: String, host: String) {
        #expect(WebAddress(address)?.host == host)
    }

    @Test func keyThatCannotStandInAHeaderIsRefused() throws {
        var job = try makeJob(to: "http://h/")
        job.entry.key = "a\r\nb"
        let channel = WebhookChannel(publicURL: "http://p")
        #expect(throws: DeliveryRefusal.badKey) { try channel.request(for: job, at: now) }
    }

    @Test func otherChannelsAreRefused() throws {
        let job = try makeJob(to: "a@b", channel: .email)
        let channels = DeliveryChannels(webhook: WebhookChannel(publicURL: "http://p"))
        #expect(throws: DeliveryRefusal.otherChannel) { try channels.message(for: job, at: now) }
    }

    @Test(
        arguments: [
            (.answered(status: 200, retryAfter: nil), nil), (.answered(status: 204, retryAfter: 5), nil),
            (.answered(status: 299, retryAfter: nil), nil),
            (.answered(status: 302, retryAfter: nil), "HTTP status 302"),
            (.answered(status: 404, retryAfter: nil), "HTTP status 404"),
            (.answered(status: 500, retryAfter: nil), "HTTP status 500"), (.unanswered("Timeout"), "Timeout"),
        ] as [(HTTPResult, String?)])
    func outcomes(result: HTTPResult, error: String?) throws {
        var generator = SeededGenerator(state: 1)
        let outcome = try DeliveryChannels(webhook: WebhookChannel(publicURL: "http://p"))
            .outcome(of: .http(result), for: makeJob(to: "http://h/"), at: now, using: &generator)
        switch outcome {
        case .sent(let at):
            #expect(error == nil)
            #expect(at == now)
        case .retry(let after, let text):
            #expect(text == error)
            #expect(after >= .seconds(0) && after <= .seconds(1))
        case .failed: Issue.record("nothing that was sent is final")
        }
    }

    @Test(arguments: [(429, 20), (503, 20), (500, 0)])
    func retryAfterCountsWhereItMeansSomething(status: Int, atLeast: Int64) throws {
        var generator = SeededGenerator(state: 1)
        let outcome = try DeliveryChannels(webhook: WebhookChannel(publicURL: "http://p"))
            .outcome(
                of: .http(.answered(status: status, retryAfter: 20)), for: makeJob(to: "http://h/"), at: now,
                using: &generator)
        guard case .retry(let after, _) = outcome else {
            Issue.record("not a retry")
            return
        }
        #expect(after >= .seconds(atLeast) && after <= .seconds(max(atLeast, 1)))
    }
}
