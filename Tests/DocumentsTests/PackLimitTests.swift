import Clinical
import Documents
import Testing

/// Every limit of every shipped pack, one step inside and one outside, in each unit that the kind takes. Written by
/// hand from the clinical facts, not from the packs.
@Suite struct PackLimitTests {
    struct Row: Sendable, CustomTestStringConvertible {
        var pack: String
        var rule: String
        var kind: Kind
        var unit: UCUMUnit?
        /// Value, what it is by itself, and what it is after another such reading an hour before.
        var steps: [(value: Double, alone: Severity?, again: Severity?)]
        var scale = 1
        var oxygen: Double?
        var target = 2.0...3.0
        var testDescription: String { "\(pack) \(rule) \(unit?.code ?? "code") scale \(scale)" }

        init(
            _ pack: String, _ rule: String, _ kind: Kind, _ unit: UCUMUnit?, scale: Int = 1, oxygen: Double? = nil,
            target: ClosedRange<Double> = 2...3, _ steps: [(Double, Severity?)]
        ) {
            (self.pack, self.rule, self.kind, self.unit) = (pack, rule, kind, unit)
            (self.scale, self.oxygen, self.target) = (scale, oxygen, target)
            self.steps = steps.map { ($0.0, $0.1, $0.1) }
        }

        init(
            _ pack: String, _ rule: String, _ kind: Kind, _ unit: UCUMUnit?,
            twice steps: [(Double, Severity?, Severity?)]
        ) {
            (self.pack, self.rule, self.kind, self.unit) = (pack, rule, kind, unit)
            self.steps = steps.map { ($0.0, $0.1, $0.2) }
        }
    }

    static let saturation: [Row] = [
        Row(
            "adult", "spo2-low", .spo2, .percent,
            [(91, .red), (92, .red), (93, .amber), (94, .amber), (95, nil), (96, nil)]),
        Row(
            "adult", "spo2-low", .spo2, .percent, scale: 2,
            [(84, .red), (85, .red), (86, .amber), (87, .amber), (88, nil), (92, nil)]),
        Row(
            "adult", "spo2-high", .spo2, .percent, scale: 2, oxygen: 2,
            [(92, nil), (93, .amber), (96, .amber), (97, .red), (100, .red)]),
        Row("adult", "spo2-high", .spo2, .percent, scale: 2, oxygen: 0, [(93, .info), (100, .info)]),
        Row("adult", "spo2-high", .spo2, .percent, scale: 2, [(93, .info), (100, .info)]),
        // No condition moves it.
        Row("copd", "spo2-low", .spo2, .percent, [(92, .red), (93, .amber), (95, nil)]),
        Row("heart-failure", "spo2-low", .spo2, .percent, [(92, .red), (93, .amber), (95, nil)]),
    ]

    static let adult: [Row] = [
        Row("adult", "respiratory-rate-low", .respiratoryRate, .perMinute, [(8, .red), (9, nil)]),
        Row("adult", "respiratory-rate-low", .respiratoryRate, .breathsPerMinute, [(8, .red), (9, nil)]),
        Row("adult", "respiratory-rate-high", .respiratoryRate, .perMinute, [(24, nil), (25, .red)]),
        Row("adult", "respiratory-rate-high", .respiratoryRate, .breathsPerMinute, [(24, nil), (25, .red)]),
        Row("adult", "pulse-low", .pulse, .perMinute, [(40, .red), (41, nil)]),
        Row("adult", "pulse-low", .pulse, .beatsPerMinute, [(40, .red), (41, nil)]),
        Row("adult", "pulse-high", .pulse, .perMinute, [(130, nil), (131, .red)]),
        Row("adult", "pulse-high", .pulse, .beatsPerMinute, [(130, nil), (131, .red)]),
        Row("adult", "systolic-low", .systolic, .millimetresOfMercury, [(90, .red), (91, nil)]),
        // 12.06 kPa is 90.46 mmHg, 12.07 is 90.53.
        Row("adult", "systolic-low", .systolic, .kilopascal, [(12.06, .red), (12.07, nil)]),
        Row("adult", "systolic-high", .systolic, .millimetresOfMercury, [(219, nil), (220, .red)]),
        // 29.26 kPa is 219.47 mmHg, 29.27 is 219.54.
        Row("adult", "systolic-high", .systolic, .kilopascal, [(29.26, nil), (29.27, .red)]),
        Row("adult", "temperature-low", .temperature, .celsius, [(35.0, .amber), (35.1, nil)]),
        // 95.0 degF is 35.0 Cel; 95.1 is 35.06, which the chart calls 35.1.
        Row("adult", "temperature-low", .temperature, .fahrenheit, [(95.0, .amber), (95.1, nil)]),
        Row("adult", "temperature-high", .temperature, .celsius, [(39.0, nil), (39.1, .amber), (41, .amber)]),
        // 102.2 degF is 39.0 Cel, 102.3 is 39.06.
        Row("adult", "temperature-high", .temperature, .fahrenheit, [(102.2, nil), (102.3, .amber)]),
        Row("adult", "glucose-low", .glucose, .millimolesPerLitre, [(1.2, nil)]),
    ]

