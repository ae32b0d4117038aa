public import Clinical
import Registry

/// Who is told next of an alert that nobody has acknowledged, and when. Pure: what was done so far is the caller's to keep.
///
/// - A step's time counts from when the alert spoke. A step that reaches nobody is passed over at once.
/// - Who is there for a step, and which steps are in force, is looked up when the step is told: after a change of hours,
///   an absence or a new key worker, whoever would have been told by now and was not is told with the next step.
/// - After the last step everybody of the chain is told again every 15 minutes, and each time the site's fallback that
///   nobody answers, for as long as the alert is open. A technical amber goes through its chain once: nobody is woken
///   again for a battery. What is for information is told at once and no further: it wants no answer.
/// - A clinical amber that nobody of the chain gets but by e-mail or text message, which wait for the site to open, waits
///   with them: its steps count from the opening, and are taken in hours.
/// - A step may be told before its time (a dead channel): those after it keep theirs. However late it is (a daemon that
///   was down), whoever should have been told by then is told at once, each once.
public struct Escalation: Sendable {
    /// Outside contract, section 6.
    public static let again = Interval.minutes(15)

    /// How far an alert has come since it last spoke.
    public struct Progress: Hashable, Sendable {
        /// Of the event that last spoke: the keys of deliveries hold it.
        public var revision: Int32
        /// The step of the outbox rows that were written last; grows by one with each.
        public var level: Int
        /// When it spoke: steps count from here.
        public var began: Instant
        /// Steps up to that time after `began` have been told.
        public var told: Interval
        /// What comes next comes at that time after `began`.
        public var next: Interval
        /// Who has been told, by code; nobody twice.
        public var people: [Identifier]
        /// Everybody has been told, and the fallback.
        public var isUnanswered: Bool

        public init(
            revision: Int32, level: Int = 0, began: Instant, told: Interval, next: Interval,
            people: [Identifier] = [], isUnanswered: Bool = false
        ) {
            self.revision = revision
            self.level = level
            self.began = began
            self.told = told
            self.next = next
            self.people = people
            self.isUnanswered = isUnanswered
        }

        public var due: Instant { began + next }
    }

    /// What is told when an alert's next step is due.
    public struct Step: Hashable, Sendable {
        /// Nil: the chain is over for good.
        public var progress: Progress?
        public var level: Int
        public var entries: [OutboxEntry]
        /// The chain has run out, and the fallback is among those told.
        public var isUnanswered: Bool
        /// Worth a line in the alert's history: somebody is told, or it is news that nobody can be.
        public var isNews: Bool

        /// Who is told, each once; a site's code is its fallback.
        public var recipients: [Identifier] {
            var seen: Set<Identifier> = []
            return entries.map(\.recipient).filter { seen.insert($0).inserted }
        }
    }

    private let route: Route

    public init(route: Route) {
        self.route = route
    }

    /// Where the chain stands when an alert has spoken. Nil when nothing follows, as where a self-test raised it: whoever
    /// waits for that one has gone by then.
    ///
    /// - Parameters:
    ///   - event: the transition that notified.
    ///   - entries: its outbox rows.
    ///   - isToldToAll: it was told to the whole chain at once, in an outage; then `entries` may be empty.
    ///   - instant: when it is told, which is later than the event for what was spooled.
    public func begin(
        _ episode: Episode, spokeWith event: EpisodeEvent, entries: [OutboxEntry], isToldToAll: Bool = false,
        at instant: Instant
    ) -> Progress? {
        guard !Synthetic.isSynthetic(episode.site) else { return nil }
        guard episode.severity > .info else { return nil }
        let chains = chains(of: episode, at: event.at)
        let people = entries.filter { $0.channel != .mqtt }
        var progress = Progress(
            revision: event.revision, began: instant, told: .seconds(0), next: .seconds(0),
            people: Set(people.map(\.recipient)).sorted { $0.description < $1.description })
        if isToldToAll, people.isEmpty {
            let everybody = chains.flatMap { $0.steps.flatMap(\.people) }.map(\.code)
            progress.people = Set(everybody).sorted { $0.description < $1.description }
            progress.level = max(0, (chains.map(\.steps.count).max() ?? 0) - 1)
            progress.told = chains.flatMap { $0.steps.map(\.after) }.max() ?? .seconds(0)
        } else if people.isEmpty {
            // Nobody is reached at once: on to whoever can be, without a wait.
            progress.told = Self.nothing
            return progress
        } else {
            progress.level = people.map(\.step).max() ?? 0
            let told = chains.flatMap { chain in
                people.compactMap { $0.step < chain.steps.count ? chain.steps[$0.step].after : nil }
            }
            progress.told = told.min() ?? .seconds(0)
        }
        let now = event.at == instant ? chains : self.chains(of: episode, at: instant)
        progress.began = awake(instant, episode, now)
        return following(progress, episode, now, at: instant)
    }

