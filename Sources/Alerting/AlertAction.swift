public import Clinical

/// What a person does about an alert.
public enum AlertAction: Hashable, Sendable {
    /// Seen: escalation stops. Of an alert that ended by itself: it is no longer "recovered, not yet seen".
    case acknowledge
    /// "I have it", with a hand-over note where another had it: acknowledged too, if it was not.
    case take
    /// Out of the way until then; of an acknowledged alert only.
    case shelve(until: Instant)
    case unshelve
    case resolve

    /// The longest that an alert may be shelved: a red 4 h, anything else 72 h.
    public static func longestShelving(of severity: Severity) -> Interval {
        severity == .red ? .hours(4) : .hours(72)
    }
}

/// Who acts: an account, on behalf of a care manager.
public struct AlertActor: Hashable, Sendable {
    /// The operating system's user at the command, or who is signed in.
    public var account: String
    public var careManager: Identifier?

    public init(account: String, careManager: Identifier?) {
        self.account = account
        self.careManager = careManager
    }

    /// The care manager's code, else the account.
    public var name: String { careManager?.description ?? account }
}

/// Why an action was refused: nothing was changed. `description` has no patient data.
public enum AlertActionRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case alreadyResolved
    case alreadyAcknowledged
    case isShelved
    /// Only what somebody acknowledged can be shelved.
    case notAcknowledged
    case notShelved
    /// The end lies before now, or too far away for its severity.
    case shelvedTooLong(Severity)
    case shelvedInThePast
    /// A red's resolution and any shelving need words.
    case noteRequired
    /// Only technical alerts, and those that only inform, are acknowledged together.
    case notMinor
    /// It is handed over to nobody who may act at its site.
    case noSuchCareManager
    /// It worsened, or spoke again, after what the person saw.
    case changedSince(seen: Int32, now: Int32)
    /// Another took or acknowledged it after what the person saw.
    case isOf(String, since: Instant)

    public var description: String {
        switch self {
        case .alreadyResolved: "it is resolved"
        case .alreadyAcknowledged: "it is acknowledged already"
        case .isShelved: "it is shelved; take it back first"
        case .notAcknowledged: "only an acknowledged alert can be shelved"
        case .notShelved: "it is not shelved"
        case .shelvedTooLong(let severity):
            "\(severity.rawValue) can be shelved for at most "
                + "\(AlertAction.longestShelving(of: severity).microseconds / 3_600_000_000) hours"
        case .shelvedInThePast: "the end of the shelving has passed"
        case .noteRequired: "a note is required"
        case .notMinor: "it is a clinical amber or red, and must be looked at by itself"
        case .noSuchCareManager: "there is nobody of that code at this site who may act"
        case .changedSince(let seen, let now):
            "it has worsened or spoken again since what you saw (you saw event \(seen), now it is at \(now)): look again"
        case .isOf(let holder, _): "it is \(holder)'s by now: look again"
        }
    }
}

/// Who took or acknowledged an alert last.
public struct AlertClaim: Hashable, Sendable {
    /// A care manager's code, else an account.
    public var holder: String
    /// Its event.
    public var revision: Int32
    public var at: Instant

    public init(holder: String, revision: Int32, at: Instant) {
        self.holder = holder
        self.revision = revision
        self.at = at
    }
}

