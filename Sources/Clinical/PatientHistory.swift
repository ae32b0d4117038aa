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

/// What a rule that looks back must be given before a report can be judged.
public struct HistoryNeed: Hashable, Sendable {
    public var kinds: Set<Kind>
    public var questions: Set<Question>
    public var since: Instant

    public init(kinds: Set<Kind>, questions: Set<Question> = [], since: Instant) {
        self.kinds = kinds
        self.questions = questions
        self.since = since
    }

    /// Both needs in one.
    public func union(_ other: HistoryNeed) -> HistoryNeed {
        HistoryNeed(
            kinds: kinds.union(other.kinds), questions: questions.union(other.questions),
            since: min(since, other.since))
    }
}

/// A patient's readings and answers as far back as was asked for. Adding the same one twice changes nothing.
public struct PatientHistory: Hashable, Sendable {
    /// By `takenAt`, oldest first.
    public private(set) var readings: [PastReading] = []
    /// By `takenAt`, oldest first.
    public private(set) var answers: [PastAnswer] = []

    public init(readings: [PastReading] = [], answers: [PastAnswer] = []) {
        struct Place: Hashable {
            var key: ReportKey
            var index: Int
        }
        var seen: Set<Place> = []
        self.readings = readings.filter { seen.insert(Place(key: $0.key, index: $0.index)).inserted }
            .sorted { $0.takenAt < $1.takenAt }
        var answered: Set<PastAnswer> = []
        self.answers = answers.filter { answered.insert($0).inserted }.sorted { $0.takenAt < $1.takenAt }
    }

    public mutating func add(_ reading: PastReading) {
        guard !readings.contains(where: { $0.key == reading.key && $0.index == reading.index }) else { return }
        let place = readings.lastIndex { $0.takenAt <= reading.takenAt }.map { $0 + 1 } ?? 0
        readings.insert(reading, at: place)
    }

    public mutating func add(_ answer: PastAnswer) {
        guard !answers.contains(answer) else { return }
        let place = answers.lastIndex { $0.takenAt <= answer.takenAt }.map { $0 + 1 } ?? 0
        answers.insert(answer, at: place)
    }

    /// Keeps only those that say so, and of these the newest so many.
    public mutating func keep(
        newest readings: Int, where isReadingKept: (PastReading) -> Bool, newest answers: Int,
        where isAnswerKept: (PastAnswer) -> Bool
    ) {
        self.readings.removeAll { !isReadingKept($0) }
        self.readings.removeFirst(max(0, self.readings.count - readings))
        self.answers.removeAll { !isAnswerKept($0) }
        self.answers.removeFirst(max(0, self.answers.count - answers))
    }

    /// `add` for a report that is known to be new: it is not looked for.
    public mutating func append(_ report: JudgedReport) {
        let place = readings.lastIndex { $0.takenAt <= report.takenAt }.map { $0 + 1 } ?? 0
        readings.insert(contentsOf: report.readings.map { PastReading($0, of: report) }, at: place)
        for answer in report.answers {
            guard let question = answer.question.known else { continue }
            let place = answers.lastIndex { $0.takenAt <= report.takenAt }.map { $0 + 1 } ?? 0
            answers.insert(
                PastAnswer(key: report.key, question: question, value: answer.value, takenAt: report.takenAt), at: place
            )
        }
    }

    /// The readings of a report that was judged, and its answers to questions that the packs know.
    public mutating func add(_ report: JudgedReport) {
        for reading in report.readings { add(PastReading(reading, of: report)) }
        for answer in report.answers {
            guard let question = answer.question.known else { continue }
            add(PastAnswer(key: report.key, question: question, value: answer.value, takenAt: report.takenAt))
        }
    }
}
