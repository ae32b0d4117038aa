import Clinical
import Testing

@testable import Ingestion

@Suite struct SequenceTrackerTests {
    /// Splitmix64: the seed is printed with a failure, so that a run can be had again.
    struct Generator: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
            return mixed ^ mixed >> 31
        }
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `what is missing is exactly what has not come`(seed: UInt64) {
        var random = Generator(state: seed)
        var tracker = DeviceSequence(device: Identifier("dev")!, highest: 10)
        var seen: Set<Int64> = [10]
        for _ in 0..<60 {
            let number = Int64.random(in: 5...80, using: &random)
            _ = tracker.take(number)
            seen.insert(number)
            let highest = seen.max() ?? 10
            let missing = (10...highest).filter { !seen.contains($0) }
            #expect(tracker.highest == highest, "seed \(seed)")
            #expect(tracker.missing.flatMap { Array($0) } == missing, "seed \(seed)")
        }
    }

    @Test func `a reader that counts from the start again is no hole`() {
        var tracker = DeviceSequence(device: Identifier("dev")!, highest: 500)
        #expect(tracker.take(1) == .none)
        #expect(tracker.take(2) == .none)
        #expect(tracker.missing.isEmpty)
    }

    @Test func `the ends of the range do not trap`() {
        var tracker = DeviceSequence(device: Identifier("dev")!, highest: 0)
        #expect(tracker.take(.max) == .hole(1...(Int64.max - 1)))
        #expect(tracker.take(.max) == .none)
        #expect(tracker.take(0) == .none)
    }

    @Test func `what is remembered is bounded`() {
        var tracker = DeviceSequence(device: Identifier("dev")!, highest: 0)
        for number in 1...1000 as ClosedRange<Int64> { _ = tracker.take(number * 2) }
        #expect(tracker.missing.count == 100)
    }
}
