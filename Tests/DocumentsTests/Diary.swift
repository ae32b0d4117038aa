import Clinical
import Documents

/// What one patient sent, judged report by report as it arrives, with everything that arrived before it as history.
struct Diary {
    /// 2026-11-23T08:15:00Z, a Monday; London is on GMT.
    static let monday = Instant(microseconds: 1_795_421_700_000_000)

    private static let library = BuiltInPacks.library()

    struct Entry {
        var id: String
        var takenAt: Instant
        var readings: [Reading] = []
        var answers: [SentAnswer] = []
        var device = "dev-1"
    }

    let plan: Plan
    var mayHold = true
    private(set) var history = PatientHistory()

    init(_ conditions: [String] = [], _ change: (inout PatientProfile) -> Void = { _ in }) {
        var profile = PatientProfile(conditions: conditions)
        change(&profile)
        plan = Plan(profile: profile, packs: Self.library)
    }

    /// Received two seconds after it was taken, whatever came meanwhile.
    @discardableResult
    mutating func take(_ entry: Entry, receivedAt: Instant? = nil) -> Verdict {
        var report = JudgedReport(
            key: Self.key(entry.id, entry.device), takenAt: entry.takenAt,
            receivedAt: receivedAt ?? entry.takenAt + .seconds(2), readings: entry.readings, answers: entry.answers)
        // Only what the plan asks for, so that a need that is too small shows.
        var need = plan.historyNeeded(for: report)
        if let score = plan.news2HistoryNeeded(for: report) { need = need?.union(score) ?? score }
        var known = PatientHistory()
        if let need {
            known = PatientHistory(
                readings: history.readings.filter { reading in
                    need.kinds[reading.kind].map { reading.takenAt >= $0 } ?? false
                },
                answers: history.answers.filter { answer in
                    need.questions[answer.question].map { answer.takenAt >= $0 } ?? false
                })
        }
        plan.markSuspicions(in: &report.readings, at: report.takenAt, history: known)
        let verdict = judge(report, plan: plan, history: known, mayHold: mayHold)
        history.add(report)
        return verdict
    }

    static func key(_ id: String, _ device: String = "dev-1") -> ReportKey {
        ReportKey(device: Identifier(device)!, report: Identifier(id, grammar: .report)!)
    }

    static func reading(
        _ kind: Kind, _ value: Double, _ unit: UCUMUnit? = nil, flags: ReadingFlags = [], index: Int = 0
    ) -> Reading {
        let unit = unit ?? (kind.unitRule == .required ? kind.canonicalUnit : nil)
        return Reading(
            index: index, kind: kind, value: unit.flatMap { kind.canonical(value, sentIn: $0) } ?? value,
            code: kind.isCoded ? kind.codes[Int(value)] : nil, sentValue: value, sentUnit: unit, flags: flags)
    }

    static func yes(_ questions: Question...) -> [SentAnswer] {
        questions.map { SentAnswer(question: .known($0), value: .boolean(true)) }
    }

    static func no(_ questions: Question...) -> [SentAnswer] {
        questions.map { SentAnswer(question: .known($0), value: .boolean(false)) }
    }
}

extension Verdict {
    /// What the rule says; `info` where it says nothing at all.
    func level(_ rule: String) -> Severity? {
        let levels =
            outcomes.filter { $0.rule == rule }.map(\.level) + assessments.filter { $0.rule == rule }.map(\.level)
        guard !levels.isEmpty else { return .info }
        return levels.compactMap(\.self).max()
    }

    func outcome(_ rule: String) -> RuleOutcome? { outcomes.first { $0.rule == rule } }
}
