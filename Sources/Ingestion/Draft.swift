import Alerting
import Clinical
import Formats
import Registry

/// A report that is to be stored and judged.
struct AcceptedReport: Sendable {
    /// Its place in the batch: the order of receipt.
    var order: Int
    /// Its place among the reports to be written.
    var row: Int
    var report: JudgedReport
    var patient: Identifier
    var site: Identifier
    var sequence: Int64?
    var message: Message
}

/// A report that is refused although its readings could be read: it must not silence a red.
struct RefusedReport: Sendable {
    var key: ReportKey
    var reason: RefusalReason
    /// Corrected, as far as it can be.
    var takenAt: Instant
    var receivedAt: Instant
    /// The topic's.
    var site: Identifier?
    var readings: [Reading]
    var answers: [SentAnswer]
    var message: Message
}

/// What one transaction is going to write, while it is being worked out. Thrown away when the transaction fails.
struct Draft {
    let registry: Registry
    var rows = CommitBatch()
    var accepted: [AcceptedReport] = []
    var refused: [RefusedReport] = []
    var findings: [Finding] = []
    var sequences: [Identifier: DeviceSequence] = [:]
    var sequencesChanged: Set<Identifier> = []
    /// By place in the batch: in how many minutes the receipt asks the patient to measure again.
    var repeatsAsked: [Int: Int] = [:]
    /// By place in the batch: what the patient is told at once.
    var advice: [Int: Receipt.Advice] = [:]
    /// What this batch learned of each patient's consciousness.
    var consciousness: [Identifier: ConsciousnessWord] = [:]
    /// What was looked back at, with this batch's readings and answers.
    var histories: [Identifier: PatientHistory] = [:]
    /// Reds of this batch that wait for their repeat, and got none in it.
    var held: [HeldRed] = []
    /// Readings that may be a repeat that was asked for, by the timer that they would settle.
    var repeats: [TimerName: [Repeat]] = [:]
    /// Patients who missed a reading and are told of in their site's list.
    var toldTogether: Set<Subject> = []
    var lockedSubjects: Set<Subject> = []
    var stillOpen: Set<Subject> = []
    var report = BatchProcessor.Report()
    /// Keys that this batch stores, with the digest of the report that did.
    private var storedHere: [ReportKey: ContentDigest] = [:]
    private var count = 0
    private let judgesUnknownReaders: Bool
    var budget = QuarantineBudget()
    var strangers = UnknownReaders()
    /// Readings that are stored now carry `ServerClock.flag`.
    var isClockDoubted = false

    init(registry: Registry, judgesUnknownReaders: Bool = false) {
        self.registry = registry
        self.judgesUnknownReaders = judgesUnknownReaders
    }

    /// Decides a candidate's fate by its admission and its key's verdict, and notes its rows.
    mutating func sort(_ candidate: inout Candidate, verdicts: [ReportKey: KeyVerdict]) {
        defer { count += 1 }
        defer { noteRelease(candidate) }
        switch candidate.admission {
        case .elsewhere:
            candidate.outcome.disposition = .unanswered
        case .status(let device):
            candidate.outcome.disposition = .unanswered
            guard let status = candidate.decoded.status else { return }
            rows.statuses.append(
                DeviceStatusRow(
                    device: device, online: status.online, battery: status.battery, firmware: status.firmware,
                    receivedAt: candidate.message.receivedAt))
        case .unreadable(let reason, let detail):
            quarantine(&candidate, reason, detail: detail)
        case .unknownDevice(let reason):
            quarantine(
                &candidate, reason,
                detail: reason == .retained
                    ? "flagged retained and not stored before" : "no such device at this site")
            if !candidate.message.isStatus, let topic = candidate.decoded.topic,
                let id = candidate.decoded.report.id
            {
                noteRefused(candidate, ReportKey(device: topic.device, report: id), reason)
            }
        case .refused(let reason, let key, let detail):
            guard settleKnown(&candidate, key, verdicts[key]) == false else { return }
            quarantine(&candidate, reason, detail: detail)
            noteRefused(candidate, key, reason)
        case .admitted(let key, let patient):
            guard settleKnown(&candidate, key, verdicts[key]) == false else { return }
            storedHere[key] = candidate.decoded.digest
            store(&candidate, key, patient)
        }
    }

    private mutating func noteRelease(_ candidate: Candidate) {
        guard let id = candidate.release, let result = ReleaseResult(id, candidate.outcome.disposition) else { return }
        rows.releases.append(result)
        report.released += 1
    }

    mutating func keepWithinBudget() {
        for index in rows.quarantined.indices { budget.apply(to: &rows.quarantined[index]) }
    }

