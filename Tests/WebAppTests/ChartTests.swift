import Alerting
import Clinical
import Testing

@testable import WebApp

@Suite struct ChartTests {
    private static let now = MemoryDesk.now

    private func reading(
        _ number: Int, _ value: Double, suspect: Bool = false, wrong: Bool = false, typed: Bool = false
    ) -> ChartReading {
        ChartReading(
            key: ReportKey(device: MemoryDesk.identifier("dev-1"), report: MemoryDesk.identifier("r\(number)")),
            place: 0, kind: .spo2, value: value, code: nil, valueSent: value, unitSent: "%",
            takenAt: Self.now - .days(90) + .seconds(Int64(number) * 380),
            receivedAt: Self.now - .days(90)
                + .seconds(Int64(number) * 380), isSuspect: suspect, correction: wrong ? "x" : nil,
            typed: typed ? "cm-01" : nil)
    }

    private func chart(_ readings: [ChartReading], spans: [Chart.Span]? = nil) -> Chart {
        let plan = Plan(profile: PatientProfile(), packs: PackLibrary([]))
        return Chart(
            kind: .spo2, readings: readings,
            spans: spans ?? [Chart.Span(from: Self.now - .days(90), until: Self.now, plan: plan)], marks: [],
            start: Self.now - .days(90), time: PageTime(now: Self.now, timeZone: "Europe/London"))
    }

    @Test func manyReadingsAreFewPointsAndNoneThatMattersIsHidden() {
        var readings = (0..<20_000).map { reading($0, 94 + Double($0 % 4)) }
        readings[7_001].value = 61
        readings[7_003] = reading(7_003, 95, suspect: true)
        readings[7_005] = reading(7_005, 95, wrong: true)
        readings[7_007] = reading(7_007, 95, typed: true)
        let drawn = chart(readings).drawn
        #expect(drawn.count < 2_000)
        for place in [7_001, 7_003, 7_005, 7_007] { #expect(drawn.contains(readings[place])) }
        #expect(drawn.map(\.takenAt) == drawn.map(\.takenAt).sorted())
        #expect(chart(readings).part.text.utf8.count < 1_000_000)
    }

    @Test func fewReadingsAreDrawnAsTheyAre() {
        let readings = (0..<300).map { reading($0, 95) }
        #expect(chart(readings).drawn == readings)
    }

    @Test func bandsAreThoseOfTheirTime() {
        func plan(_ limit: Double) -> Plan {
            let low = [Threshold(severity: .red, limit: Limit(value: limit, inclusive: false))]
            return Plan(profile: PatientProfile(limits: [OwnLimit(kind: .spo2, low: low)]), packs: PackLibrary([]))
        }
        let change = Self.now - .days(45)
        let text = chart(
            [reading(0, 84), reading(20_000, 95)],
            spans: [
                Chart.Span(from: Self.now - .days(90), until: change, plan: plan(85)),
                Chart.Span(from: change, until: Self.now, plan: plan(88)),
            ]
        ).part.text
        #expect(text.contains("red limit 85") && text.contains("red limit 88"))
        // Each over its own half of the chart: 44 to 376 and 376 to 708.
        #expect(text.contains(#"<rect x="44""#) && text.contains(#"<rect x="376""#) && text.contains(#"width="332""#))
    }
}
