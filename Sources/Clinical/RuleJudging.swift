/// A rule in a plan: a pack's, with what the patient's own measures made of it.
struct ResolvedRule: Sendable {
    var rule: Rule
    /// Most severe first.
    var levels: [RuleLevel]
    var pack: String
    var packHash: String
    /// One bit for each kind that makes the rule worth judging.
    let kinds: UInt64
    let questions: Set<Question>
    let usesScore: Bool

    init(_ rule: Rule, pack: String, packHash: String) {
        self.rule = rule
        self.pack = pack
        self.packHash = packHash
        levels = rule.levels.sorted { left, right in
            if left.severity != right.severity { return left.severity > right.severity }
            return left.immediate && !right.immediate
        }
        let all = levels.flatMap { $0.condition.kinds + ($0.companion?.kinds ?? []) }
        kinds = all.reduce(0) { $0 | 1 << UInt64($1.rawValue) }
        questions = Set(levels.flatMap { $0.condition.questions + ($0.companion?.questions ?? []) })
        usesScore = levels.contains { if case .news2 = $0.condition { true } else { false } }
    }

    func concerns(_ report: JudgedReport) -> Bool {
        for reading in report.readings where kinds & 1 << UInt64(reading.kind.rawValue) != 0 { return true }
        guard !questions.isEmpty else { return false }
        for answer in report.answers {
            if let question = answer.question.known, questions.contains(question) { return true }
        }
        return false
    }

    /// What must be read before a report that it concerns can be judged; nil where the report is enough.
    func historyNeeded(at instant: Instant) -> HistoryNeed? {
        var need: HistoryNeed?
        for level in levels {
            let companion = level.companion?.within
            var reach = level.condition.reach
            // A reading that the report's answer stands beside may lie a span away, and look back from there.
            if let companion { reach = Interval(microseconds: reach.microseconds + companion.microseconds) }
            guard reach.microseconds > 0 else { continue }
            let part = HistoryNeed(
                kinds: Set(level.condition.kinds + (level.companion?.kinds ?? [])),
                questions: Set(level.condition.questions + (level.companion?.questions ?? [])),
                since: instant - reach)
            need = need?.union(part) ?? part
        }
        return need
    }

    /// Nil where the report lacks what every level needs.
    func judge(_ timeline: Timeline, score: NEWS2Score?) -> RuleOutcome? {
        let age = timeline.plan.age(at: timeline.report.takenAt)
        var clears = true
        var found: (level: RuleLevel, result: RuleResult)?
        var seen: RuleResult?
        for level in levels where level.applicability.holds(onOxygen: false, age: age) {
            let condition = ConditionJudging(timeline: timeline, level: level, score: score)
            guard let result = condition.judge(margin: rule.clearMargin) else {
                // What was not looked at is not back in range; red symptoms that nobody asked for again are no bar.
                if !level.isRedSymptom { clears = false }
                continue
            }
            seen = seen ?? result
            if !result.isClear { clears = false }
            guard result.isMet, found == nil else { continue }
            found = (level, result)
        }
        guard let result = found?.result ?? seen else { return nil }
        var outcome = RuleOutcome(
            rule: rule.name, level: found?.level.severity, met: found?.level, evidence: result.evidence, pack: pack,
            packHash: packHash, immediate: found?.level.immediate ?? false, redSwitchedOff: false,
            step: rule.worseBy, suspect: timeline.report.readings.contains { $0.isSuspect && concerns($0.kind) },
            clears: clears && found == nil, advice: found?.level.advice)
        if outcome.suspect { outcome.clears = false }
        if outcome.level == .red, let kind = found?.level.condition.ownKind,
            timeline.plan.isRedOff(kind, at: timeline.report.takenAt)
        {
            outcome.level = .amber
            outcome.immediate = false
            outcome.redSwitchedOff = true
        }
        return outcome
    }

    private func concerns(_ kind: Kind) -> Bool { kinds & 1 << UInt64(kind.rawValue) != 0 }
}

extension RuleLevel {
    fileprivate var isRedSymptom: Bool {
        if case .answers = condition { severity == .red } else { false }
    }
}

/// What one condition makes of one report.
struct RuleResult {
    var isMet: Bool
    /// Inside by the margin.
    var isClear: Bool
    var evidence: RuleEvidence
}

extension Plan {
    /// What the rules beyond the bands make of a report, in the plan's order. A rule that the report does not concern,
    /// or that lacks what it needs, says nothing.
    func judgeRules(_ report: JudgedReport, history: PatientHistory) -> [RuleOutcome] {
        guard !rules.isEmpty else { return [] }
        var timeline: Timeline?
        var outcomes: [RuleOutcome] = []
        for rule in rules where rule.concerns(report) {
            // Without a word on consciousness there is no total: nearly every report from a home ends here.
            if rule.usesScore, !mayComplete(report, history) { continue }
            let line = timeline ?? Timeline(report, plan: self, history: history)
            timeline = line
            let score = rule.usesScore ? highestNEWS2Score(in: line) : nil
            if let outcome = rule.judge(line, score: score) { outcomes.append(outcome) }
        }
        return outcomes
    }

    private func mayComplete(_ report: JudgedReport, _ history: PatientHistory) -> Bool {
        report.readings.contains { $0.kind == .consciousness }
            || !history.readings(of: .consciousness).isEmpty
    }
}