    /// True when the key was stored before: the report is a duplicate or a conflict.
    private mutating func settleKnown(
        _ candidate: inout Candidate, _ key: ReportKey, _ verdict: KeyVerdict?
    ) -> Bool {
        let conflicts: Bool
        if let stored = storedHere[key] {
            conflicts = stored != candidate.decoded.digest
        } else {
            switch verdict {
            case .new, nil: return false
            case .duplicate: conflicts = false
            case .conflict: conflicts = true
            }
        }
        if conflicts {
            quarantine(&candidate, .conflict, detail: "another report with this id is stored")
            noteRefused(candidate, key, .conflict)
        } else {
            candidate.outcome.disposition = .duplicate
            report.duplicate += 1
        }
        return true
    }

    private mutating func quarantine(_ candidate: inout Candidate, _ reason: RefusalReason, detail: String) {
        candidate.outcome.disposition = .quarantined(reason)
        rows.quarantined.append(
            QuarantinedReport(
                reason: reason, detail: detail, site: candidate.decoded.topic?.site,
                device: candidate.decoded.topic?.device, reportID: candidate.decoded.report.id,
                topic: candidate.message.topic, payload: candidate.message.payload,
                receivedAt: candidate.message.receivedAt, reading: nil))
        if candidate.message.isStatus {
            report.statusesRefused[reason, default: 0] += 1
        } else {
            report.quarantined[reason, default: 0] += 1
        }
    }

    /// Clinical facts, section 4, "Nothing may delay or hide a red", 2.
    private mutating func noteRefused(_ candidate: Candidate, _ key: ReportKey, _ reason: RefusalReason) {
        guard
            [.clockFuture, .tooOld, .unpaired, .conflict].contains(reason)
                || (reason == .unknownDevice && judgesUnknownReaders)
        else { return }
        refused.append(
            RefusedReport(
                key: key, reason: reason, takenAt: candidate.decoded.clock.takenAt,
                receivedAt: candidate.message.receivedAt, site: candidate.decoded.topic?.site,
                readings: candidate.decoded.readings.readings, answers: candidate.decoded.report.answers,
                message: candidate.message))
    }

    private mutating func store(_ candidate: inout Candidate, _ key: ReportKey, _ patient: Identifier) {
        let decoded = candidate.decoded
        let receivedAt = candidate.message.receivedAt
        guard let site = decoded.topic?.site else { return }
        var readings = decoded.readings.readings
        if decoded.clock.corrected {
            for index in readings.indices { readings[index].flags.insert(.clockCorrected) }
        }
        if isClockDoubted {
            for index in readings.indices { readings[index].otherFlags.append(ServerClock.flag) }
        }
        rows.reports.append(
            StoredReport(
                key: key, site: site, patient: patient, takenAt: decoded.clock.takenAt, receivedAt: receivedAt,
                sequence: decoded.report.sequence, battery: decoded.report.battery, raw: candidate.message.payload,
                readings: readings, answers: decoded.report.answers, clockCorrected: decoded.clock.corrected))
        accepted.append(
            AcceptedReport(
                order: count, row: rows.reports.count - 1,
                report: JudgedReport(
                    key: key, takenAt: decoded.clock.takenAt, receivedAt: receivedAt, readings: readings,
                    answers: decoded.report.answers),
                patient: patient, site: site, sequence: decoded.report.sequence, message: candidate.message))
        for refused in decoded.readings.refused {
            rows.quarantined.append(
                QuarantinedReport(
                    reason: refused.reason, detail: refused.refusalDetail, site: site, device: key.device,
                    reportID: key.report, topic: candidate.message.topic, payload: candidate.message.payload,
                    receivedAt: receivedAt, reading: refused.index))
            report.readingsRefused[refused.reason, default: 0] += 1
        }
        report.stored += 1
        report.readingsStored += readings.count
        candidate.outcome.disposition = .stored
        candidate.outcome.refused = decoded.readings.refused
        if !decoded.readings.refused.isEmpty || readings.contains(where: \.isSuspect) {
            repeatsAsked[count] = Self.repeatAfterMinutes
        }
    }

    /// Clinical facts, section 4: a refused or a suspect reading asks the patient to measure again; in 30 minutes,
    /// section 5.
    static let repeatAfterMinutes = 30

    /// What only someone who knows the patient can call suspect.
    mutating func markSuspicions(at index: Int, plan: Plan, history: PatientHistory) {
        plan.markSuspicions(
            in: &accepted[index].report.readings, at: accepted[index].report.takenAt, history: history)
        guard accepted[index].report.readings.contains(where: \.isSuspect) else { return }
        rows.reports[accepted[index].row].readings = accepted[index].report.readings
        repeatsAsked[accepted[index].order] = Self.repeatAfterMinutes
    }

    /// What the receipt says beside the outcome.
    mutating func note(_ judged: Judging.Judged, of accepted: AcceptedReport) {
        if let minutes = judged.repeatAfterMinutes {
            repeatsAsked[accepted.order] = min(minutes, repeatsAsked[accepted.order] ?? minutes)
        }
        held += judged.held
        guard let told = judged.advice else { return }
        let language = registry.patients[accepted.patient]?.details.language ?? "en"
        advice[accepted.order] = Receipt.Advice(code: told.code, text: told.text(in: language))
    }
}
