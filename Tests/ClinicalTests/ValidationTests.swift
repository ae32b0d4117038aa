import Clinical
import Testing

private func validate(_ readings: [SentReading]) -> ValidatedReadings {
    var report = SentReport()
    report.readings = readings
    var validated = ValidatedReadings()
    Validation.validate(report, into: &validated)
    return validated
}

private func sent(_ kind: Kind, _ value: Double, _ unit: String?, flags: ReadingFlags = []) -> SentReading {
    let name = unit.map { code in UCUMUnit(code: code).map { SentName.known($0) } ?? .unknown(code) }
    return SentReading(kind: .known(kind), value: .number(value), unit: name, flags: flags)
}

private func outcome(_ reading: SentReading) -> RefusalReason? {
    let validated = validate([reading])
    #expect(validated.readings.count + validated.refused.count == 1)
    return validated.refused.first?.reason
}

@Suite struct ValidationTests {
    /// Outside contract, "Kinds": each factor, by values worked out by hand.
    @Test(arguments: [
        (Kind.systolic, 16.0, "kPa", 120.009852128), (.diastolic, 10, "kPa", 75.00615758),
        (.meanArterial, 12, "kPa", 90.007389096), (.pulse, 71, "{beats}/min", 71), (.pulse, 71, "/min", 71),
        (.respiratoryRate, 16, "{breaths}/min", 16), (.temperature, 98.6, "[degF]", 37),
        (.weight, 78_500, "g", 78.5), (.weight, 100, "[lb_av]", 45.359237), (.weight, 10, "[stone_av]", 63.5029318),
        (.glucose, 180.156, "mg/dL", 10), (.peakFlow, 5.5, "L/s", 330), (.fev1, 2500, "mL", 2.5), (.inr, 2.5, "1", 2.5),
    ])
    func conversion(kind: Kind, value: Double, unit: String, canonical: Double) throws {
        let validated = validate([sent(kind, value, unit)])
        let reading = try #require(validated.readings.first)
        #expect(abs(reading.value - canonical) < 1e-9)
        #expect(reading.sentValue == value && reading.sentUnit?.code == unit)
        let code = try #require(UCUMUnit(code: unit))
        #expect(abs((kind.value(reading.value, in: code) ?? .nan) - value) < 1e-9)
    }

    /// Contract's units by kind; every other unit is refused.
    @Test func unitsOfEachKind() {
        let table: [Kind: Set<String>] = [
            .systolic: ["mm[Hg]", "kPa"], .diastolic: ["mm[Hg]", "kPa"], .meanArterial: ["mm[Hg]", "kPa"],
            .pulse: ["/min", "{beats}/min"], .spo2: ["%"], .respiratoryRate: ["/min", "{breaths}/min"],
            .temperature: ["Cel", "[degF]"], .weight: ["kg", "g", "[lb_av]", "[stone_av]"],
            .glucose: ["mmol/L", "mg/dL"], .ketones: ["mmol/L"], .peakFlow: ["L/min", "L/s"], .fev1: ["L", "mL"],
            .inr: ["{INR}", "1"], .steps: ["{steps}"], .catScore: ["{score}"], .consciousness: [], .oxygen: ["L/min"],
        ]
        #expect(table.count == Kind.allCases.count)
        for (kind, units) in table {
            #expect(Set(UCUMUnit.allCases.filter(kind.takes).map(\.code)) == units, "\(kind.code)")
        }
    }

    /// Clinical facts, section 3, in the canonical unit: the last value inside and the first outside at both ends.
    @Test(arguments: [
        (Kind.systolic, 39.9, 40.0, 300.0, 300.1), (.diastolic, 19.9, 20, 200, 200.1),
        (.meanArterial, 29.9, 30, 250, 250.1), (.pulse, 19, 20, 300, 301), (.spo2, 39, 40, 100, 101),
        (.weight, 19.9, 20, 350, 350.1), (.glucose, 0.59, 0.6, 55.5, 55.6), (.temperature, 24.9, 25, 45, 45.1),
        (.respiratoryRate, 1, 2, 80, 81), (.peakFlow, 29, 30, 900, 901), (.fev1, 0.09, 0.1, 9, 9.1),
        (.inr, 0.49, 0.5, 20, 20.1), (.ketones, -0.1, 0, 15, 15.1), (.steps, -1, 0, 100_000, 100_001),
        (.catScore, -1, 0, 40, 41), (.oxygen, -0.1, 0, 15, 15.1),
    ])
    func plausibilityEdges(kind: Kind, below: Double, low: Double, high: Double, above: Double) {
        let unit = kind.canonicalUnit?.code
        #expect(outcome(sent(kind, low, unit)) == nil)
        #expect(outcome(sent(kind, high, unit)) == nil)
        for value in [below, above] {
            let reason = outcome(sent(kind, value, unit))
            #expect(reason == .implausible || reason == .ambiguousUnit, "\(value)")
        }
    }

