import Alerting
import Clinical
import Registry
import Testing

@Suite struct EscalationTests {
    /// Monday 23 November 2026, 08:15:30 in London.
    private static let spoke = Instant(microseconds: 1_795_421_730_000_000)
    private static let north = Identifier("north")!
    private static let patient = Identifier("P0001")!

    private static func person(
        _ code: String, _ role: CareManager.Role = .careManager, isReached: Bool = true, away: [Absence] = []
    ) -> CareManager {
        CareManager(
            code: Identifier(code)!, site: north, webhook: isReached ? "http://127.0.0.1:9/\(code)" : nil, role: role,
            away: away)
    }

    private static let team = [person("cm-01"), person("cm-02"), person("lead", .teamLead)]

    private static func path(
        _ when: EscalationPath.When = .always, _ alertClass: AlertClass = .clinical,
        _ steps: (EscalationStep.Recipient, Interval)...
    ) -> EscalationPath {
        EscalationPath(
            site: north, alertClass: alertClass, severity: .red, when: when,
            steps: steps.map { EscalationStep(to: $0.0, after: $0.1) })
    }

    /// Key worker at once, team leads after 15 minutes, cm-02 after 30.
    private static let threeSteps = path(
        .always, .clinical, (.keyWorker, .seconds(0)), (.teamLead, .minutes(15)),
        (.careManager(Identifier("cm-02")!), .minutes(30)))

    private static func registry(
        _ people: [CareManager] = team, _ paths: [EscalationPath] = [], timeZone: String = "Europe/London",
        fallback: String? = nil
    ) -> Registry {
        let everyDay = OpeningHours(days: Set(Weekday.allCases), opens: 8 * 60, closes: 18 * 60)
        return Registry(
            version: 1,
            sites: [
                north: Site(code: north, name: "North", timeZone: timeZone, hours: [everyDay], fallbackEmail: fallback)
            ],
            careManagers: Dictionary(uniqueKeysWithValues: people.map { ($0.code, $0) }),
            patients: [patient: Patient(code: patient, site: north, keyWorker: Identifier("cm-01"))], devices: [:],
            escalation: paths, served: ServedChannels(email: true))
    }

    /// An alert's chain by a manual clock: whoever is told, at which minute after it spoke.
    private struct Chain {
        var registry: Registry
        var episode: Episode
        var progress: Escalation.Progress?
        var told: [String] = []
        var keys: [String] = []
        let began: Instant

        init(
            _ registry: Registry, _ severity: Severity = .red, _ alertClass: AlertClass = .clinical,
            at instant: Instant = EscalationTests.spoke
        ) {
            self.registry = registry
            began = instant
            episode = Episode(
                id: AlertID(high: 1, low: 1), subject: .patient(patient), site: north, device: nil, rule: "spo2-low",
                alertClass: alertClass, severity: severity, raisedAt: instant, summary: "", revision: 1)
            let event = EpisodeEvent(
                alert: episode.id, revision: 1, transition: .opened, severity: severity, at: instant, report: nil,
                actor: "homeward", summary: "", explanation: "{}")
            let change = EpisodeChange(episode: episode, isNew: true, events: [event])
            let route = Route(registry: registry)
            let entries = route.entries(for: change, at: instant)
            note(entries, at: instant)
            progress = Escalation(route: route)
                .begin(episode, spokeWith: event, entries: entries, at: instant)
        }

        private mutating func note(_ entries: [OutboxEntry], at instant: Instant, isUnanswered: Bool = false) {
            let minute = (instant - began).microseconds / 60_000_000
            keys += entries.map(\.key)
            let names = entries.map { $0.channel == .webhook ? "\($0.recipient)" : "\($0.channel) \($0.recipient)" }
            if !names.isEmpty { told.append("\(minute): \(names.joined(separator: " "))\(isUnanswered ? " !" : "")") }
        }

