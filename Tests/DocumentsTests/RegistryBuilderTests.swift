import Clinical
import Registry
import Testing

@testable import Documents

@Suite struct RegistryBuilderTests {
    /// The contract's own example, word for word.
    static let example = """
        sites:
          - { code: north, name: North Practice, timezone: Europe/London, hours: { mon-fri: "08:00-18:00" }, fallback: { email: duty@example.org }, glucose_low: 3.9 }
        care_managers:
          - { code: cm-01, site: north, name: Care manager 1, email: cm-01@example.org, webhook: "http://127.0.0.1:9000/hook", mobile: "+44…", role: care-manager, away: [ { from: 2026-12-24, until: 2027-01-02, deputy: cm-02 } ] }
          - { code: cm-02, site: north, role: team-lead, email: cm-02@example.org }
        patients:
          - code: P0001
            site: north
            name: Patient 1
            nhs_number: "9990000018"
            born: 1948-05-02
            language: en
            phone: "…"
            risk: high
            key_worker: cm-01
            conditions: [copd, heart-failure]
            news2_scale: 2
            baselines: { spo2: 91, peak-flow: 320, weight: 78.5 }
            targets: { inr: [2.0, 3.0], dry_weight: 78.0 }
            pauses: [ { from: 2026-12-20, until: 2027-01-03, reason: holiday } ]
            limits:
              - { kind: spo2, red_below: 85, amber_below: 88, by: cm-01, reason: prescribed 88-92 }
            schedule:
              - { kinds: [spo2, pulse], due: "09:00", days: [mon, tue, wed, thu, fri, sat, sun], early: 2h, grace: 4h }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2026-01-01T00:00:00Z, until: 2026-06-30T12:00:00Z } ] }
        escalation:
          - { site: north, class: clinical, severity: red, when: always, steps: [ { to: key-worker, after: 0m }, { to: team-lead, after: 15m }, { to: "cm-02", after: 30m } ] }
        """

