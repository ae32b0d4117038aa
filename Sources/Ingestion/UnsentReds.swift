public import Alerting
import CLinux
import Clinical
import Synchronization

/// Reds that PostgreSQL has taken and whose messages are not sent yet. When it goes away before its outbox was read,
/// they are told of as in an outage: no red waits for the database.
///
/// The commit thread adds and takes them; the outbox's dispatcher strikes out what it has in hand. Any thread may call it.
public final class UnsentReds: Sendable {
    /// Beyond this many the oldest ones are left to PostgreSQL alone.
    static let capacity = 10_000
    /// What the dispatcher has in the usual course of things. Nanoseconds.
    static let patience: Int64 = 2_000_000_000

    private struct Waiting {
        var notice: OutageNotice
        var since: Int64
    }

    private struct State {
        var byKey: [String: Waiting] = [:]
        /// The outbox could not be read when it was last tried.
        var isStalled = false
    }

    private let state = Mutex(State())

    public init() {}

    /// Waits for its dispatcher from now on.
    public func add(_ notices: [OutageNotice]) {
        guard !notices.isEmpty else { return }
        let now = linux_monotonic_nanoseconds()
        state.withLock { state in
            for notice in notices where notice.job.episode.severity == .red {
                state.byKey[notice.job.entry.key] = Waiting(notice: notice, since: now)
            }
            guard state.byKey.count > Self.capacity else { return }
            let ages = state.byKey.values.map(\.since).sorted()
            let middle = ages[ages.count / 2]
            state.byKey = state.byKey.filter { $0.value.since > middle }
        }
    }

    /// The dispatcher read the outbox: these it has in hand, and will send whatever becomes of the database.
    public func claimed(_ keys: some Sequence<String>) {
        state.withLock { state in
            state.isStalled = false
            for key in keys { state.byKey[key] = nil }
        }
    }

    /// The outbox can't be read.
    public func stall() { state.withLock { $0.isStalled = true } }

    /// They are another instance's to send.
    func forget() { state.withLock { $0.byKey = [:] } }

    /// Those that have waited too long while PostgreSQL is away; they are the caller's then.
    func takeOverdue(isAway: Bool, after patience: Int64 = UnsentReds.patience) -> [OutageNotice] {
        let limit = linux_monotonic_nanoseconds() - patience
        return state.withLock { state in
            guard isAway || state.isStalled else { return [] }
            let overdue = state.byKey.values.filter { $0.since <= limit }.map(\.notice)
            for notice in overdue { state.byKey[notice.job.entry.key] = nil }
            return overdue
        }
    }
}
