import Alerting
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Synchronization
import Testing

@testable import WebApp

@Suite struct SignInLimitTests {
    @Test func anAddressHasItsShareAndMoreWithTime() {
        let limit = SignInLimit()
        let start = ContinuousClock.now
        #expect((0..<20).allSatisfy { _ in limit.take("a", now: start) })
        #expect(!limit.take("a", now: start))
        #expect(limit.take("b", now: start), "another has its own")
        #expect(!limit.take("a", now: start + .seconds(2)))
        #expect(limit.take("a", now: start + .seconds(4)))
        limit.giveBack("b")
        #expect((0..<20).allSatisfy { _ in limit.take("b", now: start) }, "who signed in has used none")
        limit.giveBack("nobody")
    }

    @Test func howeverManyComeTheyAreBounded() {
        let limit = SignInLimit()
        let start = ContinuousClock.now
        #expect((0..<20).allSatisfy { _ in limit.take("first", now: start) })
        for number in 0..<5_000 { #expect(limit.take("\(number)", now: start + .milliseconds(1 + number))) }
        #expect(limit.count == SignInLimit.addresses)
    }

    @Test(
        arguments: [
            ("192.0.2.7", nil, "192.0.2.7"), ("192.0.2.7", "198.51.100.1", "192.0.2.7"),
            ("127.0.0.1", nil, "127.0.0.1"), ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"), ("127.0.0.1", "unknown", "127.0.0.1"),
            ("127.0.0.1", "1.2.3.4.5", "127.0.0.1"), ("::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "198.51.100.1", "2001:db8:1:2::/64"), ("::ffff:192.0.2.7", nil, "192.0.2.7"),
            ("fe80::1%eth0", nil, "fe80:0:0:0::/64"), ("1:2:3:4:5:6:7", nil, "unknown"), (nil, nil, "unknown"),
            ("::1", ":::::::::::::", "0:0:0:0::/64"), ("127.0.0.1", "", "127.0.0.1"),
        ] as [(String?, String?, String)])
    func theAddressIsThePeersOrWhatOurOwnProxySays(peer: String?, forwarded: String?, expected: String) {
        #expect(SourceAddress.of(peer: peer, forwarded: forwarded) == expected)
    }

    @Test func tooManyAttemptsAreTold() async throws {
        let desk = MemoryDesk()
        let form = ByteBuffer(string: "code=cm-01&password=wrong&digits=1")
        let headers: HTTPFields = [.contentType: "application/x-www-form-urlencoded", .accept: "text/html"]
        let server = pageServer(desk)
        let limit = try #require(server.responder.people?.limit)
        // A share that comes back in an hour, however slow this machine is.
        let later = ContinuousClock.now + .seconds(3600)
        for _ in 0..<20 { #expect(limit.take("unknown", now: later)) }
        try await server.application().test(.router) { client in
            let answer = try await client.execute(uri: "/sign-in", method: .post, headers: headers, body: form)
            #expect(answer.status == .tooManyRequests && answer.headers[.retryAfter] == "60")
            #expect(answer.text.contains("Too many"))
            var elsewhere = headers
            elsewhere[SourceAddress.forwarded] = "198.51.100.1"
            let other = try await client.execute(uri: "/sign-in", method: .post, headers: elsewhere, body: form)
            #expect(other.status == .forbidden, "another address is let in")
        }
        #expect(desk.state.withLock { $0.attempts.count } == 1)
        #expect(desk.state.withLock { $0.attempts.last?.address } == "198.51.100.1")
    }

    /// A session that stands is not enough: what is shown must be made anew.
    @Test func aListThatCanNotBeMadeIsNotLive() async {
        let desk = MemoryDesk()
        let page = PageResponder(
            desk: desk, cookie: SessionCookie(isSecure: false), origin: "http://localhost", logger: testLogger)
        #expect(await page.pulse(MemoryDesk.session) == "pulse")
        desk.state.withLock { $0.isBehind = true }
        #expect(await page.pulse(MemoryDesk.session) == "away")
        desk.state.withLock { $0.unavailable = .busy }
        #expect(await page.pulse(MemoryDesk.session) == "away")
        desk.state.withLock { state in
            state.unavailable = nil
            state.viewer = nil
        }
        #expect(await page.pulse(MemoryDesk.session) == "signed-out")
    }

    @Test func aStreamWhoseHeadIsNeverWrittenEnds() async throws {
        let desk = MemoryDesk()
        let page = PageResponder(
            desk: desk, cookie: SessionCookie(isSecure: false), origin: "http://localhost", logger: testLogger)
        for _ in 0..<20 {
            let answer = try await page.events(MemoryDesk.session)
            #expect(answer.status == .ok)
            #expect(page.streams.openStreams == 1)
            _ = consume answer
        }
        #expect(page.streams.openStreams == 0)
    }
}
