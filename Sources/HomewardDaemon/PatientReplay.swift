import Alerting
import Clinical
import Ingestion
import PostgresStore
import Registry

/// An alert that was, and the one that would be in its place; one of the two may be missing.
struct AlertComparison: Sendable {
    enum Sort: String, Sendable, CaseIterable {
        case same
        case otherSeverity = "other-severity"
        case noLongerRaised = "no-longer-raised"
        case newlyRaised = "newly-raised"
        /// What caused it was entered in error, and is left out.
        case enteredInError = "entered-in-error"
        /// A timer or a refused report opened it: judging what is stored says nothing of it.
        case notReplayed = "not-replayed"
    }

    /// What an alert comes to in a comparison.
    struct Alert: Sendable, Hashable {
        var id: AlertID
        var rule: String
        /// The worst that it became.
        var severity: Severity
        var raisedAt: Instant
        var endedAt: Instant?
        var summary: String
    }

    var patient: Identifier
    var sort: Sort
    var was: Alert?
    var wouldBe: Alert?

    var raisedAt: Instant { was?.raisedAt ?? wouldBe?.raisedAt ?? Instant(microseconds: 0) }
}

/// One patient's stored reports through the daemon's own stages, under other packs or limits, beside what people did to
/// the alerts that were.
///
/// An alert that a person acknowledged, shelved or resolved is so here too, when he did it, and one that a timer made
/// worse (no repeat came) is worse from then on. A red that never was has nobody to resolve it: it ends by its clear
/// rule, as in any replay. So the same packs and limits give the same alerts.
struct PatientReplay {
    /// How far before `since` reports are judged, without counting their alerts: for what looks back, and for alerts that
    /// were open by then. No shipped rule looks back over 8 days; a pack of the site's own may.
    static let lookBack = Interval.days(35)

    private(set) var reports = 0
    private(set) var reportsBefore = 0
    /// What the rules of admission of today refuse: reports that a person released from quarantine.
    private(set) var refused = 0
    private(set) var firstReceivedAt: Instant?
    private let patient: HistoryPatient
    private let since: Instant
    private let past: [PastAlert]
    private let actions: [Action]
    private var nextAction = 0
    private var replayer: Replayer
    private var raised: [AlertID: AlertComparison.Alert] = [:]

    /// What a person or a timer did to an alert that was.
    private struct Action {
        enum Deed: Equatable {
            case acknowledged
            case shelved
            case unshelved
            case resolved
            case worsened(Severity)
        }

        var rule: String
        var deed: Deed
        var at: Instant
    }

    /// `past`: the patient's alerts from `since` less `lookBack` on. Of `registry` only the patient is looked at: the
    /// stored reports are his, whoever holds the readers now.
    init(
        _ patient: HistoryPatient, packs: PackLibrary, registry: Registry, past: [PastAlert], since: Instant
    ) {
        self.patient = patient
        self.since = since
        self.past = past
        var own = Registry(version: 1)
        own.sites[patient.site] = registry.sites[patient.site] ?? Site(code: patient.site, name: "\(patient.site)")
        own.patients[patient.code] = registry.patients[patient.code] ?? Patient(code: patient.code, site: patient.site)
        replayer = Replayer(packs: packs, registry: own)
        actions = past.flatMap { alert in
            alert.events.compactMap { event in
                let deed: Action.Deed
                switch event.transition {
                case "acknowledged", "taken": deed = .acknowledged
                case "shelved": deed = .shelved
                case "unshelved": deed = .unshelved
                case "resolved": deed = .resolved
                case "worsened" where !event.isOfReport: deed = .worsened(event.severity)
                default: return nil
                }
                return Action(rule: alert.episode.rule, deed: deed, at: event.at)
            }
        }.sorted { $0.at < $1.at }
        let start = since - Self.lookBack
        replayer.begin(
            with: past.compactMap { alert in
                alert.isOfStoredReport && alert.episode.raisedAt < start ? alert.asItWas(at: start) : nil
            })
    }

    /// In the order of receipt.
    mutating func take(_ stored: StoredMessage) throws(StoreFailure) {
        let receivedAt = stored.receivedAt
        act(until: receivedAt)
        replayer.stand(
            Set(
                past.filter { $0.episode.raisedAt <= receivedAt && $0.resolvedAt.map { $0 > receivedAt } ?? true }
                    .map(\.episode.rule)))
        replayer.pair(stored.key.device, with: patient.code, at: patient.site)
        firstReceivedAt = firstReceivedAt ?? receivedAt
        if receivedAt < since { reportsBefore += 1 } else { reports += 1 }
        let taken = try replayer.take(stored.message, leavingOut: stored.enteredInError)
        guard taken.outcome.disposition == .stored else {
            // Nothing is left of a report whose every reading was entered in error.
            if taken.decoded.readings.readings.isEmpty, !stored.enteredInError.isEmpty { return }
            refused += 1
            return
        }
        for change in taken.changes where change.episode.alertClass == .clinical { note(change) }
    }

