import Clinical
import Registry
import TestSupport
import Testing

@testable import Alerting

@Suite struct WorklistOrderTests {
    private static let now = Instant(microseconds: 1_780_000_000_000_000)
    private static let plan = Plan(profile: PatientProfile(), packs: PackLibrary([]))

    private static func code(_ text: String) throws -> Identifier { try #require(Identifier(text)) }

    private static func row(
        _ number: Int, keyWorker: Int, severity: Severity?, waiting: Int64?
    ) throws -> WorklistRow {
        var facts = TriageFacts()
        if let severity {
            facts.alerts = [.init(rule: "spo2-low", severity: severity, state: .open, raisedAt: now - .minutes(9))]
        }
        let patient = Patient(
            code: try code("P\(number)"), site: try code("north"), keyWorker: try code("cm-\(keyWorker)"))
        let triage = Triage(
            of: patient, plan: plan, isUncovered: false, facts: facts, isServerClockDoubted: false, at: now)
        return WorklistRow(
            triage: triage, name: nil, conditions: [], isHighRisk: false, unanswered: waiting == nil ? 0 : 1,
            unansweredSince: waiting.map { now - .minutes($0) }, muted: 0, recoveredUnseen: 0)
    }

    /// A pair in the wrong order, by the words of the promise.
    private static func isBefore(_ left: WorklistRow, _ right: WorklistRow, ownOf own: Identifier) -> Bool {
        let order: [TriageState] = [.red, .amber, .grey, .paused, .green]
        let states = (order.firstIndex(of: left.triage.state), order.firstIndex(of: right.triage.state))
        if let left = states.0, let right = states.1, left != right { return left < right }
        let isOwn = (left.triage.keyWorker == own, right.triage.keyWorker == own)
        if isOwn.0 != isOwn.1 { return isOwn.0 }
        let never = Instant(microseconds: .max)
        let since = (left.unansweredSince ?? never, right.unansweredSince ?? never)
        if since.0 != since.1 { return since.0 < since.1 }
        return left.triage.patient.description < right.triage.patient.description
    }

    @Test(arguments: 0..<30)
    func `everybody's list is in order, their own patients first, and has nobody else`(seed: Int) throws {
        var generator = SplitMix64(seed: UInt64(seed))
        let severities: [Severity?] = [nil, .amber, .red]
        let rows = try (0..<Int.random(in: 0...40, using: &generator)).map { number in
            try Self.row(
                number, keyWorker: Int.random(in: 1...3, using: &generator),
                severity: severities.randomElement(using: &generator) ?? nil,
                waiting: Bool.random(using: &generator) ? Int64.random(in: 1...4, using: &generator) : nil)
        }
        let own = try Self.code("cm-\(seed % 3 + 1)")
        let visible = Set(rows.map(\.triage.patient).filter { _ in Int.random(in: 0..<4, using: &generator) > 0 })
        let list = WorklistRow.list(of: WorklistRow.sorted(rows), among: visible, ownOf: own)
        #expect(Set(list.map(\.triage.patient)) == visible)
        #expect(list.count == visible.count)
        for (left, right) in zip(list, list.dropFirst()) {
            #expect(Self.isBefore(left, right, ownOf: own), "\(left.triage.patient) \(right.triage.patient)")
        }
    }
}
