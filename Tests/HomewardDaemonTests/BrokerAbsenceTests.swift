import Testing

@testable import HomewardDaemon

/// When a holder that can't reach the broker leaves the lease to another instance.
@Suite struct BrokerAbsenceTests {
    /// Whether it is left at each of these seconds.
    private func looks(_ absence: inout BrokerAbsence, _ seconds: [Int64]) -> [Bool] {
        seconds.map { absence.leaves(at: $0 * 1_000_000_000) }
    }

    @Test func `it is left ten seconds after the first failure, and again ten minutes later at the earliest`() {
        var absence = BrokerAbsence()
        #expect(looks(&absence, [100]) == [false])
        absence.failed(at: 100_000_000_000)
        absence.failed(at: 108_000_000_000)
        #expect(looks(&absence, [109, 110, 130]) == [false, true, false])
        absence.failed(at: 131_000_000_000)
        #expect(looks(&absence, [709, 710]) == [false, true])
    }

    @Test func `a broker that answers meanwhile is not left`() {
        var absence = BrokerAbsence()
        absence.failed(at: 1_000_000_000)
        absence.end()
        #expect(looks(&absence, [60]) == [false])
        absence.failed(at: 61_000_000_000)
        #expect(looks(&absence, [70, 71]) == [false, true])
    }
}
