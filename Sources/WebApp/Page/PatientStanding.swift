import Alerting
import Clinical
import Registry

/// How it stands with a patient, for the head of their page: by the alerts that stand below it, and for the rest by the
/// worklist, which may be some seconds older and never contradicts them.
struct PatientStanding {
    /// Nil where nothing is known.
    let state: TriageState?
    let words: String

    init(_ file: PatientFile) {
        let own = file.alerts.filter { alert in
            let episode = alert.episode
            return episode.alertClass == .clinical && episode.severity >= .amber && episode.state != .resolved
        }.sorted { ($1.episode.severity, $0.episode.raisedAt) < ($0.episode.severity, $1.episode.raisedAt) }
        // Of the list's alerts those count that are about one of the patient's readers.
        let others = (file.row?.triage.reasons ?? []).filter { reason in
            guard case .alert(let rule, _, _) = reason else { return true }
            return !(file.row?.alerts.contains { $0.alert.rule == rule } ?? false)
        }
        let severities = own.map(\.episode.severity) + others.compactMap(Self.severity)
        if let worst = severities.max() {
            state = worst == .red ? .red : .amber
        } else if let row = file.row {
            state = Self.calm(row.triage, others)
        } else {
            state = nil
        }
        if let first = own.first, first.episode.severity == severities.max() {
            let episode = first.episode
            let reason = TriageReason.alert(rule: episode.rule, severity: episode.severity, state: episode.state)
            words = Signs.reason(
                reason, holder: episode.state == .open ? nil : first.holder.map { Self.name($0, file.team) })
        } else {
            words = others.first.map { Signs.reason($0) } ?? "Nothing to do"
        }
    }

    private static func severity(_ reason: TriageReason) -> Severity? {
        guard case .alert(_, let severity, _) = reason else { return nil }
        return severity
    }

    private static func calm(_ triage: Triage, _ reasons: [TriageReason]) -> TriageState {
        if triage.isDischarged { return .paused }
        guard let first = reasons.first else { return .green }
        if case .paused = first { return .paused }
        return .grey
    }

    static func name(_ code: String, _ team: [Identifier: String]) -> String {
        Identifier(code).flatMap { team[$0] } ?? code
    }
}
