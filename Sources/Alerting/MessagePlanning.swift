public import Clinical
import Cryptography

/// How many messages about anything but reds a person gets.
public struct NoisePolicy: Hashable, Sendable {
    /// What comes about one patient within this time of the first is one message.
    public var gathering = Interval.minutes(1)
    /// The most messages to a recipient on a channel within `limitSpan`. ISA-18.2 (IEC 62682) calls one or two alarms in
    /// 10 min, 12 an hour, what a person can manage; see clinical safety, "Alarm load".
    public var limit = 2
    public var limitSpan = Interval.minutes(10)
    /// The most alerts of one message; what is left over is the next one.
    public var alertsOfMessage = 1000

    public init() {}
}

/// A row of the outbox that has not been let go yet.
public struct WaitingEntry: Hashable, Sendable {
    /// For what, and until when, as it was last noted.
    public struct Hold: Hashable, Sendable {
        public var kind: Suppression.Kind
        public var until: Instant

        public init(kind: Suppression.Kind, until: Instant) {
            self.kind = kind
            self.until = until
        }
    }

    /// The delivery's.
    public var key: String
    public var alert: AlertID
    public var subject: Subject
    public var site: Identifier?
    public var rule: String
    /// As it is told.
    public var severity: Severity
    /// When it was put into the outbox.
    public var since: Instant
    /// Nil when nothing was decided yet.
    public var hold: Hold?

    public init(
        key: String, alert: AlertID, subject: Subject, site: Identifier?, rule: String, severity: Severity,
        since: Instant, hold: Hold? = nil
    ) {
        self.key = key
        self.alert = alert
        self.subject = subject
        self.site = site
        self.rule = rule
        self.severity = severity
        self.since = since
        self.hold = hold
    }
}

/// What is to become of what waits for one recipient on one channel.
public struct MessagePlan: Hashable, Sendable {
    public struct Message: Hashable, Sendable {
        /// The key of a message of several alerts; nil for one that says what it always says of one alert.
        public var key: String?
        /// Worst first, then the oldest.
        public var entries: [WaitingEntry]

        public init(key: String?, entries: [WaitingEntry]) {
            self.key = key
            self.entries = entries
        }
    }

    /// These leave now.
    public var messages: [Message] = []
    /// Those whose wait is new, or another than it was.
    public var held: [WaitingEntry] = []
    public var ledger: [Suppression] = []

    public init() {}
}

/// Decides which messages leave now, alone or together, and which wait. Pure: no clock, no I/O.
///
/// - A red leaves at once and alone, and so does what is about a site or the installation: it may be why a red is not
///   seen (the list of a site's missed readings is none of these).
/// - What was raised out of its site's hours waits for their beginning and leaves as one digest.
/// - Everything else waits for a minute, for more about its patient. When there would be more messages than the limit
///   allows, all that waits leaves as one, as soon as the limit allows one.
///
/// Every wait and every joining is in the plan's `ledger`. Planning again at the same time changes nothing.
public struct MessagePlanning: Sendable {
    private let policy: NoisePolicy
    private let hours: [Identifier: OfficeHours]

    /// - Parameter hours: of each site; one that is not here is always open.
    public init(policy: NoisePolicy = NoisePolicy(), hours: [Identifier: OfficeHours]) {
        self.policy = policy
        self.hours = hours
    }

    /// - Parameters:
    ///   - entries: everything that waits for one recipient on one channel, each once.
    ///   - sent: when messages to him on it left that count against the limit.
    public func plan(_ entries: [WaitingEntry], sent: [Instant], at now: Instant) -> MessagePlan {
        var plan = MessagePlan()
        var waiting: [WaitingEntry] = []
        for entry in entries {
            if Self.isUrgent(entry) {
                plan.messages.append(.init(key: nil, entries: [entry]))
            } else {
                waiting.append(entry)
            }
        }
        // Of the night: raised while the site was closed. It opens when it opens, whatever was said before.
        let night = waiting.filter { isOfTheNight($0) }
        for entry in night { if let opening = opening(for: entry, at: now) { plan.hold(entry, .digest, opening) } }
        let digest = night.filter { opening(for: $0, at: now) == nil }
        let day = waiting.filter { !isOfTheNight($0) }
        let groups = Dictionary(grouping: day, by: \.subject).values.sorted { Self.comes($0[0], before: $1[0]) }
        let due = Set(day.filter { end(of: $0, at: now) <= now }.map(\.subject))
        if digest.isEmpty, due.isEmpty {
            for entry in day { plan.hold(entry, .merge, end(of: entry, at: now)) }
            return plan
        }
        let (allowed, next) = allowance(sent: sent, at: now)
        if allowed <= 0 {
            for entry in digest { plan.hold(entry, .limit, next) }
            for entry in day {
                if due.contains(entry.subject) {
                    plan.hold(entry, .limit, next)
                } else {
                    plan.hold(entry, .merge, end(of: entry, at: now))
                }
            }
        } else if groups.count + (digest.isEmpty ? 0 : 1) > allowed {
            leaveTogether(digest + day, ofTheNight: Set(digest.map(\.key)), &plan, at: now)
        } else {
            if !digest.isEmpty { leaveTogether(digest, ofTheNight: Set(digest.map(\.key)), &plan, at: now) }
            for group in groups {
                if due.contains(group[0].subject) {
                    leave(group, &plan)
                } else {
                    for entry in group { plan.hold(entry, .merge, end(of: entry, at: now)) }
                }
            }
        }
        return plan
    }

