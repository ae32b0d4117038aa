public import Alerting
public import Clinical
public import Registry

/// The store in memory: what `replay` judges against, and the tests' double. One thread owns it.
///
/// It keeps keys, the readings that rules look back at, sequences and open alerts; rows themselves are kept only when
/// `keepsRows` says so.
public final class MemoryStore: CommitStore {
    private struct Digest {
        var high: UInt64
        var low: UInt64
    }

    private var digests: [ReportKey: Digest] = [:]
    private var past: [Identifier: PatientHistory] = [:]
    private var episodes: [Subject: [AlertID: Episode]] = [:]
    private var lastSequences: [Identifier: DeviceSequence] = [:]
    private var timers: [TimerName: Timer] = [:]
    /// Every alert that there ever was, and what else stands for one.
    private var alerts: [AlertID: AlertID] = [:]

    /// What the open transaction would change, apart from all the rest: copying that for each transaction would make
    /// a long replay quadratic.
    private var claimed: [ReportKey: Digest] = [:]
    private var written: [CommitBatch] = []

    /// Changes take effect from the next transaction on.
    public var currentRegistry: Registry
    private let keepsRows: Bool

    public init(registry: Registry = Registry(), keepsRows: Bool = false) {
        currentRegistry = registry
        self.keepsRows = keepsRows
    }

    /// Everything that was committed; empty unless `keepsRows`.
    public private(set) var rows = CommitBatch()
    func forgetRows() { rows = CommitBatch() }

    public var openEpisodes: [Episode] { episodes.values.flatMap(\.values) }

    /// Changes an open alert as a person would from elsewhere.
    public func updateEpisode(_ id: AlertID, _ change: (inout Episode) -> Void) {
        guard var episode = openEpisodes.first(where: { $0.id == id }) else { return }
        change(&episode)
        keep(episode)
    }

    /// Memory never keeps anybody waiting.
    public func limit(until deadline: Int64?) {}

    public func begin() throws(StoreFailure) -> Int64 {
        rollback()
        return currentRegistry.version
    }

    public func registry() throws(StoreFailure) -> Registry { currentRegistry }

    public func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] {
        claims.map { claim in
            if let stored = claimed[claim.key] ?? digests[claim.key] {
                return stored.high == claim.digestHigh && stored.low == claim.digestLow ? .duplicate : .conflict
            }
            if claim.insert { claimed[claim.key] = Digest(high: claim.digestHigh, low: claim.digestLow) }
            return .new
        }
    }

    public func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        subjects.flatMap { subject in episodes[subject].map { Array($0.values) } ?? [] }
    }

    public func everyOpenEpisode() throws(StoreFailure) -> [Episode] { openEpisodes }

    public func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] {
        var recorded: [AlertID: AlertID] = [:]
        for alert in alerts { recorded[alert] = self.alerts[alert] }
        return recorded
    }

    public func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> { Set(episodes.keys) }

    public func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
        var histories: [Identifier: PatientHistory] = [:]
        for (patient, need) in needs {
            histories[patient] = past[patient]?.narrowed(to: need) ?? PatientHistory()
        }
        return histories
    }

    /// Nobody corrects anything here.
    public func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] { [:] }

    public func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        devices.compactMap { lastSequences[$0] }
    }

    public func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Timer] {
        guard !timers.isEmpty else { return [] }
        let due = timers.values.filter { kinds.contains($0.kind) && $0.due + waited <= instant }
        return Array(due.sorted { ($0.due, $0.subject) < ($1.due, $1.subject) }.prefix(limit))
    }

    public func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Timer] {
        names.compactMap { timers[$0] }
    }

    public func everyTimer(_ kind: String) throws(StoreFailure) -> [Timer] {
        timers.values.filter { $0.kind == kind }
    }

    public func write(_ batch: CommitBatch) throws(StoreFailure) { written.append(batch) }

    public func commit() throws(StoreFailure) {
        for (key, digest) in claimed { digests[key] = digest }
        for batch in written { take(batch) }
        rollback()
    }

    public func rollback() {
        claimed.removeAll(keepingCapacity: true)
        written.removeAll(keepingCapacity: true)
    }

    private func take(_ batch: CommitBatch) {
        for report in batch.reports {
            let judged = JudgedReport(
                key: report.key, takenAt: report.takenAt, receivedAt: report.receivedAt, readings: report.readings,
                answers: report.answers)
            past[report.patient, default: PatientHistory()].add(judged)
        }
        for change in batch.episodes {
            keep(change.episode)
            alerts[change.episode.id] = change.episode.id
        }
        for alias in batch.aliases { alerts[alias.alias] = alias.alert }
        for sequence in batch.sequences { lastSequences[sequence.device] = sequence }
        for name in batch.endedTimers { timers[name] = nil }
        for timer in batch.timers { timers[timer.name] = timer }
        guard keepsRows else { return }
        rows.timers += batch.timers
        rows.endedTimers += batch.endedTimers
        rows.reports += batch.reports
        rows.quarantined += batch.quarantined
        rows.statuses += batch.statuses
        rows.episodes += batch.episodes
        rows.outbox += batch.outbox
        rows.suppressions += batch.suppressions
        rows.aliases += batch.aliases
        rows.madeDeliveries += batch.madeDeliveries
        rows.lateOutcomes += batch.lateOutcomes
    }

    func keep(_ episode: Episode) {
        if episode.state == .resolved {
            episodes[episode.subject]?[episode.id] = nil
            if episodes[episode.subject]?.isEmpty ?? false { episodes[episode.subject] = nil }
        } else {
            episodes[episode.subject, default: [:]][episode.id] = episode
        }
    }
}
