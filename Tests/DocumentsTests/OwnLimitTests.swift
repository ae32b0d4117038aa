import Clinical
import Registry
import Testing

@testable import Documents

/// A patient's own limits in the registry.
@Suite struct OwnLimitTests {
    /// A patient's `limits` of one line, and the problem that it makes.
    @Test(arguments: [
        (
            "{ kind: spo2, red_below: 89, amber_below: 88 }",
            "limits: inverted: red below must not be above amber below"
        ),
        (
            "{ kind: systolic, red_above: 160, amber_above: 170 }",
            "limits: inverted: red above must not be below amber above"
        ),
        (
            "{ kind: pulse, amber_below: 100, amber_above: 90 }",
            "limits: inverted: a limit below lies above a limit above"
        ),
        (
            "{ kind: spo2, red_below: 85, red_at_or_below: 85 }",
            "limits.red_at_or_below: stands beside red_below: only one of them can hold"
        ),
        ("{ kind: glucose, red_below: 70 }", "limits.red_below: glucose is 0.6 to 55.5 mmol/L, never 70"),
        ("{ kind: glucose, red_below: 70, unit: kg }", "limits.unit: glucose is not in kg"),
        (
            "{ kind: glucose, red_below: 70, unit: mgdl }",
            "limits.unit: expected a UCUM unit such as mm[Hg], mmol/L or mg/dL, found \"mgdl\""
        ),
        ("{ kind: spo2 }", "limits: names no limit"),
        ("{ kind: spo2, red: off }", "limits.red: off needs by, reason and until"),
        ("{ kind: spo2, red: off, by: cm-01, reason: end of life }", "limits.red: off needs by, reason and until"),
        ("{ kind: spo2, red: false, red_below: 80 }", "limits.red: expected off, found false"),
        (
            "{ kind: spo2, red: off, by: cm-01, reason: x, until: 2026-12-01, red_below: 80 }",
            "limits.red: is off here, but the same limit names a red"
        ),
        ("{ kind: spo2, red_below: 80, until: 2026-12-01 }", "limits.until: belongs to red: off"),
        ("{ kind: consciousness, red_above: 1 }", "limits.kind: consciousness has no limits: it is a code"),
        ("{ kind: spo2, red_below: 0x55 }", "limits.red_below: expected a number, found \"0x55\""),
        (
            "{ kind: spo2, red_bellow: 85 }",
            "limits: names no limit|unknown key \"limits.red_bellow\"; the nearest known key is \"red_below\""
        ),
        ("{ kind: spo2, red_below: 85 }, { kind: spo2, amber_below: 88 }", "limits: spo2 has this side twice"),
        // Against the pack's amber of 94: the own red replaces the low side whole, so nothing is inverted.
        ("{ kind: spo2, red_below: 95 }", ""),
        ("{ kind: spo2, red: off, by: cm-01, reason: end of life, until: 2026-12-01 }", ""),
        ("{ kind: spo2, red_below: 85 }, { kind: spo2, amber_above: 99 }", ""),
    ])
    func limits(list: String, problem: String) throws {
        let yaml = "patients:\n  - code: Q\n    site: north\n    limits: [ \(list) ]\n"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        let expected = problem.isEmpty ? [] : problem.split(separator: "|").map { "r.yaml:4: \($0)" }
        #expect(outcome.problems.map(\.description) == expected)
    }

