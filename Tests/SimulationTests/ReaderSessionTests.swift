import Clinical
import Formats
import Foundation
import Synchronization
import Testing

@testable import Simulation

/// Both clocks in the test's hand.
private final class ManualClock: ReaderClock {
    private let microseconds = Mutex<Int64>(0)

    var elapsed: Interval { Interval(microseconds: microseconds.withLock { $0 }) }
    var now: Instant { Instant(microseconds: 1_790_000_000_000_000) + elapsed }

    func advance(by interval: Interval) { microseconds.withLock { $0 += interval.microseconds } }
}

/// A broker and a daemon in memory: every `serve` acknowledges what was published and gives the answers due.
private final class MemoryLink: ReaderLink {
    struct Sent: Equatable {
        let at: Interval
        let topic: String
        let payload: [UInt8]
    }

    let clock: ManualClock
    var isConnected = false
    /// The broker is out of reach.
    var isDown = false
    /// Acknowledgements don't come back.
    var holdsAcknowledgements = false
    /// The receipt for a report's n-th arrival, from 1; nil is lost.
    var answer: (_ id: String, _ arrival: Int) -> String? = { id, arrival in
        "{\"id\":\"\(id)\",\"outcome\":\"\(arrival == 1 ? "stored" : "duplicate")\"}"
    }
    private(set) var filters: [String] = []
    private(set) var reports: [Sent] = []
    private(set) var statuses: [Sent] = []
    private(set) var closed = false
    private var arrivals: [String: Int] = [:]
    private var pending: [ReaderLinkEvent] = []
    private var packet: Int32 = 0

    init(clock: ManualClock) { self.clock = clock }

    func subscribe(_ filter: String) { filters.append(filter) }

    func publish(topic: String, payload: [UInt8], retained: Bool) throws -> Int32 {
        struct NotConnected: Error {}
        guard isConnected else { throw NotConnected() }
        packet += 1
        if !holdsAcknowledgements { pending.append(.acknowledged(packet: packet, taken: true)) }
        let sent = Sent(at: clock.elapsed, topic: topic, payload: payload)
        if topic.hasSuffix("/status") {
            #expect(retained)
            statuses.append(sent)
            return packet
        }
        #expect(!retained)
        reports.append(sent)
        var report = SentReport()
        var decoder = ReportDecoder()
        try decoder.decode(payload.span, into: &report)
        let id = report.id?.description ?? ""
        let arrival = (arrivals[topic + id] ?? 0) + 1
        arrivals[topic + id] = arrival
        if !holdsAcknowledgements, let receipt = answer(id, arrival) {
            let receiptTopic = topic.replacing("/report", with: "/receipt")
            pending.append(.message(topic: receiptTopic, payload: Array(receipt.utf8)))
        }
        return packet
    }

    func lose() {
        isConnected = false
        pending = [.disconnected]
    }

    func serve(milliseconds: Int32, _ body: (ReaderLinkEvent) -> Void) {
        if !isConnected, !isDown {
            isConnected = true
            pending.append(.connected)
        }
        if pending.isEmpty { clock.advance(by: Interval(microseconds: Int64(max(1, milliseconds)) * 1000)) }
        let events = pending
        pending = []
        for event in events { body(event) }
    }

    func close() { closed = true }
}

private func report(_ number: Int, losesFirstReceipt: Bool = false) -> SimulatedReport {
    let time = Instant(microseconds: 1_790_000_000_000_000) + .seconds(Int64(number))
    return SimulatedReport(
        site: "ward", device: "sim-00001", id: "r-\(number)", takenAt: time - .seconds(5), uploadAt: time,
        sequence: Int64(number),
        readings: [SentReading(kind: .known(.spo2), value: .number(97), unit: .known(.percent))],
        losesFirstReceipt: losesFirstReceipt)
}

private func settings(_ pace: SimulationPace = .onePass) -> ReaderSession.Settings {
    ReaderSession.Settings(
        site: "ward", devices: ["sim-00001"], pace: pace, count: nil, duration: nil, passEnd: nil,
        takenWhenSent: false, resend: ResendPolicy(), window: 100, receiptWait: .hours(3), giveUpAfter: .seconds(30))
}

private func session(
    _ reports: [SimulatedReport], _ link: MemoryLink, settings: ReaderSession.Settings = settings()
) -> ReaderSession {
    ReaderSession(
        settings: settings, source: reports.makeIterator(), link: link, clock: link.clock, stop: StopFlag())
}

