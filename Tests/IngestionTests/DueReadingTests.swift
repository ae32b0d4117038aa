import Alerting
import Clinical
import Formats
import Registry
import Testing

@testable import Ingestion

/// Missed readings through the commit's own path.
@Suite struct DueReadingTests {
    /// Mon 23 Nov 2026, 13:00 in London, when the window of 09:00 closes.
    private static let closes = Instant(microseconds: 1_795_438_800_000_000)
    /// Long before: the schedule has been in force since then.
    private static let start = closes - .days(30)

    private func bench(patients: Int = 1, highRisk: Set<Int> = []) -> Bench {
        let bench = Bench()
        let slot = ScheduleSlot(
            kinds: [.spo2], due: 540, days: Set(Weekday.allCases), early: .hours(2), grace: .hours(4))
        for number in 1...patients {
            let code = Identifier("P000\(number)")!
            bench.store.currentRegistry.patients[code] = Patient(
                code: code, site: Bench.north, keyWorker: Identifier("cm-01"),
                profile: PatientProfile(highRisk: highRisk.contains(number)), schedule: [slot])
        }
        bench.store.currentRegistry.version += 1
        return bench
    }

    private func schedule(_ bench: inout Bench, at instant: Instant = start) throws {
        while try bench.processor.scheduleDueReadings(in: bench.store, by: instant) {}
    }

    @discardableResult
    private func fire(
        _ bench: inout Bench, at instant: Instant = closes, _ reach: MissedReach? = .all
    ) throws -> BatchProcessor.Report? {
        try reach.flatMap { try bench.processor.fireDueReadings(of: bench.store, by: instant, reach: $0) }
    }

    private func move(_ bench: Bench, _ days: Int64) -> Instant { Self.closes + .days(days) }

    private func measured(_ id: String, at instant: Instant) -> Message {
        Bench.message(Bench.payload(id: id, takenAt: instant), receivedAt: instant + .seconds(1))
    }

    private func timers(_ bench: Bench) throws -> [Timer] { try bench.store.everyTimer(DueReadingTimer.kind) }

    @Test func everyScheduleHasOneTimer() throws {
        var bench = bench(patients: 3)
        try schedule(&bench)
        #expect(Set(try timers(bench).map(\.due)) == [Self.start + .days(1)])
        #expect(try timers(bench).map(\.subject).sorted() == ["P0001", "P0002", "P0003"])
        let before = try timers(bench).sorted { $0.subject < $1.subject }
        bench.store.currentRegistry.version += 1
        _ = try fire(&bench, at: Self.start)
        try schedule(&bench, at: Self.start + .hours(1))
        // The same schedule stays in force since it was first seen.
        #expect(try timers(bench).sorted { $0.subject < $1.subject } == before)
    }

    @Test func oneMissedIsAmberTwoRunningAreRedForHighRisk() throws {
        var bench = bench(highRisk: [1])
        try schedule(&bench, at: Self.closes - .hours(6))
        #expect(try fire(&bench, at: Self.closes - .seconds(1)) == nil)
        let first = try #require(try fire(&bench))
        #expect(first.notifying.map(\.episode.severity) == [.amber])
        #expect(bench.open == [Schedule.missedReadingRule: .amber])
        let summary = try #require(bench.store.openEpisodes.first?.summary)
        #expect(summary == "SpO2, due Mon 23 Nov at 09:00, not measured between 07:00 and 13:00.")
        #expect(bench.store.rows.outbox.count == 1)
        #expect(try fire(&bench) == nil)
        let second = try #require(try fire(&bench, at: move(bench, 1)))
        #expect(second.notifying.map(\.episode.severity) == [.red])
        #expect(bench.store.openEpisodes.first?.summary.contains("the second time running") == true)
    }

    @Test func aMeasurementInItsWindowEndsTheAmber() throws {
        var bench = bench()
        try schedule(&bench, at: Self.closes - .hours(6))
        try fire(&bench)
        try bench.commit(measured("a", at: move(bench, 1) - .hours(2)))
        #expect(bench.open == [Schedule.missedReadingRule: .amber])
        try fire(&bench, at: move(bench, 1))
        #expect(bench.open == [:])
    }

    @Test func nothingIsMissedThatCame() throws {
        var bench = bench()
        try schedule(&bench)
        // Days without anybody to tell of: as after a long stop.
        try bench.commit(measured("a", at: Self.closes - .hours(2)))
        try fire(&bench)
        #expect(bench.open == [:])
        #expect(try timers(bench).map(\.due) == [move(bench, 1)])
    }

    @Test func aLongStopMakesOneAlert() throws {
        var bench = bench()
        try schedule(&bench)
        let fired = try #require(try fire(&bench, at: move(bench, 3) + .hours(1)))
        #expect(fired.notifying.count == 1)
        #expect(try fire(&bench, at: move(bench, 3) + .hours(1)) == nil)
        #expect(try timers(bench).map(\.due) == [move(bench, 4)])
    }

    @Test func aNewPatientOwesNothingOfTheMorning() throws {
        var bench = bench()
        try schedule(&bench, at: Self.closes - .minutes(10))
        try fire(&bench)
        #expect(bench.open == [:])
    }