    private mutating func act(until instant: Instant) {
        while nextAction < actions.count, actions[nextAction].at <= instant {
            let action = actions[nextAction]
            nextAction += 1
            let clinical = replayer.openEpisodes.filter { $0.alertClass == .clinical }
            guard let open = clinical.first(where: { $0.rule == action.rule }) else { continue }
            replayer.change(open.id) { episode in
                switch action.deed {
                case .acknowledged:
                    // Whoever takes over what was acknowledged leaves it as it is.
                    guard episode.state == .open else { return }
                    episode.state = .acknowledged
                    episode.acknowledgedAt = action.at
                    episode.worstAcknowledged = episode.worst
                case .shelved: episode.state = .shelved
                case .unshelved: episode.state = .acknowledged
                case .resolved: episode.state = .resolved
                case .worsened(let severity): episode.severity = max(episode.severity, severity)
                }
            }
            switch action.deed {
            case .resolved: raised[open.id]?.endedAt = action.at
            case .worsened(let severity):
                if let known = raised[open.id]?.severity { raised[open.id]?.severity = max(known, severity) }
            case .acknowledged, .shelved, .unshelved: break
            }
        }
    }

    private mutating func note(_ change: EpisodeChange) {
        for event in change.events {
            switch event.transition {
            case .opened:
                guard event.at >= since else { return }
                raised[change.episode.id] = AlertComparison.Alert(
                    id: change.episode.id, rule: change.episode.rule, severity: event.severity, raisedAt: event.at,
                    summary: event.summary)
            case .backInRange: raised[change.episode.id]?.endedAt = event.at
            default:
                guard let known = raised[change.episode.id], event.severity > known.severity else { continue }
                raised[change.episode.id]?.severity = event.severity
                raised[change.episode.id]?.summary = event.summary
            }
        }
    }

    /// After the last report: what was done then, too.
    mutating func end() { act(until: Instant(microseconds: .max)) }

    /// Once every report was taken: in the order in which they were or would be raised.
    func comparisons() -> [AlertComparison] {
        var left = raised
        var comparisons: [AlertComparison] = []
        var unmatched: [PastAlert] = []
        for alert in past where alert.episode.raisedAt >= since {
            if let same = left.removeValue(forKey: alert.episode.id) {
                comparisons.append(compare(alert, with: same))
            } else {
                unmatched.append(alert)
            }
        }
        // Another reading may open what is the same alert to a care team: of one rule, at one time.
        for alert in unmatched {
            let like = left.values.filter { $0.rule == alert.episode.rule && alert.overlaps($0) }
            if let like = like.min(by: { $0.raisedAt < $1.raisedAt }), alert.canBeReplayed {
                left[like.id] = nil
                comparisons.append(compare(alert, with: like))
            } else {
                comparisons.append(compare(alert, with: nil))
            }
        }
        comparisons += left.values.map {
            AlertComparison(patient: patient.code, sort: .newlyRaised, was: nil, wouldBe: $0)
        }
        return comparisons.sorted { left, right in
            if left.raisedAt != right.raisedAt { return left.raisedAt < right.raisedAt }
            return (left.was ?? left.wouldBe)?.rule ?? "" < (right.was ?? right.wouldBe)?.rule ?? ""
        }
    }

    private func compare(_ past: PastAlert, with wouldBe: AlertComparison.Alert?) -> AlertComparison {
        let sort: AlertComparison.Sort
        if let wouldBe {
            sort = wouldBe.severity == past.episode.severity ? .same : .otherSeverity
        } else if !past.canBeReplayed {
            sort = .notReplayed
        } else if past.events.contains(where: { $0.transition == EpisodeEvent.Transition.enteredInError.rawValue }) {
            sort = .enteredInError
        } else {
            sort = .noLongerRaised
        }
        return AlertComparison(patient: patient.code, sort: sort, was: past.compared, wouldBe: wouldBe)
    }
}

extension PastAlert {
    fileprivate var canBeReplayed: Bool { isOfStoredReport && episode.rule != Verdict.unverifiedRedRule }

    fileprivate var compared: AlertComparison.Alert {
        AlertComparison.Alert(
            id: episode.id, rule: episode.rule, severity: episode.severity, raisedAt: episode.raisedAt,
            endedAt: resolvedAt, summary: episode.summary)
    }

    fileprivate func overlaps(_ other: AlertComparison.Alert) -> Bool {
        (other.endedAt.map { $0 >= episode.raisedAt } ?? true) && (resolvedAt.map { $0 >= other.raisedAt } ?? true)
    }

    /// As far as its history tells; nil when it was not open then.
    fileprivate func asItWas(at instant: Instant) -> Episode? {
        if let resolvedAt, resolvedAt <= instant { return nil }
        var was = episode
        was.state = .open
        was.acknowledgedAt = nil
        was.worst = nil
        was.worstAcknowledged = nil
        was.latestTakenAt = nil
        for event in events where event.at < instant {
            was.severity = event.severity
            switch event.transition {
            case "acknowledged", "taken":
                guard was.state == .open else { continue }
                was.state = .acknowledged
                was.acknowledgedAt = event.at
            case "shelved": was.state = .shelved
            case "unshelved": was.state = .acknowledged
            case "worsened", "reopened": was.state = .open
            default: break
            }
        }
        return was
    }
}
