import CLinux
import Synchronization

/// What is said again and again, as by a broker that is tried every few seconds, is logged once a minute with a count.
/// Any thread.
final class RepeatedWords: Sendable {
    private static let interval: Int64 = 60 * 1_000_000_000

    private struct Said {
        var at: Int64
        var unsaid = 0
    }

    private let said = Mutex<[String: Said]>([:])
    private let clock: @Sendable () -> Int64

    /// `clock`: monotonic nanoseconds.
    init(clock: @escaping @Sendable () -> Int64 = { linux_monotonic_nanoseconds() }) {
        self.clock = clock
    }

    /// How often it happened since it was last logged, this time included; nil: don't log it yet.
    func take(_ words: String) -> Int? {
        let now = clock()
        return said.withLock { said in
            // Words are few; if they were not, nothing is kept for longer than it matters.
            said = said.filter { now - $0.value.at < 10 * Self.interval }
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
