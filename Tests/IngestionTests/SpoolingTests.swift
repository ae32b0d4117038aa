import Alerting
import Clinical
import Formats
import Registry
import RingBuffer
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// The commit thread with a store that goes away, a spool and a memory.
@Suite struct SpoolingTests {
    @Test func `reports are durable, in order and answered once PostgreSQL is back`() throws {
        let line = try CommitLine()
        try line.send("a")
        #expect(line.isDurable(1))
        line.store.isAway.store(true, ordering: .releasing)
        for id in ["b", "c", "d"] { try line.send(id) }
        #expect(line.isDurable(4))
        #expect(line.standby.memorySpool.count(of: .ordinary) == 3)
        #expect(line.receipts() == ["stored a"], "a spooled report has no receipt before its commit")
        line.store.isAway.store(false, ordering: .releasing)
        #expect(eventually { line.standby.outagesEnded.load(ordering: .acquiring) == 1 })
        try line.send("e")
        #expect(line.isDurable(5))
        #expect(line.receipts() == ["stored b", "stored c", "stored d", "stored e"])
        #expect(line.counts == [5, 5, 0])
        line.end()
        #expect(line.storedIDs == ["a", "b", "c", "d", "e"])
    }

    @Test func `a red of an outage is told at once and only once`() throws {
        let line = try CommitLine()
        line.store.isAway.store(true, ordering: .releasing)
        try line.send("a", spo2: 80)
        try line.send("b", spo2: 80)
        #expect(line.isDurable(2))
        #expect(line.standby.told.withLock { $0.map(\.episode.rule) } == ["spo2-low"])
        line.store.isAway.store(false, ordering: .releasing)
        #expect(eventually { line.standby.outagesEnded.load(ordering: .acquiring) == 1 })
        line.end()
        #expect(line.standby.told.withLock { $0.count } == 1)
        #expect(line.memory.openEpisodes.map(\.rule) == ["spo2-low"])
        #expect(line.memory.openEpisodes.map(\.id) == line.standby.told.withLock { $0.map(\.episode.id) })
    }

    @Test func `what an earlier run left comes before everything new`() throws {
        let line = try CommitLine(spooled: [CommitLine.message("old", spo2: 97)])
        try line.send("new")
        #expect(line.isDurable(1))
        #expect(eventually { line.standby.outagesEnded.load(ordering: .acquiring) == 1 })
        line.end()
        #expect(line.storedIDs == ["old", "new"])
    }

    @Test func `a full spool stops everything but reds and goes on with room`() throws {
        let line = try CommitLine()
        line.standby.memorySpool.quota.store(20, ordering: .relaxed)
        line.store.isAway.store(true, ordering: .releasing)
        // One by one: a batch is taken whole or not at all.
        for index in 1...19 {
            try line.send("fill-\(index)")
            #expect(line.isDurable(index))
        }
        try line.send("ordinary")
        try line.send("red", spo2: 80)
        #expect(eventually { line.control.spoolProblem != nil })
        #expect(eventually { line.standby.told.withLock { $0.map(\.episode.rule) }.contains("spool-full") })
        #expect(line.gauge.durable == 19, "nothing is acknowledged that is not durable")
        line.store.isAway.store(false, ordering: .releasing)
        #expect(line.isDurable(21))
        #expect(eventually { line.standby.outagesEnded.load(ordering: .acquiring) == 1 })
        #expect(line.control.spoolProblem == nil)
        line.end()
        #expect(Set(line.storedIDs).count == 21)
        #expect(line.storedIDs.count == 21)
        #expect(Set(line.memory.openEpisodes.map(\.rule)).isSuperset(of: ["spo2-low", "spool-full"]))
        #expect(line.memory.rows.episodes.contains { $0.episode.rule == "spool-filling" })
    }

    @Test func `behind a full spool a red that was read is told and kept`() throws {
        let line = try CommitLine()
        line.standby.memorySpool.quota.store(20, ordering: .relaxed)
        line.store.isAway.store(true, ordering: .releasing)
        for index in 1...19 {
            try line.send("fill-\(index)")
            #expect(line.isDurable(index))
        }
        try line.send("ordinary")
        #expect(eventually { line.control.spoolProblem != nil })
        // Its batch is blocked; this one comes behind it.
        try line.send("red", spo2: 80)
        #expect(eventually { line.standby.told.withLock { $0.map(\.episode.rule) }.contains("spo2-low") })
        #expect(eventually { line.standby.memorySpool.count(of: .ordinary) == 20 })
        line.store.isAway.store(false, ordering: .releasing)
        #expect(line.isDurable(21))
        #expect(eventually { line.standby.outagesEnded.load(ordering: .acquiring) == 1 })
        #expect(line.counts == [21, 21, 0])
        line.end()
    }

