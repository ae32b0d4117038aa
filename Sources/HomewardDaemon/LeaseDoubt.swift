import Clinical
import PostgresStore

/// How far looks at the lease that had no answer may be gone by: an instance that another may take over from goes on as
/// its holder only once they have failed for as long as the lease lasts, without a standstill in between. One failed look
/// says nothing: a process that stood still finds its connection broken first, and the lease another's at the next. Pure;
/// all times are monotonic nanoseconds.
struct LeaseDoubt {
    static let span: Int64 = PostgresLease.span.microseconds * 1000

    /// When the first of the looks began that have failed since the last answer, or since the last standstill.
    private var failingSince: Int64?
    private var lastLook: Int64?
    /// The look before took longer than any call may: it stood still, or the system's resolver does.
    private var wasLong = false
    /// Nothing has been heard of the lease since the process stood still, or since it began.
    private var isBlind = true

    /// A look begins.
    mutating func begin(at now: Int64) {
        if let lastLook, now - lastLook > Self.span { forget() }
    }

    /// False for an answer that is from before a standstill: it is asked for again.
    mutating func answered(begun began: Int64, at now: Int64) -> Bool {
        lastLook = now
        failingSince = nil
        wasLong = false
        isBlind = now - began > Self.span
        return !isBlind
    }

    /// The look that began at `began` had no answer.
    mutating func failed(begun began: Int64, at now: Int64) {
        let isLong = now - began > Self.span
        if isLong, !wasLong {
            forget()
            failingSince = now
        }
        wasLong = isLong
        failingSince = failingSince ?? began
        lastLook = now
        if hasLasted { isBlind = false }
    }

    private mutating func forget() {
        failingSince = nil
        isBlind = true
    }

    /// Nobody who could answer has done so for as long as the lease lasts.
    var hasLasted: Bool {
        guard let failingSince, let lastLook else { return false }
        return lastLook - failingSince >= Self.span
    }

    /// A look that failed is as good as an answer: whoever holds the lease was known just before.
    var mayBeTrusted: Bool { !isBlind }
}
