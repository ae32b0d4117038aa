import Alerting
import Clinical
import Formats
import Registry

/// From what the rules say to findings that alerts are made of. Pure.
enum Judging {
    static let sequenceGapRule = "sequence-gap"
    static let unknownQuestionRule = "unknown-question"

    /// What one report comes to.
    struct Judged {
        var findings: [Finding] = []
        /// Some red asks for a second reading.
        var repeatAfterMinutes: Int?
        var advice: Advice?
        /// Reds that wait for that reading; their alerts are amber meanwhile.
        var held: [HeldRed] = []
    }

    /// `hasOpenAlert`: readings in range matter only where something is open, so that nearly no report pays for a
    /// sentence. `mayHold`: somebody asks for the repeat, and the timer of its silence is set in the same transaction.
    static func judge(
        _ accepted: AcceptedReport, plan: Plan, history: PatientHistory, hasOpenAlert: Bool, mayHold: Bool
    ) -> Judged {
        let verdict = Clinical.judge(accepted.report, plan: plan, history: history, mayHold: mayHold)
        var judged = Judged(
            repeatAfterMinutes: verdict.repeatAfter.flatMap { Int(exactly: $0.microseconds / 60_000_000) },
            advice: verdict.advice)
        var beyond: [String: Severity] = [:]
        var inRange: Set<String> = []
        for (rule, level, clears) in verdict.assessments.map({ ($0.rule, $0.level, $0.clears) })
            + verdict.outcomes.map({ ($0.rule, $0.level, $0.clears) })
        {
            if let level { beyond[rule] = max(beyond[rule] ?? level, level) }
            if level == nil, clears, hasOpenAlert { inRange.insert(rule) }
        }
        // One rule code may be a band's and a rule's, or two packs': the worst counts, and all must clear.
        for assessment in verdict.assessments where assessment.level != nil || !assessment.clears {
            inRange.remove(assessment.rule)
        }
        for outcome in verdict.outcomes where outcome.level != nil || !outcome.clears { inRange.remove(outcome.rule) }
        for confirmation in verdict.confirmations(receivedAt: accepted.report.receivedAt)
        where beyond[confirmation.rule] != .red {
            judged.held.append(held(confirmation, accepted, plan))
        }
        let isBeyond = Set(beyond.keys)
        for assessment in verdict.assessments {
            if hasOpenAlert, assessment.unconfirmed != nil, !isBeyond.contains(assessment.rule) {
                let clears = inRange.remove(assessment.rule) != nil
                judged.findings.append(finding(assessment, .unconfirmed(clears: clears), accepted, plan))
            } else if let level = assessment.level {
                guard beyond[assessment.rule] == level else { continue }
                judged.findings.append(finding(assessment, .beyond(level), accepted, plan))
                beyond[assessment.rule] = nil
            } else if inRange.remove(assessment.rule) != nil {
                judged.findings.append(finding(assessment, .inRange, accepted, plan))
            }
        }
        for outcome in verdict.outcomes {
            if let level = outcome.level {
                guard beyond[outcome.rule] == level else { continue }
                judged.findings.append(finding(outcome, .beyond(level), accepted, plan))
                beyond[outcome.rule] = nil
            } else if inRange.remove(outcome.rule) != nil {
                judged.findings.append(finding(outcome, .inRange, accepted, plan))
            }
        }
        if let finding = lateRed(verdict, accepted, plan) { judged.findings.append(finding) }
        if let finding = unknownQuestions(accepted) { judged.findings.append(finding) }
        return judged
    }

    private static func held(_ confirmation: Confirmation, _ accepted: AcceptedReport, _ plan: Plan) -> HeldRed {
        let report = accepted.report
        var red = finding(confirmation.red, .beyond(.red), accepted, plan)
        red.receivedAt = confirmation.due
        red.summary = Sentence.silence(
            confirmation, takenAt: report.takenAt, receivedAt: report.receivedAt, timeZone: plan.timeZone)
        return HeldRed(key: report.key, patient: accepted.patient, finding: red)
    }

