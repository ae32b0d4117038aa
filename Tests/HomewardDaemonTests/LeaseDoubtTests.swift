import Testing

@testable import HomewardDaemon

/// When a holder may go on though nobody tells it whether it still is one.
@Suite struct LeaseDoubtTests {
    /// Seconds of looks that fail, one after another; whether they have lasted, and may be trusted, after each.
    private func looks(_ doubt: inout LeaseDoubt, _ seconds: [Double]) -> [(lasted: Bool, trusted: Bool)] {
        seconds.map { second in
            let at = Int64(second * 1_000_000_000)
            doubt.begin(at: at)
            doubt.failed(begun: at, at: at + 1_000_000)
            return (doubt.hasLasted, doubt.mayBeTrusted)
        }
    }

    @Test func `after a start one failed look says nothing, and six seconds of them do`() {
        var doubt = LeaseDoubt()
        let found = looks(&doubt, [1, 1.5, 3, 6.9, 7, 9])
        #expect(found.map(\.lasted) == [false, false, false, false, true, true])
        #expect(found.map(\.trusted) == [false, false, false, false, true, true])
    }

    @Test func `a holder that was answered just before is trusted at once, and lasts as long`() {
        var doubt = LeaseDoubt()
        _ = doubt.answered(begun: 0, at: 1)
        let found = looks(&doubt, [2, 4, 7.9, 8])
        #expect(found.map(\.lasted) == [false, false, false, true])
        #expect(found.map(\.trusted) == [true, true, true, true])
    }

    @Test func `a standstill begins it anew, an answer ends it`() {
        var doubt = LeaseDoubt()
        _ = doubt.answered(begun: 0, at: 1)
        // It had failed for an hour before it stood still.
        _ = looks(&doubt, (1...3600).map(Double.init))
        let after = looks(&doubt, [3700, 3703, 3705.9, 3706])
        #expect(after.map(\.lasted) == [false, false, false, true])
        #expect(after.map(\.trusted) == [false, false, false, true])
        _ = doubt.answered(begun: 3_707_000_000_000, at: 3_707_000_000_001)
        #expect(!doubt.hasLasted && doubt.mayBeTrusted)
    }

    @Test func `a look in the middle of which the process stood still says nothing, answered or not`() {
        var doubt = LeaseDoubt()
        let isFresh = doubt.answered(begun: 0, at: 60 * 1_000_000_000)
        #expect(!isFresh && !doubt.mayBeTrusted)
        let isFreshAgain = doubt.answered(begun: 61 * 1_000_000_000, at: 61 * 1_000_000_001)
        #expect(isFreshAgain && doubt.mayBeTrusted)
        doubt.failed(begun: 62 * 1_000_000_000, at: 160 * 1_000_000_000)
        #expect(!doubt.hasLasted && !doubt.mayBeTrusted)
        let after = looks(&doubt, [160.5, 165.9, 166])
        #expect(after.map(\.lasted) == [false, false, true])
    }

    @Test func `looks that are long one after another wait for the resolver`() {
        var doubt = LeaseDoubt()
        for number in 0..<2 {
            let began = Int64(number) * 30 * 1_000_000_000
            doubt.begin(at: began)
            doubt.failed(begun: began, at: began + 29 * 1_000_000_000)
        }
        #expect(doubt.hasLasted && doubt.mayBeTrusted)
    }
}
