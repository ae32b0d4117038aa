import Alerting
import Clinical
import Registry
import TestSupport
import Testing

@testable import Ingestion

/// Escalation through the commit and its timers, by a manual clock: what sets a timer, what it tells, what ends it.
@Suite struct EscalationTimerTests {
    /// A ward with a chain: cm-01 at once, the team lead after 15 minutes, cm-02 after 30.
    private struct Ward {
        var bench = Bench()
        var now = Bench.now

        init() {
            var registry = SmallWard.registry(readers: [("P0001", "dev-0001"), ("P0002", "dev-0002")])
            let deputy = Identifier("cm-02")!
            registry.careManagers[deputy] = CareManager(
                code: deputy, site: Bench.north, webhook: "http://127.0.0.1:1/deputy")
            registry.escalation = [
                EscalationPath(
                    site: Bench.north, alertClass: .clinical, severity: .red, when: .always,
                    steps: [
                        EscalationStep(to: .keyWorker, after: .seconds(0)),
                        EscalationStep(to: .teamLead, after: .minutes(15)),
                        EscalationStep(to: .careManager(deputy), after: .minutes(30)),
                    ])
            ]
            bench.store.currentRegistry = registry
        }

        var store: MemoryStore { bench.store }
        var alert: Episode? { store.openEpisodes.first }

        mutating func send(_ id: String, spo2: Double, patient: Int = 1, committedAt: Instant? = nil) throws {
            var batch = [
                bench.candidate(
                    Bench.message(
                        Bench.payload(id: id, takenAt: now, readings: Bench.reading("spo2", spo2, "%")),
                        topic: "homeward/v1/north/dev-000\(patient)/report", receivedAt: now))
            ]
            _ = try bench.processor.commit(&batch, to: store, at: committedAt)
        }

        /// Everything that is due now; who was told.
        @discardableResult
        mutating func fire() throws -> [String] {
            let before = store.rows.outbox.count
            while try bench.processor.fireTimers(of: store, by: now) != nil {}
            return store.rows.outbox.dropFirst(before).map(\.recipient.description)
        }

        mutating func wait(_ minutes: Int64) throws -> [String] {
            now = now + .minutes(minutes)
            return try fire()
        }

        /// As the desk does it. False when it is refused.
        @discardableResult
        func act(_ action: AlertAction, on alert: Episode) throws -> Bool {
            let actor = AlertActor(account: "root", careManager: Identifier("cm-01"))
            guard let change = try? alert.after(action, by: actor, note: "seen", spoke: 0, at: now) else {
                return false
            }
            let timers = AlertTimers(after: action, on: change.episode, at: now)
            var rows = CommitBatch()
            rows.episodes = [change]
            rows.timers = timers.set
            rows.endedTimers = timers.ended
            _ = try store.begin()
            try store.write(rows)
            try store.commit()
            return true
        }

        func timers(_ kind: String) throws -> [Timer] { try store.everyTimer(kind) }
        var escalations: [Timer] { get throws { try timers(EscalationTimer.kind) } }
    }