    private static func lateRed(_ verdict: Verdict, _ accepted: AcceptedReport, _ plan: Plan) -> Finding? {
        let report = accepted.report
        var late: Finding
        if let worst = verdict.lateReds.first {
            late = finding(worst, .beyond(.amber), accepted, plan)
            late.summary = Sentence.lateRed(
                of: worst, others: Array(verdict.lateReds.dropFirst()), takenAt: report.takenAt,
                receivedAt: report.receivedAt, timeZone: plan.timeZone)
            if !verdict.lateOutcomes.isEmpty {
                late.summary =
                    late.summary.dropLast()
                    + Sentence.alsoRed(verdict.lateOutcomes, timeZone: plan.timeZone) + "."
            }
        } else if let worst = verdict.lateOutcomes.first {
            late = finding(worst, .beyond(.amber), accepted, plan)
            late.summary = Sentence.lateRed(
                of: worst, others: Array(verdict.lateOutcomes.dropFirst()), takenAt: report.takenAt,
                receivedAt: report.receivedAt, timeZone: plan.timeZone)
        } else {
            return nil
        }
        late.rule = Verdict.lateRedRule
        late.measure = nil
        late.step = nil
        return late
    }

    private static func finding(
        _ outcome: RuleOutcome, _ verdict: Finding.Verdict, _ accepted: AcceptedReport, _ plan: Plan
    ) -> Finding {
        let report = accepted.report
        return Finding(
            subject: .patient(accepted.patient), site: accepted.site, device: report.key.device, rule: outcome.rule,
            alertClass: .clinical, verdict: verdict, late: report.isLate, takenAt: report.takenAt,
            receivedAt: report.receivedAt, report: report.key, measure: outcome.worseness, step: outcome.step,
            summary: Sentence.summary(
                of: outcome, takenAt: report.takenAt, receivedAt: report.receivedAt, timeZone: plan.timeZone),
            explanation: Explanation.json(
                of: outcome, key: report.key, takenAt: report.takenAt, receivedAt: report.receivedAt))
    }

    private static func finding(
        _ assessment: Assessment, _ verdict: Finding.Verdict, _ accepted: AcceptedReport, _ plan: Plan
    ) -> Finding {
        let report = accepted.report
        return Finding(
            subject: .patient(accepted.patient), site: accepted.site, device: report.key.device,
            rule: assessment.rule, alertClass: .clinical, verdict: verdict, late: report.isLate,
            takenAt: report.takenAt, receivedAt: report.receivedAt, report: report.key,
            measure: assessment.worseness, step: assessment.step,
            summary: Sentence.summary(
                of: assessment, takenAt: report.takenAt, receivedAt: report.receivedAt, timeZone: plan.timeZone),
            explanation: Explanation.json(
                of: assessment, key: report.key, takenAt: report.takenAt, receivedAt: report.receivedAt))
    }

    /// Clinical facts, section 4, "Nothing may delay or hide a red", 2: a refusal never silences a red.
    static func unverifiedReds(
        of refused: RefusedReport, subject: Subject, site: Identifier?, plan: Plan
    ) -> [Finding] {
        let reds = immediateReds(in: refused.readings, at: refused.receivedAt, plan: plan)
        let outcomes = immediateOutcomes(
            of: JudgedReport(
                key: refused.key, takenAt: refused.takenAt, receivedAt: refused.receivedAt,
                readings: refused.readings, answers: refused.answers), at: refused.receivedAt, plan: plan)
        let summary: String
        let explanation: String
        if let worst = reds.first {
            summary = unverified(
                worst, others: Array(reds.dropFirst()), outcomes: outcomes, of: refused, subject: subject, plan: plan)
            explanation = Explanation.json(
                of: worst, key: refused.key, takenAt: refused.takenAt, receivedAt: refused.receivedAt,
                refusal: refused.reason)
        } else if let worst = outcomes.first {
            summary = unverified(
                worst, others: Array(outcomes.dropFirst()), of: refused, subject: subject, plan: plan)
            explanation = Explanation.json(
                of: worst, key: refused.key, takenAt: refused.takenAt, receivedAt: refused.receivedAt,
                refusal: refused.reason)
        } else {
            return []
        }
        return [
            Finding(
                subject: subject, site: site, device: refused.key.device, rule: Verdict.unverifiedRedRule,
                alertClass: .clinical, verdict: .beyond(.red), takenAt: refused.takenAt,
                receivedAt: refused.receivedAt, report: refused.key, summary: summary, explanation: explanation)
        ]
    }

