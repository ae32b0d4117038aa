import Alerting
import CLinux
import Clinical
import Formats
public import Instruments
public import Logging
import Registry
public import RingBuffer

/// The commit thread: takes what is decoded, makes it durable, and only then moves `durable`.
///
/// Durable is committed in PostgreSQL or, where that is not done within the deadline for whatever reason, synced to the
/// standby's spool, which is drained oldest first once PostgreSQL takes reports again; until it is empty new reports go
/// to its tail. A row that the store refuses is bisected out into quarantine as `unstorable`; a fault of schema or
/// rights quarantines nothing. Without a standby a batch is tried for as long as it takes.
public struct CommitStage {
    /// The most reports of one transaction.
    public static let batchLimit = 2000

    /// What became of a batch.
    enum Fate {
        case committed
        /// PostgreSQL did not take it in time. Part of it may be committed: its outcomes say so.
        case late
        /// Told to give up before it was durable.
        case gaveUp
    }

    var processor: BatchProcessor
    let store: any CommitStore
    let standby: (any Standby)?
    /// Nil: there is no other instance.
    let seat: LeaseSeat?
    let handover: (any Handover)?
    let control: CommitControl
    let logger: Logger
    /// From the receipt of a batch's oldest report until it must be durable; nanoseconds.
    let patience: Int64
    var spooling: Spooling
    var flood = FloodGuard()
    var accounts: CommitAccounts
    /// When timers are looked for again; monotonic nanoseconds.
    var nextTimers: Int64 = 0
    var timerTurn = TimerTurn()
    /// When releases are looked for again; monotonic nanoseconds.
    var nextReleases: Int64 = 0
    /// When reports that were typed in are looked for again; monotonic nanoseconds.
    var nextTyped: Int64 = 0
    /// When a second had passed without a report; monotonic nanoseconds.
    var lastIdle: Int64 = .min
    /// That nothing can be received from the broker.
    var isBlindnessTold: Bool?
    /// Under which epoch that was judged what is remembered between batches; nil: under none yet.
    var judgedUnder: LeaseSeat.Standing?
    /// The keeper's look is old, and was waited for.
    var hasWaitedForLook = false
    /// Reading without the lease what judging goes on from: when again (monotonic nanoseconds), and how long after a failure.
    var warming = (next: Int64.min, backoff: Backoff())
    /// Since when nobody has said who holds the lease; monotonic nanoseconds.
    var undecidedSince: Int64?
    /// Of what is left to another instance, or was left to this one.
    var handing = Pace()
    /// With which chore the next round between two batches begins: after the one that failed, else 0.
    var nextChore = 0
    /// Whom outages on the readers' side hide.
    var cutOff = CutOff()
    /// The next transaction of missed readings: how many patients, and not before that time (monotonic nanoseconds).
    var dueReadings = (size: ScheduleRound.size, next: Int64.min, hasFailed: false)
    private var poison = PoisonGauge()
    private let complaints = RepeatedWords()

    /// - Parameters:
    ///   - processor: judges in PostgreSQL's transactions; a copy of it with a memory of its own judges in an outage.
    ///   - standby: nil: hold, and let the broker queue, until PostgreSQL takes reports.
    ///   - seat: whether this instance is the one of its shard that judges; nil: it always is.
    ///   - handover: how what it may not judge is left to the one that may, and taken from another.
    ///   - durable: from the receipt of a report until it must be durable.
    public init(
        processor: BatchProcessor, store: any CommitStore, standby: (any Standby)? = nil, seat: LeaseSeat? = nil,
        handover: (any Handover)? = nil, durable: Duration = .seconds(2), instruments: PipelineInstruments,
        control: CommitControl, logger: Logger
    ) {
        self.processor = processor
        self.store = store
        self.standby = standby
        self.seat = seat
        self.handover = handover
        self.control = control
        self.logger = logger
        patience = durable.components.seconds * 1_000_000_000 + durable.components.attoseconds / 1_000_000_000
        spooling = Spooling(processor.forOutages, DecodeStage(crashGuard: processor.crashGuard))
        accounts = CommitAccounts(instruments: instruments, control: control, logger: logger)
    }

