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

    // MARK: - By which channels

    private func channels(_ served: ServedChannels, of person: CareManager) throws -> [String] {
        var registry = registry([person, self.person("lead", .teamLead)])
        registry.served = served
        let route = Route(registry: registry)
        let change = try change()
        let told = route.entries(for: change, at: monday).map { "\($0.channel) \($0.recipient)" }
        // In an outage the same, and everybody after them.
        let outage = route.outageEntries(for: change, at: monday).map { "\($0.channel) \($0.recipient)" }
        #expect(Set(outage) == Set(told + ["webhook lead"]))
        return told
    }

    @Test func `a person is told on every channel that can be served`() throws {
        var worker = person("cm-01")
        worker.email = "a@example.org"
        worker.mobile = "+44 7700 900123"
        #expect(try channels(ServedChannels(), of: worker) == ["webhook cm-01"])
        #expect(try channels(ServedChannels(email: true), of: worker) == ["webhook cm-01", "email cm-01"])
        worker.webhook = nil
        #expect(try channels(ServedChannels(email: true, sms: true), of: worker) == ["email cm-01", "sms cm-01"])
        #expect(try channels(ServedChannels(sms: true), of: worker) == ["sms cm-01"])
        // An address that nothing serves reaches nobody: the next step is told.
        #expect(try channels(ServedChannels(), of: worker) == ["webhook lead"])
    }

    @Test func `a ward's display shows its own site's clinical alerts, beside the people`() throws {
        let south = try #require(Identifier("south"))
        for displays in [ServedChannels.Displays.all, .of([north])] {
            let told = try channels(ServedChannels(displays: displays), of: person("cm-01"))
            #expect(told == ["webhook cm-01", "mqtt north"])
        }
        #expect(try channels(ServedChannels(displays: .of([south])), of: person("cm-01")) == ["webhook cm-01"])
        var registry = registry([person("admin", .administrator)])
        registry.served = ServedChannels(displays: .all)
        let technical = try change(.device(Identifier("dev-1")!), .amber, .technical)
        #expect(Route(registry: registry).entries(for: technical, at: monday).map(\.channel) == [.webhook])
    }

    // MARK: - While PostgreSQL is away

    private func change(
        _ subject: Subject = .patient(Identifier("P0001")!), site: Identifier? = Identifier("north"),
        _ severity: Severity = .red, _ alertClass: AlertClass = .clinical
    ) throws -> EpisodeChange {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(
            Finding(
                subject: subject, site: site, device: nil, rule: "r", alertClass: alertClass,
                verdict: .beyond(severity), takenAt: monday, receivedAt: monday, report: nil, summary: "words"))
        return try #require(ledger.changes.first)
    }

    @Test func `in an outage every step is told at once, each person once under the lowest`() throws {
        let path = EscalationPath(
            site: north, alertClass: .clinical, severity: .red, when: .always,
            steps: [
                EscalationStep(to: .keyWorker, after: .minutes(0)), EscalationStep(to: .teamLead, after: .minutes(15)),
                EscalationStep(to: .careManager(Identifier("cm-01")!), after: .minutes(30)),
                EscalationStep(to: .careManager(Identifier("cm-02")!), after: .minutes(45)),
                EscalationStep(to: .careManager(Identifier("mute")!), after: .minutes(60)),
            ])
        let people = [person("cm-01"), person("cm-02"), person("lead", .teamLead), person("mute", webhook: false)]
        let registry = registry(people, paths: [path])
        let change = try change()
        let route = Route(registry: registry)
        let entries = route.outageEntries(for: change, at: monday)
        #expect(entries.map { "\($0.step) \($0.recipient)" } == ["0 cm-01", "1 lead", "3 cm-02"])
        // The first step's keys are those that the outbox would have.
        #expect(Set(entries.map(\.key)).isSuperset(of: route.entries(for: change, at: monday).map(\.key)))
        let notices = route.outageNotices(for: [change])
        #expect(notices.map(\.job.entry) == entries)
        #expect(notices.map(\.job.address) == ["cm-01", "lead", "cm-02"].map { "http://127.0.0.1:9/\($0)" })
        #expect(notices.allSatisfy { $0.at == monday && $0.job.attempt == 1 && $0.job.episode == change.episode })
    }

    @Test func `a red of a site that nobody knows goes to every team rather than to none`() throws {
        let people = [person("cm-01"), person("lead", .teamLead), person("admin", .administrator)]
        let change = try change(.device(Identifier("dev-9")!), site: Identifier("south"))
        let entries = Route(registry: registry(people)).outageEntries(for: change, at: monday)
        #expect(entries.map { "\($0.step) \($0.recipient)" } == ["0 lead", "1 admin"])
        #expect(Route(registry: Registry()).outageEntries(for: change, at: monday).isEmpty)
    }

    @Test func `an alert that was merely joined since stands as it was told`() throws {
        var ledger = EpisodeLedger(open: [])
        for (seconds, words) in [(Int64(0), "first"), (1, "second")] {
            let at = monday + .seconds(seconds)
            ledger.apply(
                Finding(
                    subject: .patient(Identifier("P0001")!), site: north, device: nil, rule: "r",
                    alertClass: .clinical, verdict: .beyond(.red), takenAt: at, receivedAt: at, report: nil,
                    summary: words))
        }
        let notices = Route(registry: registry([person("cm-01")])).outageNotices(for: ledger.changes)
        #expect(notices.map(\.job.episode.revision) == [1])
        #expect(notices.map(\.job.episode.summary) == ["first"])
        #expect(notices.map(\.at) == [monday])
    }

    @Test func `an address is the registry's for that channel`() {
        var worker = person("cm-01")
        worker.email = "a@example.org"
        worker.mobile = "+44"
        let route = Route(registry: registry([worker]))
        func address(_ channel: Channel, _ recipient: String = "cm-01") -> String? {
            route.address(
                of: OutboxEntry(
                    alert: AlertID(high: 0, low: 0), revision: 1, step: 0, channel: channel,
                    recipient: Identifier(recipient)!))
        }
        #expect(address(.webhook) == "http://127.0.0.1:9/cm-01")
        #expect(address(.email) == "a@example.org")
        #expect(address(.sms) == "+44")
        #expect(address(.mqtt) == nil)
        #expect(address(.webhook, "cm-99") == nil)
    }
}
