import Alerting
import Clinical
import Registry
import Testing

private let noon = Instant(microseconds: 1_790_000_000_000_000)
private let actor = AlertActor(account: "root", careManager: Identifier("cm-01"))

private func alert(_ state: AlertState = .open, _ severity: Severity = .red) -> Episode {
    Episode(
        id: AlertID(high: 1, low: 2), subject: .patient(Identifier("P0001")!), site: Identifier("north"), device: nil,
        rule: "spo2-low", alertClass: .clinical, severity: severity, state: state, raisedAt: noon - .hours(1),
        summary: "SpO2 85 %", worst: -85, revision: 3)
}

@Suite struct AlertActionTests {
    private static let shelve = AlertAction.shelve(until: noon + .hours(1))
    /// State, action, and the state after it; nil where it is refused.
    private static let table: [(AlertState, AlertAction, AlertState?)] = [
        (.open, .acknowledge, .acknowledged), (.open, .take, .acknowledged), (.open, .resolve, .resolved),
        (.open, shelve, nil), (.open, .unshelve, nil),
        (.acknowledged, .acknowledge, nil), (.acknowledged, .take, .acknowledged), (.acknowledged, shelve, .shelved),
        (.acknowledged, .unshelve, nil), (.acknowledged, .resolve, .resolved),
        (.shelved, .acknowledge, nil), (.shelved, .take, nil), (.shelved, shelve, nil),
        (.shelved, .unshelve, .acknowledged), (.shelved, .resolve, .resolved),
        (.resolved, .acknowledge, .resolved), (.resolved, .take, nil), (.resolved, shelve, nil),
        (.resolved, .unshelve, nil), (.resolved, .resolve, nil),
    ]

    @Test(arguments: table)
    func everyStateAnswersEveryAction(_ state: AlertState, _ action: AlertAction, _ after: AlertState?) throws {
        let change = try? alert(state).after(action, by: actor, note: "rang her", spoke: 1, at: noon)
        #expect(change?.episode.state == after)
        guard let change else { return }
        #expect(change.episode.revision == 4)
        #expect(change.events.map(\.revision) == [4])
        #expect(change.events.map(\.actor) == ["cm-01"])
        #expect(change.events.allSatisfy { !$0.transition.notifies && $0.summary.contains("rang her") })
    }

