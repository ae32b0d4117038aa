public import Alerting
internal import CLinux
public import Clinical
internal import Formats
internal import Glibc
public import Ingestion
internal import Registry

/// Marks readings entered in error: who, why, and what it means for the alerts that they caused. The terminal and the
/// page use the same. One thread.
///
/// The reading stays, and so does every event of its alerts; what is said of them is added, in one transaction. Alerts
/// are judged again by the packs and the registry of now. Nothing is raised for what a wrong reading hid: an alert that
/// it ended says so, and stays ended.
public final class ReadingCorrections {
    public struct Request: Sendable {
        public var site: Identifier
        public var key: ReportKey
        /// Its place in the report, counted from 0 as in a receipt.
        public var reading: Int
        /// The care manager whose word it is.
        public var by: Identifier
        /// Who is signed in.
        public var actor: String
        public var reason: String

        public init(
            site: Identifier, key: ReportKey, reading: Int, by: Identifier, actor: String, reason: String
        ) {
            self.site = site
            self.key = key
            self.reading = reading
            self.by = by
            self.actor = actor
            self.reason = reason
        }
    }

    public enum Outcome: Sendable {
        /// With the alerts that were annotated now. `isNew` is false when the reading was marked before: then that
        /// correction stands, whatever this request says, and only alerts that lacked its word got it.
        case marked(EnteredInError, isNew: Bool, patient: Identifier, alerts: [EpisodeChange])
        case noSuchReading
        /// Nobody of that code, or one who may only read.
        case noSuchCareManager
    }

    private let store: PostgresCommitStore
    private let packs: PackLibrary
    private var registry = Registry(version: -1)

    public init(_ configuration: DatabaseConfiguration, packs: PackLibrary) {
        store = PostgresCommitStore(configuration.named("corrections")) { packs }
        self.packs = packs
    }

    /// Doing it again changes nothing. After a failure nothing is written, or all of it.
    public func mark(_ request: Request) throws(StoreFailure) -> Outcome {
        guard let place = Int16(exactly: request.reading) else { return .noSuchReading }
        let (first, transaction) = try attempt(request, place)
        guard case .marked(let correction, let isNew, let patient, var alerts) = first, let transaction else {
            return first
        }
        // A batch that was being judged meanwhile did not see it: what it raised is annotated now.
        let end = linux_monotonic_nanoseconds() + Self.longestBatch
        while linux_monotonic_nanoseconds() < end, try store.hasOlderWriters(than: transaction) { usleep(10_000) }
        if case (.marked(_, _, _, let others), _) = try attempt(request, place) { alerts += others }
        return .marked(correction, isNew: isNew, patient: patient, alerts: alerts)
    }

    /// Nanoseconds. The daemon gives a batch up after that long.
    private static let longestBatch: Int64 = 5_000_000_000

    private func attempt(
        _ request: Request, _ place: Int16
    ) throws(StoreFailure) -> (outcome: Outcome, transaction: String?) {
        try readRegistry()
        guard let careManager = registry.careManagers[request.by], careManager.role != .readOnly else {
            store.rollback()
            return (.noSuchCareManager, nil)
        }
        do throws(StoreFailure) {
            guard let found = try store.find(request.key, at: request.site, place: place) else {
                store.rollback()
                return (.noSuchReading, nil)
            }
            let (correction, isNew, transaction) = try store.mark(
                request.key, place: place, found, by: request.by.description, actor: request.actor,
                reason: request.reason)
            let changes = try rejudge(correction, found)
            try store.annotate(changes)
            try store.commit()
            let outcome = Outcome.marked(correction, isNew: isNew, patient: found.patient, alerts: changes)
            return (outcome, isNew ? transaction : nil)
        } catch {
            store.rollback()
            throw error
        }
    }

    /// Leaves a transaction open in which the registry is the one that was read.
    private func readRegistry() throws(StoreFailure) {
        let end = linux_monotonic_nanoseconds() + 60_000_000_000
        while try store.begin() != registry.version {
            do throws(StoreFailure) {
                registry = try store.registry()
            } catch {
                // A large one is being read beside us.
                guard error.kind == .transient, linux_monotonic_nanoseconds() < end else { throw error }
            }
        }
    }

