import Clinical
import Foundation
public import MQTTClient
import Synchronization

extension SimulationOptions {
    /// Publishes until the source, the count or the duration is used up and every receipt has come, or Ctrl-C.
    ///
    /// Blocks the calling thread; each connection runs on a thread of its own. SIGINT and SIGTERM end the run instead
    /// of the process while it lasts.
    /// - Throws: `RecordingFault` for recorded data that can't be read (exit status 65). A broker that can't be
    ///   reached is no error here but told by the summary, whose `exitStatus` is then 69.
    public func run(broker: BrokerSettings) throws(RecordingFault) -> SimulationSummary {
        let clock = SystemReaderClock()
        let plans = try plans(run: run ?? Self.runTag(clock.now), now: clock.now)
        Interruption.watch()
        defer { Interruption.unwatch() }
        let stop = StopFlag()
        let group = DispatchGroup()
        let runner = SessionRunner(broker: broker, clock: clock, stop: stop, tallies: Tallies())
        for (index, plan) in plans.enumerated() {
            group.enter()
            Thread.detachNewThread {
                runner.run(plan, index: index)
                group.leave()
            }
        }
        let showsProgress = showsProgress && isatty(STDERR_FILENO) == 1
        while group.wait(timeout: .now() + 1) == .timedOut {
            if showsProgress { Self.write("\r\(Self.progress(runner.tallies.sum))\u{1b}[K") }
        }
        if showsProgress { Self.write("\r\u{1b}[K") }
        return runner.tallies.sum
    }

    /// Seconds since 2024 in base 36: six characters, the same never again.
    private static func runTag(_ now: Instant) -> String {
        String(max(0, Int64(now.seconds) - 1_704_067_200), radix: 36)
    }

    private static func write(_ text: String) { FileHandle.standardError.write(Data(text.utf8)) }

    private static func progress(_ summary: SimulationSummary) -> String {
        let receipts = summary.outcomes.values.reduce(0, +)
        return "\(summary.published) published, \(receipts) receipts, \(summary.resent) sent again"
    }

    // MARK: Dividing the work

    private func plans(run: String, now: Instant) throws(RecordingFault) -> [SessionPlan] {
        switch source {
        case .ward(let ward):
            let devices = SimulatedWard(
                patients: ward.patients, scenario: ward.scenario, seed: ward.seed, start: now, site: site
            ).patients.map(\.device)
            return divide(devices) { part, parts in
                let start: Instant
                if case .rate = pace { start = now } else { start = now - .days(Int64(max(1, ward.days))) }
                return SimulatedWard(
                    patients: ward.patients, scenario: ward.scenario, seed: ward.seed, start: start, site: site,
                    run: run, timeZone: ward.timeZone, share: (part, parts))
            } settings: { settings in
                if case .rate = pace { settings.takenWhenSent = true } else { settings.passEnd = now }
            }
        case .recording(let recording):
            let reports = try recording.reports(site: site, run: run)
            var seen: Set<String> = []
            let devices = reports.map(\.device).filter { seen.insert($0).inserted }
            return divide(devices) { part, parts in
                let own = Set(Self.share(devices, part, parts))
                return reports.filter { own.contains($0.device) }.makeIterator()
            } settings: { _ in
            }
        }
    }

    private func divide(
        _ devices: [String], source: @escaping @Sendable (Int, Int) -> any IteratorProtocol<SimulatedReport>,
        settings adjust: (inout ReaderSession.Settings) -> Void
    ) -> [SessionPlan] {
        let parts = max(1, min(connections ?? 8, devices.count))
        return (0..<parts).map { part in
            var settings = ReaderSession.Settings(
                site: site, devices: Self.share(devices, part, parts), pace: pace, count: nil, duration: duration,
                passEnd: nil, takenWhenSent: false, resend: resend, window: max(1, window),
                receiptWait: receiptWait, giveUpAfter: giveUpAfter)
            if case .rate(let rate) = pace { settings.pace = .rate(rate / Double(parts)) }
            if let count { settings.count = count / parts + (part < count % parts ? 1 : 0) }
            adjust(&settings)
            return SessionPlan(settings: settings) { source(part, parts) }
        }
    }

    private static func share(_ devices: [String], _ part: Int, _ parts: Int) -> [String] {
        devices.enumerated().filter { $0.offset % parts == part }.map(\.element)
    }
}

/// What one connection has to do.
private struct SessionPlan: Sendable {
    let settings: ReaderSession.Settings
    let source: @Sendable () -> any IteratorProtocol<SimulatedReport>
}

/// The latest figures of each connection.
private final class Tallies: Sendable {
    private let latest = Mutex<[Int: SimulationSummary]>([:])

    func update(_ index: Int, _ summary: SimulationSummary) { latest.withLock { $0[index] = summary } }

    var sum: SimulationSummary {
        latest.withLock { latest in
            var sum = SimulationSummary()
            for summary in latest.values { sum.merge(summary) }
            return sum
        }
    }
}

private struct SessionRunner: Sendable {
    let broker: BrokerSettings
    let clock: SystemReaderClock
    let stop: StopFlag
    let tallies: Tallies

    func run(_ plan: SessionPlan, index: Int) {
        guard let first = plan.settings.devices.first else { return }
        let will = Will(
            topic: SimulatedReport.topic(site: plan.settings.site, device: first, "status"),
            payload: SimulatedReport.status(online: false, battery: nil, now: clock.now), retained: true)
        let link = BrokerLink(settings: broker, clientID: "homeward-\(first)", will: will)
        let session = ReaderSession(
            settings: plan.settings, source: plan.source(), link: link, clock: clock, stop: stop
        ) { tallies.update(index, $0) }
        do {
            tallies.update(index, try session.run())
        } catch {
            var summary = session.summary
            summary.brokerUnavailable = true
            tallies.update(index, summary)
        }
    }
}
