public import Clinical

/// Reads the contract's reports: bytes to `SentReport`, strictly, in one walk.
///
/// One decoder per thread: it keeps scratch space, so that a well-formed report of ordinary size is decoded without
/// a heap allocation. It judges form only: a known kind's value must be of the kind's type (a number, or a string for
/// coded kinds). Whether a kind is known, fits its code and unit, or is plausible, is judged later; a name that the contract does not know is kept as the text that was sent.
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

    var scanner = JSONScanner(maximumDepth: maximumDepth)
    var fault: ContentFault?
    var place = ContentFault.Place()

    let expectedNames = order.map(ExpectedName.init)
    let fields = NameTable(ReportField.allCases.map { ($0.rawValue, $0) })
    let kinds = NameTable(Kind.allCases.map { ($0.code, $0) })
    let units = NameTable(UCUMUnit.allCases.map { ($0.code, $0) })
    let questions = NameTable(Question.allCases.map { ($0.rawValue, $0) })
    let flags = NameTable(ReadingFlags.names.map { ($0.name, $0.flag) })

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
        var members = Members(try scanner.open(bytes), .report)
        while let field = try nextField(bytes, of: &members) {
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
        // Of two ids neither is the report's.
        if members.hasTwoIDs { report.id = nil }
        require(.id, members)
        require(.takenAt, members)
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
        var members = Members(try scanner.open(bytes), .reading)
        var knownKind: Kind?
        var knownUnit: UCUMUnit?
        var flags: ReadingFlags = []
        var value: SentValue?
        // Texts that stand for nothing we know, which are few: apart, so that the common reading moves no strings.
        var others = OtherTexts()
        var valueStart = 0
        while let field = try nextField(bytes, of: &members) {
            switch field {
            case .kind:
                if let text = try text(bytes) {
                    knownKind = scanner.find(text, bytes, in: kinds)
                    if knownKind == nil { others.kind = scanner.copy(text, bytes) }
                }
            case .value:
                valueStart = scanner.index
                value = try readingValue(bytes)
            case .unit:
                if try !skipNull(bytes), let text = try text(bytes) {
                    knownUnit = scanner.find(text, bytes, in: units)
                    if knownUnit == nil { others.unit = scanner.copy(text, bytes) }
                }
            case .flags:
                try readFlags(bytes, known: &flags, others: &others.flags)
            default: break
            }
        }
        place.field = nil
        require(.kind, members)
        require(.value, members)
        guard let value else { return }
        if let knownKind {
            checkType(of: value, for: knownKind, at: valueStart)
            if others.isEmpty {
                readings.append(SentReading(knownKind: knownKind, value: value, knownUnit: knownUnit, flags: flags))
                return
            }
        }
        guard let kind = knownKind.map({ .known($0) }) ?? others.kind.map({ SentName.unknown($0) }) else { return }
        readings.append(
            SentReading(
                kind: kind, value: value,
                unit: knownUnit.map { .known($0) } ?? others.unit.map { .unknown($0) }, flags: flags,
                otherFlags: others.flags))
    }

    private struct OtherTexts {
        var kind: String?
        var unit: String?
        var flags: [String] = []

        var isEmpty: Bool { kind == nil && unit == nil && flags.isEmpty }
    }

    /// A known kind says whether its value is a number or a code; an unknown one is refused later, whatever it has.
    private mutating func checkType(of value: SentValue, for kind: Kind, at offset: Int) {
        place.field = .value
        switch value {
        case .number where kind.isCoded: note(.notString, at: offset)
        case .code where !kind.isCoded: note(.notNumber, at: offset)
        default: break
        }
        place.field = nil
    }

    private mutating func readAnswer(_ bytes: Span<UInt8>, into answers: inout [SentAnswer]) throws(JSONFault) {
        var members = Members(try scanner.open(bytes), .answer)
        var question: SentName<Question>?
        var value: AnswerValue?
        while let field = try nextField(bytes, of: &members) {
            switch field {
            case .question:
                if let text = try text(bytes) {
                    question =
                        scanner.find(text, bytes, in: questions).map { .known($0) }
                        ?? .unknown(scanner.copy(text, bytes))
                }
            case .value:
                value = try answerValue(bytes)
            default: break
            }
        }
        place.field = nil
        require(.question, members)
        require(.value, members)
        guard let question, let value else { return }
        answers.append(SentAnswer(question: question, value: value))
    }

    private func startsMark(_ bytes: Span<UInt8>) -> Bool {
        scanner.unexpected(bytes).problem == .byteOrderMark
    }
}
