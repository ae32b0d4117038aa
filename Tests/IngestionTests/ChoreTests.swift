import Alerting
import CLinux
import Clinical
import Instruments
import Logging
import Registry
import RingBuffer
import Synchronization
import TestSupport
import Testing

@testable import Ingestion

/// What the commit thread does between two batches, a step at a time.
@Suite struct ChoreTests {
    private struct Stage {
        let memory: MemoryStore
        let store: FlakyStore
        let standby = TestStandby()
        let handover = MemoryHandover()
        let seat = LeaseSeat(shard: "homeward", instance: "a")
        let control = CommitControl()
        var commit: CommitStage

        init(_ memory: MemoryStore = MemoryStore(registry: Bench.registry(), keepsRows: true)) {
            self.memory = memory
            store = FlakyStore(memory)
            commit = CommitStage(
                processor: BatchProcessor(packs: Bench.packs), store: store, standby: standby, seat: seat,
                handover: handover, durable: .milliseconds(1),
                instruments: PipelineInstruments(
                    .init(
                        reasons: RefusalReason.allCases.map(\.rawValue),
                        alertClasses: AlertClass.allCases.map(\.rawValue),
                        severities: Severity.allCases.map(\.rawValue), channels: Channel.allCases.map(\.rawValue))),
                control: control, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        /// As a batch of the ring's; the reports' number is in their sequence.
        mutating func take(_ seq: Int, spo2: Double) {
            let payload = Bench.payload(id: "r-\(seq)", seq: seq, readings: Bench.reading("spo2", spo2, "%"))
            var batch = [Candidate(message: Bench.message(payload), decoded: Decoded())]
            commit.spooling.decoding.decode(batch[0].message, into: &batch[0].decoded)
            let fate = commit.makeDurable(&batch, until: nil)
            #expect(fate == .committed)
        }
    }

    @Test func `one chore that waits in vain is enough, and each has its turn`() {
        var stage = Stage()
        stage.seat.set(.holder(epoch: 1))
        stage.commit.betweenBatches()
        #expect(stage.store.failures.load(ordering: .relaxed) == 0 && !stage.commit.isInterrupted)

        stage.store.isAway.store(true, ordering: .releasing)
        stage.handover.isAway.store(true, ordering: .releasing)
        stage.handover.leave([CommitLine.message("left", spo2: 97)])
        stage.seat.hasHandover = true
        stage.commit.nextTimers = 0
        stage.commit.nextReleases = 0
        // What was left by others, timers, releases.
        stage.commit.betweenBatches()
        #expect(stage.store.failures.load(ordering: .relaxed) == 0)
        #expect(stage.commit.isInterrupted && stage.commit.untilNextTurn <= 100)
        let waits = stage.commit.handing.next
        #expect(waits > 0)
        stage.commit.betweenBatches()
        #expect(stage.store.failures.load(ordering: .relaxed) == 1)
        #expect(stage.commit.nextTimers > linux_monotonic_nanoseconds())
        stage.commit.betweenBatches()
        #expect(stage.store.failures.load(ordering: .relaxed) == 2)
        #expect(stage.commit.nextReleases > linux_monotonic_nanoseconds())
    }

    @Test func `what was judged under one epoch of the lease is forgotten under another`() {
        var stage = Stage()
        stage.seat.set(.holder(epoch: 5))
        stage.take(1, spo2: 97)
        // Between two looks of the commit thread another instance holds it, judges, and gives it back.
        stage.seat.set(.standby)
        var other = Stage(stage.memory)
        other.seat.set(.holder(epoch: 6))
        other.take(2, spo2: 80)
        other.take(3, spo2: 97)
        #expect(stage.memory.openEpisodes.map(\.rule) == ["spo2-low"])
        stage.seat.set(.holder(epoch: 7))
        stage.take(4, spo2: 80)
        #expect(stage.memory.openEpisodes.map(\.rule) == ["spo2-low"], "the same episode, and no report is missed")
    }

    @Test func `a transaction that was judged under an earlier epoch is no holder's`() {
        var stage = Stage()
        #expect(stage.seat.isJudged(under: 5), "who remembers nothing has nothing to forget")
        stage.seat.set(.holder(epoch: 5))
        stage.commit.comeBack()
        stage.seat.set(.holder(epoch: 7))
        #expect(!stage.seat.isJudged(under: 7))
        stage.commit.comeBack()
        #expect(stage.seat.isJudged(under: 7))
    }

    @Test func `without the database nobody is waited for in a hurry`() {
        var stage = Stage()
        stage.store.isAway.store(true, ordering: .releasing)
        stage.commit.betweenBatches()
        #expect(stage.commit.untilNextTurn == 10, "at a start it is said soon")
        stage.commit.undecidedSince = linux_monotonic_nanoseconds() - 60_000_000_000
        stage.commit.betweenBatches()
        #expect(stage.commit.untilNextTurn > 500)
        stage.seat.set(.standby)
        stage.commit.betweenBatches()
        #expect(stage.commit.untilNextTurn > 500)
    }
}
