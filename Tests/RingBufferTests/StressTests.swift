import CLinux
import Foundation
import RingBuffer
import Synchronization
import Testing

/// Three real threads, random batches and parts, a ring that is often full and often empty.
struct StressTests {
    /// Records to send: HOMEWARD_RING_RECORDS, or 10 million, or 1 million where the code is not optimised.
    private static var records: Int {
        if let text = ProcessInfo.processInfo.environment["HOMEWARD_RING_RECORDS"], let count = Int(text) {
            return count
        }
        #if DEBUG
            return 1_000_000
        #else
            return 10_000_000
        #endif
    }

    /// What the threads found, each its own.
    private struct Findings: Sendable {
        var decoded = 0
        var committed = 0
        var released = 0
        var broken = 0
        var producerParked = 0
        var producerFailed = false
        var decoderEnd: RingStage<Record>.Work?
        var committerEnd: RingStage<Record>.Work?
    }

    @Test(arguments: [2, 64, 4096])
    func everyRecordPassesOnceInOrderAndWhole(capacity: Int) throws {
        // The smallest ring hands over thousands of times more often for the same number of records.
        let records = capacity == 4096 ? Self.records : Self.records / 20
        let seed: UInt64 = 0x5EED_0001 &+ UInt64(capacity)
        let found = try Self.run(capacity: capacity, records: records, seed: seed)
        #expect(found.broken == 0, "seed \(seed)")
        #expect(found.decoded == records)
        #expect(found.committed == records)
        #expect(found.released == records)
        #expect(found.decoderEnd == .finished)
        #expect(found.committerEnd == .finished)
        #expect(!found.producerFailed)
        #expect(found.producerParked > 0, "the producer met a full ring and slept")
    }

    /// A class, since the closure of a thread can't borrow a local.
    private final class Shared: Sendable {
        let findings = Mutex(Findings())
    }

    private static func run(capacity: Int, records: Int, seed: UInt64) throws -> Findings {
        let shared = Shared()
        let ends = try RingEnds(capacity: capacity) { _ in Record() }
        let producerEnd = Handoff(ends.producer)
        let decoderEnd = Handoff(ends.decoder)
        let committerEnd = Handoff(ends.committer)
        let threads = [
            StageThread.start(name: "producer") {
                produce(producerEnd.take(), records: records, seed: seed, shared)
            },
            StageThread.start(name: "decoder") {
                let (passed, broken, end) = follow(decoderEnd.take(), seed: seed &+ 1) { record in
                    let good = record.isWhole && record.decodedMark == 0
                    record.markDecoded()
                    return good
                }
                shared.findings.withLock { found in
                    found.decoded = passed
                    found.broken += broken
                    found.decoderEnd = end
                }
            },
            StageThread.start(name: "committer") {
                let (passed, broken, end) = follow(committerEnd.take(), seed: seed &+ 2) { record in
                    let good =
                        record.isWhole && record.decodedMark == record.expectedDecodedMark && record.durableMark == 0
                    record.markDurable()
                    return good
                }
                shared.findings.withLock { found in
                    found.committed = passed
                    found.broken += broken
                    found.committerEnd = end
                }
            },
        ]
        for thread in threads { thread.join() }
        return shared.findings.withLock { $0 }
    }

    private static func produce(
        _ end: consuming RingProducer<Record>, records: Int, seed: UInt64, _ shared: Shared
    ) {
        var producer = end
        var random = SplitMix64(seed: seed)
        var staged = 0
        var released = 0
        var broken = 0
        var parked = 0
        while released < records, !producer.failure {
            let batch = min(Int.random(in: 1...256, using: &random), records - staged)
            var full = false
            for _ in 0..<batch where !full {
                full = producer.stage { record in record.fill(number: staged) } == nil
                if !full { staged += 1 }
            }
            producer.publish()
            // Receipts at times can't be handed over: the release stops early, and must go on from there.
            var budget = Int.random(in: 0...512, using: &random)
            var visited = released
            released += producer.release { record in
                guard budget > 0 else { return false }
                budget -= 1
                if record.number != visited || record.durableMark != record.expectedDurableMark { broken += 1 }
                visited += 1
                return true
            }
            guard released < records else { break }
            if producer.freeSlots == 0 || staged == records, producer.durable == released, producer.park() {
                parked += 1
                _ = linux_poll_readable(producer.wakeDescriptor, -1)
                producer.drainWake()
            }
        }
        shared.findings.withLock { found in
            found.released = released
            found.broken += broken
            found.producerParked = parked
            found.producerFailed = producer.failure
        }
        producer.finish()
    }

    /// Works off everything in random parts, at times without sleeping; checks the order and what `check` checks.
    private static func follow(
        _ end: consuming RingStage<Record>, seed: UInt64, check: (inout Record) -> Bool
    ) -> (passed: Int, broken: Int, end: RingStage<Record>.Work) {
        var stage = end
        var random = SplitMix64(seed: seed)
        var passed = 0
        var broken = 0
        while true {
            let work = stage.wait(milliseconds: [-1, -1, 1000, 0].randomElement(using: &random) ?? -1)
            switch work {
            case .slots(let range):
                var first = range.lowerBound
                while first < range.upperBound {
                    let last = Int.random(in: first..<range.upperBound, using: &random)
                    for sequence in first...last {
                        let good = stage.withSlot(sequence) { record in
                            record.number == sequence && check(&record)
                        }
                        if sequence != passed || !good { broken += 1 }
                        passed += 1
                    }
                    stage.publish(through: last)
                    first = last + 1
                    // Now and then leave the rest, which the next wait must give again.
                    if Int.random(in: 0..<4, using: &random) == 0 { break }
                }
            case .timedOut: continue
            case .finished, .failed:
                stage.finish()
                return (passed, broken, work)
            }
        }
    }
}
