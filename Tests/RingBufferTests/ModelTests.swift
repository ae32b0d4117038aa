import RingBuffer
import Testing

/// The ring against four plain queues, all ends in one thread, in random batches and parts, many times around.
struct ModelTests {
    /// What the ring must be indistinguishable from.
    private struct Model {
        var capacity: Int
        var staged: [Int] = []
        var received: [Int] = []
        var decoded: [Int] = []
        var durable: [Int] = []
        var counts = (received: 0, decoded: 0, durable: 0, released: 0)

        var inUse: Int { staged.count + received.count + decoded.count + durable.count }
    }

    /// Which stages have touched the value, so that a slot seen by the wrong stage or twice is noticed.
    private struct Slot {
        var value = -1
        var stagesPassed = 0
    }

    @Test(arguments: [1, 2, 4, 16, 256], 1...4 as ClosedRange<UInt64>)
    func behavesAsPlainQueues(capacity: Int, seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let ends = try RingEnds(capacity: capacity) { _ in Slot() }
        let gauge = ends.gauge
        var producer = ends.producer
        var decoder = ends.decoder
        var committer = ends.committer
        var model = Model(capacity: capacity)
        var nextValue = 0

        for _ in 0..<4_000 {
            switch Int.random(in: 0..<5, using: &random) {
            case 0:
                for _ in 0..<Int.random(in: 0...capacity + 1, using: &random) {
                    stage(&nextValue, &producer, &model)
                }
            case 1:
                producer.publish()
                model.received += model.staged
                model.counts.received += model.staged.count
                model.staged = []
            case 2:
                let passed = pass(&decoder, of: model.received, from: model.counts.decoded, mark: 1, &random)
                model.decoded += model.received.prefix(passed)
                model.received.removeFirst(passed)
                model.counts.decoded += passed
            case 3:
                let passed = pass(&committer, of: model.decoded, from: model.counts.durable, mark: 2, &random)
                model.durable += model.decoded.prefix(passed)
                model.decoded.removeFirst(passed)
                model.counts.durable += passed
            default:
                release(&producer, &model, &random)
            }
            let free = producer.freeSlots
            let durable = producer.durable
            #expect(free == capacity - model.inUse, "seed \(seed)")
            #expect(durable == model.counts.durable, "seed \(seed)")
            #expect(gauge.received == model.counts.received)
            #expect(gauge.decoded == model.counts.decoded)
            #expect(gauge.durable == model.counts.durable)
            #expect(gauge.occupancy == Double(model.inUse - model.staged.count) / Double(capacity))
        }
        #expect(model.counts.released > 4 * capacity, "wrapped around, seed \(seed)")
    }

    private func stage(_ nextValue: inout Int, _ producer: inout RingProducer<Slot>, _ model: inout Model) {
        let value = nextValue
        let staged: Bool? = producer.stage { slot in
            slot = Slot(value: value)
            return true
        }
        #expect((staged != nil) == (model.inUse < model.capacity))
        if staged != nil {
            model.staged.append(value)
            nextValue += 1
        }
    }

    /// Works off a random part of what the stage finds and returns how many it published.
    private func pass(
        _ stage: inout RingStage<Slot>, of queue: [Int], from position: Int, mark: Int, _ random: inout SplitMix64
    ) -> Int {
        #expect(stage.position == position)
        let work = stage.wait(milliseconds: 0)
        guard case .slots(let range) = work else {
            #expect(work == .timedOut)
            #expect(queue.isEmpty)
            return 0
        }
        #expect(range == position..<position + queue.count)
        let count = Int.random(in: 0...range.count, using: &random)
        for (sequence, expected) in zip(range, queue).prefix(count) {
            stage.withSlot(sequence) { slot in
                #expect(slot.value == expected)
                #expect(slot.stagesPassed == mark - 1)
                slot.stagesPassed = mark
            }
        }
        if count > 0 { stage.publish(through: range.lowerBound + count - 1) }
        return count
    }

    private func release(
        _ producer: inout RingProducer<Slot>, _ model: inout Model, _ random: inout SplitMix64
    ) {
        let wanted = Int.random(in: 0...model.durable.count, using: &random)
        var visited: [Int] = []
        let released = producer.release { slot in
            #expect(slot.stagesPassed == 2)
            if visited.count < wanted { visited.append(slot.value) } else { return false }
            return true
        }
        #expect(released == wanted)
        #expect(visited == Array(model.durable.prefix(wanted)))
        model.durable.removeFirst(wanted)
        model.counts.released += wanted
    }
}
