public import Clinical
import Foundation
public import Registry

/// Who is told of an alert at once, and by which channel. Pure.
public struct Route: Sendable {
    let registry: Registry
    private let teams: Teams?

    public init(registry: Registry) {
        self.registry = registry
        teams = nil
    }

    /// For whoever asks of every patient.
    init(registry: Registry, teams: Teams) {
        self.registry = registry
        self.teams = teams
    }

    /// A registry's care managers by site and role, each team by code: finding one among all of a large registry takes
    /// long.
    struct Teams: Sendable {
        private struct Team: Hashable {
            var site: Identifier
            var role: CareManager.Role
        }

        private var people: [Team: [CareManager]]

        init(_ registry: Registry) {
            people = Dictionary(grouping: registry.careManagers.values) { Team(site: $0.site, role: $0.role) }
                .mapValues { $0.sorted { $0.code.description < $1.code.description } }
        }

        func of(_ site: Identifier, role: CareManager.Role) -> [CareManager] {
            people[Team(site: site, role: role)] ?? []
        }
    }

    /// The outbox rows of one notifying transition: the chain's first step that reaches somebody, with whatever steps
    /// are due at the same time. Those after it are `Escalation`'s.
    ///
    /// Steps come from the site's escalation path for this class and severity, else the default: key worker, then
    /// team leads for clinical alerts; administrators, then team leads for technical ones. A person who is away is
    /// stood in for by the deputy. An alert of the instance goes to every site's technical route.
    public func entries(for change: EpisodeChange, at instant: Instant) -> [OutboxEntry] {
        guard let event = change.events.last(where: { $0.transition.notifies }) else { return [] }
        let episode = change.episode
        var entries: [OutboxEntry] = []
        for site in sites(of: episode) {
            let steps = steps(for: episode, site: site, at: instant)
            guard let first = steps.firstIndex(where: { $0.people.contains(where: registry.served.reach) }) else {
                continue
            }
            var told: Set<Identifier> = []
            for person in steps[first...].filter({ $0.after == steps[first].after }).flatMap(\.people)
            where told.insert(person.code).inserted {
                entries += channels(of: person).map {
                    OutboxEntry(
                        alert: episode.id, revision: event.revision, step: first, channel: $0, recipient: person.code)
                }
            }
        }
        return entries + display(of: episode, revision: event.revision)
    }

    /// The outbox rows of one notifying transition while PostgreSQL is away: every step of the chain at once, since the
    /// timers that escalate are rows there. Whoever stands in several steps is told once, under the lowest.
    ///
    /// Where the chain reaches nobody (a reader of a site that the last known registry does not hold), administrators
    /// and team leads of every site are told instead: better the wrong team than none.
    public func outageEntries(for change: EpisodeChange, at instant: Instant) -> [OutboxEntry] {
        guard let event = change.events.last(where: { $0.transition.notifies }) else { return [] }
        let episode = change.episode
        var steps = sites(of: episode).flatMap { site in
            Array(self.steps(for: episode, site: site, at: instant).map(\.people).enumerated())
        }
        if !steps.contains(where: { $0.element.contains(where: registry.served.reach) }) {
            steps = Array(lastResort(at: instant).enumerated())
        }
        var told: Set<Identifier> = []
        var entries: [OutboxEntry] = []
        for (step, people) in steps.sorted(by: { $0.offset < $1.offset }) {
            for person in people where registry.served.reach(person) && told.insert(person.code).inserted {
                entries += channels(of: person).map {
                    OutboxEntry(
                        alert: episode.id, revision: event.revision, step: step, channel: $0, recipient: person.code)
                }
            }
        }
        return entries + display(of: episode, revision: event.revision)
    }

    /// Team leads of every site, then administrators: who is told of a red that nobody else can be told of.
    func lastResort(at instant: Instant) -> [[CareManager]] {
        [.teamLead, .administrator].map { role in
            everySite.flatMap { site in
                team(of: site, role: role).compactMap { present($0, at: instant, site: site) }
            }
        }
    }

    /// What is to be sent of these alerts while PostgreSQL is away, with the addresses that only the registry knows.
    public func outageNotices(for changes: [EpisodeChange]) -> [OutageNotice] {
        changes.flatMap { change -> [OutageNotice] in
            // Whoever waits for a self-test's alert has gone by then.
            guard let event = change.events.last(where: { $0.transition.notifies }),
                !Synthetic.isSynthetic(change.episode.site)
            else { return [] }
            var episode = change.episode
            // As it stood then; a later reading of the batch may have joined it.
            episode.revision = event.revision
            episode.severity = event.severity
            episode.summary = event.summary
            return outageEntries(for: change, at: event.at).map { entry in
                OutageNotice(
                    job: DeliveryJob(entry: entry, attempt: 1, address: address(of: entry), episode: episode),
                    at: event.at)
            }
        }
    }

