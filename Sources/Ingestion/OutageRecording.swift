import Alerting
import Clinical

extension Draft {
    /// The red alerts' messages that the store's outbox has to send: what it raised itself, and what it takes over from
    /// an outage.
    var redNotices: [OutageNotice] {
        let reds = rows.episodes.filter { $0.episode.severity == .red }
        guard !reds.isEmpty else { return [] }
        let route = Route(registry: registry)
        return reds.flatMap { change in
            let taken = rows.madeDeliveries.filter { made in
                if case .pending = made.state { made.entry.alert == change.episode.id } else { false }
            }
            let entries = rows.outbox.filter { $0.alert == change.episode.id } + taken.map(\.entry)
            return entries.map { entry in
                OutageNotice(
                    job: DeliveryJob(
                        entry: entry, attempt: 1, address: route.address(of: entry), episode: change.episode),
                    at: change.events.last?.at ?? change.episode.raisedAt)
            }
        }
    }

    /// Puts what was told of during an outage with the alerts that it belongs to, and leaves out what was told.
    ///
    /// An alert of the outage is found by its id, which the same rule, subject and opening report give again. It may
    /// be part of another alert now: the store knew an older open one, batches were cut elsewhere, or the reader is
    /// known now and was not then; its id is an alias from then on.
    mutating func record(_ ledger: any OutageLedger) {
        rows.lateOutcomes = ledger.lateOutcomes
        var seen: Set<AlertID> = []
        for change in rows.episodes {
            let told = Self.alertsTold(of: change, in: ledger)
            guard !told.isEmpty else { continue }
            let deliveries = told.flatMap(ledger.deliveries(of:))
            leaveOut(deliveries, of: change)
            for alert in told where seen.insert(alert).inserted {
                attach(alert, to: change.episode.id, revision: change.episode.revision, ledger)
            }
        }
    }

    /// `unrecorded`: alerts that no report raised again. One that the store has is its own or its alias's; one whose
    /// rule has another open alert joins that; else it is written as it was told.
    mutating func recordLeftovers(
        _ unrecorded: [OutageNotice], recorded: [AlertID: AlertID], open: [Episode], _ ledger: any OutageLedger
    ) {
        rows.lateOutcomes = ledger.lateOutcomes
        for notice in unrecorded {
            let episode = notice.job.episode
            let standing =
                recorded[episode.id]
                ?? open.first { $0.subject == episode.subject && $0.rule == episode.rule }?.id
            if standing == nil {
                let event = EpisodeEvent(
                    alert: episode.id, revision: episode.revision, transition: .opened, severity: episode.severity,
                    at: notice.at, report: nil, actor: "homeward", summary: episode.summary, explanation: "{}")
                rows.episodes.append(EpisodeChange(episode: episode, isNew: true, events: [event]))
            } else if let milder = open.first(where: { $0.id == standing && $0.severity < episode.severity }) {
                worsen(milder, to: notice)
            }
            attach(episode.id, to: standing ?? episode.id, revision: nil, ledger)
        }
    }

    /// The answer to the COMMIT of a red that waits for its repeat was lost, and it was told of as red in the outage: it is
    /// what people were told, and waits no more.
    private mutating func worsen(_ episode: Episode, to notice: OutageNotice) {
        guard !rows.episodes.contains(where: { $0.episode.id == episode.id }) else { return }
        let told = notice.job.episode
        var ledger = EpisodeLedger(open: [episode])
        ledger.apply(
            Finding(
                subject: told.subject, site: told.site, device: told.device, rule: told.rule,
                alertClass: told.alertClass, verdict: .beyond(told.severity), late: told.late,
                takenAt: told.latestTakenAt ?? notice.at, receivedAt: notice.at, report: nil, measure: told.worst,
                summary: told.summary))
        rows.episodes += ledger.changes
        guard case .patient(let patient) = told.subject else { return }
        rows.endedTimers.append(HeldRed.name(patient, rule: told.rule))
    }

    private mutating func attach(
        _ alert: AlertID, to standing: AlertID, revision: Int32?, _ ledger: any OutageLedger
    ) {
        if alert != standing { rows.aliases.append(AlertAlias(alias: alert, alert: standing)) }
        for var delivery in ledger.deliveries(of: alert) {
            if case .handedOver = delivery.state { continue }
            delivery.entry.alert = standing
            // The outage's own count of an alert that is part of another means nothing there. The key stays.
            if alert != standing, let revision { delivery.entry.revision = revision }
            rows.madeDeliveries.append(delivery)
        }
        report.recordedAlerts.append(AlertAlias(alias: alert, alert: standing))
    }

    private static func alertsTold(of change: EpisodeChange, in ledger: any OutageLedger) -> [AlertID] {
        let episode = change.episode
        var candidates = [episode.id]
        for event in change.events {
            guard let report = event.report else { continue }
            candidates.append(AlertID(rule: episode.rule, subject: episode.subject, report: report, at: event.at))
            guard case .patient = episode.subject, episode.severity == .red else { continue }
            candidates.append(
                AlertID(
                    rule: Verdict.unverifiedRedRule, subject: .device(report.device), report: report, at: event.at))
        }
        if episode.severity == .red, change.events.contains(where: { $0.transition.notifies }),
            let red = ledger.redAlert(of: episode.subject, rule: episode.rule)
        {
            candidates.append(red)
        }
        var told: [AlertID] = []
        for candidate in candidates where ledger.contains(candidate) && !told.contains(candidate) {
            told.append(candidate)
        }
        return told
    }

    /// A person who was told of the alert when it was at least as bad knows. A red that speaks again after its
    /// acknowledgement is news, unless it was told with a report that was received no earlier.
    ///
    /// Which report opens an alert depends on where batches were cut and on the reports' own times; an open red that
    /// nobody acknowledged is told once all the same.
    private mutating func leaveOut(_ deliveries: [MadeDelivery], of change: EpisodeChange) {
        guard let event = change.events.last(where: { $0.transition.notifies }) else { return }
        let alert = change.episode.id
        let told = deliveries.filter { made in
            if case .handedOver(let other) = made.state, other != alert { return false }
            guard made.severity >= event.severity else { return false }
            return made.at >= event.at || (event.severity == .red && event.transition != .reopened)
        }
        rows.outbox.removeAll { entry in
            entry.alert == alert
                && (deliveries.contains { $0.entry.key == entry.key }
                    || told.contains { $0.entry.recipient == entry.recipient && $0.entry.channel == entry.channel })
        }
    }
}
