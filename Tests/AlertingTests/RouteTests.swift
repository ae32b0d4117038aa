import Alerting
import Clinical
import Registry
import Testing

@Suite struct RouteTests {
    let north = Identifier("north")!
    /// Monday 23 November 2026, 08:15 in London.
    let monday = Instant(microseconds: 1_795_421_730_000_000)

    func person(_ code: String, _ role: CareManager.Role = .careManager, webhook: Bool = true) -> CareManager {
        CareManager(
            code: Identifier(code)!, site: north, webhook: webhook ? "http://127.0.0.1:9/\(code)" : nil, role: role)
    }

    func registry(_ people: [CareManager], keyWorker: String? = "cm-01", paths: [EscalationPath] = []) -> Registry {
        let patient = Patient(
            code: Identifier("P0001")!, site: north, keyWorker: keyWorker.flatMap { Identifier($0) })
        return Registry(
            version: 1,
            sites: [
                north: Site(
                    code: north, name: "North",
                    hours: [OpeningHours(days: [.monday], opens: 8 * 60, closes: 18 * 60)])
            ],
            careManagers: Dictionary(uniqueKeysWithValues: people.map { ($0.code, $0) }),
            patients: [patient.code: patient],
            devices: [
                Identifier("dev-1")!: Device(
                    code: Identifier("dev-1")!, site: north,
                    pairings: [Pairing(patient: patient.code, from: Instant(microseconds: 0))])
            ], escalation: paths)
    }

    func told(
        _ registry: Registry, _ alertClass: AlertClass = .clinical, severity: Severity = .red, at: Instant? = nil
    ) throws -> [String] {
        let subject: Subject =
            alertClass == .clinical ? .patient(Identifier("P0001")!) : .device(Identifier("dev-1")!)
        var ledger = EpisodeLedger(open: [])
        ledger.apply(
            Finding(
                subject: subject, site: north, device: nil, rule: "r", alertClass: alertClass,
                verdict: .beyond(severity), takenAt: monday, receivedAt: monday, report: nil, summary: ""))
        let change = try #require(ledger.changes.first)
        return Route(registry: registry).entries(for: change, at: at ?? monday).map(\.recipient.description)
    }

    @Test func `the key worker is told at once`() throws {
        #expect(try told(registry([person("cm-01"), person("lead", .teamLead)])) == ["cm-01"])
    }

    @Test func `team leads are told when the key worker can't be reached`() throws {
        #expect(try told(registry([person("cm-01", webhook: false), person("lead", .teamLead)])) == ["lead"])
        #expect(try told(registry([person("cm-01"), person("lead", .teamLead)], keyWorker: nil)) == ["lead"])
    }

    @Test func `technical alerts go to administrators, not to the key worker`() throws {
        let everybody = [person("cm-01"), person("lead", .teamLead), person("admin", .administrator)]
        #expect(try told(registry(everybody), .technical) == ["admin"])
        #expect(try told(registry(Array(everybody.prefix(2))), .technical) == ["lead"])
        #expect(try told(registry(Array(everybody.prefix(1))), .technical).isEmpty)
    }

    @Test func `a deputy stands in for a person who is away`() throws {
        var away = person("cm-01")
        let today = CalendarDate(year: 2026, month: 11, day: 23)!
        away.away = [Absence(from: today, until: today, deputy: Identifier("cm-02"))]
        #expect(try told(registry([away, person("cm-02")])) == ["cm-02"])
        away.away = [Absence(from: today, until: today, deputy: nil)]
        #expect(try told(registry([away, person("lead", .teamLead)])) == ["lead"])
    }

    @Test func `two people who stand in for each other reach nobody rather than loop`() throws {
        let today = CalendarDate(year: 2026, month: 11, day: 23)!
        var one = person("cm-01")
        var other = person("cm-02")
        one.away = [Absence(from: today, until: today, deputy: other.code)]
        other.away = [Absence(from: today, until: today, deputy: one.code)]
        #expect(try told(registry([one, other])).isEmpty)
    }

    @Test func `the site's path replaces the default, by severity and hours`() throws {
        let people = [person("cm-01"), person("cm-02"), person("night")]
        func path(_ when: EscalationPath.When, _ code: String) -> EscalationPath {
            EscalationPath(
                site: north, alertClass: .clinical, severity: .red, when: when,
                steps: [EscalationStep(to: .careManager(Identifier(code)!), after: .minutes(0))])
        }
        let ward = registry(people, paths: [path(.inHours, "cm-02"), path(.outOfHours, "night")])
        #expect(try told(ward) == ["cm-02"])
        #expect(try told(ward, at: monday + .hours(12)) == ["night"])
        #expect(try told(ward, severity: .amber) == ["cm-01"])
    }

    @Test func `a delivery's key is the same on every replay`() throws {
        #expect(try told(registry([person("cm-01")])) == told(registry([person("cm-01")])))
    }
}