@Suite struct ReaderSessionTests {
    @Test func aReceiptEndsTheKeeping() throws {
        let link = MemoryLink(clock: ManualClock())
        let summary = try session([report(1), report(2)], link).run()
        #expect(link.filters == ["homeward/v1/ward/sim-00001/receipt"])
        #expect(
            link.reports.map(\.topic) == ["homeward/v1/ward/sim-00001/report", "homeward/v1/ward/sim-00001/report"])
        #expect(summary.published == 2 && summary.resent == 0 && summary.withoutReceipt == 0)
        #expect(summary.outcomes == ["stored": 2] && summary.exitStatus == 0)
        let states = link.statuses.map { String(decoding: $0.payload, as: UTF8.self).prefix(18) }
        #expect(states == ["{\"state\":\"online\",", "{\"state\":\"offline\""])
        #expect(link.closed)
    }

    @Test func aLostReceiptBringsTheSameBytesAgainEverLaterUntilItComes() throws {
        let link = MemoryLink(clock: ManualClock())
        link.answer = { id, arrival in arrival < 12 ? nil : "{\"id\":\"\(id)\",\"outcome\":\"duplicate\"}" }
        let summary = try session([report(1)], link).run()
        #expect(link.reports.count == 12)
        #expect(Set(link.reports.map(\.payload)).count == 1)
        let waits = zip(link.reports.dropFirst(), link.reports).map { $0.at.seconds - $1.at.seconds }
        #expect(waits.map { $0.rounded() } == [5, 10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800])
        #expect(summary.published == 1 && summary.resent == 11 && summary.outcomes == ["duplicate": 1])
    }

    @Test func aReaderThatLosesItsReceiptSendsOnceMore() throws {
        let link = MemoryLink(clock: ManualClock())
        let summary = try session([report(1, losesFirstReceipt: true), report(2)], link).run()
        #expect(link.reports.count == 3)
        #expect(link.reports.first?.payload == link.reports.last?.payload)
        #expect(summary.receiptsLostOnPurpose == 1 && summary.resent == 1)
        #expect(summary.outcomes == ["stored": 1, "duplicate": 1])
    }

    @Test func whatWasNotAcknowledgedLeavesAgainWithTheNextConnection() throws {
        let link = MemoryLink(clock: ManualClock())
        link.holdsAcknowledgements = true
        let session = session([report(1), report(2)], link)
        while link.reports.count < 2 { #expect(session.step()) }
        link.lose()
        link.holdsAcknowledgements = false
        while session.step() {}
        #expect(link.reports.count == 4)
        #expect(link.reports[2...].map(\.payload) == link.reports[..<2].map(\.payload))
        // Without waiting for the back-off.
        #expect(link.reports[3].at < .seconds(5))
        #expect(session.summary.outcomes == ["duplicate": 2])
        #expect(link.statuses.count == 2)
    }

    @Test func anUnreachableBrokerIsStatus69() throws {
        let link = MemoryLink(clock: ManualClock())
        link.isDown = true
        let summary = try session([report(1)], link).run()
        #expect(summary.exitStatus == 69 && summary.published == 0)
        #expect(link.clock.elapsed > .seconds(30) && link.clock.elapsed < .seconds(32))
    }

    @Test func missingReceiptsAreCountedAfterTheWait() throws {
        let link = MemoryLink(clock: ManualClock())
        link.answer = { _, _ in nil }
        var settings = settings()
        settings.resend = ResendPolicy(initial: .hours(1), longest: .hours(1))
        settings.receiptWait = .seconds(60)
        let summary = try session([report(1), report(2)], link, settings: settings).run()
        #expect(summary.withoutReceipt == 2 && summary.outcomes.isEmpty && summary.exitStatus == 0)
    }

    @Test func aRateIsKeptByTheMonotonicClock() throws {
        let link = MemoryLink(clock: ManualClock())
        var settings = settings(.rate(50))
        settings.takenWhenSent = true
        settings.duration = .seconds(10)
        let summary = try session((1...5000).map { report($0) }, link, settings: settings).run()
        #expect((495...501).contains(summary.published), "\(summary.published)")
        let last = try #require(link.reports.last)
        var lastReport = SentReport()
        var decoder = ReportDecoder()
        try decoder.decode(last.payload.span, into: &lastReport)
        // Taken when it was sent: the five seconds between taking and uploading stay.
        #expect(lastReport.sentAt == link.clock.now - (link.clock.elapsed - last.at))
        #expect(lastReport.takenAt == (lastReport.sentAt ?? lastReport.takenAt) - .seconds(5))
    }

    @Test func speedCompressesTheGaps() throws {
        let link = MemoryLink(clock: ManualClock())
        let reports = [0, 60, 180].map { report($0) }
        _ = try session(reports, link, settings: settings(.speed(60))).run()
        let first = try #require(link.reports.first?.at.seconds)
        #expect(link.reports.map { ($0.at.seconds - first).rounded() } == [0, 1, 3])
    }

    @Test func countAndPassEndBoundARun() throws {
        let link = MemoryLink(clock: ManualClock())
        var settings = settings()
        settings.count = 3
        #expect(try session((1...10).map { report($0) }, link, settings: settings).run().published == 3)
        settings.count = nil
        settings.passEnd = report(4).uploadAt
        let second = MemoryLink(clock: ManualClock())
        #expect(try session((1...10).map { report($0) }, second, settings: settings).run().published == 4)
    }

    @Test func theSummaryCountsReasonsAndReads() throws {
        let link = MemoryLink(clock: ManualClock())
        link.answer = { id, _ in
            switch id {
            case "r-1": "{\"id\":\"r-1\",\"outcome\":\"quarantined\",\"reason\":\"too-old\"}"
            case "r-2":
                "{\"id\":\"r-2\",\"outcome\":\"stored\",\"refused\":[{\"reading\":0,\"kind\":\"spo2\","
                    + "\"reason\":\"implausible\"}],\"repeat_after_minutes\":30}"
            default: "{\"id\":\"\(id)\",\"outcome\":\"stored\"}"
            }
        }
        let summary = try session((1...3).map { report($0) }, link).run()
        #expect(summary.reasons == ["too-old": 1] && summary.refusedReadings == ["implausible": 1])
        #expect(summary.repeatsAsked == 1)
        #expect(summary.text.contains("quarantined 1, stored 2"))
        let json = try JSONSerialization.jsonObject(with: Data(summary.json.utf8)) as? [String: Any]
        #expect(json?["published"] as? Int == 3)
        #expect((json?["quarantined"] as? [String: Int]) == ["too-old": 1])
    }
}

