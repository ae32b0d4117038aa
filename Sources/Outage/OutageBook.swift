import Alerting
import Clinical
import Ingestion

/// What is known of an outage's messages. A value; no clock, no file: times are given, on the monotonic clock.
struct OutageBook {
    private struct Message {
        var notice: OutageNotice
        var attempts = 0
        var lastError: String?
        var state = State.waiting(due: 0)
        /// The newest outcome, for the journal.
        var ended: (attempt: Int, outcome: DeliveryOutcome)?
        /// Told to PostgreSQL as under way, so that what comes of it comes late.
        var isAwaited = false
        /// The alert that it is recorded under.
        var handedTo: AlertID?
        var isHandedOver: Bool { handedTo != nil }
    }

    private enum State {
        case waiting(due: Int64)
        case underWay(until: Int64, lease: Interval)
        case sent(at: Instant)
        case failed
    }

    private struct Rule: Hashable {
        var subject: Subject
        var rule: String
    }

    private var messages: [String: Message] = [:]
    private var keys: [AlertID: [String]] = [:]
    /// In the order in which they were first told of.
    private(set) var alerts: [AlertID] = []
    private var reds: [Rule: AlertID] = [:]
    private var held: Set<AlertID> = []
    /// Told by another instance: what it did not send is the outbox's to send, once it is recorded.
    private var adopted: Set<AlertID> = []
    private(set) var lateOutcomes: [LateOutcome] = []

    func contains(_ alert: AlertID) -> Bool { keys[alert] != nil }

    func standing(of key: String) -> OutageDeliveries.Standing? {
        guard let message = messages[key] else { return nil }
        if case .sent(let at) = message.state { return .sent(at: at) }
        return message.isHandedOver ? nil : .waiting
    }

    func redAlert(of subject: Subject, rule: String) -> AlertID? { reds[Rule(subject: subject, rule: rule)] }

    func isHandedOver(_ alert: AlertID) -> Bool {
        (keys[alert] ?? []).allSatisfy { messages[$0]?.isHandedOver ?? true }
    }

    /// The newest message of each alert that `isWanted`.
    func newestNotices(_ isWanted: (AlertID) -> Bool) -> [OutageNotice] {
        alerts.filter(isWanted).compactMap { alert in
            keys[alert]?.compactMap { messages[$0]?.notice }.max { $0.job.entry.revision < $1.job.entry.revision }
        }
    }

    /// False when it was known.
    mutating func add(_ notice: OutageNotice) -> Bool {
        let entry = notice.job.entry
        guard messages[entry.key] == nil else { return false }
        messages[entry.key] = Message(notice: notice)
        if keys[entry.alert] == nil { alerts.append(entry.alert) }
        keys[entry.alert, default: []].append(entry.key)
        let episode = notice.job.episode
        if episode.severity == .red { reds[Rule(subject: episode.subject, rule: episode.rule)] = entry.alert }
        return true
    }

    // MARK: - Sending

    mutating func claim(limit: Int, lease: Interval, now: Int64) -> [DeliveryJob] {
        var due: [(key: String, isRed: Bool, due: Int64)] = []
        for (key, message) in messages where mayBeSent(message) {
            let time: Int64
            switch message.state {
            case .waiting(let due): time = due
            case .underWay(let until, _): time = until
            case .sent, .failed: continue
            }
            if time <= now { due.append((key, message.notice.job.episode.severity == .red, time)) }
        }
        due.sort { left, right in
            if left.isRed != right.isRed { return left.isRed }
            return left.due == right.due ? left.key < right.key : left.due < right.due
        }
        return due.prefix(max(0, limit)).compactMap { entry in
            guard var message = messages[entry.key] else { return nil }
            message.attempts += 1
            message.state = .underWay(until: Self.later(now, lease), lease: lease)
            messages[entry.key] = message
            var job = message.notice.job
            job.attempt = message.attempts
            return job
        }
    }