        /// Steps that come due until then, each at its time.
        mutating func wait(_ minutes: Int64) {
            while let next = progress, next.due <= began + .minutes(minutes) { step(at: next.due) }
        }

        /// As if the timer were looked at then; `late` by the clock that keeps it, which is ours unless said.
        mutating func step(at instant: Instant, late: Interval? = nil) {
            guard let before = progress else { return }
            let step = Escalation(route: Route(registry: registry)).step(
                before, of: episode, late: late ?? instant - before.due, at: instant)
            note(step.entries, at: instant, isUnanswered: step.isUnanswered)
            progress = step.progress
            if step.isNews { episode = episode.escalated(step, explanation: "{}", at: instant).episode }
        }
    }

    private func told(
        _ registry: Registry, _ severity: Severity = .red, _ alertClass: AlertClass = .clinical,
        for minutes: Int64
    ) -> [String] {
        var chain = Chain(registry, severity, alertClass)
        chain.wait(minutes)
        return chain.told
    }

    @Test func `key worker, team lead and named deputy are told at their times, then all of them again`() {
        #expect(
            told(Self.registry(Self.team, [Self.threeSteps]), for: 75) == [
                "0: cm-01", "15: lead", "30: cm-02", "45: cm-01 lead cm-02 !", "60: cm-01 lead cm-02 !",
                "75: cm-01 lead cm-02 !",
            ])
    }

    @Test func `without a chain of its own a site's team leads are next`() {
        #expect(told(Self.registry(), for: 30) == ["0: cm-01", "15: lead", "30: cm-01 lead !"])
        #expect(told(Self.registry(), .amber, for: 255) == ["0: cm-01", "240: lead", "255: cm-01 lead !"])
    }

    /// 18:15, with the site open from 8 to 18: messages that are not a program's wait for the next morning.
    @Test(arguments: [(true, ["0: email cm-01"], "1064: email lead"), (false, ["0: cm-01"], "240: lead")])
    func `an amber whose messages wait for the site to open is not passed on before it was read`(
        isMailAlone: Bool, first: [String], second: String
    ) {
        var registry = Self.registry()
        if isMailAlone {
            for code in registry.careManagers.keys {
                registry.careManagers[code]?.webhook = nil
                registry.careManagers[code]?.email = "\(code)@example.org"
            }
        }
        var chain = Chain(registry, .amber, at: Self.spoke + .hours(10))
        chain.wait(239)
        #expect(chain.told == first)
        chain.wait(1070)
        #expect(chain.told.dropFirst().first == second)
        var red = Chain(registry, .red, at: Self.spoke + .hours(10))
        red.wait(15)
        #expect(red.told.count == 2)
    }

    @Test func `the fallback is told that nobody answers`() {
        let registry = Self.registry(fallback: "duty@example.org")
        #expect(
            told(registry, for: 45) == [
                "0: cm-01", "15: lead", "30: cm-01 lead email north !", "45: cm-01 lead email north !",
            ])
        let entry = OutboxEntry(
            alert: AlertID(high: 1, low: 1), revision: 1, step: 2, channel: .email, recipient: Self.north)
        #expect(Route(registry: registry).address(of: entry) == "duty@example.org")
    }

    @Test func `a technical amber goes through its chain once`() {
        let people = Self.team + [Self.person("admin", .administrator)]
        #expect(told(Self.registry(people), .amber, .technical, for: 24 * 60) == ["0: admin", "240: lead"])
        #expect(told(Self.registry(people), .red, .technical, for: 30) == ["0: admin", "15: lead", "30: admin lead !"])
    }

    @Test func `what is for information is told once`() {
        let people = Self.team + [Self.person("admin", .administrator)]
        #expect(told(Self.registry(people), .info, .technical, for: 24 * 60) == ["0: admin"])
    }

    /// Somebody hears of it all the same.
    @Test func `a technical amber that reaches nobody is told to the fallback once`() {
        let registry = Self.registry([Self.person("cm-01")], fallback: "duty@example.org")
        #expect(told(registry, .amber, .technical, for: 24 * 60) == ["0: email north !"])
    }

    @Test func `a chain that reaches nobody goes to the fallback without a wait`() {
        let nobody = [Self.person("cm-01", isReached: false), Self.person("lead", .teamLead, isReached: false)]
        #expect(
            told(Self.registry(nobody, fallback: "duty@example.org"), for: 15) == [
                "0: email north !", "15: email north !",
            ])
        var chain = Chain(Self.registry(nobody))
        chain.wait(60)
        #expect(chain.told.isEmpty && chain.progress != nil)
        // It is said once in its history.
        #expect(chain.episode.revision == 2)
        // Who can be reached from then on is told.
        chain.registry = Self.registry()
        chain.wait(75)
        #expect(chain.told == ["75: cm-01 lead"])
    }

    @Test func `a step that reaches nobody is passed over`() {
        let people = [Self.person("cm-01"), Self.person("cm-02")]
        #expect(
            told(Self.registry(people, [Self.threeSteps]), for: 30) == ["0: cm-01", "15: cm-02", "30: cm-01 cm-02 !"])
        let unreached = [Self.person("cm-01", isReached: false), Self.person("lead", .teamLead), Self.person("cm-02")]
        #expect(told(Self.registry(unreached, [Self.threeSteps]), for: 30) == ["0: lead", "30: cm-02"])
    }

    @Test func `steps of one time are told together`() {
        let both = Self.path(
            .always, .clinical, (.keyWorker, .seconds(0)), (.teamLead, .seconds(0)),
            (.careManager(Identifier("cm-02")!), .minutes(5)))
        #expect(told(Self.registry(Self.team, [both]), for: 5) == ["0: cm-01 lead", "5: cm-02"])
    }

    @Test func `whoever stands in two steps is told at both`() {
        let twice = Self.path(
            .always, .clinical, (.keyWorker, .seconds(0)), (.keyWorker, .minutes(5)), (.teamLead, .minutes(10)))
        #expect(told(Self.registry(Self.team, [twice]), for: 10) == ["0: cm-01", "5: cm-01", "10: lead"])
    }

    @Test func `an absence that begins meanwhile sends the deputy's step to the deputy`() {
        // 23:50 on Monday; the absence begins with Tuesday.
        let late = Self.spoke + .hours(15) + .minutes(34)
        let tuesday = CalendarDate(year: 2026, month: 11, day: 24)!
        let away = [Absence(from: tuesday, until: tuesday, deputy: Identifier("cm-03"))]
        let people = [
            Self.person("cm-01"), Self.person("cm-02", away: away), Self.person("cm-03"),
            Self.person("lead", .teamLead),
        ]
        var chain = Chain(Self.registry(people, [Self.threeSteps]), at: late)
        chain.wait(30)
        #expect(chain.told == ["0: cm-01", "15: lead", "30: cm-03"])
    }

    @Test func `another key worker is told when the next step is due`() {
        var chain = Chain(Self.registry())
        chain.registry.patients[Self.patient]?.keyWorker = Identifier("cm-02")
        chain.wait(15)
        #expect(chain.told == ["0: cm-01", "15: cm-02 lead"])
    }

    // MARK: - Hours

    private static let rota = [
        path(.inHours, .clinical, (.keyWorker, .seconds(0)), (.teamLead, .minutes(15))),
        path(.outOfHours, .clinical, (.careManager(Identifier("night")!), .seconds(0)), (.teamLead, .minutes(30))),
    ]
    private static let rotaTeam = team + [person("night")]

    /// The site opens at 08:00 and closes at 18:00 by its own wall clock.
    @Test func `who is on duty when a step is due is told, also if the hours changed since`() {
        let closing = Self.spoke + .hours(9) + .minutes(40)  // 17:55
        var chain = Chain(Self.registry(Self.rotaTeam, Self.rota), at: closing)
        chain.wait(45)
        #expect(chain.told == ["0: cm-01", "15: night", "30: lead", "45: night lead !"])
        let opening = Self.spoke - .minutes(25)  // 07:50
        chain = Chain(Self.registry(Self.rotaTeam, Self.rota), at: opening)
        chain.wait(30)
        #expect(chain.told == ["0: night", "30: cm-01 lead"])
    }

    /// (London, UTC): an alert five minutes before the site opens by its wall clock, on both sides of each change.
    @Test(
        arguments: [
            // Saturday 24 October 2026, 07:55 BST = 06:55 UTC; Sunday 25 October, 07:55 GMT = 07:55 UTC.
            (1_792_824_900, "0: night"), (1_792_914_900, "0: night"),
            // An hour earlier by UTC it is 06:55 and the same; an hour later the site is open.
            (1_792_911_300, "0: night"), (1_792_918_500, "0: cm-01"),
            // Saturday 28 March 2026, 07:55 GMT = 07:55 UTC; Sunday 29 March, 07:55 BST = 06:55 UTC.
            (1_774_684_500, "0: night"), (1_774_767_300, "0: night"), (1_774_770_900, "0: cm-01"),
        ] as [(Int64, String)])
    func `the night's rota ends by the wall clock when clocks change`(_ seconds: Int64, _ told: String) {
        let chain = Chain(
            Self.registry(Self.rotaTeam, Self.rota), at: Instant(microseconds: seconds * 1_000_000))
        #expect(chain.told == [told])
    }

    /// Minutes are minutes: the hour that is there twice delays nothing.
    @Test func `steps keep their times through the night when clocks change`() {
        // Sunday 25 October 2026, 01:50 BST = 00:50 UTC; at 02:00 BST it is 01:00 GMT.
        var chain = Chain(
            Self.registry(Self.rotaTeam, Self.rota), at: Instant(microseconds: 1_792_889_400_000_000))
        chain.wait(60)
        #expect(chain.told == ["0: night", "30: lead", "45: night lead !", "60: night lead !"])
    }

    // MARK: - Out of time

    @Test func `a dead channel's step comes at once and those after it keep their times`() {
        var chain = Chain(Self.registry(Self.team, [Self.threeSteps]))
        chain.step(at: Self.spoke + .minutes(1))
        chain.wait(60)
        #expect(chain.told == ["0: cm-01", "1: lead", "30: cm-02", "45: cm-01 lead cm-02 !", "60: cm-01 lead cm-02 !"])
        // With nobody after it, it is unanswered at once, and again in 15 minutes, no storm.
        chain = Chain(Self.registry())
        chain.step(at: Self.spoke + .minutes(1))
        chain.step(at: Self.spoke + .minutes(2))
        chain.wait(32)
        #expect(chain.told == ["0: cm-01", "1: lead", "2: cm-01 lead !", "17: cm-01 lead !", "32: cm-01 lead !"])
    }

    /// A daemon that was down, or a clock that was set forward.
    @Test func `steps whose time has passed are told at once, each once, and no round is made up for`() {
        var chain = Chain(Self.registry(Self.team, [Self.threeSteps]))
        chain.step(at: Self.spoke + .hours(5))
        #expect(chain.told == ["0: cm-01", "300: lead cm-02"])
        chain.wait(330)
        #expect(chain.told.dropFirst(2) == ["315: cm-01 lead cm-02 !", "330: cm-01 lead cm-02 !"])
    }

    /// The timer is kept by the database's clock: due there, whatever ours has been set to.
    @Test(arguments: [-60, -1, 0, 90] as [Int64])
    func `our own clock may be set: no step is left out, doubled or told early`(_ minutes: Int64) {
        var chain = Chain(Self.registry(Self.team, [Self.threeSteps]))
        let set = Self.spoke + .minutes(15 + minutes)
        chain.step(at: set, late: .seconds(0))
        #expect(chain.told.map { $0.split(separator: " ").last } == ["cm-01", "lead"])
        let next = chain.progress.map { $0.due - set }
        // Set back it can't be told from a step that was called for early: the next one waits no longer than its time.
        #expect(next == (minutes < -15 ? .minutes(30) : minutes < 0 ? .minutes(16) : .minutes(15)))
        chain.step(at: set + (next ?? .seconds(0)), late: .seconds(0))
        #expect(chain.told.map { $0.split(separator: " ").last } == ["cm-01", "lead", "cm-02"])
    }

    @Test func `every row has its own key`() {
        var chain = Chain(Self.registry(Self.team, [Self.threeSteps], fallback: "duty@example.org"))
        chain.wait(6 * 60)
        #expect(chain.keys.count > 60 && Set(chain.keys).count == chain.keys.count)
        #expect(chain.episode.escalationLevel == 2 + (360 - 30) / 15)
    }

    @Test func `what everybody was told of in an outage goes on with everybody`() throws {
        let registry = Self.registry(Self.team, [Self.threeSteps])
        var chain = Chain(registry)
        let event = EpisodeEvent(
            alert: chain.episode.id, revision: 1, transition: .opened, severity: .red, at: Self.spoke, report: nil,
            actor: "homeward", summary: "", explanation: "{}")
        let recorded = Self.spoke + .hours(3)
        chain.progress = Escalation(route: Route(registry: registry)).begin(
            chain.episode, spokeWith: event, entries: [], isToldToAll: true, at: recorded)
        #expect(chain.progress?.level == 2)
        chain.wait(3 * 60 + 30)
        #expect(chain.told == ["0: cm-01", "195: cm-01 lead cm-02 !", "210: cm-01 lead cm-02 !"])
    }

    @Test func `an alert of the instance goes up each site's chain by its own times`() {
        var registry = Self.registry()
        let south = Identifier("south")!
        registry.sites[south] = Site(code: south, name: "South")
        for (code, role, site) in [
            ("admin", CareManager.Role.administrator, Self.north), ("south-admin", .administrator, south),
            ("south-lead", .teamLead, south),
        ] {
            registry.careManagers[Identifier(code)!] = CareManager(
                code: Identifier(code)!, site: site, webhook: "http://127.0.0.1:9/\(code)", role: role)
        }
        registry.escalation = [
            EscalationPath(
                site: south, alertClass: .technical, severity: .red, when: .always,
                steps: [
                    EscalationStep(to: .careManager(Identifier("south-admin")!), after: .seconds(0)),
                    EscalationStep(to: .teamLead, after: .minutes(40)),
                ])
        ]
        var episode = Chain(registry, .red, .technical).episode
        episode.subject = .instance
        episode.site = nil
        let event = EpisodeEvent(
            alert: episode.id, revision: 1, transition: .opened, severity: .red, at: Self.spoke, report: nil,
            actor: "homeward", summary: "", explanation: "{}")
        let route = Route(registry: registry)
        let first = route.entries(
            for: EpisodeChange(episode: episode, isNew: true, events: [event]), at: Self.spoke)
        #expect(first.map(\.recipient.description) == ["admin", "south-admin"])
        var progress = Escalation(route: route).begin(episode, spokeWith: event, entries: first, at: Self.spoke)
        var told: [String] = []
        for _ in 0..<3 {
            guard let before = progress else { break }
            let step = Escalation(route: route).step(before, of: episode, late: .seconds(0), at: before.due)
            let minute = (before.due - Self.spoke).microseconds / 60_000_000
            told.append("\(minute): " + step.recipients.map(\.description).joined(separator: " "))
            progress = step.progress
        }
        #expect(told == ["15: lead", "40: south-lead", "55: admin lead south-admin south-lead"])
    }
}
