import Clinical
import Testing

private func own(
    _ kind: Kind, low: [Threshold]? = nil, high: [Threshold]? = nil, redOff: CalendarDate? = nil,
    by: String? = "cm-01", reason: String? = "agreed"
) -> OwnLimit {
    OwnLimit(kind: kind, low: low, high: high, redOffUntil: redOff, by: by, reason: reason)
}

private func at(_ severity: Severity, _ value: Double, inclusive: Bool = false) -> Threshold {
    Threshold(severity: severity, limit: Limit(value: value, inclusive: inclusive))
}

@Suite struct PlanTests {
    private func judged(_ plan: Plan, _ kind: Kind, _ value: Double, _ rule: String) -> Severity? {
        level(judge(report("r", [reading(kind, value)]), plan: plan), rule)
    }

    @Test(
        arguments: [
            // Condition packs replace adult's side; the other side stays adult's.
            (["heart"], 85.0, "systolic-low", Severity.amber), (["heart"], 79, "systolic-low", .red),
            (["heart"], 90, "systolic-low", nil), (["heart"], 220, "systolic-high", .red),
            ([], 90, "systolic-low", .red), ([], 91, "systolic-low", nil),
            // Between two condition packs the more severe result wins, in whatever order they are named.
            (["heart", "pressure"], 85, "systolic-low", .red), (["pressure", "heart"], 85, "systolic-low", .red),
            (["heart", "pressure"], 95, "systolic-low", .amber), (["heart", "pressure"], 100, "systolic-low", nil),
            // A pack that is not enabled has no say.
            (["off"], 95, "systolic-low", nil),
        ] as [([String], Double, String, Severity?)])
    func precedenceOfPacks(conditions: [String], value: Double, rule: String, expected: Severity?) {
        #expect(judged(plan(conditions), .systolic, value, rule) == expected)
    }

    @Test func saturationFollowsTheScaleAlone() {
        #expect(judged(plan(["heart"]), .spo2, 97, "spo2-low") == nil)
        #expect(judged(plan(["heart"], scale: 2), .spo2, 88, "spo2-low") == nil)
        #expect(judged(plan(scale: 2), .spo2, 87, "spo2-low") == .amber)
        #expect(judged(plan(scale: 2), .spo2, 85, "spo2-low") == .red)
    }

