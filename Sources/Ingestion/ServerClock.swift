import Alerting
import CLinux
public import Clinical
import Formats
import Registry

/// Whether our own clock can be trusted. While it can't, it refuses no report: what would be `clock-future` or `too-old`
/// is stored, with a flag (clinical facts, section 4, "Nothing may delay or hide a red", 9). Owned by one thread.
struct ServerClock {
    static let rule = "server-clock"
    /// On every reading that is stored meanwhile.
    static let flag = "server-clock"
    /// Over half of at least so many readers…
    static let crowd = 5
    /// …that reported in this time, by our clock.
    static let window = Interval.minutes(5)
    /// Readers remembered; beyond it those whose word is too old are forgotten.
    static let capacity = 20_000

    private struct Word {
        var at: Instant
        var isAhead: Bool
    }

    /// What the database's clock, the monotonic one and the kernel say against ours.
    var doubt: String?
    /// Whether the last commit left the alert open; nil: not known.
    var isTold: Bool?
    private var words: [Identifier: Word] = [:]
    /// How many of `words` say so.
    private var aheadCount = 0
    private var newest = Instant(microseconds: .min)
    private var readersAhead: String?
    /// The latest time that a finding carried: a clock that is set back must not keep its own alert open.
    private var toldThrough = Instant(microseconds: .min)

    /// Why it is not to be trusted; nil: it is.
    var problem: String? { doubt ?? readersAhead }

    /// Something to say of it without a report. What an earlier life left open is looked at with the first report.
    var isUntold: Bool { (problem != nil) != (isTold ?? false) }

    /// Takes a batch's words: does a reader's clock run ahead of ours? The same batch twice changes nothing.
    mutating func look(at batch: [Candidate], in registry: Registry) {
        for candidate in batch { look(at: candidate, in: registry) }
        // Fewer than would make a crowd: nothing to count.
        guard aheadCount * 2 > Self.crowd || readersAhead != nil else { return }
        let heard = words.values.filter { newest - $0.at <= Self.window }
        let ahead = heard.count { $0.isAhead }
        readersAhead =
            heard.count >= Self.crowd && ahead * 2 > heard.count
            ? "\(ahead) of \(heard.count) readers that reported within 5 min run ahead of it" : nil
    }

    private mutating func look(at candidate: Candidate, in registry: Registry) {
        // What waited in the spool says nothing of our clock as it is now.
        guard candidate.message.receivedTick > 0, candidate.decoded.fault == nil, !candidate.message.isStatus,
            !candidate.message.retained, let topic = candidate.decoded.topic,
            registry.device(topic.device, at: topic.site) != nil
        else { return }
        let clock = candidate.decoded.clock
        let at = candidate.message.receivedAt
        // It was set back: what was received before that can't be compared.
        if newest - at > Self.window { (newest, words, aheadCount) = (at, [:], 0) }
        newest = max(newest, at)
        if words.count >= Self.capacity {
            words = words.filter { newest - $0.value.at <= Self.window }
            aheadCount = words.values.count { $0.isAhead }
        }
        let word = Word(at: at, isAhead: clock.corrected || clock.refusal == .clockFuture)
        if let before = words.updateValue(word, forKey: topic.device), before.isAhead { aheadCount -= 1 }
        if word.isAhead { aheadCount += 1 }
    }

    mutating func findings(hasOpenAlert: Bool) -> [Finding] {
        let at = max(toldThrough, Instant(microseconds: linux_wall_clock_microseconds()))
        toldThrough = at
        if let problem {
            return [
                finding(
                    .beyond(.amber), at: at,
                    "Homeward's own clock can't be trusted: \(problem). No report is refused for its time, and readings "
                        + "are stored with the flag \(Self.flag).")
            ]
        }
        guard isTold != false, hasOpenAlert else { return [] }
        return [finding(.inRange, at: at, "Homeward's own clock can be trusted again.")]
    }

    private func finding(_ verdict: Finding.Verdict, at: Instant, _ summary: String) -> Finding {
        var finding = Finding(
            subject: .instance, site: nil, device: nil, rule: Self.rule, alertClass: .technical, verdict: verdict,
            takenAt: at, receivedAt: at, report: nil, summary: summary)
        finding.isStanding = true
        return finding
    }
}

/// Compares the wall clock with those that it should keep step with. One thread asks it every few seconds; it has no
/// clock of its own.
public struct ServerClockWatch: Sendable {
    /// One look at all clocks; `wall` was read before the database was asked and `wallAfter` afterwards.
    public struct Look: Sendable {
        public var wall: Instant
        public var wallAfter: Instant
        /// Nanoseconds, read beside `wallAfter`.
        public var monotonic: Int64
        /// Nil where the database did not answer.
        public var database: Instant?
        /// Nil where the kernel may not be asked.
        public var isSynchronised: Bool?

        public init(
            wall: Instant, wallAfter: Instant, monotonic: Int64, database: Instant?, isSynchronised: Bool? = nil
        ) {
            self.wall = wall
            self.wallAfter = wallAfter
            self.monotonic = monotonic
            self.database = database
            self.isSynchronised = isSynchronised
        }
    }

    /// By how much the database's clock may differ, and the wall clock jump (clinical facts, section 4, line 9).
    public static let tolerance = Interval.seconds(30)
    /// How long a jump is doubted: was it wrong before, or is it now?
    public static let settling = Interval.minutes(5)

    private var offset: Int64?
    private var jump: (words: String, monotonic: Int64)?
    private var database: String?
    private var wasSynchronised = false

    public init() {}

    /// Why the wall clock is not to be trusted; nil: it is.
    ///
    /// A kernel that has never called its clock synchronised says nothing (many containers and virtual machines take
    /// their time from the host); one that no longer does is believed.
    public mutating func take(_ look: Look) -> String? {
        let now = look.wallAfter.microseconds.subtractingReportingOverflow(look.monotonic / 1000).partialValue
        if let before = offset {
            let step = now.subtractingReportingOverflow(before).partialValue
            if step.magnitude > UInt64(Self.tolerance.microseconds) {
                let seconds = step / 1_000_000
                jump = ("it jumped by \(seconds < 0 ? "" : "+")\(seconds) s", look.monotonic)
            }
        }
        offset = now
        if let since = jump?.monotonic, look.monotonic - since > Self.settling.microseconds * 1000 { jump = nil }
        // A database that is away has said nothing new.
        if let told = look.database { database = Self.difference(told, look) }
        let isLost = wasSynchronised && look.isSynchronised == false
        if look.isSynchronised == true { wasSynchronised = true }
        return database ?? jump?.words ?? (isLost ? "the kernel no longer calls it synchronised" : nil)
    }

    /// The answer was made somewhere between the two looks at our own clock.
    private static func difference(_ told: Instant, _ look: Look) -> String? {
        let ahead = told - max(look.wall, look.wallAfter)
        let behind = min(look.wall, look.wallAfter) - told
        if ahead > tolerance { return "PostgreSQL's clock is \(ahead.microseconds / 1_000_000) s ahead of it" }
        if behind > tolerance { return "PostgreSQL's clock is \(behind.microseconds / 1_000_000) s behind it" }
        return nil
    }
}
