import Clinical
import Registry
import Testing

@testable import Documents

/// Who is told must be somebody.
@Suite struct UncoveredPatientTests {
    @Test(arguments: [
        ("care_managers: [ { code: c, site: a } ]\npatients: [ { code: Q, site: a, key_worker: c } ]", true),
        (
            "care_managers: [ { code: c, site: a, mobile: \"+447700900123\" } ]\n"
                + "patients: [ { code: Q, site: a, key_worker: c } ]", false
        ),
        ("care_managers: [ { code: c, site: a, email: a@b.org } ]\npatients: [ { code: Q, site: a } ]", true),
        (
            "care_managers: [ { code: c, site: a, email: a@b.org, role: team-lead } ]\n"
                + "patients: [ { code: Q, site: a } ]", false
        ),
        (
            "care_managers: [ { code: c, site: b, email: a@b.org, role: team-lead } ]\n"
                + "patients: [ { code: Q, site: a } ]", true
        ),
        // Told in hours only: the rest of the day falls back on the standard chain, which reaches nobody.
        (
            "care_managers: [ { code: c, site: a, email: a@b.org } ]\npatients: [ { code: Q, site: a } ]\n"
                + "escalation:\n"
                + "  - { site: a, class: clinical, severity: red, when: in-hours, steps: [ { to: c, after: 0m } ] }\n"
                + "  - { site: a, class: clinical, severity: amber, steps: [ { to: c, after: 0m } ] }", true
        ),
        (
            "care_managers: [ { code: c, site: a, email: a@b.org } ]\npatients: [ { code: Q, site: a } ]\n"
                + "escalation:\n"
                + "  - { site: a, class: clinical, severity: red, steps: [ { to: c, after: 0m } ] }\n"
                + "  - { site: a, class: clinical, severity: amber, steps: [ { to: c, after: 0m } ] }", false
        ),
    ])
    func aChainThatReachesNobody(yaml: String, isUncovered: Bool) throws {
        let outcome = try build("sites: [ { code: a, name: A }, { code: b, name: B } ]\n" + yaml)
        #expect(outcome.problems == [])
        #expect(outcome.uncovered.map(\.patient.description) == (isUncovered ? ["Q"] : []))
        #expect(outcome.uncovered.allSatisfy { $0.problem.file == "r.yaml" && $0.problem.line != nil })
    }

    /// An address is of use only where the configuration has what serves it.
    @Test(arguments: [
        ("email: a@b.org", ServedChannels(), true), ("email: a@b.org", ServedChannels(email: true), false),
        ("email: a@b.org", ServedChannels(sms: true), true),
        ("mobile: \"+447700900123\"", ServedChannels(email: true), true),
        ("mobile: \"+447700900123\"", ServedChannels(sms: true), false),
        ("webhook: \"http://h/\"", ServedChannels(), false),
    ])
    func aChannelThatIsNotSetUpReachesNobody(field: String, served: ServedChannels, isUncovered: Bool) throws {
        let outcome = try build(
            """
            sites: [ { code: a, name: A } ]
            care_managers: [ { code: c, site: a, \(field) } ]
            patients: [ { code: Q, site: a, key_worker: c } ]
            """, served: served)
        #expect(outcome.problems == [])
        #expect(outcome.uncovered.count == (isUncovered ? 1 : 0))
        if isUncovered { #expect(outcome.uncovered.first?.problem.message.contains("not set up)") == true) }
    }
}
