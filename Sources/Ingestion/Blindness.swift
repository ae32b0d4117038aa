import Alerting
import Clinical
import Registry

/// Alerts of the instance for those who mend it, and one of each site for its care team, which names patients of high
/// risk.
extension BatchProcessor {
    /// The broker is away.
    func findingsOfBlindness(since: Instant, at instant: Instant) -> [Finding] {
        let technical = TechnicalFinding(
            .brokerAway, .beyond(.amber), at: instant,
            summary: "The broker has been away for 5 min or more: no report can be received.")
        return [technical.finding]
            + scheduledPatients.map { site, patients in
                let words = Self.unseen(
                    patients, "No reading can be received since \(time(since, site, readAt: instant)):", "can't be seen"
                )
                return siteFinding(site, Schedule.unseenRule, .beyond(.amber), words, at: instant)
            }
    }

    /// Homeward itself was away.
    func findingsOfAbsence(_ absence: ClosedRange<Instant>, at instant: Instant) -> [Finding] {
        let minutes = (absence.upperBound - absence.lowerBound).microseconds / 60_000_000
        let length = minutes < 120 ? "\(minutes) min" : "\(minutes / 60) h"
        let technical = TechnicalFinding(
            .homewardAway, .beyond(.amber), at: instant,
            summary:
                "Homeward was down for \(length): no report was judged meanwhile. What the broker kept is being read."
        )
        return [technical.finding]
            + scheduledPatients.map { site, patients in
                let from = time(absence.lowerBound, site, readAt: instant)
                let until = time(absence.upperBound, site, readAt: instant)
                let words = Self.unseen(
                    patients, "Homeward was down from \(from) to \(until):", "could not be seen")
                return siteFinding(site, Schedule.unseenRule, .beyond(.amber), words, at: instant)
            }
    }

    /// All that was sent meanwhile has been read.
    func findingsOfSight(at instant: Instant) -> [Finding] {
        let broker = TechnicalFinding(
            .brokerAway, .inRange, at: instant, summary: "The broker is there again, and what it held has been read.")
        let homeward = TechnicalFinding(
            .homewardAway, .inRange, at: instant,
            summary: "Homeward is there again, and what the broker held has been read.")
        return [broker.finding, homeward.finding]
            + scheduledPatients.map { site, _ in
                siteFinding(site, Schedule.unseenRule, .inRange, "Readings are received again.", at: instant)
            }
    }

    /// Most readers of a site are offline at once: its care team is told whom that hides. The technical alert is the
    /// readers' own.
    func findingOfCrowd(_ crowd: SilentReaders.Crowd, of site: Identifier, at instant: Instant) -> Finding? {
        let hidden = registry.patients(cutOffBy: crowd.devices, at: instant)
        let patients = scheduledPatients.first { $0.site == site }?.patients.filter { hidden.contains($0.code) } ?? []
        guard !patients.isEmpty else { return nil }
        let words = Self.unseen(
            patients,
            "\(crowd.devices.count) readers have been offline since \(time(crowd.since, site, readAt: instant)):",
            "can't be seen")
        return siteFinding(site, Schedule.cutOffRule, .beyond(.amber), words, at: instant)
    }

    func findingOfCrowdsEnd(of site: Identifier, at instant: Instant) -> Finding {
        siteFinding(site, Schedule.cutOffRule, .inRange, "Most readers are back.", at: instant)
    }

    var scheduledSites: [Identifier] { scheduledPatients.map(\.site) }

    private var scheduledPatients: [(site: Identifier, patients: [Patient])] {
        Dictionary(grouping: registry.patients.values.filter { !$0.schedule.isEmpty && serves($0) }, by: \.site)
            .map { ($0.key, $0.value) }.sorted { $0.site.description < $1.site.description }
    }

    private func siteFinding(
        _ site: Identifier, _ rule: String, _ verdict: Finding.Verdict, _ summary: String, at instant: Instant
    ) -> Finding {
        var finding = Finding(
            subject: .site(site), site: site, device: nil, rule: rule, alertClass: .clinical,
            verdict: verdict, takenAt: instant, receivedAt: instant, report: nil, summary: summary)
        // Told once, however often it is looked again, and by whichever life.
        finding.isStanding = true
        return finding
    }

    private func time(_ instant: Instant, _ site: Identifier, readAt: Instant) -> String {
        Sentence.time(instant, readAt: readAt, timeZone: registry.sites[site]?.timeZone ?? "")
    }

    /// "No reading can be received since 09:05: 12 patients can't be seen, of high risk P0003 and P0007. …"
    static func unseen(_ patients: [Patient], _ cause: String, _ what: String) -> String {
        let high = patients.filter(\.profile.highRisk).map(\.code.description).sorted()
        let who = patients.count == 1 ? "1 patient" : "\(patients.count) patients"
        let named = high.isEmpty ? "" : ", of high risk \(high.joined(separator: ", "))"
        return "\(cause) \(who) \(what)\(named). Missed readings are told of once all that was sent has been read, of "
            + "patients of high risk after 4 h at the latest."
    }
}