    /// The same limits in the other units, worked out by hand.
    @Test(arguments: [
        (Kind.systolic, "kPa", 5.33, 5.34, 39.99, 40.0), (.diastolic, "kPa", 2.66, 2.67, 26.66, 26.67),
        (.temperature, "[degF]", 76.9, 77, 113, 113.1), (.weight, "g", 19_999, 20_000, 350_000, 350_001),
        (.weight, "[lb_av]", 44.09, 44.1, 771.6, 771.7), (.weight, "[stone_av]", 3.14, 3.15, 55.11, 55.12),
        (.glucose, "mg/dL", 9.9, 10, 1000, 1000.1), (.peakFlow, "L/s", 0.49, 0.5, 15, 15.1),
        (.fev1, "mL", 99, 100, 9000, 9001),
    ])
    func plausibilityEdgesInOtherUnits(
        kind: Kind, unit: String, below: Double, low: Double, high: Double, above: Double
    ) {
        #expect(outcome(sent(kind, low, unit)) == nil)
        #expect(outcome(sent(kind, high, unit)) == nil)
        #expect(outcome(sent(kind, below, unit)) != nil)
        #expect(outcome(sent(kind, above, unit)) != nil)
    }

    @Test(
        arguments: [
            (Kind.systolic, 69.0, 70.0, 250.0, 251.0), (.diastolic, 39, 40, 150, 151), (.pulse, 29, 30, 220, 221),
            (.spo2, 69, 70, 100, nil), (.glucose, 1.09, 1.1, 33.3, 33.4), (.temperature, 33.9, 34, 42, 42.1),
            (.respiratoryRate, 5, 6, 60, 61), (.inr, nil, 0.5, 8, 8.1), (.ketones, nil, 0, 8, 8.1),
            (.steps, nil, 0, 60_000, 60_001),
        ] as [(Kind, Double?, Double, Double, Double?)])
    func suspectEdges(kind: Kind, below: Double?, low: Double, high: Double, above: Double?) {
        func suspicions(_ value: Double) -> [Suspicion]? {
            validate([sent(kind, value, kind.canonicalUnit?.code)]).readings.first?.suspicions
        }
        #expect(suspicions(low) == [])
        #expect(suspicions(high) == [])
        if let below { #expect(suspicions(below) == [.unusualValue]) }
        if let above { #expect(suspicions(above) == [.unusualValue]) }
    }

    @Test func reasonsInTheContractsOrder() {
        func refused(_ kind: SentName<Kind>, _ value: SentValue, _ unit: SentName<UCUMUnit>?) -> RefusalReason? {
            outcome(SentReading(kind: kind, value: value, unit: unit))
        }
        #expect(refused(.unknown("spirit"), .number(1), nil) == .unknownKind)
        #expect(refused(.known(.consciousness), .code("X"), nil) == .unknownCode)
        #expect(refused(.known(.consciousness), .number(1), .unknown("furlong")) == .unknownCode)
        #expect(refused(.known(.pulse), .code("71"), nil) == .unknownCode)
        #expect(refused(.known(.pulse), .number(71), nil) == .missingUnit)
        #expect(refused(.known(.pulse), .number(71), .unknown("bpm")) == .unknownUnit)
        #expect(refused(.known(.weight), .number(80), .known(.millimolesPerLitre)) == .unknownUnit)
        #expect(refused(.known(.consciousness), .code("A"), .known(.one)) == .unknownUnit)
        #expect(refused(.known(.consciousness), .code("V"), nil) == nil)
        for kind in [Kind.inr, .steps, .catScore] { #expect(refused(.known(kind), .number(3), nil) == nil) }
        #expect(refused(.known(.catScore), .number(12.5), nil) == .implausible)
        #expect(refused(.known(.steps), .number(1e300), nil) == .implausible)
        #expect(refused(.known(.systolic), .number(1e308), .known(.kilopascal)) == .implausible)
    }

    /// Implausible as sent, plausible in another unit of the kind.
    @Test(arguments: [
        (Kind.temperature, 98.6, "Cel", RefusalReason.ambiguousUnit), (.temperature, 77, "Cel", .ambiguousUnit),
        (.temperature, 113, "Cel", .ambiguousUnit), (.temperature, 113.1, "Cel", .implausible),
        (.temperature, 76.9, "Cel", .implausible), (.temperature, 37, "[degF]", .ambiguousUnit),
        (.glucose, 120, "mmol/L", .ambiguousUnit), (.glucose, 5.5, "mg/dL", .ambiguousUnit),
        (.weight, 400, "kg", .ambiguousUnit), (.weight, 10, "kg", .ambiguousUnit), (.weight, 1, "kg", .implausible),
        (.systolic, 16, "mm[Hg]", .ambiguousUnit), (.systolic, 320, "mm[Hg]", .implausible),
        (.systolic, 120, "kPa", .ambiguousUnit), (.peakFlow, 5, "L/min", .ambiguousUnit),
        (.fev1, 2500, "L", .ambiguousUnit), (.pulse, 301, "/min", .implausible),
        (.inr, 25, "1", .implausible),
    ])
    func ambiguousUnits(kind: Kind, value: Double, unit: String, reason: RefusalReason) {
        #expect(outcome(sent(kind, value, unit)) == reason)
    }

    @Test func pressuresThatContradictEachOther() {
        let pair = validate([sent(.systolic, 80, "mm[Hg]"), sent(.diastolic, 80, "mm[Hg]"), sent(.pulse, 70, "/min")])
        #expect(pair.readings.map(\.kind) == [.pulse])
        #expect(pair.refused.map(\.index) == [0, 1] && pair.refused.allSatisfy { $0.reason == .inconsistent })

        let mean = validate([
            sent(.meanArterial, 121, "mm[Hg]"), sent(.diastolic, 80, "mm[Hg]"), sent(.systolic, 120, "mm[Hg]"),
        ])
        #expect(mean.refused.map(\.kind) == ["mean-arterial"])

        // With nothing to be held against, the mean stands.
        let alone = validate([
            sent(.systolic, 70, "mm[Hg]"), sent(.diastolic, 75, "mm[Hg]"), sent(.meanArterial, 90, "mm[Hg]"),
        ])
        #expect(alone.readings.map(\.kind) == [.meanArterial])

        // The second pair is held against itself, whatever became of the first.
        let two = validate([
            sent(.systolic, 999, "mm[Hg]"), sent(.diastolic, 100, "mm[Hg]"), sent(.systolic, 95, "mm[Hg]"),
            sent(.diastolic, 60, "mm[Hg]"),
        ])
        #expect(two.refused.map(\.index) == [0])
    }

    @Test func suspectPressures() {
        let narrow = validate([sent(.systolic, 78, "mm[Hg]"), sent(.diastolic, 70, "mm[Hg]")])
        #expect(narrow.readings.map(\.suspicions) == [[.smallPulsePressure], [.smallPulsePressure]])
        let wide = validate([sent(.systolic, 80, "mm[Hg]"), sent(.diastolic, 70, "mm[Hg]")])
        #expect(wide.readings.allSatisfy { !$0.isSuspect })
        for (mean, suspect) in [(120.0, false), (120.1, true)] {
            let three = validate([
                sent(.systolic, 140, "mm[Hg]"), sent(.diastolic, 80, "mm[Hg]"), sent(.meanArterial, mean, "mm[Hg]"),
            ])
            #expect(three.readings.last?.suspicions == (suspect ? [.meanArterialMismatch] : []))
        }
    }

    @Test func suspectByDeviceAndByTwoPulses() {
        #expect(validate([sent(.spo2, 95, "%", flags: .lowPerfusion)]).readings[0].suspicions == [.deviceFlag])
        #expect(validate([sent(.systolic, 120, "mm[Hg]", flags: .movement)]).readings[0].suspicions == [.deviceFlag])
        #expect(validate([sent(.pulse, 80, "/min", flags: .irregularPulse)]).readings[0].suspicions == [])
        for (other, suspect) in [(90.0, false), (91.0, true)] {
            let pulses = validate([sent(.pulse, 70, "/min"), sent(.pulse, other, "/min")])
            #expect(pulses.readings.allSatisfy { $0.isSuspect == suspect })
        }
    }

    @Test func meterLimitsAreNeverImplausible() throws {
        let low = validate([sent(.glucose, 0, "mmol/L", flags: .outOfRangeLow)])
        #expect(try #require(low.readings.first).suspicions == [])
        let high = validate([sent(.glucose, 600, "mmol/L", flags: .outOfRangeHigh)])
        #expect(high.refused.isEmpty)
        #expect(outcome(sent(.glucose, 0, nil, flags: .outOfRangeLow)) == .missingUnit)
        let pressures = validate([
            sent(.systolic, 60, "mm[Hg]", flags: .outOfRangeLow), sent(.diastolic, 60, "mm[Hg]"),
        ])
        #expect(pressures.refused.isEmpty)
    }

    @Test func controlSolutionComesLast() {
        #expect(outcome(sent(.glucose, 6, "mmol/L", flags: .controlSolution)) == .controlSolution)
        #expect(outcome(sent(.glucose, 120, "mmol/L", flags: .controlSolution)) == .ambiguousUnit)
    }

    @Test func refusalsKeepTheOrderOfTheReport() {
        let mixed = validate([
            sent(.glucose, 6, "mmol/L", flags: .controlSolution), sent(.weight, 1, "kg"),
            sent(.systolic, 80, "mm[Hg]"), sent(.diastolic, 90, "mm[Hg]"), sent(.spo2, 90, "%"),
        ])
        #expect(mixed.refused.map(\.index) == [0, 1, 2, 3])
        #expect(mixed.refused.map(\.reason) == [.controlSolution, .implausible, .inconsistent, .inconsistent])
        #expect(mixed.readings.map(\.index) == [4])
    }

    @Test func correctedClockIsMarked() {
        var report = SentReport()
        report.readings = [sent(.spo2, 96, "%")]
        var validated = ValidatedReadings()
        Validation.validate(report, clockCorrected: true, into: &validated)
        #expect(validated.readings[0].flags.contains(.clockCorrected))
    }
}

@Suite struct ClocksTests {
    private let received = monday

    @Test func futureAndAge() {
        func refusal(_ offset: Interval) -> RefusalReason? {
            Clocks.correct(takenAt: received + offset, sentAt: nil, receivedAt: received).refusal
        }
        #expect(refusal(.minutes(5)) == nil)
        #expect(refusal(.minutes(5) + .init(microseconds: 1)) == .clockFuture)
        #expect(refusal(.days(-30)) == nil)
        #expect(refusal(.days(-30) + .init(microseconds: -1)) == .tooOld)
        let extreme = Clocks.correct(takenAt: Instant(microseconds: .max), sentAt: nil, receivedAt: received)
        #expect(extreme.refusal == .clockFuture)
    }

    @Test func aFastClockIsCorrectedAndASlowOneIsNot() {
        let fast = Clocks.correct(
            takenAt: received + .minutes(50), sentAt: received + .minutes(60), receivedAt: received)
        #expect(fast == CorrectedClock(takenAt: received - .minutes(10), corrected: true, refusal: nil))
        let within = Clocks.correct(takenAt: received, sentAt: received + .minutes(2), receivedAt: received)
        #expect(!within.corrected && within.takenAt == received)
        let waited = Clocks.correct(takenAt: received - .hours(9), sentAt: received - .hours(8), receivedAt: received)
        #expect(!waited.corrected && waited.takenAt == received - .hours(9))
    }

    @Test func lateness() {
        #expect(!Clocks.isLate(takenAt: received - .hours(1), receivedAt: received))
        #expect(Clocks.isLate(takenAt: received - .hours(1) - .seconds(1), receivedAt: received))
        #expect(!Clocks.isTooLateToAlert(takenAt: received - .hours(24), receivedAt: received))
        #expect(Clocks.isTooLateToAlert(takenAt: received - .hours(24) - .seconds(1), receivedAt: received))
    }
}

private func + (left: Interval, right: Interval) -> Interval {
    Interval(microseconds: left.microseconds + right.microseconds)
}
