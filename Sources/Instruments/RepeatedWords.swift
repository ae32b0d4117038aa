import Synchronization

/// What is said again and again, as of a broker that is tried every few seconds, is logged once a minute with a count.
/// Any thread.
public final class RepeatedWords: Sendable {
    private static let interval = Duration.seconds(60)

    private struct Said {
        var at: Duration
        var unsaid = 0
    }

    private let said = Mutex<[String: Said]>([:])
    private let clock: @Sendable () -> Duration

    public convenience init() {
        let start = ContinuousClock.now
        self.init { ContinuousClock.now - start }
    }

    /// `clock`: the time since some moment.
    init(clock: @escaping @Sendable () -> Duration) {
        self.clock = clock
    }

    /// How often it happened since it was last logged, this time included; nil: don't log it yet.
    public func take(_ words: String) -> Int? {
        let now = clock()
        return said.withLock { said in
            // Words are few; if they were not, nothing is kept for longer than it matters.
            said = said.filter { now - $0.value.at < Self.interval * 10 }
            guard var known = said[words], now - known.at < Self.interval else {
                let unsaid = said[words]?.unsaid ?? 0
                said[words] = Said(at: now)
                return unsaid + 1
            }
            known.unsaid += 1
            said[words] = known
            return nil
        }
    }
}
