import Alerting
import Clinical
import Formats
import Testing

@testable import Ingestion

/// What an alert's JSON carries: everything that the judgement was made of.
@Suite struct ExplanationTests {
    private let key = ReportKey(device: Bench.device, report: Identifier("a", grammar: .report)!)

    private func parsed(_ json: String) throws -> JSONValue {
        let bytes = Array(json.utf8)
        return try JSONReader.value(bytes.span, maximumDepth: 8)
    }

    @Test func `a band's alert carries reading, limit, pack, the readings before it, and what was held back`() throws {
        var bench = Bench()
        for (id, value, age) in [("a", 172.0, 3), ("b", 174.0, 1)] as [(String, Double, Int64)] {
            try bench.commit(
                Bench.message(
                    Bench.payload(
                        id: id, takenAt: Bench.now - .minutes(age), readings: Bench.reading("systolic", value, "mm[Hg]")
                    )))
        }
        let opened = try #require(bench.store.rows.episodes.first?.events.first)
        let json = try parsed(opened.explanation)
        #expect(json["report"]?.string == "b")
        #expect(json["kind"]?.string == "systolic")
        #expect(json["value_sent"]?.number == 174)
        #expect(json["unit_sent"]?.string == "mm[Hg]")
        #expect(json["limit"]?["severity"]?.string == "red")
        #expect(json["limit"]?["side"]?.string == "high")
        #expect(json["limit"]?["value"]?.number == 170)
        #expect(json["limit"]?["occurrences"]?.number == 2)
        #expect(json["pack"]?.string == "adult")
        #expect(json["pack_hash"]?.string == "00")
        #expect(json["source"]?.string == "test")
        let others = try #require(json["other_readings"]?.array)
        #expect(others.map { $0["report"]?.string } == ["a"])
        #expect(others.map { $0["value_sent"]?.number } == [172])
        #expect(json["suppressed"]?["red_switched_off"]?.bool == false)
        #expect(opened.summary.contains("(adult pack 00, test)"))
    }

    @Test func `a score's alert carries each part, and a rule's its limit`() throws {
        let rule = Rule(
            name: "news2",
            levels: [RuleLevel(severity: .red, condition: .news2(.single, atLeast: 3), source: "RCP")])
        let pack = ProtocolPack(code: "adult", title: "Adult", contentHash: "1a2b3c4d5e", bands: [], rules: [rule])
        let plan = Plan(profile: PatientProfile(), packs: PackLibrary([pack]))
        let values: [(Kind, Double)] = [
            (.respiratoryRate, 25), (.spo2, 97), (.oxygen, 0), (.systolic, 120), (.pulse, 80), (.consciousness, 0),
            (.temperature, 36.6),
        ]
        let report = JudgedReport(
            key: key, takenAt: Bench.now, receivedAt: Bench.now,
            readings: values.enumerated().map { place, value in
                Reading(
                    index: place, kind: value.0, value: value.1, code: value.0 == .consciousness ? "A" : nil,
                    sentValue: value.1, sentUnit: value.0.canonicalUnit)
            })
        let outcome = try #require(judge(report, plan: plan, history: PatientHistory()).outcomes.first)
        let json = try parsed(
            Explanation.json(of: outcome, key: key, takenAt: Bench.now, receivedAt: Bench.now, refusal: .tooOld))
        #expect(json["refused"]?.string == "too-old")
        #expect(json["score"]?["total"]?.number == 3)
        #expect(json["score"]?["parts"]?["respiratory-rate"]?.number == 3)
        #expect(json["score"]?["values"]?["spo2"]?.number == 97)
        #expect(json["limit"]?["news2"]?.string == "single")
        #expect(json["limit"]?["at_least"]?.number == 3)
        #expect(json["pack_hash"]?.string == "1a2b3c4d5e")
        let sentence = Sentence.summary(
            of: outcome, takenAt: Bench.now, receivedAt: Bench.now, timeZone: "Europe/London")
        #expect(sentence.contains("(adult pack 1a2b3c4d, RCP)"))
    }
}
