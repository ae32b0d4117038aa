import Clinical
import Ingestion

/// The readings and answers that rules look back at, for the patients for whom one did lately. In memory, whole: bounded
/// in how far it goes back, by patient, and over all patients.
struct RuleWindows {
    /// No shipped rule looks back further: 7 days, and a day more for a symptom that stands beside a change. A pack of
    /// the site's own may, and is then judged by this much in an outage.
    static let longest = Interval.days(8)
    /// A report may come so late and still be judged as ever.
    static let lateness = Interval.hours(24)
    /// No patient measures so often; a reader that floods may.
    static let mostReadings = 500
    static let mostAnswers = 200

    /// Readings and answers of all patients together, about 100 MB of them; beyond it the patients at whom no rule
    /// looked back for longest are forgotten.
    let mostOfAll: Int
    private(set) var windows: [Identifier: OutageState.Window]
    private var count: Int
    private var isChanged = false
    private var lastSweep: Instant?
    private var forgotten: [ReportKey: Set<Int>] = [:]

    init(_ windows: [Identifier: OutageState.Window] = [:], mostOfAll: Int = 500_000) {
        self.windows = windows
        self.mostOfAll = mostOfAll
        count = windows.values.reduce(0) { $0 + $1.count }
    }

    var isEmpty: Bool { windows.isEmpty }

    func history(of patient: Identifier, _ need: HistoryNeed) -> PatientHistory {
        windows[patient]?.past.narrowed(to: need) ?? PatientHistory()
    }

    /// A rule looked back from a report taken at `instant` and found `history`; nil: PostgreSQL could not be asked.
    /// What is whole is not gone through again: from then on every report comes by `add`.
    mutating func open(
        _ patient: Identifier, _ need: HistoryNeed, from instant: Instant, finding history: PatientHistory?
    ) {
        change(patient) { window in
            let wasWhole = window.widen(by: need, from: instant, isWhole: history != nil)
            guard !wasWhole, let history else { return }
            window.past = PatientHistory(
                readings: window.past.readings + history.readings, answers: window.past.answers + history.answers)
            window.prune()
        }
    }

    /// A further report of a patient whose window is open; of anybody else's nothing is kept.
    mutating func add(_ report: StoredReport) {
        guard windows[report.patient] != nil else { return }
        let judged = JudgedReport(
            key: report.key, takenAt: report.takenAt, receivedAt: report.receivedAt, readings: report.readings,
            answers: report.answers)
        change(report.patient) { window in
            for reading in judged.readings where window.kinds[reading.kind] != nil {
                window.past.add(PastReading(reading, of: judged))
            }
            for answer in judged.answers {
                guard let question = answer.question.known, window.questions[question] != nil else { continue }
                window.past.add(
                    PastAnswer(key: judged.key, question: question, value: answer.value, takenAt: judged.takenAt))
            }
            window.prune()
        }
    }

    /// Leaves out readings by their places. What was left out before is not looked for again: a window that is opened
    /// later is read without it.
    mutating func forget(_ readings: [ReportKey: Set<Int>]) {
        guard readings != forgotten else { return }
        forgotten = readings
        for patient in Array(windows.keys) { change(patient) { $0.past.remove(readings) } }
    }

    /// Forgets what no rule will look back at any more; once an hour is enough.
    mutating func sweep(at instant: Instant) {
        if let lastSweep, instant >= lastSweep, instant - lastSweep < .hours(1) { return }
        lastSweep = instant
        let oldest = instant - Self.longest - Self.lateness
        for patient in windows.filter({ $0.value.hasLook(before: oldest) }).keys {
            change(patient) { $0.forgetLooks(before: oldest) }
            if windows[patient]?.isEmpty ?? false { windows[patient] = nil }
        }
    }

    /// All of them, if any has changed since this was last called.
    mutating func takeChanged() -> [Identifier: OutageState.Window]? {
        defer { isChanged = false }
        return isChanged ? windows : nil
    }

    private mutating func change(_ patient: Identifier, _ body: (inout OutageState.Window) -> Void) {
        // Taken out, so that its arrays are changed in place.
        isChanged = true
        var window = windows.removeValue(forKey: patient) ?? OutageState.Window()
        count -= window.count
        body(&window)
        count += window.count
        windows[patient] = window
        if count > mostOfAll { forgetOldest() }
    }

    /// An eighth at a time, so that it is seldom done.
    private mutating func forgetOldest() {
        let oldest = windows.map { (patient: $0.key, newest: $0.value.newest, count: $0.value.count) }
            .sorted { $0.newest < $1.newest }
        for entry in oldest {
            guard count > mostOfAll - mostOfAll / 8 else { return }
            windows[entry.patient] = nil
            count -= entry.count
        }
    }
}

extension OutageState.Look {
    /// When a reading or an answer is too old for it.
    fileprivate var start: Instant { newest - span - RuleWindows.lateness }
}

extension OutageState.Window {
    fileprivate var count: Int { past.count }
    fileprivate var isEmpty: Bool { kinds.isEmpty && questions.isEmpty }

    fileprivate var newest: Instant {
        max(
            kinds.values.map(\.newest).max() ?? Instant(microseconds: .min),
            questions.values.map(\.newest).max() ?? Instant(microseconds: .min))
    }

    /// True when all of that was whole before, as far back.
    fileprivate mutating func widen(by need: HistoryNeed, from instant: Instant, isWhole: Bool) -> Bool {
        let look = { (since: Instant) in
            OutageState.Look(
                span: min(max(instant - since, .seconds(0)), RuleWindows.longest), newest: instant, isWhole: isWhole)
        }
        var wasWhole = true
        for (kind, since) in need.kinds {
            if !Self.widen(&kinds[kind], by: look(since)) { wasWhole = false }
        }
        for (question, since) in need.questions {
            if !Self.widen(&questions[question], by: look(since)) { wasWhole = false }
        }
        return wasWhole
    }

    private static func widen(_ known: inout OutageState.Look?, by look: OutageState.Look) -> Bool {
        guard let old = known else {
            known = look
            return false
        }
        let wasWhole = old.isWhole && old.span >= look.span
        known = OutageState.Look(
            span: max(old.span, look.span), newest: max(old.newest, look.newest),
            isWhole: wasWhole || look.isWhole && look.span >= old.span)
        return wasWhole
    }

    fileprivate mutating func prune() {
        let need = HistoryNeed(kinds: kinds.mapValues(\.start), questions: questions.mapValues(\.start))
        past.keep(need, newestReadings: RuleWindows.mostReadings, newestAnswers: RuleWindows.mostAnswers)
    }

    // A look stays open for the longest time, however short its span: the first half of a score may come before the half
    // that looks back.

    fileprivate func hasLook(before oldest: Instant) -> Bool {
        kinds.values.contains { $0.newest < oldest } || questions.values.contains { $0.newest < oldest }
    }

    fileprivate mutating func forgetLooks(before oldest: Instant) {
        kinds = kinds.filter { $0.value.newest >= oldest }
        questions = questions.filter { $0.value.newest >= oldest }
        prune()
    }
}
