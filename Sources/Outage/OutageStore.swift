public import Alerting
public import Clinical
public import Ingestion
public import Registry

/// The store in memory that judging goes on from while PostgreSQL is away. Only the commit thread has it.
///
/// While PostgreSQL is there it is told what was committed. What an outage's own transactions change lies apart, over
/// PostgreSQL's last word, and is dropped when the outage ends: until then a report that is drained says nothing of the
/// state that later reports were judged in. Rows are kept nowhere.
public final class OutageStore: CommitStore {
    private var currentRegistry = Registry(version: -1)
    /// By PostgreSQL's last word; none is resolved.
    private var known: [Subject: [String: Episode]] = [:]
    /// By the outage's own judging; a resolved one hides what is known.
    private var judged: [Subject: [String: Episode]] = [:]
    /// Reds that wait for their repeat, by PostgreSQL's last word.
    private var waiting: [TimerName: Timer] = [:]
    /// Those that the outage's own judging has settled.
    private var settled: Set<TimerName> = []
    private var windows = RuleWindows()
    private var keys = RecentKeys()

    // The open transaction.
    private var claimed: [ReportKey: KeyClaim] = [:]
    private var written: [CommitBatch] = []

    public init() {}

    // MARK: - Kept current

    /// The registry to judge by and to route by.
    public func use(_ registry: Registry) { currentRegistry = registry }

    /// PostgreSQL has committed this. Costs nothing for a report that opened no alert, of a patient for whom no rule
    /// looks back.
    public func note(_ memory: JudgingMemory) {
        for change in memory.episodes { Self.keep(change.episode, in: &known) }
        for name in memory.endedTimers { waiting[name] = nil }
        for timer in memory.timers where timer.kind == HeldRed.kind { waiting[timer.name] = timer }
        remember(memory.reports, lookedBack: memory.lookedBack, finding: memory.histories)
    }

    /// Every open alert as PostgreSQL has it: what people acknowledged or resolved is known only from there.
    public func replaceOpenEpisodes(_ episodes: [Episode]) {
        known = [:]
        for episode in episodes { Self.keep(episode, in: &known) }
    }

    /// How far back readings are kept: what was entered in error since then must be told.
    public static let longestMemory = Interval(
        microseconds: RuleWindows.longest.microseconds + RuleWindows.lateness.microseconds)

    /// Readings that were marked entered in error: no rule looks back at them any more. Doing it again changes nothing.
    public func forget(_ readings: [ReportKey: Set<Int>]) { windows.forget(readings) }