    private func mayBeSent(_ message: Message) -> Bool {
        let alert = message.notice.job.entry.alert
        return !message.isHandedOver && !held.contains(alert) && !adopted.contains(alert)
    }

    func isAnyUnderWay(now: Int64) -> Bool {
        messages.values.contains { message in
            if case .underWay(let until, _) = message.state { return until > now }
            return false
        }
    }

    /// What another instance told. A message that is known here stays as it is.
    mutating func adopt(_ records: [DeliveryJournal.Record]) {
        for record in records {
            switch record {
            case .added(let notice):
                let alert = notice.job.entry.alert
                let isNew = keys[alert] == nil
                if add(notice), isNew { adopted.insert(alert) }
            case .ended(let key, let attempt, let outcome):
                _ = end(key: key, attempt: attempt, outcome, after: .seconds(0), now: 0)
            // What it had recorded is recorded.
            case .handedOver(let alerts): _ = handOver(alerts)
            case .settled(let outcomes): settle(outcomes)
            }
        }
    }

    /// When something may be claimed next; nil while nothing waits.
    var nextDue: Int64? {
        messages.values.compactMap { message -> Int64? in
            guard mayBeSent(message) else { return nil }
            return switch message.state {
            case .waiting(let due): due
            case .underWay(let until, _): until
            case .sent, .failed: nil
            }
        }.min()
    }

    /// What was sent was sent, also by an attempt whose lease ran out; anything else counts only for the newest
    /// attempt. False when it does not count.
    mutating func end(key: String, attempt: Int, _ outcome: DeliveryOutcome, after delay: Interval, now: Int64) -> Bool
    {
        guard var message = messages[key] else {
            // Forgotten with its outage before it ended: PostgreSQL must learn that it was sent.
            guard case .sent = outcome else { return false }
            lateOutcomes.append(LateOutcome(key: key, attempt: attempt, outcome: outcome))
            return true
        }
        if case .sent = message.state { return false }
        switch outcome {
        case .sent(let at):
            message.state = .sent(at: at)
        case .retry(_, let error):
            guard attempt >= message.attempts else { return false }
            message.state = .waiting(due: Self.later(now, delay))
            message.lastError = error
        case .failed(let error):
            guard attempt >= message.attempts else { return false }
            message.state = .failed
            message.lastError = error
        }
        message.attempts = max(message.attempts, attempt)
        message.ended = (attempt, outcome)
        if message.isHandedOver { note(late: key, attempt, outcome) }
        messages[key] = message
        return true
    }

    private mutating func note(late key: String, _ attempt: Int, _ outcome: DeliveryOutcome) {
        lateOutcomes.removeAll { $0.key == key }
        lateOutcomes.append(LateOutcome(key: key, attempt: attempt, outcome: outcome))
    }

    // MARK: - Handing over

    /// The alert's messages as they are; nothing of it is claimed until it is handed over or released.
    mutating func hold(_ alert: AlertID, now: Int64) -> [MadeDelivery] {
        guard let keys = keys[alert] else { return [] }
        held.insert(alert)
        return keys.compactMap { key in
            guard var message = messages[key] else { return nil }
            let state: MadeDelivery.State
            switch (message.handedTo, message.state) {
            case (let other?, _): state = .handedOver(to: other)
            case (nil, .waiting): state = .pending
            case (nil, .underWay(_, let lease)):
                state = .underWay(lease: lease)
                message.isAwaited = true
            case (nil, .sent(let at)): state = .sent(at: at)
            case (nil, .failed): state = .failed
            }
            messages[key] = message
            return MadeDelivery(
                entry: message.notice.job.entry, severity: message.notice.job.episode.severity, at: message.notice.at,
                attempts: message.attempts, lastError: message.lastError, state: state)
        }
    }

