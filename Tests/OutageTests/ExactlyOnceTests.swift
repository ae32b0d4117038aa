import Alerting
import Clinical
import Registry
import TestSupport
import Testing

@testable import Ingestion
@testable import Outage

/// Judged in memory, told, drained: whatever fails in between, each red of the store has been told once.
@Suite struct ExactlyOnceTests {
    @Test(arguments: 0..<60)
    func `each red is told once, whatever fails while it is drained`(seed: UInt64) throws {
        let run = try Run(seed: seed)
        try run.work()
        let rows = run.rows()
        for episode in run.store.openEpisodes where episode.severity == .red {
            let told = rows.values.filter { $0.alert == episode.id && $0.isRed && $0.recipient == "cm-01" }
            #expect(told.count == 1, "seed \(seed): \(episode.rule) \(episode.subject.text)")
        }
        // Every message that was told of is a row, settled as it was, and nothing settled is sent again.
        for (key, outcome) in run.outcomes { #expect(rows[key]?.state == outcome, "seed \(seed): \(key)") }
        for key in run.added { #expect(rows[key] != nil, "seed \(seed): \(key)") }
        #expect(run.deliveries.isEmpty, "seed \(seed)")
        #expect(run.doubled.isEmpty, "seed \(seed): \(run.doubled)")
    }
}

/// A store whose commit fails now and then: before it took effect, or after.
private final class FailingStore: CommitStore {
    let store: MemoryStore
    var nextFailure: (isAfter: Bool, Void)?

    init(_ store: MemoryStore) { self.store = store }

    func limit(until deadline: Int64?) {}

    func begin() throws(StoreFailure) -> Int64 { try store.begin() }
    func registry() throws(StoreFailure) -> Registry { try store.registry() }
    func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] { try store.claim(claims) }
    func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        try store.openEpisodes(of: subjects)
    }
    func everyOpenEpisode() throws(StoreFailure) -> [Episode] { try store.everyOpenEpisode() }
    func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] { try store.recorded(alerts) }
    func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> { try store.subjectsWithOpenEpisodes() }
    func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
        try store.history(of: needs)
    }
    func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] {
        try store.enteredInError(since: since)
    }
    func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        try store.sequences(of: devices)
    }
    func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Timer] {
        try store.dueTimers(kinds, waited: waited, by: instant, limit: limit)
    }
    func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer] {
        try store.timers(names, skippingLocked: skippingLocked)
    }
    func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer] { try store.everyTimer(kind) }
    func write(_ batch: CommitBatch) throws(StoreFailure) { try store.write(batch) }
    func commit() throws(StoreFailure) {
        defer { nextFailure = nil }
        if nextFailure?.isAfter ?? true { try store.commit() }
        if nextFailure != nil { throw StoreFailure(kind: .transient, message: "gone") }
    }
    func rollback() { store.rollback() }
}

private final class Run {
    struct Row {
        var alert: AlertID
        var recipient: String
        var isRed: Bool
        /// Nil while it waits.
        var state: DeliveryOutcome?
    }

    var generator: SplitMix64
    let scratch: Scratch
    let store: MemoryStore
    private let failing: FailingStore
    var deliveries: OutageDeliveries
    let memory = OutageStore()
    var processor = Ward.processor(inOutage: false)
    var inOutage = Ward.processor(inOutage: true)
    private var messages: [Message] = []
    private var spool: [Message] = []
    private var underWay: [DeliveryJob] = []
    /// What came of every message that ended in the outage.
    var outcomes: [String: DeliveryOutcome] = [:]
    var added: Set<String> = []
    var doubled: Set<String> = []

    init(seed: UInt64) throws {
        generator = SplitMix64(seed: seed)
        scratch = try Scratch()
        store = MemoryStore(registry: Ward.registry(devices: 3), keepsRows: true)
        failing = FailingStore(store)
        deliveries = try OutageDeliveries(directory: scratch.path)
        memory.use(Ward.registry(devices: 3))
        for number in 0..<30 {
            let isPressure = Int.random(in: 0..<4, using: &generator) == 0
            let values: [Double] = isPressure ? [180, 120, 175] : [97, 93, 90, 85]
            let value = values.randomElement(using: &generator) ?? 97
            let offset = Interval.seconds(Int64(number * 10 - Int.random(in: 0..<3, using: &generator) * 15))
            var message = Ward.message(
                "r\(number)", device: Int.random(in: 0..<3, using: &generator), isPressure ? "systolic" : "spo2", value,
                at: Ward.now + offset)
            message.receivedAt = Ward.now + .seconds(Int64(number * 10))
            messages.append(message)
        }
    }

