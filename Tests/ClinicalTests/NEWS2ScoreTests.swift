import Clinical
import Testing

/// Every edge of every band with its score. Reproduced from: Royal College of Physicians, National Early Warning Score
/// (NEWS) 2: Standardising the assessment of acute-illness severity in the NHS, updated report of a working party,
/// London 2017, charts 1 and 4; the College allows reuse with this acknowledgement.
@Suite struct NEWS2ScoreTests {
    private static let edges: [(parameter: NEWS2Parameter, edges: [(Double, Int)])] = [
        (.respiratoryRate, [(8, 3), (9, 1), (11, 1), (12, 0), (20, 0), (21, 2), (24, 2), (25, 3)]),
        (.spo2, [(91, 3), (92, 2), (93, 2), (94, 1), (95, 1), (96, 0), (100, 0)]),
        (.systolic, [(90, 3), (91, 2), (100, 2), (101, 1), (110, 1), (111, 0), (219, 0), (220, 3)]),
        (.pulse, [(40, 3), (41, 1), (50, 1), (51, 0), (90, 0), (91, 1), (110, 1), (111, 2), (130, 2), (131, 3)]),
        (.temperature, [(35.0, 3), (35.1, 1), (36.0, 1), (36.1, 0), (38.0, 0), (38.1, 1), (39.0, 1), (39.1, 2)]),
        (.consciousness, [(0, 0), (1, 3), (2, 3), (3, 3), (4, 3)]),
        (.oxygen, [(0, 0), (0.5, 2), (2, 2)]),
    ]

    private static let scale2: [(oxygen: Double, edges: [(Double, Int)])] = [
        (0, [(83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 0), (100, 0)]),
        (
            2,
            [
                (83, 3), (84, 2), (85, 2), (86, 1), (87, 1), (88, 0), (92, 0), (93, 1), (94, 1), (95, 2), (96, 2),
                (97, 3), (100, 3),
            ]
        ),
    ]

    /// Everything at 0.
    private static let well: [NEWS2Parameter: Double] = [
        .respiratoryRate: 16, .spo2: 97, .oxygen: 0, .systolic: 120, .pulse: 70, .consciousness: 0, .temperature: 37,
    ]

    @Test func everyEdge() {
        for (parameter, edges) in Self.edges {
            for (value, score) in edges {
                var values = Self.well
                values[parameter] = value
                let scored = NEWS2Score(scale: 1, values: values)
                #expect(scored.total == score && scored.highestSingle == score, "\(parameter.rawValue) \(value)")
                #expect(scored.parts.first { $0.parameter == parameter }?.score == score)
            }
        }
    }

    @Test func everyEdgeOfScale2() {
        for (oxygen, edges) in Self.scale2 {
            for (value, score) in edges {
                var values = Self.well
                values[.spo2] = value
                values[.oxygen] = oxygen
                let scored = NEWS2Score(scale: 2, values: values)
                #expect(scored.total == score + (oxygen > 0 ? 2 : 0), "\(value) on \(oxygen) L/min")
            }
        }
    }

    /// Half away from zero, at the chart's resolution, before anything is compared.
    @Test(
        arguments: [
            (.temperature, 38.04, 0), (.temperature, 38.05, 1), (.temperature, 35.04, 3), (.temperature, 35.05, 1),
            (.spo2, 91.49, 3), (.spo2, 91.5, 2), (.respiratoryRate, 24.5, 3), (.respiratoryRate, 24.4, 2),
            (.pulse, 130.5, 3), (.pulse, 130.4, 2), (.systolic, 90.4, 3), (.systolic, 90.5, 2),
        ] as [(NEWS2Parameter, Double, Int)])
    func roundedToTheChart(parameter: NEWS2Parameter, value: Double, score: Int) {
        #expect(NEWS2Score(scale: 1, values: [parameter: value]).highestSingle == score)
    }

    @Test func aPartialScoreHasNoTotal() {
        for parameter in NEWS2Parameter.allCases {
            var values = Self.well
            values[parameter] = nil
            let score = NEWS2Score(scale: 1, values: values)
            #expect(score.total == nil && score.trigger == nil && !score.isComplete && score.missing == [parameter])
        }
        #expect(NEWS2Score(scale: 1, values: [:]).highestSingle == 0)
        // On scale 2 nobody can say what 95 % is worth without knowing of oxygen; below 93 it makes no difference.
        #expect(NEWS2Score(scale: 2, values: [.spo2: 95]).parts.map(\.score) == [nil])
        #expect(NEWS2Score(scale: 2, values: [.spo2: 85]).parts.map(\.score) == [2])
    }

