import Foundation
import TestSupport

/// One seed: the ward publishes, the schedule strikes, all is healed, and the ledger is drawn up.
struct FaultRun {
    let schedule: FaultSchedule
    let rate: Int

    struct Outcome {
        var problems: [String]
        var log: String
        /// What of the schedule could not be done, and why.
        var notices: [String]
        var summary: String
    }

    func run() throws -> Outcome {
        let began = ContinuousClock.now
        let faulty = try FaultStack(
            withTinyDisk: schedule.contains { $0 == .spoolDiskFull },
            withClock: schedule.contains { $0.lane == .clock })
        try faulty.startReadyDaemon()
        let ward = FaultWard(
            seed: schedule.seed, seconds: schedule.seconds, rate: rate,
            clockSteps: schedule.contains { $0.lane == .clock })
        let scraper = CounterScraper(port: faulty.stack.httpPort)
        // Only a broker that was killed may lose what it acknowledged. Where none is, no report is sent again for want
        // of a receipt until the ledger has been looked at: the readers' patience would hide what the daemon lost.
        let readers = HomeReaders(
            port: faulty.stack.broker.port, reports: ward.reports,
            patience: schedule.mayLoseAcknowledged ? .seconds(5) : nil)
        defer {
            readers.stop()
            scraper.stop()
        }
        let notices = strike(faulty, from: readers.start)
        let stricken = ContinuousClock.now
        try faulty.heal()
        var problems: [String] = []
        // Generous, since machines are noisy; but once something is wrong the rest is only looked at.
        func demand(_ problem: @autoclosure () -> String, _ condition: () -> Bool) {
            let limit = problems.isEmpty ? Duration.seconds(90) : .seconds(5)
            if !eventually(within: limit, every: .milliseconds(100), condition) { problems.append(problem()) }
        }
        demand("not ready after all was healed") { faulty.stack.get("/readyz")?.status == 200 }
        demand("the broker has not taken everything") { readers.isSent }
        let ledger = Ledger(faulty: faulty, readers: readers)
        if !schedule.mayLoseAcknowledged {
            // With no report sent again.
            demand("acknowledged by the broker and neither stored nor quarantined: \(ledger.missing)") {
                isDrained(faulty) && ledger.missing.isEmpty
            }
            readers.lose(patience: .seconds(1))
        }
        demand("no receipt: \(ledger.unreceipted)") { ledger.unreceipted.isEmpty }
        demand("not drained: \(faulty.stack.get("/metrics")?.body.prefix(3000) ?? "no metrics")") { isDrained(faulty) }
        if schedule.mayLoseAcknowledged { sendUnreadableAgain(readers, ledger) }
        scraper.stop()
        problems += scraper.problems
        problems += try ledger.check()
        let summary =
            "seed \(schedule.seed): \(ward.reports.count) reports, \(scraper.scrapes) scrapes, "
            + "\(schedule.entries.count) faults; faults \(Self.seconds(stricken - readers.start)) s, "
            + "all \(Self.seconds(.now - began)) s; \(ledger.summary)"
        return Outcome(problems: problems, log: faulty.stack.log, notices: notices, summary: summary)
    }

    /// What has no receipt can't be kept until it comes: if the broker lost it, it is sent once more.
    private func sendUnreadableAgain(_ readers: HomeReaders, _ ledger: Ledger) {
        guard !ledger.missing.isEmpty else { return }
        for place in readers.reports.indices where readers.reports[place].mark != nil { readers.send(place) }
        _ = eventually(within: .seconds(30), every: .milliseconds(100)) { readers.isSent && ledger.missing.isEmpty }
    }

    private func isDrained(_ faulty: FaultStack) -> Bool {
        guard let page = faulty.stack.get("/metrics")?.body, let counts = CounterScraper.Counts(page: page) else {
            return false
        }
        return counts.inFlight == 0 && (faulty.stack.metric("homeward_spool_bytes") ?? 0) == 0
            && faulty.stack.get("/readyz")?.status == 200
    }

    private func strike(_ faulty: FaultStack, from start: ContinuousClock.Instant) -> [String] {
        enum Act { case begins, ends }
        let acts = schedule.entries.enumerated().flatMap { number, entry in
            [(at: entry.at, act: Act.begins, number: number), (at: entry.end, act: .ends, number: number)]
        }.sorted { ($0.at, $0.number) < ($1.at, $1.number) }
        var undo: [Int: () throws -> Void] = [:]
        var notices: [String] = []
        for act in acts {
            Self.wait(until: start + .milliseconds(act.at))
            do {
                switch act.act {
                case .begins: undo[act.number] = try faulty.inflict(schedule.entries[act.number].fault)
                case .ends: try undo.removeValue(forKey: act.number)?()
                }
            } catch {
                notices.append("\(schedule.entries[act.number].fault) \(act.act): \(error)")
            }
        }
        Self.wait(until: start + .seconds(schedule.seconds))
        return notices
    }

    /// The schedule's own clock; nothing is awaited here.
    private static func wait(until instant: ContinuousClock.Instant) {
        let left = instant - .now
        guard left > .zero else { return }
        usleep(UInt32(clamping: Int64(left / .microseconds(1))))
    }

    private static func seconds(_ duration: Duration) -> Int64 { duration.components.seconds }
}
