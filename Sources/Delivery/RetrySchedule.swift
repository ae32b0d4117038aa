import Clinical

/// When a message that did not get through is tried again: capped exponential back-off with full jitter, so that a
/// receiver that comes back is not met by everybody at once.
struct RetrySchedule: Sendable {
    var base = Interval.seconds(1)
    var cap = Interval.minutes(5)
    /// A red speaks at least this often, whatever its receiver asks for.
    var capForRed = Interval.seconds(30)
    /// The longest `Retry-After` that is honoured for anything but a red.
    var longestAskedFor = Interval.hours(1)

    /// How long to wait after attempt number `attempt` (from 1): anything up to `base × 2^(attempt - 1)` and the cap,
    /// and at least what the receiver asked for.
    func delay(
        afterAttempt attempt: Int, isRed: Bool, retryAfter: Int64?, using generator: inout some RandomNumberGenerator
    ) -> Interval {
        let cap = isRed ? capForRed : cap
        let doublings = min(max(attempt - 1, 0), 20)
        let ceiling = min(cap.microseconds, base.microseconds << doublings)
        let drawn = Interval(microseconds: Int64.random(in: 0...ceiling, using: &generator))
        guard let retryAfter, retryAfter > 0 else { return drawn }
        let asked = min(Interval.seconds(min(retryAfter, 86400)), isRed ? capForRed : longestAskedFor)
        return max(asked, drawn)
    }
}
