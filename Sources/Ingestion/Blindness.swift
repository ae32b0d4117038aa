import Alerting
import Clinical
import Registry

extension BatchProcessor {
    /// An alert of the instance for those who mend it, and one of each site for its care team, which names patients of
    /// high risk.
    func findingsOfBlindness(since: Instant, at instant: Instant) -> [Finding] {
        let technical = TechnicalFinding(
            .brokerAway, .beyond(.amber), at: instant,
            summary: "The broker has been away for 5 min or more: no report can be received.")
        return [technical.finding]
            + scheduledPatients.map { site, patients in
                let words = Self.unseen(patients, since: since, timeZone: registry.sites[site]?.timeZone ?? "")
                return siteFinding(site, .beyond(.amber), words, at: instant)
            }
    }

    /// All that was sent meanwhile has been read.
    func findingsOfSight(at instant: Instant) -> [Finding] {
        let technical = TechnicalFinding(
            .brokerAway, .inRange, at: instant, summary: "The broker is there again, and what it held has been read.")
        return [technical.finding]
            + scheduledPatients.map { site, _ in
                siteFinding(site, .inRange, "Readings are received again.", at: instant)
            }
    }

    private var scheduledPatients: [(site: Identifier, patients: [Patient])] {
        Dictionary(grouping: registry.patients.values.filter { !$0.schedule.isEmpty && serves($0) }, by: \.site)
            .map { ($0.key, $0.value) }.sorted { $0.site.description < $1.site.description }
    }

    private func siteFinding(
        _ site: Identifier, _ verdict: Finding.Verdict, _ summary: String, at instant: Instant
    ) -> Finding {
        Finding(
            subject: .site(site), site: site, device: nil, rule: Schedule.unseenRule, alertClass: .clinical,
            verdict: verdict, takenAt: instant, receivedAt: instant, report: nil, summary: summary)
    }

    /// "No reading can be received since 09:05: 12 patients can't be seen, of high risk P0003 and P0007. …"
    static func unseen(_ patients: [Patient], since: Instant, timeZone: String) -> String {
        let high = patients.filter(\.profile.highRisk).map(\.code.description).sorted()
        let who = patients.count == 1 ? "1 patient" : "\(patients.count) patients"
        let named = high.isEmpty ? "" : ", of high risk \(high.joined(separator: ", "))"
        let time = Sentence.time(since, timeZone: timeZone)
        return "No reading can be received since \(time): \(who) can't be seen\(named). Missed readings are told of "
            + "once all that was sent has been read."
    }
}