@Suite struct ReportPayloadTests {
    /// The daemon's own strict decoder reads back what readers write.
    @Test(arguments: Scenario.allCases)
    func theDecoderReadsEveryPayload(scenario: Scenario) throws {
        let ward = SimulatedWard(
            patients: 24, scenario: scenario, seed: 11, start: Instant(microseconds: 1_790_000_000_000_000),
            site: "ward")
        var decoder = ReportDecoder()
        var sent = SentReport()
        for report in ward.prefix(3000) {
            sent.reset()
            try decoder.decode(report.payload(sentAt: report.uploadAt).span, into: &sent)
            #expect(sent.id?.description == report.id && sent.sequence == report.sequence)
            #expect(sent.takenAt == report.takenAt && sent.sentAt == report.uploadAt)
            #expect(sent.readings == report.readings && sent.answers == report.answers)
            #expect(sent.battery == report.battery.map(Double.init))
        }
    }

    @Test func namesAreEscaped() {
        let odd = SimulatedReport(
            site: "ward", device: "d", id: "1", takenAt: Instant(microseconds: 0), uploadAt: Instant(microseconds: 0),
            readings: [SentReading(kind: .unknown("a\"\\\u{1}"), value: .code("é"), unit: .unknown("x"))])
        #expect(
            String(decoding: odd.payload(sentAt: odd.takenAt), as: UTF8.self).hasSuffix(
                "{\"kind\":\"a\\\"\\\\\\u0001\",\"value\":\"é\",\"unit\":\"x\"}]}"))
    }
}

@Suite struct LatencyHistogramTests {
    @Test func quantilesAreWithinOnePercent() throws {
        var histogram = LatencyHistogram()
        #expect(histogram.milliseconds(quantile: 0.5) == nil)
        for microseconds in 1...100_000 as ClosedRange<Int64> { histogram.record(Interval(microseconds: microseconds)) }
        let median = try #require(histogram.milliseconds(quantile: 0.5))
        let slow = try #require(histogram.milliseconds(quantile: 0.99))
        #expect(abs(median - 50) < 1 && abs(slow - 99) < 2)
        histogram.record(Interval(microseconds: -5))
        histogram.record(Interval(microseconds: .max))
        #expect(histogram.milliseconds(quantile: 1) != nil)
    }
}

@Suite struct PriorityQueueTests {
    @Test(arguments: [1, 2, 3] as [UInt64])
    func theLeastComesFirst(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var queue = PriorityQueue<Int>()
        var model: [Int] = []
        for _ in 0..<4000 {
            if random.chance(0.6) {
                let number = random.below(1000)
                queue.insert(number)
                model.append(number)
                model.sort(by: >)
            } else {
                #expect(queue.popFirst() == model.popLast(), "seed \(seed)")
            }
            #expect(queue.first == model.last)
        }
    }
}
