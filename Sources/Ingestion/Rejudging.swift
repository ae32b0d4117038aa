import Alerting
public import Clinical
public import Registry

/// Judges stored reports again without the readings that were entered in error, by the packs and the registry of now.
/// Pure, but for what it remembers of plans; owned by one thread.
public struct Rejudging {
    /// What a report says of one rule.
    public struct Level: Hashable, Sendable {
        public var severity: Severity
        /// As `Episode.worst`.
        public var measure: Double?

        public init(severity: Severity, measure: Double?) {
            self.severity = severity
            self.measure = measure
        }
    }

    private var decoding = DecodeStage()
    private var plans: PlanCache
    private let registry: Registry

    public init(packs: PackLibrary, registry: Registry) {
        plans = PlanCache(packs: packs)
        self.registry = registry
    }

    /// What must be known of the patient's past; nil where nothing is looked back at. Nothing else that was measured
    /// before `since` can have mattered for the report.
    public mutating func historyNeeded(for stored: StoredMessage) -> HistoryNeed? {
        guard let report = decode(stored) else { return nil }
        let plan = plans.plan(for: stored.patient, in: registry)
        let needs = [
            plan.historyNeeded(for: report), plan.usesNEWS2 ? plan.news2HistoryNeeded(for: report) : nil,
        ].compactMap(\.self)
        guard let first = needs.first else { return nil }
        return needs.dropFirst().reduce(first) { $0.union($1) }
    }

    /// When the report's readings were taken, corrected; nil where it can't be read any more.
    public mutating func takenAt(_ stored: StoredMessage) -> Instant? { decode(stored)?.takenAt }

    /// The rules that find the report beyond a limit, with how far.
    ///
    /// - Parameters:
    ///   - leavingOut: readings that count for nothing, whichever report they are of.
    ///   - history: may hold them, and what was measured later.
    public mutating func levels(
        of stored: StoredMessage, leavingOut: [ReportKey: Set<Int>], history: PatientHistory
    ) -> [String: Level] {
        guard var report = decode(stored) else { return [:] }
        let plan = plans.plan(for: stored.patient, in: registry)
        let known = PatientHistory(
            readings: history.readings.filter {
                $0.takenAt <= report.takenAt && !(leavingOut[$0.key]?.contains($0.index) ?? false)
            }, answers: history.answers.filter { $0.takenAt <= report.takenAt })
        report.readings.removeAll { leavingOut[stored.key]?.contains($0.index) ?? false }
        plan.markSuspicions(in: &report.readings, at: report.takenAt, history: known)
        let accepted = AcceptedReport(
            order: 0, row: 0, report: report, patient: stored.patient, site: stored.site, sequence: nil,
            message: stored.message)
        var levels: [String: Level] = [:]
        // What waited for its repeat then has long been settled.
        let judged = Judging.judge(accepted, plan: plan, history: known, hasOpenAlert: false, mayHold: false)
        for finding in judged.findings {
            guard case .beyond(let severity) = finding.verdict, finding.subject == .patient(stored.patient) else {
                continue
            }
            if let before = levels[finding.rule], before.severity >= severity { continue }
            levels[finding.rule] = Level(severity: severity, measure: finding.measure)
        }
        return levels
    }

    private mutating func decode(_ stored: StoredMessage) -> JudgedReport? {
        var decoded = Decoded()
        decoding.decode(stored.message, into: &decoded)
        guard decoded.fault == nil, decoded.status == nil else { return nil }
        var readings = decoded.readings.readings
        if decoded.clock.corrected {
            for index in readings.indices { readings[index].flags.insert(.clockCorrected) }
        }
        return JudgedReport(
            key: stored.key, takenAt: decoded.clock.takenAt, receivedAt: stored.receivedAt, readings: readings,
            answers: decoded.report.answers)
    }
}
