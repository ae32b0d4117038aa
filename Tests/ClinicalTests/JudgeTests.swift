import Clinical
import Testing

@Suite struct JudgeTests {
    private func first(_ verdict: Verdict, _ rule: String) throws -> Assessment {
        try #require(verdict.assessments.first { $0.rule == rule })
    }

    @Test func anAssessmentSaysWhatDecided() throws {
        let verdict = judge(report("r1", [reading(.spo2, 90, .percent)]), plan: plan())
        let red = try first(verdict, "spo2-low")
        #expect(red.level == .red && red.immediate && red.pack == "adult" && red.packHash == "aa")
        #expect(red.worseness == -90 && red.step == 2 && red.source == "a source" && !red.clears)
        #expect(red.limit?.limit.value == 92)
        #expect(level(judge(report("r1", [reading(.pulse, 70)]), plan: plan()), "spo2-low") == .info)
    }

    /// Values are held against NEWS2's limits at the chart's resolution, half away from zero.
    @Test(
        arguments: [
            (Kind.spo2, 92.4, UCUMUnit.percent, "spo2-low", Severity.red), (.spo2, 92.5, .percent, "spo2-low", .amber),
            (.spo2, 94.49, .percent, "spo2-low", .amber), (.spo2, 94.5, .percent, "spo2-low", nil),
            (.temperature, 39.04, .celsius, "temperature-high", nil),
            (.temperature, 39.05, .celsius, "temperature-high", .amber),
            (.temperature, 102.2, .fahrenheit, "temperature-high", nil),
            (.temperature, 102.3, .fahrenheit, "temperature-high", .amber),
            (.systolic, 12, .kilopascal, "systolic-low", .red), (.systolic, 12.1, .kilopascal, "systolic-low", nil),
            (.pulse, 130.5, .beatsPerMinute, "pulse-high", .red),
        ] as [(Kind, Double, UCUMUnit, String, Severity?)])
    func chartResolution(kind: Kind, value: Double, unit: UCUMUnit, rule: String, expected: Severity?) {
        #expect(level(judge(report("r", [reading(kind, value, unit)]), plan: plan()), rule) == expected)
    }

    /// 70 and 54 mg/dL are at the limits and not beyond; converted they would be.
    @Test(
        arguments: [
            (70.0, UCUMUnit.milligramsPerDecilitre, nil), (69.9, .milligramsPerDecilitre, .amber),
            (54, .milligramsPerDecilitre, .amber), (53.9, .milligramsPerDecilitre, .red),
            (3.9, .millimolesPerLitre, nil), (3.89, .millimolesPerLitre, .amber), (3.0, .millimolesPerLitre, .amber),
            (2.99, .millimolesPerLitre, .red),
        ] as [(Double, UCUMUnit, Severity?)])
    func glucoseInTheUnitSent(value: Double, unit: UCUMUnit, expected: Severity?) {
        let verdict = judge(report("r", [reading(.glucose, value, unit)]), plan: plan(["sugar"]))
        #expect(level(verdict, "glucose-low") == expected)
    }

    @Test(arguments: [[], ["sugar"]]) func glucoseBeyondTheMeterIsRedInEveryPlan(conditions: [String]) throws {
        let low = judge(
            report("r", [reading(.glucose, 1.1, flags: .outOfRangeLow)]), plan: plan(conditions))
        let red = try first(low, "glucose-low")
        #expect(red.level == .red && red.immediate && !red.clears && red.worseness == 0)
        #expect(try first(low, "glucose-high").level == nil)
        let high = judge(
            report("r", [reading(.glucose, 600, .milligramsPerDecilitre, flags: .outOfRangeHigh)]),
            plan: plan(conditions))
        #expect(try first(high, "glucose-high").level == .red)
        #expect(try first(high, "glucose-high").immediate)
        #expect(try first(high, "glucose-high").worseness == 55.5)
    }

    @Test func beyondTheMeterIsBeyondEveryLimitOfThatSide() {
        let verdict = judge(report("r", [reading(.spo2, 99, flags: .outOfRangeLow)]), plan: plan())
        #expect(level(verdict, "spo2-low") == .red)
    }