    /// Against the built-in packs, whose reds stand where an own limit names none.
    @Test(arguments: [
        ("{ kind: spo2, amber_below: 88, by: cm-01, reason: r }", "", "spo2", "the red at 92 that stays"),
        ("{ kind: spo2, amber_at_or_below: 92, by: cm-01, reason: r }", "", "spo2", "the red at 92 that stays"),
        ("{ kind: spo2, amber_below: 96, by: cm-01, reason: r }", "", "", ""),
        ("{ kind: spo2, red_below: 85, amber_below: 88, by: cm-01, reason: r }", "", "", ""),
        ("{ kind: pulse, amber_above: 140, by: cm-01, reason: r }", "", "pulse", "the red at 131 that stays"),
        ("{ kind: pulse, amber_above: 120, by: cm-01, reason: r }", "", "", ""),
        // heart-failure's lower red replaces adult's.
        ("{ kind: systolic, amber_below: 85, by: cm-01, reason: r }", "heart-failure", "", ""),
        ("{ kind: systolic, amber_below: 85, by: cm-01, reason: r }", "", "systolic", "the red at 90 that stays"),
        ("{ kind: glucose, amber_below: 2.5, by: cm-01, reason: r }", "diabetes", "glucose", "the red at 3 that stays"),
    ])
    func anOwnAmberBeyondTheRedInForceIsRefused(
        limit: String, condition: String, kind: String, words: String
    ) throws {
        let yaml =
            "patients:\n  - code: Q\n    site: north\n    conditions: [ \(condition) ]\n    limits:\n      - \(limit)\n"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: BuiltInPacks.library()).build(storedEntries + entries)
        let found = outcome.problems.filter { $0.file == "r.yaml" }
        #expect(found.count == (kind.isEmpty ? 0 : 1), "\(found)")
        guard !kind.isEmpty, let problem = found.first else { return }
        #expect(problem.line == 5 || problem.line == 6)
        #expect(problem.message.contains("the limits of \(kind) are inverted"))
        #expect(problem.message.contains(words), "\(problem.message)")
    }

    @Test(arguments: [
        ("by: cm-01, reason: r", ""), ("by: cm-01", "reason missing"), ("", "by and reason missing"),
    ])
    func anOwnLimitWithoutItsAuthorIsNoticed(author: String, words: String) throws {
        let limit = ["kind: spo2", "red_below: 85", author].filter { !$0.isEmpty }.joined(separator: ", ")
        let yaml = "patients:\n  - code: Q\n    site: north\n    limits:\n      - { \(limit) }\n"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        #expect(outcome.problems == [])
        let notices = outcome.notices.filter { $0.file == "r.yaml" && $0.message.contains("who decided it") }
        #expect(notices.count == (words.isEmpty ? 0 : 1))
        #expect(notices.allSatisfy { $0.line == 5 && $0.message.hasSuffix(words) })
    }

    /// 23 Nov 2026.
    @Test(arguments: [
        ("2010-11-24", true), ("2010-11-23", false), ("2020-01-01", true), ("1950-01-01", false),
    ])
    func aChildIsRefused(born: String, isRefused: Bool) throws {
        let yaml = "patients:\n  - code: Q\n    site: north\n    born: \(born)\n"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let today = Instant(microseconds: 1_795_438_800_000_000)
        let outcome = RegistryBuilder(packs: testPacks, today: today).build(storedEntries + entries)
        #expect(outcome.problems.map(\.line) == (isRefused ? [4] : []))
        // The date is a person's own.
        #expect(!outcome.problems.contains { $0.message.contains(born) })
        #expect(RegistryBuilder(packs: testPacks).build(storedEntries + entries).problems == [])
    }

    @Test func anOwnLimitIsCheckedAgainstThePacksOtherSide() throws {
        let yaml = "patients:\n  - code: Q\n    site: north\n    limits:\n      - { kind: spo2, amber_above: 80 }\n"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        #expect(outcome.problems.count == 1)
        let problem = try #require(outcome.problems.first)
        #expect(problem.line == 4 || problem.line == 5)
        #expect(problem.message.contains("the limits of spo2 are inverted"))
    }

    @Test(arguments: [
        ("red_below: 54, amber_below: 70, unit: mg/dL", 3.0, 54.0, 3.9, 70.0),
        ("red_below: 3.0, amber_below: 3.9", 3.0, 54.0, 3.9, 70.0),
        ("red_at_or_below: 4.0, amber_below: 5.0, unit: mmol/L", 4.0, 72.0, 5.0, 90.0),
    ])
    func aGlucoseLimitIsAPair(limit: String, red: Double, redPair: Double, amber: Double, amberPair: Double) throws {
        let yaml = "patients: [ { code: Q, site: north, limits: [ { kind: glucose, \(limit) } ] } ]"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        #expect(outcome.problems == [])
        let code = try #require(Identifier("Q"))
        let low = try #require(outcome.registry.patients[code]?.profile.limits.first?.low)
        #expect(low.map(\.limit.value) == [red, amber])
        #expect(low.map(\.limit.milligramsPerDecilitre) == [redPair, amberPair])
        #expect(low.map(\.limit.inclusive) == [limit.contains("at_or"), false])
    }

    @Test func otherUnitsOfALimitAreConverted() throws {
        let yaml =
            "patients: [ { code: Q, site: north, limits: [ { kind: weight, amber_above: 200, unit: '[lb_av]' } ] } ]"
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        #expect(outcome.problems == [])
        let code = try #require(Identifier("Q"))
        let high = outcome.registry.patients[code]?.profile.limits.first?.high
        #expect(high?.first?.limit.value == 200 * 0.45359237)
    }
}
