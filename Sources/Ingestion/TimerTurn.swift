import Alerting
import CLinux
import Clinical
import Registry

extension BatchProcessor {
    /// The most timers of one transaction.
    static let timersAtOnce = 200

    /// Applies timers that have come due, in a transaction of its own: the alerts are locked first, then the timers, so
    /// that of any number of instances one applies each of them, once. Nil when none was due, or others are at them.
    ///
    /// - Parameter waited: only what has been due for so long: what was received before is durable by then.
    mutating func fireTimers(
        of store: any CommitStore, waited: Interval = .seconds(0), by instant: Instant,
        limit: Int = timersAtOnce, recording ledger: (any OutageLedger)? = nil
    ) throws(StoreFailure) -> Report? {
        try fire(in: store, by: instant, recording: ledger) { processor, store throws(StoreFailure) in
            try store.dueTimers(
                [HeldRed.kind] + (processor.options.escalates ? Self.kindsOfAlerts : []), waited: waited, by: instant,
                limit: limit)
        }
    }

    /// The same for missed readings, apart from the others: however long it takes, no red waits for it.
    ///
    /// - Parameters:
    ///   - cutOff: devices that an outage hides; who has no other is looked at later.
    ///   - limit: the most patients.
    mutating func fireDueReadings(
        of store: any CommitStore, waited: Interval = .seconds(0), by instant: Instant, reach: MissedReach,
        cutOff devices: Set<Identifier> = [], limit: Int = ScheduleRound.size,
        recording ledger: (any OutageLedger)? = nil
    ) throws(StoreFailure) -> Report? {
        try fire(in: store, by: instant, cutOff: devices, recording: ledger) { processor, store throws(StoreFailure) in
            let search = DueReadingSearch(
                sites: processor.options.sites, highRiskOnly: reach == .overdueHighRisk,
                waited: reach == .all ? waited : DueReadingTimer.longestDeferral, limit: limit)
            let found = try store.dueReadings(search, by: instant).filter { timer in
                guard let patient = DueReadingTimer(timer).flatMap({ processor.registry.patients[$0.patient] }) else {
                    return reach == .all
                }
                return processor.serves(patient) && (reach == .all || patient.profile.highRisk)
            }
            return Array(found.prefix(limit))
        }
    }

    private mutating func fire(
        in store: any CommitStore, by instant: Instant, cutOff devices: Set<Identifier> = [],
        recording ledger: (any OutageLedger)?,
        _ find: (borrowing BatchProcessor, any CommitStore) throws(StoreFailure) -> [Timer]
    ) throws(StoreFailure) -> Report? {
        do throws(StoreFailure) {
            try open(store)
            let due = try find(self, store)
            guard !due.isEmpty else {
                store.rollback()
                return nil
            }
            var draft = Draft(registry: registry)
            // The database's clock has called them due; where ours is behind, they would be found not due again and again.
            guard try fire(due, &draft, in: store, by: due.map(\.due).reduce(instant, max), cutOff: devices) else {
                store.rollback()
                return nil
            }
            if let ledger { draft.record(ledger) }
            if options.escalates { draft.escalate(at: instant) }
            try store.write(draft.rows)
            try store.commit()
            ledger?.handOver(draft.report.recordedAlerts, recorded: draft.rows.lateOutcomes)
            var none: [Candidate] = []
            return adopt(draft, into: &none)
        } catch {
            ledger?.release()
            throw error
        }
    }

    private static let kindsOfAlerts = [ShelvingEnd.kind, AcknowledgementEnd.kind, EscalationTimer.kind]

