import Alerting
import Clinical
import Instruments
import RingBuffer
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// The commit thread without the lease, and with it again.
@Suite struct HandingOverTests {
    @Test func `without the lease nothing is judged, stored or told, and all of it is left to the holder`() throws {
        let line = try CommitLine(spooled: [CommitLine.message("spooled", spo2: 80)], isLeased: true)
        line.seat.set(.standby)
        #expect(eventually { line.handover.ids == ["spooled"] })
        try line.send("in-the-ring", spo2: 80)
        #expect(eventually { line.gauge.durable == 1 })
        #expect(line.handover.ids == ["spooled", "in-the-ring"])
        #expect(line.receipts() == [])
        // The table can't be reached: it is safe here, until it can.
        line.handover.isAway.store(true, ordering: .releasing)
        try line.send("later", spo2: 80)
        #expect(eventually { line.gauge.durable == 2 })
        #expect(line.standby.memorySpool.count(of: .ordinary) == 1)
        line.handover.isAway.store(false, ordering: .releasing)
        #expect(eventually { line.handover.ids == ["spooled", "in-the-ring", "later"] })
        #expect(eventually { line.standby.memorySpool.count(of: .ordinary) == 0 })
        line.end()
        #expect(line.memory.rows.reports.isEmpty)
        #expect(line.memory.openEpisodes.isEmpty)
        #expect(line.standby.told.withLock { $0.isEmpty })
        let counts = line.instruments.reportCounts
        #expect(counts.handedOver == 3 && counts.stored == 0)
        // What was spooled before had been counted by whoever made the spool.
        #expect(counts.received == 2 && counts.inFlight == -1)
    }

    @Test func `the holder judges what others left, answers it, and forgets it`() throws {
        let line = try CommitLine(isLeased: true)
        line.handover.leave([CommitLine.message("left", spo2: 80), CommitLine.message("too", spo2: 97)])
        line.seat.set(.holder(epoch: 2))
        line.seat.hasHandover = true
        #expect(eventually { line.handover.ids.isEmpty && !line.seat.hasHandover })
        try line.send("own")
        #expect(eventually { line.gauge.durable == 1 })
        #expect(line.receipts() == ["stored left", "stored too", "stored own"])
        line.end()
        #expect(line.memory.rows.reports.map { "\($0.key.report)" } == ["left", "too", "own"])
        #expect(line.memory.openEpisodes.map(\.rule) == ["spo2-low"])
        let counts = line.instruments.reportCounts
        #expect(counts.received == 3 && counts.stored == 3 && counts.inFlight == 0)
    }

    @Test func `a commit that is refused for the lease tells nobody and hands its reports over`() throws {
        let line = try CommitLine(isLeased: true)
        line.seat.set(.holder(epoch: 1))
        try line.send("before")
        #expect(eventually { line.gauge.durable == 1 })
        line.store.isFenced.store(true, ordering: .releasing)
        try line.send("red", spo2: 80)
        #expect(eventually { line.gauge.durable == 2 })
        #expect(line.seat.standing == .standby)
        #expect(line.handover.ids == ["red"])
        #expect(line.receipts() == ["stored before"])
        line.end()
        #expect(line.memory.rows.reports.map { "\($0.key.report)" } == ["before"])
        #expect(line.standby.told.withLock { $0.isEmpty })
    }

    @Test func `a database that takes little at once gets little at once, on both sides`() throws {
        let ids = (1...60).map { "left-\($0)" }
        let line = try CommitLine(spooled: ids.map { CommitLine.message($0, spo2: 97) }, isLeased: true)
        line.handover.most.store(10, ordering: .releasing)
        line.seat.set(.standby)
        #expect(eventually { line.handover.ids == ids })
        #expect(eventually { line.standby.memorySpool.count(of: .ordinary) == 0 })
        // Our own come back to us, as another's would.
        line.seat.set(.holder(epoch: 3))
        line.seat.hasHandover = true
        #expect(eventually { line.handover.ids.isEmpty })
        line.end()
        #expect(line.storedIDs == ids)
    }

    @Test func `what could not be forgotten is judged again and adds up`() throws {
        let line = try CommitLine(isLeased: true)
        line.handover.leave([CommitLine.message("left", spo2: 80), CommitLine.message("too", spo2: 97)])
        line.handover.failingForgets.store(2, ordering: .releasing)
        line.seat.set(.holder(epoch: 2))
        line.seat.hasHandover = true
        #expect(eventually { line.handover.ids.isEmpty })
        line.end()
        #expect(line.storedIDs == ["left", "too"])
        #expect(line.memory.openEpisodes.map(\.rule) == ["spo2-low"])
        #expect(line.counts == [6, 2, 4])
        #expect(line.instruments.reportCounts.inFlight == 0)
    }
}