    /// What the alerts that the reading may be part of are without it.
    private func rejudge(
        _ correction: EnteredInError, _ found: FoundReading
    ) throws(StoreFailure) -> [EpisodeChange] {
        let episodes = try store.lockAlerts(of: found.patient, since: found.receivedAt - .hours(1))
        let ids = episodes.map(\.id)
        let said = try store.annotated(ids, with: correction)
        let causes = Dictionary(grouping: try store.causes(of: ids), by: \.alert)
        guard ids.contains(where: { !said.contains($0) }) else { return [] }
        var rejudging = Rejudging(packs: packs, registry: registry)
        var past = PastJudgement(correction: correction, corrected: try store.correctedReadings(of: found.patient))
        var need: HistoryNeed?
        for stored in causes.values.joined().compactMap(\.stored) {
            guard let part = rejudging.historyNeeded(for: stored) else { continue }
            need = need?.union(part) ?? part
        }
        if let need { past.history = try store.history(of: [found.patient: need])[found.patient] ?? past.history }
        var changes: [EpisodeChange] = []
        for var episode in episodes where !said.contains(episode.id) {
            guard let left = past.whatIsLeft(of: episode, causes[episode.id] ?? [], &rejudging) else { continue }
            let event = episode.annotate(
                correction, leaving: left, explanation: Self.explanation(of: correction, left))
            changes.append(EpisodeChange(episode: episode, isNew: false, events: [event]))
        }
        return changes
    }

    private static func explanation(of correction: EnteredInError, _ left: RemainingCauses) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, text) in [
            ("device", correction.key.device.description), ("report", correction.key.report.description),
            ("reading", "\(correction.reading)"), ("kind", correction.kind.code),
            ("on_behalf_of", correction.by), ("account", correction.actor), ("reason", correction.reason),
        ] {
            writer.name(name)
            writer.value(text)
        }
        writer.name("left")
        if let severity = left.severity { writer.value(severity.rawValue) } else { writer.null() }
        writer.endObject()
        return writer.text
    }
}

/// Judges an alert's causes again, with and without the readings that were entered in error.
private struct PastJudgement {
    let correction: EnteredInError
    /// All of the patient's, this one too.
    let corrected: [PastReading]
    /// Without them.
    var history = PatientHistory()

    /// Nil where the correction makes no difference to the alert.
    func whatIsLeft(
        of episode: Episode, _ causes: [AlertCause], _ rejudging: inout Rejudging
    ) -> RemainingCauses? {
        let all = Dictionary(grouping: corrected, by: \.key).mapValues { Set($0.map(\.index)) }
        var others = all
        others[correction.key]?.remove(correction.reading)
        let everything = PatientHistory(
            readings: history.readings + corrected, answers: history.answers)
        var makesADifference = false
        var standing: [(level: Rejudging.Level, at: Instant)] = []
        for cause in causes where !cause.isEnd {
            func level(_ leavingOut: [ReportKey: Set<Int>], _ rejudging: inout Rejudging) -> Rejudging.Level? {
                guard let stored = cause.stored else { return nil }
                return rejudging.levels(of: stored, leavingOut: leavingOut, history: everything)[episode.rule]
            }
            if let then = level([:], &rejudging), then.severity >= cause.severity {
                let now = level(all, &rejudging)
                if level(others, &rejudging) != now { makesADifference = true }
                if let now { standing.append((now, cause.at)) }
                continue
            }
            // Limits have changed since, or the report is not stored: only what its own reading says is known.
            let isItsReading = cause.key == correction.key && cause.kind == correction.kind.code
            if isItsReading { makesADifference = true }
            let isCorrected = corrected.contains { $0.key == cause.key && $0.kind.code == cause.kind }
            if !isCorrected {
                standing.append((Rejudging.Level(severity: cause.severity, measure: nil), cause.at))
            }
        }
        guard makesADifference else {
            let isEndGone = causes.contains {
                $0.isEnd && $0.key == correction.key && $0.kind ?? correction.kind.code == correction.kind.code
            }
            return isEndGone && episode.state == .resolved
                ? RemainingCauses(severity: episode.severity, isEndGone: true) : nil
        }
        let acknowledgedAt = episode.acknowledgedAt ?? Instant(microseconds: .min)
        return RemainingCauses(
            severity: standing.map(\.level.severity).max(),
            worst: standing.compactMap(\.level.measure).max() ?? episode.worst,
            worstAcknowledged: standing.filter { $0.at <= acknowledgedAt }.compactMap(\.level.measure).max()
                ?? episode.worstAcknowledged)
    }
}