    /// Alerts are locked, then timers. False when none of the timers is ours.
    private mutating func fire(
        _ due: [Timer], _ draft: inout Draft, in store: any CommitStore, by instant: Instant,
        cutOff devices: Set<Identifier>
    ) throws(StoreFailure) -> Bool {
        let hidden = registry.patients(cutOffBy: devices, at: instant)
        let later = Dictionary(
            due.compactMap { timer in deferral(of: timer, hidden: hidden, at: instant).map { (timer.name, $0) } },
            uniquingKeysWith: { $1 })
        let judged = try judgeSchedules(
            due.filter { later[$0.name] == nil }.compactMap(DueReadingTimer.init), in: store, at: instant)
        var subjects = Set(
            due.compactMap {
                HeldRed($0)?.finding.subject ?? ShelvingEnd($0)?.subject ?? AcknowledgementEnd($0)?.subject
                    ?? EscalationTimer($0)?.subject
            })
        for one in judged { subjects.formUnion([.patient(one.patient.code), .site(one.patient.site)]) }
        let open = try store.openEpisodes(of: Array(subjects))
        let dueAt = Dictionary(due.map { ($0.name, $0.due) }, uniquingKeysWith: { $1 })
        // What another instance has taken or moved meanwhile is no longer ours.
        let ours = try store.timers(due.map(\.name), skippingLocked: true).filter { $0.due == dueAt[$0.name] }
        guard !ours.isEmpty else { return false }
        var patients: Set<Identifier> = []
        for timer in ours.sorted(by: { ($0.due, $0.subject) < ($1.due, $1.subject) }) {
            draft.rows.endedTimers.append(timer.name)
            if let later = later[timer.name] {
                draft.rows.timers.append(later)
                continue
            }
            if let reading = DueReadingTimer(timer) {
                patients.insert(reading.patient)
                if let next = nextTimer(after: reading, at: instant) { draft.rows.timers.append(next) }
            }
            guard let red = HeldRed(timer), red.isOpen(in: open) else { continue }
            draft.findings.append(red.finding)
        }
        draft.add(judged.filter { patients.contains($0.patient.code) }, at: instant, open: open)
        raise(&draft, over: open, of: subjects)
        draft.bringBack(ours, over: open, at: instant)
        draft.tell(ours.compactMap(EscalationTimer.init), over: open, at: instant)
        return true
    }
}

/// How many timers are taken at once and how long that may take. A database that is slow, or one row that others hold,
/// must not stop the timers of every alert: after a failure fewer are tried, and one alone is given more time.
struct TimerTurn {
    private(set) var size = BatchProcessor.timersAtOnce
    /// Nanoseconds.
    private(set) var patience = Spooling.drainPatience

    mutating func worked() {
        size = min(size * 2, BatchProcessor.timersAtOnce)
        patience = Spooling.drainPatience
    }

    mutating func failed() {
        if size == 1 { patience = min(patience * 2, 4 * Spooling.drainPatience) }
        size = max(1, size / 4)
    }
}

extension CommitStage {
    /// How often timers are looked for.
    private static let timerInterval: Int64 = 1_000_000_000
    /// After a failure.
    private static let timerPause: Int64 = 5_000_000_000

