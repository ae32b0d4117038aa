internal import CLinux
internal import Synchronization

/// What became of a publication that somebody waits for.
public enum PublicationOutcome: Hashable, Sendable {
    case accepted
    case refused(ReasonCode)
    /// The broker is away, or has not confirmed it in time.
    case unconfirmed
}

/// One publication on its way from another thread to the mqtt thread, and whom to tell what became of it.
struct Submission: Sendable {
    var key: String
    var topic: String
    var payload: [UInt8]
    /// Monotonic nanoseconds.
    var deadline: Int64
    var done: @Sendable (PublicationOutcome) -> Void
}

/// Publications that other threads hand to the mqtt thread, for its second, ungated client. Bounded.
final class PublicationMailbox: Sendable {
    static let capacity = 256

    private struct State {
        var waiting: [Submission] = []
        var isClosed = false
    }

    private let state = Mutex(State())

    /// False when it is full or closed: nothing was taken.
    func add(_ submission: Submission) -> Bool {
        state.withLock { state in
            guard !state.isClosed, state.waiting.count < Self.capacity else { return false }
            state.waiting.append(submission)
            return true
        }
    }

    /// At most `limit`, oldest first, and those whose time is over.
    func take(_ limit: Int, now: Int64) -> (fresh: [Submission], late: [Submission]) {
        state.withLock { state in
            guard !state.waiting.isEmpty else { return ([], []) }
            let late = state.waiting.filter { $0.deadline <= now }
            state.waiting.removeAll { $0.deadline <= now }
            let fresh = Array(state.waiting.prefix(max(0, limit)))
            state.waiting.removeFirst(fresh.count)
            return (fresh, late)
        }
    }

    var nextDeadline: Int64? { state.withLock { $0.waiting.map(\.deadline).min() } }

    /// Takes nothing more; gives back what waits.
    func close() -> [Submission] {
        state.withLock { state in
            defer { state.waiting = [] }
            state.isClosed = true
            return state.waiting
        }
    }
}

extension SubscriberControl {
    /// Publishes at QoS 1 through the receipts' client, not retained. Any thread; returns at once. `done` is called
    /// once, from any thread. What the broker has not confirmed in time may reach it yet: handed in again under its key
    /// while it still waits there, it is published once.
    public func publish(
        key: String, topic: String, payload: [UInt8], within limit: Duration,
        done: @escaping @Sendable (PublicationOutcome) -> Void
    ) {
        let deadline = linux_monotonic_nanoseconds().advanced(by: limit)
        let submission = Submission(key: key, topic: topic, payload: payload, deadline: deadline, done: done)
        guard isPublishing, publications.add(submission) else { return done(.unconfirmed) }
        linux_eventfd_signal(descriptor)
    }
}
