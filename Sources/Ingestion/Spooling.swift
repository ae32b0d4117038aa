import Alerting
import CLinux
import Clinical
import Formats
import Logging
import Registry
import RingBuffer

/// What the commit thread knows of the spool's filling and draining.
struct Spooling {
    /// New reports go to the spool's tail.
    var isActive = false
    /// Something was spooled, or told of, since both lanes were empty and all of it was recorded.
    var isOwing = false
    /// No new reports waited when the ring was last looked at.
    var isIdle = false
    /// The last of the ring's slots that were judged, in PostgreSQL's transaction or in memory.
    var judgedThrough = -1
    /// Devices whose flood is told of already.
    var flooding: Set<Identifier> = []
    /// Judges in the standby's memory.
    var processor: BatchProcessor
    /// Knows the bytes that have killed the process, as the decode thread does.
    var decoding: DecodeStage
    /// PostgreSQL has answered since it was last late. A turn of its own finds out, so that connecting takes none of the
    /// drain's time.
    var isProven = false
    /// Since when receipts have kept the drain waiting; monotonic nanoseconds.
    var crowdedSince: Int64?
    /// Of the drain.
    var pace = Pace()
    var hasToldFilling = false
    var isFull = false

    init(_ processor: BatchProcessor, _ decoding: DecodeStage) {
        self.processor = processor
        self.decoding = decoding
    }

    static let drainPatience = Pace.patience
    /// The overflow goes in small parts, and while new reports come no more often than this, in nanoseconds.
    static let overflowSize = 250
    static let overflowInterval: Int64 = 250_000_000
    /// Of the quota: beyond it nothing more is held back.
    static let overflowShare = 0.5
    /// For how long receipts that don't leave may hold up a drain. A device that gets none sends again.
    static let crowdPatience: Int64 = 1_000_000_000
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
        spooling.isProven = false
        spooling.pace = Pace()
        spooling.pace.next = linux_monotonic_nanoseconds() + 200_000_000
        spooling.processor.forgetStoreState()
        spooling.processor.raise(whatWaitsIn: processor)
        logger.error("reports are not durable in time: spooling")
    }

    /// Milliseconds that the ring may be waited for.
    var untilNextTurn: Int32 {
        let idle = nextTimers == 0 ? 10 : isInterrupted ? Self.interruption : Spooling.idle
        guard standby != nil, spooling.isOwing else { return idle }
        let left = (spooling.pace.next - linux_monotonic_nanoseconds() + 999_999) / 1_000_000
        return Int32(clamping: max(0, min(left, Int64(isInterrupted ? Self.interruption : Spooling.idle))))
    }

    // MARK: Filling

    /// A flood's reports, while PostgreSQL is there: judged like any other, and synced to the overflow. False when the
    /// spool doesn't take them: they then go the usual way.
    mutating func overflow(_ batch: inout [Candidate], _ standby: any Standby) -> Bool {
        // PostgreSQL has gone on since the memory was last judged in.
        spooling.processor.forgetStoreState()
        spooling.isOwing = true
        _ = judgeInMemory(batch, standby)
        do throws(SpoolFailure) {
            try standby.spool.append(batch.map(\.message), to: .overflow, holdingRed: false)
        } catch {
            complain(error)
            return false
        }
        batch.indices.forEach { batch[$0].outcome.disposition = .spooled }
        return true
    }

    /// Judges in memory, tells of reds, and syncs the reports to disk. False when it was told to give up.
    mutating func spool(
        _ batch: inout [Candidate], _ ring: inout RingStage<Slot>, _ standby: any Standby
    ) -> Bool {
        var waiting = batch.indices.filter { batch[$0].outcome.disposition == .pending }
        let reds = judgeInMemory(waiting.map { batch[$0] }, standby)
        while true {
            do throws(SpoolFailure) {
                try standby.spool.append(waiting.map { batch[$0].message }, to: .ordinary, holdingRed: false)
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
                    try standby.spool.append(urgent.map { batch[$0].message }, to: .ordinary, holdingRed: true)
                    urgent.forEach { batch[$0].outcome.disposition = .spooled }
                    waiting.removeAll(where: urgent.contains)
                    if waiting.isEmpty { return true }
                } catch {
                    complain(error)
                }
            }
            lookAhead(&ring, standby)
            // Room comes only from the drain.
            _ = takeTurn(standby)
            guard isHolder else { return handOver(&batch) }
            guard control.sleep(milliseconds: 100) else { return false }
        }
    }

    /// What was read from the broker before reading stopped is judged too, and its reds are kept.
    private mutating func lookAhead(_ ring: inout RingStage<Slot>, _ standby: any Standby) {
        guard case .slots(let range) = ring.wait(milliseconds: 0) else { return }
        let fresh = max(range.lowerBound, spooling.judgedThrough + 1)..<range.upperBound
        guard !fresh.isEmpty else { return }
        spooling.judgedThrough = fresh.upperBound - 1
        let candidates = Self.candidates(fresh, &ring)
        let reds = judgeInMemory(candidates, standby)
        for (sequence, candidate) in zip(fresh, candidates) where candidate.key.map(reds.contains) ?? false {
            do throws(SpoolFailure) {
                try standby.spool.append([candidate.message], to: .ordinary, holdingRed: true)
                ring.withSlot(sequence) { $0.outcome.disposition = .spooled }
            } catch {
                complain(error)
            }
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
        tellFindings(standby)
    }

    /// While the spool is filled there may be no batch that would carry what was found.
    mutating func tellFindings(_ standby: any Standby) {
        guard spooling.isActive, spooling.processor.hasFindings else { return }
        do throws(StoreFailure) {
            var none: [Candidate] = []
            let report = try spooling.processor.commit(&none, to: standby.memory)
            let reds = report.notifying.filter { $0.episode.severity == .red }
            if !reds.isEmpty { standby.tell(reds, registry: spooling.processor.registry) }
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

    mutating func raise(_ finding: TechnicalFinding) { raise(finding.finding) }

    mutating func raise(_ finding: Finding) {
        processor.raise(finding)
        if spooling.isActive { spooling.processor.raise(finding) }
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
        raise(finding)
        if !isOver { logger.warning("device floods", metadata: ["device": "\(device)"]) }
    }

    mutating func tell(_ incident: SpoolIncident) {
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
