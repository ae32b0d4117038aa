public import Clinical

/// Something that is due at a time: a missed reading, an escalation step, the end of a shelving.
public struct Timer: Hashable, Sendable {
    /// What is to happen; with `subject` it is unique.
    public var kind: String
    public var subject: String
    public var due: Instant
    /// A JSON object for whoever handles it.
    public var payload: String
    /// Of one that is to be set: in how long it is due by the clock of whoever keeps it, whatever ours says. Nil: at
    /// `due`, which is then somebody's word.
    public var delay: Interval?
    /// Of one that was read: for how long it has been due by that clock. Nil where there is none.
    public var late: Interval?

    public init(
        kind: String, subject: String, due: Instant, payload: String = "{}", delay: Interval? = nil,
        late: Interval? = nil
    ) {
        self.kind = kind
        self.subject = subject
        self.due = due
        self.payload = payload
        self.delay = delay
        self.late = late
    }
}

/// What makes a timer the only one of its sort.
public struct TimerName: Hashable, Sendable {
    public var kind: String
    public var subject: String

    public init(kind: String, subject: String) {
        self.kind = kind
        self.subject = subject
    }
}

extension Timer {
    public var name: TimerName { TimerName(kind: kind, subject: subject) }
}

/// A timer that came due and is ours until the lease ends.
public struct ClaimedTimer: Hashable, Sendable {
    public var timer: Timer
    /// Grows with every claim and every new schedule; completing with an old one changes nothing.
    public var claim: Int64

    public init(timer: Timer, claim: Int64) {
        self.timer = timer
        self.claim = claim
    }
}

/// Due times that outlive us. One thread owns it; calls block at most the database deadline.
public protocol TimerQueue: AnyObject {
    /// Sets or moves the timer of that kind and subject.
    func schedule(_ timers: [Timer]) throws
    /// Takes it away; nothing happens when there is none.
    func cancel(kind: String, subject: String) throws
    /// Takes timers of these kinds that are due by the database's clock, the longest due first. Nobody else is given
    /// them until the lease ends; committed before it returns.
    func claim(kinds: [String], limit: Int, lease: Interval) throws -> [ClaimedTimer]
    /// Removes it. False when it was scheduled anew or claimed by another meanwhile: then it is theirs.
    func complete(_ timer: ClaimedTimer) throws -> Bool
}
