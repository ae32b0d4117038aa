import Clinical
import Synchronization

/// One connection and the readers behind it, as the contract has a device: every report is kept until its receipt
/// comes and sent again with the same bytes. Runs on the thread that calls `run`.
final class ReaderSession {
    struct Settings: Sendable {
        var site: String
        /// Codes of the readers that this connection speaks for.
        var devices: [String]
        var pace: SimulationPace
        /// Reports to send; nil is as many as there are.
        var count: Int?
        /// How long to send new ones; nil is until there are no more.
        var duration: Interval?
        /// In a single pass, reports uploaded after this are left out.
        var passEnd: Instant?
        /// Reports are taken when they are sent, as if the ward's time went faster.
        var takenWhenSent: Bool
        var resend: ResendPolicy
        /// Reports that may be without a receipt before the readers stop taking new ones.
        var window: Int
        /// How long to wait for receipts when nothing new comes and none arrive.
        var receiptWait: Interval
        /// How long the broker may be out of reach.
        var giveUpAfter: Interval
    }

    private let settings: Settings
    private let link: any ReaderLink
    private let clock: any ReaderClock
    private let stop: StopFlag
    private var source: any IteratorProtocol<SimulatedReport>
    private var upcoming: SimulatedReport?
    private var exhausted = false
    private var origin: Instant?
    private var began: Interval
    private var taken = 0
    private var outbox: ReportOutbox
    private var underWay: [Int32: ReportOutbox.Key] = [:]
    private var batteries: [String: Int] = [:]
    private var lastReached: Interval
    private var lastProgress: Interval
    private var connections = 0
    private var announced = 0
    private(set) var summary = SimulationSummary()
    /// Told now and then, for a progress line.
    private let report: (SimulationSummary) -> Void

    init(
        settings: Settings, source: any IteratorProtocol<SimulatedReport>, link: any ReaderLink,
        clock: any ReaderClock, stop: StopFlag, report: @escaping (SimulationSummary) -> Void = { _ in }
    ) {
        self.settings = settings
        self.source = source
        self.link = link
        self.clock = clock
        self.stop = stop
        self.report = report
        outbox = ReportOutbox(policy: settings.resend)
        began = clock.elapsed
        lastReached = began
        lastProgress = began
    }

    /// Until everything has its receipt, or nothing more is to be hoped for.
    func run() throws -> SimulationSummary {
        for device in settings.devices {
            try link.subscribe(SimulatedReport.topic(site: settings.site, device: device, "receipt"))
        }
        var told = began
        while step() {
            if clock.elapsed - told > .seconds(1) {
                told = clock.elapsed
                report(summary)
            }
        }
        summary.withoutReceipt = outbox.count
        sayGoodbye()
        report(summary)
        return summary
    }

    /// One turn. False when the run is over.
    func step() -> Bool {
        let now = clock.elapsed
        if stop.isRaised {
            summary.interrupted = true
            return false
        }
        if link.isConnected {
            lastReached = now
            announce()
            takeNew(now: now)
            sendDue(now: now)
        } else if now - lastReached > settings.giveUpAfter {
            summary.brokerUnavailable = true
            return false
        }
        if isFinished(now: now) {
            if outbox.count == 0 || now - lastProgress > settings.receiptWait { return false }
        }
        var events: [ReaderLinkEvent] = []
        link.serve(milliseconds: patience(now: now)) { events.append($0) }
        for event in events { handle(event) }
        return true
    }

    // MARK: New reports

    private func isFinished(now: Interval) -> Bool {
        if exhausted { return true }
        if let count = settings.count, taken >= count { return true }
        return settings.duration.map { now - began >= $0 } ?? false
    }

    private func takeNew(now: Interval) {
        // Bounded, so that a fast source doesn't keep the link from being served.
        for _ in 0..<256 where !isFinished(now: now) && outbox.count < settings.window {
            guard let report = next(), isTime(for: report, now: now) else { return }
            upcoming = nil
            taken += 1
            let wall = clock.now
            let sent = settings.takenWhenSent ? report.uploaded(at: wall) : report
            batteries[sent.device] = sent.battery
            if sent.uploadAt - sent.takenAt > .hours(1) { summary.late += 1 }
            outbox.add(sent, payload: sent.payload(sentAt: wall), now: now)
        }
    }

    private func next() -> SimulatedReport? {
        if upcoming == nil {
            upcoming = source.next()
            if let end = settings.passEnd, let report = upcoming, report.uploadAt > end { upcoming = nil }
            exhausted = upcoming == nil
            if origin == nil { origin = upcoming?.uploadAt }
        }
        return upcoming
    }

