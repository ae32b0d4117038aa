import Alerting
import CLinux
import Clinical
import Formats
import Instruments
import Logging
import Registry

/// What a committed batch means for counters, logs and the dispatcher.
struct CommitAccounts {
    let instruments: PipelineInstruments
    let control: CommitControl
    let logger: Logger
    private var refusals = RefusalLog()

    init(instruments: PipelineInstruments, control: CommitControl, logger: Logger) {
        self.instruments = instruments
        self.control = control
        self.logger = logger
    }

    /// Enters a batch whose transaction began at `started`; returns the time, monotonic nanoseconds.
    mutating func enter(_ report: BatchProcessor.Report, _ batch: [Candidate], since started: Int64) -> Int64 {
        let now = linux_monotonic_nanoseconds()
        instruments.commitSeconds.observe(Double(now - started) / 1e9)
        if !batch.isEmpty { instruments.stages.batchReports.observe(Double(batch.count)) }
        // Before what became of them, so that no scrape sees more ended than received.
        instruments.reportsReceived.add(
            report.released + batch.count { $0.isTyped || $0.wasHandedOver && !$0.message.isStatus })
        instruments.reportsStored.add(report.stored)
        instruments.readingsStored.add(report.readingsStored)
        instruments.reportsDuplicate.add(report.duplicate)
        for (reason, count) in report.quarantined {
            instruments.reportsQuarantined[reason.rawValue].add(count)
            refusals.count(reason, count)
        }
        tellRefusals(now: now)
        for (reason, count) in report.readingsRefused { instruments.readingsRefused[reason.rawValue].add(count) }
        for (reason, count) in report.statusesRefused { instruments.statusesRefused[reason.rawValue].add(count) }
        raised(report.notifying, batch, now: now)
        for change in report.memory.episodes {
            // What a person does is logged where it is done.
            for event in change.events where [.backInRange, .enteredInError].contains(event.transition) {
                logger.info(
                    "alert changed",
                    metadata: [
                        "alert": "\(change.episode.id)", "transition": "\(event.transition.rawValue)",
                        "state": "\(change.episode.state.rawValue)",
                    ])
            }
        }
        for change in report.escalated {
            logger.notice(
                "alert escalated",
                metadata: [
                    "alert": "\(change.episode.id)", "level": "\(change.episode.escalationLevel)",
                    "severity": "\(change.episode.severity.rawValue)",
                ])
        }
        if report.wroteOutbox { control.wakeDispatcher() }
        return now
    }

    /// An attempt to commit that failed.
    func failed(_ failure: StoreFailure) { instruments.stages.countDatabaseError(failure.sqlState) }

    /// Left to the instance that holds the lease.
    func handedOver(_ messages: [Message]) {
        instruments.reportsHandedOver.add(messages.count { !$0.isStatus })
    }

    /// The batch in work, whose oldest report is still unacknowledged; nil: none is.
    func works(on oldest: Message?) {
        let tick = oldest?.receivedTick ?? 0
        instruments.stages.oldestUnacknowledgedSeconds.observe {
            tick == 0 ? 0 : Double(linux_monotonic_nanoseconds() - tick) / 1e9
        }
    }

    /// Logs what was quarantined, once a minute at most. Monotonic nanoseconds.
    mutating func tellRefusals(now: Int64) {
        for (reason, count) in refusals.take(now: now) {
            logger.notice("reports quarantined", metadata: ["reason": "\(reason.rawValue)", "count": "\(count)"])
        }
    }

    /// Alerts that are with delivery now. A report out of the spool has no tick: its alert was told when it came.
    func raised(_ changes: [EpisodeChange], _ batch: [Candidate], now: Int64) {
        guard !changes.isEmpty else { return }
        var ticks: [ReportKey: Int64] = [:]
        for candidate in batch where candidate.message.receivedTick > 0 {
            guard let topic = candidate.decoded.topic, let id = candidate.decoded.report.id else { continue }
            ticks[ReportKey(device: topic.device, report: id)] = candidate.message.receivedTick
        }
        for change in changes {
            let episode = change.episode
            // A self-test's is nobody's.
            if !Synthetic.isSynthetic(episode.site) {
                instruments.alertsRaised[episode.alertClass.rawValue, episode.severity.rawValue].add()
            }
            let key = change.events.last { $0.transition.notifies }?.report
            if let tick = key.flatMap({ ticks[$0] }) {
                instruments.reportToAlertSeconds.observe(Double(now - tick) / 1e9)
            }
            let transition = change.events.last { $0.transition.notifies }?.transition ?? .opened
            logger.info(
                "alert raised",
                metadata: [
                    "alert": "\(episode.id)", "rule": "\(episode.rule)", "class": "\(episode.alertClass.rawValue)",
                    "severity": "\(episode.severity.rawValue)", "transition": "\(transition.rawValue)",
                ])
        }
    }
}

/// Counts what was quarantined between two lines of the log: the first is told at once, the others once a minute.
struct RefusalLog {
    static let interval: Int64 = 60 * 1_000_000_000
    private var counts: [RefusalReason: Int] = [:]
    private var next: Int64?

    mutating func count(_ reason: RefusalReason, _ count: Int) { counts[reason, default: 0] += count }

    /// What is to be logged now, in the order of the reasons' names; empty while a minute has not passed.
    mutating func take(now: Int64) -> [(reason: RefusalReason, count: Int)] {
        guard !counts.isEmpty, now >= next ?? now else { return [] }
        next = now + Self.interval
        defer { counts = [:] }
        return counts.sorted { $0.key.rawValue < $1.key.rawValue }.map { ($0.key, $0.value) }
    }
}
