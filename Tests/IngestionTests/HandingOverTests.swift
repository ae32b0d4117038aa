import Alerting
import Clinical
import Instruments
import Logging
import Registry
import RingBuffer
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// The commit thread without the lease, and with it again.
@Suite struct HandingOverTests {
    @Test func `without the lease nothing is judged, stored or told, and all of it is left to the holder`() throws {
        let line = try LeasedLine(spooled: [LeasedLine.message("spooled", spo2: 80)])
        line.seat.set(.standby)
        #expect(eventually { line.handover.ids == ["spooled"] })
        try line.send("in-the-ring", spo2: 80)
        #expect(eventually { line.gauge.durable == 1 })
        #expect(line.handover.ids == ["spooled", "in-the-ring"])
        #expect(line.receipts() == [])
        // The table can't be reached: it is safe here, until it can.
        line.handover.isAway.store(true, ordering: .releasing)
        try line.send("later", spo2: 80)
        #expect(eventually { line.gauge.durable == 2 })
        #expect(line.standby.memorySpool.count(of: .ordinary) == 1)
        line.handover.isAway.store(false, ordering: .releasing)
        #expect(eventually { line.handover.ids == ["spooled", "in-the-ring", "later"] })
        #expect(eventually { line.standby.memorySpool.count(of: .ordinary) == 0 })
        line.end()
        #expect(line.memory.rows.reports.isEmpty)
        #expect(line.memory.openEpisodes.isEmpty)
        #expect(line.standby.told.withLock { $0.isEmpty })
        let counts = line.instruments.reportCounts
        #expect(counts.handedOver == 3 && counts.stored == 0)
        // What was spooled before had been counted by whoever made the spool.
        #expect(counts.received == 2 && counts.inFlight == -1)
    }

    @Test func `the holder judges what others left, answers it, and forgets it`() throws {
        let line = try LeasedLine()
        line.handover.leave([LeasedLine.message("left", spo2: 80), LeasedLine.message("too", spo2: 97)])
        line.seat.set(.holder(epoch: 2))
        line.seat.hasHandover = true
        #expect(eventually { line.handover.ids.isEmpty && !line.seat.hasHandover })
        try line.send("own")
        #expect(eventually { line.gauge.durable == 1 })
        #expect(line.receipts() == ["stored left", "stored too", "stored own"])
        line.end()
        #expect(line.memory.rows.reports.map { "\($0.key.report)" } == ["left", "too", "own"])
        #expect(line.memory.openEpisodes.map(\.rule) == ["spo2-low"])
        let counts = line.instruments.reportCounts
        #expect(counts.received == 3 && counts.stored == 3 && counts.inFlight == 0)
    }

    @Test func `a commit that is refused for the lease tells nobody and hands its reports over`() throws {
        let line = try LeasedLine()
        line.seat.set(.holder(epoch: 1))
        try line.send("before")
        #expect(eventually { line.gauge.durable == 1 })
        line.store.isFenced.store(true, ordering: .releasing)
        try line.send("red", spo2: 80)
        #expect(eventually { line.gauge.durable == 2 })
        #expect(line.seat.standing == .standby)
        #expect(line.handover.ids == ["red"])
        #expect(line.receipts() == ["stored before"])
        line.end()
        #expect(line.memory.rows.reports.map { "\($0.key.report)" } == ["before"])
        #expect(line.standby.told.withLock { $0.isEmpty })
    }
}

/// The table that instances leave things in, in memory.
final class MemoryHandover: Handover, Sendable {
    let isAway = Atomic<Bool>(false)
    private let rows = Mutex<[HandedOver]>([])
    private let next = Atomic<Int64>(0)

    private func check() throws(StoreFailure) {
        if isAway.load(ordering: .acquiring) { throw StoreFailure(kind: .transient, message: "away") }
    }

    func leave(_ messages: [Message]) {
        rows.withLock { rows in
            for message in messages {
                let id = next.add(1, ordering: .relaxed).newValue
                rows.append(HandedOver(id: id, content: .message(message)))
            }
        }
    }