    static let copd: [Row] = [
        Row("copd", "pulse-low", .pulse, .perMinute, [(40, .red), (41, .amber), (50, .amber), (51, nil)]),
        Row("copd", "pulse-low", .pulse, .beatsPerMinute, [(40, .red), (41, .amber), (50, .amber), (51, nil)]),
        Row("copd", "pulse-high", .pulse, .perMinute, [(110, nil), (111, .amber), (130, .amber), (131, .red)]),
        Row("copd", "pulse-high", .pulse, .beatsPerMinute, [(110, nil), (111, .amber), (130, .amber), (131, .red)]),
        Row("copd", "respiratory-rate-low", .respiratoryRate, .perMinute, [(8, .red), (9, nil)]),
        Row("copd", "respiratory-rate-low", .respiratoryRate, .breathsPerMinute, [(8, .red), (9, nil)]),
        Row(
            "copd", "respiratory-rate-high", .respiratoryRate, .perMinute,
            [(20, nil), (21, .amber), (24, .amber), (25, .red)]),
        Row(
            "copd", "respiratory-rate-high", .respiratoryRate, .breathsPerMinute,
            [(20, nil), (21, .amber), (24, .amber), (25, .red)]),
        Row("copd", "temperature-low", .temperature, .celsius, [(35.0, .red), (35.1, nil)]),
        Row("copd", "temperature-low", .temperature, .fahrenheit, [(95.0, .red), (95.1, nil)]),
        Row(
            "copd", "temperature-high", .temperature, .celsius,
            [(38.0, nil), (38.1, .amber), (39.0, .amber), (39.1, .red)]),
        Row(
            "copd", "temperature-high", .temperature, .fahrenheit,
            [(100.4, nil), (100.5, .amber), (102.2, .amber), (102.3, .red)]),
    ]

    static let heartFailure: [Row] = [
        Row(
            "heart-failure", "systolic-low", .systolic, .millimetresOfMercury,
            [(79, .red), (80, .amber), (89, .amber), (90, nil)]),
        // 10.59 kPa is 79.43 mmHg, 10.60 is 79.51; 11.93 is 89.48, 11.94 is 89.56.
        Row(
            "heart-failure", "systolic-low", .systolic, .kilopascal,
            [(10.59, .red), (10.60, .amber), (11.93, .amber), (11.94, nil)]),
        Row(
            "heart-failure", "systolic-high", .systolic, .millimetresOfMercury,
            twice: [
                (160, nil, nil), (161, .amber, .amber), (170, .amber, .amber), (171, .amber, .red),
                (219, .amber, .red), (220, .red, .red),
            ]),
        // 21.39 kPa is 160.44 mmHg, 21.40 is 160.51; 22.73 is 170.49, 22.74 is 170.56.
        Row(
            "heart-failure", "systolic-high", .systolic, .kilopascal,
            twice: [
                (21.39, nil, nil), (21.40, .amber, .amber), (22.73, .amber, .amber), (22.74, .amber, .red),
                (29.26, .amber, .red), (29.27, .red, .red),
            ]),
        Row("heart-failure", "pulse-low", .pulse, .perMinute, [(39, .red), (40, .amber), (49, .amber), (50, nil)]),
        Row(
            "heart-failure", "pulse-low", .pulse, .beatsPerMinute, [(39, .red), (40, .amber), (49, .amber), (50, nil)]),
        Row(
            "heart-failure", "pulse-high", .pulse, .perMinute,
            twice: [
                (100, nil, nil), (101, .amber, .amber), (110, .amber, .amber), (111, .amber, .red),
                (130, .amber, .red), (131, .red, .red),
            ]),
        Row(
            "heart-failure", "pulse-high", .pulse, .beatsPerMinute,
            twice: [
                (100, nil, nil), (101, .amber, .amber), (110, .amber, .amber), (111, .amber, .red),
                (130, .amber, .red), (131, .red, .red),
            ]),
    ]

