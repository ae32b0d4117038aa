/// A stored reading, as far as a rule that looks back needs it.
public struct PastReading: Hashable, Sendable {
    public var key: ReportKey
    public var index: Int
    public var kind: Kind
    /// In the kind's canonical unit.
    public var value: Double
    public var sentValue: Double
    public var sentUnit: UCUMUnit?
    public var flags: ReadingFlags
    /// Corrected.
    public var takenAt: Instant
    /// It was marked when it came. A mark keeps nothing from being judged, but nothing else is measured from it.
    public var isSuspect: Bool

    public init(
        key: ReportKey, index: Int, kind: Kind, value: Double, sentValue: Double, sentUnit: UCUMUnit?,
        flags: ReadingFlags = [], takenAt: Instant, isSuspect: Bool = false
    ) {
        self.key = key
        self.index = index
        self.kind = kind
        self.value = value
        self.sentValue = sentValue
        self.sentUnit = sentUnit
        self.flags = flags
        self.takenAt = takenAt
        self.isSuspect = isSuspect
    }

    public init(_ reading: Reading, of report: JudgedReport) {
        self.init(
            key: report.key, index: reading.index, kind: reading.kind, value: reading.value,
            sentValue: reading.sentValue, sentUnit: reading.sentUnit, flags: reading.flags, takenAt: report.takenAt,
            isSuspect: reading.isSuspect)
    }
}

extension PastReading {
    /// By when it was taken; of one instant in an order that does not depend on arrival.
    func precedes(_ other: PastReading) -> Bool {
        if takenAt != other.takenAt { return takenAt < other.takenAt }
        if key != other.key { return key.precedes(other.key) }
        return index < other.index
    }
}

/// A stored answer to a question that the packs know.
public struct PastAnswer: Hashable, Sendable {
    public var key: ReportKey
    public var question: Question
    public var value: AnswerValue
    /// Corrected.
    public var takenAt: Instant

    public init(key: ReportKey, question: Question, value: AnswerValue, takenAt: Instant) {
        self.key = key
        self.question = question
        self.value = value
        self.takenAt = takenAt
    }
}

extension PastAnswer {
    /// As a reading's.
    func precedes(_ other: PastAnswer) -> Bool {
        if takenAt != other.takenAt { return takenAt < other.takenAt }
        if key != other.key { return key.precedes(other.key) }
        return question.rawValue < other.question.rawValue
    }
}

/// A patient's readings and answers as far back as was asked for. Adding the same one twice changes nothing.
///
/// Kept by kind and in order, since a rule looks at one kind around one instant, and a patient who measures often has
/// many others.
public struct PatientHistory: Hashable, Sendable {
    /// Each in order, none empty.
    private var byKind: [Kind: [PastReading]] = [:]
    /// By `takenAt`, oldest first.
    public private(set) var answers: [PastAnswer] = []

    public init(readings: [PastReading] = [], answers: [PastAnswer] = []) {
        for reading in readings { byKind[reading.kind, default: []].append(reading) }
        for kind in byKind.keys { byKind[kind]?.putInOrder() }
        var answered: Set<PastAnswer> = []
        self.answers = answers.filter { answered.insert($0).inserted }.sorted { $0.precedes($1) }
    }

    /// By `takenAt`, oldest first.
    public var readings: [PastReading] { byKind.values.flatMap(\.self).sorted { $0.precedes($1) } }

    /// Likewise.
    public func readings(of kind: Kind) -> [PastReading] { byKind[kind] ?? [] }

    /// Readings and answers.
    public var count: Int { byKind.values.reduce(answers.count) { $0 + $1.count } }

    public mutating func add(_ reading: PastReading) { byKind[reading.kind, default: []].putInPlace(reading) }

    public mutating func add(_ answer: PastAnswer) {
        guard !answers.contains(answer) else { return }
        let place = answers.lastIndex { $0.precedes(answer) }.map { $0 + 1 } ?? 0
        answers.insert(answer, at: place)
    }

    /// The readings of a report that was judged, and its answers to questions that the packs know.
    public mutating func add(_ report: JudgedReport) {
        for reading in report.readings { add(PastReading(reading, of: report)) }
        for answer in report.answers {
            guard let question = answer.question.known else { continue }
            add(PastAnswer(key: report.key, question: question, value: answer.value, takenAt: report.takenAt))
        }
    }

    /// What of it the need asks for.
    public func narrowed(to need: HistoryNeed) -> PatientHistory {
        var narrowed = self
        narrowed.keep(need, newestReadings: .max, newestAnswers: .max)
        return narrowed
    }

    /// Forgets what the need does not ask for, and of the rest all but the newest so many.
    public mutating func keep(_ need: HistoryNeed, newestReadings: Int, newestAnswers: Int) {
        for (kind, readings) in byKind {
            guard let since = need.kinds[kind] else {
                byKind[kind] = nil
                continue
            }
            guard let first = readings.first, first.takenAt < since else { continue }
            drop(readings.place(of: since), of: kind)
        }
        var tooMany = byKind.values.reduce(0) { $0 + $1.count } - newestReadings
        while tooMany > 0 {
            let oldest = byKind.compactMap { $0.value.first }.min { $0.precedes($1) }
            guard let oldest else { break }
            drop(1, of: oldest.kind)
            tooMany -= 1
        }
        if answers.contains(where: { !need.asks(for: $0) }) { answers.removeAll { !need.asks(for: $0) } }
        if answers.count > newestAnswers { answers.removeFirst(answers.count - newestAnswers) }
    }

    /// Forgets readings by their places in their reports.
    public mutating func remove(_ places: [ReportKey: Set<Int>]) {
        for (kind, readings) in byKind {
            let kept = readings.filter { !(places[$0.key]?.contains($0.index) ?? false) }
            if kept.count < readings.count { byKind[kind] = kept.isEmpty ? nil : kept }
        }
    }

    private mutating func drop(_ count: Int, of kind: Kind) {
        byKind[kind]?.removeFirst(count)
        if byKind[kind]?.isEmpty ?? true { byKind[kind] = nil }
    }
}

extension [PastReading] {
    /// The first place at or after the instant, in an array that is in order.
    func place(of instant: Instant) -> Int { place { $0.takenAt < instant } }

    /// The first place after the instant.
    func place(after instant: Instant) -> Int { place { $0.takenAt <= instant } }

    /// Nothing happens when it is there: a reading is one of its report's, whose time does not change.
    mutating func putInPlace(_ reading: PastReading) {
        let place = place { $0.precedes(reading) }
        if place < count, self[place].key == reading.key, self[place].index == reading.index { return }
        insert(reading, at: place)
    }

    /// In order, each once.
    fileprivate mutating func putInOrder() {
        guard !zip(self, dropFirst()).allSatisfy({ $0.precedes($1) }) else { return }
        sort { $0.precedes($1) }
        var kept: [PastReading] = []
        for reading in self where kept.last.map({ $0.key != reading.key || $0.index != reading.index }) ?? true {
            kept.append(reading)
        }
        self = kept
    }

    /// How many of them, from the first, the condition holds for.
    func place(_ isBefore: (PastReading) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = low + (high - low) / 2
            if isBefore(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
