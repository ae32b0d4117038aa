import Alerting
import CLinux
import Clinical
import Formats
import Logging
import RingBuffer

/// Between batches the commit thread drains the spool, oldest first, and ends an outage.
extension CommitStage {
    /// After each batch, and each second without one.
    mutating func betweenBatches() {
        guard isHolder else { return standAside() }
        comeBack()
        takeHandedOver()
        guard let standby else {
            commitNews()
            takeTimers()
            takeReleases()
            takeTypedReports()
            return
        }
        for incident in standby.spool.takeIncidents() { tell(incident) }
        tellUnsent(standby)
        tellFindings(standby)
        if spooling.isOwing {
            takeTurn(standby)
            finishOutage(standby)
            if spooling.isActive { return fireTimersInMemory(standby) }
        }
        commitNews()
        takeTimers()
        takeReleases()
        takeTypedReports()
        guard !spooling.isActive, standby.isRefreshDue else { return }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            // Reads the registry if it has moved: the next outage must find it, also when no report came.
            var none: [Candidate] = []
            let report = try processor.commit(
                &none, to: store, recording: standby.ledger, at: Instant(microseconds: linux_wall_clock_microseconds()))
            standby.note(report.memory, registry: processor.registry)
            try standby.refresh(from: store)
        } catch {
            store.rollback()
            complain(error)
        }
    }

    /// Reds that PostgreSQL took and went away with.
    private mutating func tellUnsent(_ standby: any Standby) {
        let overdue = control.unsent.takeOverdue(isAway: spooling.isActive)
        guard !overdue.isEmpty else { return }
        spooling.isOwing = true
        standby.tell(overdue)
    }

    /// One transaction, if it is time for it: to see whether PostgreSQL answers, then the oldest reports.
    mutating func takeTurn(_ standby: any Standby) {
        guard linux_monotonic_nanoseconds() >= spooling.nextDrain else { return }
        guard spooling.isActive, !spooling.isProven else { return drain(standby) }
        var none: [Candidate] = []
        let limit = linux_monotonic_nanoseconds() + spooling.patience
        guard makeDurable(&none, until: limit, attempts: 1) == .committed else { return wasLate() }
        spooling.isProven = true
    }

    /// The next turn comes after new reports had theirs, and asks for less, or for longer.
    private mutating func wasLate() {
        spooling.isProven = false
        if spooling.drainSize == 1 { spooling.patience = min(spooling.patience * 2, max(patience, 2_000_000_000)) }
        spooling.drainSize = max(1, spooling.drainSize / 4)
        spooling.nextDrain = linux_monotonic_nanoseconds() + Int64(spooling.backoff.next()) * 1_000_000
    }

    private mutating func drain(_ standby: any Standby) {
        let now = linux_monotonic_nanoseconds()
        let lane: SpoolLane = standby.spool.count(of: .ordinary) > 0 ? .ordinary : .overflow
        guard standby.spool.count(of: lane) > 0, !isHeldUpByReceipts(now) else { return }
        do throws(SpoolFailure) {
            let size = lane == .ordinary ? spooling.drainSize : min(spooling.drainSize, Spooling.overflowSize)
            var pending = try standby.spool.first(size, of: lane).map { message in
                var candidate = Candidate(message: message, decoded: Decoded())
                spooling.decoding.decode(message, into: &candidate.decoded)
                return candidate
            }
            while !pending.isEmpty {
                var batch = Array(pending.prefix(Self.prefixWithoutConflictingTwins(pending)))
                pending.removeFirst(batch.count)
                guard try drain(&batch, lane, standby) else { return }
            }
            spooling.backoff = Backoff()
            let isPressing = lane == .ordinary || spooling.isIdle || standby.spool.fill >= Spooling.overflowShare / 2
            spooling.nextDrain = isPressing ? 0 : now + Spooling.overflowInterval
        } catch {
            complain(error)
            control.noteSpool(error.description)
            spooling.nextDrain = now + 1_000_000_000
        }
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
        spooling.nextDrain = now + 50_000_000
        return true
    }

    /// False when PostgreSQL did not take it.
    private mutating func drain(
        _ batch: inout [Candidate], _ lane: SpoolLane, _ standby: any Standby
    ) throws(SpoolFailure) -> Bool {
        let limit = linux_monotonic_nanoseconds() + spooling.patience
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
        spooling.drainSize = min(spooling.drainSize * 2, Self.batchLimit)
        spooling.patience = Spooling.drainPatience
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
    /// drained report raised again is recorded.
    private mutating func finishOutage(_ standby: any Standby) {
        let now = linux_monotonic_nanoseconds()
        guard now >= spooling.nextDrain, standby.spool.count(of: .ordinary) == 0 else { return }
        if spooling.isActive {
            // An empty spool says nothing of PostgreSQL.
            guard spooling.isProven else { return }
            spooling.isActive = false
            logger.notice("spool drained: reports go straight to PostgreSQL again")
        }
        guard standby.spool.count(of: .overflow) == 0, seat?.hasHandover != true else { return }
        // What silence has made red in memory is told of: it must be recorded with that.
        guard fireTimers(waited: .seconds(0)) else { return wasLate() }
        guard nextTimers > 0 else { return }
        do throws(StoreFailure) {
            store.limit(until: now + spooling.patience)
            let report = try processor.recordLeftovers(
                of: standby.ledger, to: store, at: Instant(microseconds: linux_wall_clock_microseconds()))
            standby.note(report.memory, registry: processor.registry)
        } catch {
            store.rollback()
            complain(error)
            control.note(error)
            accounts.failed(error)
            processor.forgetStoreState()
            wasLate()
            return
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
    }

    /// What other threads found, or what an outage left to record, waits for no report.
    private mutating func commitNews() {
        guard processor.hasFindings || standby?.ledger.lateOutcomes.isEmpty == false else { return }
        var none: [Candidate] = []
        if makeDurable(&none, until: linux_monotonic_nanoseconds() + patience) == .late, standby != nil {
            beginSpooling()
        }
    }
}