    static let hypertension: [Row] = [
        Row(
            "hypertension", "systolic-low", .systolic, .millimetresOfMercury,
            [(90, .red), (91, .amber), (99, .amber), (100, nil)]),
        // 13.26 kPa is 99.46 mmHg, 13.27 is 99.53.
        Row(
            "hypertension", "systolic-low", .systolic, .kilopascal,
            [(12.06, .red), (12.07, .amber), (13.26, .amber), (13.27, nil)]),
        Row(
            "hypertension", "systolic-high", .systolic, .millimetresOfMercury,
            twice: [(170, nil, nil), (171, .amber, .red), (219, .amber, .red), (220, .red, .red)]),
        Row(
            "hypertension", "systolic-high", .systolic, .kilopascal,
            twice: [(22.73, nil, nil), (22.74, .amber, .red), (29.26, .amber, .red), (29.27, .red, .red)]),
        Row(
            "hypertension", "diastolic-high", .diastolic, .millimetresOfMercury,
            twice: [(115, nil, nil), (116, .amber, .red), (129, .amber, .red), (130, .red, .red)]),
        // Diastolic is no parameter of NEWS2 and is not rounded: 15.33 kPa is 114.98 mmHg, 15.34 is 115.06; 17.33 is
        // 129.99, 17.34 is 130.06.
        Row(
            "hypertension", "diastolic-high", .diastolic, .kilopascal,
            twice: [(15.33, nil, nil), (15.34, .amber, .red), (17.33, .amber, .red), (17.34, .red, .red)]),
    ]

    static let diabetes: [Row] = [
        Row(
            "diabetes", "glucose-low", .glucose, .millimolesPerLitre,
            [(2.9, .red), (3.0, .amber), (3.8, .amber), (3.9, nil)]),
        Row(
            "diabetes", "glucose-low", .glucose, .milligramsPerDecilitre,
            [(53, .red), (54, .amber), (69, .amber), (70, nil)]),
        Row(
            "diabetes", "glucose-high", .glucose, .millimolesPerLitre,
            twice: [(13.9, nil, nil), (14.0, nil, .amber), (20.0, nil, .amber), (20.1, .red, .red)]),
        Row(
            "diabetes", "glucose-high", .glucose, .milligramsPerDecilitre,
            twice: [(250, nil, nil), (251, nil, .amber), (360, nil, .amber), (361, .red, .red)]),
        Row(
            "diabetes", "ketones-high", .ketones, .millimolesPerLitre,
            [(0.5, nil), (0.6, .amber), (1.5, .amber), (1.6, .red)]),
    ]

    /// With a personal best of 400 L/min and, where it is switched on, an INR target of 2 to 3.
    static let measured: [Row] = [
        Row(
            "asthma", "peak-flow-low", .peakFlow, .litresPerMinute,
            [(199, .red), (200, .amber), (319, .amber), (320, nil)]),
        Row(
            "asthma", "peak-flow-low", .peakFlow, .litresPerSecond,
            [(3.3, .red), (3.4, .amber), (5.3, .amber), (5.4, nil)]),
        Row("anticoagulation", "inr-low", .inr, nil, [(1.4, .info)]),
    ]

    static let anticoagulation: [Row] = [
        Row("anticoagulation", "inr-low", .inr, .internationalNormalizedRatio, [(1.4, .red), (1.5, nil)]),
        Row("anticoagulation", "inr-low", .inr, .one, [(1.4, .red), (1.5, nil)]),
        Row(
            "anticoagulation", "inr-high", .inr, .internationalNormalizedRatio,
            [(3.5, nil), (3.6, .amber), (5.0, .amber), (5.1, .red)]),
        Row("anticoagulation", "inr-high", .inr, nil, [(3.5, nil), (3.6, .amber), (5.0, .amber), (5.1, .red)]),
        Row("anticoagulation", "inr-high", .inr, .one, [(3.5, nil), (3.6, .amber), (5.0, .amber), (5.1, .red)]),
        // With a target of 2 to 3 the amber below it coincides with the red; with 2.5 to 3.5 both are seen.
        Row(
            "anticoagulation", "inr-low", .inr, .one, target: 2.5...3.5,
            [(1.4, .red), (1.5, .amber), (1.9, .amber), (2.0, nil)]),
        Row(
            "anticoagulation", "inr-low", .inr, .internationalNormalizedRatio, target: 2.5...3.5,
            [(1.4, .red), (1.5, .amber), (1.9, .amber), (2.0, nil)]),
        Row(
            "anticoagulation", "inr-high", .inr, nil, target: 2.5...3.5,
            [(4.0, nil), (4.1, .amber), (5.0, .amber), (5.1, .red)]),
    ]

