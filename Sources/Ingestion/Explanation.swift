import Alerting
import Clinical
import Formats

/// All inputs of a finding as JSON: an alert explains itself.
struct Explanation {
    private var writer = JSONWriter()

    /// Of a band: the reading, the limit that it is beyond, the readings that made up "twice", and what was held back.
    static func json(
        of assessment: Assessment, key: ReportKey, takenAt: Instant, receivedAt: Instant, refusal: RefusalReason? = nil
    ) -> String {
        var explanation = Explanation(
            rule: assessment.rule, level: assessment.level, key: key, takenAt: takenAt, receivedAt: receivedAt,
            refusal: refusal)
        explanation.write(assessment.reading)
        explanation.write(limitOf: assessment)
        explanation.text("basis", assessment.basis)
        explanation.provenance(
            pack: assessment.pack, hash: assessment.packHash, source: assessment.source,
            isProposal: assessment.isProposal, advice: assessment.advice)
        explanation.list("other_readings", assessment.otherReadings) { $0.write($1) }
        explanation.suppressed(
            redSwitchedOff: assessment.redSwitchedOff, awaited: assessment.awaited, repeatAfter: assessment.repeatAfter,
            unconfirmed: assessment.unconfirmed)
        return explanation.end()
    }

    /// The same for a rule beyond the bands: every reading, answer and part of a score that counted.
    static func json(
        of outcome: RuleOutcome, key: ReportKey, takenAt: Instant, receivedAt: Instant, refusal: RefusalReason? = nil
    ) -> String {
        var explanation = Explanation(
            rule: outcome.rule, level: outcome.level, key: key, takenAt: takenAt, receivedAt: receivedAt,
            refusal: refusal)
        let evidence = outcome.evidence
        explanation.number("measure", evidence.measure)
        explanation.number("reference", evidence.reference)
        explanation.member("suspect") { $0.value(outcome.suspect) }
        explanation.member("immediate") { $0.value(outcome.immediate) }
        if let met = outcome.met { explanation.write(met) }
        explanation.provenance(
            pack: outcome.pack, hash: outcome.packHash, source: outcome.met?.source,
            isProposal: outcome.met?.isProposal ?? false, advice: outcome.advice)
        explanation.list("readings", evidence.readings) { $0.write($1) }
        explanation.list("answers", evidence.answers) { $0.write($1) }
        if evidence.readingsMeant > 0 {
            explanation.member("readings_meant") { $0.value(evidence.readingsMeant) }
            explanation.member("days_meant") { $0.value(evidence.daysMeant) }
        }
        if let score = evidence.score { explanation.write(score) }
        explanation.suppressed(redSwitchedOff: outcome.redSwitchedOff)
        return explanation.end()
    }

    // MARK: - What every finding has

    private init(
        rule: String, level: Severity?, key: ReportKey, takenAt: Instant, receivedAt: Instant, refusal: RefusalReason?
    ) {
        writer.beginObject()
        text("device", key.device.description)
        text("report", key.report.description)
        member("taken_at") { $0.value(takenAt) }
        member("received_at") { $0.value(receivedAt) }
        text("refused", refusal?.rawValue)
        text("rule", rule)
        text("level", level?.rawValue)
    }

    private mutating func end() -> String {
        writer.endObject()
        return writer.text
    }

    private mutating func provenance(pack: String, hash: String, source: String?, isProposal: Bool, advice: Advice?) {
        text("pack", pack)
        text("pack_hash", hash)
        text("source", source)
        member("proposal") { $0.value(isProposal) }
        text("advice", advice?.code)
    }

    /// What would have been said and was not, or not yet.
    private mutating func suppressed(
        redSwitchedOff: Bool, awaited: BandLimit? = nil, repeatAfter: Interval? = nil, unconfirmed: PastReading? = nil
    ) {
        writer.name("suppressed")
        writer.beginObject()
        member("red_switched_off") { $0.value(redSwitchedOff) }
        number("red_awaiting_confirmation", awaited?.threshold.limit.value)
        number("repeat_after_minutes", repeatAfter.map { Double($0.microseconds / 60_000_000) })
        writer.name("not_confirmed")
        if let unconfirmed { write(unconfirmed) } else { writer.null() }
        writer.endObject()
    }

    // MARK: - Inputs

    private mutating func write(_ reading: Reading) {
        text("kind", reading.kind.code)
        member("value") { writer in
            if let code = reading.code { writer.value(code) } else { writer.value(reading.value) }
        }
        text("unit", reading.kind.canonicalUnit?.code)
        member("value_sent") { writer in
            if let code = reading.code { writer.value(code) } else { writer.value(reading.sentValue) }
        }
        text("unit_sent", reading.sentUnit?.code)
        list("flags", ReadingFlags.names.filter { reading.flags.contains($0.flag) }.map(\.name) + reading.otherFlags) {
            $0.writer.value($1)
        }
        list("suspect", reading.suspicions) { $0.writer.value($1.rawValue) }
    }

