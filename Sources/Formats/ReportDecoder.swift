public import Clinical

/// Reads the contract's reports: bytes to `SentReport`, strictly, in one walk.
///
/// One decoder per thread: it keeps scratch space, so that a well-formed report of ordinary size is decoded without
/// a heap allocation. It judges form only. Whether a kind is known, fits its value and unit, or is plausible, is
/// judged later; a name that the contract does not know is kept as the text that was sent.
///
/// Beyond the contract's text: a `battery` outside 0 to 100 is not worth a report and counts as absent; null counts
/// as absent for optional fields; `seq` may be written `12`, `12.0` or `1.2e1` (the last two up to 2^53); a flag
/// `clock-corrected` is the daemon's own word and is ignored.
public struct ReportDecoder: Sendable {
    /// The most bytes that a payload may have.
    public static let maximumCount = 65_536
    /// The deepest nesting; the outermost object is depth 1.
    public static let maximumDepth = 8
    /// The most readings, and the most answers.
    public static let maximumEntries = 64

    private var scanner = JSONScanner(maximumDepth: maximumDepth)
    private var fault: ContentFault?
    private var place = ContentFault.Place()

    private let fields = NameTable(ReportField.allCases.map { ($0.rawValue, $0) })
    private let kinds = NameTable(Kind.allCases.map { ($0.code, $0) })
    private let units = NameTable(UCUMUnit.allCases.map { ($0.code, $0) })
    private let questions = NameTable(Question.allCases.map { ($0.rawValue, $0) })
    private let flags = NameTable(ReadingFlags.names.map { ($0.name, $0.flag) })

    public init() {}

    /// Decodes `payload` into `report`, which is reset first.
    ///
    /// On a fault the report holds nothing but, where it can be read, its `id`: where the payload is well-formed
    /// JSON (grammar, UTF-8, depth, size) and has exactly one valid `id`. Of several faults the first in the text is
    /// told, but grammar before content.
    public mutating func decode(_ payload: Span<UInt8>, into report: inout SentReport) throws(ReportFault) {
        report.reset()
        scanner.restart()
        fault = nil
        place = ContentFault.Place()
        do throws(JSONFault) {
            guard payload.count <= Self.maximumCount else {
                throw JSONFault(.tooLarge, at: Self.maximumCount)
            }
            scanner.skipSpace(payload)
            try readReport(payload, into: &report)
            try scanner.end(payload)
        } catch {
            report.reset()
            throw ReportFault(error)
        }
        if let found = firstFault() {
            keepOnlyID(of: &report)
            throw found
        }
        if report.readings.isEmpty, report.answers.isEmpty {
            keepOnlyID(of: &report)
            throw ReportFault(reason: .empty, detail: "no reading and no answer")
        }
    }

    private func firstFault() -> ReportFault? {
        if let flaw = scanner.flaw, flaw.offset <= fault?.offset ?? .max { return ReportFault(flaw) }
        return fault?.fault
    }

    private func keepOnlyID(of report: inout SentReport) {
        let id = report.id
        report.reset()
        report.id = id
    }

    // MARK: Objects

    private mutating func readReport(_ bytes: Span<UInt8>, into report: inout SentReport) throws(JSONFault) {
        guard scanner.peek(bytes) == UInt8(ascii: "{") else {
            // A number or an array may be well-formed JSON and still is no report.
            throw scanner.index < bytes.count && !startsMark(bytes)
                ? JSONFault(.notAnObject, at: scanner.index) : scanner.unexpected(bytes)
        }
        let own: ReportField.Mask = 0b111_1111
        var object = try scanner.open(bytes)
        var seen: ReportField.Mask = 0
        while let name = try scanner.nextName(bytes, in: &object) {
            guard let field = try knownField(name, bytes, among: own, seen: &seen) else {
                // Of two ids neither is the report's.
                if seen & Self.idStandsTwice != 0 { report.id = nil }
                continue
            }
            place.field = field
            switch field {
            case .id:
                if let text = try text(bytes) {
                    report.id = scanner.identifier(text, bytes)
                    if report.id == nil { note(.badIdentifier, at: text.start) }
                }
            case .takenAt:
                if let text = try text(bytes) {
                    if let instant = scanner.instant(text, bytes) {
                        report.takenAt = instant
                    } else {
                        note(.badTime, at: text.start)
                    }
                }
            case .sentAt: report.sentAt = try optionalInstant(bytes)
            case .seq: report.sequence = try optionalSequence(bytes)
            case .battery: report.battery = try optionalBattery(bytes)
            case .readings: try readReadings(bytes, into: &report)
            case .answers: try readAnswers(bytes, into: &report)
            default: break
            }
        }
        place = ContentFault.Place()
        require(.id, seen)
        require(.takenAt, seen)
    }