    static let library = BuiltInPacks.library()

    @Test(arguments: saturation + adult + copd + heartFailure + hypertension + diabetes + measured)
    func shipped(row: Row) { check(row, Self.library) }

    /// Shipped disabled; here switched on by hand.
    @Test(arguments: anticoagulation) func onceEnabled(row: Row) {
        let packs = Self.library.packs.map { pack in
            var pack = pack
            pack.isEnabled = true
            return pack
        }
        check(row, PackLibrary(packs))
    }

    private func check(_ row: Row, _ library: PackLibrary) {
        let profile = PatientProfile(
            news2Scale: row.scale, conditions: [row.pack], baselines: [.peakFlow: 400],
            inrTarget: row.target)
        let plan = Plan(profile: profile, packs: library)
        #expect(plan.problems.isEmpty)
        for step in row.steps {
            #expect(level(row, step.value, plan, repeated: false) == step.alone, "\(step.value) alone")
            #expect(level(row, step.value, plan, repeated: true) == step.again, "\(step.value) again")
        }
    }

    /// What the rule says; `info` where it says nothing.
    private func level(_ row: Row, _ value: Double, _ plan: Plan, repeated: Bool) -> Severity? {
        let taken = Instant(microseconds: 1_795_421_700_000_000)
        let canonical = row.unit.flatMap { row.kind.canonical(value, sentIn: $0) } ?? value
        func key(_ id: String) -> ReportKey {
            ReportKey(device: Identifier("dev-1")!, report: Identifier(id, grammar: .report)!)
        }
        var readings = [
            Reading(index: 0, kind: row.kind, value: canonical, sentValue: value, sentUnit: row.unit)
        ]
        if let oxygen = row.oxygen {
            readings.append(
                Reading(index: 1, kind: .oxygen, value: oxygen, sentValue: oxygen, sentUnit: .litresPerMinute))
        }
        let report = JudgedReport(key: key("r2"), takenAt: taken, receivedAt: taken, readings: readings)
        var history = PatientHistory()
        if repeated {
            history.add(
                PastReading(
                    key: key("r1"), index: 0, kind: row.kind, value: canonical, sentValue: value, sentUnit: row.unit,
                    takenAt: taken - .hours(1)))
        }
        let verdict = judge(report, plan: plan, history: history)
        guard let found = verdict.assessments.first(where: { $0.rule == row.rule }) else { return .info }
        return found.level
    }

    // MARK: - NEWS2

