import Alerting
import CLinux
import Clinical
import Formats
import Logging
import RingBuffer

/// The commit thread beside the lease: without it nothing is judged, and whatever this instance has acknowledged or told
/// of goes to the one that holds it; with it, what others left so is judged here.
extension CommitStage {
    /// While nobody has said who holds the lease, or a message is under way. Nanoseconds.
    private static let waitingPause: Int64 = 100_000_000
    /// At a start it is said within that time, or the database is away. Nanoseconds.
    private static let decision: Int64 = 5_000_000_000
    private static let asidePause: Int64 = 1_000_000_000

    /// Longer than the lease lasts, and the look that finds it so.
    private static let longestLook: Int64 = 9_000_000_000

    // MARK: - Without the lease

    /// After each batch, and each second without one, while another instance holds the lease or nobody has said yet.
    mutating func standAside() {
        let now = linux_monotonic_nanoseconds()
        let isStandby = seat?.standing == .standby
        undecidedSince = isStandby ? nil : undecidedSince ?? now
        // Without the database nobody will say it soon.
        let isNear = undecidedSince.map { now - $0 < Self.decision } ?? false
        nextTimers = isNear ? 0 : now + Self.asidePause
        if let standby { for incident in standby.spool.takeIncidents() { tell(incident) } }
        if isStandby {
            // Another instance judges meanwhile.
            judgedUnder = .standby
            nextChore = 0
            processor.forgetFindings()
            spooling.processor.forgetFindings()
            control.unsent.forget()
            control.noteSpool(nil)
            if let standby, let handover, now >= handing.next { handOver(of: standby, by: handover) }
        }
        let pause = isNear || isStandby ? Self.waitingPause : Self.asidePause
        spooling.pace.next = max(handing.next, now + pause)
        keepWarm()
    }