    private func next(_ source: inout [Message]) -> [Message] {
        let count = min(source.count, Int.random(in: 1...4, using: &generator))
        defer { source.removeFirst(count) }
        return Array(source.prefix(count))
    }

    func work() throws {
        var waiting = Array(messages.prefix(8))
        while !waiting.isEmpty { memory.note(try processor.take(next(&waiting), store).memory) }
        waiting = Array(messages.dropFirst(8))
        // The outage, and then the drain, into which the last reports still come.
        while waiting.count > 5 { try judge(next(&waiting)) }
        if Bool.random(using: &generator) { try restart() }
        while !spool.isEmpty || !waiting.isEmpty {
            if !waiting.isEmpty, Bool.random(using: &generator) || spool.isEmpty { try judge(next(&waiting)) }
            if !spool.isEmpty { try drain() }
            send()
        }
        try until { try processor.recordLeftovers(of: deliveries, to: failing) }
        finish()
        try until { try processor.take([], failing, recording: deliveries) }
        deliveries.endOutage()
        memory.endOutage()
    }

    private func judge(_ batch: [Message]) throws {
        spool += batch
        let reds = try inOutage.take(batch, memory).notifying.filter { $0.episode.severity == .red }
        let notices = Route(registry: inOutage.registry).outageNotices(for: reds)
        added.formUnion(notices.map(\.job.entry.key))
        try deliveries.add(notices)
        send()
    }

    private func drain() throws {
        var rest = spool
        let batch = next(&rest)
        spool = rest
        let report = try until { try processor.take(batch, failing, recording: deliveries) }
        memory.note(report.memory)
    }

    /// As the commit stage does: the same again after a failure.
    @discardableResult
    private func until(_ body: () throws -> BatchProcessor.Report) throws -> BatchProcessor.Report {
        while true {
            if Int.random(in: 0..<4, using: &generator) == 0 {
                failing.nextFailure = (Bool.random(using: &generator), ())
            }
            do { return try body() } catch is StoreFailure { send() }
        }
    }

    /// The daemon dies: what was under way is sent again under its key, which is allowed then.
    private func restart() throws {
        underWay = []
        deliveries = try OutageDeliveries(directory: scratch.path)
        memory.endOutage()
        memory.adopt(deliveries.openEpisodes)
        inOutage = Ward.processor(inOutage: true)
    }

    private func send() {
        if Bool.random(using: &generator) {
            for job in deliveries.claim(limit: Int.random(in: 0...3, using: &generator), lease: .hours(1)) {
                if case .sent? = outcomes[job.entry.key] { doubled.insert(job.entry.key) }
                underWay.append(job)
            }
        }
        while !underWay.isEmpty, Bool.random(using: &generator) { end(underWay.removeFirst()) }
    }

    private func end(_ job: DeliveryJob) {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: deliveries.record(.retry(after: .seconds(0), error: "500"), of: job)
        case 1:
            outcomes[job.entry.key] = .failed(error: "redirect")
            deliveries.record(.failed(error: "redirect"), of: job)
        default:
            outcomes[job.entry.key] = .sent(at: Ward.now)
            deliveries.record(.sent(at: Ward.now), of: job)
        }
    }

    private func finish() {
        while !underWay.isEmpty { end(underWay.removeFirst()) }
    }

    /// The outbox as the database's statements would leave it.
    func rows() -> [String: Row] {
        var severities: [String: Severity] = [:]
        for event in store.rows.episodes.flatMap(\.events) {
            severities["\(event.alert) \(event.revision)"] = event.severity
        }
        var rows: [String: Row] = [:]
        for made in store.rows.madeDeliveries {
            let settled: DeliveryOutcome? =
                switch made.state {
                case .sent(let at): .sent(at: at)
                case .failed: .failed(error: made.lastError ?? "")
                case .pending, .underWay, .handedOver: nil
                }
            if let row = rows[made.entry.key], row.state != nil || settled == nil { continue }
            rows[made.entry.key] = Row(
                alert: made.entry.alert, recipient: made.entry.recipient.description, isRed: made.severity == .red,
                state: settled)
        }
        for late in store.rows.lateOutcomes {
            if case .retry = late.outcome { continue }
            rows[late.key]?.state = late.outcome
        }
        for entry in store.rows.outbox where rows[entry.key] == nil {
            rows[entry.key] = Row(
                alert: entry.alert, recipient: entry.recipient.description,
                isRed: severities["\(entry.alert) \(entry.revision)"] == .red, state: nil)
        }
        return rows
    }
}