    private static func unverified(
        _ worst: Assessment, others: [Assessment], outcomes: [RuleOutcome], of refused: RefusedReport,
        subject: Subject, plan: Plan
    ) -> String {
        if case .device = subject {
            return Sentence.unknownReaderRed(
                of: worst, others: others, outcomes: outcomes, receivedAt: refused.receivedAt, timeZone: plan.timeZone)
        }
        let sentence = Sentence.unverifiedRed(
            of: worst, others: others, reason: refused.reason, receivedAt: refused.receivedAt, timeZone: plan.timeZone)
        return sentence.dropLast() + Sentence.alsoRed(outcomes, timeZone: plan.timeZone) + "."
    }

    private static func unverified(
        _ worst: RuleOutcome, others: [RuleOutcome], of refused: RefusedReport, subject: Subject, plan: Plan
    ) -> String {
        if case .device = subject {
            return Sentence.unknownReaderRed(
                of: worst, others: others, receivedAt: refused.receivedAt, timeZone: plan.timeZone)
        }
        return Sentence.unverifiedRed(
            of: worst, others: others, reason: refused.reason, receivedAt: refused.receivedAt, timeZone: plan.timeZone)
    }

    private static func unknownQuestions(_ accepted: AcceptedReport) -> Finding? {
        let codes = accepted.report.answers.compactMap { answer -> String? in
            if case .unknown(let code) = answer.question { code } else { nil }
        }
        guard !codes.isEmpty else { return nil }
        return technical(
            unknownQuestionRule, .beyond(.info), accepted,
            summary: "Device \(accepted.report.key.device) answers \(codes.count) "
                + (codes.count == 1 ? "question that no pack knows" : "questions that no pack knows")
                + "; the answers are stored and satisfy nothing.")
    }

    static func sequenceFinding(
        _ step: DeviceSequence.Step, missing: [ClosedRange<Int64>], of accepted: AcceptedReport
    ) -> Finding? {
        let device = accepted.report.key.device
        switch step {
        case .none:
            return nil
        case .hole(let hole):
            let count = hole.upperBound - hole.lowerBound + 1
            let which = count == 1 ? "report \(hole.lowerBound)" : "reports \(hole.lowerBound) to \(hole.upperBound)"
            return technical(
                sequenceGapRule, .beyond(.amber), accepted,
                summary: "\(count) \(count == 1 ? "report" : "reports") of device \(device) "
                    + "\(count == 1 ? "has" : "have") not come: \(which) by its own count.")
        case .filled:
            guard missing.isEmpty else { return nil }
            return technical(
                sequenceGapRule, .inRange, accepted, summary: "Every missing report of device \(device) has come.")
        }
    }

    private static func technical(
        _ rule: String, _ verdict: Finding.Verdict, _ accepted: AcceptedReport, summary: String
    ) -> Finding {
        Finding(
            subject: .device(accepted.report.key.device), site: accepted.site, device: accepted.report.key.device,
            rule: rule, alertClass: .technical, verdict: verdict, takenAt: accepted.report.receivedAt,
            receivedAt: accepted.report.receivedAt, report: accepted.report.key, summary: summary)
    }
}
