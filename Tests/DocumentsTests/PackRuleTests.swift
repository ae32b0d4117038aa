import Clinical
import Documents
import Testing

/// The rules beyond the bands of the shipped packs, one step inside and one outside. Written by hand from the clinical
/// facts, not from the packs.
@Suite struct PackRuleTests {
    private let monday = Diary.monday

    private func weighed(
        _ weights: [(hours: Int64, value: Double)], unit: UCUMUnit = .kilogram, dryWeight: Double? = nil,
        answers: [SentAnswer] = [], rule: String = "weight-gain"
    ) -> Severity? {
        var diary = Diary(["heart-failure"]) { $0.dryWeight = dryWeight }
        var level: Severity?
        for (place, weight) in weights.enumerated() {
            let isLast = place == weights.count - 1
            level =
                diary.take(
                    Diary.Entry(
                        id: "r\(place)", takenAt: monday + .hours(weight.hours),
                        readings: [Diary.reading(.weight, weight.value, unit)], answers: isLast ? answers : [])
                ).level(rule)
        }
        return level
    }

    // MARK: - Heart failure

    @Test(
        arguments: [
            ([(0, 80), (24, 81.4)], .amber), ([(0, 80), (24, 81.3)], nil), ([(0, 80), (25, 81.4)], nil),
            ([(0, 80.2), (72, 82.2)], .amber), ([(0, 80), (72, 81.9)], nil), ([(0, 80), (73, 82)], nil),
            ([(0, 80), (168, 82.3)], .amber), ([(0, 80), (168, 82.2)], nil), ([(0, 80), (169, 82.3)], nil),
            ([(0, 80), (30, 81.5), (72, 83)], .red), ([(0, 80), (30, 81.5), (73, 83)], .amber),
            // From the lowest in the span, not from the first.
            ([(0, 82), (24, 80), (72, 82)], .amber), ([(0, 80)], nil),
        ] as [([(Int64, Double)], Severity?)])
    func weightGain(weights: [(Int64, Double)], expected: Severity?) {
        #expect(weighed(weights.map { (hours: $0.0, value: $0.1) }) == expected)
    }

    /// Gain in the unit after so many hours, one step inside and one outside: 1.4 kg is 3.0865 lb and 0.22046 st, 2 kg
    /// is 4.409 lb and 0.31494 st, 2.3 kg is 5.071 lb and 0.36219 st, 3 kg is 6.614 lb and 0.47242 st.
    @Test(
        arguments: [
            (UCUMUnit.gram, 80_000, 24, [(1399, nil), (1400, .amber)]),
            (.gram, 80_000, 72, [(1999, nil), (2000, .amber), (2999, .amber), (3000, .red)]),
            (.gram, 80_000, 168, [(2299, nil), (2300, .amber)]),
            (.pound, 176, 24, [(3.0, nil), (3.1, .amber)]),
            (.pound, 176, 72, [(4.4, nil), (4.5, .amber), (6.6, .amber), (6.7, .red)]),
            (.pound, 176, 168, [(5.0, nil), (5.1, .amber)]),
            (.stone, 12.5, 24, [(0.22, nil), (0.23, .amber)]),
            (.stone, 12.5, 72, [(0.31, nil), (0.32, .amber), (0.47, .amber), (0.48, .red)]),
            (.stone, 12.5, 168, [(0.36, nil), (0.37, .amber)]),
        ] as [(UCUMUnit, Double, Int64, [(Double, Severity?)])])
    func weightGainInEachUnit(unit: UCUMUnit, from: Double, hours: Int64, steps: [(Double, Severity?)]) {
        for (gain, expected) in steps {
            #expect(weighed([(0, from), (hours, from + gain)], unit: unit) == expected, "\(gain)")
        }
    }

