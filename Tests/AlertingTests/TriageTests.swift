import Alerting
import Clinical
import Registry
import Testing

@Suite struct TriageTests {
    private static let north = Identifier("north")!
    private static let code = Identifier("P0001")!
    private static let device = Identifier("dev-0001")!
    /// Monday 23 November 2026, 08:15 in London.
    private static let now = Instant(microseconds: 1_795_421_730_000_000)
    private static let today = CalendarDate(year: 2026, month: 11, day: 23)!

    private static let yesterday = CalendarDate(year: 2026, month: 11, day: 22)!

    /// A patient of whom nothing stands against green.
    struct World {
        var patient = TriageTests.patient()
        var facts = TriageFacts()
        var uncovered = false
        var clock = false

        init() { facts.latest = [.spo2: TriageTests.latest()] }

        var triage: Triage {
            Triage(
                of: patient, plan: Plan(profile: patient.profile, packs: TriageTests.packs), isUncovered: uncovered,
                facts: facts, isServerClockDoubted: clock, at: TriageTests.now)
        }
    }

    private static let packs = PackLibrary([
        ProtocolPack(code: "adult", title: "Adult", contentHash: "aa", bands: []),
        ProtocolPack(code: "clots", title: "Clots", contentHash: "bb", isEnabled: false, bands: []),
    ])

    /// Everything that green asks for.
    private static func patient() -> Patient {
        Patient(
            code: code, site: north, keyWorker: Identifier("cm-01"),
            schedule: [ScheduleSlot(kinds: [.spo2], due: 540, days: [.monday], early: .hours(2), grace: .hours(4))])
    }

    private static func latest(
        _ age: Interval = .hours(2), suspect: Bool = false, received: Interval? = nil
    ) -> TriageFacts.Latest {
        TriageFacts.Latest(takenAt: now - age, receivedAt: now - (received ?? age), isSuspect: suspect)
    }

    private static func alert(
        _ severity: Severity, _ rule: String = "spo2-low", _ state: AlertState = .open, age: Interval = .hours(1)
    ) -> TriageFacts.Alert {
        TriageFacts.Alert(rule: rule, severity: severity, state: state, raisedAt: now - age)
    }

    private static func refusal(_ kind: String?, age: Interval) -> TriageFacts.Refusal {
        TriageFacts.Refusal(kind: kind, reason: "implausible", at: now - age)
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var state: TriageState
        var reasons: [String]
        var change: @Sendable (inout World) -> Void

        init(
            _ name: String, _ state: TriageState, _ reasons: [String] = [],
            _ change: @escaping @Sendable (inout World) -> Void
        ) {
            (testDescription, self.state, self.reasons, self.change) = (name, state, reasons, change)
        }
    }

    static let cases: [Case] = [
        Case("nothing stands against green", .green) { _ in },
        Case("an open red", .red, ["alert"]) { $0.facts.alerts = [alert(.red)] },
        Case("an acknowledged red is still red", .red, ["alert"]) {
            $0.facts.alerts = [alert(.red, "a", .acknowledged)]
        },
        Case("a shelved amber is still amber", .amber, ["alert"]) { $0.facts.alerts = [alert(.amber, "a", .shelved)] },
        Case("red before amber", .red, ["alert", "alert"]) { $0.facts.alerts = [alert(.amber), alert(.red, "b")] },
        Case("information alone is green", .green) { $0.facts.alerts = [alert(.info)] },
        Case("no schedule", .grey, ["no-schedule"]) { $0.patient.schedule = [] },
        Case("nothing ever", .grey, ["nothing-received"]) { $0.facts.latest = [:] },
        Case("24 h without a reading", .green) { $0.facts.latest = [.spo2: latest(.hours(24))] },
        Case("over 24 h without a reading", .grey, ["nothing-received"]) {
            $0.facts.latest = [.spo2: latest(.seconds(24 * 3600 + 1))]
        },
        Case("old readings that come today", .grey, ["nothing-received"]) {
            $0.facts.latest = [.spo2: latest(.days(3), received: .hours(1))]
        },
        Case("only suspect readings", .grey, ["only-suspect"]) {
            $0.facts.latest = [.spo2: latest(suspect: true), .weight: latest(.days(2))]
        },
        Case("one suspect reading beside a good one", .green) {
            $0.facts.latest[.weight] = latest(suspect: true)
        },
        Case("a reader's clock", .grey, ["untrusted-clock"]) { $0.facts.untrustedClocks = [device] },
        Case("our own clock", .grey, ["server-clock"]) { $0.clock = true },
        Case("a refused reading", .grey, ["refused-reading"]) {
            $0.facts.refusals = [refusal("weight", age: .hours(1))]
        },
        Case("a refused reading that another kind followed", .grey, ["refused-reading"]) {
            $0.facts.refusals = [refusal("weight", age: .hours(3))]
        },
        Case("a refused reading that was repeated", .green) {
            $0.facts.refusals = [refusal("spo2", age: .hours(3))]
        },
        Case("a refused reading whose repeat is suspect", .grey, ["refused-reading"]) {
            $0.facts.refusals = [refusal("weight", age: .hours(3))]
            $0.facts.latest[.weight] = latest(suspect: true)
        },
        Case("a refused reading of no known kind", .grey, ["refused-reading"]) {
            $0.facts.refusals = [refusal("mood", age: .hours(1)), refusal("mood", age: .hours(1))]
        },
        Case("a refused report that a reading followed", .green) {
            $0.facts.refusals = [refusal(nil, age: .hours(3)), refusal("mood", age: .hours(3))]
        },
        Case("a pack that is not enabled", .grey, ["lacking"]) { $0.patient.profile.conditions = ["clots"] },
        Case("a limit that can't be used", .grey, ["unusable-limit"]) {
            $0.patient.profile.limits = [OwnLimit(kind: .spo2, redOffUntil: today)]
        },
        Case("nobody would be told", .grey, ["uncovered"]) { $0.uncovered = true },
        Case("paused today", .paused, ["paused", "nothing-received"]) {
            $0.patient.pauses = [Pause(from: today, until: today, reason: "holiday")]
            $0.facts.latest = [:]
        },
        Case("a pause that is over", .green) {
            $0.patient.pauses = [Pause(from: yesterday, until: yesterday, reason: nil)]
        },
        Case("a pause that was ended", .green) {
            $0.patient.pauses = [Pause(from: today, until: today, reason: nil, ended: now)]
        },
        Case("a pause hides no amber", .amber, ["alert", "paused"]) {
            $0.patient.pauses = [Pause(from: today, until: today, reason: nil)]
            $0.facts.alerts = [alert(.amber)]
        },
        Case("a red with everything else wrong", .red, ["alert", "no-schedule", "nothing-received", "uncovered"]) {
            $0.patient.schedule = []
            $0.facts = TriageFacts()
            $0.facts.alerts = [alert(.red)]
            $0.uncovered = true
        },
    ]

