import Foundation

/// One report among what is known of its patient: what rules beyond the bands look at.
struct Timeline {
    let report: JudgedReport
    /// The report's own and the others', oldest first; of one instant in an order that does not depend on arrival.
    let answers: [PastAnswer]
    let plan: Plan
    private let history: PatientHistory
    /// Of the report's own kinds.
    private let mixed: [Kind: [PastReading]]

    init(_ report: JudgedReport, plan: Plan, history: PatientHistory) {
        self.report = report
        self.plan = plan
        self.history = history
        var mixed: [Kind: [PastReading]] = [:]
        for reading in report.readings {
            let kind = reading.kind
            var line = mixed[kind] ?? history.readings(of: kind).without(report.key)
            line.putInPlace(PastReading(reading, of: report))
            mixed[kind] = line
        }
        self.mixed = mixed
        let ownAnswers = report.answers.compactMap { answer in
            answer.question.known.map {
                PastAnswer(key: report.key, question: $0, value: answer.value, takenAt: report.takenAt)
            }
        }
        answers = (history.answers.filter { $0.key != report.key } + ownAnswers).sorted { $0.precedes($1) }
    }

    /// The report's own and the others', oldest first; of one instant in an order that does not depend on arrival.
    func readings(of kind: Kind) -> [PastReading] { mixed[kind] ?? history.readings(of: kind) }

    /// Those taken at most the span before or after the instant.
    func readings(of kind: Kind, within span: Interval, of instant: Instant) -> ArraySlice<PastReading> {
        let all = readings(of: kind)
        return all[all.place(of: instant - span)..<all.place(after: instant + span)]
    }

    func isOwn(_ reading: PastReading) -> Bool { reading.key == report.key }
    func isOwn(_ answer: PastAnswer) -> Bool { answer.key == report.key }

    /// The report's readings of the kind, or, where it has none, the others' that lie within the span of it: those are
    /// what an answer can stand beside.
    func anchors(_ kind: Kind, beside span: Interval?) -> [PastReading] {
        let now = readings(of: kind, within: .seconds(0), of: report.takenAt)
        let own = now.filter(isOwn)
        guard own.isEmpty, let span else { return own }
        return Array(readings(of: kind, within: span, of: report.takenAt))
    }

    func isWithin(_ span: Interval, _ left: Instant, _ right: Instant) -> Bool {
        (left < right ? right - left : left - right) <= span
    }

    /// The number of the patient's local day.
    func day(_ instant: Instant) -> Int64 {
        let seconds = Self.seconds(instant)
        return Self.day(seconds + offset(seconds))
    }

    /// Likewise of many, in order. The offset is looked up once for each quarter of an hour, since no zone changes it
    /// within one, and a look costs more than the rest of a rule.
    func days(_ readings: some Sequence<PastReading>) -> [Int64] {
        var known: (quarter: Int64, offset: Int64)?
        return readings.map { reading in
            let seconds = Self.seconds(reading.takenAt)
            let quarter = seconds >> 2 / 225
            if known?.quarter != quarter { known = (quarter, offset(seconds)) }
            return Self.day(seconds + (known?.offset ?? 0))
        }
    }

    private func offset(_ seconds: Int64) -> Int64 {
        Int64(plan.zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
    }

    private static func seconds(_ instant: Instant) -> Int64 {
        instant.microseconds / 1_000_000 - (instant.microseconds % 1_000_000 < 0 ? 1 : 0)
    }

    private static func day(_ local: Int64) -> Int64 { local / 86_400 - (local % 86_400 < 0 ? 1 : 0) }
}

extension [PastReading] {
    /// As it is nearly always: a report is judged before it is part of the history.
    fileprivate func without(_ key: ReportKey) -> [PastReading] {
        contains { $0.key == key } ? filter { $0.key != key } : self
    }
}
