import Alerting
import CLinux
import Clinical
import Formats
import Logging
import Registry

/// What the commit thread knows of the spool's filling and draining.
struct Spooling {
    /// New reports go to the spool's tail.
    var isActive = false
    /// Something was spooled, or told of, since both lanes were empty and all of it was recorded.
    var isOwing = false
    /// No new reports waited when the ring was last looked at.
    var isIdle = false
    /// Devices whose flood is told of already.
    var flooding: Set<Identifier> = []
    /// Judges in the standby's memory.
    var processor: BatchProcessor
    var decoding = DecodeStage()
    /// Reports of the next transaction of the drain: fewer after one that was late, more after one that was not.
    var drainSize = Spooling.firstDrain
    /// Monotonic nanoseconds.
    var nextDrain: Int64 = 0
    var backoff = Backoff()
    var hasToldFilling = false
    var isFull = false

    init(_ processor: BatchProcessor) { self.processor = processor }

    static let firstDrain = 500
    /// A transaction of the drain keeps the new reports waiting, which must be durable within 2 s.
    static let drainPatience: Int64 = 1_000_000_000
    /// The overflow goes in small parts, and while new reports come no more often than this, in nanoseconds.
    static let overflowSize = 250
    static let overflowInterval: Int64 = 250_000_000
    /// How long an instance without work sleeps.
    static let idle: Int32 = 1000
}

extension CommitStage {
    /// What an earlier life left in the spool comes before everything new.
    mutating func resume() {
        guard let standby else { return }
        let count = standby.spool.count(of: .ordinary)
        spooling.isOwing =
            count > 0 || standby.spool.count(of: .overflow) > 0 || !standby.ledger.unrecorded.isEmpty
        guard count > 0 else { return }
        spooling.isActive = true
        logger.notice("spool holds reports of an earlier run", metadata: ["count": "\(count)"])
    }

    mutating func beginSpooling() {
        guard !spooling.isActive else { return }
        spooling.isActive = true
        spooling.isOwing = true
        spooling.drainSize = Spooling.firstDrain
        spooling.backoff = Backoff()
        spooling.nextDrain = linux_monotonic_nanoseconds() + 200_000_000
        spooling.processor.forgetStoreState()
        spooling.processor.raise(whatWaitsIn: processor)
        logger.error("reports are not durable in time: spooling")
    }

    /// Milliseconds that the ring may be waited for.
    var untilNextTurn: Int32 {
        guard standby != nil, spooling.isOwing else { return Spooling.idle }
        let left = (spooling.nextDrain - linux_monotonic_nanoseconds() + 999_999) / 1_000_000
        return Int32(clamping: max(0, min(left, Int64(Spooling.idle))))
    }

    // MARK: Filling

    /// Judges in memory, tells of reds, and syncs the reports to disk. False when it was told to give up.
    mutating func spool(_ batch: inout [Candidate], to lane: SpoolLane, _ standby: any Standby) -> Bool {
        var waiting = batch.indices.filter { batch[$0].outcome.disposition == .pending }
        if !spooling.isActive {
            // PostgreSQL has gone on since the memory was last judged in.
            spooling.processor.forgetStoreState()
            spooling.isOwing = true
        }
        let reds = judgeInMemory(waiting.map { batch[$0] }, standby)
        while true {
            do throws(SpoolFailure) {
                try standby.spool.append(waiting.map { batch[$0].message }, to: lane, holdingRed: false)
                waiting.forEach { batch[$0].outcome.disposition = .spooled }
                isSpooled(standby)
                return true
            } catch {
                complain(error)
                isRefused(error, standby)
            }
            // The last of the quota is for reds: they are safe, and told, while the rest holds up the broker.
            let urgent = waiting.filter { index in batch[index].key.map(reds.contains) ?? false }
            if !urgent.isEmpty {
                do throws(SpoolFailure) {
                    try standby.spool.append(urgent.map { batch[$0].message }, to: lane, holdingRed: true)
                    urgent.forEach { batch[$0].outcome.disposition = .spooled }
                    waiting.removeAll(where: urgent.contains)
                    if waiting.isEmpty { return true }
                } catch {
                    complain(error)
                }
            }
            // Room comes only from the drain.
            drain(standby)
            guard control.sleep(milliseconds: 100) else { return false }
        }
    }

