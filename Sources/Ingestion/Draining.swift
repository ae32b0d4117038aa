import Alerting
import CLinux
import Clinical
import Formats
import Logging
import RingBuffer

/// Between batches the commit thread drains the spool, oldest first, and ends an outage.
extension CommitStage {
    /// What there is to do beside new reports. Each may wait for PostgreSQL for as long as a transaction may take.
    enum Chore: CaseIterable {
        case handedOver, drain, news, timers, releases, typedReports, memory
    }

    /// How long the ring may be waited for while chores of a round are left; milliseconds.
    static let interruption: Int32 = 100

    /// After each batch, and each second without one. A chore that failed may have waited: new reports have their turn
    /// then, and the chores after it go on next, whatever ails it.
    mutating func betweenBatches() {
        lookAtLease()
        guard isHolder else { return standAside() }
        comeBack()
        if let standby {
            for incident in standby.spool.takeIncidents() { tell(incident) }
            tellUnsent(standby)
            tellFindings(standby)
        }
        let chores = Chore.allCases
        let first = nextChore
        nextChore = 0
        for offset in chores.indices {
            let place = (first + offset) % chores.count
            guard doChore(chores[place]) else {
                nextChore = (place + 1) % chores.count
                break
            }
        }
        if let standby, spooling.isActive { fireTimersInMemory(standby) }
    }

    var isInterrupted: Bool { nextChore != 0 && !spooling.isActive }

    /// False when it failed.
    private mutating func doChore(_ chore: Chore) -> Bool {
        if chore == .drain {
            guard let standby, spooling.isOwing else { return true }
            return takeTurn(standby) && finishOutage(standby)
        }
        // Until the spool is empty nothing goes past it.
        guard !spooling.isActive else { return true }
        switch chore {
        case .handedOver: return takeHandedOver()
        case .drain: return true
        case .news: return commitNews()
        case .timers: return takeTimers()
        case .releases: return takeReleases()
        case .typedReports: return takeTypedReports()
        case .memory: return refreshMemory()
        }
    }