    @Test(arguments: cases) func stateAndReasons(of row: Case) {
        var world = World()
        row.change(&world)
        #expect(world.triage.state == row.state)
        #expect(world.triage.reasons.map(\.code) == row.reasons)
        #expect(world.triage.lastReadingAt == world.facts.latest.values.map(\.takenAt).max())
    }

    @Test func `every cause keeps a patient from green, whatever stands beside it`() {
        for row in Self.cases where !row.reasons.isEmpty {
            for other in Self.cases {
                var world = World()
                // The cause has the last word on what both change.
                other.change(&world)
                row.change(&world)
                #expect(world.triage.state != .green, "\(row.testDescription) and \(other.testDescription)")
            }
        }
    }

    @Test func `the day of a pause is the patient's own`() {
        var patient = Self.patient()
        // Tuesday already, twelve hours further east.
        patient.profile.timeZone = "Pacific/Auckland"
        patient.pauses = [Pause(from: Self.today, until: Self.today, reason: nil)]
        var facts = TriageFacts()
        facts.latest = [.spo2: Self.latest()]
        func state(at instant: Instant) -> TriageState {
            Triage(
                of: patient, plan: Plan(profile: patient.profile, packs: Self.packs), isUncovered: false, facts: facts,
                isServerClockDoubted: false, at: instant
            ).state
        }
        #expect(state(at: Self.now) == .paused)
        #expect(state(at: Self.now + .hours(3)) == .green)
    }

    @Test func `whoever is discharged stays on the list as long as an alert is open`() {
        var patient = Self.patient()
        patient.schedule = []
        patient.discharge = Discharge(at: Self.now - .hours(1), because: .died)
        let registry = Registry(sites: [:], patients: [Self.code: patient])
        func list(_ alerts: [TriageFacts.Alert]) -> [Triage] {
            var snapshot = TriageSnapshot(at: Self.now)
            snapshot.alerts = alerts.map {
                TriageSnapshot.OpenAlert(subject: .patient(Self.code), alertClass: .clinical, alert: $0)
            }
            return snapshot.worklist(of: registry, uncovered: [Self.code]) {
                Plan(profile: $0.profile, packs: Self.packs)
            }
        }
        #expect(list([]).isEmpty)
        #expect(list([Self.alert(.info)]).isEmpty)
        let row = list([Self.alert(.red)]).first
        #expect(row?.state == .red && row?.isDischarged == true && row?.reasons.count == 1, "nothing else is expected")
        patient.discharge = Discharge(at: Self.now + .hours(1), because: .discharged)
        var world = World()
        world.patient = patient
        #expect(!world.triage.isDischarged && world.triage.state == .grey)
    }