    @Test func manyOfOneSiteAreOneMessageAndEachHasAnAlert() throws {
        var bench = bench(patients: 4, highRisk: [3])
        try schedule(&bench, at: Self.closes - .hours(6))
        let fired = try #require(try fire(&bench))
        #expect(fired.notifying.count == 5)
        #expect(bench.store.rows.outbox.count == 1)
        let list = try #require(bench.store.openEpisodes.first { $0.rule == Schedule.missedReadingsRule })
        #expect(list.subject == .site(Bench.north) && list.severity == .amber)
        #expect(
            list.summary
                == "4 patients have missed a reading that was due: P0003 (high risk), P0001, P0002, P0004.")
        let told = bench.store.rows.episodes.flatMap(\.events).filter {
            $0.explanation.contains("missed-readings of site north")
        }
        #expect(told.count == 4)
        // Each of the four says in the ledger that it was told in the list.
        #expect(bench.store.rows.suppressions.map(\.kind) == [.merge, .merge, .merge, .merge])
        #expect(Set(bench.store.rows.suppressions.map(\.alert)) == Set(told.map(\.alert)))
        // The next slot is the next message; who is red by then is told of alone.
        try fire(&bench, at: move(bench, 1))
        #expect(bench.store.rows.outbox.count == 3)
        #expect(bench.store.openEpisodes.count { $0.rule == Schedule.missedReadingsRule } == 1)
        #expect(
            bench.store.openEpisodes.filter { $0.severity == .red }.map(\.subject) == [.patient(Identifier("P0003")!)])
    }

    @Test func whatMayWaitUnreadIsDeferredAndHighRiskNotForLong() throws {
        var bench = bench(patients: 2, highRisk: [2])
        try schedule(&bench, at: Self.closes - .hours(6))
        #expect(try fire(&bench, at: Self.closes + .hours(3), nil) == nil)
        #expect(try fire(&bench, at: Self.closes + .hours(3), .overdueHighRisk) == nil)
        let overdue = try #require(try fire(&bench, at: Self.closes + .hours(4), .overdueHighRisk))
        #expect(overdue.notifying.map(\.episode.subject) == [.patient(Identifier("P0002")!)])
        // Deferred, not cancelled.
        let rest = try #require(try fire(&bench, at: Self.closes + .hours(5)))
        #expect(rest.notifying.map(\.episode.subject) == [.patient(Identifier("P0001")!)])
    }

    @Test func anotherInstancesPatientsAreNotOursToMiss() throws {
        var bench = bench()
        try schedule(&bench, at: Self.closes - .hours(6))
        bench.processor.options.sites = [Identifier("south")!]
        #expect(try fire(&bench) == nil)
        bench.processor.options.sites = [Bench.north]
        #expect(try fire(&bench)?.notifying.count == 1)
    }

    @Test func anOutageOfTheBrokerNamesWhomItHides() throws {
        var bench = bench(patients: 3, highRisk: [2])
        try schedule(&bench)
        let findings = bench.processor.findingsOfBlindness(since: Self.closes, at: Self.closes + .minutes(6))
        #expect(findings.map(\.subject) == [.instance, .site(Bench.north)])
        #expect(findings.map(\.alertClass) == [.technical, .clinical])
        #expect(
            findings.last?.summary.hasPrefix(
                "No reading can be received since 13:00: 3 patients can't be seen, of high risk P0002.") == true)
        let over = bench.processor.findingsOfSight(at: Self.closes + .minutes(9))
        #expect(Set(over.map(\.rule)) == Set(findings.map(\.rule)).union(["homeward-away"]))
        #expect(over.allSatisfy { $0.verdict == .inRange })
    }

    @Test func missedReadingsWaitForTheQueueAndForReadersToComeBack() {
        let second: Int64 = 1_000_000_000, minute = 60 * second
        var link = BrokerLink(at: 0)
        #expect(link.reach(idleAt: .min, now: minute) == nil)
        #expect(link.reach(idleAt: .min, now: 6 * minute) == .overdueHighRisk)
        #expect(link.blindness(now: 6 * minute) == 6 * minute)
        link = BrokerLink(at: 0)
        link.note(isConnected: true, at: second)
        #expect(link.reach(idleAt: .min, now: 10 * second) == nil)
        #expect(link.reach(idleAt: 5 * second, now: 10 * second) == .all)
        #expect(link.reach(idleAt: .min, now: 6 * minute) == .all)
        link.note(isConnected: false, at: 60 * minute)
        #expect(link.reach(idleAt: 5 * second, now: 61 * minute) == nil)
        #expect(link.blindness(now: 66 * minute) == 6 * minute)
        link.note(isConnected: true, at: 70 * minute)
        #expect(link.blindness(now: 71 * minute) == nil)
        // Readers that could not send come back within half an hour.
        #expect(link.reach(idleAt: 99 * minute, now: 99 * minute) == .overdueHighRisk)
        #expect(link.reach(idleAt: 99 * minute, now: 101 * minute) == .all)
    }
}