    /// Royal College of Physicians, NEWS2 (2017), chart 1: each edge of each parameter with its score. What scores 3 is
    /// red in the adult pack (SpO2 apart, which has limits of its own, and temperature, which is amber), and nothing
    /// else is red.
    @Test(
        arguments: [
            (Kind.respiratoryRate, [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)]),
            (.systolic, [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)]),
            (
                .pulse,
                [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3)]
            ),
            (.consciousness, [(0, 0), (1, 3), (2, 3), (3, 3), (4, 3)]),
        ] as [(Kind, [(Double, Int)])])
    func news2(kind: Kind, edges: [(Double, Int)]) {
        let plan = Plan(profile: PatientProfile(), packs: Self.library)
        for (value, score) in edges {
            let reading = Reading(
                index: 0, kind: kind, value: value, code: kind.isCoded ? kind.codes[Int(value)] : nil,
                sentValue: value, sentUnit: kind.canonicalUnit)
            let reds = immediateReds(
                in: [reading], at: Instant(microseconds: 1_795_421_700_000_000), plan: plan)
            #expect(reds.isEmpty == (score < 3), "\(kind.code) \(value)")
        }
    }

    /// Temperature: 3 at 35.0 and 2 at 39.1 are the adult pack's ambers.
    @Test(arguments: [(35.0, true), (35.1, false), (36.0, false), (38.0, false), (39.0, false), (39.1, true)])
    func news2Temperature(value: Double, isAmber: Bool) {
        let plan = Plan(profile: PatientProfile(), packs: Self.library)
        let taken = Instant(microseconds: 1_795_421_700_000_000)
        let report = JudgedReport(
            key: ReportKey(device: Identifier("d")!, report: Identifier("r")!), takenAt: taken, receivedAt: taken,
            readings: [Reading(index: 0, kind: .temperature, value: value, sentValue: value, sentUnit: .celsius)])
        let levels = judge(report, plan: plan).assessments.compactMap(\.level)
        #expect(levels == (isAmber ? [.amber] : []))
    }

    /// No band of a shipped pack is left out above, in none of the units that its kind takes.
    @Test func everyBandHasItsRowInEachUnit() {
        let rows =
            Self.saturation + Self.adult + Self.copd + Self.heartFailure + Self.hypertension + Self.diabetes
            + Self.measured + Self.anticoagulation
        for pack in Self.library.packs {
            // Codes have no unit: they stand under NEWS2 below.
            for band in pack.bands where !band.kind.isCoded {
                let rule = Band.rule(band.kind, band.side)
                let severities = Set(band.limits.map(\.threshold.severity))
                for unit in UCUMUnit.allCases where band.kind.takes(unit) {
                    let steps = rows.filter {
                        $0.pack == pack.code && $0.rule == rule && $0.unit == unit
                            && $0.scale == band.applicability.news2Scale ?? $0.scale
                    }.flatMap(\.steps)
                    let levels = Set(steps.flatMap { [$0.alone, $0.again] }.compactMap(\.self))
                    #expect(levels.isSuperset(of: severities), "\(pack.code) \(rule) in \(unit.code)")
                    #expect(steps.contains { $0.again == nil }, "\(pack.code) \(rule) in \(unit.code)")
                }
            }
        }
    }

    /// What a glucose meter can't measure any more is red at once, in every plan and either unit.
    @Test(arguments: library.packs.map(\.code)) func aMetersLOAndHIAreRedAtOnce(pack: String) {
        let plan = Plan(
            profile: PatientProfile(conditions: [pack], baselines: [.peakFlow: 400], inrTarget: 2...3),
            packs: Self.library)
        let taken = Instant(microseconds: 1_795_421_700_000_000)
        let beyond: [(ReadingFlags, Double, UCUMUnit)] = [
            (.outOfRangeLow, 1.1, .millimolesPerLitre), (.outOfRangeLow, 20, .milligramsPerDecilitre),
            (.outOfRangeHigh, 33.3, .millimolesPerLitre), (.outOfRangeHigh, 600, .milligramsPerDecilitre),
        ]
        for (flag, value, unit) in beyond {
            let reading = Reading(
                index: 0, kind: .glucose, value: Kind.glucose.canonical(value, sentIn: unit) ?? value,
                sentValue: value, sentUnit: unit, flags: flag)
            let reds = immediateReds(in: [reading], at: taken, plan: plan).map(\.rule)
            #expect(reds == [flag == .outOfRangeLow ? "glucose-low" : "glucose-high"], "\(value)")
        }
    }

    /// The marks ‡ of the clinical facts: exactly these shipped reds are immediate.
    @Test func immediateLimits() {
        var found: Set<String> = []
        for pack in Self.library.packs {
            for band in pack.bands {
                for limit in band.limits where limit.threshold.immediate {
                    let scale = band.applicability.news2Scale.map { " scale \($0)" } ?? ""
                    let number = limit.threshold.limit.value
                    found.insert("\(pack.code) \(Band.rule(band.kind, band.side)) \(number)\(scale)")
                }
            }
        }
        #expect(
            found == [
                "adult spo2-low 92.0 scale 1", "adult spo2-low 85.0 scale 2", "adult spo2-high 97.0 scale 2",
                "adult respiratory-rate-low 8.0", "adult respiratory-rate-high 25.0", "adult pulse-low 40.0",
                "adult pulse-high 131.0", "adult systolic-low 90.0", "adult systolic-high 220.0",
                "adult consciousness-high 1.0", "copd pulse-low 40.0", "copd pulse-high 131.0",
                "copd respiratory-rate-high 25.0", "heart-failure systolic-low 80.0",
                "heart-failure systolic-high 220.0", "heart-failure pulse-low 40.0", "heart-failure pulse-high 131.0",
                "hypertension systolic-low 90.0", "hypertension systolic-high 220.0",
                "hypertension diastolic-high 130.0", "diabetes glucose-low 3.0", "diabetes ketones-high 1.5",
                "diabetes ketones-high 3.0",
            ])
    }

    /// Every pair of conditions on either scale leaves something in range.
    @Test func packsFitTogether() {
        let codes = Self.library.packs.map(\.code)
        for first in codes {
            for second in codes {
                for scale in [1, 2] {
                    let profile = PatientProfile(
                        news2Scale: scale, conditions: [first, second], baselines: [.peakFlow: 400],
                        inrTarget: 2...3)
                    #expect(Plan.problems(of: profile, packs: Self.library) == [], "\(first) \(second) \(scale)")
                }
            }
        }
    }
}
