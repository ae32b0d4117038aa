import Clinical
import Ingestion

/// The readings that rules look back at, for the patients for whom one did lately. Nearly no patient has any.
struct RuleWindows {
    /// The longest that a rule looks back is 48 h, and a report may come a day late.
    static let span = Interval.hours(72)
    /// No patient measures so often; a reader that floods may.
    static let most = 500

    private(set) var windows: [Identifier: OutageState.Window] = [:]

    init(_ windows: [Identifier: OutageState.Window] = [:]) { self.windows = windows }

    var isEmpty: Bool { windows.isEmpty }

    func history(of patient: Identifier, _ need: HistoryNeed) -> PatientHistory {
        PatientHistory(
            readings: (windows[patient]?.readings ?? []).filter {
                need.kinds.contains($0.kind) && $0.takenAt >= need.since
            })
    }

    /// A rule looked back at these.
    mutating func open(_ patient: Identifier, kinds: Set<Kind>, readings: [PastReading], at instant: Instant) {
        var window = windows[patient] ?? OutageState.Window(kinds: [], needed: instant, readings: [])
        window.kinds.formUnion(kinds)
        window.needed = max(window.needed, instant)
        windows[patient] = window
        add(readings, of: patient, at: instant)
    }

    /// Further readings of a patient whose window is open; of anybody else's nothing is kept.
    mutating func add(_ report: StoredReport) {
        guard let window = windows[report.patient] else { return }
        let judged = JudgedReport(
            key: report.key, takenAt: report.takenAt, receivedAt: report.receivedAt, readings: report.readings)
        let readings = report.readings.lazy.filter { window.kinds.contains($0.kind) }
        add(readings.map { PastReading($0, of: judged) }, of: report.patient, at: report.receivedAt)
    }

    private mutating func add(_ readings: [PastReading], of patient: Identifier, at instant: Instant) {
        guard var window = windows[patient], !readings.isEmpty else { return }
        var history = PatientHistory(readings: window.readings)
        for reading in readings { history.add(reading) }
        window.readings = Array(history.readings.drop { $0.takenAt < instant - Self.span }.suffix(Self.most))
        windows[patient] = window
    }

    /// Forgets what no rule will look back at any more.
    mutating func sweep(at instant: Instant) {
        windows = windows.filter { $0.value.needed >= instant - Self.span }
    }
}