    private static func isUrgent(_ entry: WaitingEntry) -> Bool {
        if entry.severity == .red { return true }
        return switch entry.subject {
        // The list of those who sent nothing hides nothing: whoever is at risk by it has a red of his own.
        case .site, .instance: entry.rule != Schedule.missedReadingsRule
        case .patient, .device: false
        }
    }

    private func isOfTheNight(_ entry: WaitingEntry) -> Bool {
        guard let hours = entry.site.flatMap({ self.hours[$0] }) else { return false }
        return !hours.isOpen(at: entry.since)
    }

    /// Nil while the site is open, and where it never opens again.
    private func opening(for entry: WaitingEntry, at now: Instant) -> Instant? {
        guard let hours = entry.site.flatMap({ self.hours[$0] }), !hours.isOpen(at: now) else { return nil }
        return hours.opening(after: now)
    }

    /// Until when it waits for more of its patient. What was noted stands, so that a clock that was set back holds
    /// nothing for longer.
    private func end(of entry: WaitingEntry, at now: Instant) -> Instant {
        let end = min(entry.since, now) + policy.gathering
        guard let hold = entry.hold else { return end }
        return hold.kind == .merge ? min(hold.until, now + policy.gathering) : min(hold.until, end)
    }

    /// How many messages may leave now, and when the next may if none.
    private func allowance(sent: [Instant], at now: Instant) -> (allowed: Int, next: Instant) {
        let counted = sent.filter { $0 <= now && now - $0 < policy.limitSpan }.sorted()
        let allowed = policy.limit - counted.count
        guard allowed <= 0 else { return (allowed, now) }
        let index = counted.count - max(policy.limit, 1)
        return (allowed, (counted.indices.contains(index) ? counted[index] : now) + policy.limitSpan)
    }

    private static func comes(_ left: WaitingEntry, before right: WaitingEntry) -> Bool {
        if left.severity != right.severity { return left.severity > right.severity }
        return (left.since, left.key) < (right.since, right.key)
    }

    /// One patient's, as one message.
    private func leave(_ group: [WaitingEntry], _ plan: inout MessagePlan) {
        var rest = group.sorted { Self.comes($0, before: $1) }[...]
        while !rest.isEmpty {
            let entries = Array(rest.prefix(policy.alertsOfMessage))
            rest = rest.dropFirst(entries.count)
            guard entries.count > 1 else {
                plan.messages.append(.init(key: nil, entries: entries))
                continue
            }
            plan.send(entries, key: Self.key(of: entries, .patient)) { _ in .merge }
        }
    }

    /// All in one message. What there is no room for leaves with the next one.
    private func leaveTogether(
        _ entries: [WaitingEntry], ofTheNight: Set<String>, _ plan: inout MessagePlan, at now: Instant
    ) {
        let sorted = entries.sorted { Self.comes($0, before: $1) }
        let taken = Array(sorted.prefix(policy.alertsOfMessage))
        plan.send(taken, key: Self.key(of: taken, .digest)) { ofTheNight.contains($0.key) ? .digest : .limit }
        for entry in sorted.dropFirst(taken.count) { plan.hold(entry, .limit, now) }
    }

    /// From what is in it, never from a sequence: the same on every retry.
    private static func key(of entries: [WaitingEntry], _ kind: Gathering.Kind) -> String {
        let hash = sha256(Array(entries.map(\.key).sorted().joined(separator: "\n").utf8))
        return "\(kind.rawValue)-\(hexadecimal(Array(hash.prefix(16))))"
    }
}

extension MessagePlan {
    fileprivate mutating func hold(_ entry: WaitingEntry, _ kind: Suppression.Kind, _ until: Instant) {
        let hold = WaitingEntry.Hold(kind: kind, until: until)
        guard entry.hold != hold else { return }
        var entry = entry
        entry.hold = hold
        held.append(entry)
        ledger.append(
            Suppression(
                kind: kind, alert: entry.alert, reason: Self.waits(kind), until: until, delivery: entry.key))
    }

    fileprivate mutating func send(_ entries: [WaitingEntry], key: String, _ kind: (WaitingEntry) -> Suppression.Kind) {
        messages.append(.init(key: key, entries: entries))
        for entry in entries {
            let kind = kind(entry)
            ledger.append(
                Suppression(
                    kind: kind, alert: entry.alert, reason: Self.left(kind), delivery: entry.key, message: key))
        }
    }

    private static func waits(_ kind: Suppression.Kind) -> String {
        switch kind {
        case .digest: "raised out of hours: waits for their beginning"
        case .limit: "the recipient has had enough messages for now"
        case .merge, .shelving, .pause: "waits a minute for more about the same patient"
        }
    }

    private static func left(_ kind: Suppression.Kind) -> String {
        switch kind {
        case .digest: "left in the digest of what was raised out of hours"
        case .limit: "left with others in one message, since there would have been too many"
        case .merge, .shelving, .pause: "left in one message with others of the same patient"
        }
    }
}
