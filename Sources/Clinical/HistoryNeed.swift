/// What a rule that looks back must be given before a report can be judged, and since when.
public struct HistoryNeed: Hashable, Sendable {
    public var kinds: [Kind: Instant] = [:]
    public var questions: [Question: Instant] = [:]

    public init(kinds: [Kind: Instant] = [:], questions: [Question: Instant] = [:]) {
        self.kinds = kinds
        self.questions = questions
    }

    public init(kinds: Set<Kind>, questions: Set<Question> = [], since: Instant) {
        for kind in kinds { self.kinds[kind] = since }
        for question in questions { self.questions[question] = since }
    }

    /// Both needs in one.
    public func union(_ other: HistoryNeed) -> HistoryNeed {
        HistoryNeed(
            kinds: kinds.merging(other.kinds) { min($0, $1) },
            questions: questions.merging(other.questions) { min($0, $1) })
    }

    func asks(for answer: PastAnswer) -> Bool { questions[answer.question].map { answer.takenAt >= $0 } ?? false }
}
