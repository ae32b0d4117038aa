import Clinical
import Testing

@testable import Delivery

private func second(_ count: Int64) -> Instant { Instant(microseconds: count * 1_000_000) }

private func entry(_ message: Int, _ host: String, red: Bool = false, since: Int64 = 0) -> Backlog<Int>.Entry {
    .init(message: message, host: host, isRed: red, since: second(since))
}

@Suite struct BacklogTests {
    @Test func redsGoFirst() {
        var backlog = Backlog<Int>(limits: .init())
        backlog.add(entry(1, "a"))
        backlog.add(entry(2, "b", red: true))
        backlog.add(entry(3, "a"))
        var order: [Int] = []
        while let next = backlog.next(at: second(0)) { order.append(next.message) }
        #expect(order == [2, 1, 3])
        #expect(backlog.inFlight == 3)
    }

    @Test func aHostGetsItsShareAndOneForReds() {
        var backlog = Backlog<Int>(limits: .init(perHost: 4))
        for message in 0..<6 { backlog.add(entry(message, "a")) }
        backlog.add(entry(10, "b"))
        var started: [Int] = []
        while let next = backlog.next(at: second(0)) { started.append(next.message) }
        #expect(started == [0, 1, 2, 10])
        backlog.add(entry(20, "a", red: true))
        backlog.add(entry(21, "a", red: true))
        #expect(backlog.next(at: second(0))?.message == 20)
        #expect(backlog.next(at: second(0)) == nil)
        backlog.ended(host: "a", start: second(0))
        #expect(backlog.next(at: second(0))?.message == 21)
    }

    @Test func lastPlacesAreForReds() {
        var backlog = Backlog<Int>(limits: .init(inFlight: 4, reservedForReds: 2))
        for message in 0..<4 { backlog.add(entry(message, "h\(message)")) }
        #expect(backlog.next(at: second(0))?.message == 0)
        #expect(backlog.next(at: second(0))?.message == 1)
        #expect(backlog.next(at: second(0)) == nil)
        for message in 4..<7 { backlog.add(entry(message, "h\(message)", red: true)) }
        #expect(backlog.next(at: second(0))?.message == 4)
        #expect(backlog.next(at: second(0))?.message == 5)
        #expect(backlog.next(at: second(0)) == nil)
    }

    @Test func whatWaitsTooLongGoesBack() {
        var backlog = Backlog<Int>(limits: .init(perHost: 1, reservedForRedsPerHost: 0))
        backlog.add(entry(1, "a"))
        backlog.add(entry(2, "a", since: 0))
        backlog.add(entry(3, "a", since: 3))
        #expect(backlog.next(at: second(0))?.message == 1)
        #expect(backlog.giveBack(at: second(4)).isEmpty)
        #expect(backlog.giveBack(at: second(5)).map(\.message) == [2])
        #expect(backlog.waiting == 1)
    }

    @Test func aSlowHostGivesUpItsRoomWhenItIsNeeded() {
        var backlog = Backlog<Int>(limits: .init(perHost: 1, reservedForRedsPerHost: 0, waiting: 3))
        backlog.add(entry(1, "slow"))
        backlog.add(entry(2, "fast"))
        while backlog.next(at: second(0)) != nil {}
        backlog.ended(host: "fast", start: second(0))
        backlog.add(entry(3, "slow", red: true, since: 0))
        backlog.add(entry(4, "slow", since: 0))
        #expect(backlog.giveBack(at: second(2)).isEmpty)
        backlog.add(entry(5, "fast", since: 0))
        #expect(backlog.room == 0)
        #expect(backlog.giveBack(at: second(0)).isEmpty)
        #expect(backlog.giveBack(at: second(2)).map(\.message) == [4, 3])
        #expect(backlog.room == 2)
        #expect(backlog.next(at: second(2))?.message == 5)
    }

    @Test func everythingIsGivenBackAtTheEnd() {
        var backlog = Backlog<Int>(limits: .init())
        backlog.add(entry(1, "a"))
        backlog.add(entry(2, "a", red: true))
        #expect(backlog.giveBackAll().map(\.message) == [2, 1])
        #expect(backlog.waiting == 0)
    }
}
