import Alerting
import Clinical
import Registry
import Testing

@testable import Ingestion

/// What was told of during an outage, when the report is drained.
@Suite struct OutageRecordingTests {
    /// One message an alert, to the key worker; what was handed over is noted.
    private final class Told: OutageLedger {
        var notices: [OutageNotice] = []
        var handedOver: [AlertAlias] = []
        var lateOutcomes: [LateOutcome] = []
        var releases = 0

        init(_ episodes: [Episode]) {
            notices = episodes.map { episode in
                let entry = OutboxEntry(
                    alert: episode.id, revision: episode.revision, step: 0, channel: .webhook,
                    recipient: Identifier("cm-01")!)
                return OutageNotice(
                    job: DeliveryJob(entry: entry, attempt: 1, address: "http://127.0.0.1:1", episode: episode),
                    at: Bench.now)
            }
        }

        func contains(_ alert: AlertID) -> Bool { notices.contains { $0.job.episode.id == alert } }
        func redAlert(of subject: Subject, rule: String) -> AlertID? {
            notices.first { $0.job.episode.subject == subject && $0.job.episode.rule == rule }?.job.episode.id
        }
        func deliveries(of alert: AlertID) -> [MadeDelivery] {
            notices.filter { $0.job.episode.id == alert }.map { notice in
                let standing = handedOver.first { $0.alias == alert }?.alert
                return MadeDelivery(
                    entry: notice.job.entry, severity: notice.job.episode.severity, at: notice.at, attempts: 1,
                    state: standing.map { .handedOver(to: $0) } ?? .sent(at: Bench.now))
            }
        }
        var unrecorded: [OutageNotice] {
            notices.filter { notice in !handedOver.contains { $0.alias == notice.job.episode.id } }
        }
        func handOver(_ alerts: [AlertAlias], recorded outcomes: [LateOutcome]) {
            handedOver += alerts
            lateOutcomes.removeAll { outcomes.contains($0) }
        }
        func release() { releases += 1 }
    }

