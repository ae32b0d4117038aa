import Foundation

/// One report among what is known of its patient: what rules beyond the bands look at.
struct Timeline {
    let report: JudgedReport
    /// The report's own and the others', oldest first; of one instant in an order that does not depend on arrival.
    let readings: [PastReading]
    /// Likewise.
    let answers: [PastAnswer]
    let plan: Plan
    let history: PatientHistory
    private let zone: TimeZone

    init(_ report: JudgedReport, plan: Plan, history: PatientHistory) {
        self.report = report
        self.plan = plan
        self.history = history
        zone = TimeZone(identifier: plan.timeZone) ?? .gmt
        let own = report.readings.map { PastReading($0, of: report) }
        readings = (history.readings.filter { $0.key != report.key } + own).sorted { left, right in
            if left.takenAt != right.takenAt { return left.takenAt < right.takenAt }
            if left.key != right.key { return left.key.precedes(right.key) }
            return left.index < right.index
        }
        let ownAnswers = report.answers.compactMap { answer in
            answer.question.known.map {
                PastAnswer(key: report.key, question: $0, value: answer.value, takenAt: report.takenAt)
            }
        }
        answers = (history.answers.filter { $0.key != report.key } + ownAnswers).sorted { left, right in
            if left.takenAt != right.takenAt { return left.takenAt < right.takenAt }
            if left.key != right.key { return left.key.precedes(right.key) }
            return left.question.rawValue < right.question.rawValue
        }
    }

    func isOwn(_ reading: PastReading) -> Bool { reading.key == report.key }
    func isOwn(_ answer: PastAnswer) -> Bool { answer.key == report.key }

    /// The report's readings of the kind, or, where it has none, the others' that lie within the span of it: those are
    /// what an answer can stand beside.
    func anchors(_ kind: Kind, beside span: Interval?) -> [PastReading] {
        let own = readings.filter { $0.kind == kind && isOwn($0) }
        guard own.isEmpty, let span else { return own }
        return readings.filter { $0.kind == kind && isWithin(span, $0.takenAt, report.takenAt) }
    }

    func isWithin(_ span: Interval, _ left: Instant, _ right: Instant) -> Bool {
        (left < right ? right - left : left - right) <= span
    }

    /// The number of the patient's local day.
    func day(_ instant: Instant) -> Int64 {
        let seconds = instant.microseconds / 1_000_000 - (instant.microseconds % 1_000_000 < 0 ? 1 : 0)
        let moment = Date(timeIntervalSince1970: Interval(microseconds: instant.microseconds).seconds)
        let local = seconds + Int64(zone.secondsFromGMT(for: moment))
        return local / 86_400 - (local % 86_400 < 0 ? 1 : 0)
    }
}
