import Foundation
import TestSupport
import Testing

extension FaultSuite {
    /// Publisher, broker, daemon and PostgreSQL as real processes, under faults that a seed gives.
    ///
    /// HOMEWARD_FAULT_SEED=7 runs that seed alone, HOMEWARD_FAULT_SEEDS=10 the first ten; HOMEWARD_FAULT_SECONDS and
    /// HOMEWARD_FAULT_RATE say for how long, and how many reports a second.
    @Suite struct FaultTests {
        static var seeds: [UInt64] {
            let environment = ProcessInfo.processInfo.environment
            if let one = environment["HOMEWARD_FAULT_SEED"].flatMap(UInt64.init) { return [one] }
            return Array(1...UInt64(max(1, NothingLostTests.setting("HOMEWARD_FAULT_SEEDS", default: 2))))
        }

        @Test(arguments: seeds)
        func `nothing is lost, nothing doubled, nobody untold, whatever fails`(seed: UInt64) throws {
            let schedule = FaultSchedule(
                seed: seed, seconds: NothingLostTests.setting("HOMEWARD_FAULT_SECONDS", default: 12))
            let rate = NothingLostTests.setting("HOMEWARD_FAULT_RATE", default: 60)
            print("\(schedule)\n  \(rate) reports a second (HOMEWARD_FAULT_RATE=\(rate))")
            let outcome = try FaultRun(schedule: schedule, rate: rate).run()
            print(outcome.summary)
            for notice in outcome.notices { print("not done: \(notice)") }
            guard !outcome.problems.isEmpty else { return }
            let shown = outcome.problems.prefix(40).joined(separator: "\n")
            Issue.record(
                """
                \(outcome.problems.count) problems at \(rate) reports a second under
                \(schedule)
                \(shown)
                the daemon's last lines:
                \(outcome.log.suffix(6000))
                """)
        }

        @Test func `a seed gives the same schedule and the same ward again, and another seed others`() {
            let schedules = (1...50).map { FaultSchedule(seed: $0, seconds: 15) }
            #expect(schedules.map(\.description) == (1...50).map { FaultSchedule(seed: $0, seconds: 15).description })
            #expect(Set(schedules.map(\.entries)).count == schedules.count)
            for schedule in schedules {
                #expect(schedule.entries.allSatisfy { $0.at >= 0 && $0.duration > 0 && $0.end <= 15_000 })
                #expect(schedule.contains { $0.lane == .database || $0 == .linkStalled(.database) })
                #expect(schedule.contains { $0 == .daemonKilled })
            }
            func payloads(_ seed: UInt64) -> [String] {
                FaultWard(seed: seed, seconds: 5, rate: 50).reports.map { "\($0.at) \($0.payload)" }
            }
            #expect(payloads(3) == payloads(3))
            #expect(payloads(3) != payloads(4))
        }
    }
}
