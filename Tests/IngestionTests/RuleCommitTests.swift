import Alerting
import Clinical
import Formats
import Registry
import TestSupport
import Testing

@testable import Ingestion

/// Rules beyond the bands through the commit: what they are given of the store, and what becomes of them.
@Suite struct RuleCommitTests {
    private static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Test adult", contentHash: "00",
            bands: [
                Band(
                    kind: .systolic, side: .high,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 170, inclusive: false), occurrences: 2,
                                repeatAfter: .minutes(20)), source: "test")
                    ], clearMargin: 5)
            ],
            rules: [
                Rule(
                    name: "weight-gain",
                    levels: [
                        RuleLevel(
                            severity: .amber, condition: .change(.weight, .rise, by: 2, within: .days(3)),
                            source: "test")
                    ]),
                Rule(
                    name: "symptoms",
                    levels: [
                        RuleLevel(
                            severity: .red, condition: .answers([.chestPain], atLeast: 1, days: 1), immediate: true,
                            advice: Advice(code: "call-999", texts: ["en": "Call 999", "cy": "Ffoniwch 999"]),
                            source: "test"),
                        RuleLevel(
                            severity: .amber, condition: .answers([.tired], atLeast: 1, days: 2), source: "test"),
                    ]),
                Rule(
                    name: "news2",
                    levels: [
                        RuleLevel(
                            severity: .red, condition: .news2(.total, atLeast: 7), immediate: true, source: "test")
                    ]),
            ])
    ])

    private func bench(language: String = "en") -> Bench {
        var bench = Bench()
        bench.processor = BatchProcessor(packs: Self.packs)
        bench.store.currentRegistry.patients[Bench.patient]?.details.language = language
        return bench
    }

    private func code(_ letter: String) -> String { "{\"kind\":\"consciousness\",\"value\":\"\(letter)\"}" }

    private func message(
        _ id: String, _ readings: [String] = [], answers: String = "", at takenAt: Instant = Bench.now,
        receivedAt: Instant? = nil
    ) -> Message {
        Bench.message(
            Bench.payload(id: id, takenAt: takenAt, readings: readings.joined(separator: ","), answers: answers),
            receivedAt: receivedAt ?? takenAt)
    }

    private func yes(_ question: String) -> String { "{\"question\":\"\(question)\",\"value\":true}" }

    @Test func aChangeOverTwoBatchesAndWithinOne() throws {
        var two = bench()
        try two.commit(message("a", [Bench.reading("weight", 80, "kg")]))
        try two.commit(message("b", [Bench.reading("weight", 82, "kg")], at: Bench.now + .days(2)))
        #expect(two.open == ["weight-gain": .amber])
        var one = bench()
        try one.commit(
            message("a", [Bench.reading("weight", 80, "kg")]),
            message("b", [Bench.reading("weight", 82, "kg")], at: Bench.now + .days(2)))
        #expect(one.open == two.open)
        // Sent again it changes nothing.
        try one.commit(message("b", [Bench.reading("weight", 82, "kg")], at: Bench.now + .days(2)))
        #expect(one.store.openEpisodes == two.store.openEpisodes)
    }

    @Test func answersOfTheDayBefore() throws {
        var bench = bench()
        try bench.commit(message("a", answers: yes("tired")))
        #expect(bench.open.isEmpty)
        try bench.commit(message("b", answers: yes("tired"), at: Bench.now + .days(1)))
        #expect(bench.open == ["symptoms": .amber])
    }

    @Test(arguments: [("en", "Call 999"), ("cy", "Ffoniwch 999"), ("de", "Call 999")])
    func adviceInThePatientsLanguage(language: String, text: String) throws {
        var bench = bench(language: language)
        var batch = [
            bench.candidate(message("a", answers: yes("tired"))),
            bench.candidate(message("b", answers: yes("chest-pain"))),
        ]
        _ = try bench.processor.commit(&batch, to: bench.store)
        #expect(batch[0].outcome.advice == nil)
        #expect(batch[1].outcome.advice == Receipt.Advice(code: "call-999", text: text))
        #expect(bench.open == ["symptoms": .red])
    }

    /// Where reds end in range, as in a replay, the end says what it was.
    @Test func aRedThatItsRepeatDidNotConfirmSaysSo() throws {
        var bench = bench()
        var options = BatchProcessor.Options()
        options.redsEndInRange = true
        options.holdsReds = false
        bench.processor = BatchProcessor(packs: Self.packs, options: options)
        try bench.commit(message("a", [Bench.reading("systolic", 178, "mm[Hg]")]))
        #expect(bench.open == ["systolic-high": .red])
        try bench.commit(message("b", [Bench.reading("systolic", 150, "mm[Hg]")], at: Bench.now + .minutes(10)))
        #expect(bench.open.isEmpty)
        let last = try #require(bench.store.rows.episodes.last?.events.last)
        #expect(last.transition == .backInRange && last.summary.contains("not confirmed, 178 mmHg then 150 mmHg"))
    }

    // MARK: - NEWS2 from two devices

    private let first = [
        Bench.reading("respiratory-rate", 24, "/min"), Bench.reading("oxygen", 2, "L/min"),
        Bench.reading("temperature", 36, "Cel"),
    ]
    private let second = [
        Bench.reading("spo2", 92, "%"), Bench.reading("pulse", 80, "/min"), Bench.reading("systolic", 120, "mm[Hg]"),
    ]

    @Test(arguments: [[0, 1], [1, 0]]) func aScoreOfTwoReports(order: [Int]) throws {
        let messages = [
            message("a", first + [code("A")]),
            message("b", second, at: Bench.now + .minutes(10), receivedAt: Bench.now + .minutes(10)),
        ]
        var bench = bench()
        for place in order { try bench.commit(messages[place]) }
        // What comes late completes the score of what came before it.
        #expect(bench.open == ["news2": .red])
        var together = self.bench()
        try together.commit(messages[order[0]], messages[order[1]])
        #expect(together.open == ["news2": .red])
    }

    /// The store is asked once for a patient whose consciousness nobody reports, and again where somebody did.
    @Test func afterARestartTheStoreIsAsked() throws {
        var bench = bench()
        try bench.commit(message("a", first + [code("A")]))
        bench.processor = BatchProcessor(packs: Self.packs)
        try bench.commit(message("b", second, at: Bench.now + .minutes(10)))
        #expect(bench.open == ["news2": .red])
    }

    /// A report that comes late may reach further back than anybody has looked since the reconnect.
    @Test(arguments: [false, true]) func aLateReportFindsWhatWasSaidBeforeAReconnect(isSaidAgain: Bool) throws {
        var bench = bench()
        try bench.commit(message("a", first + [code("A")]))
        bench.processor.forgetStoreState()
        let later = Bench.now + .hours(2)
        try bench.commit(
            message("b", [Bench.reading("pulse", 80, "/min")] + (isSaidAgain ? [code("A")] : []), at: later))
        try bench.commit(message("c", second, at: Bench.now + .minutes(10), receivedAt: later + .minutes(1)))
        #expect(bench.open == ["news2": .red])
    }

    @Test func whatIsKnownOfConsciousnessReachesAsFarAsSomebodyLooked() {
        let now = Bench.now
        var word = ConsciousnessWord()
        #expect(!word.isSilent(since: now))
        word.add(ConsciousnessWord(newest: now - .hours(3)))
        #expect(!word.isSilent(since: now), "nobody has looked")
        word.add(ConsciousnessWord(searchedSince: now - .hours(1)))
        #expect(word.isSilent(since: now - .hours(1)))
        #expect(!word.isSilent(since: now - .hours(1) - .seconds(1)))
        word.add(ConsciousnessWord(newest: now - .minutes(30), searchedSince: now - .hours(9)))
        #expect(!word.isSilent(since: now - .minutes(30)))
        #expect(word.isSilent(since: now - .minutes(29)))
    }

    @Test func anImmediateAnswerOfARefusedReport() throws {
        var bench = bench()
        let late = message("a", answers: yes("chest-pain"), at: Bench.now + .hours(1), receivedAt: Bench.now)
        #expect(try bench.commit(late) == [.quarantined(.clockFuture)])
        #expect(bench.open == ["unverified-red": .red])
    }

    @Test func aWeightThatIsNotThisPersonsIsStoredSuspect() throws {
        var bench = bench()
        try bench.commit(message("a", [Bench.reading("weight", 80, "kg")]))
        var batch = [
            bench.candidate(message("b", [Bench.reading("weight", 60, "kg")], at: Bench.now + .days(1))),
            bench.candidate(
                message("c", [Bench.reading("weight", 80.4, "kg")], at: Bench.now + .days(1) + .minutes(5))),
        ]
        _ = try bench.processor.commit(&batch, to: bench.store)
        #expect(batch.map(\.outcome.repeatAfterMinutes) == [30, nil])
        let suspicions = bench.store.rows.reports.suffix(2).map { $0.readings.map(\.suspicions) }
        #expect(suspicions == [[[.unlikelyForPerson]], [[]]])
        #expect(bench.open.isEmpty)
    }

    // MARK: - Replay equals live

    /// One by one, as a replay takes them, or in batches of any size: the same alerts with the same words.
    @Test(arguments: [1, 2, 3, 4, 5] as [UInt64]) func batchesOfAnySizeGiveTheSameAlerts(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let messages = (0..<60).map { place -> Message in
            let at = Bench.now + .minutes(Int64(place) * 6)
            switch Int.random(in: 0..<6, using: &random) {
            case 0: return message("r\(place)", [code(Bool.random(using: &random) ? "A" : "V")], at: at)
            case 1: return message("r\(place)", first, at: at)
            case 2: return message("r\(place)", second, at: at)
            case 3:
                let weight = Double(Int.random(in: 790...830, using: &random)) / 10
                return message("r\(place)", [Bench.reading("weight", weight, "kg")], at: at)
            case 4:
                let systolic = Double(Int.random(in: 160...180, using: &random))
                return message("r\(place)", [Bench.reading("systolic", systolic, "mm[Hg]")], at: at)
            default: return message("r\(place)", answers: yes("tired"), at: at)
            }
        }
        func episodes(_ sizes: () -> Int) throws -> [String] {
            var bench = bench()
            var rest = messages[...]
            while !rest.isEmpty {
                let taken = rest.prefix(sizes())
                rest = rest.dropFirst(taken.count)
                var batch = taken.map(bench.candidate)
                _ = try bench.processor.commit(&batch, to: bench.store)
            }
            return bench.store.openEpisodes.map { "\($0.rule) \($0.severity) \($0.summary)" }.sorted()
        }
        let oneByOne = try episodes { 1 }
        let batches = try episodes { Int.random(in: 1...15, using: &random) }
        #expect(oneByOne == batches && !oneByOne.isEmpty, "seed \(seed)")
    }
}
