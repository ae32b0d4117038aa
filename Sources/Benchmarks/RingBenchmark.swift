import ArgumentParser
import CLinux
import DequeModule
import Glibc
import RingBuffer
import Synchronization

/// A message's way through the ring's three threads against the same way through two queues under a lock.
struct RingBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ring", abstract: "Ring against Mutex<Deque>.")

    @Option(help: "Records of each run.")
    var records = 2_000_000

    @Option(help: "Runs of each, in turn.")
    var runs = 5

    /// As large as a slot's fixed part.
    struct Record: Sendable {
        var words: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0, 0, 0)
    }

    func run() throws {
        var ring: [Double] = []
        var locked: [Double] = []
        for _ in 0..<runs {
            ring.append(try throughRing())
            locked.append(throughQueues())
        }
        let ratio = median(zip(ring, locked).map { $1 / $0 })
        print("ring     \(formatted(median(ring))) ns a record through three threads")
        print("queues   \(formatted(median(locked))) ns a record through three threads, Mutex<Deque>")
        print("ratio    \(formatted(ratio, digits: 2)) times as fast (median of \(runs) pairs)")
    }

    private func throughRing() throws -> Double {
        let ends = try RingEnds<Record>(capacity: 4096) { _ in Record() }
        let decoder = Handoff(ends.decoder)
        let committer = Handoff(ends.committer)
        var producer = ends.producer
        let started = linux_monotonic_nanoseconds()
        let first = StageThread.start(name: "first") { Self.work(decoder.take()) }
        let second = StageThread.start(name: "second") { Self.work(committer.take()) }
        var sent = 0
        while sent < records {
            var staged = 0
            while staged < 64, sent < records, producer.stage({ $0.words.0 = UInt64(sent) }) != nil {
                staged += 1
                sent += 1
            }
            if staged > 0 { producer.publish() }
            _ = producer.release { _ in true }
            guard producer.freeSlots == 0 else { continue }
            if producer.park() { wait(producer.wakeDescriptor) }
            producer.drainWake()
        }
        producer.finish()
        first.join()
        second.join()
        return Double(linux_monotonic_nanoseconds() - started) / Double(records)
    }

    private static func work(_ stage: consuming RingStage<Record>) {
        while case .slots(let range) = stage.wait(milliseconds: -1) {
            for sequence in range { stage.withSlot(sequence) { $0.words.1 &+= $0.words.0 } }
            stage.publish(through: range.upperBound - 1)
        }
    }

    /// The ring has no blocking wait for its producer, which in the daemon polls several descriptors at once.
    private func wait(_ descriptor: Int32) {
        var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        _ = unsafe poll(&waited, 1, -1)
    }

    /// Queue, decode, queue, commit: what one would write without a ring, each hop under a lock, polled when empty.
    private func throughQueues() -> Double {
        let first = LockedQueue()
        let second = LockedQueue()
        let count = records
        let started = linux_monotonic_nanoseconds()
        let decode = StageThread.start(name: "first") {
            for _ in 0..<count {
                var record = first.take()
                record.words.1 &+= record.words.0
                second.put(record)
            }
        }
        let commit = StageThread.start(name: "second") {
            for _ in 0..<count {
                var record = second.take()
                record.words.1 &+= record.words.0
            }
        }
        for number in 0..<count {
            var record = Record()
            record.words.0 = UInt64(number)
            first.put(record)
        }
        decode.join()
        commit.join()
        return Double(linux_monotonic_nanoseconds() - started) / Double(records)
    }

    final class LockedQueue: Sendable {
        private let queue = Mutex(Deque<Record>())

        func put(_ record: Record) {
            while true {
                let taken = queue.withLock { queue in
                    guard queue.count < 4096 else { return false }
                    queue.append(record)
                    return true
                }
                if taken { return }
                sched_yield()
            }
        }

        func take() -> Record {
            while true {
                if let record = queue.withLock({ $0.popFirst() }) { return record }
                sched_yield()
            }
        }
    }
}
