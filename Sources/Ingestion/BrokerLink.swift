/// What the commit thread knows of the way on which reports come.
struct BrokerLink: Sendable {
    /// Monotonic nanoseconds; nil while nothing can come.
    private(set) var connectedSince: Int64?
    /// Since then something may have been missed: the last loss of the connection, or the start.
    private(set) var lostAt: Int64
    /// The first loss since all that was sent was last known to be here: a link that flaps does not begin anew.
    private var blindSince: Int64
    /// Readers that could not reach the broker come back by then.
    private var quietUntil: Int64 = .min

    /// Outside contract, receipts: a reader backs off up to 30 min before it sends again.
    private static let readersReturn: Int64 = 1800 * 1_000_000_000
    /// A loss that readers notice.
    private static let noticed: Int64 = 60 * 1_000_000_000
    /// A broker whose queue never runs dry is up with us by then; and for that long nobody need be told of a loss.
    static let patience: Int64 = 300 * 1_000_000_000

    init(at now: Int64) {
        lostAt = now
        blindSince = now
    }

    mutating func note(isConnected: Bool, at now: Int64) {
        if isConnected {
            guard connectedSince == nil else { return }
            connectedSince = now
            if now - lostAt > Self.noticed { quietUntil = now + Self.readersReturn }
        } else if let since = connectedSince {
            if now >= quietUntil, now - since > Self.patience { blindSince = now }
            connectedSince = nil
            lostAt = now
        }
    }

    /// We were away: the broker may have been too, and readers that could not reach it come back later.
    mutating func noteAbsence(at now: Int64) { quietUntil = max(quietUntil, now + Self.readersReturn) }

    /// How far missed readings may be told of; nil: nobody is called missing.
    ///
    /// - Parameter idleAt: when a second had passed without a report.
    func reach(idleAt: Int64, now: Int64) -> MissedReach? {
        if let connectedSince, now >= quietUntil,
            idleAt > connectedSince + 1_000_000_000 || now - connectedSince > Self.patience
        {
            return .all
        }
        return now - blindSince > Self.patience ? .overdueHighRisk : nil
    }

    /// For how long nothing could come, in nanoseconds, once that is long enough to tell of.
    func blindness(now: Int64) -> Int64? {
        guard connectedSince == nil, now - lostAt > Self.patience else { return nil }
        return now - lostAt
    }
}
