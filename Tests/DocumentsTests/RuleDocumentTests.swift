import Clinical
import Testing

@testable import Documents

@Suite struct RuleDocumentTests {
    private func problems(_ rules: String, bands: String = "bands: []\n", head: String = "") -> [String] {
        let list = ProblemList()
        let text = "code: test\ntitle: A test\n" + head + bands + rules
        _ = PackDocument.parse(Array(text.utf8), file: "test.yaml", code: "test", list)
        return list.refusals.map(\.description)
    }

    private func rule(_ level: String) -> String {
        "rules:\n  - name: a-rule\n    source: a source\n    \(level)\n"
    }

    @Test func aGoodRule() throws {
        let list = ProblemList()
        let text = """
            code: test
            title: A test
            advice: { call-999: { en: Call 999, cy: Ffoniwch 999 } }
            bands: []
            rules:
              - name: a-rule
                clear_margin: 0.5
                worse_by: 1
                source: a source
                proposal: true
                red:
                  - { rise: weight, by: 3, within: 3d, with: { any_of: [tired], within: 24h }, advice: call-999 }
                  - { reading: glucose, above: { mmol/L: 13.9, mg/dL: 250 }, with: { reading: ketones, above: 1.5, within: 4h }, immediate: true, proposal: false }
                amber: { mean: systolic, at_or_above: 135, days: 7, leave_out_days: 1, minimum_readings: 12 }
            """
        let pack = try #require(PackDocument.parse(Array(text.utf8), file: "test.yaml", code: "test", list))
        let rule = try #require(pack.rules.first)
        #expect(rule.clearMargin == 0.5 && rule.worseBy == 1 && rule.levels.count == 3)
        #expect(rule.levels[0].condition == .change(.weight, .rise, by: 3, within: .days(3)))
        #expect(rule.levels[0].companion == RuleCompanion(.answers([.tired]), within: .hours(24)))
        #expect(rule.levels[0].advice?.text(in: "cy-GB") == "Ffoniwch 999")
        let glucose = Limit(value: 13.9, milligramsPerDecilitre: 250, inclusive: false)
        #expect(rule.levels[1].condition == .beyond(.glucose, .high, glucose))
        #expect(rule.levels.map(\.immediate) == [false, true, false])
        #expect(rule.levels.map(\.isProposal) == [true, false, true])
        #expect(
            rule.levels[2].condition
                == .mean(
                    .systolic, .high, Limit(value: 135, inclusive: true),
                    MeanWindow(days: 7, daysLeftOut: 1, minimumReadings: 12)))
    }

    /// Each fault at its line, in words that say what to do.
    @Test(arguments: [
        ("red: { rise: wieght, by: 2, within: 3d }", 7, "expected one of systolic"),
        ("red: { rise: consciousness, by: 2, within: 3d }", 7, "is a code and can't be counted with"),
        ("red: { rise: weight, by: 2 }", 7, "within is missing"),
        ("red: { rise: weight, by: 0, within: 3d }", 7, "must be more than 0"),
        ("red: { rise: weight, by: 2, within: 90d }", 7, "expected 1m to 31d"),
        ("red: { rise: weight, fall: weight, by: 2, within: 3d }", 7, "must have exactly one of rise, fall"),
        ("red: { by: 2, within: 3d }", 7, "must have exactly one of rise, fall"),
        ("red: { rise: weight, by: 2, within: 3d, ever: 2 }", 7, "unknown key \"rules.red.ever\""),
        ("red: { above_own: spo2, by: 2, from: dry-weight }", 7, "only weight has a dry weight"),
        ("red: { above_own: weight, by: 2, from: best }", 7, "expected one of baseline, dry-weight"),
        ("red: { below_own: weight, by: 2, from: baseline, only_below: { scale_1: 96, scale_2: 88 } }", 7, "only SpO2"),
        ("red: { mean: systolic, above: 500, days: 7, minimum_readings: 3 }", 7, "no reading of systolic gets there"),
        ("red: { mean: systolic, days: 7, minimum_readings: 3 }", 7, "must have exactly one of below"),
        ("red: { mean: glucose, above: 9, days: 7, minimum_readings: 3 }", 7, "expected a mapping"),
        ("red: { mean: systolic, above: 150, days: 7, leave_out_days: 7, minimum_readings: 3 }", 7, "leaves no day"),
        ("red: { count: 8, of_last: 7, within: 7d, flag: movement, kinds: [pulse] }", 7, "8 of 7 can't be"),
        ("red: { count: 3, of_last: 7, within: 7d, flag: wobble, kinds: [pulse] }", 7, "expected one of movement"),
        ("red: { count: 3, of_last: 7, within: 7d, flag: movement }", 7, "flag wants kinds"),
        ("red: { count: 3, of_last: 7, within: 7d }", 7, "counts neither a flag nor a kind"),
        ("red: { answers: [headache] }", 7, "expected one of more-breathless"),
        ("red: { answers: [tired], at_least: 2 }", 7, "there are only 1"),
        ("red: { news2: sum, at_or_above: 7 }", 7, "expected one of total, single"),
        ("red: { news2: single, at_or_above: 4 }", 7, "one parameter scores 3 at most"),
        ("red: { answers: [tired], with: { any_of: [confused], within: 24h } }", 7, "stands only beside rise"),
        ("red: { rise: weight, by: 2, within: 3d, with: { within: 24h } }", 7, "must have either any_of or reading"),
        ("amber: { answers: [tired], immediate: true }", 7, "only a red can be immediate"),
        ("red: { answers: [tired], advice: sit-down }", 7, "expected a code under the pack's advice"),
        (
            "red: { rise: weight, by: 1, within: 3d }\n    amber: { rise: weight, by: 2, within: 3d }", 7,
            "is inverted: red must lie beyond amber"
        ),
        (
            "red: { news2: total, at_or_above: 5 }\n    amber: { news2: total, at_or_above: 5 }", 7,
            "is inverted: red must lie beyond amber"
        ),
        (
            """
            amber:
                  - { mean: systolic, above: 135, days: 7, minimum_readings: 3, age_below: 80 }
                  - { mean: systolic, above: 145, days: 7, minimum_readings: 3, age_from: 85 }
            """, 9, "a-rule leaves a gap: nothing holds from 80 to 84"
        ),
        (
            """
            amber:
                  - { mean: systolic, above: 135, days: 7, minimum_readings: 3, age_below: 80 }
                  - { mean: systolic, above: 145, days: 7, minimum_readings: 3, age_from: 75 }
            """, 9, "a-rule overlaps: two hold from the age of 75"
        ),
        ("clear_margin: 1", 5, "has neither red nor amber"),
    ])
    func faults(level: String, line: Int, message: String) {
        let found = problems(rule(level))
        #expect(found.contains { $0.hasPrefix("test.yaml:\(line): ") && $0.contains(message) }, "\(found)")
    }

    @Test func names() {
        let good = rule("red: { answers: [tired] }")
        #expect(problems(good).isEmpty)
        for name in ["A rule", "-a", "late-red", "unverified-red", "\"\""] {
            #expect(problems(good.replacing("a-rule", with: name)).count == 1, "\(name)")
        }
        #expect(problems(good + good.dropFirst("rules:\n".count)).contains { $0.contains("a-rule stands here twice") })
        let sourceless = good.replacing("    source: a source\n", with: "")
        #expect(problems(sourceless).contains { $0.contains("has no source") })
    }

    @Test func bandsOfAges() {
        func bands(_ first: String, _ second: String) -> String {
            func band(_ ages: String) -> String {
                "  - { kind: diastolic, side: high, \(ages), source: a source, amber: { above: 85 } }\n"
            }
            return "bands:\n" + band(first) + band(second)
        }
        #expect(problems("", bands: bands("age_below: 80", "age_from: 80")).isEmpty)
        // One alone is for those ages: the others are adult's.
        let alone = "bands:\n  - { kind: diastolic, side: high, age_from: 80, source: a, amber: { above: 85 } }\n"
        #expect(problems("", bands: alone).isEmpty)
        #expect(
            problems("", bands: bands("age_below: 80", "age_from: 81")) == [
                "test.yaml:5: bands: diastolic-high leaves a gap: nothing holds from 80 to 80"
            ])
        #expect(
            problems("", bands: bands("age_below: 80", "age_from: 79")) == [
                "test.yaml:5: bands: diastolic-high overlaps: two hold from the age of 79"
            ])
        #expect(
            problems("", bands: bands("age_below: 80", "age_below: 80")).contains { $0.contains("stands here twice") })
        #expect(
            problems("", bands: bands("age_below: 60", "age_below: 80, age_from: 60")).contains {
                $0.contains("nothing holds from the age of 80")
            })
    }

    @Test func confirmationAndAdviceOfBands() {
        func band(_ red: String) -> [String] {
            problems(
                "", bands: "bands:\n  - { kind: pulse, side: high, source: a source, red: { above: 120, \(red) } }\n")
        }
        #expect(band("times: 2, within: 24h, repeat_after: 30m").isEmpty)
        #expect(band("repeat_after: 30m").contains { $0.contains("stands beside a red limit with times: 2") })
        #expect(band("times: 2, within: 24h, repeat_after: 30s").contains { $0.contains("expected 1m to 24h") })
        #expect(band("advice: call-999").contains { $0.contains("expected a code under the pack's advice") })
        #expect(problems("", head: "advice: { a: { cy: Helo } }\n").contains { $0.contains("a has no text in en") })
        #expect(problems("", head: "news2_window: 15m\n").contains { $0.contains("stands only in adult.yaml") })
    }
}
