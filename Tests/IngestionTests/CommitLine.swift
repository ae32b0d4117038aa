import Alerting
import Clinical
import Formats
import Instruments
import Logging
import Registry
import RingBuffer
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// A ring with its commit thread, with a lease where the test says so; the test is the mqtt thread. `end()` before
/// anything of the thread's own is looked at.
final class CommitLine {
    let memory = MemoryStore(registry: Bench.registry(), keepsRows: true)
    let store: FlakyStore
    let standby = TestStandby()
    let handover = MemoryHandover()
    /// Undecided until the test says whose the lease is.
    let seat = LeaseSeat(shard: "homeward", instance: "a")
    let control = CommitControl()
    let instruments = PipelineInstruments(
        .init(
            reasons: RefusalReason.allCases.map(\.rawValue), alertClasses: AlertClass.allCases.map(\.rawValue),
            severities: Severity.allCases.map(\.rawValue), channels: Channel.allCases.map(\.rawValue)))
    let gauge: RingGauge
    private var inbox: RingInbox?
    private let threads: [StageThread]

    init(spooled: [Message] = [], flood: FloodGuard = FloodGuard(), isLeased: Bool = false) throws {
        store = FlakyStore(memory)
        if !spooled.isEmpty { try standby.memorySpool.append(spooled, to: .ordinary, holdingRed: false) }
        let ends = try RingEnds<Slot>(capacity: 64) { _ in Slot() }
        gauge = ends.gauge
        let parts = Handoff(
            Parts(
                store: store, standby: standby, seat: isLeased ? seat : nil, handover: isLeased ? handover : nil,
                control: control, instruments: instruments))
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
                stage.flood = flood
                stage.run(committer.take())
            },
        ]
    }

    /// `@unchecked`: handed to the thread that owns it.
    private struct Parts: @unchecked Sendable, ~Copyable {
        let store: FlakyStore
        let standby: TestStandby
        let seat: LeaseSeat?
        let handover: MemoryHandover?
        let control: CommitControl
        let instruments: PipelineInstruments
    }

    static func message(_ id: String, spo2: Double) -> Message {
        Bench.message(Bench.payload(id: id, readings: Bench.reading("spo2", spo2, "%")))
    }

    func send(_ id: String, spo2: Double = 97) throws {
        try stage(id, spo2: spo2)
        publish()
    }

    var hasRoom: Bool { (inbox?.freeSlots ?? 0) > 0 }
    func publish() { inbox?.publish() }
    func release() { _ = inbox?.releaseDurable { _, _ in true } }

    func stage(_ id: String, spo2: Double = 97, device: String = "dev-0001") throws {
        var message = Self.message(id, spo2: spo2)
        message.topic = Array("homeward/v1/north/\(device)/report".utf8)
        let isTaken = inbox?.receive(
            topic: message.topic.span, payload: message.payload.span, fullLength: message.fullLength, digest: nil,
            retained: false, receivedAt: message.receivedAt)
        try #require(isTaken == true)
    }

    func isDurable(_ count: Int) -> Bool { eventually { gauge.durable == count } }

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

    /// Received, stored, duplicate.
    var counts: [Int] {
        let counts = instruments.reportCounts
        return [counts.received, counts.stored, counts.duplicate]
    }

    func end() {
        inbox = nil
        threads.forEach { $0.join() }
    }

    var storedIDs: [String] { memory.rows.reports.map { "\($0.key.report)" } }
}

/// The table that instances leave things in, in memory.
final class MemoryHandover: Handover, Sendable {
    let isAway = Atomic<Bool>(false)
    /// As a slow database: more rows than this in one call are late.
    let most = Atomic<Int>(.max)
    /// The next so many calls of `forget` fail.
    let failingForgets = Atomic<Int>(0)
    private let rows = Mutex<[HandedOver]>([])
    private let next = Atomic<Int64>(0)

    private func check(_ count: Int = 0) throws(StoreFailure) {
        if isAway.load(ordering: .acquiring) || count > most.load(ordering: .acquiring) {
            throw StoreFailure(kind: .transient, message: "away")
        }
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
        try check(messages.count)
        leave(messages)
    }

    func handedOver(limit: Int) throws(StoreFailure) -> [HandedOver] {
        try check(limit)
        return rows.withLock { Array($0.prefix(limit)) }
    }

    func forget(_ forgotten: [HandedOver]) throws(StoreFailure) {
        try check()
        if failingForgets.load(ordering: .acquiring) > 0 {
            failingForgets.subtract(1, ordering: .acquiringAndReleasing)
            throw StoreFailure(kind: .transient, message: "connection lost")
        }
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
