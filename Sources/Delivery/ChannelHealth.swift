import Alerting
import Clinical
import Registry
import Synchronization

/// Which endpoints of which channels are dead: whoever is told through one is as good as not told. Any thread; shared by
/// the dispatchers of an instance.
///
/// Dead is what has failed `failures` times in a row over `patience` at least, whoever the messages were for, and alive
/// again what has taken one message. A recipient that a server refuses for good is dead at once, that recipient alone.
public final class ChannelHealth: Sendable {
    /// What has changed, for a technical alert. The words have no patient data.
    public enum News: Hashable, Sendable {
        /// One more is dead.
        case died(String)
        /// The last that was dead is alive again.
        case allAlive
    }

    private static let failures = 3
    private static let patience = Interval.seconds(10)
    /// Refused recipients that are remembered; a registry has no more.
    private static let capacity = 10_000

    private struct Endpoint: Hashable {
        var channel: Channel
        /// A host, or a recipient.
        var name: String
    }

    private struct Trouble {
        var since: Instant
        var count = 0
    }

    private struct State {
        var troubles: [Endpoint: Trouble] = [:]
        var dead: Set<Endpoint> = []
    }

    private let state = Mutex(State())
    private let tell: @Sendable (News) -> Void

    /// `tell` is called from a dispatcher's thread and must not block.
    public init(tell: @escaping @Sendable (News) -> Void = { _ in }) { self.tell = tell }

    /// Notes what came of an attempt at `now`, on a clock that never goes back; true if who was to be told by it is to be
    /// taken as not told.
    func note(_ outcome: DeliveryOutcome, of job: DeliveryJob, host: String?, at now: Instant) -> Bool {
        // A self-test that has gone is no dead channel: it says itself that it failed.
        if Synthetic.isSynthetic(job.episode.site) { return false }
        let endpoint = Endpoint(channel: job.entry.channel, name: host ?? "")
        let recipient = Endpoint(channel: job.entry.channel, name: "\(job.entry.recipient)")
        let (isDead, news) = state.withLock { state -> (Bool, News?) in
            switch outcome {
            case .sent:
                state.troubles[endpoint] = nil
                guard state.dead.remove(endpoint) != nil || state.dead.remove(recipient) != nil else {
                    return (false, nil)
                }
                state.dead.remove(recipient)
                return (false, state.dead.isEmpty ? .allAlive : nil)
            case .retry(_, let error):
                var trouble = state.troubles[endpoint] ?? Trouble(since: now)
                trouble.count += 1
                if state.troubles.count < Self.capacity { state.troubles[endpoint] = trouble }
                guard trouble.count >= Self.failures, now - trouble.since >= Self.patience else {
                    return (state.dead.contains(endpoint), nil)
                }
                let isNew = state.dead.insert(endpoint).inserted
                return (true, isNew ? .died("\(job.entry.channel.rawValue) by \(endpoint.name): \(error)") : nil)
            case .failed(let error):
                let isNew = state.dead.count < Self.capacity && state.dead.insert(recipient).inserted
                return (true, isNew ? .died("\(job.entry.channel.rawValue) to \(recipient.name): \(error)") : nil)
            }
        }
        if let news { tell(news) }
        return isDead
    }
}
