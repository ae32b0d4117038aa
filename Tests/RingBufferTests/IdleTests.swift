import CLinux
import RingBuffer
import Synchronization
import Testing

/// An idle ring costs nothing: the ends that wait use no CPU while somebody else uses 200 ms of it.
struct IdleTests {
    private static let burnt: Int64 = 200_000_000

    /// CPU nanoseconds that parked threads used, and how many threads said so.
    private final class Used: Sendable {
        private let sum = Mutex((nanoseconds: Int64(0), threads: 0))
        func add(_ nanoseconds: Int64) {
            sum.withLock { sum in
                sum.nanoseconds += nanoseconds
                sum.threads += 1
            }
        }
        var value: (nanoseconds: Int64, threads: Int) { sum.withLock { $0 } }
    }

    /// The event that the parked threads wait for: this thread has used `burnt` of CPU, however long that took.
    private func burn() -> Int64 {
        let start = linux_thread_cpu_nanoseconds()
        var used: Int64 = 0
        while used < Self.burnt { used = linux_thread_cpu_nanoseconds() - start }
        return used
    }

    @Test func parkedStagesUseNoCPU() throws {
        let ends = try RingEnds(capacity: 8) { _ in 0 }
        let stages = [Handoff(ends.decoder), Handoff(ends.committer)]
        var producer = ends.producer
        let used = Used()
        let threads = stages.map { end in
            StageThread.start(name: "stage") {
                var stage = end.take()
                // The first slot shows that the thread runs; the second is the event.
                guard case .slots = stage.wait(milliseconds: -1) else { return }
                stage.publish(through: 0)
                let before = linux_thread_cpu_nanoseconds()
                let work = stage.wait(milliseconds: -1)
                used.add(linux_thread_cpu_nanoseconds() - before)
                if work == .slots(1..<2) { _ = workToTheEnd(&stage) }
            }
        }
        fill(&producer, 1)
        while producer.durable == 0, !producer.failure {
            if producer.park() { sleepUntilWoken(&producer) }
        }
        let burnt = burn()
        fill(&producer, 1)
        producer.finish()
        for thread in threads { thread.join() }
        #expect(used.value.threads == 2)
        #expect(used.value.nanoseconds < burnt / 10, "parked for \(burnt) ns of CPU, used \(used.value.nanoseconds)")
    }

    @Test func aProducerParkedAtAFullRingUsesNoCPU() throws {
        let ends = try RingEnds(capacity: 8) { _ in 0 }
        let producerEnd = Handoff(ends.producer)
        var decoder = ends.decoder
        var committer = ends.committer
        let used = Used()
        let thread = StageThread.start(name: "producer") {
            var producer = producerEnd.take()
            fill(&producer, 8)
            let before = linux_thread_cpu_nanoseconds()
            var freed = 0
            while freed == 0 {
                if producer.park() { sleepUntilWoken(&producer) }
                freed = producer.release { _ in true }
            }
            used.add(linux_thread_cpu_nanoseconds() - before)
            producer.finish()
        }
        guard case .slots(0..<8) = decoder.wait(milliseconds: -1) else {
            Issue.record("the ring was not filled")
            return
        }
        let burnt = burn()
        passAll(&decoder)
        passAll(&committer)
        thread.join()
        let last = decoder.wait(milliseconds: -1)
        #expect(last == .finished)
        decoder.finish()
        committer.finish()
        #expect(used.value.threads == 1)
        #expect(used.value.nanoseconds < burnt / 10, "parked for \(burnt) ns of CPU, used \(used.value.nanoseconds)")
    }
}
