import Alerting
import CLinux
import Clinical
import Formats
import Logging
import RingBuffer

/// The commit thread beside the lease: without it nothing is judged, and whatever this instance has acknowledged or told
/// of goes to the one that holds it; with it, what others left so is judged here.
extension CommitStage {
    /// Rows of one transaction.
    private static let handedOverAtOnce = 500
    /// After what could not be handed over. Nanoseconds.
    private static let handingPause: Int64 = 1_000_000_000

    /// While nobody has said who holds the lease, or a message is under way. Nanoseconds.
    private static let waitingPause: Int64 = 100_000_000

    // MARK: - Without the lease

    /// After each batch, and each second without one, while another instance holds the lease or nobody has said yet.
    mutating func standAside() {
        let now = linux_monotonic_nanoseconds()
        // While nobody has said it will be soon.
        nextTimers = seat?.standing == .standby ? now + 1_000_000_000 : 0
        if let standby { for incident in standby.spool.takeIncidents() { tell(incident) } }
        if seat?.standing == .standby {
            wasAside = true
            processor.forgetFindings()
            spooling.processor.forgetFindings()
            control.unsent.forget()
            control.noteSpool(nil)
            if let standby, let handover, now >= spooling.nextDrain { handOver(of: standby, by: handover) }
        }
        if spooling.nextDrain <= now { spooling.nextDrain = now + Self.waitingPause }
        keepWarm()
    }

    /// What judging goes on from is kept as by the holder, so that a take-over finds it.
    private mutating func keepWarm() {
        guard let standby, standby.isRefreshDue, linux_monotonic_nanoseconds() >= nextWarming else { return }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            try processor.lookAtRegistry(in: store)
            standby.note(JudgingMemory(), registry: processor.registry)
            try standby.refresh(from: store)
            control.note(nil)
        } catch {
            store.rollback()
            control.note(error)
            complain(error)
            nextWarming = linux_monotonic_nanoseconds() + Self.waitingPause
        }
    }

    /// The spool and the journal of what was told, once nothing told is under way.
    private mutating func handOver(of standby: any Standby, by handover: any Handover) {
        let ledger = standby.ledger as? any TransferableLedger
        guard let told = ledger?.lines() ?? (ledger == nil ? [] : nil) else { return }
        do {
            if !told.isEmpty {
                store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
                try handover.handOver([], told: told)
                ledger?.forgetEverything()
                logger.notice("what was told without the database is left to the lease's holder")
            }
            for lane in [SpoolLane.ordinary, .overflow] {
                while standby.spool.count(of: lane) > 0 {
                    let messages = try standby.spool.first(Self.handedOverAtOnce, of: lane)
                    store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
                    try handover.handOver(messages, told: [])
                    try standby.spool.removeFirst(messages.count, of: lane)
                    accounts.handedOver(messages)
                    control.beat()
                }
            }
        } catch {
            complain("handing over: \(error)")
            spooling.nextDrain = linux_monotonic_nanoseconds() + Self.handingPause
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
            let messages = waiting.map { batch[$0].message }
            if let handover {
                do throws(StoreFailure) {
                    store.limit(until: linux_monotonic_nanoseconds() + patience)
                    try handover.handOver(messages, told: [])
                    waiting.forEach { batch[$0].outcome.disposition = .spooled }
                    accounts.handedOver(messages)
                    return true
                } catch {
                    complain(error)
                }
            }
            if let standby {
                do throws(SpoolFailure) {
                    try standby.spool.append(messages, to: .ordinary, holdingRed: false)
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

    // MARK: - With it again

    /// Whatever is remembered is from before another instance's time.
    mutating func comeBack() {
        guard wasAside else { return }
        wasAside = false
        processor.forgetStoreState()
        spooling.processor.forgetStoreState()
        nextTimers = 0
        isBlindnessTold = nil
    }

    /// One transaction of what others left to us, oldest first; it comes after new reports had their turn.
    mutating func takeHandedOver() {
        guard let seat, seat.hasHandover, let handover, !spooling.isActive else { return }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            let rows = try handover.handedOver(limit: Self.handedOverAtOnce)
            guard !rows.isEmpty else {
                seat.hasHandover = false
                return
            }
            var messages: [Message] = []
            for row in rows {
                switch row.content {
                case .message(let message): messages.append(message)
                case .told(let lines): adopt(lines)
                }
            }
            countHandedOver(rows)
            guard judgeHandedOver(messages) else { return }
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            try handover.forget(rows)
            logger.notice("judged what another instance left", metadata: ["messages": "\(messages.count)"])
            nextTimers = 0
        } catch {
            store.rollback()
            complain(error)
        }
    }

    private mutating func adopt(_ lines: [UInt8]) {
        guard let ledger = standby?.ledger as? any TransferableLedger else { return }
        ledger.adopt(lines)
        spooling.isOwing = true
    }

    /// Received here as well, each once.
    private mutating func countHandedOver(_ rows: [HandedOver]) {
        for row in rows where row.id > lastHandedOver {
            guard case .message(let message) = row.content else { continue }
            lastHandedOver = row.id
            if !message.isStatus { accounts.received(1) }
        }
    }

    private mutating func judgeHandedOver(_ messages: [Message]) -> Bool {
        var pending = messages.map { message in
            var candidate = Candidate(message: message, decoded: Decoded())
            spooling.decoding.decode(message, into: &candidate.decoded)
            return candidate
        }
        // They waited for no repeat when they came.
        processor.options.holdsReds = false
        defer { processor.options.holdsReds = true }
        while !pending.isEmpty {
            var batch = Array(pending.prefix(Self.prefixWithoutConflictingTwins(pending)))
            pending.removeFirst(batch.count)
            let limit = linux_monotonic_nanoseconds() + Spooling.drainPatience
            guard makeDurable(&batch, until: limit, attempts: 1) == .committed else { return false }
            answer(batch)
            control.beat()
        }
        return true
    }
}
