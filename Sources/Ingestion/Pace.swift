/// How much the commit thread moves in one transaction beside new reports, how long that may take and when it begins:
/// less, for longer and later after one that was late, more after one that was not.
struct Pace {
    static let first = 500
    /// Such a transaction keeps the new reports waiting, which must be durable within 2 s. Nanoseconds.
    static let patience: Int64 = 1_000_000_000

    private(set) var size = Pace.first
    /// What a transaction may take: more where even one report was late. Nanoseconds.
    private(set) var patience = Pace.patience
    /// Not before that time; monotonic nanoseconds.
    var next: Int64 = 0
    private var backoff = Backoff()

    /// A transaction was in time.
    mutating func worked() {
        size = min(size * 2, CommitStage.batchLimit)
        patience = Self.patience
        backoff = Backoff()
    }

    /// `longest`: what a transaction of one report may take; nanoseconds.
    mutating func wasLate(at now: Int64, longest: Int64) {
        if size == 1 { patience = min(patience * 2, longest) }
        size = max(1, size / 4)
        next = now + Int64(backoff.next()) * 1_000_000
    }
}
