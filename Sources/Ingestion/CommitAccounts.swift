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

    /// Enters a batch whose transaction began at `started`; returns the time, monotonic nanoseconds.
    func enter(_ report: BatchProcessor.Report, _ batch: [Candidate], since started: Int64) -> Int64 {
        let now = linux_monotonic_nanoseconds()
        instruments.commitSeconds.observe(Double(now - started) / 1e9)
        instruments.reportsStored.add(report.stored)
        instruments.readingsStored.add(report.readingsStored)
        instruments.reportsDuplicate.add(report.duplicate)
        for (reason, count) in report.quarantined {
            instruments.reportsQuarantined[reason.rawValue].add(count)
            logger.notice("reports quarantined", metadata: ["reason": "\(reason.rawValue)", "count": "\(count)"])
        }
        for (reason, count) in report.readingsRefused { instruments.readingsRefused[reason.rawValue].add(count) }
        for (reason, count) in report.statusesRefused { instruments.statusesRefused[reason.rawValue].add(count) }
        raised(report.notifying, batch, now: now)
        if report.wroteOutbox { control.wakeDispatcher() }
        return now
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
    }
}