    /// Works until the ring is finished or failed, or `control` says to give up. The body of the commit thread.
    public mutating func run(_ ring: consuming RingStage<Slot>) {
        resume()
        // The registry is read at once: an outage that begins before the first report must find it.
        betweenBatches()
        while true {
            switch ring.wait(milliseconds: untilNextTurn) {
            case .slots(let range):
                control.beat()
                spooling.isIdle = false
                for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.batchLimit) {
                    let part = start..<min(start + Self.batchLimit, range.upperBound)
                    guard work(part, &ring) else {
                        standby?.close()
                        ring.fail()
                        return
                    }
                }
            case .timedOut:
                control.beat()
                spooling.isIdle = true
                if untilNextTurn == Spooling.idle { lastIdle = linux_monotonic_nanoseconds() }
                takeNews()
            case .finished, .failed:
                standby?.close()
                ring.finish()
                return
            }
            betweenBatches()
        }
    }

    /// New packs and what other threads have found.
    mutating func takeNews() {
        accounts.tellRefusals(now: linux_monotonic_nanoseconds())
        if let packs = control.takePacks() {
            processor.use(packs)
            spooling.processor.use(packs)
        }
        processor.clock.doubt = control.clockProblem
        spooling.processor.clock.doubt = control.clockProblem
        let findings = control.takeFindings()
        // A standby's are in its log and on its metrics page: who judges has its own.
        guard seat?.standing != .standby else { return }
        for finding in findings { raise(finding) }
    }

    /// False when it was told to give up before the slots were durable.
    private mutating func work(_ range: Range<Int>, _ ring: inout RingStage<Slot>) -> Bool {
        lookAtLease()
        comeBack()
        takeNews()
        spooling.judgedThrough = max(spooling.judgedThrough, range.upperBound - 1)
        var pending = Self.candidates(range, &ring)
        accounts.works(on: pending.first?.message)
        defer { accounts.works(on: nil) }
        var next = range.lowerBound
        while !pending.isEmpty {
            let count = Self.prefixWithoutConflictingTwins(pending)
            var batch = Array(pending.prefix(count))
            pending.removeFirst(count)
            guard settle(&batch, &ring) else { return false }
            for candidate in batch {
                ring.withSlot(next) { $0.outcome = candidate.outcome }
                next += 1
            }
            // The candidates share the slots' arrays: let go of them before the slots are written again.
            batch.removeAll()
            ring.publish(through: next - 1)
            control.beat()
        }
        return true
    }

    static func candidates(_ range: Range<Int>, _ ring: inout RingStage<Slot>) -> [Candidate] {
        range.map { sequence in
            ring.withSlot(sequence) { slot in
                Candidate(message: slot.message, decoded: slot.decoded, outcome: slot.outcome)
            }
        }
    }

    /// Committed or spooled. False when it was told to give up.
    private mutating func settle(_ batch: inout [Candidate], _ ring: inout RingStage<Slot>) -> Bool {
        guard let standby else { return settleWithoutSpool(&batch) }
        // A full spool takes reds ahead of their turn.
        let isKept = batch.map { $0.outcome.disposition == .spooled }
        guard !isKept.contains(true) else {
            return Self.apart(&batch, isKept) { others, _ in settle(&others, &ring, standby) }
        }
        let floods = flood.floods(in: batch, now: linux_monotonic_nanoseconds())
        // The overflow must leave the spool its use: then a flood goes with the others, as fast as PostgreSQL takes it.
        guard !floods.isEmpty, standby.spool.fill < Spooling.overflowShare else {
            return settle(&batch, &ring, standby)
        }
        for device in floods { raiseFlood(of: device) }
        // The reports of devices that flood go to the overflow, so that the others don't wait for them.
        let isFlood = batch.map { $0.decoded.topic.map { floods.contains($0.device) } ?? false }
        return Self.apart(&batch, isFlood) { others, flood in
            guard settle(&others, &ring, standby) else { return false }
            if !spooling.isActive, overflow(&flood, standby) { return true }
            return settle(&flood, &ring, standby)
        }
    }

    private mutating func settle(
        _ batch: inout [Candidate], _ ring: inout RingStage<Slot>, _ standby: any Standby
    ) -> Bool {
        guard !batch.isEmpty else { return true }
        if !spooling.isActive {
            let oldest = batch.first?.message.receivedTick ?? linux_monotonic_nanoseconds()
            switch makeDurable(&batch, until: oldest + patience) {
            case .committed: return true
            case .gaveUp: return false
            case .late: if isHolder { beginSpooling() }
            }
        }
        // It is durable then, and another's to judge.
        guard isHolder else { return handOver(&batch) }
        return spool(&batch, &ring, standby)
    }

    private mutating func settleWithoutSpool(_ batch: inout [Candidate]) -> Bool {
        switch makeDurable(&batch, until: nil) {
        case .committed: true
        case .gaveUp: false
        case .late: handOver(&batch)
        }
    }

    var isHolder: Bool { seat?.isHolder ?? true }

    /// Works on two parts of a batch and puts it together again in its order.
    private static func apart(
        _ batch: inout [Candidate], _ isSecond: [Bool], _ work: (inout [Candidate], inout [Candidate]) -> Bool
    ) -> Bool {
        var first = zip(batch, isSecond).filter { !$0.1 }.map(\.0)
        var second = zip(batch, isSecond).filter(\.1).map(\.0)
        guard work(&first, &second) else { return false }
        var nextFirst = first.makeIterator()
        var nextSecond = second.makeIterator()
        batch = isSecond.compactMap { $0 ? nextSecond.next() : nextFirst.next() }
        return true
    }

    /// Two reports of one id with different content are told apart only by what is stored: the second one waits for
    /// the first one's transaction.
    static func prefixWithoutConflictingTwins(_ candidates: [Candidate]) -> Int {
        var digests: [ReportKey: (UInt64, UInt64)] = [:]
        for (index, candidate) in candidates.enumerated() {
            guard candidate.decoded.fault == nil, let topic = candidate.decoded.topic,
                let id = candidate.decoded.report.id
            else { continue }
            let key = ReportKey(device: topic.device, report: id)
            let digest = (candidate.decoded.digest.high, candidate.decoded.digest.low)
            if let earlier = digests[key], earlier != digest { return index }
            digests[key] = digest
        }
        return candidates.count
    }

    /// Tries until it is committed, `limit` (monotonic nanoseconds) has come or so many attempts have failed.
    mutating func makeDurable(_ batch: inout [Candidate], until limit: Int64?, attempts: Int = .max) -> Fate {
        var wait = Backoff()
        var attempt = 0
        while true {
            guard isHolder else { return .late }
            comeBack()
            attempt += 1
            let started = linux_monotonic_nanoseconds()
            store.limit(until: limit)
            do throws(StoreFailure) {
                let report = try processor.commit(
                    &batch, to: store, recording: standby?.ledger,
                    at: Instant(microseconds: linux_wall_clock_microseconds()))
                control.note(nil)
                poison.sawReports(report.stored + report.duplicate, now: accounts.enter(report, batch, since: started))
                if standby != nil { control.unsent.add(report.redNotices) }
                standby?.note(report.memory, registry: processor.registry)
                return .committed
            } catch {
                store.rollback()
                // What was about to become of them did not.
                batch.indices.forEach { batch[$0].outcome = Outcome() }
                switch error.kind {
                case .fenced:
                    complain(error)
                    processor.forgetStoreState()
                    _ = isFenced(error)
                    return .late
                case .poison where !poison.isSuspicious(now: started):
                    if let fate = bisect(&batch, error, until: limit) { return fate }
                case .transient, .misconfigured, .poison:
                    complain(error)
                    control.note(error)
                    accounts.failed(error)
                    // What other connections changed while we were away must be read again.
                    processor.forgetStoreState()
                }
            }
            if attempt >= attempts { return .late }
            var milliseconds = wait.next()
            if let limit {
                let left = (limit - linux_monotonic_nanoseconds()) / 1_000_000
                guard left > Int64(milliseconds) else { return .late }
                milliseconds = min(milliseconds, Int32(clamping: left))
            }
            guard control.sleep(milliseconds: milliseconds) else { return .gaveUp }
        }
    }

    /// What no report brought about, and is committed.
    mutating func enter(_ report: BatchProcessor.Report, since started: Int64) {
        _ = accounts.enter(report, [], since: started)
        if standby != nil { control.unsent.add(report.redNotices) }
        standby?.note(report.memory, registry: processor.registry)
    }

    /// Halves the batch until the row that can't be stored stands alone. Nil: hold and try the whole again.
    private mutating func bisect(_ batch: inout [Candidate], _ failure: StoreFailure, until limit: Int64?) -> Fate? {
        if batch.count > 1 {
            var first = Array(batch.prefix(batch.count / 2))
            var second = Array(batch.suffix(batch.count - batch.count / 2))
            var fate = makeDurable(&first, until: limit)
            if fate == .committed { fate = makeDurable(&second, until: limit) }
            batch = first + second
            return fate
        }
        guard var candidate = batch.first, candidate.decoded.fault?.reason != .unstorable else {
            // Even its quarantine row is refused: nothing of ours helps, hold.
            complain(failure)
            return nil
        }
        poison.count(now: linux_monotonic_nanoseconds())
        logger.error(
            "report can't be stored",
            metadata: [
                "reason": "unstorable", "sqlstate": "\(failure.sqlState ?? "-")",
                "device": "\(candidate.decoded.topic.map { "\($0.device)" } ?? "-")",
            ])
        candidate.decoded.fault = Decoded.Fault(
            reason: .unstorable, detail: "{\"sqlstate\":\"\(failure.sqlState ?? "")\"}")
        batch = [candidate]
        return makeDurable(&batch, until: limit)
    }

    /// The same words once a minute, with how often that was.
    func complain(_ failure: some CustomStringConvertible) {
        let words = failure.description
        guard let count = complaints.take(words) else { return }
        logger.error("batch not durable, trying again", metadata: ["failure": "\(words)", "count": "\(count)"])
    }
}

/// Full-jitter back-off between attempts of one batch.
struct Backoff {
    private var bound: Int32 = 20

    /// Milliseconds to wait before the next attempt.
    mutating func next() -> Int32 {
        defer { bound = min(bound * 2, 1000) }
        return Int32.random(in: bound / 2...bound)
    }
}
