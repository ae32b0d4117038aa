public import Clinical
import Foundation
public import Registry

/// A time in which an alert would reach nobody.
public struct CoverageHole: Hashable, Sendable {
    public var site: Identifier
    /// Whose clinical alerts; empty for the site's technical ones. By code.
    public var patients: [Identifier]
    public var alertClass: AlertClass
    public var severity: Severity
    public var from: Instant
    /// The first instant after it, or the end of what was looked through.
    public var until: Instant
    /// A few words, as it stands when it begins: "cm-01 is away until 2027-01-02 without a deputy; there is no team-lead".
    public var why: String

    public init(
        site: Identifier, patients: [Identifier], alertClass: AlertClass, severity: Severity, from: Instant,
        until: Instant, why: String
    ) {
        self.site = site
        self.patients = patients
        self.alertClass = alertClass
        self.severity = severity
        self.from = from
        self.until = until
        self.why = why
    }
}

/// Whether there is always somebody to be told. Pure: from the registry, the channels that are served and a span of time.
///
/// Who is told changes only where a site opens or closes, where a day begins (absences are days) and where its clock is
/// put forward or back: what holds at each such boundary holds until the next.
public struct Coverage: Sendable {
    /// So far ahead holes are looked for.
    public static let horizon = Interval.days(7)
    /// Technical rule of a site whose patients have a hole.
    public static let rule = "coverage-hole"
    /// What must reach somebody: nobody is told of what is less than amber.
    public static let severities: [Severity] = [.red, .amber]

    private let registry: Registry
    private let route: Route

    public init(registry: Registry) {
        self.registry = registry
        route = Route(registry: registry, teams: Route.Teams(registry))
    }

    /// Patients who have the same key worker at the same site share whatever becomes of their alerts.
    private struct Group: Hashable {
        var site: Identifier
        var keyWorker: Identifier?
    }

    /// Holes of clinical alerts, the earliest first, then by site.
    ///
    /// - Parameter sites: nil: every one.
    public func holes(
        of sites: Set<Identifier>? = nil, from start: Instant, within span: Interval = Self.horizon
    ) -> [CoverageHole] {
        let patients = registry.patients.values.filter {
            (sites?.contains($0.site) ?? true) && !Synthetic.isSynthetic($0.site)
        }
        let groups = Dictionary(grouping: patients) { Group(site: $0.site, keyWorker: $0.keyWorker) }
        var boundaries: [Identifier: [Instant]] = [:]
        var holes: [CoverageHole] = []
        for (group, members) in groups {
            let codes = members.map(\.code).sorted { $0.description < $1.description }
            guard let first = codes.first else { continue }
            let times = boundaries[group.site] ?? self.boundaries(of: group.site, from: start, within: span)
            boundaries[group.site] = times
            for severity in Self.severities {
                let episode = Self.episode(.patient(first), site: group.site, .clinical, severity, at: start)
                holes += self.holes(of: episode, site: group.site, at: times, until: start + span).map {
                    var hole = $0
                    hole.patients = codes
                    return hole
                }
            }
        }
        return holes.sorted(by: Self.precedes)
    }

    /// Holes of the technical route of each site that has patients: who mends things is not told.
    public func technicalHoles(
        of sites: Set<Identifier>? = nil, from start: Instant, within span: Interval = Self.horizon
    ) -> [CoverageHole] {
        let monitored = Set(registry.patients.values.map(\.site)).filter {
            (sites?.contains($0) ?? true) && !Synthetic.isSynthetic($0)
        }
        return monitored.flatMap { site in
            let times = boundaries(of: site, from: start, within: span)
            return Self.severities.flatMap { severity in
                holes(
                    of: Self.episode(.site(site), site: site, .technical, severity, at: start), site: site, at: times,
                    until: start + span)
            }
        }.sorted(by: Self.precedes)
    }

    /// The earliest hole of each patient who has one.
    public func earliestHoles(
        of sites: Set<Identifier>? = nil, from start: Instant, within span: Interval = Self.horizon
    ) -> [Identifier: CoverageHole] {
        var earliest: [Identifier: CoverageHole] = [:]
        for hole in holes(of: sites, from: start, within: span) {
            for patient in hole.patients where earliest[patient] == nil { earliest[patient] = hole }
        }
        return earliest
    }

    /// An alert as the route sees one; nothing of it but this has a say in who is told.
    public static func episode(
        _ subject: Subject, site: Identifier, _ alertClass: AlertClass, _ severity: Severity, at instant: Instant
    ) -> Episode {
        Episode(
            id: AlertID(high: 0, low: 0), subject: subject, site: site, device: nil, rule: rule,
            alertClass: alertClass, severity: severity, raisedAt: instant, summary: "")
    }