    /// What judging goes on from is kept as by the holder, so that a take-over finds it.
    private mutating func keepWarm() {
        guard let standby, standby.isRefreshDue, linux_monotonic_nanoseconds() >= warming.next else { return }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            try processor.lookAtRegistry(in: store)
            standby.note(JudgingMemory(), registry: processor.registry)
            try standby.refresh(from: store)
            control.note(nil)
            warming.backoff = Backoff()
        } catch {
            store.rollback()
            control.note(error)
            complain(error)
            warming.next = linux_monotonic_nanoseconds() + Int64(warming.backoff.next()) * 1_000_000
        }
    }

    /// The spool and the journal of what was told, once nothing told is under way.
    private mutating func handOver(of standby: any Standby, by handover: any Handover) {
        let ledger = standby.ledger as? any TransferableLedger
        guard let told = ledger?.lines() ?? (ledger == nil ? [] : nil) else { return }
        do {
            if !told.isEmpty {
                store.limit(until: linux_monotonic_nanoseconds() + handing.patience)
                try handover.handOver([], told: told)
                ledger?.forgetEverything()
                logger.notice("what was told without the database is left to the lease's holder")
            }
            for lane in [SpoolLane.ordinary, .overflow] {
                while standby.spool.count(of: lane) > 0 {
                    let messages = try standby.spool.first(handing.size, of: lane)
                    store.limit(until: linux_monotonic_nanoseconds() + handing.patience)
                    try handover.handOver(messages, told: [])
                    try standby.spool.removeFirst(messages.count, of: lane)
                    handing.worked()
                    accounts.handedOver(messages)
                    control.beat()
                }
            }
        } catch {
            complain("handing over: \(error)")
            handing.wasLate(at: linux_monotonic_nanoseconds(), longest: longestTurn)
            return
        }
        guard spooling.isOwing else { return }
        spooling.isActive = false
        spooling.isOwing = false
        spooling.isFull = false
        spooling.hasToldFilling = false
        spooling.flooding = []
        standby.endOutage()
        logger.notice("the spool is left to the lease's holder")
    }

    /// What the ring holds still, received while the lease was ours: durable in the database, else in the spool. False
    /// when it was told to give up.
    mutating func handOver(_ batch: inout [Candidate]) -> Bool {
        while true {
            let waiting = batch.indices.filter { batch[$0].outcome.disposition == .pending }
            guard !waiting.isEmpty else { return true }
            if let handover {
                do throws(StoreFailure) {
                    let first = waiting.prefix(handing.size)
                    let messages = first.map { batch[$0].message }
                    store.limit(until: linux_monotonic_nanoseconds() + max(patience, handing.patience))
                    try handover.handOver(messages, told: [])
                    handing.worked()
                    first.forEach { batch[$0].outcome.disposition = .spooled }
                    accounts.handedOver(messages)
                    control.beat()
                    continue
                } catch {
                    complain(error)
                    handing.wasLate(at: linux_monotonic_nanoseconds(), longest: longestTurn)
                }
            }
            if let standby {
                do throws(SpoolFailure) {
                    try standby.spool.append(waiting.map { batch[$0].message }, to: .ordinary, holdingRed: false)
                    waiting.forEach { batch[$0].outcome.disposition = .spooled }
                    spooling.isOwing = true
                    spooling.isActive = true
                    return true
                } catch {
                    complain(error)
                }
            }
            guard control.sleep(milliseconds: 100) else { return false }
        }
    }

    // MARK: - In doubt

    /// After a standstill nothing is judged or told before the lease was asked for again: a few milliseconds where the
    /// database is there, and for as long as the lease lasts where it is not. A keeper that does not look at all is waited
    /// for once.
    mutating func lookAtLease() {
        guard let seat, seat.isHolder, seat.isLookOld else {
            hasWaitedForLook = false
            return
        }
        guard !hasWaitedForLook else { return }
        let limit = linux_monotonic_nanoseconds() + Self.longestLook
        while seat.isHolder, seat.isLookOld, linux_monotonic_nanoseconds() < limit, control.sleep(milliseconds: 5) {}
        hasWaitedForLook = true
    }

    /// Another instance holds the lease by now, said the store: nothing is told of what failed so.
    func isFenced(_ failure: StoreFailure) -> Bool {
        guard failure.kind == .fenced else { return false }
        seat?.lose(seat?.epoch)
        return true
    }

    // MARK: - With it again

    /// What is remembered between batches was judged under one epoch of the lease and is good under that alone: another
    /// instance may have held it since, also between two looks of this thread.
    mutating func comeBack() {
        guard let seat, case .holder(let epoch) = seat.standing, judgedUnder != .holder(epoch: epoch) else { return }
        let before = judgedUnder
        judgedUnder = .holder(epoch: epoch)
        seat.judges(under: epoch)
        undecidedSince = nil
        processor.forgetStoreState()
        spooling.processor.forgetStoreState()
        nextTimers = 0
        isBlindnessTold = nil
        guard case .holder(let old?) = before, let epoch, epoch != old + 1 else { return }
        // The next epoch is our own again; over one that was left out another instance has told of what waited.
        control.unsent.forget()
    }

    /// One transaction of what others left to us, oldest first; it comes after new reports had their turn. False when it
    /// failed: the next one is smaller, and comes later.
    mutating func takeHandedOver() -> Bool {
        let now = linux_monotonic_nanoseconds()
        guard let seat, seat.hasHandover, let handover, now >= handing.next else { return true }
        do throws(StoreFailure) {
            store.limit(until: now + handing.patience)
            let rows = try handover.handedOver(limit: handing.size)
            guard !rows.isEmpty else {
                seat.hasHandover = false
                return true
            }
            var messages: [Message] = []
            for row in rows {
                switch row.content {
                case .message(let message): messages.append(message)
                case .told(let lines): adopt(lines)
                }
            }
            guard judgeHandedOver(messages) else {
                handing.wasLate(at: linux_monotonic_nanoseconds(), longest: longestTurn)
                return false
            }
            store.limit(until: linux_monotonic_nanoseconds() + handing.patience)
            try handover.forget(rows)
            handing.worked()
            logger.notice("judged what another instance left", metadata: ["messages": "\(messages.count)"])
            nextTimers = 0
            return true
        } catch {
            store.rollback()
            complain(error)
            handing.wasLate(at: linux_monotonic_nanoseconds(), longest: longestTurn)
            return false
        }
    }

    private mutating func adopt(_ lines: [UInt8]) {
        guard let ledger = standby?.ledger as? any TransferableLedger else { return }
        ledger.adopt(lines)
        spooling.isOwing = true
    }

    private mutating func judgeHandedOver(_ messages: [Message]) -> Bool {
        var pending = messages.map { message in
            var candidate = Candidate(message: message, decoded: Decoded())
            spooling.decoding.decode(message, into: &candidate.decoded)
            candidate.wasHandedOver = true
            return candidate
        }
        // They waited for no repeat when they came.
        processor.options.holdsReds = false
        defer { processor.options.holdsReds = true }
        while !pending.isEmpty {
            var batch = Array(pending.prefix(Self.prefixWithoutConflictingTwins(pending)))
            pending.removeFirst(batch.count)
            let limit = linux_monotonic_nanoseconds() + handing.patience
            guard makeDurable(&batch, until: limit, attempts: 1) == .committed else { return false }
            answer(batch)
            control.beat()
        }
        return true
    }
}