    @Test(
        arguments: [
            (UCUMUnit.gram, 80_000, [(1999, nil), (2000, .amber)]), (.pound, 176, [(4.4, nil), (4.5, .amber)]),
            (.stone, 12.5, [(0.31, nil), (0.32, .amber)]),
        ] as [(UCUMUnit, Double, [(Double, Severity?)])])
    func weightLossInEachUnit(unit: UCUMUnit, from: Double, steps: [(Double, Severity?)]) {
        for (loss, expected) in steps {
            #expect(
                weighed([(0, from), (72, from - loss)], unit: unit, rule: "weight-loss") == expected, "\(loss)")
        }
    }

    /// 80 kg, 2 over the dry weight, is 176.37 lb and 12.598 st.
    @Test(
        arguments: [
            (UCUMUnit.gram, [(79_999, nil), (80_000, .amber)]), (.pound, [(176.3, nil), (176.4, .amber)]),
            (.stone, [(12.59, nil), (12.60, .amber)]),
        ] as [(UCUMUnit, [(Double, Severity?)])])
    func overTheDryWeightInEachUnit(unit: UCUMUnit, steps: [(Double, Severity?)]) {
        for (weight, expected) in steps {
            #expect(weighed([(0, weight)], unit: unit, dryWeight: 78) == expected, "\(weight)")
        }
    }

    @Test(arguments: [(80.0, Severity.amber), (79.9, nil)] as [(Double, Severity?)])
    func overTheDryWeight(weight: Double, expected: Severity?) {
        #expect(weighed([(0, weight)], dryWeight: 78) == expected)
        #expect(weighed([(0, weight)]) == nil)
    }

    @Test(arguments: [Question.moreBreathless, .moreSwelling, .extraPillows]) func aGainWithASymptomIsRed(
        _ question: Question
    ) {
        let gains: [[(hours: Int64, value: Double)]] = [
            [(0, 80), (24, 81.4)], [(0, 80), (72, 82)], [(0, 80), (168, 82.3)],
        ]
        for gain in gains {
            #expect(weighed(gain, answers: Diary.yes(question)) == .red)
            #expect(weighed(gain, answers: Diary.no(question)) == .amber)
        }
        #expect(weighed([(0, 80)], dryWeight: 78, answers: Diary.yes(question)) == .red)
        #expect(weighed([(0, 80), (24, 81.3)], answers: Diary.yes(question)) == nil)
        #expect(weighed(gains[0], answers: Diary.yes(.tired)) == .amber)
    }

    /// The symptom may come in a report of its own, before or after, up to 24 h away.
    @Test(arguments: [(23 * 60, Severity.red), (24 * 60, .red), (24 * 60 + 1, .info), (-24 * 60, .red)])
    func aSymptomOfAnotherReport(minutes: Int, expected: Severity) {
        var diary = Diary(["heart-failure"])
        let gained = monday + .hours(70)
        let weights = [
            Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.weight, 80)]),
            Diary.Entry(id: "b", takenAt: gained, readings: [Diary.reading(.weight, 82.2)]),
        ]
        for weight in weights { diary.take(weight) }
        let symptom = Diary.Entry(
            id: "c", takenAt: gained + .minutes(Int64(minutes)), answers: Diary.yes(.moreSwelling))
        let verdict = diary.take(symptom)
        #expect(verdict.level("weight-gain") == expected)
        #expect(verdict.outcome("weight-gain")?.clears != true)
        // The same in whatever order they come.
        var other = Diary(["heart-failure"])
        other.take(symptom)
        other.take(weights[0])
        #expect(other.take(weights[1]).level("weight-gain") == (expected == .red ? .red : .amber))
    }

    @Test(
        arguments: [([(0, 80), (72, 78)], .amber), ([(0, 80), (72, 78.1)], nil), ([(0, 80), (73, 78)], nil)]
            as [([(Int64, Double)], Severity?)])
    func weightLoss(weights: [(Int64, Double)], expected: Severity?) {
        #expect(weighed(weights.map { (hours: $0.0, value: $0.1) }, rule: "weight-loss") == expected)
    }

    /// An older weight that comes last makes the newer one what it would have been.
    @Test func theOrderOfArrivalDoesNotDecide() {
        var diary = Diary(["heart-failure"])
        diary.take(Diary.Entry(id: "b", takenAt: monday + .hours(48), readings: [Diary.reading(.weight, 82)]))
        let late = diary.take(Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.weight, 80)]))
        #expect(late.level("weight-gain") == .amber)
    }

    @Test func heartFailureSymptoms() throws {
        for question in [Question.moreBreathless, .moreSwelling, .extraPillows, .tired] {
            var diary = Diary(["heart-failure"])
            let entry = Diary.Entry(id: "a", takenAt: monday, answers: Diary.yes(question))
            #expect(diary.take(entry).level("heart-failure-symptoms") == .amber)
        }
        for question in [Question.chestPain, .breathlessAtRest, .confused] {
            var diary = Diary(["heart-failure"])
            let verdict = diary.take(Diary.Entry(id: "a", takenAt: monday, answers: Diary.yes(question)))
            let red = try #require(verdict.outcome("heart-failure-symptoms"))
            #expect(red.level == .red && red.immediate)
            #expect(verdict.advice?.code == "call-999")
            #expect(verdict.advice?.text(in: "cy").hasPrefix("Call 999") == true)
        }
        var diary = Diary(["heart-failure"])
        let none = diary.take(Diary.Entry(id: "a", takenAt: monday, answers: Diary.no(.tired, .chestPain)))
        #expect(none.level("heart-failure-symptoms") == nil && none.advice == nil)
        #expect(none.outcome("heart-failure-symptoms")?.clears == true)
        // Nobody asked for the ambers again: they are not back in range.
        let other = diary.take(Diary.Entry(id: "b", takenAt: monday, answers: Diary.no(.chestPain)))
        #expect(other.outcome("heart-failure-symptoms")?.clears == false)
    }

    // MARK: - COPD

    @Test func copdSymptoms() {
        func judged(_ days: [[SentAnswer]], hours: Int64 = 24) -> Severity? {
            var diary = Diary(["copd"])
            var level: Severity?
            for (day, answers) in days.enumerated() {
                let entry = Diary.Entry(id: "r\(day)", takenAt: monday + .hours(hours * Int64(day)), answers: answers)
                level = diary.take(entry).level("copd-symptoms")
            }
            return level
        }
        let two = Diary.yes(.sputumColour, .moreBreathless)
        #expect(judged([Diary.yes(.sputumVolume)]) == .amber)
        #expect(judged([two]) == .amber)
        #expect(judged([two, two]) == .red)
        #expect(judged([two, Diary.yes(.sputumColour, .sputumVolume)]) == .red)
        #expect(judged([two, Diary.yes(.sputumColour)]) == .amber)
        #expect(judged([two, two], hours: 48) == .amber)
        #expect(judged([two, two], hours: 2) == .amber)
        #expect(judged([Diary.no(.sputumColour)]) == nil)
    }

    @Test(
        arguments: [
            (1, 97.0, 94.0, Severity.amber), (1, 97, 95, nil), (1, 99, 96, nil), (1, 99, 95, .amber),
            (2, 92, 89, nil), (2, 92, 88, nil), (2, 91, 88, nil), (2, 91, 87, .amber), (2, 89, 87, nil),
        ] as [(Int, Double, Double, Severity?)])
    func saturationBelowTheOwnBaseline(scale: Int, baseline: Double, value: Double, expected: Severity?) {
        var diary = Diary(["copd"]) {
            $0.news2Scale = scale
            $0.baselines = [.spo2: baseline]
        }
        let entry = Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.spo2, value)])
        #expect(diary.take(entry).level("spo2-below-baseline") == expected)
        var without = Diary(["copd"])
        #expect(without.take(entry).level("spo2-below-baseline") == .info && without.plan.lacking.isEmpty)
    }

    @Test(arguments: [(17.0, nil), (18, .amber)] as [(Double, Severity?)])
    func catScore(value: Double, expected: Severity?) {
        var diary = Diary(["copd"]) { $0.baselines = [.catScore: 16] }
        let entry = Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.catScore, value)])
        #expect(diary.take(entry).level("cat-score-change") == expected)
    }

    // MARK: - Hypertension

    /// Twice two readings a day; the first day is high and does not count.
    private func week(
        systolic: Double, diastolic: Double, days: Int64 = 7, born: Int = 1960, step: Int64 = 1,
        unit: UCUMUnit = .millimetresOfMercury
    ) -> Verdict {
        var diary = Diary(["hypertension"]) { $0.born = CalendarDate(year: born, month: 1, day: 1) }
        var last = Verdict()
        for day in 0..<days {
            for (place, hour) in [0, 0, 11, 11].enumerated() {
                let high = day == 0 ? (unit == .kilopascal ? 21.3 : 160) : systolic
                let pair = [
                    Diary.reading(.systolic, high, unit), Diary.reading(.diastolic, diastolic, unit, index: 1),
                ]
                let at = monday + .days(day * step) + .hours(Int64(hour)) + .minutes(Int64(place))
                last = diary.take(Diary.Entry(id: "r\(day)-\(place)", takenAt: at, readings: pair))
            }
        }
        return last
    }

    @Test(
        arguments: [
            (134.0, 84.0, 1960, nil), (135, 84, 1960, .amber), (134, 85, 1960, .amber), (144, 84, 1940, nil),
            (145, 84, 1940, .amber), (144, 85, 1940, .amber),
        ] as [(Double, Double, Int, Severity?)])
    func homeMean(systolic: Double, diastolic: Double, born: Int, expected: Severity?) {
        #expect(week(systolic: systolic, diastolic: diastolic, born: born).level("home-mean") == expected)
    }

    /// 135 mmHg is 18.0 kPa less a hair, 145 is 19.33 and 85 is 11.33.
    @Test(
        arguments: [
            (17.9, 11.3, 1960, nil), (18.0, 11.3, 1960, .amber), (17.9, 11.4, 1960, .amber), (19.3, 11.3, 1940, nil),
            (19.4, 11.3, 1940, .amber), (19.3, 11.4, 1940, .amber),
        ] as [(Double, Double, Int, Severity?)])
    func homeMeanInKilopascal(systolic: Double, diastolic: Double, born: Int, expected: Severity?) {
        let verdict = week(systolic: systolic, diastolic: diastolic, born: born, unit: .kilopascal)
        #expect(verdict.level("home-mean") == expected)
    }

    @Test func homeMeanWantsEnoughReadings() throws {
        #expect(week(systolic: 150, diastolic: 80, days: 3).level("home-mean") == .info)
        #expect(week(systolic: 150, diastolic: 80, days: 4).level("home-mean") == .amber)
        // Every third day: two days in any week, the first of them left out.
        #expect(week(systolic: 150, diastolic: 80, step: 3).level("home-mean") == .info)
        let outcome = try #require(week(systolic: 150, diastolic: 80).outcome("home-mean"))
        #expect(outcome.evidence.readingsMeant == 24 && outcome.evidence.daysMeant == 6)
        #expect(outcome.evidence.measure == 150)
    }

    /// Both nights on which the clocks of London change: the days are the patient's own, 25 and 23 hours long.
    @Test(
        arguments: [
            // 22 October 2026, 00:00 in London; the clocks go back on the 25th at 01:00Z.
            (1_792_623_600, 1),
            // 26 March 2026, 00:00 in London; they go forward on the 29th at 01:00Z.
            (1_774_483_200, -1),
        ] as [(Int64, Int64)])
    func homeMeanOverTheNightOfTheClocks(first: Int64, change: Int64) throws {
        var diary = Diary(["hypertension"])
        var last = Verdict()
        for day in 0..<7 as Range<Int64> {
            for (place, minutes) in [15, 30, 23 * 60 + 30, 23 * 60 + 45].enumerated() {
                // After 01:00Z of the fourth day the wall clock is an hour behind, or ahead.
                let isAfter = day > 3 || (day == 3 && place > 1)
                let shift: Int64 = isAfter ? change * 3600 : 0
                let seconds = first + day * 86_400 + Int64(minutes) * 60 + shift
                let entry = Diary.Entry(
                    id: "r\(day)-\(place)", takenAt: Instant(microseconds: 0) + .seconds(seconds),
                    readings: [Diary.reading(.systolic, day == 0 ? 200 : 150)])
                last = diary.take(entry)
            }
        }
        let evidence = try #require(last.outcome("home-mean")).evidence
        #expect(evidence.readingsMeant == 24 && evidence.daysMeant == 6 && evidence.measure == 150)
    }

    @Test func irregularPulse() {
        func judged(_ flagged: [Bool]) -> Severity? {
            var diary = Diary(["hypertension"])
            var level: Severity?
            for (place, isFlagged) in flagged.enumerated() {
                let flags: ReadingFlags = isFlagged ? .irregularPulse : []
                let readings = [
                    Diary.reading(.systolic, 130, flags: flags), Diary.reading(.pulse, 70, flags: flags, index: 1),
                ]
                let entry = Diary.Entry(
                    id: "r\(place)", takenAt: monday + .hours(Int64(place) * 12), readings: readings)
                level = diary.take(entry).level("irregular-pulse")
            }
            return level
        }
        #expect(judged([true]) == nil)
        #expect(judged([true, true]) == nil)
        #expect(judged([true, false, true, false, true]) == .amber)
        #expect(judged([true, false, false, true, false, false, true]) == .amber)
        #expect(judged([true, false, false, true, false, false, false, true]) == nil)
    }

    // MARK: - Diabetes

    @Test func highGlucoseWithKetones() {
        func judged(_ glucose: Double, _ ketones: Double, minutes: Int64 = 0, unit: UCUMUnit? = nil) -> Severity? {
            var diary = Diary(["diabetes"])
            diary.take(
                Diary.Entry(
                    id: "a", takenAt: monday - .minutes(minutes), readings: [Diary.reading(.ketones, ketones)]))
            return diary.take(Diary.Entry(id: "b", takenAt: monday, readings: [Diary.reading(.glucose, glucose, unit)]))
                .level("glucose-high")
        }
        #expect(judged(14, 1.6) == .red)
        #expect(judged(14, 1.5) == nil)
        #expect(judged(13.9, 1.6) == nil)
        #expect(judged(251, 1.6, unit: .milligramsPerDecilitre) == .red)
        #expect(judged(250, 1.6, unit: .milligramsPerDecilitre) == nil)
        #expect(judged(14, 1.6, minutes: 241) == nil)
    }

    @Test func ketonesOverThreeSayWhatToDo() {
        for (value, code) in [(3.0, nil), (3.1, "call-999")] as [(Double, String?)] {
            var diary = Diary(["diabetes"])
            let verdict = diary.take(
                Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.ketones, value)]))
            #expect(verdict.level("ketones-high") == .red && verdict.advice?.code == code)
        }
    }
}
