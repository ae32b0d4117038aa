import Clinical
import Testing

@testable import Delivery

/// SplitMix64: small, seeded, the same on every run.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

/// Always draws the longest.
private struct LongestDraw: RandomNumberGenerator {
    mutating func next() -> UInt64 { .max }
}

@Suite struct RetryScheduleTests {
    @Test(arguments: [
        (1, false, 1), (2, false, 2), (3, false, 4), (9, false, 256), (10, false, 300), (1000, false, 300),
        (Int.max, false, 300), (0, false, 1), (Int.min + 1, false, 1), (5, true, 16), (6, true, 30), (99, true, 30),
    ])
    func ceilingDoublesUpToTheCap(attempt: Int, isRed: Bool, seconds: Int64) {
        var generator = LongestDraw()
        let delay = RetrySchedule().delay(
            afterAttempt: attempt, isRed: isRed, retryAfter: nil, using: &generator)
        #expect(delay == .seconds(seconds))
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func jitterIsFull(seed: UInt64) {
        var generator = SeededGenerator(state: seed)
        let delays = (0..<1000).map { _ in
            RetrySchedule().delay(afterAttempt: 20, isRed: false, retryAfter: nil, using: &generator)
        }
        #expect(delays.allSatisfy { $0 >= .seconds(0) && $0 <= .seconds(300) }, "seed \(seed)")
        #expect(delays.contains { $0 < .seconds(30) } && delays.contains { $0 > .seconds(270) }, "seed \(seed)")
    }

    @Test(
        arguments: [
            (false, 120, 120), (false, 100_000, 3600), (false, Int64.max, 3600), (true, 7, 7), (true, 3600, 30),
        ] as [(Bool, Int64, Int64)])
    func whatTheReceiverAsksForIsTheLeast(isRed: Bool, asked: Int64, seconds: Int64) {
        var generator = SeededGenerator(state: 1)
        let delay = RetrySchedule().delay(afterAttempt: 1, isRed: isRed, retryAfter: asked, using: &generator)
        #expect(delay == .seconds(seconds))
    }
}