    @Test func anOwnLimitReplacesTheWholeSideThatItNames() throws {
        let limit = own(.systolic, low: [at(.red, 85)])
        let plan = plan(["heart", "pressure"], limits: [limit])
        #expect(judged(plan, .systolic, 85, "systolic-low") == nil)
        #expect(judged(plan, .systolic, 84, "systolic-low") == .red)
        #expect(judged(plan, .systolic, 220, "systolic-high") == .red)
        let red = try #require(
            judge(report("r", [reading(.systolic, 84)]), plan: plan).assessments.first { $0.level == .red })
        // Nobody asked for a confirmation, so nothing may wait for one; the step stays the pack's.
        #expect(red.immediate && red.step == 10 && red.pack == "own-limit" && red.source == "set by cm-01")
    }

    /// Switching a red off needs by, reason and an end.
    @Test func anOwnAmberAloneTakesNoRedAway() {
        let plan = plan(["sugar"], limits: [own(.glucose, low: [at(.amber, 5)])])
        #expect(judged(plan, .glucose, 4.9, "glucose-low") == .amber)
        #expect(judged(plan, .glucose, 2.9, "glucose-low") == .red)
    }

    @Test func anOwnGlucoseLimitHasItsPair() {
        let plan = plan(["sugar"], limits: [own(.glucose, low: [at(.amber, 5)])])
        func judged(_ value: Double) -> Severity? {
            level(
                judge(report("r", [reading(.glucose, value, .milligramsPerDecilitre)]), plan: plan), "glucose-low")
        }
        #expect(judged(90) == nil)
        #expect(judged(89) == .amber)
        #expect(Limit.glucose(milligramsPerDecilitre: 70, inclusive: false).value == 3.9)
        #expect(Limit.glucose(milligramsPerDecilitre: 54, inclusive: false).value == 3.0)
        #expect(Limit.glucose(millimolesPerLitre: 4.0, inclusive: false).milligramsPerDecilitre == 72)
    }

    @Test func theSiteChoosesTheLowGlucoseAmber() {
        let site = plan(["sugar"], glucoseLow: 4.0)
        #expect(judged(site, .glucose, 3.95, "glucose-low") == .amber)
        #expect(judged(site, .glucose, 4.0, "glucose-low") == nil)
        #expect(judged(site, .glucose, 2.99, "glucose-low") == .red)
    }

    @Test func redOffLastsUntilItsDayIsOver() throws {
        let date = try #require(CalendarDate(year: 2026, month: 11, day: 23))
        let plan = plan(limits: [own(.pulse, redOff: date)])
        func assessment(_ time: Instant) throws -> Assessment {
            try #require(
                judge(report("r", [reading(.pulse, 140)], at: time), plan: plan).assessments.first { $0.level != nil })
        }
        let off = try assessment(monday)
        #expect(off.level == .amber && !off.immediate && off.redSwitchedOff)
        // Midnight in London ends 23 November at 24:00Z.
        #expect(try assessment(monday + .minutes(15 * 60 + 44)).level == .amber)
        #expect(try assessment(monday + .minutes(15 * 60 + 45)).level == .red)
        #expect(immediateReds(in: [reading(.pulse, 140)], at: monday, plan: plan).isEmpty)
    }

    @Test func ageAtTheReading() throws {
        func judged(_ born: CalendarDate?) -> Severity? {
            let plan = plan(["pressure"], born: born)
            return level(judge(report("r", [reading(.diastolic, 116)]), plan: plan), "diastolic-high")
        }
        #expect(judged(CalendarDate(year: 1946, month: 11, day: 23)) == .amber)
        #expect(judged(CalendarDate(year: 1946, month: 11, day: 24)) == .info)
        // Unknown: no limit is lost for want of a date.
        #expect(judged(nil) == .amber)
    }

    @Test func limitsCountedFromThePatientsOwnMeasure() throws {
        let best = plan(["lungs"], baselines: [.peakFlow: 400])
        #expect(judged(best, .peakFlow, 320, "peak-flow-low") == nil)
        #expect(judged(best, .peakFlow, 319, "peak-flow-low") == .amber)
        #expect(judged(best, .peakFlow, 200, "peak-flow-low") == .amber)
        #expect(judged(best, .peakFlow, 199, "peak-flow-low") == .red)
        #expect(plan(["lungs"]).lacking == [.baseline(.peakFlow)])
        #expect(judged(plan(["lungs"]), .peakFlow, 100, "peak-flow-low") == .info)
        #expect(plan(["lungs"]).lacking.first?.description == "Peak flow has no baseline")

        let target = plan(["clotting"], inr: 2...3)
        #expect(judged(target, .inr, 1.5, "inr-low") == nil)
        #expect(judged(plan(["clotting"], inr: 2.5...3.5), .inr, 1.9, "inr-low") == .amber)
        #expect(plan(["clotting"]).lacking == [.target(.inr)])
        #expect(judged(plan(["clotting"]), .inr, 1.4, "inr-low") == .red)
        #expect(plan(["off"]).lacking == [.packDisabled("off")])
    }

    @Test func farAboveThePersonalBestIsSuspect() {
        let best = plan(baselines: [.peakFlow: 400, .weight: 50])
        var readings = [reading(.peakFlow, 600), reading(.peakFlow, 601, index: 1), reading(.weight, 90, index: 2)]
        best.markSuspicions(in: &readings, at: monday)
        best.markSuspicions(in: &readings, at: monday)
        #expect(readings.map(\.suspicions) == [[], [.abovePersonalBest], []])
    }

    @Test func whatEnrolRefuses() {
        func problems(_ limits: [OwnLimit], _ conditions: [String] = [], scale: Int = 1) -> [PlanProblem] {
            plan(conditions, scale: scale, limits: limits).problems
        }
        #expect(problems([], ["heart", "gout"]) == [.unknownPack("gout")])
        #expect(problems([own(.spo2, low: [at(.red, 85), at(.amber, 88)])]).isEmpty)
        func isInverted(_ found: [PlanProblem]) -> Bool {
            found.count == 1 && found[0].description.contains("inverted")
        }
        #expect(isInverted(problems([own(.spo2, low: [at(.red, 90), at(.amber, 88)])])))
        #expect(isInverted(problems([own(.pulse, high: [at(.red, 100), at(.amber, 120)])])))
        #expect(isInverted(problems([own(.systolic, low: [at(.red, 230)])])))
        #expect(isInverted(problems([own(.glucose, low: [at(.amber, 14)])], ["sugar"])))
        #expect(problems([own(.spo2, low: [at(.red, 90), at(.amber, 90)])]).isEmpty)
        let date = CalendarDate(year: 2026, month: 12, day: 1)
        #expect(problems([own(.pulse, redOff: date, by: nil)]) == [.redOffUnexplained(.pulse)])
        #expect(problems([own(.pulse, redOff: date, reason: "")]) == [.redOffUnexplained(.pulse)])
        #expect(isInverted(plan(["sugar"], glucoseLow: 2.5).problems))
    }

    @Test func equalProfilesShareOnePlan() {
        var plans = Plans(packs: PackLibrary([TestPacks.adult, TestPacks.heart]))
        let first = plans.plan(
            for: PatientProfile(born: CalendarDate(year: 1950, month: 1, day: 1), conditions: ["heart"]))
        let second = plans.plan(
            for: PatientProfile(
                born: CalendarDate(year: 1960, month: 1, day: 1), highRisk: true, conditions: ["heart", "heart"],
                baselines: [.weight: 80], dryWeight: 79))
        let other = plans.plan(for: PatientProfile(news2Scale: 2, conditions: ["heart"]))
        #expect(first === second && first !== other && plans.count == 2)
    }
}
