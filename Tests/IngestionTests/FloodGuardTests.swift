import Clinical
import Testing

@testable import Ingestion

@Suite struct FloodGuardTests {
    private static func device(_ number: Int) throws -> Identifier { try #require(Identifier("d-\(number)")) }

    @Test func `a device may burst, then goes at its rate`() throws {
        var guardian = FloodGuard()
        let device = try Self.device(1)
        let start: Int64 = 1_000_000_000
        let burst = (0..<3000).count { _ in guardian.takes(device, now: start) }
        #expect(burst == Int(guardian.burst))
        let second = (0..<3000).count { _ in guardian.takes(device, now: start + 1_000_000_000) }
        #expect(second == Int(guardian.rate))
        let hour = (0..<3000).count { _ in guardian.takes(device, now: start + 3_600_000_000_000) }
        #expect(hour == Int(guardian.burst), "the bucket holds no more than a burst")
        let neighbour = try Self.device(2)
        let isWithin = guardian.takes(neighbour, now: start)
        #expect(isWithin)
    }

    @Test func `what is remembered is bounded, and a flood is not forgotten`() throws {
        var guardian = FloodGuard()
        let flooding = try Self.device(0)
        for _ in 0..<Int(guardian.burst) { _ = guardian.takes(flooding, now: 0) }
        for number in 1...(3 * FloodGuard.capacity) {
            _ = guardian.takes(try Self.device(number), now: Int64(number))
            // It goes on flooding meanwhile.
            if number % 1000 == 0 {
                let isWithin = guardian.takes(flooding, now: Int64(number))
                #expect(!isWithin)
            }
        }
        #expect(guardian.count <= FloodGuard.capacity)
    }

    /// Alone it keeps nobody waiting; a small share of a batch neither.
    @Test(arguments: [(40, 0, false), (40, 10, true), (10, 40, false), (13, 37, true), (12, 36, false)])
    func onlyWhoTakesTheOthersRoomIsHeldBack(own: Int, others: Int, isHeldBack: Bool) throws {
        var guardian = FloodGuard()
        let flooding = try Self.device(0)
        for _ in 0..<Int(guardian.burst) { _ = guardian.takes(flooding, now: 0) }
        let bench = Bench()
        let topics =
            Array(repeating: "d-0", count: own) + (0..<others).map { "d-\($0 + 1)" }
        let batch = topics.enumerated().map { index, device in
            bench.candidate(
                Bench.message(Bench.payload(id: "r-\(index)"), topic: "homeward/v1/north/\(device)/report"))
        }
        let floods = guardian.floods(in: batch, now: 0)
        #expect(floods == (isHeldBack ? [flooding] : []))
    }
}

@Suite struct QuarantineBudgetTests {
    private static func row(_ byte: UInt8, size: Int, at instant: Instant) -> QuarantinedReport {
        QuarantinedReport(
            reason: .malformed, detail: "", site: nil, device: Bench.device, reportID: nil, topic: [],
            payload: Array(repeating: byte, count: size), receivedAt: instant, reading: nil)
    }

    @Test func `a device's day is bounded, with a sample an hour`() {
        var budget = QuarantineBudget()
        let midnight = Instant(microseconds: Bench.now.microseconds / 86_400_000_000 * 86_400_000_000)
        var kept = 0
        var counted: Set<String> = []
        for hour in 0..<24 {
            for index in 0..<40 {
                var row = Self.row(UInt8(index), size: 64 << 10, at: midnight + .minutes(Int64(hour * 60 + index)))
                budget.apply(to: &row)
                kept += row.payload.count
                if let hour = row.countedIn {
                    #expect(row.payload.isEmpty)
                    #expect(row.detail.contains("first_sha256"))
                    counted.insert(hour)
                }
            }
        }
        // 10 MiB, and one sample of 64 KiB in each of the hours that had none of it.
        #expect(kept <= QuarantineBudget.bytesPerDay + 24 * (64 << 10))
        #expect(kept >= QuarantineBudget.bytesPerDay)
        #expect(counted.count == 20)
        var tomorrow = Self.row(1, size: 100, at: midnight + .days(1))
        budget.apply(to: &tomorrow)
        #expect(tomorrow.payload.count == 100)
        #expect(tomorrow.countedIn == nil)
    }
}