extension Episode {
    /// The alert after a person's action, with its event. Pure.
    ///
    /// - Parameters:
    ///   - explanation: what was done, as JSON, for the event.
    ///   - seen: the last event that the person saw; nil where they saw it as it is.
    ///   - spoke: the last event that notified.
    ///   - claim: who has it: two who take it at once are not both told that it is theirs.
    public func after(
        _ action: AlertAction, by actor: AlertActor, note: String? = nil, explanation: String = "{}",
        seen: Int32? = nil, spoke: Int32, claim: AlertClaim? = nil, at instant: Instant
    ) throws(AlertActionRefusal) -> EpisodeChange {
        let isUnseen = state == .resolved && acknowledgedAt == nil
        if state == .resolved, action != .acknowledge || !isUnseen { throw .alreadyResolved }
        if let seen, seen < spoke { throw .changedSince(seen: seen, now: spoke) }
        var next = self
        let transition: EpisodeEvent.Transition
        switch action {
        case .acknowledge:
            if state == .acknowledged { throw .alreadyAcknowledged }
            if state == .shelved { throw .isShelved }
            next.acknowledge(at: instant)
            if isUnseen { next.state = .resolved }
            transition = .acknowledged
        case .take:
            if state == .shelved { throw .isShelved }
            if let seen, let claim, seen < claim.revision, ![actor.name, actor.account].contains(claim.holder) {
                throw .isOf(claim.holder, since: claim.at)
            }
            if state == .open { next.acknowledge(at: instant) }
            transition = .taken
        case .shelve(let end):
            if state == .shelved { throw .isShelved }
            guard state == .acknowledged else { throw .notAcknowledged }
            guard end > instant else { throw .shelvedInThePast }
            guard end - instant <= AlertAction.longestShelving(of: severity) else { throw .shelvedTooLong(severity) }
            if note?.isBlank ?? true { throw .noteRequired }
            next.state = .shelved
            transition = .shelved
        case .unshelve:
            guard state == .shelved else { throw .notShelved }
            next.state = .acknowledged
            transition = .unshelved
        case .resolve:
            if severity == .red, note?.isBlank ?? true { throw .noteRequired }
            // Who ends it has seen it.
            if acknowledgedAt == nil { next.acknowledge(at: instant) }
            next.state = .resolved
            transition = .resolved
        }
        next.revision += 1
        let event = EpisodeEvent(
            alert: id, revision: next.revision, transition: transition, severity: severity, at: instant, report: nil,
            actor: actor.name, summary: Self.words(transition, actor, note),
            explanation: explanation)
        return EpisodeChange(episode: next, isNew: false, events: [event])
    }

    /// A shelved alert when its time is over: open, as nobody had seen it, and told of again. Nil when it is not shelved
    /// any more.
    public func comingBack(at instant: Instant) -> EpisodeChange? {
        guard state == .shelved else { return nil }
        return opened(again: Self.shelvingOver, cause: "shelving-over", at: instant)
    }

    /// An acknowledged red that nobody has resolved, when its time is over: likewise. Nil for anything else.
    public func comingBackUnresolved(at instant: Instant) -> EpisodeChange? {
        guard state == .acknowledged, severity == .red else { return nil }
        return opened(again: Self.unresolved, cause: "acknowledged-not-resolved", at: instant)
    }

    private func opened(again words: String, cause: String, at instant: Instant) -> EpisodeChange {
        var next = self
        next.state = .open
        next.acknowledgedAt = nil
        next.worstAcknowledged = nil
        next.revision += 1
        let said = [Self.shelvingOver, Self.unresolved].first { summary.hasPrefix($0) } ?? ""
        next.summary = words + summary.dropFirst(said.count)
        let event = EpisodeEvent(
            alert: id, revision: next.revision, transition: .reopened, severity: severity, at: instant, report: nil,
            actor: "homeward", summary: next.summary, explanation: "{\"cause\":\"\(cause)\"}")
        return EpisodeChange(episode: next, isNew: false, events: [event])
    }

    private static let shelvingOver = "No longer shelved, and not resolved: "
    private static let unresolved = "Acknowledged, and not resolved in time: "

    private mutating func acknowledge(at instant: Instant) {
        state = .acknowledged
        acknowledgedAt = instant
        worstAcknowledged = worst
    }

    private static func words(
        _ transition: EpisodeEvent.Transition, _ actor: AlertActor, _ note: String?
    ) -> String {
        let words = "\(transition.rawValue) by \(actor.name)"
        return note.map { $0.isBlank ? words : "\(words): \($0)" } ?? words
    }
}

extension String {
    fileprivate var isBlank: Bool { allSatisfy(\.isWhitespace) }
}