    private mutating func readReadings(_ bytes: Span<UInt8>, into report: inout SentReport) throws(JSONFault) {
        guard var array = try optionalArray(bytes) else { return }
        place = ContentFault.Place(list: .readings)
        while try scanner.nextElement(bytes, in: &array) {
            if try isEntry(bytes) { try readReading(bytes, into: &report.readings) }
            place.index += 1
            place.field = nil
        }
        place = ContentFault.Place()
    }

    private mutating func readAnswers(_ bytes: Span<UInt8>, into report: inout SentReport) throws(JSONFault) {
        guard var array = try optionalArray(bytes) else { return }
        place = ContentFault.Place(list: .answers)
        while try scanner.nextElement(bytes, in: &array) {
            if try isEntry(bytes) { try readAnswer(bytes, into: &report.answers) }
            place.index += 1
            place.field = nil
        }
        place = ContentFault.Place()
    }

    /// Whether the element at the scanner's place is an object and not one too many; else it is noted and skipped.
    private mutating func isEntry(_ bytes: Span<UInt8>) throws(JSONFault) -> Bool {
        if place.index >= Self.maximumEntries {
            if fault == nil {
                let whole = ContentFault.Place(field: place.list)
                fault = ContentFault(problem: .tooMany, place: whole, offset: scanner.index)
            }
            try scanner.skipValue(bytes)
            return false
        }
        if scanner.peek(bytes) == UInt8(ascii: "{") { return true }
        note(.notObject, at: scanner.index)
        try scanner.skipValue(bytes)
        return false
    }

    private mutating func readReading(_ bytes: Span<UInt8>, into readings: inout [SentReading]) throws(JSONFault) {
        let own = ReportField.kind.mask | ReportField.value.mask | ReportField.unit.mask | ReportField.flags.mask
        var object = try scanner.open(bytes)
        var seen: ReportField.Mask = 0
        var kind: SentName<Kind>?
        var value: SentValue?
        var unit: SentName<UCUMUnit>?
        var known: ReadingFlags = []
        var others: [String] = []
        while let name = try scanner.nextName(bytes, in: &object) {
            guard let field = try knownField(name, bytes, among: own, seen: &seen) else { continue }
            place.field = field
            switch field {
            case .kind:
                if let text = try text(bytes) {
                    kind =
                        (text.hasEscapes
                        ? scanner.findUnescaped(text, bytes, in: kinds) : kinds.find(bytes.extracting(text.range))).map
                    { .known($0) }
                        ?? .unknown(scanner.copy(text, bytes))
                }
            case .value:
                value = try readingValue(bytes)
            case .unit:
                if try !skipNull(bytes), let text = try text(bytes) {
                    unit =
                        (text.hasEscapes
                        ? scanner.findUnescaped(text, bytes, in: units) : units.find(bytes.extracting(text.range))).map
                    { .known($0) }
                        ?? .unknown(scanner.copy(text, bytes))
                }
            case .flags:
                try readFlags(bytes, known: &known, others: &others)
            default: break
            }
        }
        place.field = nil
        require(.kind, seen)
        require(.value, seen)
        guard let kind, let value else { return }
        readings.append(SentReading(kind: kind, value: value, unit: unit, flags: known, otherFlags: others))
    }

    private mutating func readAnswer(_ bytes: Span<UInt8>, into answers: inout [SentAnswer]) throws(JSONFault) {
        let own = ReportField.question.mask | ReportField.value.mask
        var object = try scanner.open(bytes)
        var seen: ReportField.Mask = 0
        var question: SentName<Question>?
        var value: AnswerValue?
        while let name = try scanner.nextName(bytes, in: &object) {
            guard let field = try knownField(name, bytes, among: own, seen: &seen) else { continue }
            place.field = field
            switch field {
            case .question:
                if let text = try text(bytes) {
                    question =
                        (text.hasEscapes
                        ? scanner.findUnescaped(text, bytes, in: questions)
                        : questions.find(bytes.extracting(text.range))).map { .known($0) }
                        ?? .unknown(scanner.copy(text, bytes))
                }
            case .value:
                value = try answerValue(bytes)
            default: break
            }
        }
        place.field = nil
        require(.question, seen)
        require(.value, seen)
        guard let question, let value else { return }
        answers.append(SentAnswer(question: question, value: value))
    }

    // MARK: Fields

    /// A mark beside the field masks: `id` stood more than once.
    private static let idStandsTwice: ReportField.Mask = 1 << 31

