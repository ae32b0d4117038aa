import Alerting
import Clinical
import Registry
import Testing

@Suite struct EpisodeLedgerTests {
    let patient = Subject.patient(Identifier("P0001")!)
    let start = Instant(microseconds: 1_800_000_000_000_000)

    func finding(
        _ verdict: Finding.Verdict, minute: Int64, report: String = "r1", late: Bool = false, measure: Double? = nil,
        step: Double? = 2, rule: String = "spo2-low"
    ) -> Finding {
        Finding(
            subject: patient, site: Identifier("north"), device: Identifier("dev-1"), rule: rule,
            alertClass: .clinical, verdict: verdict, late: late, takenAt: start + .minutes(minute),
            receivedAt: start + .minutes(minute),
            report: ReportKey(device: Identifier("dev-1")!, report: Identifier(report)!), measure: measure, step: step,
            summary: "at minute \(minute)")
    }

    func acknowledged(_ episode: Episode, minute: Int64) -> Episode {
        var episode = episode
        episode.state = .acknowledged
        episode.acknowledgedAt = start + .minutes(minute)
        episode.worstAcknowledged = episode.worst
        return episode
    }

    func open(_ severity: Severity, measure: Double? = nil) throws -> Episode {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(finding(.beyond(severity), minute: 0, measure: measure))
        return try #require(ledger.changes.first).episode
    }

    @Test func `a finding opens one alert and further ones join it`() throws {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(finding(.beyond(.amber), minute: 0))
        ledger.apply(finding(.beyond(.amber), minute: 5, report: "r2"))
        let change = try #require(ledger.changes.first)
        #expect(ledger.changes.count == 1)
        #expect(change.isNew)
        #expect(change.events.map(\.transition) == [.opened, .joined])
        #expect(change.episode.revision == 2)
        #expect(change.episode.summary == "at minute 0")
    }

    @Test func `the same findings give the same id again`() throws {
        #expect(try open(.red).id == open(.red).id)
        var other = EpisodeLedger(open: [])
        other.apply(finding(.beyond(.red), minute: 0, report: "r2"))
        #expect(try open(.red).id != other.changes[0].episode.id)
    }

    @Test func `an alert's id reads back from its text`() throws {
        let id = try open(.red).id
        #expect(AlertID(id.description) == id)
        #expect(AlertID("not an id") == nil)
        #expect(id.description.utf8.count == 36)
    }

    @Test(arguments: [AlertState.open, .acknowledged, .shelved])
    func `worsening opens it again and never falls back`(state: AlertState) throws {
        var episode = try open(.amber)
        episode.state = state
        var ledger = EpisodeLedger(open: [episode])
        ledger.apply(finding(.beyond(.red), minute: 5))
        ledger.apply(finding(.beyond(.amber), minute: 6))
        let change = try #require(ledger.changes.first)
        #expect(change.episode.state == .open)
        #expect(change.episode.severity == .red)
        #expect(change.events.map(\.transition) == [.worsened, .joined])
        #expect(change.episode.summary == "at minute 5")
    }

    @Test(
        arguments: [
            (measure: -89.0, minute: 10, speaks: false), (measure: -88, minute: 10, speaks: true),
            (measure: -90, minute: 60, speaks: false), (measure: -90, minute: 61, speaks: true),
        ] as [(measure: Double, minute: Int64, speaks: Bool)])
    func `a red inside red speaks again by the step or after an hour`(
        row: (measure: Double, minute: Int64, speaks: Bool)
    ) throws {
        let before = acknowledged(try open(.red, measure: -90), minute: 0)
        var ledger = EpisodeLedger(open: [before])
        ledger.apply(finding(.beyond(.red), minute: row.minute, measure: row.measure))
        let change = try #require(ledger.changes.first)
        #expect(change.events.last?.transition == (row.speaks ? .reopened : .joined))
        #expect(change.episode.state == (row.speaks ? .open : .acknowledged))
    }

    @Test func `an amber ends back in range, a red does not`() throws {
        for (severity, state) in [(Severity.amber, AlertState.resolved), (.red, .open)] {
            var ledger = EpisodeLedger(open: [try open(severity)])
            ledger.apply(finding(.inRange, minute: 5))
            #expect(ledger.changes.first?.episode.state ?? .open == state)
        }
    }

    @Test func `in a replay a red ends too`() throws {
        var ledger = EpisodeLedger(open: [try open(.red)], redsEndInRange: true)
        ledger.apply(finding(.inRange, minute: 5))
        ledger.apply(finding(.beyond(.red), minute: 9, report: "r9"))
        #expect(ledger.changes.map(\.episode.state) == [.resolved, .open])
        #expect(ledger.changes.map(\.isNew) == [false, true])
    }

    @Test func `a late or an older reading never clears a newer state`() throws {
        var ledger = EpisodeLedger(open: [try open(.amber)])
        ledger.apply(finding(.inRange, minute: 5, late: true))
        ledger.apply(finding(.inRange, minute: -5))
        #expect(ledger.changes.isEmpty)
    }

    @Test func `an alert that opens and ends in one batch is written once, then a new one may open`() throws {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(finding(.beyond(.amber), minute: 0))
        ledger.apply(finding(.inRange, minute: 1, report: "r2"))
        ledger.apply(finding(.beyond(.amber), minute: 2, report: "r3"))
        let changes = ledger.changes
        #expect(changes.map(\.episode.state) == [.resolved, .open])
        #expect(changes.map(\.isNew) == [true, true])
        #expect(changes[0].episode.id != changes[1].episode.id)
    }

    @Test func `in range with nothing open changes nothing`() {
        var ledger = EpisodeLedger(open: [])
        ledger.apply(finding(.inRange, minute: 0))
        #expect(ledger.changes.isEmpty)
    }

    @Test(arguments: [AlertState.open, .acknowledged])
    func `a red whose reading was entered in error speaks again at the next one`(state: AlertState) throws {
        var episode = try open(.red, measure: -80)
        if state == .acknowledged { episode = acknowledged(episode, minute: 1) }
        let correction = EnteredInError(
            key: ReportKey(device: Identifier("dev-1")!, report: Identifier("r1")!), reading: 0, kind: .spo2,
            at: start + .minutes(2), by: "cm-01", actor: "cm-01", reason: "no finger in it")
        let event = episode.annotate(correction, leaving: RemainingCauses(severity: .amber), explanation: "{}")
        #expect(event.transition == .enteredInError && event.actor == "cm-01" && !event.transition.notifies)
        #expect(event.summary.contains("by cm-01 because no finger in it"))
        #expect(episode.state == state && episode.severity == .red)
        var ledger = EpisodeLedger(open: [episode])
        ledger.apply(finding(.beyond(.amber), minute: 3, report: "r2", measure: -93))
        ledger.apply(finding(.beyond(.red), minute: 4, report: "r3", measure: -91))
        ledger.apply(finding(.beyond(.red), minute: 5, report: "r4", measure: -91))
        let change = try #require(ledger.changes.first)
        #expect(change.events.map(\.transition) == [.joined, .reopened, .joined])
        #expect(change.episode.worst == -91 && change.episode.state == .open)
    }

    @Test func `a red of a rule that somebody has in hand does not end in range`() throws {
        for (rules, count) in [(Set<String>(), 1), (["spo2-low"], 0)] {
            var ledger = EpisodeLedger(open: [try open(.red)], redsEndInRange: true, standingRules: rules)
            ledger.apply(finding(.inRange, minute: 5, report: "r2"))
            #expect(ledger.changes.count == count)
        }
    }
}