    func handOver(_ messages: [Message], told: [UInt8]) throws(StoreFailure) {
        try check()
        leave(messages)
    }

    func handedOver(limit: Int) throws(StoreFailure) -> [HandedOver] {
        try check()
        return rows.withLock { Array($0.prefix(limit)) }
    }

    func forget(_ forgotten: [HandedOver]) throws(StoreFailure) {
        try check()
        let ids = Set(forgotten.map(\.id))
        rows.withLock { $0.removeAll { ids.contains($0.id) } }
    }

    /// The reports' ids, in the order in which they were left.
    var ids: [String] {
        rows.withLock { rows in
            rows.compactMap { row in
                guard case .message(let message) = row.content else { return nil }
                let parts = String(decoding: message.payload, as: UTF8.self).split(separator: "\"")
                return parts.firstIndex(of: "id").map { String(parts[$0 + 2]) }
            }
        }
    }
}

/// A commit thread that has a seat.
private final class LeasedLine {
    let memory = MemoryStore(registry: Bench.registry(), keepsRows: true)
    let store: FlakyStore
    let standby = TestStandby()
    let handover = MemoryHandover()
    let seat = LeaseSeat(shard: "homeward", instance: "a")
    let instruments: PipelineInstruments = .init(
        .init(
            reasons: RefusalReason.allCases.map(\.rawValue), alertClasses: AlertClass.allCases.map(\.rawValue),
            severities: Severity.allCases.map(\.rawValue), channels: ["webhook"]))
    let gauge: RingGauge
    private let control = CommitControl()
    private var inbox: RingInbox?
    private var threads: [StageThread] = []

    init(spooled: [Message] = []) throws {
        store = FlakyStore(memory)
        if !spooled.isEmpty { try standby.memorySpool.append(spooled, to: .ordinary, holdingRed: false) }
        let ends = try RingEnds<Slot>(capacity: 64) { _ in Slot() }
        gauge = ends.gauge
        let parts = Handoff(
            Parts(
                store: store, standby: standby, seat: seat, handover: handover, control: control,
                instruments: instruments))
        let committer = Handoff(ends.committer)
        let decoder = Handoff(ends.decoder)
        inbox = RingInbox(ring: ends.producer, instruments: instruments, drained: control.receipts)
        threads = [
            StageThread.start(name: "decode") {
                var stage = DecodeStage()
                stage.run(decoder.take())
            },
            StageThread.start(name: "commit") {
                let parts = parts.take()
                var stage = CommitStage(
                    processor: BatchProcessor(packs: Bench.packs), store: parts.store, standby: parts.standby,
                    seat: parts.seat, handover: parts.handover, durable: .milliseconds(50),
                    instruments: parts.instruments, control: parts.control,
                    logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
                stage.run(committer.take())
            },
        ]
    }

    /// `@unchecked`: handed to the thread that owns it.
    private struct Parts: @unchecked Sendable, ~Copyable {
        let store: FlakyStore
        let standby: TestStandby
        let seat: LeaseSeat
        let handover: MemoryHandover
        let control: CommitControl
        let instruments: PipelineInstruments
    }

    static func message(_ id: String, spo2: Double) -> Message {
        Bench.message(Bench.payload(id: id, readings: Bench.reading("spo2", spo2, "%")))
    }

    func send(_ id: String, spo2: Double = 97) throws {
        let message = Self.message(id, spo2: spo2)
        let isTaken = inbox?.receive(
            topic: message.topic.span, payload: message.payload.span, fullLength: message.fullLength, digest: nil,
            retained: false, receivedAt: message.receivedAt)
        try #require(isTaken == true)
        inbox?.publish()
    }

    /// `outcome id` of every receipt since the last call, in order.
    func receipts() -> [String] {
        var lines: [String] = []
        _ = inbox?.releaseDurable { _, payload in
            let text = unsafe payload.withUnsafeBufferPointer { unsafe String(decoding: $0, as: UTF8.self) }
            let parts = text.split(separator: "\"")
            lines.append("\(parts[7]) \(parts[3])")
            return true
        }
        return lines
    }

    func end() {
        inbox = nil
        threads.forEach { $0.join() }
    }
}