    /// Outcomes that came between `hold` and now are late: PostgreSQL was told that they are under way.
    mutating func handOver(_ alerts: [AlertAlias]) -> [LateOutcome] {
        let before = lateOutcomes.count
        for (key, standing) in alerts.flatMap({ alert in (keys[alert.alias] ?? []).map { ($0, alert.alert) } }) {
            guard var message = messages[key], !message.isHandedOver else { continue }
            message.handedTo = standing
            if message.isAwaited, let ended = message.ended, ended.attempt == message.attempts {
                if case .underWay = message.state {
                } else {
                    lateOutcomes.append(LateOutcome(key: key, attempt: ended.attempt, outcome: ended.outcome))
                }
            }
            messages[key] = message
        }
        return Array(lateOutcomes.dropFirst(before))
    }

    mutating func release() {
        for key in held.flatMap({ keys[$0] ?? [] }) { messages[key]?.isAwaited = false }
        held.removeAll()
    }

    mutating func settle(_ outcomes: [LateOutcome]) {
        let settled = Set(outcomes)
        lateOutcomes.removeAll { settled.contains($0) }
    }

    /// Forgets what was handed over and is not under way.
    mutating func forgetHandedOver(now: Int64) {
        let unsettled = Set(lateOutcomes.map(\.key))
        for alert in alerts where isHandedOver(alert) {
            let alertKeys = keys[alert] ?? []
            let isBusy = alertKeys.contains { key in
                if unsettled.contains(key) { return true }
                if case .underWay(let until, _)? = messages[key]?.state { return until > now }
                return false
            }
            guard !isBusy else { continue }
            for key in alertKeys { messages[key] = nil }
            keys[alert] = nil
            adopted.remove(alert)
        }
        alerts.removeAll { keys[$0] == nil }
        reds = reds.filter { keys[$0.value] != nil }
    }

    // MARK: - The journal

    mutating func apply(_ record: DeliveryJournal.Record) {
        switch record {
        case .added(let notice): _ = add(notice)
        case .ended(let key, let attempt, let outcome):
            if let message = messages[key], message.isHandedOver, let ended = message.ended, ended == (attempt, outcome)
            {
                // Repeated behind the hand-over.
                note(late: key, attempt, outcome)
            } else {
                _ = end(key: key, attempt: attempt, outcome, after: .seconds(0), now: 0)
            }
        case .handedOver(let alerts): _ = handOver(alerts)
        case .settled(let outcomes): settle(outcomes)
        }
    }

    /// After a restart nothing is under way.
    mutating func forgetAttempts() {
        for (key, message) in messages {
            if case .underWay = message.state { messages[key]?.state = .waiting(due: 0) }
        }
    }

    /// Records from which `apply` makes this book again: a hand-over takes all that was added before it.
    var records: [DeliveryJournal.Record] {
        var handedOver: [DeliveryJournal.Record] = []
        var others: [DeliveryJournal.Record] = []
        let late = Set(lateOutcomes.map(\.key))
        for alert in alerts {
            for key in keys[alert] ?? [] {
                guard let message = messages[key] else { continue }
                var records: [DeliveryJournal.Record] = [.added(message.notice)]
                if let ended = message.ended, !late.contains(key) {
                    records.append(.ended(key: key, attempt: ended.attempt, ended.outcome))
                }
                if let standing = message.handedTo {
                    handedOver += records + [.handedOver([AlertAlias(alias: alert, alert: standing)])]
                } else {
                    others += records
                }
            }
        }
        return handedOver + others + lateOutcomes.map { .ended(key: $0.key, attempt: $0.attempt, $0.outcome) }
    }

    private static func later(_ now: Int64, _ interval: Interval) -> Int64 {
        let (nanoseconds, overflow) = max(0, interval.microseconds).multipliedReportingOverflow(by: 1000)
        return overflow ? .max : now.addingReportingOverflow(nanoseconds).overflow ? .max : now + nanoseconds
    }
}
