import Clinical

/// Seeded, so that a failure can be repeated from the seed that its message shows.
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Small packs of the tests' own: the shipped ones are tested in DocumentsTests against a table.
enum TestPacks {
    static func limit(
        _ severity: Severity, _ value: Double, _ inclusive: Bool, immediate: Bool = false, times: Int = 1,
        within: Interval = .hours(24), reference: LimitReference = .absolute
    ) -> BandLimit {
        BandLimit(
            threshold: Threshold(
                severity: severity, limit: Limit(value: value, inclusive: inclusive), immediate: immediate,
                occurrences: times, within: within),
            reference: reference, source: "a source")
    }

    static let adult = ProtocolPack(
        code: "adult", title: "Adult", contentHash: "aa",
        bands: [
            Band(
                kind: .spo2, side: .low, applicability: Applicability(news2Scale: 1),
                limits: [limit(.amber, 94, true), limit(.red, 92, true, immediate: true)], clearMargin: 1, worseBy: 2),
            Band(
                kind: .spo2, side: .low, applicability: Applicability(news2Scale: 2),
                limits: [limit(.amber, 87, true), limit(.red, 85, true, immediate: true)], clearMargin: 1, worseBy: 2),
            Band(
                kind: .spo2, side: .high, applicability: Applicability(news2Scale: 2, onOxygen: true),
                limits: [limit(.amber, 93, true), limit(.red, 97, true, immediate: true)]),
            Band(kind: .systolic, side: .low, limits: [limit(.red, 90, true, immediate: true)], worseBy: 10),
            Band(kind: .systolic, side: .high, limits: [limit(.red, 220, true, immediate: true)], worseBy: 10),
            Band(kind: .pulse, side: .low, limits: [limit(.red, 40, true, immediate: true)], worseBy: 10),
            Band(
                kind: .pulse, side: .high, limits: [limit(.red, 131, true, immediate: true)], clearMargin: 5,
                worseBy: 10),
            Band(kind: .consciousness, side: .high, limits: [limit(.red, 1, true, immediate: true)]),
            Band(kind: .temperature, side: .high, limits: [limit(.amber, 39.1, true)], clearMargin: 0.2),
        ])

    static let heart = ProtocolPack(
        code: "heart", title: "Heart", contentHash: "bb",
        bands: [
            Band(
                kind: .systolic, side: .low,
                limits: [limit(.amber, 90, false), limit(.red, 80, false, immediate: true)],
                worseBy: 10),
            Band(
                kind: .pulse, side: .high,
                limits: [
                    limit(.amber, 100, false), limit(.red, 131, true, immediate: true),
                    limit(.red, 111, true, times: 2),
                ]),
            // Never heard: SpO2 follows the NEWS2 scale alone.
            Band(kind: .spo2, side: .low, limits: [limit(.red, 99, true, immediate: true)]),
        ])

    static let pressure = ProtocolPack(
        code: "pressure", title: "Pressure", contentHash: "cc",
        bands: [
            Band(
                kind: .systolic, side: .low,
                limits: [limit(.amber, 100, false), limit(.red, 90, true, immediate: true)]),
            Band(
                kind: .diastolic, side: .high, applicability: Applicability(ageFrom: 80),
                limits: [limit(.amber, 115, false)]),
        ])

    static let sugar = ProtocolPack(
        code: "sugar", title: "Sugar", contentHash: "dd",
        bands: [
            Band(
                kind: .glucose, side: .low,
                limits: [
                    pair(.amber, 3.9, 70), pair(.red, 3.0, 54, immediate: true),
                ], clearMargin: 0.3, worseBy: 0.5),
            Band(
                kind: .glucose, side: .high,
                limits: [pair(.amber, 13.9, 250, times: 2), pair(.red, 20, 360)], worseBy: 0.5),
        ])

    static let lungs = ProtocolPack(
        code: "lungs", title: "Lungs", contentHash: "ee",
        bands: [
            Band(
                kind: .peakFlow, side: .low,
                limits: [
                    limit(.amber, 80, false, reference: .percentOfBaseline),
                    limit(.red, 50, false, reference: .percentOfBaseline),
                ])
        ])

    static let clotting = ProtocolPack(
        code: "clotting", title: "Clotting", contentHash: "ff",
        bands: [
            Band(
                kind: .inr, side: .low,
                limits: [limit(.red, 1.5, false), limit(.amber, -0.5, false, reference: .offsetFromTarget)])
        ])

    static let library = PackLibrary([
        adult, heart, pressure, sugar, lungs, clotting,
        ProtocolPack(code: "off", title: "Off", contentHash: "00", isEnabled: false, bands: pressure.bands),
    ])

    private static func pair(
        _ severity: Severity, _ millimoles: Double, _ milligrams: Double, immediate: Bool = false, times: Int = 1
    ) -> BandLimit {
        BandLimit(
            threshold: Threshold(
                severity: severity,
                limit: Limit(value: millimoles, milligramsPerDecilitre: milligrams, inclusive: false),
                immediate: immediate, occurrences: times),
            source: "a source")
    }
}

/// 2026-11-23T08:15:00Z, a Monday; London is on GMT.
let monday = Instant(microseconds: 1_795_421_700_000_000)

func key(_ report: String, device: String = "dev-1") -> ReportKey {
    ReportKey(
        device: Identifier(device) ?? Identifier("d")!, report: Identifier(report, grammar: .report) ?? Identifier("r")!
    )
}

/// A validated reading of the number, as a reader would send it.
func reading(
    _ kind: Kind, _ value: Double, _ unit: UCUMUnit? = nil, flags: ReadingFlags = [], index: Int = 0
) -> Reading {
    let unit = unit ?? (kind.unitRule == .required ? kind.canonicalUnit : nil)
    return Reading(
        index: index, kind: kind, value: unit.flatMap { kind.canonical(value, sentIn: $0) } ?? value,
        sentValue: value, sentUnit: unit, flags: flags)
}

func report(_ id: String, _ readings: [Reading], at taken: Instant = monday, received: Instant? = nil) -> JudgedReport {
    JudgedReport(key: key(id), takenAt: taken, receivedAt: received ?? taken + .seconds(2), readings: readings)
}

func past(_ id: String, _ kind: Kind, _ value: Double, at taken: Instant, index: Int = 0) -> PastReading {
    PastReading(
        key: key(id), index: index, kind: kind, value: value, sentValue: value, sentUnit: kind.canonicalUnit,
        takenAt: taken)
}

func plan(
    _ conditions: [String] = [], scale: Int = 1, limits: [OwnLimit] = [], baselines: [Kind: Double] = [:],
    inr: ClosedRange<Double>? = nil, glucoseLow: Double? = nil, born: CalendarDate? = nil
) -> Plan {
    Plan(
        profile: PatientProfile(
            born: born, news2Scale: scale, conditions: conditions, limits: limits, baselines: baselines,
            inrTarget: inr, siteGlucoseLow: glucoseLow),
        packs: TestPacks.library)
}

/// The level of the one rule, or nil when it is in range; fails to `info` where the rule says nothing at all.
func level(_ verdict: Verdict, _ rule: String) -> Severity? {
    guard let assessment = verdict.assessments.first(where: { $0.rule == rule }) else { return .info }
    return assessment.level
}
