import Clinical
import Foundation

/// The machine's clocks; `elapsed` counts from its making.
final class SystemReaderClock: ReaderClock {
    private let beginning = ContinuousClock.now

    var now: Instant {
        let microseconds = (Date().timeIntervalSince1970 * 1_000_000).rounded()
        return Instant(microseconds: Int64(exactly: microseconds) ?? 0)
    }

    var elapsed: Interval {
        let (seconds, attoseconds) = (ContinuousClock.now - beginning).components
        return Interval(microseconds: seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }
}
