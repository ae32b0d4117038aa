import Alerting
import Clinical
import Foundation
import Registry
import Testing

@Suite struct CoverageTests {
    static let north = Identifier("north")!

    static func instant(_ text: String) -> Instant {
        let date = try? Date(text, strategy: .iso8601)
        return Instant(microseconds: Int64((date ?? .distantPast).timeIntervalSince1970) * 1_000_000)
    }

    static func day(_ text: String) -> CalendarDate {
        let parts = text.split(separator: "-").compactMap { Int($0) }
        return CalendarDate(year: parts[0], month: parts[1], day: parts[2])!
    }

    struct Away {
        var from: String
        var until: String
        var deputy: String?
        init(_ from: String, _ until: String, _ deputy: String? = nil) {
            self.from = from
            self.until = until
            self.deputy = deputy
        }
    }

    static func person(
        _ code: String, _ role: CareManager.Role = .careManager, webhook: Bool = true, email: Bool = false,
        away: [Away] = []
    ) -> CareManager {
        CareManager(
            code: Identifier(code)!, site: north, email: email ? "\(code)@example.org" : nil,
            webhook: webhook ? "http://127.0.0.1:9/\(code)" : nil, role: role,
            away: away.map {
                Absence(from: day($0.from), until: day($0.until), deputy: $0.deputy.flatMap { Identifier($0) })
            })
    }

    static func registry(
        _ people: [CareManager], paths: [EscalationPath] = [], hours: [OpeningHours] = [],
        timeZone: String = "Europe/London", served: ServedChannels = ServedChannels()
    ) -> Registry {
        let patient = Patient(code: Identifier("P0001")!, site: north, keyWorker: Identifier("cm-01"))
        return Registry(
            version: 1, sites: [north: Site(code: north, name: "North", timeZone: timeZone, hours: hours)],
            careManagers: Dictionary(uniqueKeysWithValues: people.map { ($0.code, $0) }),
            patients: [patient.code: patient], escalation: paths, served: served)
    }

    static func path(
        _ severity: Severity, _ when: EscalationPath.When, _ steps: EscalationStep.Recipient...
    ) -> EscalationPath {
        EscalationPath(
            site: north, alertClass: .clinical, severity: severity, when: when,
            steps: steps.enumerated().map { EscalationStep(to: $0.element, after: .minutes(Int64($0.offset) * 15)) })
    }

    static let weekdays = [
        OpeningHours(days: [.monday, .tuesday, .wednesday, .thursday, .friday], opens: 8 * 60, closes: 18 * 60)
    ]

    struct Case: CustomTestStringConvertible, Sendable {
        var name: String
        var registry: Registry
        var start = "2026-11-23T09:00:00Z"
        /// `red from/until`, in UTC.
        var holes: [String]
        var why: String?
        var testDescription: String { name }
    }