    /// "Recovered, not yet seen" until somebody has.
    @Test func whatEndedByItselfIsSeenOnce() throws {
        let seen = try alert(.resolved, .amber).after(.acknowledge, by: actor, spoke: 1, at: noon).episode
        #expect(seen.acknowledgedAt == noon)
        #expect(throws: AlertActionRefusal.alreadyResolved) {
            try seen.after(.acknowledge, by: actor, spoke: 1, at: noon)
        }
        let ended = try alert(.open, .amber).after(.resolve, by: actor, spoke: 1, at: noon).episode
        #expect(ended.acknowledgedAt == noon, "who ends it has seen it")
    }

    private static let spans: [(Severity, Interval, Bool)] = [
        (.red, .hours(4), true), (.red, .seconds(4 * 3600 + 1), false), (.red, .seconds(0), false),
        (.amber, .hours(72), true), (.amber, .seconds(72 * 3600 + 1), false),
    ]

    @Test(arguments: spans)
    func aShelvingEndsInTime(_ severity: Severity, _ span: Interval, _ isAllowed: Bool) {
        let change = try? alert(.acknowledged, severity)
            .after(.shelve(until: noon + span), by: actor, note: "visit at two", spoke: 1, at: noon)
        #expect((change != nil) == isAllowed)
    }

    @Test(arguments: [nil, "", " \n"]) func aRedIsNotResolvedWithoutWords(_ note: String?) throws {
        #expect(throws: AlertActionRefusal.noteRequired) {
            try alert(.acknowledged).after(.resolve, by: actor, note: note, spoke: 1, at: noon)
        }
        #expect(throws: AlertActionRefusal.noteRequired) {
            try alert(.acknowledged).after(.shelve(until: noon + .hours(1)), by: actor, note: note, spoke: 1, at: noon)
        }
        let amber = try alert(.acknowledged, .amber).after(.resolve, by: actor, note: note, spoke: 1, at: noon)
        #expect(amber.episode.state == .resolved)
    }

    /// Whoever acknowledges "SpO2 90" has not seen the 84 that came meanwhile.
    @Test func whatSpokeAgainMustBeSeenFirst() throws {
        for action in [AlertAction.acknowledge, .take, .resolve] {
            #expect(throws: AlertActionRefusal.changedSince(seen: 1, now: 3)) {
                try alert().after(action, by: actor, note: "seen", seen: 1, spoke: 3, at: noon)
            }
            // A reading that joined without a word is no bar.
            #expect(throws: Never.self) {
                try alert().after(action, by: actor, note: "seen", seen: 2, spoke: 2, at: noon)
            }
        }
    }

    /// Two nurses press "I have it" at once: the second is told whose it is.
    @Test func whatAnotherHasIsNotTakenUnseen() throws {
        let claim = AlertClaim(holder: "cm-02", revision: 3, at: noon - .minutes(2))
        for state in [AlertState.open, .acknowledged] {
            #expect(throws: AlertActionRefusal.isOf("cm-02", since: noon - .minutes(2))) {
                try alert(state).after(.take, by: actor, seen: 2, spoke: 2, claim: claim, at: noon)
            }
            // Whoever has seen that takes it over, and one's own is one's own.
            for (seen, holder) in [(Int32(3), "cm-02"), (2, "cm-01")] {
                let own = AlertClaim(holder: holder, revision: 3, at: noon)
                #expect(throws: Never.self) {
                    try alert(state).after(.take, by: actor, seen: seen, spoke: 2, claim: own, at: noon)
                }
            }
        }
    }

    @Test func anAcknowledgementRemembersHowBadItWas() throws {
        let seen = try alert().after(.acknowledge, by: actor, spoke: 1, at: noon).episode
        #expect(seen.acknowledgedAt == noon)
        #expect(seen.worstAcknowledged == -85)
        let handedOver = try seen.after(.take, by: actor, spoke: 1, at: noon + .minutes(5)).episode
        #expect(handedOver.acknowledgedAt == noon)
    }

    /// Random walks of people and readings: a red never ends but by a person, nothing but a worsening speaks, and no
    /// event is skipped or said twice.
    @Test(arguments: 0..<50) func randomLives(_ seed: UInt64) throws {
        var random = SplitMix(state: seed)
        var episode = alert(.open, .amber)
        var now = noon
        for step in 0..<60 {
            now = now + .minutes(Int64(random.next() % 90))
            let before = episode
            if random.next() % 3 == 0 {
                var ledger = EpisodeLedger(open: [episode])
                let level: Severity? = [nil, .amber, .red][Int(random.next() % 3)]
                ledger.apply(
                    finding(level, measure: -100 + Double(random.next() % 30), at: now, report: "r-\(seed)-\(step)"))
                guard let change = ledger.changes.first else { continue }
                episode = change.episode
                #expect(episode.severity >= before.severity)
                if before.severity == .red { #expect(episode.state != .resolved) }
                if change.events.contains(where: \.transition.notifies) {
                    #expect(episode.state == .open)
                    #expect(episode.acknowledgedAt == nil)
                }
            } else {
                let actions: [AlertAction] = [
                    .acknowledge, .take, .shelve(until: now + .hours(2)), .unshelve, .resolve,
                ]
                let action = actions[Int(random.next() % 5)]
                guard let change = try? episode.after(action, by: actor, note: "n", spoke: 1, at: now) else {
                    continue
                }
                episode = change.episode
                #expect(episode.severity == before.severity)
            }
            #expect(episode.revision == before.revision + 1)
            if episode.state == .shelved { #expect(before.state == .acknowledged || before.state == .shelved) }
            if episode.state == .acknowledged || episode.state == .shelved { #expect(episode.acknowledgedAt != nil) }
            if episode.state == .resolved { return }
        }
    }

    private func finding(_ level: Severity?, measure: Double, at now: Instant, report: String) -> Finding {
        Finding(
            subject: .patient(Identifier("P0001")!), site: Identifier("north"), device: nil, rule: "spo2-low",
            alertClass: .clinical, verdict: level.map { .beyond($0) } ?? .inRange,
            takenAt: now, receivedAt: now,
            report: ReportKey(device: Identifier("dev-1")!, report: Identifier(report, grammar: .report)!),
            measure: measure, step: 2, summary: "SpO2")
    }
}

private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
        return value ^ value >> 31
    }
}
