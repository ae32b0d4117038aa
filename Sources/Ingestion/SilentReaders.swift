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

    /// Offline for longer than the grace, and nothing was reported since.
    public var offline: [Reader] = []
    /// How many readers of each site have ever told their state.
    public var known: [Identifier: Int] = [:]
    /// What has an open alert of these rules, with its site.
    public var open: [Subject: Identifier] = [:]

    public init() {}

    /// What is to be raised and what is over; empty when nothing has changed.
    public func findings(at now: Instant) -> [Finding] {
        let bySite = Dictionary(grouping: offline, by: \.site)
        var findings: [Finding] = []
        for site in Set(bySite.keys).union(open.values).sorted(by: { $0.description < $1.description }) {
            let readers = bySite[site] ?? []
            let count = max(known[site] ?? 0, readers.count)
            let isCrowd = readers.count >= Self.crowd && readers.count * 2 > count
            let isTold = open[.site(site)] != nil
            if isCrowd, !isTold, let first = readers.map(\.since).min() {
                let hours = (now - first).microseconds / 3_600_000_000
                findings.append(
                    finding(
                        .site(site), site, Self.siteRule, .beyond(.amber), now,
                        "\(readers.count) of \(count) devices of site \(site) are offline, the first for \(hours) h: "
                            + "their patients can't be seen."))
            } else if !isCrowd, isTold {
                findings.append(
                    finding(.site(site), site, Self.siteRule, .inRange, now, "Most devices of site \(site) are back."))
            }
            for reader in readers where !isCrowd && open[.device(reader.device)] == nil {
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
