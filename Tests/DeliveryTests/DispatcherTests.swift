import Alerting
import Clinical
import Foundation
import Instruments
import Logging
import Registry
import Synchronization
import Testing

@testable import Delivery

/// A dispatcher at work on `queue` while `body` runs.
func withDispatcher(
    _ queue: MemoryQueue, channel: WebhookChannel = WebhookChannel(publicURL: "http://127.0.0.1:8480"),
    channels: DeliveryChannels? = nil, health: ChannelHealth = ChannelHealth(),
    limits: Backlog<DeliveryJob>.Limits = .init(),
    logger: Logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
    _ body: (PipelineInstruments, Dispatcher) async throws -> Void
) async throws {
    let instruments = PipelineInstruments(
        .init(
            reasons: [], alertClasses: ["clinical"], severities: ["red"],
            channels: Channel.allCases.map(\.rawValue)))
    let dispatcher = try Dispatcher(
        queue: queue, channels: channels ?? DeliveryChannels(webhook: channel), health: health, limits: limits,
        instruments: instruments, logger: logger, clock: wallClock)
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await dispatcher.run() }
        defer { dispatcher.stop() }
        try await body(instruments, dispatcher)
        dispatcher.stop()
        try await group.waitForAll()
    }
}

private let shortDeadline = WebhookChannel(
    publicURL: "http://127.0.0.1:8480", deadline: Interval(microseconds: 300_000))

/// Waits until `condition` holds; fails after five minutes, of which tests that block may have held the threads for some.
func eventually(_ condition: () -> Bool) async {
    let end = ContinuousClock.now + .seconds(300)
    while !condition() {
        guard ContinuousClock.now < end else {
            Issue.record("it never came true")
            return
        }
        try? await Task.sleep(for: .milliseconds(5))
    }
}

extension MemoryQueue {
    /// The next `count` outcomes.
    func next(_ count: Int = 1) async -> [Recorded] {
        var list: [Recorded] = []
        for await entry in recorded {
            list.append(entry)
            if list.count == count { break }
        }
        return list
    }
}

extension DeliveryOutcome {
    var isSent: Bool { if case .sent = self { true } else { false } }
    var error: String? {
        switch self {
        case .sent: nil
        case .retry(_, let error), .failed(let error): error
        }
    }
}