    /// The reports that hold a red, all of which are with delivery when this returns.
    private mutating func judgeInMemory(_ candidates: [Candidate], _ standby: any Standby) -> Set<ReportKey> {
        var batch = candidates
        var reds: Set<ReportKey> = []
        while !batch.isEmpty {
            var part = Array(batch.prefix(Self.prefixWithoutConflictingTwins(batch)))
            batch.removeFirst(part.count)
            do throws(StoreFailure) {
                let report = try spooling.processor.commit(&part, to: standby.memory)
                let told = report.notifying.filter { $0.episode.severity == .red }
                for change in told { reds.formUnion(change.events.compactMap(\.report)) }
                if !told.isEmpty { standby.tell(told, registry: spooling.processor.registry) }
            } catch {
                // Memory refuses nothing; what it should refuse all the same is judged when it is drained.
                complain(error)
            }
        }
        return reds
    }

    private mutating func isSpooled(_ standby: any Standby) {
        if spooling.isFull {
            spooling.isFull = false
            control.noteSpool(nil)
            logger.notice("spool has room again")
        }
        guard !spooling.hasToldFilling, standby.spool.fill >= 0.5 else { return }
        spooling.hasToldFilling = true
        logger.error("half of the spool's quota is used")
        raise(.spoolFilling, .beyond(.amber), "Half of the spool's quota is used while PostgreSQL takes no reports.")
    }

    private mutating func isRefused(_ failure: SpoolFailure, _ standby: any Standby) {
        control.noteSpool(failure.description)
        guard !spooling.isFull else { return }
        spooling.isFull = true
        logger.error("spool takes no more: reading from the broker stops", metadata: ["failure": "\(failure)"])
        raise(
            .spoolFull, .beyond(.red),
            "The spool takes no more reports (\(failure.kind.rawValue)): reading from the broker has stopped until "
                + "PostgreSQL takes reports again.")
        // There may be no batch that would carry it.
        do throws(StoreFailure) {
            var none: [Candidate] = []
            let report = try spooling.processor.commit(&none, to: standby.memory)
            standby.tell(
                report.notifying.filter { $0.episode.severity == .red }, registry: spooling.processor.registry)
        } catch {
            complain(error)
        }
    }

    mutating func raise(_ rule: TechnicalFinding.Rule, _ verdict: Finding.Verdict, _ summary: String) {
        let finding = TechnicalFinding(
            rule, verdict, at: Instant(microseconds: linux_wall_clock_microseconds()), summary: summary
        )
        raise(finding)
    }

    mutating func raise(_ finding: TechnicalFinding) {
        processor.raise(finding.finding)
        if spooling.isActive { spooling.processor.raise(finding.finding) }
    }

    // MARK: Draining

    /// After each batch, and each second without one.
    mutating func betweenBatches() {
        guard let standby else {
            commitNews()
            return
        }
        for incident in standby.spool.takeIncidents() { tell(incident) }
        if spooling.isOwing {
            drain(standby)
            finishOutage(standby)
            if spooling.isActive { return }
        }
        commitNews()
        guard !spooling.isActive, standby.isRefreshDue else { return }
        do throws(StoreFailure) {
            store.limit(until: linux_monotonic_nanoseconds() + Spooling.drainPatience)
            // Reads the registry if it has moved: the next outage must find it, also when no report came.
            var none: [Candidate] = []
            let report = try processor.commit(&none, to: store, recording: standby.ledger)
            standby.note(report.memory, registry: processor.registry)
            try standby.refresh(from: store)
        } catch {
            store.rollback()
            complain(error)
        }
    }

