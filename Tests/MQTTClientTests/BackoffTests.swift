import MQTTClient
import Testing

@Suite struct BackoffTests {
    @Test(arguments: [1, 7, 42, 2026])
    func staysBetweenFloorAndCeilingAndGrows(seed: UInt64) {
        var generator = SplitMix(state: seed)
        var backoff = Backoff(Backoff.Bounds())
        var longest = Duration.zero
        for attempt in 1...200 {
            let wait = backoff.next(using: &generator)
            let end = attempt < 5 ? Duration.milliseconds(200 << attempt) : .seconds(5)
            #expect(wait >= .milliseconds(200) && wait <= end, "seed \(seed), attempt \(attempt)")
            longest = max(longest, wait)
        }
        #expect(longest > .seconds(4), "seed \(seed)")
        backoff.reset()
        #expect(backoff.next(using: &generator) <= .milliseconds(400), "seed \(seed)")
    }

    @Test func waitsLongerAfterATakeover() {
        var generator = SplitMix(state: 1)
        var backoff = Backoff(Backoff.Bounds())
        for _ in 0..<50 {
            let wait = backoff.nextAfterTakeover(using: &generator)
            #expect(wait >= .milliseconds(5200) && wait <= .seconds(10))
        }
    }

    @Test func hostileBoundsDoNotTrap() {
        var generator = SplitMix(state: 1)
        var bounds = Backoff.Bounds()
        bounds.floor = .seconds(Int64.max)
        bounds.ceiling = .zero
        var backoff = Backoff(bounds)
        #expect(backoff.next(using: &generator) > .seconds(1_000_000))
    }

    private struct SplitMix: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }
}
