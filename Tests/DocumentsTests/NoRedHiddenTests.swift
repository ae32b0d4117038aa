import Clinical
import Documents
import Testing

/// Clinical facts, section 4, "Nothing may delay or hide a red": what of it the rules themselves decide. How alerts
/// speak again, are grouped and closed is tested where alerts are made.
@Suite struct NoRedHiddenTests {
    private let monday = Diary.monday

    private func pressure(_ systolic: Double, _ diastolic: Double) -> [Reading] {
        [Diary.reading(.systolic, systolic), Diary.reading(.diastolic, diastolic, index: 1)]
    }

    // MARK: - NEWS2 in the adult pack

    private func news2(_ change: [(Kind, Double)], scale: Int = 1, born: Int? = nil) -> Verdict {
        var values: [(Kind, Double)] = [
            (.respiratoryRate, 16), (.spo2, 97), (.oxygen, 0), (.systolic, 120), (.pulse, 70), (.consciousness, 0),
            (.temperature, 37),
        ]
        for (kind, value) in change { values.removeAll { $0.0 == kind;  }; values.append((kind, value)) }
        var diary = Diary {
            $0.news2Scale = scale
            $0.born = born.flatMap { CalendarDate(year: $0, month: 1, day: 1) }
        }
        let readings = values.enumerated().map { Diary.reading($1.0, $1.1, index: $0) }
        return diary.take(Diary.Entry(id: "a", takenAt: monday, readings: readings))
    }

