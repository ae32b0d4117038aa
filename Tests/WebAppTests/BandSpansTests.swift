import Alerting
import Clinical
import Registry
import Testing

@testable import WebApp

/// Over which stretches of a chart which limits are drawn.
@Suite struct BandSpansTests {
    private static let now = MemoryDesk.now
    private static let start = now - .days(30)

    private static func limit(_ severity: Severity, _ value: Double, _ inclusive: Bool = false) -> BandLimit {
        BandLimit(
            threshold: Threshold(severity: severity, limit: Limit(value: value, inclusive: inclusive)), source: "x")
    }

    /// High limits of SpO2 on oxygen only; of diastolic pressure from eighty on.
    private static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Adult", contentHash: "aa",
            bands: [
                Band(kind: .spo2, side: .low, limits: [limit(.red, 84)]),
                Band(
                    kind: .spo2, side: .high, applicability: Applicability(onOxygen: true),
                    limits: [limit(.amber, 93, true), limit(.red, 97, true)]),
                Band(
                    kind: .diastolic, side: .high, applicability: Applicability(ageBelow: 80),
                    limits: [limit(.red, 120)]),
                Band(
                    kind: .diastolic, side: .high, applicability: Applicability(ageFrom: 80), limits: [limit(.red, 110)]
                ),
            ])
    ])

    private func plan(born: CalendarDate? = nil) -> Plan {
        Plan(profile: PatientProfile(born: born), packs: Self.packs)
    }

    private func reading(_ kind: Kind, _ day: Int64, _ value: Double) -> ChartReading {
        ChartReading(
            key: ReportKey(device: MemoryDesk.identifier("dev-1"), report: MemoryDesk.identifier("r\(day)")), place: 0,
            kind: kind, value: value, code: nil, valueSent: value, unitSent: nil, takenAt: Self.start + .days(day),
            receivedAt: Self.start + .days(day), isSuspect: false, correction: nil)
    }

    /// `from-until oxygen?`, in days.
    private func words(_ spans: [Chart.Span]) -> [String] {
        spans.map { span in
            func day(_ instant: Instant) -> Int64 {
                (instant - Self.start).microseconds / Interval.days(1).microseconds
            }
            return "\(day(span.from))-\(day(span.until))\(span.onOxygen ? " oxygen" : "")"
        }
    }

    private func spans(_ kind: Kind, _ readings: [ChartReading], _ past: [PastPlan] = [], _ plan: Plan? = nil)
        -> [String]
    {
        words(BandSpans.of(kind, past, now: plan ?? self.plan(), readings, from: Self.start, until: Self.now))
    }

    @Test func limitsThatAskForOxygenAreDrawnWhereThereWasSome() {
        let air = [reading(.spo2, 3, 97), reading(.spo2, 9, 96)]
        #expect(spans(.spo2, air) == ["0-30"])
        let nasal = [reading(.oxygen, 9, 2), reading(.oxygen, 12, 0), reading(.spo2, 12, 95)]
        #expect(spans(.spo2, air + nasal) == ["0-9", "9-12 oxygen", "12-30"], "0 l/min is air")
        #expect(spans(.spo2, [reading(.oxygen, 3, 2), reading(.spo2, 3, 92)]) == ["0-30 oxygen"], "as at the first")
        // What says nothing of oxygen is judged as on air.
        #expect(
            spans(.spo2, air + [reading(.oxygen, 9, 2), reading(.spo2, 10, 92)]) == ["0-9", "9-10 oxygen", "10-30"])
        #expect(spans(.diastolic, [reading(.diastolic, 9, 80), reading(.oxygen, 9, 2)]) == ["0-30"])
        let text = Chart(
            kind: .spo2, readings: air,
            spans: BandSpans.of(.spo2, [], now: plan(), air, from: Self.start, until: Self.now), marks: [],
            start: Self.start, time: PageTime(now: Self.now, timeZone: "Europe/London")
        ).part.text
        #expect(!text.contains("limit 97") && !text.contains("limit 93"), "a good 97 % on air lies in no band")
    }

    @Test func limitsOfAnAgeBeginOnTheBirthday() throws {
        // MemoryDesk's now is 23 November 2026.
        let born = try #require(CalendarDate(year: 1946, month: 11, day: 10))
        let found = BandSpans.of(.diastolic, [], now: plan(born: born), [], from: Self.start, until: Self.now)
        #expect(words(found) == ["0-16", "16-30"])
        #expect(found.map { $0.limits(.diastolic, .high).map(\.threshold.limit.value) } == [[120], [110]])
        let young = try #require(CalendarDate(year: 1980, month: 11, day: 10))
        #expect(spans(.diastolic, [], [], plan(born: young)) == ["0-30"])
    }

    @Test func eachPlanHoldsForItsTime() {
        let past = [
            PastPlan(from: Self.start - .days(9), plan: plan()), PastPlan(from: Self.start + .days(4), plan: plan()),
        ]
        #expect(spans(.pulse, [], past) == ["0-4", "4-30"])
        #expect(
            spans(.spo2, [reading(.spo2, 2, 92), reading(.oxygen, 2, 1), reading(.spo2, 6, 95)], past) == [
                "0-4 oxygen", "4-6 oxygen", "6-30",
            ])
        #expect(spans(.pulse, [], [PastPlan(from: Self.start + .days(4), plan: plan())]) == ["4-30"], "enrolled then")
    }

    @Test func theTableSaysWhenALimitHolds() {
        func words(_ kind: Kind, _ side: Side, _ severity: Severity, _ plan: Plan) -> String {
            LimitsInForce.words(plan, kind, side, severity, at: Self.now)
        }
        #expect(words(.spo2, .high, .red, plan()) == "≥ 97 on oxygen")
        #expect(words(.spo2, .low, .red, plan()) == "< 84")
        let young = CalendarDate(year: 1980, month: 1, day: 1)
        #expect(words(.diastolic, .high, .red, plan(born: young)) == "> 120")
    }

    // MARK: Marks

    @Test(
        arguments: [
            (#"{"rule":"spo2-low","kind":"spo2","limit":{"severity":"red","value":84}}"#, [.spo2]),
            (#"{"rule":"home-mean","limit":{"kind":"systolic"},"readings":[{"kind":"systolic"}]}"#, [.systolic]),
            (#"{"score":{"name":"news2","parts":{"pulse":0},"values":{"pulse":70,"spo2":91}}}"#, [.pulse, .spo2]),
            (#"{"missed":[{"kinds":["weight","pulse"]}]}"#, [.weight, .pulse]),
            (#"{"questions":["breathless"]}"#, []), (#"{"kind":"oops"}"#, []), ("{", []), ("", []),
        ] as [(String, Set<Kind>)])
    func anAlertIsMarkedOnWhatItWasJudgedFrom(explanation: String, kinds: Set<Kind>) {
        var file = MemoryDesk.file("x", .patient(MemoryDesk.identifier("P0001")))
        file.events[0].explanation = explanation
        #expect(AlertInputs.kinds(of: file) == kinds)
    }

    @Test(arguments: [(142.0, "142"), (7.25, "7.25"), (-0.5, "-0.5"), (1e300, "1e+300")])
    func whatWasSentHasNoDigitMore(value: Double, words: String) { #expect(Signs.sent(value) == words) }
}