    @Test func `a red goes up its chain, stops at the acknowledgement, and comes back after an hour`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        #expect(ward.store.rows.outbox.map(\.recipient.description) == ["cm-01"])
        #expect(try ward.wait(14) == [])
        #expect(try ward.wait(1) == ["lead"])
        #expect(ward.alert?.escalationLevel == 1)
        #expect(try ward.wait(15) == ["cm-02"])
        #expect(ward.alert?.escalationLevel == 2)
        #expect(try ward.act(.acknowledge, on: #require(ward.alert)))
        #expect(try ward.escalations.isEmpty)
        #expect(try ward.wait(59) == [])
        #expect(try ward.wait(1) == ["cm-01"])
        let back = try #require(ward.alert)
        #expect(back.state == .open && back.acknowledgedAt == nil && back.escalationLevel == 0)
        #expect(back.summary.hasPrefix("Acknowledged, and not resolved in time: "))
        #expect(try ward.wait(15) == ["lead"])
        #expect(
            ward.store.rows.episodes.flatMap(\.events).map(\.transition) == [
                .opened, .escalated, .escalated, .acknowledged, .reopened, .escalated,
            ])
        // A second time its words stand once.
        #expect(try ward.act(.acknowledge, on: #require(ward.alert)))
        #expect(try ward.wait(60) == ["cm-01"])
        #expect(ward.alert?.summary == back.summary)
    }

    @Test func `each step says in the history who was told`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        _ = try ward.wait(45)
        let events = ward.store.rows.episodes.flatMap(\.events).filter { $0.transition == .escalated }
        #expect(events.map(\.summary) == ["not acknowledged: told lead, cm-02"])
        #expect(events.first?.actor == "homeward" && events.first?.report == nil)
        #expect(
            events.first?.explanation
                == #"{"level":1,"unanswered":false,"told":[{"recipient":"lead","channel":"webhook"},"#
                + #"{"recipient":"cm-02","channel":"webhook"}]}"#)
        _ = try ward.wait(15)
        #expect(
            ward.store.rows.episodes.flatMap(\.events).last?.summary == "unanswered: told cm-01, lead, cm-02")
        // The messages say what the alert said when it last spoke.
        #expect(Set(ward.store.rows.outbox.map(\.revision)) == [1])
    }

    @Test func `worsening begins the chain anew`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 93)
        #expect(try ward.escalations.map(\.due) == [Bench.now + .hours(4)])
        #expect(try ward.wait(20) == [])
        try ward.send("b", spo2: 90)
        #expect(try ward.escalations.map(\.due) == [ward.now + .minutes(15)])
        #expect(try ward.wait(15) == ["lead"])
        // A reading that joins it changes nothing.
        try ward.send("c", spo2: 91)
        #expect(try ward.wait(15) == ["cm-02"])
    }

    @Test func `what ends an alert ends its timers`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 93)
        ward.now = ward.now + .minutes(1)
        try ward.send("b", spo2: 97)
        #expect(ward.alert == nil)
        #expect(try ward.escalations.isEmpty)
        try ward.send("c", spo2: 90)
        try ward.act(.acknowledge, on: #require(ward.alert))
        try ward.act(.resolve, on: #require(ward.alert))
        #expect(try ward.timers(AcknowledgementEnd.kind).isEmpty)
        #expect(try ward.wait(24 * 60) == [])
    }

    @Test func `a red that is shelved comes back when its shelving is over, not before`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        try ward.act(.acknowledge, on: #require(ward.alert))
        try ward.act(.shelve(until: ward.now + .hours(3)), on: #require(ward.alert))
        #expect(try ward.wait(179) == [])
        #expect(try ward.wait(1) == ["cm-01"])
        #expect(try ward.wait(15) == ["lead"])
    }

    @Test func `taking it, and taking it back from its shelf, begin its hour anew; an amber has none`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        try ward.act(.acknowledge, on: #require(ward.alert))
        _ = try ward.wait(50)
        try ward.act(.take, on: #require(ward.alert))
        #expect(try ward.wait(59) == [])
        try ward.act(.shelve(until: ward.now + .minutes(30)), on: #require(ward.alert))
        try ward.act(.unshelve, on: #require(ward.alert))
        #expect(try ward.wait(59) == [])
        #expect(try ward.wait(1) == ["cm-01"])
        var other = Ward()
        try other.send("a", spo2: 93)
        try other.act(.take, on: #require(other.alert))
        #expect(try other.wait(24 * 60) == [])
        #expect(other.alert?.state == .acknowledged)
    }

    @Test func `a red that speaks again before its hour is over has no hour any more`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        try ward.act(.acknowledge, on: #require(ward.alert))
        ward.now = ward.now + .minutes(10)
        try ward.send("b", spo2: 85)
        #expect(ward.alert?.state == .open)
        #expect(try ward.timers(AcknowledgementEnd.kind).isEmpty)
        #expect(try ward.escalations.map(\.due) == [ward.now + .minutes(15)])
    }

    @Test func `what had waited in the spool counts from when somebody is told`() throws {
        var ward = Ward()
        let drained = ward.now + .hours(3)
        try ward.send("a", spo2: 90, committedAt: drained)
        #expect(try ward.escalations.map(\.due) == [drained + .minutes(15)])
    }

    /// A message of the timer's row is all that a daemon has that starts in the middle of a chain.
    @Test func `a timer says all that its next step needs`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        _ = try ward.wait(15)
        let row = try #require(try ward.escalations.first)
        let timer = try #require(EscalationTimer(row))
        #expect(timer.timer(at: ward.now) == row)
        #expect(timer.progress.people.map(\.description) == ["cm-01", "lead"])
        #expect(EscalationTimer(Timer(kind: "other", subject: row.subject, due: row.due, payload: row.payload)) == nil)
        #expect(EscalationTimer(Timer(kind: EscalationTimer.kind, subject: row.subject, due: row.due)) == nil)
        // Another processor goes on.
        ward.bench.processor = BatchProcessor(packs: Bench.packs)
        #expect(try ward.wait(15) == ["cm-02"])
    }

    /// A row as a migration makes it for an alert that was open before there were timers.
    @Test func `a timer that knows of nobody told tells all whose time has come`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        let alert = try #require(ward.alert)
        var rows = CommitBatch()
        rows.timers = [
            Timer(
                kind: EscalationTimer.kind, subject: alert.id.description, due: ward.now + .minutes(15),
                payload: #"{"type":"patient","code":"P0001","revision":1}"#)
        ]
        _ = try ward.store.begin()
        try ward.store.write(rows)
        try ward.store.commit()
        #expect(try ward.wait(15) == ["cm-01"])
        #expect(try ward.wait(15) == ["lead"])
    }

    @Test func `a dead channel's timer that is called forward tells the next at once`() throws {
        var ward = Ward()
        try ward.send("a", spo2: 90)
        var timer = try #require(try ward.escalations.first)
        timer.due = ward.now
        var rows = CommitBatch()
        rows.timers = [timer]
        _ = try ward.store.begin()
        try ward.store.write(rows)
        try ward.store.commit()
        #expect(try ward.fire() == ["lead"])
        #expect(try ward.wait(29) == [])
        #expect(try ward.wait(1) == ["cm-02"])
    }

    /// Whatever happens, in whatever order: an open red has a timer and its people hear of it every 15 minutes; an
    /// acknowledged and a shelved one have the timer that brings them back; nothing else has one.
    @Test(arguments: 0..<25) func `no open red is ever left alone`(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var ward = Ward()
        var lastTold: [AlertID: Instant] = [:]
        func check(_ ward: inout Ward, _ lastTold: inout [AlertID: Instant], _ step: Int) throws {
            try ward.fire()
            for entry in ward.store.rows.outbox { lastTold[entry.alert] = ward.now }
            ward.store.forgetRows()
            let timers = Set(
                try [EscalationTimer.kind, AcknowledgementEnd.kind, ShelvingEnd.kind].flatMap { try ward.timers($0) }
                    .map(\.name))
            var expected: Set<TimerName> = []
            for alert in ward.store.openEpisodes {
                switch alert.state {
                case .open:
                    expected.insert(EscalationTimer.name(of: alert.id))
                    guard alert.severity == .red else { continue }
                    let told = try #require(lastTold[alert.id])
                    try #require(ward.now - told < .minutes(15), "seed \(seed), step \(step)")
                case .acknowledged where alert.severity == .red:
                    expected.insert(AcknowledgementEnd.name(of: alert.id))
                case .shelved: expected.insert(ShelvingEnd.name(of: alert.id))
                case .acknowledged, .resolved: break
                }
            }
            try #require(timers == expected, "seed \(seed), step \(step)")
        }
        for step in 0..<120 {
            for _ in 0..<Int.random(in: 0...20, using: &random) {
                ward.now = ward.now + .minutes(1)
                try check(&ward, &lastTold, step)
            }
            if Bool.random(using: &random) {
                try ward.send(
                    "r-\(step)", spo2: Double(Int.random(in: 84...98, using: &random)),
                    patient: Int.random(in: 1...2, using: &random))
            } else if let alert = ward.store.openEpisodes.sorted(by: { $0.id < $1.id }).randomElement(using: &random) {
                let until = ward.now + .minutes(Int64.random(in: 1...180, using: &random))
                let actions: [AlertAction] = [.acknowledge, .take, .shelve(until: until), .unshelve, .resolve]
                try ward.act(actions.randomElement(using: &random) ?? .take, on: alert)
            }
            try check(&ward, &lastTold, step)
        }
    }
}