    private mutating func write(limitOf assessment: Assessment) {
        guard let limit = assessment.limit else { return }
        writer.name("limit")
        writer.beginObject()
        text("severity", limit.severity.rawValue)
        text("side", assessment.side.rawValue)
        number("value", limit.limit.value)
        if let milligrams = limit.limit.milligramsPerDecilitre { number("mg_per_dl", milligrams) }
        member("inclusive") { $0.value(limit.limit.inclusive) }
        member("occurrences") { $0.value(limit.occurrences) }
        member("immediate") { $0.value(assessment.immediate) }
        writer.endObject()
    }

    private mutating func write(_ met: RuleLevel) {
        writer.name("limit")
        writer.beginObject()
        text("severity", met.severity.rawValue)
        switch met.condition {
        case .change(let kind, let direction, let by, let within):
            text("kind", kind.code)
            text("direction", direction.rawValue)
            number("change", by)
            number("within_hours", Double(within.microseconds) / 3_600_000_000)
        case .difference(let kind, let direction, let by, let own):
            text("kind", kind.code)
            text("direction", direction.rawValue)
            number("difference", by)
            text("from", own.measure.rawValue)
        case .mean(let kind, let side, let limit, let window):
            text("kind", kind.code)
            write(limit, side)
            member("mean_of_days") { $0.value(window.days) }
        case .count(let sign, let least, let last, _):
            switch sign {
            case .flag(let flag, _): text("flag", ReadingFlags.names.first { $0.flag == flag }?.name)
            case .beyond(let kind, let side, let limit):
                text("kind", kind.code)
                write(limit, side)
            }
            member("at_least") { $0.value(least) }
            member("of_last") { $0.value(last) }
        case .answers(let questions, let least, let days):
            list("questions", questions) { $0.writer.value($1.rawValue) }
            member("at_least") { $0.value(least) }
            member("days") { $0.value(days) }
        case .news2(let measure, let least):
            text("news2", measure.rawValue)
            member("at_least") { $0.value(least) }
        case .beyond(let kind, let side, let limit):
            text("kind", kind.code)
            write(limit, side)
        }
        writer.endObject()
    }

    private mutating func write(_ limit: Limit, _ side: Side) {
        text("side", side.rawValue)
        number("value", limit.value)
        member("inclusive") { $0.value(limit.inclusive) }
    }

    private mutating func write(_ reading: PastReading) {
        writer.beginObject()
        text("report", reading.key.report.description)
        member("taken_at") { $0.value(reading.takenAt) }
        text("kind", reading.kind.code)
        number("value", reading.value)
        number("value_sent", reading.sentValue)
        text("unit_sent", reading.sentUnit?.code)
        writer.endObject()
    }

    private mutating func write(_ answer: PastAnswer) {
        writer.beginObject()
        text("report", answer.key.report.description)
        member("taken_at") { $0.value(answer.takenAt) }
        text("question", answer.question.rawValue)
        member("value") { writer in
            switch answer.value {
            case .boolean(let value): writer.value(value)
            case .number(let value): writer.value(value)
            case .text(let value): writer.value(value)
            }
        }
        writer.endObject()
    }

    private mutating func write(_ score: NEWS2Score) {
        writer.name("score")
        writer.beginObject()
        text("name", "news2")
        member("scale") { $0.value(score.scale) }
        number("total", score.total.map(Double.init))
        text("trigger", score.trigger?.rawValue)
        writer.name("parts")
        writer.beginObject()
        for part in score.parts { number(part.parameter.rawValue, part.score.map(Double.init)) }
        writer.endObject()
        writer.name("values")
        writer.beginObject()
        for part in score.parts { number(part.parameter.rawValue, part.value) }
        writer.endObject()
        list("missing", score.missing) { $0.writer.value($1.rawValue) }
        writer.endObject()
    }

    // MARK: - Members

    private mutating func text(_ name: String, _ value: String?) {
        writer.name(name)
        if let value { writer.value(value) } else { writer.null() }
    }

    private mutating func number(_ name: String, _ value: Double?) {
        writer.name(name)
        if let value { writer.value(value) } else { writer.null() }
    }

    private mutating func member(_ name: String, _ write: (inout JSONWriter) -> Void) {
        writer.name(name)
        write(&writer)
    }

    private mutating func list<Element>(
        _ name: String, _ elements: [Element], _ write: (inout Explanation, Element) -> Void
    ) {
        writer.name(name)
        writer.beginArray()
        for element in elements { write(&self, element) }
        writer.endArray()
    }
}
