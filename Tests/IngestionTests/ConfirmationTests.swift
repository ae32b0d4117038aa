import Alerting
import Clinical
import Formats
import Registry
import Testing

@testable import Ingestion

/// A red that waits for its repeat, through the commit: who may wait, what settles it, and what silence makes of it.
@Suite struct ConfirmationTests {
    private static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Test adult", contentHash: "00",
            bands: [
                Band(
                    kind: .systolic, side: .high,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 220, inclusive: true), immediate: true),
                            source: "test"),
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 170, inclusive: false), occurrences: 2,
                                repeatAfter: .minutes(20)), source: "test"),
                    ], clearMargin: 5)
            ])
    ])
    private static let due = Bench.now + .minutes(20)

    private func bench() -> Bench {
        var bench = Bench()
        var options = BatchProcessor.Options()
        // What is tried here is the waiting alone.
        options.escalates = false
        bench.processor = BatchProcessor(packs: Self.packs, options: options)
        return bench
    }

    private func pressure(
        _ id: String, _ value: Double, at instant: Instant = Bench.now, receivedAt: Instant? = nil
    ) -> Message {
        Bench.message(
            Bench.payload(id: id, takenAt: instant, readings: Bench.reading("systolic", value, "mm[Hg]")),
            receivedAt: receivedAt ?? instant)
    }

    private func timers(_ bench: Bench) throws -> [Timer] { try bench.store.everyTimer(HeldRed.kind) }

    private func summary(_ bench: Bench) -> String { bench.store.openEpisodes.first?.summary ?? "" }

    @Test func theFirstIsAmberAndAsksForARepeat() throws {
        var bench = bench()
        var batch = [bench.candidate(pressure("a", 178))]
        _ = try bench.processor.commit(&batch, to: bench.store)
        #expect(batch[0].outcome.repeatAfterMinutes == 20)
        #expect(bench.open == ["systolic-high": .amber])
        #expect(summary(bench).contains("red once confirmed, repeat asked in 20 min"))
        #expect(try timers(bench).map(\.due) == [Self.due])
    }

    @Test func silenceIsRedOnceAndTellsAgain() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        #expect(try bench.processor.fireTimers(of: bench.store, by: Self.due - .seconds(1)) == nil)
        let told = bench.store.rows.outbox.count
        let fired = try #require(try bench.processor.fireTimers(of: bench.store, by: Self.due))
        #expect(fired.notifying.map(\.episode.severity) == [.red] && fired.wroteOutbox)
        #expect(bench.open == ["systolic-high": .red])
        #expect(summary(bench).contains("not repeated within 20 min"))
        #expect(bench.store.rows.outbox.count == told + 1)
        #expect(try timers(bench).isEmpty)
        #expect(try bench.processor.fireTimers(of: bench.store, by: Self.due + .days(1)) == nil)
        #expect(bench.store.openEpisodes.map(\.revision) == [2])
    }

    @Test func theTimerFindsWhatItNeedsInItsRow() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        let timer = try #require(try timers(bench).first)
        let red = try #require(HeldRed(timer))
        #expect(red.timer == timer)
        #expect(red.finding.report?.report.description == "a" && red.finding.explanation.contains("178"))
        #expect(HeldRed(Timer(kind: HeldRed.kind, subject: "x", due: Bench.now)) == nil)
        #expect(HeldRed(Timer(kind: "other", subject: timer.subject, due: timer.due, payload: timer.payload)) == nil)
    }

    @Test func aSecondBeyondTheLimitIsRedAndWaitsNoMore() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        try bench.commit(pressure("b", 175, at: Bench.now + .minutes(10)))
        #expect(bench.open == ["systolic-high": .red])
        #expect(try timers(bench).isEmpty)
    }

    @Test func aNormalOneLeavesItAmberWithBothValuesUntilTheNext() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        try bench.commit(pressure("b", 150, at: Bench.now + .minutes(10)))
        #expect(bench.open == ["systolic-high": .amber])
        #expect(summary(bench).contains("not confirmed, 178 mmHg then 150 mmHg"))
        #expect(try timers(bench).isEmpty)
        try bench.commit(pressure("c", 150, at: Bench.now + .hours(3)))
        #expect(bench.open == [:])
    }

    /// Clinical facts, section 4: a second such within 24 h, not one straight after the other.
    @Test func aSecondWithinItsSpanIsRedWhateverLiesBetween() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        try bench.commit(pressure("b", 150, at: Bench.now + .minutes(10)))
        try bench.commit(pressure("c", 176, at: Bench.now + .minutes(40)))
        #expect(bench.open == ["systolic-high": .red])
    }

    /// What counts is when the repeat was received, not when the timer is looked at.
    @Test func aRepeatAfterItsTimeComesAfterTheSilence() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        try bench.commit(pressure("b", 150, at: Self.due + .seconds(1)))
        #expect(bench.open == ["systolic-high": .red])
        let severities = bench.store.rows.episodes.flatMap(\.events).map(\.severity)
        #expect(severities.contains(.red))
        #expect(try timers(bench).isEmpty)
        #expect(try bench.processor.fireTimers(of: bench.store, by: Self.due + .days(1)) == nil)
    }

    @Test func twoOfOneBatchSettleEachOther() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178), pressure("b", 150, at: Bench.now + .minutes(2)))
        #expect(bench.open == ["systolic-high": .amber])
        #expect(try timers(bench).isEmpty)
    }

    @Test func anOlderReadingSettlesNothing() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        try bench.commit(
            pressure("b", 150, at: Bench.now - .minutes(5), receivedAt: Bench.now + .minutes(1)))
        #expect(try timers(bench).count == 1)
    }

    @Test func redeliveryOfItsReportSettlesNothing() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        #expect(try bench.commit(pressure("a", 178)) == [.duplicate])
        #expect(try timers(bench).count == 1)
        #expect(bench.open == ["systolic-high": .amber])
    }

    @Test func aPersonWhoResolvedItEndedTheWaiting() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        let alert = try #require(bench.store.openEpisodes.first)
        bench.store.updateEpisode(alert.id) { $0.state = .resolved }
        _ = try bench.processor.fireTimers(of: bench.store, by: Self.due)
        #expect(bench.open == [:])
        #expect(try timers(bench).isEmpty)
    }

    @Test func anAcknowledgedAmberOpensAgainWithSilence() throws {
        var bench = bench()
        try bench.commit(pressure("a", 178))
        let alert = try #require(bench.store.openEpisodes.first)
        bench.store.updateEpisode(alert.id) { $0.state = .acknowledged }
        let fired = try bench.processor.fireTimers(of: bench.store, by: Self.due)
        #expect(fired?.notifying.map(\.episode.state) == [.open])
        #expect(bench.open == ["systolic-high": .red])
    }

    enum Unheld: CaseIterable { case immediate, cannotAsk, late, drained }

    @Test(arguments: Unheld.allCases) func whatCannotWaitIsRedAtOnce(_ reason: Unheld) throws {
        var bench = bench()
        var message = pressure("a", 178)
        switch reason {
        case .immediate: message = pressure("a", 220)
        case .cannotAsk: bench.store.currentRegistry.devices[Bench.device]?.canAsk = false
        case .late: message = pressure("a", 178, receivedAt: Bench.now + .minutes(61))
        case .drained: bench.processor.options.holdsReds = false
        }
        try bench.commit(message)
        #expect(bench.open == ["systolic-high": .red])
        #expect(try timers(bench).isEmpty)
    }

    @Test func replayNoticesSilenceAtTheNextLine() throws {
        var replayer = Replayer(packs: Self.packs, registry: Bench.registry())
        let first = try replayer.take(pressure("a", 178))
        #expect(first.changes.map(\.episode.severity) == [.amber] && first.silences.isEmpty)
        let other = try replayer.take(
            Bench.message(Bench.payload(id: "b", takenAt: Self.due), receivedAt: Self.due))
        #expect(other.silences.map(\.episode.severity) == [.red])
        #expect(other.silences.first?.events.first?.report?.report.description == "a")
    }
}