    @Test(
        arguments: [
            ([:], 0, .low), ([.respiratoryRate: 21, .pulse: 111], 4, .low),
            ([.respiratoryRate: 25], 3, .lowMedium), ([.respiratoryRate: 25, .pulse: 91], 4, .lowMedium),
            ([.respiratoryRate: 25, .pulse: 111], 5, .medium), ([.respiratoryRate: 25, .systolic: 90], 6, .medium),
            ([.respiratoryRate: 25, .systolic: 90, .pulse: 91], 7, .high),
            (
                [
                    .respiratoryRate: 30, .spo2: 85, .oxygen: 4, .systolic: 80, .pulse: 140, .consciousness: 2,
                    .temperature: 35,
                ], 20, .high
            ),
        ] as [([NEWS2Parameter: Double], Int, NEWS2Trigger)])
    func triggers(values: [NEWS2Parameter: Double], total: Int, trigger: NEWS2Trigger) {
        let score = NEWS2Score(scale: 1, values: Self.well.merging(values) { $1 })
        #expect(score.total == total && score.trigger == trigger)
    }

    // MARK: - Gathered from reports

    private func code(_ rank: Double) -> Reading {
        Reading(
            index: 9, kind: .consciousness, value: rank, code: ["A", "C"][Int(rank)], sentValue: rank, sentUnit: nil)
    }

    private var others: [PastReading] {
        [
            past("a", .systolic, 120, at: monday - .minutes(15)), past("d", .respiratoryRate, 16, at: monday),
            past("b", .oxygen, 0, at: monday - .minutes(3)),
            past("b", .temperature, 37, at: monday - .minutes(3), index: 1),
            past("b", .consciousness, 0, at: monday - .minutes(3), index: 2),
        ]
    }

    @Test func fromTheReadingsOfTheWindow() throws {
        let now = report("z", [reading(.spo2, 91), reading(.pulse, 95, index: 1)])
        let score = try #require(plan().news2Score(of: now, history: PatientHistory(readings: others)))
        #expect(score.total == 4 && score.trigger == .lowMedium)
        // One second too old, or later than the report.
        for moved in [monday - .minutes(15) - .seconds(1), monday + .seconds(1)] {
            var readings = others
            readings[0].takenAt = moved
            let score = try #require(plan().news2Score(of: now, history: PatientHistory(readings: readings)))
            #expect(score.total == nil && score.missing == [.systolic])
        }
        // The report's own reading stands, then the latest.
        let more =
            others + [
                past("c", .spo2, 80, at: monday - .minutes(1)),
                past("c", .systolic, 85, at: monday - .minutes(1), index: 1),
            ]
        #expect(plan().news2Score(of: now, history: PatientHistory(readings: more))?.total == 7)
        let weight = report("z", [reading(.weight, 80)])
        #expect(plan().news2Score(of: weight, history: PatientHistory(readings: more)) == nil)
    }

    @Test func whatIsMissingIsAskedFor() {
        let all: [Kind] = [.respiratoryRate, .spo2, .oxygen, .systolic, .pulse, .temperature]
        let readings = all.enumerated().map { reading($1, $1 == .temperature ? 37 : 80, index: $0) }
        #expect(
            plan().news2HistoryNeeded(for: report("r", readings))
                == HistoryNeed(kinds: Set(all + [.consciousness]), since: monday - .minutes(15)))
        #expect(plan().news2HistoryNeeded(for: report("r", readings + [code(0)])) == nil)
        #expect(plan().news2HistoryNeeded(for: report("r", [reading(.weight, 80)])) == nil)
    }

    /// Two of a kind in one report: the worse one counts, whatever their order; what a meter could not measure is the
    /// worst.
    @Test func theWorseOfTwoCounts() {
        let pulses = [reading(.pulse, 70), reading(.pulse, 135, index: 1)]
        for readings in [pulses, pulses.reversed()] {
            #expect(plan().news2Score(of: report("r", readings), history: PatientHistory())?.highestSingle == 3)
        }
        let low = reading(.spo2, 96, flags: .outOfRangeLow)
        #expect(plan().news2Score(of: report("r", [low]), history: PatientHistory())?.highestSingle == 3)
    }
}