    /// The field that `name` names, if it is one of `own` and stands there for the first time; else the member is
    /// dealt with to its end.
    private mutating func knownField(
        _ name: JSONScanner.Text, _ bytes: Span<UInt8>, among own: ReportField.Mask, seen: inout ReportField.Mask
    ) throws(JSONFault) -> ReportField? {
        let known =
            name.hasEscapes
            ? scanner.findUnescaped(name, bytes, in: fields) : fields.find(bytes.extracting(name.range))
        guard let field = known, own & field.mask != 0 else {
            scanner.remember(name, bytes)
            try scanner.skipValue(bytes)
            return nil
        }
        if seen & field.mask == 0 {
            seen |= field.mask
            return field
        }
        place.field = field
        note(.duplicate, at: name.start)
        if field == .id { seen |= Self.idStandsTwice }
        try scanner.skipValue(bytes)
        return nil
    }

    private mutating func note(_ problem: ContentFault.Problem, at offset: Int) {
        if fault == nil { fault = ContentFault(problem: problem, place: place, offset: offset) }
    }

    /// At the end of an object.
    private mutating func require(_ field: ReportField, _ seen: ReportField.Mask) {
        guard seen & field.mask == 0 else { return }
        place.field = field
        note(.missing, at: scanner.index - 1)
        place.field = nil
    }

    private mutating func text(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONScanner.Text? {
        if scanner.peek(bytes) == UInt8(ascii: "\"") { return try scanner.string(bytes) }
        note(.notString, at: scanner.index)
        try scanner.skipValue(bytes)
        return nil
    }

    /// True when the value was null and is read.
    private mutating func skipNull(_ bytes: Span<UInt8>) throws(JSONFault) -> Bool {
        guard scanner.peek(bytes) == UInt8(ascii: "n") else { return false }
        _ = try scanner.literal(bytes)
        return true
    }

    private mutating func optionalArray(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONScanner.Container? {
        if scanner.peek(bytes) == UInt8(ascii: "[") { return try scanner.open(bytes) }
        if try skipNull(bytes) { return nil }
        note(.notArray, at: scanner.index)
        try scanner.skipValue(bytes)
        return nil
    }

    private mutating func optionalInstant(_ bytes: Span<UInt8>) throws(JSONFault) -> Instant? {
        if try skipNull(bytes) { return nil }
        guard let text = try text(bytes) else { return nil }
        let instant = scanner.instant(text, bytes)
        if instant == nil { note(.badTime, at: text.start) }
        return instant
    }

    private mutating func optionalNumber(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONNumber? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try scanner.number(bytes)
        default:
            if try skipNull(bytes) { return nil }
            note(.notNumber, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    private mutating func optionalSequence(_ bytes: Span<UInt8>) throws(JSONFault) -> Int64? {
        guard let number = try optionalNumber(bytes) else { return nil }
        guard let integer = number.integer, integer >= 0 else {
            note(.badSequence, at: number.start)
            return nil
        }
        return integer
    }

    private mutating func optionalBattery(_ bytes: Span<UInt8>) throws(JSONFault) -> Double? {
        guard let number = try optionalNumber(bytes) else { return nil }
        let percent = double(number, bytes)
        return (0...100).contains(percent) ? percent : nil
    }

    /// The number, or 0 with a flaw noted when no finite double is near it.
    private mutating func double(_ number: JSONNumber, _ bytes: Span<UInt8>) -> Double {
        if let double = number.double(in: bytes) { return double }
        scanner.note(.numberOutOfRange, at: number.start)
        return 0
    }

    private mutating func readingValue(_ bytes: Span<UInt8>) throws(JSONFault) -> SentValue? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try scanner.number(bytes)
            return .number(double(number, bytes))
        case UInt8(ascii: "\""):
            let text = try scanner.string(bytes)
            return .code(scanner.copy(text, bytes))
        default:
            note(.notScalar, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    private mutating func answerValue(_ bytes: Span<UInt8>) throws(JSONFault) -> AnswerValue? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            return .boolean(try scanner.literal(bytes) == .yes)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try scanner.number(bytes)
            return .number(double(number, bytes))
        case UInt8(ascii: "\""):
            let text = try scanner.string(bytes)
            return .text(scanner.copy(text, bytes))
        default:
            note(.notScalar, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    private mutating func readFlags(
        _ bytes: Span<UInt8>, known: inout ReadingFlags, others: inout [String]
    ) throws(JSONFault) {
        guard var array = try optionalArray(bytes) else { return }
        while try scanner.nextElement(bytes, in: &array) {
            guard let text = try text(bytes) else { continue }
            if let flag =
                (text.hasEscapes
                    ? scanner.findUnescaped(text, bytes, in: flags) : flags.find(bytes.extracting(text.range)))
            {
                if flag != .clockCorrected { known.insert(flag) }
            } else {
                others.append(scanner.copy(text, bytes))
            }
        }
    }

    private func startsMark(_ bytes: Span<UInt8>) -> Bool {
        scanner.unexpected(bytes).problem == .byteOrderMark
    }
}
