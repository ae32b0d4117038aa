import Clinical
import Documents
import Formats
import Registry

extension OutageState.Window {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("kinds")
        writer.beginArray()
        for (kind, look) in kinds { look.write(of: kind.code, to: &writer) }
        writer.endArray()
        writer.name("questions")
        writer.beginArray()
        for (question, look) in questions { look.write(of: question.rawValue, to: &writer) }
        writer.endArray()
        writer.name("readings")
        writer.beginArray()
        for reading in past.readings { reading.write(to: &writer) }
        writer.endArray()
        writer.name("answers")
        writer.beginArray()
        for answer in past.answers { answer.write(to: &writer) }
        writer.endArray()
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let kinds = json["kinds"].flatMap({ Self.looks($0, at: { Kind(code: $0) }) }),
            let questions = json["questions"].flatMap({ Self.looks($0, at: { Question(rawValue: $0) }) }),
            let readings = json["readings"]?.array, let answers = json["answers"]?.array
        else { return nil }
        let past = PatientHistory(
            readings: readings.compactMap { PastReading($0) }, answers: answers.compactMap { PastAnswer($0) })
        guard past.readings.count == readings.count, past.answers.count == answers.count else { return nil }
        self.init(kinds: kinds, questions: questions, past: past)
    }

    private static func looks<Thing: Hashable>(
        _ json: JSONValue, at named: (String) -> Thing?
    ) -> [Thing: OutageState.Look]? {
        guard let elements = json.array else { return nil }
        var looks: [Thing: OutageState.Look] = [:]
        for element in elements {
            guard let thing = element["of"]?.string.flatMap(named), let look = OutageState.Look(element) else {
                return nil
            }
            looks[thing] = look
        }
        return looks
    }
}

extension OutageState.Look {
    func write(of thing: String, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("of", thing)
        writer.member("span_us", span.microseconds)
        writer.member("newest", newest)
        writer.endObject()
    }

    /// Never whole: what was stored after the snapshot is not in it.
    init?(_ json: JSONValue) {
        guard let span = json["span_us"]?.integer, let newest = json["newest"]?.instant else { return nil }
        self.init(span: min(max(Interval(microseconds: span), .seconds(0)), RuleWindows.longest), newest: newest)
    }
}

extension PastAnswer {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", key.device.description)
        writer.member("report", key.report.description)
        writer.member("question", question.rawValue)
        switch value {
        case .boolean(let bool): writer.member("value", bool)
        case .number(let number): writer.member("value", number)
        case .text(let text): writer.member("value", text)
        }
        writer.member("taken_at", takenAt)
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let device = json["device"]?.string.flatMap({ Identifier($0) }),
            let report = json["report"]?.string.flatMap({ Identifier($0, grammar: .report) }),
            let question = json["question"]?.string.flatMap({ Question(rawValue: $0) }), let value = json["value"],
            let takenAt = json["taken_at"]?.instant
        else { return nil }
        let answer: AnswerValue
        switch value {
        case .bool(let bool): answer = .boolean(bool)
        case .number(let number): answer = .number(number)
        case .string(let text): answer = .text(text)
        default: return nil
        }
        self.init(
            key: ReportKey(device: device, report: report), question: question, value: answer, takenAt: takenAt)
    }
}

extension PastReading {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", key.device.description)
        writer.member("report", key.report.description)
        writer.member("index", Int64(index))
        writer.member("kind", Int64(kind.rawValue))
        writer.member("value", value)
        writer.member("sent", sentValue)
        if let sentUnit { writer.member("unit", Int64(sentUnit.rawValue)) }
        writer.member("flags", Int64(flags.rawValue))
        writer.member("suspect", isSuspect)
        writer.member("taken_at", takenAt)
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let device = json["device"]?.string.flatMap({ Identifier($0) }),
            let report = json["report"]?.string.flatMap({ Identifier($0, grammar: .report) }),
            let index = json["index"]?.integer,
            let kind = json["kind"]?.integer.flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
            let value = json["value"]?.number, let sent = json["sent"]?.number,
            let flags = json["flags"]?.integer.flatMap({ UInt16(exactly: $0) }),
            let isSuspect = json["suspect"]?.bool, let takenAt = json["taken_at"]?.instant
        else { return nil }
        let unit = json["unit"]?.integer.flatMap { UInt8(exactly: $0) }.flatMap { UCUMUnit(rawValue: $0) }
        self.init(
            key: ReportKey(device: device, report: report), index: Int(clamping: index), kind: kind, value: value,
            sentValue: sent, sentUnit: unit, flags: ReadingFlags(rawValue: flags), takenAt: takenAt,
            isSuspect: isSuspect)
    }
}
