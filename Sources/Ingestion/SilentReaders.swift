public import Alerting
public import Clinical
import Registry

/// Readers that have been offline for long, as the database knows them, and the technical alerts to make of it. Pure.
///
/// One reader that is gone is an alert of its own; over half of a site's at once are one alert of the site (its network,
/// its gateway), however many they are. Each ends when what it says is over.
public struct SilentReaders: Sendable {
    public static let deviceRule = "device-offline"
    public static let siteRule = "devices-offline"
    public static let rules = [deviceRule, siteRule]
    /// How long a reader may be offline: as long as the grace of a missed reading, so that the reason stands beside it
    /// (proposal).
    public static let grace = Interval.hours(4)
    /// From so many readers of a site on, over half of its readers are one alert.
    public static let crowd = 5
    /// Readers that went offline so close together went for one reason: a gateway, the site's network (proposal).
    public static let together = Interval.minutes(10)
    /// For how long they must have been gone before that is told (proposal).
    public static let patience = Interval.minutes(15)

    public struct Reader: Hashable, Sendable {
        public var device: Identifier
        public var site: Identifier
        /// By the time of receipt of its last change.
        public var since: Instant

        public init(device: Identifier, site: Identifier, since: Instant) {
            self.device = device
            self.site = site
            self.since = since
        }
    }

    /// What one cause hides: most readers of a site.
    public struct Crowd: Hashable, Sendable {
        public var since: Instant
        public var devices: Set<Identifier>

        public init(since: Instant, devices: Set<Identifier>) {
            self.since = since
            self.devices = devices
        }
    }

    /// Offline for longer than the patience, and nothing was reported since.
    public var offline: [Reader] = []
    /// How many readers of each site have ever told their state.
    public var known: [Identifier: Int] = [:]
    /// What has an open alert of these rules, with its site.
    public var open: [Subject: Identifier] = [:]

    public init() {}

    /// By site; a site that is not there has none.
    public func crowds(at now: Instant) -> [Identifier: Crowd] {
        Dictionary(grouping: offline, by: \.site).compactMapValues { readers in
            guard let site = readers.first?.site else { return nil }
            return crowd(of: readers, known: known[site] ?? 0, at: now)
        }
    }

    /// Over half of the site's readers that went together, or that all have been gone for the grace; with them counts
    /// whoever else is offline there.
    private func crowd(of readers: [Reader], known: Int, at now: Instant) -> Crowd? {
        let least = max(Self.crowd, max(known, readers.count) / 2 + 1)
        guard readers.count >= least else { return nil }
        let times = readers.map(\.since).sorted()
        let long = times.prefix { now - $0 >= Self.grace }
        // The first of a run of `least` readers that went within `together`.
        let run = zip(times, times.dropFirst(least - 1)).first { $1 - $0 <= Self.together }?.0
        guard let since = long.count >= least ? times.first : run else { return nil }
        return Crowd(since: since, devices: Set(readers.map(\.device)))
    }

    /// What is to be raised and what is over; empty when nothing has changed.
    public func findings(at now: Instant) -> [Finding] {
        let bySite = Dictionary(grouping: offline, by: \.site)
        let crowds = crowds(at: now)
        var findings: [Finding] = []
        for site in Set(bySite.keys).union(open.values).sorted(by: { $0.description < $1.description }) {
            let readers = bySite[site] ?? []
            let count = max(known[site] ?? 0, readers.count)
            let crowd = crowds[site]
            let isTold = open[.site(site)] != nil
            if let crowd, !isTold {
                let minutes = (now - crowd.since).microseconds / 60_000_000
                let length = minutes < 120 ? "\(minutes) min" : "\(minutes / 60) h"
                findings.append(
                    finding(
                        .site(site), site, Self.siteRule, .beyond(.amber), now,
                        "\(readers.count) of \(count) devices of site \(site) are offline, the first for \(length): "
                            + "their patients can't be seen."))
            } else if crowd == nil, isTold {
                findings.append(
                    finding(.site(site), site, Self.siteRule, .inRange, now, "Most devices of site \(site) are back."))
            }
            for reader in readers
            where crowd == nil && open[.device(reader.device)] == nil && now - reader.since >= Self.grace {
                let hours = (now - reader.since).microseconds / 3_600_000_000
                findings.append(
                    finding(
                        .device(reader.device), site, Self.deviceRule, .beyond(.amber), now,
                        "Device \(reader.device) has been offline for \(hours) h."))
            }
        }
        let silent = Set(offline.map { Subject.device($0.device) })
        for (subject, site) in open {
            guard case .device(let device) = subject, !silent.contains(subject) else { continue }
            findings.append(
                finding(subject, site, Self.deviceRule, .inRange, now, "Device \(device) is online again."))
        }
        return findings
    }

    private func finding(
        _ subject: Subject, _ site: Identifier, _ rule: String, _ verdict: Finding.Verdict, _ now: Instant,
        _ summary: String
    ) -> Finding {
        var device: Identifier?
        if case .device(let code) = subject { device = code }
        var finding = Finding(
            subject: subject, site: site, device: device, rule: rule, alertClass: .technical, verdict: verdict,
            takenAt: now, receivedAt: now, report: nil, summary: summary)
        finding.isStanding = true
        return finding
    }
}