    private static let red = Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 90, "%")))

    /// The alert that a report opens when nothing else is open, as an outage would judge it.
    private func alert(_ message: Message = red, judgesUnknownReaders: Bool = false) throws -> Episode {
        var options = BatchProcessor.Options()
        options.judgesUnknownReaders = judgesUnknownReaders
        var processor = BatchProcessor(packs: Bench.packs, options: options)
        let registry = judgesUnknownReaders ? Registry(version: 1) : Bench.registry()
        var batch = [Bench().candidate(message)]
        return try #require(
            try processor.commit(&batch, to: MemoryStore(registry: registry)).notifying.first?.episode)
    }

    private func drain(_ messages: [Message], _ bench: inout Bench, _ told: Told) throws -> BatchProcessor.Report {
        var batch = messages.map(bench.candidate)
        return try bench.processor.commit(&batch, to: bench.store, recording: told)
    }

    @Test func `what was told is recorded with its alert, and nobody is told twice`() throws {
        var bench = Bench()
        let told = Told([try alert()])
        let report = try drain([Self.red], &bench, told)
        let id = try alert().id
        #expect(report.recordedAlerts == [AlertAlias(alias: id, alert: id)])
        #expect(told.handedOver == report.recordedAlerts)
        #expect(bench.store.rows.outbox.isEmpty)
        #expect(bench.store.rows.madeDeliveries == Told([try alert()]).deliveries(of: id))
        #expect(bench.store.rows.aliases.isEmpty)
        // And what follows is as ever.
        let worse = Bench.message(Bench.payload(id: "b", readings: Bench.reading("systolic", 180, "mm[Hg]")))
        _ = try drain([worse], &bench, told)
        #expect(bench.store.rows.madeDeliveries.count == 1)
    }

    @Test func `an alert that is part of an older one becomes its alias`() throws {
        var bench = Bench()
        try bench.commit(
            Bench.message(Bench.payload(id: "old", readings: Bench.reading("spo2", 93, "%"))))
        let old = try #require(bench.store.openEpisodes.first)
        let told = Told([try alert()])
        let joined = Bench.message(Bench.payload(id: "x", readings: Bench.reading("spo2", 93, "%")))
        _ = try drain([joined], &bench, told)
        #expect(bench.store.rows.aliases.isEmpty)
        let outboxBefore = bench.store.rows.outbox.count
        _ = try drain([Self.red], &bench, told)
        #expect(bench.store.rows.aliases == [AlertAlias(alias: try alert().id, alert: old.id)])
        let made = try #require(bench.store.rows.madeDeliveries.first)
        #expect(made.entry.alert == old.id)
        #expect(made.entry.revision == bench.store.openEpisodes.first?.revision)
        #expect(made.entry.key == Told([try alert()]).notices.first?.job.entry.key)
        #expect(bench.store.rows.outbox.count == outboxBefore)
    }

    @Test func `a red that speaks again after its acknowledgement is told again`() throws {
        var bench = Bench()
        let told = Told([try alert()])
        _ = try drain([Self.red], &bench, told)
        bench.store.updateEpisode(try alert().id) { episode in
            episode.state = .acknowledged
            episode.worstAcknowledged = episode.worst
        }
        let later = Bench.now + .minutes(5)
        let worse = Bench.message(
            Bench.payload(id: "w", takenAt: later, readings: Bench.reading("spo2", 80, "%")), receivedAt: later)
        _ = try drain([worse], &bench, told)
        #expect(bench.store.rows.outbox.map(\.revision) == [2])
    }

    @Test func `a reader that was unknown then and is known now has one alert`() throws {
        var bench = Bench()
        let unknown = try alert(judgesUnknownReaders: true)
        #expect(unknown.subject == .device(Bench.device))
        let told = Told([unknown])
        _ = try drain([Self.red], &bench, told)
        #expect(bench.open == ["spo2-low": .red])
        #expect(bench.store.rows.aliases == [AlertAlias(alias: unknown.id, alert: try alert().id)])
        #expect(bench.store.rows.outbox.isEmpty)
    }

    @Test(arguments: [true, false])
    func `what no report raises again is recorded as it was told`(isKnown: Bool) throws {
        var bench = Bench()
        let left = try alert()
        // The daemon died after the commit and before its note of it.
        if isKnown { _ = try drain([Self.red], &bench, Told([])) }
        let told = Told([left])
        let report = try bench.processor.recordLeftovers(of: told, to: bench.store)
        #expect(report.recordedAlerts == [AlertAlias(alias: left.id, alert: left.id)])
        #expect(report.notifying.map(\.episode.id) == (isKnown ? [] : [left.id]))
        #expect(bench.store.openEpisodes.map(\.id) == [left.id])
        #expect(bench.store.rows.madeDeliveries.map(\.entry.alert) == [left.id])
        #expect(try bench.processor.recordLeftovers(of: told, to: bench.store).recordedAlerts.isEmpty)
        #expect(bench.store.rows.madeDeliveries.count == 1)
    }

    /// Everybody was told then; a storm of what was due in the meantime would tell nobody anything.
    @Test(arguments: [true, false])
    func `a red of an outage goes on a quarter of an hour after it is recorded`(isDrained: Bool) throws {
        var bench = Bench()
        let red = try alert()
        let told = Told([red])
        let recorded = Bench.now + .hours(3)
        if isDrained {
            var batch = [bench.candidate(Self.red)]
            _ = try bench.processor.commit(&batch, to: bench.store, recording: told, at: recorded)
        } else {
            _ = try bench.processor.recordLeftovers(of: told, to: bench.store, at: recorded)
        }
        let timers = try bench.store.everyTimer(EscalationTimer.kind)
        #expect(timers.map(\.subject) == [red.id.description])
        #expect(timers.map(\.due) == [recorded + .minutes(15)])
        #expect(bench.store.rows.outbox.isEmpty)
        while try bench.processor.fireTimers(of: bench.store, by: recorded + .minutes(15)) != nil {}
        #expect(bench.store.rows.outbox.map(\.recipient.description) == ["cm-01"])
    }

    @Test func `a leftover whose rule has another open alert joins it`() throws {
        var bench = Bench()
        try bench.commit(Bench.message(Bench.payload(id: "b", readings: Bench.reading("spo2", 91, "%"))))
        let open = try #require(bench.store.openEpisodes.first)
        let told = Told([try alert()])
        _ = try bench.processor.recordLeftovers(of: told, to: bench.store)
        #expect(bench.store.openEpisodes == [open])
        #expect(told.handedOver == [AlertAlias(alias: try alert().id, alert: open.id)])
        // Also when it has been resolved since: its alias is known.
        bench.store.updateEpisode(open.id) { $0.state = .resolved }
        let again = Told([try alert()])
        _ = try bench.processor.recordLeftovers(of: again, to: bench.store)
        #expect(bench.store.openEpisodes.isEmpty)
        #expect(again.handedOver == told.handedOver)
    }

    @Test func `leftovers recorded after a lost connection hide no open alert`() throws {
        var bench = Bench()
        try bench.commit(Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 93, "%"))))
        #expect(bench.open == ["spo2-low": .amber])
        bench.processor.forgetStoreState()
        let told = Told([try alert(judgesUnknownReaders: true)])
        _ = try bench.processor.recordLeftovers(of: told, to: bench.store)
        try bench.commit(Bench.message(Bench.payload(id: "b")))
        #expect(bench.open == ["unverified-red": .red])
    }

    @Test func `an empty batch records what came late, and a failure gives back what was held`() throws {
        var bench = Bench()
        let told = Told([])
        let late = LateOutcome(key: "k", attempt: 1, outcome: .sent(at: Bench.now))
        told.lateOutcomes = [late]
        _ = try drain([], &bench, told)
        #expect(bench.store.rows.lateOutcomes == [late])
        #expect(told.lateOutcomes.isEmpty)
        let gone = Gone()
        var batch = [bench.candidate(Self.red)]
        #expect(throws: StoreFailure.self) {
            _ = try bench.processor.commit(&batch, to: gone, recording: told)
        }
        #expect(told.releases == 1)
        #expect(told.handedOver.isEmpty)
    }

    private final class Gone: CommitStore {
        private static let failure = StoreFailure(kind: .transient, message: "gone")
        func limit(until deadline: Int64?) {}
        func begin() throws(StoreFailure) -> Int64 { throw Self.failure }
        func registry() throws(StoreFailure) -> Registry { throw Self.failure }
        func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] { throw Self.failure }
        func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] { throw Self.failure }
        func everyOpenEpisode() throws(StoreFailure) -> [Episode] { throw Self.failure }
        func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] { throw Self.failure }
        func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> { throw Self.failure }
        func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
            throw Self.failure
        }
        func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] { throw Self.failure }
        func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] { throw Self.failure }
        func dueTimers(
            _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
        ) throws(StoreFailure) -> [Timer] { throw Self.failure }
        func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer] { throw Self.failure }
        func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer] { throw Self.failure }
        func write(_ batch: CommitBatch) throws(StoreFailure) { throw Self.failure }
        func commit() throws(StoreFailure) { throw Self.failure }
        func rollback() {}
    }
}
