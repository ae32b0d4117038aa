public import Clinical
import Cryptography

/// The open alerts of a batch's subjects, and what the batch's findings do to them. Pure: no clock, no I/O.
///
/// The commit thread fills it with the alerts that it has locked in its transaction, applies the findings in order of
/// `taken_at`, and writes `changes`. Applying the same findings to the same alerts gives the same changes, ids too.
public struct EpisodeLedger: Sendable {
    struct Key: Hashable, Sendable {
        var subject: Subject
        var rule: String
    }

    private var episodes: [Key: Episode] = [:]
    private var changed: [Key: EpisodeChange] = [:]
    private var order: [Key] = []
    private var resolvedChanges: [EpisodeChange] = []
    private let redsEndInRange: Bool
    private let standingRules: Set<String>

    /// `redsEndInRange`: in a replay nobody acknowledges, so there a red too ends by its clear rule, but for those of
    /// `standingRules`; elsewhere a red never closes itself.
    public init(open episodes: [Episode], redsEndInRange: Bool = false, standingRules: Set<String> = []) {
        for episode in episodes { self.episodes[Key(subject: episode.subject, rule: episode.rule)] = episode }
        self.redsEndInRange = redsEndInRange
        self.standingRules = standingRules
    }

    /// What is to be written, in the order in which it first changed.
    public var changes: [EpisodeChange] { resolvedChanges + order.compactMap { changed[$0] } }

    public mutating func apply(_ finding: Finding) {
        let key = Key(subject: finding.subject, rule: finding.rule)
        switch finding.verdict {
        case .beyond(let severity):
            if let episode = episodes[key] {
                guard !finding.isStanding || severity > episode.severity else { return }
                join(episode, key, finding, severity)
            } else {
                open(key, finding, severity)
            }
        case .inRange:
            if let episode = episodes[key] { clear(episode, key, finding) }
        case .unconfirmed(let clears):
            guard let episode = episodes[key] else { return }
            if episode.severity < .red {
                note(episode, key, finding)
            } else if clears {
                clear(episode, key, finding)
            }
        }
    }

    /// The alert stays as it is and says what the repeat was.
    private mutating func note(_ before: Episode, _ key: Key, _ finding: Finding) {
        guard !finding.late, finding.takenAt >= (before.latestTakenAt ?? finding.takenAt) else { return }
        var episode = before
        episode.summary = finding.summary
        episode.latestTakenAt = finding.takenAt
        record(episode, key, .joined, finding, isNew: false)
    }

    private mutating func open(_ key: Key, _ finding: Finding, _ severity: Severity) {
        let id = AlertID(rule: finding.rule, subject: finding.subject, report: finding.report, at: finding.receivedAt)
        let episode = Episode(
            id: id, subject: finding.subject, site: finding.site, device: finding.device, rule: finding.rule,
            alertClass: finding.alertClass, severity: severity, late: finding.late, raisedAt: finding.receivedAt,
            summary: finding.summary, worst: finding.measure, latestTakenAt: finding.takenAt)
        record(episode, key, .opened, finding, isNew: true)
    }

    private mutating func join(_ before: Episode, _ key: Key, _ finding: Finding, _ severity: Severity) {
        var episode = before
        let worsens = severity > before.severity
        // Whoever was told of it was told, too, that the reading was entered in error.
        let isVoided = before.worst == Episode.voided
        let speaksAgain =
            isVoided && severity >= before.severity
            || before.state != .open && (worsens || speaksInsideRed(before, finding, severity))
        if worsens || speaksAgain {
            episode.severity = max(before.severity, severity)
            episode.state = .open
            // Who acknowledged what it was has not seen what it is.
            episode.acknowledgedAt = nil
            episode.worstAcknowledged = nil
            episode.summary = finding.summary
        }
        if !finding.late { episode.late = false }
        if !isVoided {
            episode.worst = [before.worst, finding.measure].compactMap(\.self).max()
        } else if severity >= before.severity {
            episode.worst = finding.measure
        }
        episode.latestTakenAt = max(before.latestTakenAt ?? finding.takenAt, finding.takenAt)
        record(episode, key, worsens ? .worsened : speaksAgain ? .reopened : .joined, finding, isNew: false)
    }