    @Test func `what has happened to an alert tells whose readings to look at again`() {
        let reader = Device(
            code: Self.device, site: Self.north,
            pairings: [Pairing(patient: Self.code, from: Self.now - .days(9))])
        let registry = Registry(patients: [Self.code: Self.patient()], devices: [Self.device: reader])
        func snapshot(_ open: (Subject, Int32)...) -> TriageSnapshot {
            var snapshot = TriageSnapshot(at: Self.now)
            snapshot.alerts = open.map {
                TriageSnapshot.OpenAlert(subject: $0, alertClass: .clinical, alert: Self.alert(.red), revision: $1)
            }
            return snapshot
        }
        let before = snapshot((.patient(Self.code), 1), (.instance, 1))
        #expect(before.patients(changedFrom: before, in: registry).isEmpty)
        #expect(snapshot((.patient(Self.code), 2)).patients(changedFrom: before, in: registry) == [Self.code])
        #expect(snapshot().patients(changedFrom: before, in: registry) == [Self.code], "an end is a change")
        #expect(
            snapshot((.patient(Self.code), 1), (.device(Self.device), 1)).patients(changedFrom: before, in: registry)
                == [Self.code])
    }

    @Test func `the worklist begins with who waits longest for the worst`() {
        let codes = ["P1", "P2", "P3", "P4", "P5", "P6"].map { Identifier($0)! }
        var registry = Registry(version: 1)
        for code in codes {
            var patient = Self.patient()
            patient.code = code
            patient.keyWorker = Identifier("cm-01")
            registry.patients[code] = patient
        }
        let keyWorker = CareManager(code: Identifier("cm-01")!, site: Self.north, webhook: "http://127.0.0.1:9/hook")
        registry.careManagers[keyWorker.code] = keyWorker
        registry.patients[codes[5]]?.pauses = [Pause(from: Self.today, until: Self.today, reason: nil)]
        registry.patients[codes[4]]?.site = Identifier("south")!
        registry.devices[Self.device] = Device(
            code: Self.device, site: Self.north, pairings: [Pairing(patient: codes[1], from: Self.now - .days(3))])
        var snapshot = TriageSnapshot(at: Self.now)
        for code in codes { snapshot.latest[code] = [.spo2: Self.latest()] }
        func open(_ subject: Subject, _ alertClass: AlertClass, _ alert: TriageFacts.Alert) {
            snapshot.alerts.append(.init(subject: subject, alertClass: alertClass, alert: alert))
        }
        open(.patient(codes[3]), .clinical, Self.alert(.red, age: .hours(1)))
        open(.patient(codes[2]), .clinical, Self.alert(.red, age: .hours(2)))
        open(.patient(codes[2]), .clinical, Self.alert(.amber, age: .hours(9)))
        // About a reader, so about whoever holds it.
        open(.device(Self.device), .clinical, Self.alert(.amber, "unverified-red"))
        open(.device(Self.device), .technical, Self.alert(.amber, TriageSnapshot.readerClockRule))
        open(.device(Self.device), .technical, Self.alert(.amber, "battery-low"))
        func list(site: Identifier? = nil) -> [Triage] {
            snapshot.worklist(of: registry, site: site, uncovered: []) { Plan(profile: $0.profile, packs: Self.packs) }
        }
        #expect(list().map(\.patient.description) == ["P3", "P4", "P2", "P6", "P1", "P5"])
        #expect(list().map(\.state) == [.red, .red, .amber, .paused, .green, .green])
        #expect(list().first?.oldestAlertAt == Self.now - .hours(2))
        #expect(list()[2].reasons.map(\.code) == ["alert", "untrusted-clock"])
        #expect(list(site: Identifier("south")).map(\.patient.description) == ["P5"])
        // Nobody is to be told in three days; then nobody at all.
        registry.sites[Self.north] = Site(code: Self.north, name: "North")
        let later = CalendarDate(year: Self.today.year, month: Self.today.month, day: Self.today.day + 3)!
        registry.careManagers[keyWorker.code]?.away = [Absence(from: later, until: later, deputy: nil)]
        #expect(list().first { $0.patient == codes[0] }?.reasons == [.coverageHole(from: "Thu \(later) 00:00")])
        registry.careManagers[keyWorker.code]?.webhook = nil
        #expect(list().first { $0.patient == codes[0] }?.reasons == [.uncovered])
        registry.careManagers[keyWorker.code] = keyWorker
        open(.instance, .technical, Self.alert(.amber, TriageSnapshot.serverClockRule))
        #expect(!list().contains { $0.state == .green })
    }

    @Test func `an alert is found by the beginning of its id`() throws {
        let id = try #require(AlertID("1a2b3c4d-0000-0000-0000-00000000000f"))
        #expect(try #require(AlertID.beginning(with: "1a2b")).contains(id))
        #expect(try #require(AlertID.beginning(with: id.description)) == id...id)
        #expect(!(try #require(AlertID.beginning(with: "1a2c")).contains(id)))
        for text in ["", "1a2bx", "1a2b3c4d0", id.description + "0"] { #expect(AlertID.beginning(with: text) == nil) }
    }
}