    @Test func `a commit whose answer was lost is found again by its keys`() throws {
        let line = try CommitLine()
        line.store.lostAnswers.store(1, ordering: .releasing)
        try line.send("a")
        #expect(line.isDurable(1))
        line.end()
        #expect(line.storedIDs == ["a"])
        #expect(line.counts == [1, 0, 1], "the retry finds its own report")
    }

    @Test func `a device that floods waits behind the others and loses nothing`() throws {
        let line = try CommitLine(flood: FloodGuard(rate: 0, burst: 20))
        for index in 0..<20 {
            try line.send("burst-\(index)")
            #expect(line.isDurable(index + 1))
        }
        line.release()
        // One batch: the flood and a neighbour.
        for index in 0..<30 { try line.stage("flood-\(index)") }
        for index in 0..<10 { try line.stage("calm-\(index)", device: "dev-0002") }
        line.publish()
        #expect(eventually { line.counts[0] == line.counts[1] + line.counts[2] + 10 })
        line.end()
        let later = line.storedIDs.suffix(30)
        #expect(later.allSatisfy { $0.hasPrefix("flood-") })
        #expect(line.storedIDs.count == 50)
        #expect(line.memory.rows.quarantined.map(\.reason) == Array(repeating: .unknownDevice, count: 10))
        #expect(line.memory.rows.episodes.contains { $0.episode.rule == "flood" && $0.episode.severity == .amber })
    }

    @Test func `a red that PostgreSQL took and went away with is told all the same`() throws {
        let line = try CommitLine()
        try line.send("a", spo2: 80)
        #expect(line.isDurable(1))
        // Nobody reads the outbox any more.
        line.store.isAway.store(true, ordering: .releasing)
        line.control.unsent.stall()
        #expect(eventually { line.standby.toldAgain.withLock { $0.map(\.job.episode.rule) } == ["spo2-low"] })
        let told = line.standby.toldAgain.withLock { $0.map(\.job) }
        #expect(told.map(\.address) == ["http://127.0.0.1:1/worker"])
        line.end()
        #expect(told.map(\.entry.key) == line.memory.rows.outbox.map(\.key), "the same message, by the same key")
    }

    @Test func `a red that its dispatcher has in hand is told by nobody else`() throws {
        let line = try CommitLine()
        try line.send("a", spo2: 80)
        #expect(line.isDurable(1))
        line.end()
        let unsent = line.control.unsent
        unsent.claimed(line.memory.rows.outbox.map(\.key))
        unsent.stall()
        #expect(unsent.takeOverdue(isAway: true, after: 0).isEmpty)
    }

    @Test func `a flood that the spool refuses goes with the others`() throws {
        let line = try CommitLine(flood: FloodGuard(rate: 0, burst: 20))
        for index in 0..<20 {
            try line.send("burst-\(index)")
            #expect(line.isDurable(index + 1))
        }
        line.release()
        line.standby.memorySpool.quota.store(10, ordering: .relaxed)
        for index in 0..<30 { try line.stage("flood-\(index)") }
        for index in 0..<10 { try line.stage("calm-\(index)", device: "dev-0002") }
        line.publish()
        #expect(line.isDurable(60))
        line.end()
        #expect(line.storedIDs.count == 50)
        #expect(line.control.spoolProblem == nil, "a full overflow stops nobody")
    }

    @Test func `damage in the spool is a red for the technical route`() throws {
        let line = try CommitLine()
        line.standby.memorySpool.incidents.withLock { $0 = [.corrupt(file: "1.corrupt", bytes: 77)] }
        try line.send("a")
        #expect(eventually { line.counts[1] == 1 })
        line.end()
        let alert = try #require(line.memory.openEpisodes.first { $0.rule == "spool-corrupt" })
        #expect(alert.severity == .red)
        #expect(alert.alertClass == .technical)
        #expect(alert.subject == .instance)
        #expect(alert.summary.contains("77 bytes"))
    }

    @Test func `what another thread found is raised without waiting for a report`() throws {
        let line = try CommitLine()
        line.control.raise(
            TechnicalFinding(.lostSession, .beyond(.amber), at: Bench.now, summary: "The session was lost."))
        #expect(eventually { line.control.beatCount > 2 })
        line.end()
        #expect(line.memory.openEpisodes.map(\.rule) == ["lost-session"])
    }
}