@Suite(.timeLimit(.minutes(20))) struct DispatcherTests {
    @Test(arguments: ["200 OK", "204 No Content", "201 Created"])
    func aSecondHundredIsDelivered(status: String) async throws {
        let server = try LoopbackServer { _ in .status(status) }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: "\(server.url)/hook?x=1")])
        try await withDispatcher(queue) { instruments, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
            #expect(instruments.deliveries["webhook", "sent"].value == 1)
            #expect(instruments.deliveries.total == 1)
        }
        let request = try #require(server.requests.first)
        #expect(server.requests.count == 1)
        #expect(request.path == "/hook?x=1")
        #expect(request.headers["content-type"] == "application/json")
        #expect(request.headers["expect"] == nil)
    }

    @Test func aFailureIsRepeatedUnderTheSameKey() async throws {
        let count = Counter()
        let server = try LoopbackServer { _ in
            count.add()
            return count.value <= 2 ? .status("500 Internal Server Error") : .status("200 OK")
        }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        try await withDispatcher(queue) { instruments, _ in
            let outcomes = await queue.next(3)
            #expect(outcomes.map(\.outcome.error) == ["HTTP status 500", "HTTP status 500", nil])
            #expect(outcomes.map(\.job.attempt) == [1, 2, 3])
            #expect(instruments.deliveries["webhook", "retried"].value == 2)
            #expect(instruments.deliveries["webhook", "sent"].value == 1)
        }
        #expect(server.requests.count == 3)
        #expect(Set(server.requests.map { $0.headers["homeward-delivery"] }).count == 1)
        #expect(Set(server.requests.map(\.body)).count == 1)
    }

    @Test func aRedirectIsNotFollowed() async throws {
        let other = try LoopbackServer { _ in .status("200 OK") }
        let target = other.url
        let server = try LoopbackServer { _ in .status("302 Found", headers: ["Location: \(target)/stolen"]) }
        defer {
            server.stop()
            other.stop()
        }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.keepRetries()
        try await withDispatcher(queue) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == ["HTTP status 302"])
        }
        #expect(other.requests.isEmpty)
    }

    @Test(arguments: [
        LoopbackServer.Answer.silence, .drip("HTTP/1.1 200 OK\r\nX-Slow: "), .drip("HTTP/1.1 2"),
    ])
    func theDeadlineCoversTheWholeRequest(answer: LoopbackServer.Answer) async throws {
        let server = try LoopbackServer { _ in answer }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.keepRetries()
        try await withDispatcher(queue, channel: shortDeadline) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == ["Timeout was reached"])
        }
    }

    /// The answer is known once its headers are there: to send again would be a repeat without need.
    @Test(arguments: [
        LoopbackServer.Answer.drip("HTTP/1.1 200 OK\r\n\r\n"),
        .bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut off"),
        .flood,
        .bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"),
    ])
    func theBodyOfAnAnswerDoesNotMatter(answer: LoopbackServer.Answer) async throws {
        let server = try LoopbackServer { _ in answer }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        let channel = WebhookChannel(publicURL: "http://p", deadline: .seconds(2))
        try await withDispatcher(queue, channel: channel) { _, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
        }
    }

    @Test(arguments: [
        LoopbackServer.Answer.halfClose, .bytes(""), .bytes("HTTP/1.1 200 OK\r\nContent-Le"), .bytes("SSH-2.0-x\r\n"),
        .bytes("HTTP/1.1 100 Continue\r\n\r\n"),
    ])
    func aBrokenAnswerIsTriedAgain(answer: LoopbackServer.Answer) async throws {
        let server = try LoopbackServer { _ in answer }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.keepRetries()
        try await withDispatcher(queue, channel: shortDeadline) { instruments, _ in
            let outcome = try #require(await queue.next().first).outcome
            guard case .retry = outcome else {
                Issue.record("\(outcome)")
                return
            }
            #expect(instruments.deliveries["webhook", "retried"].value == 1)
        }
    }

    @Test func aRefusedConnectionIsTriedAgain() async throws {
        let queue = try MemoryQueue([makeJob(to: "http://127.0.0.1:\(closedPort())/")])
        queue.keepRetries()
        try await withDispatcher(queue) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == ["Couldn't connect to server"])
        }
    }

    @Test(arguments: ["http://169.254.169.254/latest", "http://[fe80::1]/", "http://[::ffff:169.254.169.254]/"])
    func linkLocalAddressesAreNotConnectedTo(address: String) async throws {
        let queue = try MemoryQueue([makeJob(to: address)])
        queue.keepRetries()
        try await withDispatcher(queue) { _, _ in
            #expect(await queue.next().map(\.outcome.error) == ["Couldn't connect to server"])
        }
    }

    @Test func retryAfterIsHonoured() async throws {
        let server = try LoopbackServer { _ in .status("429 Too Many Requests", headers: ["Retry-After: 25"]) }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.keepRetries()
        try await withDispatcher(queue) { _, _ in
            guard case .retry(let after, _) = await queue.next().first?.outcome else {
                Issue.record("not a retry")
                return
            }
            #expect(after >= .seconds(25))
        }
    }

    @Test func whatCanNotBeSentFails() async throws {
        let queue = try MemoryQueue([makeJob(1, to: nil), makeJob(2, to: "http://h/\r\nEvil: 1")])
        try await withDispatcher(queue) { instruments, _ in
            #expect(
                await queue.next(2).map(\.outcome) == [
                    .failed(error: "recipient has no address on this channel"),
                    .failed(error: "recipient's webhook is not an http or https address"),
                ])
            #expect(instruments.deliveries["webhook", "failed"].value == 2)
        }
    }

    /// Verified by OpenSSL, not by our own HMAC.
    @Test func theSignatureIsVerifiedByAnother() async throws {
        let server = try LoopbackServer { _ in .status("200 OK") }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url, summary: "weight + 2.1 kg in 2 days \u{2265} 2 kg")])
        let channel = WebhookChannel(publicURL: "http://127.0.0.1:8480", secret: Array("key-1-of-the-test".utf8))
        try await withDispatcher(queue, channel: channel) { _, _ in _ = await queue.next() }
        let request = try #require(server.requests.first)
        let timestamp = try #require(request.headers["homeward-timestamp"])
        let signed = Data("\(timestamp).".utf8) + Data(request.body)
        let output = try runProgram("openssl", ["dgst", "-sha256", "-hmac", "key-1-of-the-test", "-r"], input: signed)
        let digest = try #require(output.split(separator: " ").first)
        #expect(request.headers["homeward-signature"] == "sha256=\(digest)")
    }

    @Test func anEndpointThatHangsHoldsUpNobodyElse() async throws {
        let hanging = try LoopbackServer { _ in .silence }
        let good = try LoopbackServer { _ in .status("200 OK") }
        defer {
            hanging.stop()
            good.stop()
        }
        let jobs = try (1...40).map { try makeJob($0, to: hanging.url) }
        let queue = try MemoryQueue(jobs + [makeJob(99, to: good.url)])
        queue.keepRetries()
        let channel = WebhookChannel(publicURL: "http://p", deadline: .seconds(30))
        let limits = Backlog<DeliveryJob>.Limits(inFlight: 8, perHost: 4, waiting: 8)
        try await withDispatcher(queue, channel: channel, limits: limits) { _, _ in
            for await entry in queue.recorded {
                if entry.job.episode.id.low == 99 {
                    #expect(entry.outcome.isSent)
                    break
                }
                #expect(entry.outcome.error == "other messages to its host are under way")
            }
            #expect(hanging.requests.count <= 4)
            // What still hangs ends now, and so does the test.
            hanging.stop()
        }
    }

    /// The daemon dies after sending and before recording: the repeat carries the same key, so the receiver can tell.
    @Test func aLostRecordRepeatsUnderTheSameKey() async throws {
        let server = try LoopbackServer { _ in .status("200 OK") }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.loseRecords(1)
        try await withDispatcher(queue) { _, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
        }
        #expect(server.requests.count == 2)
        #expect(Set(server.requests.map { $0.headers["homeward-delivery"] }).count == 1)
    }

    /// The database is away after sending: the outcome is kept and recorded later, even when the lease has run out.
    @Test func anOutcomeThatCanNotBeRecordedIsNotSentAgain() async throws {
        let queueBox = Mutex<MemoryQueue?>(nil)
        let server = try LoopbackServer { _ in
            queueBox.withLock { $0?.fail(claims: 2, records: 3) }
            return .status("200 OK")
        }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queueBox.withLock { $0 = queue }
        try await withDispatcher(queue) { _, _ in
            await eventually { !server.requests.isEmpty }
            queue.endLeases()
            #expect(await queue.next().map(\.outcome.isSent) == [true])
        }
        #expect(server.requests.count == 1)
    }

    @Test func aQueueThatFailsIsAskedAgain() async throws {
        let server = try LoopbackServer { _ in .status("200 OK") }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.fail(claims: 3)
        try await withDispatcher(queue) { _, _ in
            #expect(await queue.next().map(\.outcome.isSent) == [true])
        }
        #expect(queue.failuresLeft == 0)
    }

    @Test func stoppingGivesBackWhatWaitsAndFinishesWhatIsUnderWay() async throws {
        let server = try LoopbackServer { _ in .silence }
        defer { server.stop() }
        let queue = try MemoryQueue((1...6).map { try makeJob($0, to: server.url) })
        queue.keepRetries()
        let channel = WebhookChannel(publicURL: "http://p", deadline: .seconds(30))
        let limits = Backlog<DeliveryJob>.Limits(patience: .hours(1), slow: .hours(1))
        try await withDispatcher(queue, channel: channel, limits: limits) { _, dispatcher in
            await eventually { server.requests.count == 4 }
            dispatcher.stop()
            let waiting = await queue.next(2)
            #expect(waiting.allSatisfy { $0.outcome.error == "stopped before it was sent" })
            // Those under way end by themselves, here because the receiver hangs up.
            server.stop()
            let underWay = await queue.next(4)
            #expect(underWay.allSatisfy { $0.outcome.error == "Server returned nothing (no headers, no data)" })
        }
        #expect(server.requests.count == 4)
    }

    @Test func stoppingWaitsForTheDeadlineAtMost() async throws {
        let server = try LoopbackServer { _ in .silence }
        defer { server.stop() }
        let queue = try MemoryQueue([makeJob(to: server.url)])
        queue.keepRetries()
        try await withDispatcher(queue, channel: shortDeadline) { _, _ in }
        // Claimed or not, nothing is left half done.
        #expect(queue.isNothingLeased)
    }

    @Test func logsHoldNoAddressAndNoSummary() async throws {
        let server = try LoopbackServer { _ in .status("500 Oops") }
        defer { server.stop() }
        let lines = LogLines()
        let queue = try MemoryQueue([
            makeJob(1, to: "http://user:hunter2@127.0.0.1:\(server.port)/secret-path", summary: "glucose 2.1 mmol/L"),
            makeJob(2, to: "ftp://user:hunter2@h/secret-path"),
        ])
        queue.keepRetries()
        let logger = Logger(label: "test") { _ in lines }
        try await withDispatcher(queue, logger: logger) { _, _ in _ = await queue.next(2) }
        let text = lines.text
        #expect(text.contains("alert was not delivered and will be sent again"))
        #expect(text.contains("alert can't be delivered"))
        for secret in ["hunter2", "secret-path", "127.0.0.1", "glucose", "P0001"] {
            #expect(!text.contains(secret))
        }
    }

    @Test func runsOnce() async throws {
        let instruments = PipelineInstruments(.init(reasons: [], alertClasses: [], severities: [], channels: []))
        let dispatcher = try Dispatcher(
            queue: MemoryQueue([]), channels: DeliveryChannels(webhook: WebhookChannel(publicURL: "http://p")),
            health: ChannelHealth(), instruments: instruments,
            logger: Logger(label: "test"))
        dispatcher.stop()
        try await dispatcher.run()
        await #expect(throws: DispatcherFault.alreadyRan) { try await dispatcher.run() }
    }
}

/// Keeps what was logged.
private final class LogLines: LogHandler {
    private let lines = Mutex<[String]>([])

    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }

    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    var text: String { lines.withLock { $0.joined(separator: "\n") } }

    func log(event: LogEvent) {
        lines.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
    }
}
