import Alerting
import Clinical
import Formats
import Registry

/// From what the rules say to findings that alerts are made of. Pure.
enum Judging {
    static let sequenceGapRule = "sequence-gap"
    static let unknownQuestionRule = "unknown-question"

    /// `hasOpenAlert`: readings in range matter only where something is open, so that nearly no report pays for a
    /// sentence.
    static func findings(
        of accepted: AcceptedReport, plan: Plan, history: PatientHistory, hasOpenAlert: Bool
    ) -> [Finding] {
        let report = accepted.report
        let verdict = Clinical.judge(report, plan: plan, history: history)
        var findings: [Finding] = []
        for assessment in verdict.assessments {
            if let level = assessment.level {
                findings.append(finding(assessment, .beyond(level), accepted, plan))
            } else if assessment.clears, hasOpenAlert {
                findings.append(finding(assessment, .inRange, accepted, plan))
            }
        }
        if let late = verdict.lateReds.first {
            var finding = finding(late, .beyond(.amber), accepted, plan)
            finding.rule = Verdict.lateRedRule
            finding.summary = Sentence.lateRed(
                of: late, others: Array(verdict.lateReds.dropFirst()), takenAt: accepted.report.takenAt,
                receivedAt: accepted.report.receivedAt, timeZone: plan.timeZone)
            finding.measure = nil
            finding.step = nil
            findings.append(finding)
        }
        if let finding = unknownQuestions(accepted) { findings.append(finding) }
        return findings
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
        guard let worst = reds.first else { return [] }
        let others = Array(reds.dropFirst())
        let summary =
            if case .device = subject {
                Sentence.unknownReaderRed(
                    of: worst, others: others, receivedAt: refused.receivedAt, timeZone: plan.timeZone)
            } else {
                Sentence.unverifiedRed(
                    of: worst, others: others, reason: refused.reason, receivedAt: refused.receivedAt,
                    timeZone: plan.timeZone)
            }
        return [
            Finding(
                subject: subject, site: site, device: refused.key.device, rule: Verdict.unverifiedRedRule,
                alertClass: .clinical, verdict: .beyond(.red), takenAt: refused.takenAt,
                receivedAt: refused.receivedAt, report: refused.key, summary: summary,
                explanation: Explanation.json(
                    of: worst, key: refused.key, takenAt: refused.takenAt, receivedAt: refused.receivedAt,
                    refusal: refused.reason))
        ]
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

/// All inputs of a finding as JSON: an alert explains itself.
enum Explanation {
    static func json(
        of assessment: Assessment, key: ReportKey, takenAt: Instant, receivedAt: Instant, refusal: RefusalReason? = nil
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        func text(_ name: String, _ value: String?) {
            writer.name(name)
            if let value { writer.value(value) } else { writer.null() }
        }
        text("device", key.device.description)
        text("report", key.report.description)
        writer.name("taken_at")
        writer.value(takenAt)
        writer.name("received_at")
        writer.value(receivedAt)
        text("refused", refusal?.rawValue)
        text("rule", assessment.rule)
        text("level", assessment.level?.rawValue)
        let reading = assessment.reading
        text("kind", reading.kind.code)
        writer.name("value")
        if let code = reading.code { writer.value(code) } else { writer.value(reading.value) }
        text("unit", reading.kind.canonicalUnit?.code)
        writer.name("value_sent")
        if let code = reading.code { writer.value(code) } else { writer.value(reading.sentValue) }
        text("unit_sent", reading.sentUnit?.code)
        writer.name("suspect")
        writer.beginArray()
        for suspicion in reading.suspicions { writer.value(suspicion.rawValue) }
        writer.endArray()
        if let limit = assessment.limit {
            writer.name("limit")
            writer.beginObject()
            writer.name("value")
            writer.value(limit.limit.value)
            if let milligrams = limit.limit.milligramsPerDecilitre {
                writer.name("mg_per_dl")
                writer.value(milligrams)
            }
            writer.name("inclusive")
            writer.value(limit.limit.inclusive)
            writer.name("occurrences")
            writer.value(limit.occurrences)
            writer.name("immediate")
            writer.value(assessment.immediate)
            writer.endObject()
        }
        text("basis", assessment.basis)
        text("pack", assessment.pack)
        text("pack_hash", assessment.packHash)
        text("source", assessment.source)
        writer.name("proposal")
        writer.value(assessment.isProposal)
        writer.name("other_readings")
        writer.beginArray()
        for other in assessment.otherReadings {
            writer.beginObject()
            writer.name("report")
            writer.value(other.key.report)
            writer.name("taken_at")
            writer.value(other.takenAt)
            writer.name("value")
            writer.value(other.value)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