    private func isTime(for report: SimulatedReport, now: Interval) -> Bool {
        let elapsed = (now - began).seconds
        switch settings.pace {
        case .onePass: return true
        case .speed(let speed): return (report.uploadAt - (origin ?? report.uploadAt)).seconds <= elapsed * speed
        case .rate(let rate): return Double(taken) < elapsed * rate
        }
    }

    /// How long the link may wait for something to read, in milliseconds.
    private func patience(now: Interval) -> Int32 {
        var longest = 0.2
        if let due = outbox.nextDue() { longest = min(longest, (due - now).seconds) }
        if !isFinished(now: now), outbox.count < settings.window {
            switch settings.pace {
            case .onePass: longest = exhausted || !link.isConnected ? longest : 0
            case .rate(let rate): longest = min(longest, Double(taken + 1) / rate - (now - began).seconds)
            case .speed(let speed):
                if let upcoming, let origin {
                    longest = min(longest, (upcoming.uploadAt - origin).seconds / speed - (now - began).seconds)
                }
            }
        }
        if !link.isConnected { longest = max(longest, 0.05) }
        return Int32(exactly: (max(0, longest) * 1000).rounded(.up)) ?? 200
    }

    // MARK: Sending

    private func sendDue(now: Interval) {
        while let (key, entry) = outbox.firstDue(now: now) {
            guard let packet = try? link.publish(topic: entry.topic, payload: entry.payload, retained: false) else {
                // The connection's window is full, or it was just lost: the report stays due.
                return
            }
            underWay[packet] = key
            if entry.attempts == 0 {
                summary.published += 1
                summary.publishing = now - began
            } else {
                summary.resent += 1
            }
            outbox.sent(key, now: now)
            progressed(now)
        }
    }

    private func progressed(_ now: Interval) {
        lastProgress = now
        summary.elapsed = now - began
    }

    /// Tells the status of each reader after each connect, a part at a time where there are many.
    private func announce() {
        while announced < settings.devices.count {
            let device = settings.devices[announced]
            guard publishStatus(of: device, online: true) else { return }
            announced += 1
        }
    }

    private func publishStatus(of device: String, online: Bool) -> Bool {
        let payload = SimulatedReport.status(online: online, battery: batteries[device], now: clock.now)
        let topic = SimulatedReport.topic(site: settings.site, device: device, "status")
        return (try? link.publish(topic: topic, payload: payload, retained: true)) != nil
    }

    private func sayGoodbye() {
        if link.isConnected {
            var acknowledgements = 0
            let count = settings.devices.prefix { publishStatus(of: $0, online: false) }.count
            let end = clock.elapsed + .seconds(2)
            while acknowledgements < count, clock.elapsed < end, link.isConnected {
                link.serve(milliseconds: 50) { if case .acknowledged = $0 { acknowledgements += 1 } }
            }
        }
        link.close()
    }

    // MARK: What comes back

    private func handle(_ event: ReaderLinkEvent) {
        let now = clock.elapsed
        switch event {
        case .connected:
            lastReached = now
            announced = 0
            if connections == 0 {
                // The pace begins when there is somebody to send to.
                began = now
            }
            connections += 1
        case .subscriptionRefused: summary.receiptsForbidden = true
        case .acknowledged(let packet, let taken):
            underWay[packet] = nil
            if !taken { summary.refusedByBroker += 1 }
        case .message(let topic, let payload): receive(topic: topic, payload: payload, now: now)
        case .disconnected:
            for key in underWay.values { outbox.unacknowledged(key, now: now) }
            underWay.removeAll()
        }
    }

    private func receive(topic: String, payload: [UInt8], now: Interval) {
        let levels = topic.split(separator: "/")
        guard levels.count == 5, levels[4] == "receipt", let receipt = Receipt(payload: payload) else { return }
        let key = ReportOutbox.Key(device: String(levels[3]), id: receipt.id)
        if outbox.losesReceipt(key) {
            if let entry = outbox.loseReceipt(key), let sent = entry.firstSent { summary.latency.record(now - sent) }
            summary.receiptsLostOnPurpose += 1
            return
        }
        guard let entry = outbox.settle(key) else { return }
        if entry.attempts == 1, let sent = entry.firstSent { summary.latency.record(now - sent) }
        summary.outcomes[receipt.outcome, default: 0] += 1
        if let reason = receipt.reason { summary.reasons[reason, default: 0] += 1 }
        for refused in receipt.refused ?? [] { summary.refusedReadings[refused.reason, default: 0] += 1 }
        if receipt.repeatAfterMinutes != nil { summary.repeatsAsked += 1 }
        progressed(now)
    }
}

/// Raised once, from any thread or a signal, to end a run.
final class StopFlag: Sendable {
    private let flag = Atomic<Bool>(false)

    var isRaised: Bool { flag.load(ordering: .relaxed) || Interruption.happened }

    func raise() { flag.store(true, ordering: .relaxed) }
}