    private func holes(
        of episode: Episode, site: Identifier, at times: [Instant], until end: Instant
    ) -> [CoverageHole] {
        var holes: [CoverageHole] = []
        var open: CoverageHole?
        for time in times {
            if route.reachesSomebody(episode, site: site, at: time) {
                if var hole = open {
                    hole.until = time
                    holes.append(hole)
                    open = nil
                }
            } else if open == nil {
                let gaps = route.forecast(of: episode, site: site, raisedAt: time).flatMap(\.gaps)
                open = CoverageHole(
                    site: site, patients: [], alertClass: episode.alertClass, severity: episode.severity, from: time,
                    until: end, why: gaps.isEmpty ? "the chain has no step" : gaps.joined(separator: "; "))
            }
        }
        return open.map { holes + [$0] } ?? holes
    }

    private static func precedes(_ left: CoverageHole, _ right: CoverageHole) -> Bool {
        if left.from != right.from { return left.from < right.from }
        if left.severity != right.severity { return left.severity > right.severity }
        let (first, second) = (left.site.description, right.site.description)
        if first != second { return first < second }
        return left.patients.first?.description ?? "" < right.patients.first?.description ?? ""
    }

    /// `start`, and after it every instant at which somebody else may be told: more than there are rather than fewer.
    ///
    /// A wall-clock time is looked for under every offset that the zone has in the span, since in the night in which
    /// clocks go back it comes twice, and in that in which they go forward it may not come at all.
    func boundaries(of site: Identifier, from start: Instant, within span: Interval) -> [Instant] {
        let end = start + span
        guard let site = registry.sites[site], let zone = TimeZone(identifier: site.timeZone) else { return [start] }
        var offsets = Set([start, end].map { Int64(zone.secondsFromGMT(for: $0.date)) })
        var boundaries: Set<Instant> = [start]
        var transition = zone.nextDaylightSavingTimeTransition(after: start.date)
        while let change = transition.flatMap(Instant.init), change < end {
            offsets.insert(Int64(zone.secondsFromGMT(for: change.date)))
            boundaries.insert(change)
            transition = zone.nextDaylightSavingTimeTransition(after: change.date)
        }
        let minutes = Set([0] + site.hours.flatMap { [$0.opens, $0.closes] })
        for offset in offsets {
            let local = start.microseconds / 1_000_000 + offset
            let firstDay = local / 86_400 - 1
            let lastDay = (end.microseconds / 1_000_000 + offset) / 86_400 + 1
            guard firstDay <= lastDay else { continue }
            for day in firstDay...lastDay {
                for minute in minutes {
                    let time = Instant(microseconds: 0) + .seconds(day * 86_400 + Int64(minute) * 60 - offset)
                    if time > start, time < end { boundaries.insert(time) }
                }
            }
        }
        return boundaries.sorted()
    }
}

extension Instant {
    var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

    /// Nil where it is out of range. To the second: no zone changes within one.
    init?(_ date: Date) {
        guard let seconds = Int64(exactly: date.timeIntervalSince1970.rounded()) else { return nil }
        self = Instant(microseconds: 0) + .seconds(seconds)
    }
}

extension CoverageHole {
    /// "from Thu 2026-12-24 18:00 until Fri 2026-12-25 08:00 a clinical red of P0001 and 11 others would reach nobody: …",
    /// in the wall clock of the zone.
    public func words(timeZone: String?, now: Instant) -> String {
        let who =
            switch patients.count {
            case 0: "site \(site)"
            case 1...3: patients.map(\.description).joined(separator: ", ")
            default: "\(patients[0]) and \(patients.count - 1) others"
            }
        let begins = from <= now ? "now" : "from \(WallClock.words(from, timeZone: timeZone))"
        let ends = until - now >= Coverage.horizon ? "" : " until \(WallClock.words(until, timeZone: timeZone))"
        return "\(begins)\(ends) a \(alertClass.rawValue) \(severity.rawValue) of \(who) would reach nobody: \(why)"
    }
}

/// A time as people of a site read it.
public enum WallClock {
    /// Nil where the zone is unknown.
    public static func date(_ instant: Instant, timeZone: String?) -> CalendarDate? {
        LocalTime(instant, timeZone: timeZone)?.date
    }

    /// `Thu 2026-12-24 18:00`; in UTC, and saying so, where the zone is unknown.
    public static func words(_ instant: Instant, timeZone: String?) -> String {
        let local = LocalTime(instant, timeZone: timeZone)
        guard let time = local ?? LocalTime(instant, timeZone: "GMT") else { return "?" }
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = "\(two(time.minute / 60)):\(two(time.minute % 60))"
        return "\(time.weekday.rawValue.capitalized) \(time.date) \(clock)" + (local == nil ? " UTC" : "")
    }
}
