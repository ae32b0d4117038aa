import Alerting
import Clinical
import Registry
import Testing

@testable import Ingestion
@testable import Outage

/// A red that waits for its repeat when PostgreSQL goes away.
@Suite struct HeldRedTests {
    private static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Test adult", contentHash: "00",
            bands: [
                Band(
                    kind: .systolic, side: .high,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 170, inclusive: false), occurrences: 2,
                                repeatAfter: .minutes(30)), source: "test")
                    ], clearMargin: 5)
            ])
    ])
    private static let due = Ward.now + .minutes(30)

    private struct Bench {
        let database = MemoryStore(registry: Ward.registry(), keepsRows: true)
        let memory = OutageStore()
        var processor = BatchProcessor(packs: HeldRedTests.packs)
        var inOutage: BatchProcessor

        init() throws {
            inOutage = processor.forOutages
            memory.use(Ward.registry())
            memory.note(try processor.take([Ward.message("a", "systolic", 178)], database).memory)
        }
    }

    @Test func `silence is told of in the outage, and recorded once after it`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        var bench = try Bench()
        #expect(try bench.inOutage.fireTimers(of: bench.memory, by: Self.due - .seconds(1)) == nil)
        let fired = try #require(try bench.inOutage.fireTimers(of: bench.memory, by: Self.due))
        #expect(fired.notifying.map(\.episode.severity) == [.red])
        #expect(try bench.inOutage.fireTimers(of: bench.memory, by: Self.due) == nil)
        try deliveries.add(Route(registry: Ward.registry()).outageNotices(for: fired.notifying))
        let rows = bench.database.rows.outbox.count
        let recorded = try bench.processor.fireTimers(of: bench.database, by: Self.due, recording: deliveries)
        #expect(recorded != nil)
        #expect(bench.database.openEpisodes.map(\.severity) == [.red])
        // Both steps of the chain were told: nobody is told again.
        #expect(bench.database.rows.outbox.count == rows)
        #expect(bench.database.rows.madeDeliveries.count == 2)
    }

    @Test func `a repeat in the outage settles it there too`() throws {
        var bench = try Bench()
        _ = try bench.inOutage.take([Ward.message("b", "systolic", 150, at: Ward.now + .minutes(9))], bench.memory)
        #expect(try bench.inOutage.fireTimers(of: bench.memory, by: Self.due) == nil)
    }

    @Test func `what was told as red waits no more, also where the answer to its COMMIT was lost`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        var bench = try Bench()
        let memory = OutageStore()
        memory.use(Ward.registry())
        let told = try bench.inOutage.take([Ward.message("a", "systolic", 178)], memory)
        try deliveries.add(Route(registry: Ward.registry()).outageNotices(for: told.notifying))
        let rows = bench.database.rows.outbox.count
        _ = try bench.processor.take([Ward.message("a", "systolic", 178)], bench.database, recording: deliveries)
        #expect(bench.database.openEpisodes.map(\.severity) == [.amber])
        _ = try bench.processor.recordLeftovers(of: deliveries, to: bench.database)
        #expect(bench.database.openEpisodes.map(\.severity) == [.red])
        #expect(try bench.database.everyTimer(HeldRed.kind).isEmpty)
        #expect(bench.database.rows.outbox.count == rows)
        #expect(deliveries.unrecorded.isEmpty)
    }

    @Test func `nothing new waits in the outage`() throws {
        let memory = OutageStore()
        memory.use(Ward.registry())
        var inOutage = BatchProcessor(packs: Self.packs).forOutages
        let told = try inOutage.take([Ward.message("a", "systolic", 178)], memory)
        #expect(told.notifying.map(\.episode.severity) == [.red])
        #expect(told.memory.timers.isEmpty)
    }

    @Test func `a daemon that starts in the outage still knows`() throws {
        let scratch = try Scratch()
        let bench = try Bench()
        let directory = SnapshotDirectory(path: scratch.path)
        try directory.write(bench.memory.makeState(at: Ward.now))
        let later = OutageStore()
        later.use(Ward.registry())
        later.restore(try #require(try directory.readState()))
        var inOutage = bench.inOutage
        #expect(try inOutage.fireTimers(of: later, by: Self.due)?.notifying.map(\.episode.severity) == [.red])
    }
}
