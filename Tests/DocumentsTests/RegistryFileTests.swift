import Registry
import Testing

@testable import Documents

@Suite struct RegistryFileTests {
    private func problems(_ yaml: String) -> [String] {
        do {
            _ = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
            return []
        } catch {
            return error.problems.map(\.description)
        }
    }

    @Test(arguments: [
        ("site: []", "r.yaml:1: unknown key \"site\"; the nearest known key is \"sites\""),
        ("sites: { code: a }", "r.yaml:1: sites: expected a list, found a mapping"),
        ("sites: [ a ]", "r.yaml:1: sites: expected a mapping, found \"a\""),
        ("sites:\n  - name: A", "r.yaml:2: code is missing"),
        (
            "sites:\n  - { code: a b, name: A }",
            "r.yaml:2: code: expected a code of 1 to 64 of [A-Za-z0-9_-], found \"a b\""
        ),
        ("sites:\n  - { code: 010, name: A }", "r.yaml:2: code: expected text, found \"010\": put it in quotes"),
        (
            "sites:\n  - { code: a, name: A }\n  - { code: a, name: B }",
            "r.yaml:3: site a stands here a second time (first at r.yaml:2)"
        ),
        (
            "escalation:\n  - { site: a, class: clinical, severity: red, steps: [] }\n"
                + "  - { site: a, class: clinical, severity: red, when: always, steps: [] }",
            "r.yaml:3: escalation a/clinical/red/always stands here a second time (first at r.yaml:2)"
        ),
        (
            "escalation: [ { site: a, class: clinical, severity: crimson } ]",
            "r.yaml:1: severity: expected one of info, amber, red, found \"crimson\""
        ),
    ])
    func refused(yaml: String, problem: String) { #expect(problems(yaml) == [problem]) }

    @Test(arguments: ["", "# nothing\n", "sites:\npatients:\n", "{}"])
    func nothingIsNoProblem(yaml: String) { #expect(problems(yaml) == []) }

    @Test func exactlyThePresentFieldsAreThere() throws {
        let entries = try RegistryFile.parse(
            Array("patients: [ { code: Q, risk: high, baselines: { spo2: 91 }, phone: , pauses: [] } ]".utf8),
            file: "r.yaml")
        #expect(entries.map(\.key) == [RegistryKey(entity: .patient, code: "Q")])
        #expect(
            entries.first?.fields == [
                "risk": .string("high"), "baselines": .object(["spo2": .number(91)]), "phone": .null,
                "pauses": .array([]),
            ])
    }
}