    /// 2.3 − 1.8 is a hair under 0.5 in binary: no reading has so many decimals, so that this decides nothing else.
    private static let noise = 1e-9

    /// Clinical facts, section 4, "Nothing may delay or hide a red", 3: after a red is acknowledged, a red reading
    /// worse by the pack's step, or any red reading over 60 minutes later, notifies again.
    private func speaksInsideRed(_ before: Episode, _ finding: Finding, _ severity: Severity) -> Bool {
        guard severity == .red, before.severity == .red else { return false }
        if let acknowledgedAt = before.acknowledgedAt, finding.receivedAt - acknowledgedAt > .minutes(60) {
            return true
        }
        guard let step = finding.step, let measure = finding.measure,
            let reference = before.worstAcknowledged ?? before.worst
        else { return false }
        return measure - reference >= step - Self.noise
    }

    private mutating func clear(_ before: Episode, _ key: Key, _ finding: Finding) {
        // A late reading says nothing of now: it never clears a newer state.
        guard !finding.late, finding.takenAt >= (before.latestTakenAt ?? finding.takenAt) else { return }
        guard before.severity < .red || redsEndInRange && !standingRules.contains(before.rule) else { return }
        var episode = before
        episode.state = .resolved
        episode.latestTakenAt = finding.takenAt
        record(episode, key, .backInRange, finding, isNew: false)
        episodes[key] = nil
        if let change = changed.removeValue(forKey: key) {
            order.removeAll { $0 == key }
            resolvedChanges.append(change)
        }
    }

    private mutating func record(
        _ after: Episode, _ key: Key, _ transition: EpisodeEvent.Transition, _ finding: Finding, isNew: Bool
    ) {
        var episode = after
        episode.revision += 1
        let event = EpisodeEvent(
            alert: episode.id, revision: episode.revision, transition: transition, severity: episode.severity,
            at: finding.receivedAt, report: finding.report, actor: "homeward", summary: finding.summary,
            explanation: finding.explanation)
        episodes[key] = episode
        if var change = changed[key] {
            change.episode = episode
            change.events.append(event)
            changed[key] = change
        } else {
            order.append(key)
            changed[key] = EpisodeChange(episode: episode, isNew: isNew, events: [event])
        }
    }
}

extension AlertID {
    /// The id of the alert that this report opens. An alert that no report opened takes the time instead.
    public init(rule: String, subject: Subject, report: ReportKey?, at instant: Instant) {
        let opening = report.map { "\($0.device) \($0.report)" } ?? String(instant.microseconds)
        let hash = sha256(Array("\(rule)\n\(subject.text)\n\(opening)".utf8).span)
        var words: [UInt64] = [0, 0]
        for (place, byte) in hash.prefix(16).enumerated() { words[place / 8] = words[place / 8] << 8 | UInt64(byte) }
        self.init(high: words[0], low: words[1])
    }
}

extension Subject {
    /// `patient P0001`, `device dev-0001`, `site north`, `instance`: unique, and never changes.
    public var text: String {
        switch self {
        case .patient(let code): "patient \(code)"
        case .device(let code): "device \(code)"
        case .site(let code): "site \(code)"
        case .instance: "instance"
        }
    }
}

extension EpisodeEvent.Transition {
    /// Whether somebody must be told.
    public var notifies: Bool {
        switch self {
        case .opened, .worsened, .reopened: true
        case .joined, .escalated, .backInRange, .acknowledged, .taken, .shelved, .unshelved, .resolved, .enteredInError:
            false
        }
    }
}
