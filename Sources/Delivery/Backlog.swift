import Clinical

/// Claimed messages that wait for their turn, and how many are under way to each host. Pure: no clock, no sockets.
///
/// Reds go first. Nothing but a red takes the last place at a host, nor the last places in all, so that a red never
/// waits behind ambers that hang.
struct Backlog<Message> {
    struct Limits: Sendable {
        /// Requests at once, in all and at one host.
        var inFlight = 64
        var perHost = 4
        /// Of these, how many only a red may take.
        var reservedForReds = 16
        var reservedForRedsPerHost = 1
        /// The most messages that wait.
        var waiting = 64
        /// A message that has waited this long goes back to the queue: its lease must not end while it waits here.
        var patience = Interval.seconds(5)
        /// A host whose oldest request has taken this long is slow.
        var slow = Interval.seconds(1)
    }

    struct Entry {
        var message: Message
        var host: String
        var isRed: Bool
        var since: Instant
    }

    let limits: Limits
    private var reds: [Entry] = []
    private var others: [Entry] = []
    /// When each request under way began, by host, oldest first.
    private var underWay: [String: [Instant]] = [:]
    private(set) var inFlight = 0

    init(limits: Limits) { self.limits = limits }

    var waiting: Int { reds.count + others.count }

    /// How many more messages may be claimed.
    var room: Int { max(0, limits.waiting - waiting) }

    mutating func add(_ entry: Entry) {
        if entry.isRed { reds.append(entry) } else { others.append(entry) }
    }

    /// The next message that may leave now, counted as under way; nil when none may.
    mutating func next(at now: Instant) -> Entry? {
        if inFlight < limits.inFlight,
            let index = reds.firstIndex(where: { count(at: $0.host) < limits.perHost })
        {
            return start(reds.remove(at: index), at: now)
        }
        if inFlight < limits.inFlight - limits.reservedForReds,
            let index = others.firstIndex(where: { count(at: $0.host) < limits.perHost - limits.reservedForRedsPerHost }
            )
        {
            return start(others.remove(at: index), at: now)
        }
        return nil
    }

    /// A request to `host` that began at `start` has ended.
    mutating func ended(host: String, start: Instant) {
        guard var starts = underWay[host], let index = starts.firstIndex(of: start) else { return }
        starts.remove(at: index)
        underWay[host] = starts.isEmpty ? nil : starts
        inFlight -= 1
    }

    /// Takes out what should go back to the queue: everything that has waited too long, and, when there is no room
    /// left, what waits for a slow host, so that one endpoint that hangs does not keep others' messages from being
    /// claimed.
    mutating func giveBack(at now: Instant) -> [Entry] {
        let patience = limits.patience
        let slowHosts = Set(underWay.keys.filter { isSlow($0, at: now) })
        let isFull = room == 0
        var given: [Entry] = []
        for list in [\Self.others, \Self.reds] {
            let isBack = { (entry: Entry) in
                now - entry.since >= patience || isFull && slowHosts.contains(entry.host)
            }
            given += self[keyPath: list].filter(isBack)
            self[keyPath: list].removeAll(where: isBack)
        }
        return given
    }

    /// Takes out everything that waits: the dispatcher stops.
    mutating func giveBackAll() -> [Entry] {
        defer {
            reds = []
            others = []
        }
        return reds + others
    }

    private func count(at host: String) -> Int { underWay[host]?.count ?? 0 }

    private func isSlow(_ host: String, at now: Instant) -> Bool {
        guard let oldest = underWay[host]?.first else { return false }
        return now - oldest >= limits.slow
    }

    private mutating func start(_ entry: Entry, at now: Instant) -> Entry {
        var entry = entry
        entry.since = now
        underWay[entry.host, default: []].append(now)
        inFlight += 1
        return entry
    }
}
