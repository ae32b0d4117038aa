import Testing

@testable import HomewardDaemon

@Suite struct WatchdogTests {
    private static let second: Int64 = 1_000_000_000

    /// Ten seconds a look.
    private static func look(
        _ number: Int, mqtt: Int, commit: Int, decoded: Int = 0, received: Int = 0, mqttResolves: Bool = false,
        commitResolves: Bool = false, lease: Int? = nil
    ) -> StageWatch.Look {
        .init(
            at: Int64(number) * 10 * second, decoded: decoded, received: received,
            mqtt: .init(count: mqtt, mayBeResolving: mqttResolves),
            commit: .init(count: commit, mayBeResolving: commitResolves),
            lease: lease.map { .init(count: $0, mayBeResolving: commitResolves) })
    }

    @Test func `stages that beat are fed for, also with nothing to do`() {
        var watch = StageWatch()
        for number in 0..<5 { #expect(watch.stuckStages(Self.look(number, mqtt: number, commit: number)) == []) }
    }

    @Test func `each stage that stands still is named`() {
        var watch = StageWatch()
        #expect(watch.stuckStages(Self.look(0, mqtt: 1, commit: 1, decoded: 3, received: 5)) == [])
        #expect(watch.stuckStages(Self.look(1, mqtt: 1, commit: 2, decoded: 4, received: 5)) == [.mqtt])
        #expect(watch.stuckStages(Self.look(2, mqtt: 2, commit: 2, decoded: 5, received: 6)) == [.commit])
        #expect(watch.stuckStages(Self.look(3, mqtt: 3, commit: 3, decoded: 5, received: 6)) == [.decode])
    }

    @Test func `what came since the last look is no backlog`() {
        var watch = StageWatch()
        #expect(watch.stuckStages(Self.look(0, mqtt: 1, commit: 1, decoded: 5, received: 5)) == [])
        #expect(watch.stuckStages(Self.look(1, mqtt: 2, commit: 2, decoded: 5, received: 9)) == [])
    }

    @Test func `a resolver that does not answer is waited for, but not for ever`() {
        var watch = StageWatch()
        var stuckAt: Int?
        for number in 0..<20 where stuckAt == nil {
            let stuck = watch.stuckStages(Self.look(number, mqtt: 7, commit: number, mqttResolves: true))
            if !stuck.isEmpty { stuckAt = number }
        }
        #expect(stuckAt == 12)
        // The commit thread looks for the database's address.
        #expect(watch.stuckStages(Self.look(20, mqtt: 8, commit: 19, commitResolves: true)) == [])
    }

    /// The number of the look that found it stuck.
    private static func stuckAt(_ lease: [Int?], resolves: Bool = false) -> Int? {
        var watch = StageWatch()
        for (number, count) in lease.enumerated() {
            let stuck = watch.stuckStages(
                look(number, mqtt: number, commit: number, commitResolves: resolves, lease: count))
            if stuck == [.lease] { return number }
        }
        return nil
    }

    @Test func `a keeper of the lease that hangs is named, unless the instance is alone`() {
        #expect(Self.stuckAt([1, 2, 3, 4, 5]) == nil)
        #expect(Self.stuckAt([1, 2, 2, 2]) == 2)
        #expect(Self.stuckAt([nil, nil, nil, nil]) == nil)
        #expect(Self.stuckAt([1, nil, 1, nil, 1]) == nil)
        #expect(Self.stuckAt(Array(repeating: 7, count: 20), resolves: true) == 12)
        // Two looks within one of its pauses.
        var watch = StageWatch()
        for number in 0..<5 {
            let at = Int64(number) * 2 * Self.second
            let look = StageWatch.Look(
                at: at, decoded: 0, received: 0, mqtt: .init(count: number, mayBeResolving: false),
                commit: .init(count: number, mayBeResolving: false), lease: .init(count: 1, mayBeResolving: false))
            #expect(watch.stuckStages(look) == [])
        }
    }

    @Test func `the service manager is told what is waited for`() {
        #expect(Watchdog.status([]) == "taking reports")
        #expect(Watchdog.status([.broker, .database]) == "waiting for the broker, the database")
    }
}
