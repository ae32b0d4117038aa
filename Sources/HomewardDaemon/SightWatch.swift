import Alerting
import Clinical
import Formats
import Foundation
import Ingestion
import Logging

/// When an earlier life of this instance was last alive, kept in the state directory: beside the database's own mark, which
/// says nothing of a time in which the database itself was away. One thread.
struct AliveMark {
    /// `2026-11-23T08:15:31Z BOOT NANOSECONDS`: the wall clock, and the monotonic one of which boot, which nobody steps.
    struct Mark: Equatable {
        var at: Instant
        var boot: String?
        var monotonic: Int64?

        init(at: Instant, boot: String?, monotonic: Int64?) {
            self.at = at
            self.boot = boot
            self.monotonic = monotonic
        }

        init?(_ text: String) {
            let parts = text.split(whereSeparator: \.isWhitespace)
            guard let at = parts.first.flatMap({ RFC3339.parse(String($0)) }) else { return nil }
            self.at = at
            guard parts.count == 3, let monotonic = Int64(parts[2]), monotonic >= 0 else { return }
            boot = String(parts[1])
            self.monotonic = monotonic
        }

        var text: String {
            let place = boot.flatMap { boot in monotonic.map { " \(boot) \($0)" } } ?? ""
            return RFC3339.format(at) + place + "\n"
        }

        /// When that was by the clock of `now`; `isProved`: within one boot, whatever became of the wall clock.
        func lastAlive(as now: Mark) -> (at: Instant, isProved: Bool) {
            guard let boot, boot == now.boot, let then = monotonic, let later = now.monotonic, later >= then else {
                return (at, false)
            }
            return (now.at - Interval(microseconds: (later - then) / 1000), true)
        }
    }

    private let file: String
    private let boot: String?
    private let logger: Logger
    private var hasComplained = false
    /// As this life found it; nil: none, or it can't be read.
    let left: Mark?

    /// - Parameter hasLooked: an earlier life was the one that looked; else its mark says nothing.
    init(directory: String, hasLooked: Bool = true, logger: Logger) {
        file = directory + "/alive"
        self.logger = logger
        boot = (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
        left = hasLooked ? (try? String(contentsOfFile: file, encoding: .utf8)).flatMap(Mark.init) : nil
    }

    func mark(at instant: Instant, monotonic: Int64) -> Mark { Mark(at: instant, boot: boot, monotonic: monotonic) }

    /// Where it can't be written the database's mark has to do.
    mutating func write(_ mark: Mark) {
        do {
            try mark.text.write(toFile: file, atomically: true, encoding: .utf8)
        } catch {
            guard !hasComplained else { return }
            hasComplained = true
            logger.warning("the mark that we are alive can't be written", metadata: ["file": "\(file)"])
        }
    }
}

/// What the database's thread remembers between its looks for whom this instance can't see, or could not. One thread.
struct SightWatch {
    /// How often the marks are written: an absence is told of from minutes on.
    private static let markInterval: Int64 = 10 * 1_000_000_000

    private var mark: AliveMark
    private let started: AliveMark.Mark
    private var nextMark = Int64.min
    /// What the database said before this life's first mark.
    private var noted: Instant?
    private var hasAsked = false
    var isFirstLook = true
    /// Monotonic nanoseconds.
    var nextReaders = Int64.min

    /// - Parameter instant: when this life began, as `monotonic` is.
    init(mark: AliveMark, started instant: Instant, monotonic: Int64) {
        self.mark = mark
        started = mark.mark(at: instant, monotonic: monotonic)
    }

    /// From another instance: when that was last alive the database says alone.
    init(takingOverAt instant: Instant, monotonic: Int64, in directory: String, logger: Logger) {
        self.init(
            mark: AliveMark(directory: directory, hasLooked: false, logger: logger), started: instant,
            monotonic: monotonic)
    }

    /// Writes both marks when it is time. Where the database can't be asked the file is written all the same.
    mutating func markAlive(
        now: Int64, at instant: Instant, in database: ((Instant) throws(StoreFailure) -> Instant?)?
    ) throws(StoreFailure) {
        guard now >= nextMark else { return }
        mark.write(mark.mark(at: instant, monotonic: now))
        guard let database else {
            nextMark = now + Self.markInterval
            return
        }
        let before = try database(instant)
        if !hasAsked { noted = before }
        hasAsked = true
        nextMark = now + Self.markInterval
    }

    /// From the end of an earlier life to the start of this one, once, if it was long.
    mutating func takeAbsence() -> ClosedRange<Instant>? {
        guard isFirstLook else { return nil }
        return Self.absence(left: mark.left, noted: noted, started: started)
    }

    /// The state directory's mark counts alone where it is proved; else the later of the two.
    static func absence(left: AliveMark.Mark?, noted: Instant?, started: AliveMark.Mark) -> ClosedRange<Instant>? {
        let kept = left?.lastAlive(as: started)
        let last = kept?.isProved == true ? kept?.at : [kept?.at, noted].compactMap(\.self).max()
        return Sight.absence(lastAlive: last, started: started.at)
    }
}

/// A kernel that does not call its clock synchronised: told once it has lasted, since after a start it takes a while. It
/// refuses no report and flags none: that it is wrong is not proved.
struct KernelClockWatch {
    private static let patience: Int64 = 600 * 1_000_000_000

    private var since: Int64?
    private var isTold = false

    /// Nil: nothing new. `isSynchronised` nil: the kernel may not be asked.
    mutating func take(isSynchronised: Bool?, now: Int64, at instant: Instant) -> TechnicalFinding? {
        guard let isSynchronised else { return nil }
        if isSynchronised {
            since = nil
            defer { isTold = false }
            guard isTold else { return nil }
            return TechnicalFinding(
                .clockUnsynchronised, .inRange, at: instant, summary: "The kernel calls its clock synchronised again.")
        }
        let first = since ?? now
        since = first
        guard !isTold, now - first >= Self.patience else { return nil }
        isTold = true
        return TechnicalFinding(
            .clockUnsynchronised, .beyond(.amber), at: instant,
            summary: "The kernel has not called its clock synchronised for 10 min: is a time service running here?")
    }
}
