public import Alerting
public import Clinical
public import Registry

/// The store in memory: what `replay` judges against, and the tests' double. One thread owns it.
///
/// It keeps keys, the readings that rules look back at, sequences and open alerts; rows themselves are kept only when
/// `keepsRows` says so.
public final class MemoryStore: CommitStore {
    private struct State {
        var digests: [ReportKey: KeyClaim] = [:]
        var past: [Identifier: [PastReading]] = [:]
        var episodes: [AlertID: Episode] = [:]
        var sequences: [Identifier: DeviceSequence] = [:]
        var rows = CommitBatch()
    }

    /// Changes take effect from the next transaction on.
    public var currentRegistry: Registry
    private var committed = State()
    private var pending = State()
    private let keepsRows: Bool

    public init(registry: Registry = Registry(), keepsRows: Bool = false) {
        currentRegistry = registry
        self.keepsRows = keepsRows
    }

    /// Everything that was committed; empty unless `keepsRows`.
    public var rows: CommitBatch { committed.rows }
    func forgetRows() { committed.rows = CommitBatch() }

    public var openEpisodes: [Episode] { committed.episodes.values.filter { $0.state != .resolved } }

    /// Changes a committed alert as a person would from elsewhere.
    public func updateEpisode(_ id: AlertID, _ change: (inout Episode) -> Void) {
        guard var episode = committed.episodes[id] else { return }
        change(&episode)
        committed.episodes[id] = episode
    }

    public func begin() throws(StoreFailure) -> Int64 {
        pending = committed
        return currentRegistry.version
    }

    public func registry() throws(StoreFailure) -> Registry { currentRegistry }

    public func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] {
        claims.map { claim in
            if let stored = pending.digests[claim.key] {
                return stored.digestHigh == claim.digestHigh && stored.digestLow == claim.digestLow
                    ? .duplicate : .conflict
            }
            if claim.insert { pending.digests[claim.key] = claim }
            return .new
        }
    }

    public func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        let wanted = Set(subjects)
        return pending.episodes.values.filter { wanted.contains($0.subject) && $0.state != .resolved }
    }

    public func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> {
        Set(openEpisodes.map(\.subject))
    }

    public func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
        var histories: [Identifier: PatientHistory] = [:]
        for (patient, need) in needs {
            histories[patient] = PatientHistory(
                readings: (pending.past[patient] ?? []).filter {
                    need.kinds.contains($0.kind) && $0.takenAt >= need.since
                })
        }
        return histories
    }

    public func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        devices.compactMap { pending.sequences[$0] }
    }

    public func write(_ batch: CommitBatch) throws(StoreFailure) {
        for report in batch.reports {
            for reading in report.readings {
                pending.past[report.patient, default: []].append(
                    PastReading(
                        key: report.key, index: reading.index, kind: reading.kind, value: reading.value,
                        sentValue: reading.sentValue, sentUnit: reading.sentUnit, flags: reading.flags,
                        takenAt: report.takenAt))
            }
        }
        for change in batch.episodes { pending.episodes[change.episode.id] = change.episode }
        for sequence in batch.sequences { pending.sequences[sequence.device] = sequence }
        guard keepsRows else { return }
        pending.rows.reports += batch.reports
        pending.rows.quarantined += batch.quarantined
        pending.rows.statuses += batch.statuses
        pending.rows.episodes += batch.episodes
        pending.rows.outbox += batch.outbox
    }

    public func commit() throws(StoreFailure) {
        committed = pending
        pending = State()
    }

    public func rollback() { pending = State() }
}
