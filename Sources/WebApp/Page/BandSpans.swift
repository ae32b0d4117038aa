import Alerting
import Clinical

/// The stretches of a kind's chart over which the same limits judged: cut where the plan changed, where oxygen came or went
/// as far as limits ask for it, and at a birthday that changes them.
enum BandSpans {
    /// - Parameters:
    ///   - plans: oldest first; empty: `now` all the time.
    ///   - readings: of every kind, oldest first.
    static func of(
        _ kind: Kind, _ plans: [PastPlan], now: Plan, _ readings: [ChartReading], from start: Instant,
        until end: Instant
    ) -> [Chart.Span] {
        let spans = plans.isEmpty ? [Chart.Span(from: start, until: end, plan: now)] : cut(plans, start, end)
        let stretches = spans.contains { asksForOxygen(kind, $0) } ? stretches(kind, readings) : []
        return spans.flatMap { oxygen(kind, $0, stretches) }.flatMap { birthday(kind, $0) }
    }

    private static func cut(_ plans: [PastPlan], _ start: Instant, _ end: Instant) -> [Chart.Span] {
        zip(plans, plans.dropFirst().map(\.from) + [end]).compactMap { past, until in
            let from = max(past.from, start)
            return from < until ? Chart.Span(from: from, until: until, plan: past.plan) : nil
        }
    }

    // MARK: Oxygen

    private static func asksForOxygen(_ kind: Kind, _ span: Chart.Span) -> Bool {
        [span.from, span.until].contains { instant in
            Side.allCases.contains { side in span.plan.limits(kind, side, at: instant).contains { $0.holds != .always }
            }
        }
    }

    /// A report's readings are judged by what it says itself: what one says holds until the next of the kind.
    private static func stretches(_ kind: Kind, _ readings: [ChartReading]) -> [(from: Instant, onOxygen: Bool)] {
        let reports = Set(
            readings.filter { $0.kind == .oxygen && $0.value > 0 && $0.correction == nil }.map(\.key))
        var stretches: [(from: Instant, onOxygen: Bool)] = []
        for reading in readings where reading.kind == kind && reading.correction == nil {
            let onOxygen = reports.contains(reading.key)
            if stretches.last?.onOxygen != onOxygen { stretches.append((reading.takenAt, onOxygen)) }
        }
        return stretches
    }

    private static func oxygen(
        _ kind: Kind, _ span: Chart.Span, _ stretches: [(from: Instant, onOxygen: Bool)]
    ) -> [Chart.Span] {
        guard asksForOxygen(kind, span), let first = stretches.first else { return [span] }
        var current = span
        // Before the first reading as at the first.
        current.onOxygen = (stretches.last { $0.from <= span.from } ?? first).onOxygen
        var spans: [Chart.Span] = []
        for stretch in stretches where stretch.from > span.from && stretch.from < span.until {
            guard stretch.onOxygen != current.onOxygen else { continue }
            spans.append(
                Chart.Span(from: current.from, until: stretch.from, plan: span.plan, onOxygen: current.onOxygen))
            current.from = stretch.from
            current.onOxygen = stretch.onOxygen
        }
        return spans + [current]
    }

    // MARK: Age

    /// No span is as long as a year: there is one birthday at most.
    private static func birthday(_ kind: Kind, _ span: Chart.Span) -> [Chart.Span] {
        func limits(at instant: Instant) -> [[BandLimit]] {
            Side.allCases.map { span.plan.limits(kind, $0, onOxygen: span.onOxygen, at: instant) }
        }
        let before = limits(at: span.from)
        guard limits(at: span.until) != before else { return [span] }
        var (low, high) = (span.from, span.until)
        while high - low > .seconds(1) {
            let middle = low + Interval(microseconds: (high - low).microseconds / 2)
            if limits(at: middle) == before { low = middle } else { high = middle }
        }
        var (first, second) = (span, span)
        first.until = high
        second.from = high
        return high < span.until ? [first, second] : [first]
    }
}
