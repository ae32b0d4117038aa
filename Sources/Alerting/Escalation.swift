public import Clinical
import Registry

/// Who is told next of an alert that nobody has acknowledged, and when. Pure.
///
/// Levels count the steps of the alert's chain, the first being 0. After the last one the chain begins again every
/// 15 minutes, each time a level: then everybody in it is told at once, since all of them have let it pass. A technical
/// amber goes through its chain once: nobody is woken again for a battery.
public struct Escalation: Sendable {
    /// Outside contract, section 6.
    public static let again = Interval.minutes(15)

    private let route: Route

    public init(route: Route) {
        self.route = route
    }

    /// When the level after this one is due for an alert that last spoke then; nil where nothing follows: the alert
    /// is no longer open, or its chain is over for good.
    public func due(after level: Int, of episode: Episode, spokeAt: Instant) -> Instant? {
        guard episode.state == .open else { return nil }
        let next = level + 1
        return route.sites(of: episode).compactMap { site -> Instant? in
            let steps = route.steps(for: episode, site: site, at: spokeAt)
            if next < steps.count { return spokeAt + steps[next].after }
            guard let last = steps.last, repeats(episode) else { return nil }
            let rounds = Int64(next - steps.count + 1)
            return spokeAt + last.after + Interval(microseconds: Self.again.microseconds * rounds)
        }.min()
    }

    /// The outbox rows of a level that came due.
    ///
    /// - Parameter revision: of the event that last spoke: a delivery's key holds it.
    public func entries(_ level: Int, of episode: Episode, revision: Int32, at instant: Instant) -> [OutboxEntry] {
        var entries: [OutboxEntry] = []
        for site in route.sites(of: episode) {
            let steps = route.steps(for: episode, site: site, at: instant)
            let people = level < steps.count ? steps[level].people : steps.flatMap(\.people)
            var told: Set<Identifier> = []
            for person in people where told.insert(person.code).inserted {
                entries += route.channels(of: person).map {
                    OutboxEntry(
                        alert: episode.id, revision: revision, step: level, channel: $0, recipient: person.code)
                }
            }
        }
        return entries
    }

    /// Whether everybody was told and nobody answered: the site's fallback is told "unanswered".
    public func isUnanswered(_ level: Int, of episode: Episode, at instant: Instant) -> Bool {
        route.sites(of: episode).allSatisfy { level >= route.steps(for: episode, site: $0, at: instant).count }
    }

    private func repeats(_ episode: Episode) -> Bool {
        episode.alertClass == .clinical || episode.severity == .red
    }
}