    @Test func consciousness() {
        func judged(_ code: String, _ rank: Double) -> Severity? {
            let reading = Reading(
                index: 0, kind: .consciousness, value: rank, code: code, sentValue: rank, sentUnit: nil)
            return level(judge(report("r", [reading]), plan: plan()), "consciousness-high")
        }
        #expect(judged("A", 0) == nil)
        for (rank, code) in ["C", "V", "P", "U"].enumerated() { #expect(judged(code, Double(rank + 1)) == .red) }
    }

    @Test func oxygenCountsOnlyWhereItWasSent() {
        let scale2 = plan(scale: 2)
        func judged(_ readings: [Reading]) -> Severity? {
            level(judge(report("r", readings), plan: scale2), "spo2-high")
        }
        #expect(judged([reading(.spo2, 97)]) == .info)
        #expect(judged([reading(.spo2, 97), reading(.oxygen, 0, index: 1)]) == .info)
        #expect(judged([reading(.oxygen, 2), reading(.spo2, 97, index: 1)]) == .red)
        #expect(judged([reading(.oxygen, 2), reading(.spo2, 93, index: 1)]) == .amber)
        #expect(judged([reading(.oxygen, 2), reading(.spo2, 92, index: 1)]) == nil)
    }

    @Test func backInRangeWantsTheMargin() throws {
        func clears(_ readings: [Reading]) throws -> Bool {
            try first(judge(report("r", readings), plan: plan()), "spo2-low").clears
        }
        #expect(try !clears([reading(.spo2, 94)]))
        #expect(try !clears([reading(.spo2, 95)]))
        #expect(try clears([reading(.spo2, 96)]))
        #expect(try !clears([reading(.spo2, 96), reading(.spo2, 95, index: 1)]))
        var suspect = reading(.spo2, 97)
        suspect.suspicions = [.deviceFlag]
        #expect(try !clears([suspect]))
    }

    @Test func suspectIsJudgedAtOnce() throws {
        var doubtful = reading(.spo2, 60)
        doubtful.suspicions = [.unusualValue]
        let red = try first(judge(report("r", [doubtful]), plan: plan()), "spo2-low")
        #expect(red.level == .red && red.suspect && red.immediate)
    }

    // MARK: - Twice

    @Test func twiceWantsTwoReportsInARow() throws {
        let heart = plan(["heart"])
        let now = report("b", [reading(.pulse, 115)])
        #expect(level(judge(now, plan: heart), "pulse-high") == .amber)
        func judged(_ past: [PastReading]) -> Severity? {
            level(judge(now, plan: heart, history: PatientHistory(readings: past)), "pulse-high")
        }
        #expect(judged([past("a", .pulse, 111, at: monday - .hours(24))]) == .red)
        #expect(judged([past("a", .pulse, 111, at: monday - .hours(24) - .seconds(1))]) == .amber)
        #expect(judged([past("a", .pulse, 110, at: monday - .hours(1))]) == .amber)
        // A normal one in between breaks the row.
        #expect(
            judged([past("0", .pulse, 120, at: monday - .hours(2)), past("a", .pulse, 90, at: monday - .hours(1))])
                == .amber)
        // Other kinds don't.
        #expect(
            judged([past("0", .pulse, 120, at: monday - .hours(2)), past("a", .spo2, 90, at: monday - .hours(1))])
                == .red)
        // The report itself is no second occasion, nor are two readings of one report.
        #expect(judged([past("b", .pulse, 115, at: monday)]) == .amber)
        let two = report("b", [reading(.pulse, 115), reading(.pulse, 116, index: 1)])
        #expect(level(judge(two, plan: heart), "pulse-high") == .amber)
        let red = try first(
            judge(
                now, plan: heart, history: PatientHistory(readings: [past("a", .pulse, 112, at: monday - .hours(1))])),
            "pulse-high")
        #expect(!red.immediate && red.otherReadings.map(\.value) == [112])
    }

    /// The older of two may come last: the pair is found all the same.
    @Test func twiceByTimeTakenNotByArrival() {
        let history = PatientHistory(readings: [past("b", .pulse, 112, at: monday + .hours(2))])
        let older = report("a", [reading(.pulse, 115)], received: monday + .hours(3))
        #expect(level(judge(older, plan: plan(["heart"]), history: history), "pulse-high") == .red)
    }

    @Test func glucoseTwiceInTwoUnits() {
        var before = past("a", .glucose, 14, at: monday - .hours(2))
        before.sentUnit = .milligramsPerDecilitre
        before.sentValue = 251
        let now = report("b", [reading(.glucose, 14)])
        func judged() -> Severity? {
            level(
                judge(now, plan: plan(["sugar"]), history: PatientHistory(readings: [before])), "glucose-high")
        }
        #expect(judged() == .amber)
        before.sentValue = 250
        #expect(judged() == nil)
    }

    @Test func historyIsAskedForOnlyWhereItMatters() {
        let heart = plan(["heart"])
        #expect(heart.historyNeeded(for: report("r", [reading(.pulse, 110)])) == nil)
        #expect(heart.historyNeeded(for: report("r", [reading(.pulse, 131)])) == nil)
        #expect(
            heart.historyNeeded(for: report("r", [reading(.pulse, 111), reading(.spo2, 80, index: 1)]))
                == HistoryNeed(kinds: [.pulse], since: monday - .hours(24)))
        #expect(plan().historyNeeded(for: report("r", [reading(.pulse, 111)])) == nil)
    }

    // MARK: - Late, and refused

    @Test func lateReports() throws {
        let readings = [reading(.temperature, 39.5), reading(.spo2, 90, index: 1)]
        let late = judge(report("r", readings, received: monday + .hours(24)), plan: plan())
        #expect(level(late, "spo2-low") == .red && late.lateReds.isEmpty)
        let tooLate = judge(report("r", readings, received: monday + .hours(25)), plan: plan())
        #expect(tooLate.assessments.isEmpty)
        #expect(try #require(tooLate.lateReds.first).rule == "spo2-low")
        let amber = judge(report("r", [reading(.spo2, 94)], received: monday + .hours(25)), plan: plan())
        #expect(amber == Verdict())
    }

    @Test func immediateRedsOfARefusedReport() {
        func reds(_ readings: [Reading], _ plan: Plan) -> [String] {
            immediateReds(in: readings, at: monday, plan: plan).map(\.rule)
        }
        #expect(reds([reading(.spo2, 92), reading(.systolic, 90, index: 1)], plan()) == ["systolic-low", "spo2-low"])
        #expect(reds([reading(.spo2, 93), reading(.pulse, 70, index: 1)], plan()) == [])
        #expect(reds([reading(.glucose, 25)], plan(["sugar"])) == [])
        #expect(reds([reading(.glucose, 600, flags: .outOfRangeHigh)], plan()) == ["glucose-high"])
    }

    @Test func theMostTellingOfSeveralRedsComesFirst() throws {
        var unusual = reading(.systolic, 60, index: 3)
        unusual.suspicions = [.unusualValue]
        // Pulse a hair beyond its limit, SpO2 far beyond: never by the order of kinds or of readings.
        let readings = [reading(.pulse, 132), reading(.spo2, 70, index: 1), unusual]
        let rules = ["spo2-low", "pulse-high", "systolic-low"]
        #expect(immediateReds(in: readings, at: monday, plan: plan()).map(\.rule) == rules)
        #expect(immediateReds(in: readings.reversed(), at: monday, plan: plan()).map(\.rule) == rules)
        let tooLate = judge(report("r", readings, received: monday + .hours(25)), plan: plan())
        #expect(tooLate.lateReds.map(\.rule) == rules)
        let beyondMeter = reading(.glucose, 1.1, flags: .outOfRangeLow, index: 4)
        #expect(immediateReds(in: readings + [beyondMeter], at: monday, plan: plan()).first?.rule == "glucose-low")
    }

    @Test func aMeterBeyondAnOwnAmberIsRedByItself() throws {
        let own = OwnLimit(
            kind: .glucose, high: [Threshold(severity: .amber, limit: Limit(value: 12, inclusive: false))])
        let verdict = judge(
            report("r", [reading(.glucose, 33.3, flags: .outOfRangeHigh)]), plan: plan(["sugar"], limits: [own]))
        let high = try #require(verdict.assessments.first { $0.rule == "glucose-high" })
        #expect(high.level == .red && high.immediate && high.limit == nil)
    }

    // MARK: - Properties

    @Test(arguments: [1, 2, 3] as [UInt64]) func severityGrowsWithTheValue(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let plans = [
            plan(), plan(["heart"]), plan(["heart", "pressure"]), plan(["sugar"]), plan(scale: 2),
            plan(["lungs"], baselines: [.peakFlow: 400]),
        ]
        for plan in plans {
            for kind in Kind.allCases where !kind.isCoded {
                let range = kind.plausibility.refusedOutside
                let values = (0..<60).map { _ in Double.random(in: range, using: &random) }.sorted()
                for side in Side.allCases {
                    let ranks = values.map { value -> Int in
                        let verdict = judge(report("r", [reading(kind, value)]), plan: plan)
                        let found = verdict.assessments.first { $0.rule == Band.rule(kind, side) }
                        return found?.level.map { $0 == .red ? 2 : 1 } ?? 0
                    }
                    let ordered = side == .high ? ranks : ranks.reversed()
                    #expect(ordered == ordered.sorted(), "seed \(seed), \(kind.code) \(side)")
                }
            }
        }
    }

    @Test(arguments: [11, 12, 13] as [UInt64]) func orderOfReadingsAndRepetitionChangeNothing(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        let judged = plan(["heart", "pressure", "sugar"], scale: 2)
        for round in 0..<200 {
            let kinds: [Kind] = [.systolic, .pulse, .pulse, .spo2, .spo2, .glucose, .glucose, .oxygen, .temperature]
            let readings = kinds.enumerated().map { index, kind in
                let value = Double.random(in: kind.plausibility.refusedOutside, using: &random).rounded()
                return reading(kind, value, index: index)
            }
            let before = [
                past("a", .pulse, Double(Int.random(in: 90...140, using: &random)), at: monday - .hours(3)),
                past("b", .glucose, 15, at: monday - .hours(2)),
            ]
            let once = judge(report("r", readings), plan: judged, history: PatientHistory(readings: before))
            let shuffled = report("r", readings.shuffled(using: &random))
            #expect(
                judge(shuffled, plan: judged, history: PatientHistory(readings: before.reversed())) == once,
                "seed \(seed), round \(round)")
            // Judged again when its readings are already stored.
            let stored = readings.map { past("r", $0.kind, $0.value, at: monday, index: $0.index) }
            #expect(
                judge(shuffled, plan: judged, history: PatientHistory(readings: before + stored)) == once,
                "seed \(seed), round \(round)")
        }
    }
}