    static let end = "2026-11-30T09:00:00Z"
    static let cases: [Case] = [
        Case(name: "somebody is always there", registry: registry([person("cm-01")]), holes: []),
        Case(
            name: "no channel at all", registry: registry([person("cm-01", webhook: false)]),
            holes: ["red 2026-11-23T09:00:00Z/\(end)", "amber 2026-11-23T09:00:00Z/\(end)"],
            why: "cm-01 has no channel that is set up; there is no team-lead"),
        Case(
            name: "a channel that the configuration does not serve",
            registry: registry([person("cm-01", webhook: false, email: true)]),
            holes: ["red 2026-11-23T09:00:00Z/\(end)", "amber 2026-11-23T09:00:00Z/\(end)"]),
        Case(
            name: "a channel that it serves",
            registry: registry(
                [person("cm-01", webhook: false, email: true)], served: ServedChannels(email: true)), holes: []),
        Case(
            name: "away without a deputy",
            registry: registry([person("cm-01", away: [Away("2026-11-25", "2026-11-26")])]),
            holes: [
                "red 2026-11-25T00:00:00Z/2026-11-27T00:00:00Z", "amber 2026-11-25T00:00:00Z/2026-11-27T00:00:00Z",
            ], why: "cm-01 is away until 2026-11-26 without a deputy; there is no team-lead"),
        Case(
            name: "a team lead is there meanwhile",
            registry: registry([
                person("cm-01", away: [Away("2026-11-25", "2026-11-26")]), person("lead", .teamLead),
            ]), holes: []),
        Case(
            name: "the deputy is away too, for a day",
            registry: registry([
                person("cm-01", away: [Away("2026-11-24", "2026-11-27", "cm-02")]),
                person("cm-02", away: [Away("2026-11-26", "2026-11-26")]),
            ]),
            holes: [
                "red 2026-11-26T00:00:00Z/2026-11-27T00:00:00Z", "amber 2026-11-26T00:00:00Z/2026-11-27T00:00:00Z",
            ], why: "cm-02, who stands in for cm-01, is away until 2026-11-26 without a deputy; there is no team-lead"),
        Case(
            name: "two who stand in for each other",
            registry: registry([
                person("cm-01", away: [Away("2026-11-24", "2026-11-24", "cm-02")]),
                person("cm-02", away: [Away("2026-11-24", "2026-11-24", "cm-01")]),
            ]),
            holes: [
                "red 2026-11-24T00:00:00Z/2026-11-25T00:00:00Z", "amber 2026-11-24T00:00:00Z/2026-11-25T00:00:00Z",
            ], why: "cm-01 and all deputies are away; there is no team-lead"),
        Case(
            name: "out of hours nobody is named who is there",
            registry: registry(
                [person("cm-01"), person("cm-09", webhook: false)],
                paths: [
                    path(.red, .inHours, .keyWorker), path(.red, .outOfHours, .careManager(Identifier("cm-09")!)),
                ], hours: weekdays),
            start: "2026-11-27T09:00:00Z",
            holes: [
                "red 2026-11-27T18:00:00Z/2026-11-30T08:00:00Z", "red 2026-11-30T18:00:00Z/2026-12-01T08:00:00Z",
                "red 2026-12-01T18:00:00Z/2026-12-02T08:00:00Z", "red 2026-12-02T18:00:00Z/2026-12-03T08:00:00Z",
                "red 2026-12-03T18:00:00Z/2026-12-04T08:00:00Z",
            ], why: "cm-09 has no channel that is set up"),
        // In London clocks go back on 25 October 2026 at 02:00 BST: 01:30 comes twice.
        Case(
            name: "opening hours in the night in which clocks go back",
            registry: registry(
                [person("cm-01"), person("cm-09", webhook: false)],
                paths: [
                    path(.red, .inHours, .keyWorker), path(.red, .outOfHours, .careManager(Identifier("cm-09")!)),
                ], hours: [OpeningHours(days: [.sunday], opens: 90, closes: 180)]),
            start: "2026-10-24T23:30:00Z",
            holes: [
                "red 2026-10-24T23:30:00Z/2026-10-25T00:30:00Z", "red 2026-10-25T01:00:00Z/2026-10-25T01:30:00Z",
                "red 2026-10-25T03:00:00Z/2026-10-31T23:30:00Z",
            ]),
        // In Paris clocks go forward on 29 March 2026 at 02:00: 02:30 never comes.
        Case(
            name: "opening hours in the night in which clocks go forward",
            registry: registry(
                [person("cm-01"), person("cm-09", webhook: false)],
                paths: [
                    path(.red, .inHours, .keyWorker), path(.red, .outOfHours, .careManager(Identifier("cm-09")!)),
                ], hours: [OpeningHours(days: [.sunday], opens: 150, closes: 240)], timeZone: "Europe/Paris"),
            start: "2026-03-28T23:00:00Z",
            holes: [
                "red 2026-03-28T23:00:00Z/2026-03-29T01:00:00Z", "red 2026-03-29T02:00:00Z/2026-04-04T23:00:00Z",
            ]),
        // A day of absence of 23 hours.
        Case(
            name: "an absence over the night in which clocks go forward",
            registry: registry([person("cm-01", away: [Away("2026-03-29", "2026-03-29")])]),
            start: "2026-03-28T12:00:00Z",
            holes: [
                "red 2026-03-29T00:00:00Z/2026-03-29T23:00:00Z", "amber 2026-03-29T00:00:00Z/2026-03-29T23:00:00Z",
            ]),
    ]

