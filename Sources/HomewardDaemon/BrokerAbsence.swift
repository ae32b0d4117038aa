/// Whether a holder of the lease that can't reach the broker leaves the lease to another instance, which may reach it. The
/// broker itself may be away: then whoever takes it fares no better and leaves it in turn, and so that they do not play
/// with it, each leaves it once in ten minutes. Pure; all times are monotonic nanoseconds.
struct BrokerAbsence {
    /// Longer than a broker takes to start again.
    static let patience: Int64 = 10_000_000_000
    static let pause: Int64 = 600_000_000_000

    private var since: Int64?
    private var leftAt: Int64?

    /// A connection was lost, or an attempt at one failed.
    mutating func failed(at now: Int64) { since = since ?? now }

    /// The broker answered, or is not asked any more.
    mutating func end() { since = nil }

    /// True: it is left now. Asked only where somebody waits for it.
    mutating func leaves(at now: Int64) -> Bool {
        guard let since, now - since >= Self.patience else { return false }
        if let leftAt, now - leftAt < Self.pause { return false }
        leftAt = now
        self.since = nil
        return true
    }
}
