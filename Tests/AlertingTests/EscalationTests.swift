import Alerting
import Clinical
import Registry
import Testing

@Suite struct EscalationTests {
    private let spoke = Instant(microseconds: 1_795_421_730_000_000)

    private func escalation(_ steps: [(EscalationStep.Recipient, Interval)] = []) -> Escalation {
        let north = Identifier("north")!
        let people = ["cm-01", "cm-02", "lead"].map { code in
            CareManager(
                code: Identifier(code)!, site: north, webhook: "http://127.0.0.1:9/\(code)",
                role: code == "lead" ? .teamLead : .careManager)
        }
        let paths =
            steps.isEmpty
            ? []
            : [
                EscalationPath(
                    site: north, alertClass: .clinical, severity: .red, when: .always,
                    steps: steps.map { EscalationStep(to: $0.0, after: $0.1) })
            ]
        return Escalation(
            route: Route(
                registry: Registry(
                    version: 1, sites: [north: Site(code: north, name: "North")],
                    careManagers: Dictionary(uniqueKeysWithValues: people.map { ($0.code, $0) }),
                    patients: [
                        Identifier("P0001")!: Patient(
                            code: Identifier("P0001")!, site: north, keyWorker: Identifier("cm-01"))
                    ], devices: [:], escalation: paths)))
    }

    private func alert(
        _ severity: Severity = .red, _ alertClass: AlertClass = .clinical, state: AlertState = .open
    ) -> Episode {
        Episode(
            id: AlertID(high: 1, low: 1), subject: .patient(Identifier("P0001")!), site: Identifier("north"),
            device: nil, rule: "spo2-low", alertClass: alertClass, severity: severity, state: state, raisedAt: spoke,
            summary: "")
    }

    private func minutes(_ escalation: Escalation, _ episode: Episode, levels: Int) -> [Int64?] {
        (0..<levels).map { level in
            escalation.due(after: level, of: episode, spokeAt: spoke).map { ($0 - spoke).microseconds / 60_000_000 }
        }
    }

    private func told(_ escalation: Escalation, _ level: Int, _ episode: Episode) -> [String] {
        escalation.entries(level, of: episode, revision: 1, at: spoke).map(\.recipient.description)
    }

    @Test func aNamedChainGoesUpAndBeginsAgain() {
        let chain = escalation([
            (.keyWorker, .seconds(0)), (.teamLead, .minutes(15)), (.careManager(Identifier("cm-02")!), .minutes(30)),
        ])
        #expect(minutes(chain, alert(), levels: 5) == [15, 30, 45, 60, 75])
        #expect(told(chain, 1, alert()) == ["lead"])
        #expect(told(chain, 2, alert()) == ["cm-02"])
        #expect(told(chain, 3, alert()) == ["cm-01", "lead", "cm-02"])
        #expect((0..<5).map { chain.isUnanswered($0, of: alert(), at: spoke) } == [false, false, false, true, true])
    }

    @Test func withoutAChainTeamLeadsAreNext() {
        #expect(minutes(escalation(), alert(), levels: 2) == [15, 30])
        #expect(minutes(escalation(), alert(.amber), levels: 2) == [240, 255])
        #expect(told(escalation(), 1, alert()) == ["lead"])
    }

    @Test func nobodyIsWokenAgainForABattery() {
        #expect(minutes(escalation(), alert(.amber, .technical), levels: 3) == [240, nil, nil])
        #expect(minutes(escalation(), alert(.red, .technical), levels: 3) == [15, 30, 45])
    }

    @Test(arguments: [AlertState.acknowledged, .shelved, .resolved]) func itStopsAtTheAnswer(_ state: AlertState) {
        #expect(minutes(escalation(), alert(state: state), levels: 3) == [nil, nil, nil])
    }

    @Test func everyLevelHasItsOwnKeys() {
        let keys = (0..<6).flatMap { escalation().entries($0, of: alert(), revision: 1, at: spoke).map(\.key) }
        #expect(Set(keys).count == keys.count)
    }
}