    /// One transaction's worth of the oldest reports, if it is time for it.
    private mutating func drain(_ standby: any Standby) {
        let now = linux_monotonic_nanoseconds()
        let lane: SpoolLane = standby.spool.count(of: .ordinary) > 0 ? .ordinary : .overflow
        guard now >= spooling.nextDrain, standby.spool.count(of: lane) > 0 else { return }
        guard !control.receipts.isCrowded else {
            spooling.nextDrain = now + 50_000_000
            return
        }
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
                guard try drain(&batch, lane, standby, until: now + Spooling.drainPatience) else { return }
            }
            spooling.backoff = Backoff()
            spooling.nextDrain = lane == .ordinary || spooling.isIdle ? 0 : now + Spooling.overflowInterval
        } catch {
            complain(error)
            control.noteSpool(error.description)
            spooling.nextDrain = now + 1_000_000_000
        }
    }

    /// False when PostgreSQL did not take it.
    private mutating func drain(
        _ batch: inout [Candidate], _ lane: SpoolLane, _ standby: any Standby, until limit: Int64
    ) throws(SpoolFailure) -> Bool {
        // One attempt: the next one comes after new reports had their turn.
        guard makeDurable(&batch, until: limit, attempts: 1) == .committed else {
            // The part that a bisected batch has committed counts here and now; it comes again as stored.
            let done = batch.prefix { $0.outcome.disposition != .pending }
            try standby.spool.removeFirst(done.count, of: lane)
            answer(Array(done))
            spooling.drainSize = max(1, spooling.drainSize / 4)
            spooling.nextDrain = linux_monotonic_nanoseconds() + Int64(spooling.backoff.next()) * 1_000_000
            return false
        }
        try standby.spool.removeFirst(batch.count, of: lane)
        answer(batch)
        spooling.drainSize = min(spooling.drainSize * 2, Self.batchLimit)
        control.beat()
        return true
    }

    /// Receipts follow the commit.
    private func answer(_ batch: [Candidate]) {
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
            spooling.isActive = false
            logger.notice("spool drained: reports go straight to PostgreSQL again")
        }
        guard standby.spool.count(of: .overflow) == 0 else { return }
        do throws(StoreFailure) {
            store.limit(until: now + Spooling.drainPatience)
            let report = try processor.recordLeftovers(of: standby.ledger, to: store)
            standby.note(report.memory, registry: processor.registry)
        } catch {
            store.rollback()
            complain(error)
            control.note(error)
            processor.forgetStoreState()
            spooling.nextDrain = now + Int64(spooling.backoff.next()) * 1_000_000
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

    /// A technical alert about the device, once a flood.
    mutating func raiseFlood(of device: Identifier, isOver: Bool = false) {
        guard isOver || spooling.flooding.insert(device).inserted else { return }
        let now = Instant(microseconds: linux_wall_clock_microseconds())
        let summary =
            isOver
            ? "The flood of device \(device) is over and stored."
            : "Device \(device) sends more than \(Int(flood.rate)) reports a second: they wait behind the others'."
        let finding = Finding(
            subject: .device(device), site: processor.registry.devices[device]?.site, device: device,
            rule: "flood", alertClass: .technical, verdict: isOver ? .inRange : .beyond(.amber), takenAt: now,
            receivedAt: now, report: nil, summary: summary)
        processor.raise(finding)
        if spooling.isActive { spooling.processor.raise(finding) }
        if !isOver { logger.warning("device floods", metadata: ["device": "\(device)"]) }
    }

    /// What other threads found, or what an outage left to record, waits for no report.
    private mutating func commitNews() {
        guard processor.hasFindings || standby?.ledger.lateOutcomes.isEmpty == false else { return }
        var none: [Candidate] = []
        if makeDurable(&none, until: linux_monotonic_nanoseconds() + patience) == .late, standby != nil {
            beginSpooling()
        }
    }

    private mutating func tell(_ incident: SpoolIncident) {
        switch incident {
        case .torn(let file, let bytes):
            // Nothing in it was acknowledged.
            logger.notice("spool cut at its last whole record", metadata: ["file": "\(file)", "bytes": "\(bytes)"])
        case .corrupt(let file, let bytes):
            logger.critical(
                "spool damaged: records set aside, the rest goes on",
                metadata: ["file": "\(file)", "bytes": "\(bytes)"])
            raise(
                .spoolCorrupt, .beyond(.red),
                "\(bytes) bytes of the spool were damaged and are set aside in \(file): reports in them are not stored."
            )
        }
    }
}
