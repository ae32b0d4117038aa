/// Rows that decoding let through and the store refused: a few are rubbish, many are a bug of ours, and a bug of ours
/// must not empty the stream into quarantine. Over 5 % of a minute's reports and at least 20: hold instead.
struct PoisonGauge {
    private var minute: Int64 = 0
    private var refused = 0
    private var reports = 0

    mutating func count(now: Int64) {
        turn(now)
        refused += 1
    }

    mutating func sawReports(_ count: Int, now: Int64) {
        turn(now)
        reports += count
    }

    mutating func isSuspicious(now: Int64) -> Bool {
        turn(now)
        return refused >= 20 && refused * 20 > reports + refused
    }

    private mutating func turn(_ now: Int64) {
        let current = now / 60_000_000_000
        guard current != minute else { return }
        minute = current
        refused = 0
        reports = 0
    }
}
