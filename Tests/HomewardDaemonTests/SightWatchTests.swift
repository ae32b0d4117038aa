import Alerting
import Clinical
import Foundation
import Ingestion
import Logging
import Testing

@testable import HomewardDaemon

/// When this instance was last alive, and what the kernel says of its clock.
@Suite struct SightWatchTests {
    private static let now = Instant(microseconds: 1_795_421_732_000_000)
    private static let second: Int64 = 1_000_000_000

    private func mark(_ seconds: Int64, boot: String? = "b1", monotonic: Int64? = 0) -> AliveMark.Mark {
        AliveMark.Mark(at: Self.now + .seconds(seconds), boot: boot, monotonic: monotonic.map { $0 * Self.second })
    }

    /// What was left, what the database had, and how long ago that was in seconds; nil: nothing to tell.
    @Test(
        arguments: [
            (nil, nil, nil),
            (nil, -3600, 3600), (nil, -60, nil), (nil, 60, nil),
            // Another boot: the later of the two.
            (AliveMark.Mark(at: now - .hours(2), boot: "b0", monotonic: 0), nil, 7200),
            (AliveMark.Mark(at: now - .hours(2), boot: "b0", monotonic: 0), -900, 900),
            (AliveMark.Mark(at: now - .hours(2), boot: "b0", monotonic: 0), -100, nil),
            (AliveMark.Mark(at: now - .minutes(20), boot: nil, monotonic: nil), -3600, 1200),
            // The same boot: ten minutes by the clock that nobody steps, whatever the others say.
            (AliveMark.Mark(at: now - .hours(9), boot: "b1", monotonic: 400 * second), -7200, 600),
            (AliveMark.Mark(at: now - .hours(9), boot: "b1", monotonic: 990 * second), -7200, nil),
            (AliveMark.Mark(at: now + .hours(9), boot: "b1", monotonic: 400 * second), nil, 600),
        ] as [(AliveMark.Mark?, Int64?, Int64?)])
    func anAbsence(left: AliveMark.Mark?, noted: Int64?, expected: Int64?) {
        let started = AliveMark.Mark(at: Self.now, boot: "b1", monotonic: 1000 * Self.second)
        let absence = SightWatch.absence(
            left: left, noted: noted.map { Self.now + .seconds($0) }, started: started)
        #expect(absence == expected.map { (Self.now - .seconds($0))...Self.now })
    }

    @Test func aMarkIsReadBackAsItWasWritten() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "homeward-alive-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let logger = Logger(label: "test")
        var first = AliveMark(directory: directory.path, logger: logger)
        #expect(first.left == nil)
        let written = first.mark(at: Self.now, monotonic: 42)
        first.write(written)
        let second = AliveMark(directory: directory.path, logger: logger)
        #expect(second.left == written)
        let boot = try String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)
        #expect(second.left?.boot == boot.trimmingCharacters(in: .whitespacesAndNewlines))
        #expect(AliveMark.Mark("2026-11-23T08:15:31Z") != nil)
        for bad in ["", "x", "yesterday b1 1"] { #expect(AliveMark.Mark(bad) == nil) }
        #expect(AliveMark.Mark("2026-11-23T08:15:31Z b1 ten")?.boot == nil)
    }

    @Test func theDatabaseIsAskedForWhatWasThereBeforeThisLife() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "homeward-alive-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        var watch = SightWatch(
            mark: AliveMark(directory: directory.path, logger: Logger(label: "test")), started: Self.now,
            monotonic: 10 * Self.second)
        // The database is away at first: the file is written, and is not taken for an earlier life's.
        try watch.markAlive(now: 10 * Self.second, at: Self.now, in: nil)
        var asked = 0
        for tick in [15, 20, 25, 30] as [Int64] {
            try watch.markAlive(now: tick * Self.second, at: Self.now + .seconds(tick - 10)) { _ throws(StoreFailure) in
                asked += 1
                return asked == 1 ? Self.now - .hours(1) : Self.now
            }
        }
        #expect(asked == 2, "every ten seconds")
        #expect(watch.takeAbsence() == (Self.now - .hours(1))...Self.now)
        watch.isFirstLook = false
        #expect(watch.takeAbsence() == nil)
    }

    @Test func aKernelThatNeverCallsItsClockSynchronisedIsATechnicalAlert() {
        var watch = KernelClockWatch()
        func take(_ minute: Int64, _ isSynchronised: Bool?) -> Finding.Verdict? {
            let finding = watch.take(isSynchronised: isSynchronised, now: minute * 60 * Self.second, at: Self.now)
            if let finding { #expect(finding.rule == .clockUnsynchronised) }
            return finding?.verdict
        }
        #expect(take(0, false) == nil)
        #expect(take(9, false) == nil)
        #expect(take(9, nil) == nil)
        #expect(take(10, false) == .beyond(.amber))
        #expect(take(11, false) == nil)
        #expect(take(12, true) == .inRange)
        #expect(take(13, true) == nil)
        #expect(take(14, false) == nil)
        #expect(take(15, true) == nil)
        #expect(take(16, false) == nil)
        #expect(take(25, false) == nil)
        #expect(take(26, false) == .beyond(.amber))
    }
}