    /// How a person can be told: by everything that the registry has and the configuration can serve.
    func channels(of person: CareManager) -> [Channel] {
        (person.webhook == nil ? [] : [.webhook])
            + (registry.served.email && person.email != nil ? [.email] : [])
            + (registry.served.sms && person.mobile != nil ? [.sms] : [])
    }

    /// The site's ward display beside the people; its recipient is the site's code.
    private func display(of episode: Episode, revision: Int32) -> [OutboxEntry] {
        guard episode.alertClass == .clinical, let site = episode.site, registry.served.hasDisplay(site) else {
            return []
        }
        return [OutboxEntry(alert: episode.id, revision: revision, step: 0, channel: .mqtt, recipient: site)]
    }

    /// Where a message goes; nil when the registry has no such address.
    public func address(of entry: OutboxEntry) -> String? {
        let person = registry.careManagers[entry.recipient]
        return switch entry.channel {
        case .webhook: person?.webhook
        // A site's fallback is told under the site's code.
        case .email: person?.email ?? registry.sites[entry.recipient]?.fallbackEmail
        case .sms: person?.mobile
        case .mqtt: nil
        }
    }

    /// The steps in force at that time, with who is there for each: soonest first.
    func steps(
        for episode: Episode, site: Identifier, at instant: Instant
    ) -> [(after: Interval, people: [CareManager])] {
        named(for: episode, site: site, at: instant).map { step in
            (step.after, step.people.compactMap { present($0, at: instant, site: site) })
        }
    }

    /// The sites whose people are told of an alert.
    func sites(of episode: Episode) -> [Identifier] {
        episode.site.map { [$0] } ?? everySite
    }

    private var everySite: [Identifier] {
        registry.sites.keys.filter { !Synthetic.isSynthetic($0) }.sorted { $0.description < $1.description }
    }

    /// Nil for an alert of the whole installation.
    func hours(of episode: Episode) -> OfficeHours? {
        episode.site.flatMap { registry.sites[$0] }.map(OfficeHours.init)
    }

    /// Where a site's fallback can be told that nobody answers: its channels, under the site's code.
    func fallback(of site: Identifier) -> [Channel] {
        registry.served.email && registry.sites[site]?.fallbackEmail != nil ? [.email] : []
    }

    func people(
        _ recipient: EscalationStep.Recipient, episode: Episode, site: Identifier
    ) -> [CareManager] {
        switch recipient {
        case .keyWorker: keyWorker(of: episode)
        case .teamLead: team(of: site, role: .teamLead)
        case .careManager(let code): registry.careManagers[code].map { [$0] } ?? []
        }
    }

    func keyWorker(of episode: Episode) -> [CareManager] {
        // What is about a whole site is for all who work there.
        if case .site(let code) = episode.subject { return team(of: code, role: .careManager) }
        let patient: Identifier? =
            switch episode.subject {
            case .patient(let code): code
            case .device(let code): registry.devices[code]?.presentOrLastPatient(at: episode.raisedAt)
            case .site, .instance: nil
            }
        guard let code = patient.flatMap({ registry.patients[$0]?.keyWorker }) else { return [] }
        return registry.careManagers[code].map { [$0] } ?? []
    }

    func team(of site: Identifier, role: CareManager.Role) -> [CareManager] {
        if let teams { return teams.of(site, role: role) }
        return registry.careManagers.values.filter { $0.site == site && $0.role == role }
            .sorted { $0.code.description < $1.code.description }
    }

    private func present(_ person: CareManager, at instant: Instant, site: Identifier) -> CareManager? {
        guard case .there(let standing) = standing(for: person, at: instant, site: site) else { return nil }
        return standing
    }

    func isInForce(_ when: EscalationPath.When, at instant: Instant, site: Identifier) -> Bool {
        if when == .always { return true }
        guard let site = registry.sites[site], let local = LocalTime(instant, timeZone: site.timeZone) else {
            return true
        }
        let open = site.hours.contains {
            $0.days.contains(local.weekday) && $0.opens <= local.minute && local.minute < $0.closes
        }
        return open == (when == .inHours)
    }
}

/// A wall-clock time in a zone.
struct LocalTime {
    var date: CalendarDate
    var weekday: Weekday
    /// After local midnight.
    var minute: Int

    /// Nil where the zone is unknown to this system.
    init?(_ instant: Instant, timeZone: String?) {
        guard let zone = timeZone.flatMap(TimeZone.init(identifier:)) else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let parts = calendar.dateComponents(
            [.year, .month, .day, .weekday, .hour, .minute],
            from: Date(timeIntervalSince1970: Double(instant.microseconds) / 1_000_000))
        guard let year = parts.year, let month = parts.month, let day = parts.day, let hour = parts.hour,
            let minute = parts.minute, let number = parts.weekday,
            let date = CalendarDate(year: year, month: month, day: day)
        else { return nil }
        self.date = date
        self.minute = hour * 60 + minute
        // Foundation counts from Sunday = 1.
        weekday = Weekday.allCases[(number + 5) % 7]
    }
}
