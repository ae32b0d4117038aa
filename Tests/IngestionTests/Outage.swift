import Alerting
import Clinical
import Registry
import Synchronization

@testable import Ingestion

/// A store that can be taken away: every call fails until it is back. Commit thread only, but for `isAway`.
final class FlakyStore: CommitStore {
    let memory: MemoryStore
    let isAway = Atomic<Bool>(false)
    /// The next so many COMMITs succeed and say that they failed.
    let lostAnswers = Atomic<Int>(0)
    /// Calls that failed because it is away.
    let failures = Atomic<Int>(0)
    /// Every COMMIT is refused for another instance's lease.
    let isFenced = Atomic<Bool>(false)

    init(_ memory: MemoryStore) { self.memory = memory }

    private func check() throws(StoreFailure) {
        if isAway.load(ordering: .acquiring) {
            failures.add(1, ordering: .relaxed)
            throw StoreFailure(kind: .transient, sqlState: "57P01", message: "away")
        }
    }

    func limit(until deadline: Int64?) {}
    func begin() throws(StoreFailure) -> Int64 {
        try check()
        return try memory.begin()
    }
    func registry() throws(StoreFailure) -> Registry {
        try check()
        return try memory.registry()
    }
    func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] {
        try check()
        return try memory.claim(claims)
    }
    func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        try check()
        return try memory.openEpisodes(of: subjects)
    }
    func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> {
        try check()
        return try memory.subjectsWithOpenEpisodes()
    }
    func everyOpenEpisode() throws(StoreFailure) -> [Episode] {
        try check()
        return try memory.everyOpenEpisode()
    }
    func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] {
        try check()
        return try memory.recorded(alerts)
    }
    func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
        try check()
        return try memory.history(of: needs)
    }
    func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] { [:] }
    func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        try check()
        return try memory.sequences(of: devices)
    }
    func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Timer] {
        try check()
        return try memory.dueTimers(kinds, waited: waited, by: instant, limit: limit)
    }
    func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer] {
        try check()
        return try memory.timers(names, skippingLocked: skippingLocked)
    }
    func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer] {
        try check()
        return try memory.everyTimer(kind)
    }
    func waitingReleases(limit: Int, at sites: Set<Identifier>?) throws(StoreFailure) -> [Release] {
        try check()
        return []
    }
    func write(_ batch: CommitBatch) throws(StoreFailure) {
        try check()
        try memory.write(batch)
    }
    func commit() throws(StoreFailure) {
        try check()
        if isFenced.load(ordering: .acquiring) {
            throw StoreFailure(kind: .fenced, sqlState: "HW001", message: "another instance holds the lease")
        }
        try memory.commit()
        if lostAnswers.load(ordering: .acquiring) > 0 {
            lostAnswers.subtract(1, ordering: .acquiringAndReleasing)
            throw StoreFailure(kind: .transient, message: "connection lost")
        }
    }
    func rollback() { memory.rollback() }
}

/// A spool without a disk.
final class MemorySpool: ReportSpool, Sendable {
    private let lanes = Mutex<[SpoolLane: [Message]]>([:])
    /// Messages, as if each were of the same size.
    let quota = Atomic<Int>(1_000_000)
    let incidents = Mutex<[SpoolIncident]>([])

    func count(of lane: SpoolLane) -> Int { lanes.withLock { $0[lane]?.count ?? 0 } }
    var bytes: Int { lanes.withLock { $0.values.map(\.count).reduce(0, +) } }
    var fill: Double { Double(bytes) / Double(quota.load(ordering: .relaxed)) }

    func append(_ messages: [Message], to lane: SpoolLane, holdingRed: Bool) throws(SpoolFailure) {
        let most = quota.load(ordering: .relaxed)
        let fits = lanes.withLock { lanes in
            let used = lanes.values.map(\.count).reduce(0, +) + messages.count
            guard used <= (holdingRed ? most : most * 19 / 20) else { return false }
            lanes[lane, default: []] += messages
            return true
        }
        if !fits { throw SpoolFailure(kind: .full, message: "quota reached") }
    }

    func first(_ limit: Int, of lane: SpoolLane) throws(SpoolFailure) -> [Message] {
        lanes.withLock { Array($0[lane, default: []].prefix(limit)) }.map { message in
            var message = message
            message.receivedTick = 0
            return message
        }
    }

    func removeFirst(_ count: Int, of lane: SpoolLane) throws(SpoolFailure) {
        lanes.withLock { $0[lane, default: []].removeFirst(count) }
    }

    func takeIncidents() -> [SpoolIncident] {
        incidents.withLock { incidents in
            defer { incidents = [] }
            return incidents
        }
    }
}

/// What was told stays with the test.
final class TestLedger: OutageLedger {
    func contains(_ alert: AlertID) -> Bool { false }
    func redAlert(of subject: Subject, rule: String) -> AlertID? { nil }
    func deliveries(of alert: AlertID) -> [MadeDelivery] { [] }
    var unrecorded: [OutageNotice] { [] }
    var lateOutcomes: [LateOutcome] { [] }
    func handOver(_ alerts: [AlertAlias], recorded outcomes: [LateOutcome]) {}
    func release() {}
}

/// `@unchecked`: the commit thread calls it; the test reads what is behind a lock.
final class TestStandby: Standby, @unchecked Sendable {
    let memorySpool = MemorySpool()
    let memoryStore = MemoryStore(registry: Bench.registry())
    let told = Mutex<[EpisodeChange]>([])
    let outagesEnded = Atomic<Int>(0)
    private let testLedger = TestLedger()

    var spool: any ReportSpool { memorySpool }
    var memory: any CommitStore { memoryStore }
    var ledger: any OutageLedger { testLedger }
    let toldAgain = Mutex<[OutageNotice]>([])
    func tell(_ changes: [EpisodeChange], registry: Registry) { told.withLock { $0 += changes } }
    func tell(_ notices: [OutageNotice]) { toldAgain.withLock { $0 += notices } }
    func note(_ memory: JudgingMemory, registry: Registry) {}
    var isRefreshDue: Bool { false }
    func refresh(from store: any CommitStore) throws(StoreFailure) {}
    func endOutage() { outagesEnded.add(1, ordering: .releasing) }
    func close() {}
}
