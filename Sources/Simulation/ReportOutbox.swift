public import Clinical

/// How long a reader waits for a receipt before it sends a report again: twice as long each time.
public struct ResendPolicy: Sendable, Hashable {
    public var initial: Interval
    public var longest: Interval

    /// The contract's device backs off up to 30 minutes.
    public init(initial: Interval = .seconds(5), longest: Interval = .minutes(30)) {
        self.initial = initial
        self.longest = longest
    }

    /// The wait after the `attempt`-th sending, from 1.
    func wait(afterAttempt attempt: Int) -> Interval {
        var wait = min(max(initial, Interval(microseconds: 1)), longest)
        for _ in 1..<max(1, attempt) where wait < longest {
            wait = min(longest, Interval(microseconds: wait.microseconds * 2))
        }
        return wait
    }
}

/// The memory of a connection's readers: every report without a receipt, and when each is to be sent next.
///
/// Times are of a monotonic clock.
struct ReportOutbox {
    struct Key: Hashable {
        let device: String
        let id: String
    }

    struct Entry {
        let topic: String
        /// The same bytes at every attempt.
        let payload: [UInt8]
        var attempts = 0
        var firstSent: Interval?
        /// The next receipt gets lost between the broker and the patient.
        var losesReceipt: Bool
        fileprivate(set) var due: Interval
        fileprivate let number: Int
    }

    private let policy: ResendPolicy
    private var entries: [Key: Entry] = [:]
    private var upcoming = PriorityQueue<Upcoming>()
    private var added = 0

    init(policy: ResendPolicy) { self.policy = policy }

    /// Reports without a receipt.
    var count: Int { entries.count }

    mutating func add(_ report: SimulatedReport, payload: [UInt8], now: Interval) {
        let key = Key(device: report.device, id: report.id)
        added += 1
        entries[key] = Entry(
            topic: report.topic, payload: payload, losesReceipt: report.losesFirstReceipt, due: now, number: added)
        upcoming.insert(Upcoming(due: now, number: added, key: key))
    }

    /// When the next sending is due; nil when nothing waits.
    mutating func nextDue() -> Interval? {
        dropSettled()
        return upcoming.first?.due
    }

    /// The report to send now, the oldest first; nil when none is due. It stays due until `sent`.
    mutating func firstDue(now: Interval) -> (key: Key, entry: Entry)? {
        dropSettled()
        guard let first = upcoming.first, first.due <= now, let entry = entries[first.key] else { return nil }
        return (first.key, entry)
    }

    /// It was handed to the broker's connection: the next attempt comes after the policy's wait.
    mutating func sent(_ key: Key, now: Interval) {
        guard var entry = entries[key] else { return }
        entry.attempts += 1
        entry.firstSent = entry.firstSent ?? now
        reschedule(&entry, key, at: now + policy.wait(afterAttempt: entry.attempts))
    }

    /// The connection was lost before the broker had acknowledged it: to be sent at once when there is one again.
    mutating func unacknowledged(_ key: Key, now: Interval) {
        guard var entry = entries[key] else { return }
        reschedule(&entry, key, at: now)
    }

    /// The receipt came: the reader forgets the report. Nil for a report that is not here (a second receipt).
    mutating func settle(_ key: Key) -> Entry? { entries.removeValue(forKey: key) }

    /// The receipt got lost on its way. Nil for a report that is not here.
    mutating func loseReceipt(_ key: Key) -> Entry? {
        let entry = entries[key]
        entries[key]?.losesReceipt = false
        return entry
    }

    func losesReceipt(_ key: Key) -> Bool { entries[key]?.losesReceipt ?? false }

    private mutating func reschedule(_ entry: inout Entry, _ key: Key, at due: Interval) {
        entry.due = due
        entries[key] = entry
        upcoming.insert(Upcoming(due: due, number: entry.number, key: key))
    }

    /// Settling and rescheduling leave their old places in the queue behind.
    private mutating func dropSettled() {
        while let first = upcoming.first, entries[first.key]?.due != first.due { _ = upcoming.popFirst() }
    }

    private struct Upcoming: Comparable {
        let due: Interval
        /// Reports of the same moment leave in the order in which they were taken.
        let number: Int
        let key: Key

        static func < (left: Upcoming, right: Upcoming) -> Bool {
            (left.due, left.number) < (right.due, right.number)
        }
    }
}

extension Interval {
    static func + (left: Interval, right: Interval) -> Interval {
        let (sum, overflow) = left.microseconds.addingReportingOverflow(right.microseconds)
        return Interval(microseconds: overflow ? .max : sum)
    }

    static func - (left: Interval, right: Interval) -> Interval {
        let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
        return Interval(microseconds: overflow ? .max : difference)
    }
}