    /// What the next outage goes on from.
    private mutating func refreshMemory() -> Bool {
        guard let standby, standby.isRefreshDue else { return true }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            // Reads the registry if it has moved: the next outage must find it, also when no report came.
            var none: [Candidate] = []
            let report = try processor.commit(
                &none, to: store, recording: standby.ledger, at: Instant(microseconds: linux_wall_clock_microseconds()))
            standby.note(report.memory, registry: processor.registry)
            try standby.refresh(from: store)
            return true
        } catch {
            store.rollback()
            complain(error)
            return false
        }
    }

    /// Reds that PostgreSQL took and went away with.
    private mutating func tellUnsent(_ standby: any Standby) {
        let overdue = control.unsent.takeOverdue(isAway: spooling.isActive)
        guard !overdue.isEmpty else { return }
        spooling.isOwing = true
        standby.tell(overdue)
    }

    /// One transaction, if it is time for it: to see whether PostgreSQL answers, then the oldest reports. False when
    /// PostgreSQL did not take it.
    mutating func takeTurn(_ standby: any Standby) -> Bool {
        guard linux_monotonic_nanoseconds() >= spooling.pace.next else { return true }
        guard spooling.isActive, !spooling.isProven else { return drain(standby) }
        var none: [Candidate] = []
        let limit = linux_monotonic_nanoseconds() + spooling.pace.patience
        guard makeDurable(&none, until: limit, attempts: 1) == .committed else {
            wasLate()
            return false
        }
        spooling.isProven = true
        return true
    }

    /// What a transaction of one report may take; nanoseconds.
    var longestTurn: Int64 { max(patience, 2_000_000_000) }

    /// The next turn comes after new reports had theirs, and asks for less, or for longer.
    private mutating func wasLate() {
        spooling.isProven = false
        spooling.pace.wasLate(at: linux_monotonic_nanoseconds(), longest: longestTurn)
    }

    private mutating func drain(_ standby: any Standby) -> Bool {
        let now = linux_monotonic_nanoseconds()
        let lane: SpoolLane = standby.spool.count(of: .ordinary) > 0 ? .ordinary : .overflow
        guard standby.spool.count(of: lane) > 0, !isHeldUpByReceipts(now) else { return true }
        do throws(SpoolFailure) {
            let size = lane == .ordinary ? spooling.pace.size : min(spooling.pace.size, Spooling.overflowSize)
            var pending = try standby.spool.first(size, of: lane).map { message in
                var candidate = Candidate(message: message, decoded: Decoded())
                spooling.decoding.decode(message, into: &candidate.decoded)
                return candidate
            }
            while !pending.isEmpty {
                var batch = Array(pending.prefix(Self.prefixWithoutConflictingTwins(pending)))
                pending.removeFirst(batch.count)
                guard try drain(&batch, lane, standby) else { return false }
            }
            let isPressing = lane == .ordinary || spooling.isIdle || standby.spool.fill >= Spooling.overflowShare / 2
            spooling.pace.next = isPressing ? 0 : now + Spooling.overflowInterval
        } catch {
            complain(error)
            control.noteSpool(error.description)
            spooling.pace.next = now + 1_000_000_000
        }
        return true
    }

    /// Receipts that can't leave hold up the drain for a while only: the broker may be away for longer than PostgreSQL.
    private mutating func isHeldUpByReceipts(_ now: Int64) -> Bool {
        guard control.receipts.isCrowded else {
            spooling.crowdedSince = nil
            return false
        }
        let since = spooling.crowdedSince ?? now
        spooling.crowdedSince = since
        guard now - since < Spooling.crowdPatience else {
            spooling.crowdedSince = now
            return false
        }
        spooling.pace.next = now + 50_000_000
        return true
    }

    /// False when PostgreSQL did not take it.
    private mutating func drain(
        _ batch: inout [Candidate], _ lane: SpoolLane, _ standby: any Standby
    ) throws(SpoolFailure) -> Bool {
        let limit = linux_monotonic_nanoseconds() + spooling.pace.patience
        // They were judged when they came, and waited for no repeat.
        processor.options.holdsReds = false
        defer { processor.options.holdsReds = true }
        // One attempt: the next one comes after new reports had their turn.
        guard makeDurable(&batch, until: limit, attempts: 1) == .committed else {
            // The part that a bisected batch has committed counts here and now; it comes again as stored.
            let done = batch.prefix { $0.outcome.disposition != .pending }
            try standby.spool.removeFirst(done.count, of: lane)
            answer(Array(done))
            wasLate()
            return false
        }
        try standby.spool.removeFirst(batch.count, of: lane)
        answer(batch)
        spooling.pace.worked()
        control.beat()
        return true
    }

    /// Receipts follow the commit.
    func answer(_ batch: [Candidate]) {
        for candidate in batch {
            guard let topic = candidate.decoded.topic,
                let receipt = candidate.outcome.receipt(for: candidate.message, candidate.decoded)
            else { continue }
            var payload: [UInt8] = []
            receipt.encode(into: &payload)
            control.receipts.add(
                .init(topic: HomewardTopic.receipt(site: topic.site, device: topic.device), payload: payload))
        }
        control.receipts.signal()
    }

    /// Once nothing older waits, new reports go straight to PostgreSQL; once nothing waits at all, what was told and no
    /// drained report raised again is recorded. False when PostgreSQL did not take it.
    private mutating func finishOutage(_ standby: any Standby) -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard now >= spooling.pace.next, standby.spool.count(of: .ordinary) == 0 else { return true }
        if spooling.isActive {
            // An empty spool says nothing of PostgreSQL.
            guard spooling.isProven else { return true }
            spooling.isActive = false
            logger.notice("spool drained: reports go straight to PostgreSQL again")
        }
        guard standby.spool.count(of: .overflow) == 0, seat?.hasHandover != true else { return true }
        // What silence has made red in memory is told of: it must be recorded with that.
        guard fireTimers(waited: .seconds(0)) else {
            wasLate()
            return false
        }
        guard nextTimers > 0 else { return true }
        do throws(StoreFailure) {
            store.limit(until: now + spooling.pace.patience)
            let report = try processor.recordLeftovers(
                of: standby.ledger, to: store, at: Instant(microseconds: linux_wall_clock_microseconds()))
            standby.note(report.memory, registry: processor.registry)
        } catch {
            store.rollback()
            complain(error)
            processor.forgetStoreState()
            guard !isFenced(error) else { return false }
            control.note(error)
            accounts.failed(error)
            wasLate()
            return false
        }
        standby.endOutage()
        control.note(nil)
        control.noteSpool(nil)
        spooling.isOwing = false
        if spooling.hasToldFilling {
            spooling.hasToldFilling = false
            raise(.spoolFilling, .inRange, "The spool is drained.")
        }
        for device in spooling.flooding { raiseFlood(of: device, isOver: true) }
        spooling.flooding = []
        return true
    }

    /// What other threads found, or what an outage left to record, waits for no report.
    private mutating func commitNews() -> Bool {
        guard processor.hasFindings || standby?.ledger.lateOutcomes.isEmpty == false else { return true }
        var none: [Candidate] = []
        let fate = makeDurable(&none, until: linux_monotonic_nanoseconds() + patience)
        if fate == .late, isHolder, standby != nil { beginSpooling() }
        return fate == .committed
    }
}
