import CLinux
import RingBuffer
import Testing

/// Two threads hand one slot to and fro, so that each needs the other's wake-up and nothing that comes later makes up
/// for one that was lost: a lost wake-up shows itself as a test that never ends. Random work of some hundred
/// nanoseconds to a few microseconds before each look lets the publication of one thread meet every step of the
/// other's parking.
struct RendezvousTests {
    private static let rounds = 100_000

    private struct Work {
        private var random: SplitMix64
        private var waste: UInt64 = 0

        init(seed: UInt64) { random = SplitMix64(seed: seed) }

        mutating func something() {
            for _ in 0..<(random.next() & 63) { waste = SplitMix64.mixed(waste &+ 1) }
        }
    }

    /// One thread is producer and committer, the other decodes: the parking of stages.
    @Test(arguments: [1, 2] as [UInt64])
    func noWakeUpOfAStageIsLost(seed: UInt64) throws {
        let ends = try RingEnds(capacity: 1) { _ in 0 }
        let gauge = ends.gauge
        let producerEnd = Handoff(ends.producer)
        let decoderEnd = Handoff(ends.decoder)
        let committerEnd = Handoff(ends.committer)
        let outer = StageThread.start(name: "outer") {
            var producer = producerEnd.take()
            var committer = committerEnd.take()
            var work = Work(seed: seed)
            for _ in 0..<Self.rounds {
                fill(&producer, 1)
                work.something()
                guard case .slots(let range) = committer.wait(milliseconds: -1) else { return }
                committer.publish(through: range.lowerBound)
                _ = producer.release { slot in slot == 0 }
            }
            producer.finish()
            _ = workToTheEnd(&committer)
        }
        let decoder = StageThread.start(name: "decoder") {
            var decoder = decoderEnd.take()
            var work = Work(seed: seed &+ 1_000)
            while case .slots(let range) = decoder.wait(milliseconds: -1) {
                decoder.publish(through: range.lowerBound)
                work.something()
            }
        }
        outer.join()
        decoder.join()
        #expect(gauge.durable == Self.rounds, "seed \(seed)")
        #expect(gauge.occupancy == 0)
    }

    /// One thread is both stages, the other the producer, whose ring is always full: the parking of the producer.
    @Test(arguments: [3, 4] as [UInt64])
    func noWakeUpOfTheProducerIsLost(seed: UInt64) throws {
        let ends = try RingEnds(capacity: 1) { _ in 0 }
        let gauge = ends.gauge
        let producerEnd = Handoff(ends.producer)
        let decoderEnd = Handoff(ends.decoder)
        let committerEnd = Handoff(ends.committer)
        let producer = StageThread.start(name: "producer") {
            var producer = producerEnd.take()
            var work = Work(seed: seed)
            for _ in 0..<Self.rounds {
                fill(&producer, 1)
                work.something()
                while producer.release({ slot in slot == 0 }) == 0, !producer.failure {
                    if producer.park() { sleepUntilWoken(&producer) }
                }
            }
            producer.finish()
        }
        let stages = StageThread.start(name: "stages") {
            var decoder = decoderEnd.take()
            var committer = committerEnd.take()
            var work = Work(seed: seed &+ 1_000)
            while case .slots(let range) = decoder.wait(milliseconds: -1) {
                decoder.publish(through: range.lowerBound)
                passAll(&committer)
                work.something()
            }
            decoder.finish()
            _ = workToTheEnd(&committer)
        }
        producer.join()
        stages.join()
        #expect(gauge.durable == Self.rounds, "seed \(seed)")
        #expect(gauge.occupancy == 0)
    }
}