    @Test func theContractsExampleIsReadWhole() throws {
        let outcome = try build(Self.example)
        #expect(outcome.problems == [])
        #expect(outcome.uncovered == [])
        #expect(
            outcome.notices.map(\.description) == [
                "r.yaml:10: notice: nhs_number: is a test number (9…), which is no person's",
                "r.yaml:17: notice: news2_scale: is a named clinician's choice: say whose in news2_scale_by",
            ])
        let code = try #require(Identifier("P0001"))
        let patient = try #require(outcome.registry.patients[code])
        #expect(patient.details.nhsNumber == "9990000018")
        #expect(patient.profile.born == CalendarDate(year: 1948, month: 5, day: 2))
        #expect(patient.profile.highRisk && patient.profile.news2Scale == 2)
        #expect(patient.profile.conditions == ["copd", "heart-failure"])
        #expect(patient.profile.baselines == [.spo2: 91, .peakFlow: 320, .weight: 78.5])
        #expect(patient.profile.inrTarget == 2.0...3.0 && patient.profile.dryWeight == 78)
        #expect(patient.profile.siteGlucoseLow == 3.9)
        let limit = try #require(patient.profile.limits.first)
        #expect(
            limit.low == [
                Threshold(severity: .red, limit: Limit(value: 85, inclusive: false), immediate: true),
                Threshold(severity: .amber, limit: Limit(value: 88, inclusive: false)),
            ])
        #expect(limit.high == nil && limit.by == "cm-01")
        #expect(patient.schedule.first?.due == 540 && patient.schedule.first?.days.count == 7)
        let device = try #require(Identifier("dev-0001"))
        #expect(outcome.registry.devices[device]?.pairings.count == 1)
        #expect(outcome.registry.escalation.first?.steps.map(\.after) == [.minutes(0), .minutes(15), .minutes(30)])
        let site = try #require(Identifier("north"))
        #expect(outcome.registry.sites[site]?.hours.first?.days.count == 5)
    }

    @Test func whoChoseScale2IsNamedInTheScore() throws {
        let named = Self.example.replacing("news2_scale: 2\n", with: "news2_scale: 2\n    news2_scale_by: Dr Example\n")
        let outcome = try build(named)
        #expect(outcome.notices.count == 1)
        let patient = try #require(Identifier("P0001").flatMap { outcome.registry.patients[$0] })
        let plan = Plan(profile: patient.profile, packs: BuiltInPacks.library())
        let now = Instant(microseconds: 1_795_421_730_000_000)
        let report = JudgedReport(
            key: Diary.key("r"), takenAt: now, receivedAt: now, readings: [Diary.reading(.spo2, 90)])
        let score = try #require(plan.news2Score(of: report, history: PatientHistory()))
        #expect(Sentence.news2(score).contains("on scale 2 (chosen by Dr Example)"))
    }

    /// What stands in a patient's or another entry's fields, and the one problem that it makes.
    static let wrong: [(yaml: String, problem: String)] = [
        ("sites: [ { code: a } ]", "r.yaml:1: name is missing"),
        (
            "sites: [ { code: a, name: A, timezone: Europe/Londn } ]",
            "r.yaml:1: timezone: expected a time zone such as Europe/London, found \"Europe/Londn\""
        ),
        (
            "sites: [ { code: a, name: A, hours: { mon-fry: \"08:00-18:00\" } } ]",
            "r.yaml:1: hours: \"mon-fry\" is no day or span of days such as mon or mon-fri"
        ),
        (
            "sites: [ { code: a, name: A, hours: { mon: \"18:00-08:00\" } } ]",
            "r.yaml:1: hours.mon: expected opening hours as \"08:00-18:00\", found \"18:00-08:00\""
        ),
        (
            "sites: [ { code: a, name: A, hours: { mon-fri: \"08:00-18:00\", wed: \"17:00-20:00\" } } ]",
            "r.yaml:1: hours: wed overlaps the hours above"
        ),
        (
            "sites: [ { code: a, name: A, fallback: { email: nobody } } ]",
            "r.yaml:1: fallback.email: expected an e-mail address, found text"
        ),
        (
            "sites: [ { code: a, name: A, glucose_low: 70 } ]",
            "r.yaml:1: glucose_low: expected a number from 3.1 to 5, found the number 70"
        ),
        (
            "sites: [ { code: a, name: A, colour: red } ]",
            "r.yaml:1: unknown key \"colour\"; the nearest known key is \"hours\""
        ),
        ("care_managers: [ { code: c } ]", "r.yaml:1: site is missing"),
        (
            "care_managers: [ { code: c, site: nort } ]",
            "r.yaml:1: site: there is no site nort; the nearest is north"
        ),
        (
            "care_managers: [ { code: c, site: north, webhook: \"ftp://h/\" } ]",
            "r.yaml:1: webhook: expected an http or https URL, found text"
        ),
        (
            "care_managers: [ { code: c, site: north, webhook: \"http:///hook\" } ]",
            "r.yaml:1: webhook: expected an http or https URL, found text"
        ),
        (
            "care_managers: [ { code: c, site: north, email: \"a@b@c\" } ]",
            "r.yaml:1: email: expected an e-mail address, found text"
        ),
        (
            "care_managers: [ { code: c, site: north, role: boss } ]",
            "r.yaml:1: role: expected one of care-manager, team-lead, read-only, administrator, found \"boss\""
        ),
        (
            "care_managers: [ { code: c, site: north, away: [ { from: 2026-12-24, until: 2026-12-23 } ] } ]",
            "r.yaml:1: away.until: 2026-12-23 is before 2026-12-24"
        ),
        (
            "care_managers: [ { code: c, site: north, away: [ { from: 2026-12-24, until: 2026-12-25, deputy: d } ] } ]",
            "r.yaml:1: away.deputy: there is no care manager d; the nearest is c"
        ),
        (
            "care_managers: [ { code: c, site: north, away: [ { from: 2026-12-24, until: 2026-12-25, deputy: c } ] } ]",
            "r.yaml:1: away.deputy: nobody is their own deputy"
        ),
        ("patients: [ { code: Q } ]", "r.yaml:1: site is missing"),
        (
            "patients:\n  - code: Q\n    site: north\n    key_worker: cm-0l",
            "r.yaml:4: key_worker: there is no care manager cm-0l; the nearest is cm-01"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    conditions: [copd, astma]",
            "r.yaml:4: conditions: there is no protocol pack \"astma\"; the nearest is \"adult\""
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    nhs_number: \"9990000019\"",
            "r.yaml:4: nhs_number: has a wrong check digit"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    nhs_number: \"1111111111\"",
            "r.yaml:4: nhs_number: is of a range that was never issued"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    nhs_number: 9990000018",
            "r.yaml:4: nhs_number: expected text, found a number: put it in quotes"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    news2_scale: 3",
            "r.yaml:4: news2_scale: expected a whole number from 1 to 2, found the number 3"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    risk: low",
            "r.yaml:4: risk: expected one of high, standard, found \"low\""
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    born: 1948-02-30",
            "r.yaml:4: born: expected a date as YYYY-MM-DD, found text"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    language: english please",
            "r.yaml:4: language: expected a language such as en, found \"english please\""
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    baselines: { sp02: 91 }",
            "r.yaml:4: baselines: there is no kind \"sp02\"; the nearest is \"spo2\""
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    baselines: { weight: 785 }",
            "r.yaml:4: baselines: weight is 20 to 350 kg, never 785"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    targets: { inr: [3.0, 2.0] }",
            "r.yaml:4: targets.inr: expected two numbers, the lower first, such as [2.0, 3.0]"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    targets: { dry_weight: 780 }",
            "r.yaml:4: targets.dry_weight: 780 kg is not plausible"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    pauses: [ { from: 2026-12-20 } ]",
            "r.yaml:4: pauses.until is missing"
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    schedule:\n      - { kinds: [spo2], due: 9:00 }",
            "r.yaml:5: schedule.due: expected a time of day as \"HH:MM\", found \"9:00\""
        ),
        (
            "patients:\n  - code: Q\n    site: north\n    schedule:\n      - { kinds: [], due: 09:00 }",
            "r.yaml:5: schedule.kinds: is empty"
        ),
        (
            "devices: [ { code: d, site: north, pairings: [ { patient: Q, from: 2026-01-01T00:00:00Z } ] } ]",
            "r.yaml:1: pairings.patient: there is no patient Q; the nearest is P0001"
        ),
        (
            "devices: [ { code: d, site: north, pairings: [ { patient: P0001, from: 2026-01-01 } ] } ]",
            "r.yaml:1: pairings.from: expected a time with its zone such as 2026-01-01T00:00:00Z, "
                + "found \"2026-01-01\""
        ),
        (
            "devices:\n  - code: d\n    site: north\n    pairings:\n"
                + "      - { patient: P0001, from: 2026-03-01T00:00:00Z }\n"
                + "      - { patient: P0001, from: 2026-01-01T00:00:00Z, until: 2026-03-02T00:00:00Z }",
            "r.yaml:5: pairings: overlaps the one from 2026-01-01T00:00:00Z until 2026-03-02T00:00:00Z"
        ),
        (
            "devices:\n  - code: d\n    site: north\n    pairings:\n"
                + "      - { patient: P0001, from: 2026-01-01T00:00:00Z }\n"
                + "      - { patient: P0002, from: 2026-03-01T00:00:00Z }",
            "r.yaml:6: pairings: the pairing from 2026-01-01T00:00:00Z has no until, but another follows it"
        ),
        (
            "devices:\n  - code: d\n    site: north\n    pairings:\n"
                + "      - { patient: P0001, from: 2026-01-01T00:00:00Z, until: 2026-03-02T00:00:00Z }\n"
                + "      - { patient: P0002, from: 2026-03-01T00:00:00Z }",
            "r.yaml:6: pairings: gives the device to two patients at once: it overlaps the one from "
                + "2026-01-01T00:00:00Z until 2026-03-02T00:00:00Z"
        ),
        (
            "devices: [ { code: d, site: north, pairings: [ { patient: P0001, from: 2026-01-01T00:00:00Z, "
                + "until: 2026-01-01T00:00:00Z } ] } ]", "r.yaml:1: pairings.until: is not after from"
        ),
        (
            "devices: [ { code: d, site: south, pairings: [ { patient: P0001, from: 2026-01-01T00:00:00Z } ] } ]",
            "r.yaml:1: pairings.patient: P0001 is of site north, the device of south"
        ),
        (
            "escalation: [ { site: north, class: clinical, severity: red, steps: [] } ]",
            "r.yaml:1: steps: is empty: nobody would be told"
        ),
        (
            "escalation: [ { site: north, class: clinical, severity: red, steps: [ { to: key-workr, after: 0m } ] } ]",
            "r.yaml:1: steps.to: there is no care manager key-workr; the nearest is cm-01"
        ),
        (
            "escalation: [ { site: north, class: clinical, severity: red, steps: "
                + "[ { to: key-worker, after: 15m }, { to: team-lead, after: 5m } ] } ]",
            "r.yaml:1: steps: must stand in the order of after"
        ),
        (
            "escalation: [ { site: north, class: clinical, severity: red, steps: [ { to: cm-01, after: 15 } ] } ]",
            "r.yaml:1: steps.after: expected a length of time such as 2s, 15m, 4h or 7d, found the number 15"
        ),
    ]

    @Test(arguments: wrong)
    func oneProblemAtItsLine(yaml: String, problem: String) throws {
        let entries = try RegistryFile.parse(Array(yaml.utf8), file: "r.yaml")
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + entries)
        #expect(outcome.problems.map(\.description) == [problem])
    }

    @Test func aProblemOfAStoredEntryHasTheEntrysName() {
        let bad = RegistryEntry(
            key: RegistryKey(entity: .patient, code: "Q"), fields: ["site": .string("west"), "risk": .number(1)])
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries + [bad])
        #expect(
            outcome.problems.map(\.description) == [
                "patient Q: site: there is no site west; the nearest is north",
                "patient Q: risk: expected one of high, standard, found the number 1",
            ])
    }

    @Test func nullErasesAField() throws {
        let entries = try RegistryFile.parse(
            Array("patients: [ { code: P0001, key_worker: } ]".utf8), file: "r.yaml")
        let merged = entries.map { $0.merged(over: ["site": .string("north"), "key_worker": .string("cm-01")]) }
        let outcome = RegistryBuilder(packs: testPacks).build(storedEntries.filter { $0.key != merged[0].key } + merged)
        #expect(outcome.problems == [])
        let code = try #require(Identifier("P0001"))
        #expect(outcome.registry.patients[code] != nil)
        #expect(outcome.registry.patients[code]?.keyWorker == nil)
    }
}
