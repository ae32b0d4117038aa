import Alerting
import CLinux
import Clinical
import Formats
public import Instruments
public import Logging
import Registry
public import RingBuffer
import Synchronization

/// The commit thread: takes what is decoded, makes it durable in the store, and only then moves `durable`.
///
/// A transient failure is retried with the same batch for as long as it takes; a row that the store refuses is
/// bisected out into quarantine as `unstorable`; a fault of schema or rights holds everything and quarantines nothing.
public struct CommitStage {
    /// The most reports of one transaction.
    public static let batchLimit = 2000

    private var processor: BatchProcessor
    private let store: any CommitStore
    private let instruments: PipelineInstruments
    private let control: CommitControl
    private let logger: Logger
    private var poison = PoisonGauge()
    private var lastComplaint: (words: String, tick: Int64)?

    public init(
        processor: BatchProcessor, store: any CommitStore, instruments: PipelineInstruments, control: CommitControl,
        logger: Logger
    ) {
        self.processor = processor
        self.store = store
        self.instruments = instruments
        self.control = control
        self.logger = logger
    }

    /// Works until the ring is finished or failed, or `control` says to give up. The body of the commit thread.
    public mutating func run(_ ring: consuming RingStage<Slot>) {
        while true {
            switch ring.wait(milliseconds: 1000) {
            case .slots(let range):
                control.beat()
                for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.batchLimit) {
                    let part = start..<min(start + Self.batchLimit, range.upperBound)
                    guard work(part, &ring) else {
                        ring.fail()
                        return
                    }
                }
            case .timedOut:
                control.beat()
                takeNewPacks()
            case .finished, .failed:
                ring.finish()
                return
            }
        }
    }

    private mutating func takeNewPacks() {
        if let packs = control.takePacks() { processor.use(packs) }
    }

    /// False when it was told to give up before the slots were durable.
    private mutating func work(_ range: Range<Int>, _ ring: inout RingStage<Slot>) -> Bool {
        takeNewPacks()
        var pending = range.map { sequence in
            ring.withSlot(sequence) { slot in
                Candidate(
                    message: slot.message, decoded: slot.decoded,
                    admission: .unreadable(.malformed, detail: "not looked at yet"))
            }
        }
        var next = range.lowerBound
        while !pending.isEmpty {
            let count = Self.prefixWithoutConflictingTwins(pending)
            var batch = Array(pending.prefix(count))
            pending.removeFirst(count)
            guard makeDurable(&batch) else { return false }
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

    private mutating func makeDurable(_ batch: inout [Candidate]) -> Bool {
        var wait = Backoff()
        while true {
            let started = linux_monotonic_nanoseconds()
            do throws(StoreFailure) {
                let report = try processor.commit(&batch, to: store)
                control.note(nil)
                count(report, batch: batch, started: started)
                return true
            } catch {
                store.rollback()
                switch error.kind {
                case .poison where !poison.isSuspicious(now: started):
                    if let settled = bisect(&batch, error) { return settled }
                case .transient, .misconfigured, .poison:
                    complain(error)
                    control.note(error)
                    // What other connections changed while we were away must be read again.
                    processor.forgetStoreState()
                }
            }
            guard control.sleep(milliseconds: wait.next()) else { return false }
        }
    }

    /// Halves the batch until the row that can't be stored stands alone. Nil: hold and try the whole again.
    private mutating func bisect(_ batch: inout [Candidate], _ failure: StoreFailure) -> Bool? {
        if batch.count > 1 {
            var first = Array(batch.prefix(batch.count / 2))
            var second = Array(batch.suffix(batch.count - batch.count / 2))
            guard makeDurable(&first), makeDurable(&second) else { return false }
            batch = first + second
            return true
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
        return makeDurable(&batch)
    }

    private mutating func count(_ report: BatchProcessor.Report, batch: [Candidate], started: Int64) {
        let now = linux_monotonic_nanoseconds()
        instruments.commitSeconds.observe(Double(now - started) / 1e9)
        instruments.reportsStored.add(report.stored)
        instruments.readingsStored.add(report.readingsStored)
        instruments.reportsDuplicate.add(report.duplicate)
        for (reason, count) in report.quarantined {
            instruments.reportsQuarantined[reason.rawValue].add(count)
            logger.notice(
                "reports quarantined", metadata: ["reason": "\(reason.rawValue)", "count": "\(count)"])
        }
        for (reason, count) in report.readingsRefused {
            instruments.readingsRefused[reason.rawValue].add(count)
        }
        for (reason, count) in report.statusesRefused {
            instruments.statusesRefused[reason.rawValue].add(count)
        }
        poison.sawReports(report.stored + report.duplicate, now: now)
        guard !report.notifying.isEmpty else { return }
        var ticks: [ReportKey: Int64] = [:]
        for candidate in batch {
            guard let topic = candidate.decoded.topic, let id = candidate.decoded.report.id else { continue }
            ticks[ReportKey(device: topic.device, report: id)] = candidate.message.receivedTick
        }
        for change in report.notifying {
            let episode = change.episode
            instruments.alertsRaised[episode.alertClass.rawValue, episode.severity.rawValue].add()
            let key = change.events.last { $0.transition.notifies }?.report
            if let tick = key.flatMap({ ticks[$0] }) {
                instruments.reportToAlertSeconds.observe(Double(now - tick) / 1e9)
            }
            logger.info(
                "alert raised",
                metadata: [
                    "alert": "\(episode.id)", "rule": "\(episode.rule)", "class": "\(episode.alertClass.rawValue)",
                    "severity": "\(episode.severity.rawValue)",
                ])
        }
        if report.wroteOutbox { control.wakeDispatcher() }
    }

    /// The same words once a minute at most.
    private mutating func complain(_ failure: StoreFailure) {
        let now = linux_monotonic_nanoseconds()
        let words = failure.description
        if let last = lastComplaint, last.words == words, now - last.tick < 60_000_000_000 { return }
        lastComplaint = (words, now)
        logger.error("batch not committed, trying again", metadata: ["failure": "\(words)"])
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

/// Rows that decoding let through and the store refused: a few are rubbish, many are a bug of ours, and a bug of ours
/// must not empty the stream into quarantine. Over 5 % of a minute's reports and at least 20: hold instead.
struct PoisonGauge {
    private var minute: Int64 = 0
    private var refused = 0
    private var reports = 0

    mutating func count(now: Int64) {
        turn(now)
        refused += 1
    }

    mutating func sawReports(_ count: Int, now: Int64) {
        turn(now)
        reports += count
    }

    mutating func isSuspicious(now: Int64) -> Bool {
        turn(now)
        return refused >= 20 && refused * 20 > reports + refused
    }

    private mutating func turn(_ now: Int64) {
        let current = now / 60_000_000_000
        guard current != minute else { return }
        minute = current
        refused = 0
        reports = 0
    }
}