    /// Applies timers that are due, while PostgreSQL is there; once a second at most. False when it failed.
    mutating func takeTimers() -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard now >= nextTimers else { return true }
        // What was received before a timer was due is durable, or spooled, once it has been due for that long.
        return fireTimers(waited: Interval(microseconds: patience / 1000)) && !dueReadings.hasFailed
    }

    /// False when PostgreSQL did not take them. What became of missed readings is in `dueReadings`.
    mutating func fireTimers(waited: Interval) -> Bool {
        let started = linux_monotonic_nanoseconds()
        nextTimers = started + Self.timerInterval
        store.limit(until: started + timerTurn.patience)
        do throws(StoreFailure) {
            let instant = Instant(microseconds: linux_wall_clock_microseconds())
            tellOfBlindness(now: started, at: instant)
            let report = try processor.fireTimers(
                of: store, waited: waited, by: instant, limit: timerTurn.size, recording: standby?.ledger)
            timerTurn.worked()
            if let report {
                enter(report, since: started)
                // More may be due.
                nextTimers = 0
            }
            fireDueReadings(waited: waited, at: instant)
            return true
        } catch {
            store.rollback()
            complain(error)
            processor.forgetStoreState()
            guard !isFenced(error) else { return false }
            timerTurn.failed()
            nextTimers = linux_monotonic_nanoseconds() + Self.timerPause
            tellOfSilenceAlone()
            return false
        }
    }

    /// After whatever may be red, in transactions of their own. Where one fails, the next is smaller and comes later.
    private mutating func fireDueReadings(waited: Interval, at instant: Instant) {
        let started = linux_monotonic_nanoseconds()
        dueReadings.hasFailed = false
        guard started >= dueReadings.next else { return }
        store.limit(until: started + Spooling.drainPatience)
        do throws(StoreFailure) {
            if try processor.scheduleDueReadings(in: store, by: instant) { nextTimers = 0 }
            guard let reach = missedReach(now: started),
                let report = try processor.fireDueReadings(
                    of: store, waited: waited, by: instant, reach: reach, cutOff: cutOff.devices(now: started),
                    limit: dueReadings.size, recording: standby?.ledger)
            else { return }
            enter(report, since: started)
            dueReadings.size = min(dueReadings.size * 2, ScheduleRound.size)
            nextTimers = 0
        } catch {
            store.rollback()
            complain(error)
            processor.forgetStoreState()
            dueReadings.hasFailed = true
            guard !isFenced(error) else { return }
            dueReadings.size = max(1, dueReadings.size / 4)
            dueReadings.next = linux_monotonic_nanoseconds() + Self.timerPause
        }
    }

    /// A reading that waits in the broker or in the spool is not missing.
    private func missedReach(now: Int64) -> MissedReach? {
        spooling.isOwing || control.isSightAwaited ? nil : control.brokerLink.reach(idleAt: lastIdle, now: now)
    }

    /// Whom an outage hides: one technical alert, and each care team is told once. Missed readings wait.
    private mutating func tellOfBlindness(now: Int64, at instant: Instant) {
        if let sight = control.takeSight() { tell(of: sight, now: now, at: instant) }
        let link = control.brokerLink
        if let blindness = link.blindness(now: now), isBlindnessTold != true {
            isBlindnessTold = true
            let since = instant - Interval(microseconds: blindness / 1000)
            raise(processor.findingsOfBlindness(since: since, at: instant))
        } else if isBlindnessTold != false, link.reach(idleAt: lastIdle, now: now) == .all {
            isBlindnessTold = false
            raise(processor.findingsOfSight(at: instant))
        }
    }

    private mutating func tell(of sight: Sight, now: Int64, at instant: Instant) {
        if let absence = sight.absence {
            // It ends as the broker's does: once all that was sent has been read.
            isBlindnessTold = true
            raise(processor.findingsOfAbsence(absence, at: instant))
        }
        guard !sight.mayBePast else { return cutOff.note(sight.crowds, now: now) }
        let news = cutOff.take(sight.crowds, now: now)
        raise(news.hidden.compactMap { processor.findingOfCrowd($0.value, of: $0.key, at: instant) })
        // What an earlier life told of may be over.
        let over = news.isFirst ? processor.scheduledSites.filter { sight.crowds[$0] == nil } : Array(news.back)
        raise(over.map { processor.findingOfCrowdsEnd(of: $0, at: instant) })
    }

    private mutating func raise(_ findings: [Finding]) {
        for finding in findings { processor.raise(finding) }
    }

    /// While PostgreSQL is away the memory knows which reds wait for a repeat: silence makes them red all the same.
    mutating func fireTimersInMemory(_ standby: any Standby) {
        let now = linux_monotonic_nanoseconds()
        guard now >= nextTimers else { return }
        nextTimers = now + Self.timerInterval
        _ = tellOfSilence(standby, waited: .seconds(0))
    }

    /// No report may have come that would have found PostgreSQL away.
    private mutating func tellOfSilenceAlone() {
        guard let standby, !spooling.isActive else { return }
        // PostgreSQL has gone on since the memory was last judged in.
        spooling.processor.forgetStoreState()
        if tellOfSilence(standby, waited: .seconds(10)) { spooling.isOwing = true }
    }

    /// True when somebody was told.
    private mutating func tellOfSilence(_ standby: any Standby, waited: Interval) -> Bool {
        do throws(StoreFailure) {
            let instant = Instant(microseconds: linux_wall_clock_microseconds())
            let fired = try spooling.processor.fireTimers(of: standby.memory, waited: waited, by: instant)
            let reds = fired?.notifying.filter { $0.episode.severity == .red } ?? []
            if !reds.isEmpty { standby.tell(reds, registry: spooling.processor.registry) }
            return !reds.isEmpty
        } catch {
            complain(error)
            return false
        }
    }
}