    /// The next step of an alert that is still open, whether its time has come or it is called for before that.
    ///
    /// - Parameters:
    ///   - late: for how long it has been due by the clock of whoever kept it. The chain has come no further than that,
    ///     whatever our own clock says.
    ///   - instant: now by our own clock, which may have been set since.
    public func step(_ before: Progress, of episode: Episode, late: Interval, at instant: Instant) -> Step {
        let chains = chains(of: episode, at: instant)
        let elapsed = max(.seconds(0), min(instant, before.due + late) - before.began)
        // A clock that was set back does not take back that this is due.
        var reach = max(before.next, elapsed)
        var entries = newlyTold(chains, before, through: reach, episode)
        while entries.isEmpty, let next = Self.next(in: chains, after: reach) {
            reach = next
            entries = newlyTold(chains, before, through: reach, episode)
        }
        var after = before
        after.told = max(before.told, reach)
        after.began = instant - elapsed
        let isUnanswered = entries.isEmpty
        if isUnanswered {
            guard repeats(episode) || before.people.isEmpty else {
                return Step(progress: nil, level: before.level, entries: [], isUnanswered: false, isNews: false)
            }
            for chain in chains {
                entries += rows(
                    chain.steps.flatMap(\.people), of: episode, revision: before.revision, level: before.level + 1)
                entries += route.fallback(of: chain.site).map {
                    OutboxEntry(
                        alert: episode.id, revision: before.revision, step: before.level + 1, channel: $0,
                        recipient: chain.site)
                }
            }
            // Better the wrong team than none.
            if entries.isEmpty, episode.severity == .red {
                entries = rows(
                    route.lastResort(at: instant).flatMap(\.self), of: episode, revision: before.revision,
                    level: before.level + 1)
            }
        }
        let isNews = !entries.isEmpty || !before.isUnanswered
        after.isUnanswered = before.isUnanswered || isUnanswered
        if isNews { after.level += 1 }
        let codes = Set(entries.map(\.recipient)).subtracting(route.sites(of: episode))
        after.people = codes.union(before.people).sorted { $0.description < $1.description }
        return Step(
            progress: following(after, episode, chains, at: instant), level: after.level, entries: entries,
            isUnanswered: isUnanswered, isNews: isNews)
    }

    /// Before every step.
    private static let nothing = Interval(microseconds: -1)

    /// A site's steps as they are at one time.
    private typealias Chain = (site: Identifier, steps: [(after: Interval, people: [CareManager])])

    private func chains(of episode: Episode, at instant: Instant) -> [Chain] {
        route.sites(of: episode).map { ($0, route.steps(for: episode, site: $0, at: instant)) }
    }

    private static func next(in chains: [Chain], after reach: Interval) -> Interval? {
        chains.flatMap(\.steps).map(\.after).filter { $0 > reach }.min()
    }

    private func following(
        _ progress: Progress, _ episode: Episode, _ chains: [Chain], at instant: Instant
    ) -> Progress? {
        var progress = progress
        if let next = Self.next(in: chains, after: progress.told) {
            progress.next = next
        } else if repeats(episode) {
            progress.next = instant + Self.again - progress.began
        } else {
            return nil
        }
        progress.next = awake(progress.due, episode, chains) - progress.began
        return progress
    }

    /// When a step is taken that is due then: of a clinical amber whose messages all wait for the site to open, not
    /// before. Nobody is passed over for not having answered at night.
    private func awake(_ due: Instant, _ episode: Episode, _ chains: [Chain]) -> Instant {
        let isGathered = chains.allSatisfy {
            $0.steps.flatMap(\.people).allSatisfy { !route.channels(of: $0).contains(.webhook) }
        }
        guard isGathered, episode.severity == .amber, episode.alertClass == .clinical,
            let hours = route.hours(of: episode), !hours.isOpen(at: due), let opening = hours.opening(after: due)
        else { return due }
        return opening
    }

    /// The steps that are new, and of those before them whoever was not told then.
    private func newlyTold(
        _ chains: [Chain], _ before: Progress, through reach: Interval, _ episode: Episode
    ) -> [OutboxEntry] {
        chains.flatMap { chain in
            let people = chain.steps.filter { $0.after <= reach }.flatMap { step in
                step.people.filter { step.after > before.told || !before.people.contains($0.code) }
            }
            return rows(people, of: episode, revision: before.revision, level: before.level + 1)
        }
    }

    private func rows(
        _ people: [CareManager], of episode: Episode, revision: Int32, level: Int
    ) -> [OutboxEntry] {
        var told: Set<Identifier> = []
        return people.filter { told.insert($0.code).inserted }.flatMap { person in
            route.channels(of: person).map {
                OutboxEntry(
                    alert: episode.id, revision: revision, step: level, channel: $0, recipient: person.code)
            }
        }
    }

    private func repeats(_ episode: Episode) -> Bool {
        episode.severity == .red || episode.severity == .amber && episode.alertClass == .clinical
    }
}

extension Episode {
    /// The alert after a step of its chain, with the event that says who was told. `revision` is not that of the
    /// messages, which say again what the alert said when it last spoke. `explanation` is JSON.
    public func escalated(_ step: Escalation.Step, explanation: String, at instant: Instant) -> EpisodeChange {
        var next = self
        next.escalationLevel = step.level
        next.revision += 1
        let names = step.recipients.map(\.description).joined(separator: ", ")
        let words =
            switch (step.isUnanswered, step.entries.isEmpty) {
            case (false, _): "not acknowledged: told \(names)"
            case (true, false): "unanswered: told \(names)"
            case (true, true): "unanswered: nobody of its chain can be reached, nor a fallback"
            }
        let event = EpisodeEvent(
            alert: id, revision: next.revision, transition: .escalated, severity: severity, at: instant, report: nil,
            actor: "homeward", summary: words, explanation: explanation)
        return EpisodeChange(episode: next, isNew: false, events: [event])
    }
}
