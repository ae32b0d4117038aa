import CLinux
import RingBuffer
import Testing

/// What the ends promise each other at the edges: capacity, failure, the end, and who owns the slots.
struct RingEndsTests {
    @Test(arguments: [Int.min, -4, 0, 3, 12, 1023, Int.max])
    func refusesACapacityThatIsNoPowerOfTwo(capacity: Int) {
        #expect(refusal(capacity: capacity) == .capacityNotPowerOfTwo)
    }

    @Test(arguments: [1 << 25, 1 << 62])
    func refusesACapacityOverTheLargest(capacity: Int) {
        #expect(refusal(capacity: capacity) == .capacityTooLarge)
    }

    private func refusal(capacity: Int) -> RingError.Code? {
        do throws(RingError) {
            _ = try RingEnds(capacity: capacity) { index in index }
            return nil
        } catch {
            return error.code
        }
    }

    private struct Interrupted: Error {}

    @Test func aBodyThatThrowsStagesNothingAndReleasesNothing() throws {
        let ends = try RingEnds(capacity: 2) { _ in 0 }
        var producer = ends.producer
        var decoder = ends.decoder
        var committer = ends.committer
        #expect(throws: Interrupted.self) {
            _ = try producer.stage { slot throws(Interrupted) -> Void in
                slot = 7
                throw Interrupted()
            }
        }
        let freeAfterThrow = producer.freeSlots
        #expect(freeAfterThrow == 2)
        fill(&producer, 2)
        passAll(&decoder)
        passAll(&committer)
        var visited = 0
        #expect(throws: Interrupted.self) {
            _ = try producer.release { _ throws(Interrupted) -> Bool in
                visited += 1
                if visited == 2 { throw Interrupted() }
                return true
            }
        }
        let free = producer.freeSlots
        #expect(free == 1)
    }

    @Test func stagedSlotsAreInvisibleUntilPublished() throws {
        let ends = try RingEnds(capacity: 4) { _ in 0 }
        var producer = ends.producer
        var decoder = ends.decoder
        let committer = ends.committer
        _ = producer.stage { slot in slot = 1 }
        let before = decoder.wait(milliseconds: 0)
        #expect(before == .timedOut)
        producer.publish()
        let after = decoder.wait(milliseconds: 0)
        #expect(after == .slots(0..<1))
        committer.finish()
    }

    @Test func finishIsToldInOrderAndOnlyWhenAllIsWorkedOff() throws {
        let ends = try RingEnds(capacity: 4) { _ in 0 }
        var producer = ends.producer
        var decoder = ends.decoder
        var committer = ends.committer
        fill(&producer, 3)
        producer.finish()
        let decoderFirst = decoder.wait(milliseconds: -1)
        #expect(decoderFirst == .slots(0..<3))
        decoder.publish(through: 1)
        let decoderRest = decoder.wait(milliseconds: -1)
        #expect(decoderRest == .slots(2..<3))
        decoder.publish(through: 2)
        let decoderLast = decoder.wait(milliseconds: -1)
        #expect(decoderLast == .finished)
        let committerFirst = committer.wait(milliseconds: -1)
        #expect(committerFirst == .slots(0..<3))
        committer.publish(through: 2)
        let committerEarly = committer.wait(milliseconds: 1)
        #expect(committerEarly == .timedOut, "the decoder has not ended yet")
        decoder.finish()
        let committerLast = committer.wait(milliseconds: -1)
        #expect(committerLast == .finished)
    }

    @Test func endsThatGoOutOfScopeFinishInTheirTurn() throws {
        let ends = try RingEnds(capacity: 4) { _ in 0 }
        let gauge = ends.gauge
        let decoderEnd = Handoff(ends.decoder)
        let committerEnd = Handoff(ends.committer)
        let reachedTheEnd = Flag()
        let decoder = StageThread.start(name: "decoder") {
            var stage = decoderEnd.take()
            _ = workToTheEnd(&stage)
        }
        let committer = StageThread.start(name: "committer") {
            var stage = committerEnd.take()
            if workToTheEnd(&stage) == .finished { reachedTheEnd.raise() }
        }
        do {
            var producer = ends.producer
            fill(&producer, 2)
            _ = producer.stage { slot in slot = 3 }
        }
        decoder.join()
        committer.join()
        #expect(reachedTheEnd.isRaised)
        #expect(gauge.durable == 2, "what was staged and not published is never seen")
    }

    /// Which stage fails, and how.
    enum Failing: CaseIterable {
        case decoderFails, committerFails, decoderLeavesEarly, committerLeavesEarly

        var isDecoder: Bool { self == .decoderFails || self == .decoderLeavesEarly }
        var says: Bool { self == .decoderFails || self == .committerFails }
    }

    @Test(arguments: Failing.allCases)
    func aStageThatFailsStopsAll(failing: Failing) throws {
        let ends = try RingEnds(capacity: 4) { _ in 0 }
        let producerEnd = Handoff(ends.producer)
        let otherEnd: Handoff<RingStage<Int>>
        var broken: RingStage<Int>
        if failing.isDecoder {
            otherEnd = Handoff(ends.committer)
            broken = ends.decoder
        } else {
            otherEnd = Handoff(ends.decoder)
            broken = ends.committer
        }
        let producerFailed = Flag()
        let stageFailed = Flag()
        let producer = StageThread.start(name: "producer") {
            var producer = producerEnd.take()
            fill(&producer, 4)
            while !producer.failure {
                if producer.park() { sleepUntilWoken(&producer) }
            }
            producerFailed.raise()
        }
        let other = StageThread.start(name: "other") {
            var stage = otherEnd.take()
            if workToTheEnd(&stage) == .failed { stageFailed.raise() }
        }
        // The producer is full by now, and the other stage has nothing to do, or soon won't.
        let work = broken.wait(milliseconds: -1)
        #expect(work != .failed)
        if failing.says {
            broken.fail()
            let after = broken.wait(milliseconds: -1)
            #expect(after == .failed, "whatever is left")
        }
        broken.finish()
        producer.join()
        other.join()
        #expect(producerFailed.isRaised)
        #expect(stageFailed.isRaised)
    }

    @Test func parkIsRefusedWhenDurableHasMovedAndThenGranted() throws {
        let ends = try RingEnds(capacity: 4) { _ in 0 }
        var producer = ends.producer
        var decoder = ends.decoder
        var committer = ends.committer
        fill(&producer, 2)
        passAll(&decoder)
        passAll(&committer)
        let moved = producer.park()
        let seen = producer.park()
        #expect(!moved)
        #expect(seen)
        let quiet = linux_poll_readable(producer.wakeDescriptor, 0)
        #expect(quiet == 0)
        fill(&producer, 1)
        passAll(&decoder)
        passAll(&committer)
        let woken = linux_poll_readable(producer.wakeDescriptor, -1)
        #expect(woken == 1)
        producer.drainWake()
        let drained = linux_poll_readable(producer.wakeDescriptor, 0)
        let durable = producer.durable
        #expect(drained == 0)
        #expect(durable == 3)
        decoder.finish()
        committer.finish()
    }

    /// Which end goes last, and so takes the slots with it.
    enum Last: CaseIterable { case producer, decoder, committer }

    @Test(arguments: Last.allCases)
    func eachSlotIsDeinitialisedOnceWithTheLastEnd(last: Last) throws {
        let alive = Count()
        let ends = try RingEnds(capacity: 8) { _ in Tracked(alive) }
        let gauge = ends.gauge
        var producer = ends.producer
        let decoder = ends.decoder
        let committer = ends.committer
        #expect(alive.value == 8)
        for _ in 0..<3 {
            _ = producer.stage { slot in slot = Tracked(alive) }
        }
        producer.publish()
        #expect(alive.value == 8, "what the slots held before is gone")
        switch last {
        case .producer:
            decoder.finish()
            committer.finish()
            #expect(alive.value == 8)
            producer.finish()
        case .decoder:
            producer.finish()
            committer.finish()
            #expect(alive.value == 8)
            decoder.finish()
        case .committer:
            producer.finish()
            decoder.finish()
            #expect(alive.value == 8)
            committer.finish()
        }
        #expect(alive.value == 0)
        #expect(gauge.received == 3, "the gauge outlives the slots")
    }

    @Test func aValueNeverTakenEndsWithItsHandoff() throws {
        let ends = try RingEnds(capacity: 2) { _ in 0 }
        let committer = ends.committer
        var decoder = ends.decoder
        do { _ = Handoff(ends.producer) }
        let work = decoder.wait(milliseconds: -1)
        #expect(work == .finished)
        committer.finish()
    }
}
