public import Clinical
public import Registry

/// Who stands in for a person.
public enum Standing: Hashable, Sendable {
    /// The person, or the deputy, or that one's deputy.
    case there(CareManager)
    /// Whose absence has no deputy, and how long it lasts.
    case away(Identifier, until: CalendarDate)
    /// Deputies that are away in a circle, or too many of them.
    case circle(Identifier)
}

/// One step of a chain as it would be taken.
public struct ForecastStep: Hashable, Sendable {
    /// Somebody who would be told.
    public struct Told: Hashable, Sendable {
        public var person: Identifier
        /// Whom the step names, where the person is the deputy.
        public var insteadOf: Identifier?
        public var ways: [Way]
    }

    public struct Way: Hashable, Sendable {
        public var channel: Channel
        public var address: String
    }

    /// `key-worker`, `team-lead`, `administrator` or a care manager's code.
    public var to: String
    /// After the alert was raised.
    public var after: Interval
    public var told: [Told]
    /// Why nobody else is told at this step, each a few words without a full stop.
    public var gaps: [String]
}

extension Route {
    /// Deputies of deputies that are looked for.
    private static let deputies = 8

    /// The steps in force and whom each names, whether there or not.
    func named(
        for episode: Episode, site: Identifier, at instant: Instant
    ) -> [(to: String, after: Interval, people: [CareManager])] {
        let paths = registry.escalation.filter {
            $0.site == site && $0.alertClass == episode.alertClass && $0.severity == episode.severity
                && isInForce($0.when, at: instant, site: site)
        }
        let steps = paths.flatMap(\.steps).sorted { $0.after < $1.after }
        guard steps.isEmpty else {
            return steps.map { ($0.to.description, $0.after, people($0.to, episode: episode, site: site)) }
        }
        let standard = EscalationPath.standard(site: site, alertClass: episode.alertClass, severity: episode.severity)
        let later = standard.steps.last?.after ?? .minutes(15)
        let leads = ("team-lead", later, team(of: site, role: .teamLead))
        return switch episode.alertClass {
        case .clinical: [("key-worker", .minutes(0), keyWorker(of: episode)), leads]
        case .technical: [("administrator", .minutes(0), team(of: site, role: .administrator)), leads]
        }
    }

    /// Who stands in for a person at a time, by the days of the site.
    func standing(for person: CareManager, at instant: Instant, site: Identifier) -> Standing {
        guard !person.away.isEmpty,
            let today = LocalTime(instant, timeZone: registry.sites[site]?.timeZone)?.date
        else { return .there(person) }
        var standing = person
        for _ in 0..<Self.deputies {
            guard let absence = standing.away.first(where: { $0.from <= today && today <= $0.until }) else {
                return .there(standing)
            }
            guard let deputy = absence.deputy.flatMap({ registry.careManagers[$0] }) else {
                return .away(standing.code, until: absence.until)
            }
            standing = deputy
        }
        return .circle(person.code)
    }

    /// The most steps of one course: hours that change may bring up others again and again.
    private static let longestCourse = 100

    /// Who would be told, one step after the other, of an alert raised at that time that nobody answers.
    ///
    /// A step that reaches nobody is passed over at once. Which steps are in force and who is there is looked up when a
    /// step is taken; who would have been told by then under what is in force now, and was not, is told with it.
    public func forecast(of episode: Episode, site: Identifier, raisedAt: Instant) -> [ForecastStep] {
        var course: [ForecastStep] = []
        var told: Set<Identifier> = []
        var reach = Interval(microseconds: -1)
        var time = Interval.minutes(0)
        while course.count < Self.longestCourse {
            let chain = named(for: episode, site: site, at: raisedAt + time)
            let before = reach
            reach = max(reach, time)
            while true {
                let taken = chain.filter { $0.after <= reach }.map { named in
                    (named.after, step(named.to, named.people, site: site, at: raisedAt + time))
                }
                var isAnybodyTold = false
                for (after, step) in taken {
                    var step = step
                    step.after = time
                    if after <= before { step.told.removeAll { told.contains($0.person) } }
                    guard after > before || !step.told.isEmpty else { continue }
                    if course.contains(where: { $0.to == step.to && $0.after == time }) { continue }
                    isAnybodyTold = isAnybodyTold || !step.told.isEmpty
                    course.append(step)
                }
                told.formUnion(course.flatMap { $0.told.map(\.person) })
                if isAnybodyTold { break }
                guard let next = chain.map(\.after).filter({ $0 > reach }).min() else { return course }
                reach = next
            }
            guard let next = chain.map(\.after).filter({ $0 > reach }).min() else { return course }
            time = next
        }
        return course
    }

    /// What is to be said to every care manager who can be told, whatever the routes say.
    public func noticesToEverybody(for changes: [EpisodeChange]) -> [OutageNotice] {
        let people = registry.careManagers.values.filter { $0.role != .readOnly }
            .sorted { $0.code.description < $1.code.description }
        return changes.flatMap { change in
            people.flatMap { person in
                ways(of: person).map { way in
                    let entry = OutboxEntry(
                        alert: change.episode.id, revision: change.episode.revision, step: 0, channel: way.channel,
                        recipient: person.code)
                    let job = DeliveryJob(entry: entry, attempt: 1, address: way.address, episode: change.episode)
                    return OutageNotice(job: job, at: change.episode.raisedAt)
                }
            }
        }
    }

    /// Whether an alert raised at that time would be told to anybody.
    func reachesSomebody(_ episode: Episode, site: Identifier, at instant: Instant) -> Bool {
        named(for: episode, site: site, at: instant).contains { step in
            step.people.contains { person in
                guard case .there(let there) = standing(for: person, at: instant, site: site) else { return false }
                return registry.served.reach(there)
            }
        }
    }

    private func step(_ to: String, _ people: [CareManager], site: Identifier, at instant: Instant) -> ForecastStep {
        var step = ForecastStep(to: to, after: .minutes(0), told: [], gaps: [])
        if people.isEmpty { step.gaps = ["there is no \(to)"] }
        for person in people {
            switch standing(for: person, at: instant, site: site) {
            case .there(let there):
                let ways = ways(of: there)
                let deputy = there.code == person.code ? nil : person.code
                if ways.isEmpty {
                    let whose = deputy.map { "\(there.code), deputy of \($0)," } ?? "\(there.code)"
                    step.gaps.append("\(whose) has no channel that is set up")
                } else if !step.told.contains(where: { $0.person == there.code }) {
                    step.told.append(.init(person: there.code, insteadOf: deputy, ways: ways))
                }
            case .away(let code, let until):
                let whose = code == person.code ? "\(code)" : "\(code), who stands in for \(person.code),"
                step.gaps.append("\(whose) is away until \(until) without a deputy")
            case .circle(let code): step.gaps.append("\(code) and all deputies are away")
            }
        }
        return step
    }

    private func ways(of person: CareManager) -> [ForecastStep.Way] {
        channels(of: person).compactMap { channel in
            let address =
                switch channel {
                case .webhook: person.webhook
                case .email: person.email
                case .sms: person.mobile
                case .mqtt: String?.none
                }
            return address.map { ForecastStep.Way(channel: channel, address: $0) }
        }
    }
}