    /// Every red that waits for its repeat, as PostgreSQL has it.
    public func replaceWaitingReds(_ timers: [Timer]) {
        waiting = Dictionary(timers.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
    }

    /// At start: alerts that were told of in an outage that is not over.
    public func adopt(_ told: [Episode]) {
        for episode in told { judged[episode.subject, default: [:]][episode.rule] = episode }
    }

    /// Everything that was spooled has been drained: PostgreSQL's word stands alone again.
    public func endOutage() {
        judged = [:]
        settled = []
        keys = RecentKeys()
    }

    /// What is to be kept on disk, without what is too old to matter.
    public func makeState(at instant: Instant) -> OutageState {
        windows.sweep(at: instant)
        let subjects = Set(known.keys).union(judged.keys)
        return OutageState(
            episodes: subjects.flatMap(open(of:)), windows: windows.windows,
            timers: waitingReds)
    }

    /// Reds that wait for their repeat, as far as is known here.
    public var waitingReds: [Timer] { waiting.values.filter { !settled.contains($0.name) } }

    /// The windows to be kept on disk, if they have changed since this was last called.
    public func takeChangedWindows(at instant: Instant) -> [Identifier: OutageState.Window]? {
        windows.sweep(at: instant)
        return windows.takeChanged()
    }

    public func restore(_ state: OutageState) {
        replaceOpenEpisodes(state.episodes)
        replaceWaitingReds(state.timers)
        windows = RuleWindows(state.windows)
    }

    private func remember(
        _ reports: [StoredReport], lookedBack: [Identifier: HistoryNeed],
        finding histories: [Identifier: PatientHistory]?
    ) {
        if !lookedBack.isEmpty {
            let newest = Dictionary(reports.map { ($0.patient, $0.takenAt) }, uniquingKeysWith: max)
            for (patient, need) in lookedBack {
                guard let instant = newest[patient] else { continue }
                windows.open(patient, need, from: instant, finding: histories?[patient])
            }
        }
        guard !windows.isEmpty else { return }
        for report in reports { windows.add(report) }
    }

    private static func keep(_ episode: Episode, in episodes: inout [Subject: [String: Episode]]) {
        if episode.state == .resolved {
            episodes[episode.subject]?[episode.rule] = nil
            if episodes[episode.subject]?.isEmpty ?? false { episodes[episode.subject] = nil }
        } else {
            episodes[episode.subject, default: [:]][episode.rule] = episode
        }
    }

    private func open(of subject: Subject) -> [Episode] {
        let own = judged[subject] ?? [:]
        let all = (known[subject] ?? [:]).merging(own) { _, own in own }
        return all.values.filter { $0.state != .resolved }
    }

    // MARK: - As a store

    /// Memory never keeps anybody waiting.
    public func limit(until deadline: Int64?) {}

    public func begin() -> Int64 {
        rollback()
        return currentRegistry.version
    }

    public func registry() -> Registry { currentRegistry }

    public func claim(_ claims: [KeyClaim]) -> [KeyVerdict] {
        claims.map { claim in
            let verdict = keys.verdict(claim)
            if verdict == .new, claim.insert { claimed[claim.key] = claim }
            return verdict
        }
    }

    public func openEpisodes(of subjects: [Subject]) -> [Episode] { subjects.flatMap(open(of:)) }

    public func everyOpenEpisode() -> [Episode] { Set(known.keys).union(judged.keys).flatMap(open(of:)) }

    /// Nothing is recorded here.
    public func recorded(_ alerts: [AlertID]) -> [AlertID: AlertID] { [:] }

    public func subjectsWithOpenEpisodes() -> Set<Subject> {
        Set(known.keys).union(judged.keys).filter { !open(of: $0).isEmpty }
    }

    public func history(of needs: [Identifier: HistoryNeed]) -> [Identifier: PatientHistory] {
        Dictionary(uniqueKeysWithValues: needs.map { ($0.key, windows.history(of: $0.key, $0.value)) })
    }

    /// None: nobody corrects anything while PostgreSQL is away.
    public func enteredInError(since: Instant) -> [ReportKey: Set<Int>] { [:] }

    /// None: a hole in a device's count is no red, and is found when the reports are drained.
    public func sequences(of devices: [Identifier]) -> [DeviceSequence] { [] }

    public func dueTimers(_ kinds: [String], waited: Interval, by instant: Instant, limit: Int) -> [Timer] {
        guard !waiting.isEmpty, kinds.contains(HeldRed.kind) else { return [] }
        let due = waiting.values.filter { $0.due + waited <= instant && !settled.contains($0.name) }
        return Array(due.sorted { ($0.due, $0.subject) < ($1.due, $1.subject) }.prefix(limit))
    }

    public func timers(_ names: [TimerName], skippingLocked: Bool) -> [Timer] {
        names.compactMap { settled.contains($0) ? nil : waiting[$0] }
    }

    public func everyTimer(_ kind: String) -> [Timer] {
        kind == HeldRed.kind ? waiting.values.filter { !settled.contains($0.name) } : []
    }

    public func write(_ batch: CommitBatch) { written.append(batch) }

    public func commit() {
        for claim in claimed.values { keys.insert(claim) }
        for batch in written {
            for change in batch.episodes {
                judged[change.episode.subject, default: [:]][change.episode.rule] = change.episode
            }
            remember(batch.reports, lookedBack: batch.lookedBack, finding: nil)
            settled.formUnion(batch.endedTimers)
        }
        rollback()
    }

    public func rollback() {
        claimed.removeAll(keepingCapacity: true)
        written = []
    }
}