    @Test(arguments: cases) func holesAreFoundAtTheirBoundaries(_ one: Case) {
        let holes = Coverage(registry: one.registry).holes(from: Self.instant(one.start))
        let found = holes.map { hole in
            let times = [hole.from, hole.until].map {
                Date(timeIntervalSince1970: Double($0.microseconds) / 1_000_000).formatted(.iso8601)
            }
            return "\(hole.severity.rawValue) \(times.joined(separator: "/"))"
        }
        #expect(found == one.holes)
        #expect(holes.allSatisfy { $0.patients.map(\.description) == ["P0001"] && $0.alertClass == .clinical })
        if let why = one.why { #expect(holes.first?.why == why) }
    }

    @Test func theTechnicalRouteHasHolesOfItsOwn() {
        let start = Self.instant("2026-11-23T09:00:00Z")
        let alone = Coverage(registry: Self.registry([Self.person("cm-01")]))
        let holes = alone.technicalHoles(from: start)
        #expect(holes.map(\.severity) == [.red, .amber])
        #expect(holes.first?.why == "there is no administrator; there is no team-lead")
        let mended = Self.registry([Self.person("cm-01"), Self.person("admin", .administrator)])
        #expect(Coverage(registry: mended).technicalHoles(from: start).isEmpty)
    }

    @Test func theSyntheticSiteIsNobodysToCover() throws {
        let site = try #require(Identifier(Synthetic.siteCode))
        let patient = Patient(code: try #require(Identifier("x")), site: site)
        let registry = Registry(
            version: 1, sites: [site: Site(code: site, name: "Self-test")], patients: [patient.code: patient])
        let coverage = Coverage(registry: registry)
        #expect(coverage.holes(from: Self.instant("2026-11-23T09:00:00Z")).isEmpty)
        #expect(coverage.technicalHoles(from: Self.instant("2026-11-23T09:00:00Z")).isEmpty)
    }

    /// A whole week minute by minute, which looks at every minute on its own, finds what the boundaries find.
    @Test(arguments: 0..<6) func theBoundariesMissNothing(_ round: Int) throws {
        let seed = UInt64.random(in: 0 ... .max)
        var generator = Generator(state: seed)
        let zones = ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
        let days = ["2026-03-26", "2026-10-22", "2026-04-02", "2026-10-01", "2026-06-10", "2026-11-05"]
        let first = days.randomElement(using: &generator) ?? days[0]
        let start = Self.instant("\(first)T00:00:00Z") + .minutes(Int64.random(in: 0..<1440, using: &generator))
        func absences(_ deputies: [String?]) -> [Away] {
            (0..<Int.random(in: 0...2, using: &generator)).map { _ in
                let month = String(first.prefix(7))
                let begin = Int(first.suffix(2)).map { min(28, $0 + Int.random(in: 0...5, using: &generator)) } ?? 1
                let end = min(28, begin + Int.random(in: 0...2, using: &generator))
                func day(_ number: Int) -> String { "\(month)-\(number < 10 ? "0" : "")\(number)" }
                return Away(day(min(begin, end)), day(end), deputies.randomElement(using: &generator) ?? nil)
            }
        }
        let people = [
            Self.person("cm-01", away: absences([nil, "cm-02"])),
            Self.person("cm-02", webhook: Bool.random(using: &generator), away: absences([nil, "cm-01", "cm-03"])),
            Self.person("cm-03", away: absences([nil])),
        ]
        let opens = Int.random(in: 0..<700, using: &generator)
        let hours = [
            OpeningHours(
                days: Set(Weekday.allCases.filter { _ in Bool.random(using: &generator) }), opens: opens,
                closes: opens + Int.random(in: 1..<700, using: &generator)),
            OpeningHours(days: [.sunday], opens: 61, closes: 95),
        ]
        let named = [people[1].code, people[2].code].randomElement(using: &generator)!
        let paths = [
            Self.path(.red, .inHours, .keyWorker), Self.path(.red, .outOfHours, .careManager(named)),
            Self.path(.amber, .always, .careManager(people[0].code), .careManager(named)),
        ]
        let registry = Self.registry(
            people, paths: paths, hours: hours, timeZone: zones.randomElement(using: &generator) ?? zones[0])
        let holes = Coverage(registry: registry).holes(from: start)
        let route = Route(registry: registry)
        let patient = try #require(registry.patients.keys.first)
        for severity in [Severity.red, .amber] {
            for minute in Int64(0)..<(7 * 1440) {
                let instant = start + .minutes(minute)
                let episode = Coverage.episode(.patient(patient), site: Self.north, .clinical, severity, at: instant)
                let isHole = route.entries(
                    for: EpisodeChange(
                        episode: episode, isNew: true,
                        events: [
                            EpisodeEvent(
                                alert: episode.id, revision: 1, transition: .opened, severity: severity, at: instant,
                                report: nil, actor: "homeward", summary: "", explanation: "{}")
                        ]), at: instant
                ).isEmpty
                let isFound = holes.contains {
                    $0.severity == severity && $0.from <= instant && instant < $0.until
                }
                guard isHole == isFound else {
                    Issue.record("seed \(seed): \(severity) in minute \(minute): \(isHole), found \(isFound)")
                    return
                }
            }
        }
    }

    /// SplitMix64.
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            return word ^ (word >> 31)
        }
    }
}