    @Test func news2Alerts() throws {
        #expect(news2([]).level("news2") == nil)
        #expect(news2([]).outcome("news2")?.clears == true)
        #expect(news2([(.respiratoryRate, 21), (.pulse, 111)]).level("news2") == nil)
        #expect(news2([(.respiratoryRate, 21), (.pulse, 111), (.temperature, 38.1)]).level("news2") == .amber)
        #expect(news2([(.temperature, 35)]).level("news2") == .amber)
        let red = try #require(
            news2([(.respiratoryRate, 24), (.spo2, 92), (.oxygen, 2), (.temperature, 36)]).outcome("news2"))
        #expect(red.level == .red && red.immediate && red.evidence.score?.total == 7 && red.worseness == 7)
        #expect(news2([(.temperature, 35)], born: 2015).level("news2") == .info)
    }

    @Test func aPartialScoreRaisesNothing() {
        var diary = Diary()
        let readings = [Diary.reading(.respiratoryRate, 30), Diary.reading(.consciousness, 2, index: 1)]
        #expect(diary.take(Diary.Entry(id: "a", takenAt: monday, readings: readings)).level("news2") == .info)
    }

    @Test func news2FromTwoDevices() {
        var diary = Diary()
        let first: [(Kind, Double)] = [(.respiratoryRate, 24), (.consciousness, 0), (.oxygen, 2), (.temperature, 36)]
        let second: [(Kind, Double)] = [(.spo2, 92), (.pulse, 80), (.systolic, 120)]
        func entry(_ id: String, _ values: [(Kind, Double)], _ at: Instant) -> Diary.Entry {
            Diary.Entry(id: id, takenAt: at, readings: values.enumerated().map { Diary.reading($1.0, $1.1, index: $0) })
        }
        #expect(diary.take(entry("a", first, monday)).level("news2") == .info)
        #expect(diary.take(entry("b", second, monday + .minutes(15))).level("news2") == .red)
        #expect(diary.take(entry("c", second, monday + .minutes(15) + .seconds(1))).level("news2") == .info)
    }

    // MARK: - 1. Suspect is a mark

    @Test(
        arguments: [
            (86.0, [Suspicion.unlikelyForPerson]), (85, []), (83.5, []), (75, []), (74.9, [.unlikelyForPerson]),
            (176.4, [.likelyOtherUnit, .unlikelyForPerson]), (36.3, [.likelyOtherUnit, .unlikelyForPerson]),
        ])
    func aWeightThatIsNotThisPersons(value: Double, expected: [Suspicion]) {
        let diary = Diary(["heart-failure"])
        let history = PatientHistory(
            readings: [79.8, 80, 80.2].enumerated().map { day, weight in
                PastReading(
                    key: Diary.key("p\(day)"), index: 0, kind: .weight, value: weight, sentValue: weight,
                    sentUnit: .kilogram, takenAt: monday - .days(Int64(day) + 2))
            })
        var readings = [Diary.reading(.weight, value)]
        diary.plan.markSuspicions(in: &readings, at: monday, history: history)
        diary.plan.markSuspicions(in: &readings, at: monday, history: history)
        #expect(readings[0].suspicions == expected)
    }

    @Test func threeKilogramsInADayAreSuspectAndJudged() throws {
        var diary = Diary(["heart-failure"])
        diary.take(Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.weight, 80)]))
        let verdict = diary.take(
            Diary.Entry(id: "b", takenAt: monday + .hours(24), readings: [Diary.reading(.weight, 83.1)]))
        let red = try #require(verdict.outcome("weight-gain"))
        #expect(red.level == .red && red.suspect && !red.clears)
        let words = Sentence.summary(
            of: red, takenAt: monday + .hours(24), receivedAt: monday + .hours(24), timeZone: "Europe/London")
        #expect(words.contains("suspect, repeat asked"))
        // Another person's weight is no measure for the next one.
        let after = diary.take(
            Diary.Entry(id: "c", takenAt: monday + .hours(25), readings: [Diary.reading(.weight, 80.1)]))
        #expect(after.level("weight-loss") == nil && after.level("weight-gain") == nil)
    }

    @Test func glucoseInTheOtherUnit() {
        var diary = Diary(["diabetes"])
        for day in 1...5 as ClosedRange<Int64> {
            diary.take(
                Diary.Entry(id: "p\(day)", takenAt: monday - .days(day), readings: [Diary.reading(.glucose, 11)]))
        }
        // 11 mmol/L typed where mg/dL is asked for: red at once, with the word.
        let verdict = diary.take(
            Diary.Entry(
                id: "a", takenAt: monday, readings: [Diary.reading(.glucose, 11, .milligramsPerDecilitre)]))
        let low = verdict.assessments.first { $0.rule == "glucose-low" }
        #expect(low?.level == .red && low?.suspect == true && low?.immediate == true)
        #expect(low?.reading.suspicions == [.likelyOtherUnit])
    }

    // MARK: - 2. A refusal never silences a red

    @Test func anImmediateAnswerOfARefusedReport() {
        let diary = Diary(["heart-failure"])
        func reds(_ answers: [SentAnswer]) -> [String] {
            let report = JudgedReport(
                key: Diary.key("a"), takenAt: monday + .days(9), receivedAt: monday, readings: [], answers: answers)
            return immediateOutcomes(of: report, at: monday, plan: diary.plan).map(\.rule)
        }
        #expect(reds(Diary.yes(.chestPain)) == ["heart-failure-symptoms"])
        #expect(reds(Diary.yes(.tired)) == [])
        #expect(reds(Diary.no(.chestPain)) == [])
    }

    // MARK: - 4. Confirmation

    @Test func theFirstIsAmberAndAsksForARepeat() throws {
        var diary = Diary(["hypertension"])
        let verdict = diary.take(Diary.Entry(id: "a", takenAt: monday, readings: pressure(178, 101)))
        #expect(verdict.level("systolic-high") == .amber)
        let received = monday + .seconds(2)
        let confirmation = try #require(verdict.confirmations(receivedAt: received).first)
        #expect(verdict.confirmations(receivedAt: received).count == 1)
        #expect(confirmation.rule == "systolic-high" && confirmation.due == received + .minutes(30))
        #expect(confirmation.red.level == .red && confirmation.red.limit?.severity == .red)
        let silence = Sentence.silence(
            confirmation, takenAt: monday, receivedAt: received, timeZone: "Europe/London")
        #expect(silence.contains("above the red limit of 170 mmHg") && silence.contains("not repeated within 30 min"))
    }

    @Test func aSecondIsRedAndANormalOneLeavesItUnconfirmed() throws {
        var diary = Diary(["hypertension"])
        diary.take(Diary.Entry(id: "a", takenAt: monday, readings: pressure(178, 101)))
        var confirmed = diary
        let again = confirmed.take(
            Diary.Entry(id: "b", takenAt: monday + .minutes(20), readings: pressure(175, 100)))
        #expect(again.level("systolic-high") == .red && again.confirmations(receivedAt: monday).isEmpty)
        let normal = diary.take(Diary.Entry(id: "b", takenAt: monday + .minutes(20), readings: pressure(150, 88)))
        let assessment = try #require(normal.assessments.first { $0.rule == "systolic-high" })
        #expect(assessment.level == nil && assessment.unconfirmed?.value == 178 && assessment.clears)
        let words = Sentence.summary(
            of: assessment, takenAt: monday, receivedAt: monday, timeZone: "Europe/London")
        #expect(words.contains("not confirmed, 178 mmHg then 150 mmHg"))
        // Said once: the reading after that has nothing to confirm.
        let later = diary.take(Diary.Entry(id: "c", takenAt: monday + .hours(2), readings: pressure(150, 88)))
        let isSaidAgain = later.assessments.contains { $0.unconfirmed != nil }
        #expect(!isSaidAgain)
    }

    @Test func whatCannotBeHeldIsRedAtOnce() {
        var diary = Diary(["hypertension"])
        diary.mayHold = false
        let verdict = diary.take(Diary.Entry(id: "a", takenAt: monday, readings: pressure(178, 118)))
        #expect(verdict.level("systolic-high") == .red && verdict.level("diastolic-high") == .red)
        #expect(verdict.confirmations(receivedAt: monday).isEmpty)
        #expect(verdict.repeatAfter == .minutes(30))
    }

    /// Immediate limits are never held, whoever can ask.
    @Test func immediateLimitsAreNeverHeld() {
        var diary = Diary(["hypertension"])
        let verdict = diary.take(Diary.Entry(id: "a", takenAt: monday, readings: pressure(220, 130)))
        #expect(verdict.level("systolic-high") == .red && verdict.level("diastolic-high") == .red)
        #expect(verdict.confirmations(receivedAt: monday).isEmpty)
        let held = verdict.assessments.contains { $0.level == .red && !$0.immediate }
        #expect(!held)
    }

    // MARK: - 7. Green must be earned

    @Test func aRuleThatLacksWhatItNeedsSaysSo() {
        #expect(Diary(["asthma"]).plan.lacking.map(\.description) == ["Peak flow has no baseline"])
        #expect(Diary(["anticoagulation"]).plan.lacking == [.packDisabled("anticoagulation")])
        #expect(Diary(["copd", "heart-failure", "hypertension", "diabetes"]).plan.lacking.isEmpty)
    }

    // MARK: - 8. A late red is clinical

    @Test func aLateSymptomIsARedAndThenALateRed() {
        var diary = Diary(["heart-failure"])
        let entry = Diary.Entry(id: "a", takenAt: monday, answers: Diary.yes(.chestPain))
        #expect(diary.take(entry, receivedAt: monday + .hours(24)).level("heart-failure-symptoms") == .red)
        var other = Diary(["heart-failure"])
        let late = other.take(entry, receivedAt: monday + .hours(24) + .seconds(1))
        #expect(late.outcomes.isEmpty && late.assessments.isEmpty && late.lateOutcomes.map(\.level) == [.red])
    }
}
