import Clinical
import Documents
import Testing

/// Seeded, so that a failure can be repeated from the seed that its message shows.
private struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct RulePropertyTests {
    private static let conditions = ["copd", "heart-failure", "hypertension", "diabetes"]
    private let monday = Diary.monday

    private func diary() -> Diary {
        Diary(Self.conditions) {
            $0.baselines = [.spo2: 95, .catScore: 14, .weight: 80]
            $0.dryWeight = 79
            $0.born = CalendarDate(year: 1950, month: 3, day: 1)
        }
    }

    /// A patient's day or two, a report each few hours.
    private func entries(_ random: inout SplitMix64, count: Int) -> [Diary.Entry] {
        (0..<count).map { place in
            var entry = Diary.Entry(
                id: "r\(place)",
                takenAt: monday + .hours(Int64(place) * 7) + .minutes(Int64.random(in: 0..<60, using: &random)))
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                let weight = 80 + (Double.random(in: -3...3, using: &random) * 10).rounded() / 10
                entry.readings = [Diary.reading(.weight, weight)]
            case 1:
                entry.answers = Question.allCases.filter { _ in Bool.random(using: &random) }.map {
                    SentAnswer(question: .known($0), value: .boolean(Bool.random(using: &random)))
                }
            case 2:
                let flags: ReadingFlags = Bool.random(using: &random) ? .irregularPulse : []
                let systolic = Double(Int.random(in: 110...182, using: &random))
                entry.readings = [
                    Diary.reading(.systolic, systolic, flags: flags),
                    Diary.reading(.diastolic, systolic - 50, index: 1),
                ]
            case 3: entry.readings = [Diary.reading(.catScore, Double(Int.random(in: 12...18, using: &random)))]
            default:
                entry.readings = [
                    Diary.reading(.glucose, Double(Int.random(in: 4...17, using: &random))),
                    Diary.reading(.ketones, Double(Int.random(in: 0...4, using: &random)) / 2, index: 1),
                ]
            }
            return entry
        }
    }

    /// The worst that each rule has said of each episode of the patient, whatever came when. Confirmation apart, which
    /// is about what came first.
    private func worst(_ entries: [Diary.Entry]) -> [String: Severity] {
        var diary = diary()
        var worst: [String: Severity] = [:]
        for entry in entries {
            // Each is received when it is taken: this is about order, not about lateness.
            for outcome in diary.take(entry).outcomes {
                guard let level = outcome.level else { continue }
                worst[outcome.rule] = max(worst[outcome.rule] ?? level, level)
            }
        }
        return worst
    }

    /// What does not depend on which readings were suspect when they came ends the same in whatever order it arrives.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64]) func theOrderOfArrivalChangesNothing(seed: UInt64) {
        var random = SplitMix64(state: seed)
        for round in 0..<12 {
            // Within 2 kg of each other nothing is suspect.
            let drawn = entries(&random, count: 14).map { entry in
                var entry = entry
                for place in entry.readings.indices where entry.readings[place].kind == .weight {
                    entry.readings[place] = Diary.reading(
                        .weight, 79 + entry.readings[place].value.remainder(dividingBy: 3))
                }
                return entry
            }
            var inOrder = worst(drawn)
            var shuffled = worst(drawn.shuffled(using: &random))
            // A mean is of what is known when it is taken.
            inOrder["home-mean"] = nil
            shuffled["home-mean"] = nil
            #expect(inOrder == shuffled, "seed \(seed), round \(round)")
        }
    }

    /// A report that is judged again, its readings and answers already in the history, gets the same verdict.
    @Test(arguments: [7, 8, 9] as [UInt64]) func judgedAgainIsTheSame(seed: UInt64) {
        var random = SplitMix64(state: seed)
        var diary = diary()
        for entry in entries(&random, count: 60) {
            let once = diary.take(entry)
            #expect(diary.take(entry) == once, "seed \(seed), \(entry.id)")
        }
    }

    /// More of it is never milder: a gain, a score, a count of symptoms.
    @Test(arguments: [10, 11, 12] as [UInt64]) func severityGrows(seed: UInt64) {
        func rank(_ level: Severity?) -> Int { level == .red ? 2 : level == .amber ? 1 : 0 }
        var random = SplitMix64(state: seed)
        for _ in 0..<40 {
            let hours = Int64.random(in: 1...168, using: &random)
            let isBreathless = Bool.random(using: &random)
            var last = 0
            for tenths in 0...60 {
                var diary = diary()
                diary.take(Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.weight, 70)]))
                let verdict = diary.take(
                    Diary.Entry(
                        id: "b", takenAt: monday + .hours(hours),
                        readings: [Diary.reading(.weight, 70 + Double(tenths) / 10)],
                        answers: isBreathless ? Diary.yes(.moreBreathless) : []))
                let now = rank(verdict.level("weight-gain"))
                #expect(now >= last, "seed \(seed), \(hours) h, \(tenths)")
                last = now
            }
        }
        var last = 0
        for score in 0...40 {
            var diary = diary()
            let entry = Diary.Entry(id: "a", takenAt: monday, readings: [Diary.reading(.catScore, Double(score))])
            let now = rank(diary.take(entry).level("cat-score-change"))
            #expect(now >= last)
            last = now
        }
    }

    /// Each parameter made worse never lowers a complete score's level.
    @Test(arguments: [13, 14, 15] as [UInt64]) func aHigherScoreIsNeverMilder(seed: UInt64) {
        var random = SplitMix64(state: seed)
        var byTotal: [Int: Set<Int>] = [:]
        for _ in 0..<400 {
            let values: [(Kind, Double)] = [
                (.respiratoryRate, Double(Int.random(in: 6...30, using: &random))),
                (.spo2, Double(Int.random(in: 88...99, using: &random))),
                (.oxygen, Double(Int.random(in: 0...1, using: &random) * 2)),
                (.systolic, Double(Int.random(in: 85...225, using: &random))),
                (.pulse, Double(Int.random(in: 38...135, using: &random))), (.consciousness, 0),
                (.temperature, Double(Int.random(in: 345...395, using: &random)) / 10),
            ]
            var diary = Diary()
            let readings = values.enumerated().map { Diary.reading($1.0, $1.1, index: $0) }
            let verdict = diary.take(Diary.Entry(id: "a", takenAt: monday, readings: readings))
            guard let outcome = verdict.outcome("news2"), let score = outcome.evidence.score, let total = score.total
            else {
                Issue.record("seed \(seed): no score of a complete report")
                continue
            }
            #expect((outcome.level == .red) == (total >= 7))
            #expect((outcome.level == .amber) == (total < 7 && (total >= 5 || score.highestSingle == 3)))
            byTotal[total, default: []].insert(outcome.level == .red ? 2 : outcome.level == .amber ? 1 : 0)
        }
        #expect(byTotal.count > 5, "seed \(seed): \(byTotal)")
    }
}
