import Alerting
import Clinical
import Formats

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

    /// The same for a rule beyond the bands.
    static func json(
        of outcome: RuleOutcome, key: ReportKey, takenAt: Instant, receivedAt: Instant, refusal: RefusalReason? = nil
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
        text("rule", outcome.rule)
        text("level", outcome.level?.rawValue)
        let evidence = outcome.evidence
        for (name, number) in [("measure", evidence.measure), ("reference", evidence.reference)] {
            writer.name(name)
            if let number { writer.value(number) } else { writer.null() }
        }
        writer.name("suspect")
        writer.value(outcome.suspect)
        writer.name("immediate")
        writer.value(outcome.immediate)
        text("pack", outcome.pack)
        text("pack_hash", outcome.packHash)
        text("source", outcome.met?.source)
        writer.name("proposal")
        writer.value(outcome.met?.isProposal ?? false)
        text("advice", outcome.advice?.code)
        writer.name("readings")
        writer.beginArray()
        for reading in evidence.readings { write(reading, to: &writer) }
        writer.endArray()
        writer.name("answers")
        writer.beginArray()
        for answer in evidence.answers { write(answer, to: &writer) }
        writer.endArray()
        if let score = evidence.score { write(score, to: &writer) }
        writer.endObject()
        return writer.text
    }

    private static func write(_ reading: PastReading, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("report")
        writer.value(reading.key.report)
        writer.name("taken_at")
        writer.value(reading.takenAt)
        writer.name("kind")
        writer.value(reading.kind.code)
        writer.name("value")
        writer.value(reading.value)
        writer.name("value_sent")
        writer.value(reading.sentValue)
        writer.name("unit_sent")
        if let unit = reading.sentUnit { writer.value(unit.code) } else { writer.null() }
        writer.endObject()
    }

    private static func write(_ answer: PastAnswer, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("report")
        writer.value(answer.key.report)
        writer.name("taken_at")
        writer.value(answer.takenAt)
        writer.name("question")
        writer.value(answer.question.rawValue)
        writer.name("value")
        switch answer.value {
        case .boolean(let value): writer.value(value)
        case .number(let value): writer.value(value)
        case .text(let value): writer.value(value)
        }
        writer.endObject()
    }

    private static func write(_ score: NEWS2Score, to writer: inout JSONWriter) {
        writer.name("score")
        writer.beginObject()
        writer.name("name")
        writer.value("news2")
        writer.name("scale")
        writer.value(score.scale)
        writer.name("total")
        if let total = score.total { writer.value(total) } else { writer.null() }
        writer.name("trigger")
        if let trigger = score.trigger { writer.value(trigger.rawValue) } else { writer.null() }
        writer.name("parts")
        writer.beginObject()
        for part in score.parts {
            writer.name(part.parameter.rawValue)
            if let points = part.score { writer.value(points) } else { writer.null() }
        }
        writer.endObject()
        writer.endObject()
    }
}
