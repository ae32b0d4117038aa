import Alerting
public import Clinical
import Formats
public import Registry

/// One batch of decoded messages, one transaction: new keys, judge the new ones, write, commit.
///
/// The commit decides: nothing that is remembered here between batches is changed before the store has committed, so
/// that a retried or bisected batch judges the same again and a redelivered report never confirms its own red. The
/// same code serves the daemon, `replay` and the tests. Owned by one thread.
public struct BatchProcessor {
    public private(set) var registry = Registry(version: -1)
    var plans: PlanCache
    private var sequences: [Identifier: DeviceSequence] = [:]
    private var openSubjects: Set<Subject>?
    /// What is known of each patient's consciousness, so that nearly no report must look for the readings that would
    /// complete its NEWS2 score.
    var consciousness: [Identifier: ConsciousnessWord] = [:]
    private var budget = QuarantineBudget()
    private var strangers = UnknownReaders()
    /// Whether our own clock can be trusted.
    var clock = ServerClock()
    /// Whose schedules have no timer yet.
    var round = ScheduleRound()
    /// To be raised with the next batch.
    private var waiting: [Finding] = []
    private var packs: PackLibrary
    /// The registry was built with other packs: conditions that those lacked were dropped from it.
    private var isRegistryOfOldPacks = false
    /// The store may have one of the old packs too.
    private var hasNewPacks = false
    var options: Options
    let crashGuard: CrashGuard?

    public init(packs: PackLibrary, options: Options = Options(), crashGuard: CrashGuard? = nil) {
        plans = PlanCache(packs: packs)
        self.packs = packs
        self.options = options
        self.crashGuard = crashGuard
    }

    /// One of the same packs that knows nothing yet, to judge in memory while PostgreSQL is away.
    var forOutages: BatchProcessor {
        var options = options
        options.judgesUnknownReaders = true
        options.holdsReds = false
        options.escalates = false
        return BatchProcessor(packs: packs, options: options, crashGuard: crashGuard)
    }

    /// Raised, cleared or joined with the next batch that is committed; a batch may be empty.
    mutating func raise(_ finding: Finding) { waiting.append(finding) }
    mutating func raise(whatWaitsIn other: BatchProcessor) { waiting = other.waiting }
    /// They are nobody's to raise here.
    mutating func forgetFindings() { waiting = [] }
    var hasFindings: Bool { !waiting.isEmpty || clock.isUntold }

    /// Judges by these packs from the next batch on.
    public mutating func use(_ packs: PackLibrary) {
        plans = PlanCache(packs: packs)
        self.packs = packs
        isRegistryOfOldPacks = true
        hasNewPacks = true
    }

    /// The connection was lost: what other connections changed meanwhile must be read again. The registry tells by its
    /// version, which every transaction reads.
    public mutating func forgetStoreState() {
        sequences.removeAll()
        consciousness.removeAll()
        openSubjects = nil
    }

    /// Runs the whole transaction. On failure the store has rolled back (or its fate is unknown) and nothing here has
    /// changed; the same batch again is safe. Outcomes are written into `batch` only on success.
    ///
    /// `ledger`: what was told of while this store was away. It is recorded with the alerts that it belongs to, nobody
    /// is told twice, and what is still to be sent becomes the store's. An empty batch records late outcomes alone.
    ///
    /// `instant`: now, from which the steps of an alert's chain count; nil: the time of receipt.
    mutating func commit(
        _ batch: inout [Candidate], to store: any CommitStore, recording ledger: (any OutageLedger)? = nil,
        at instant: Instant? = nil
    ) throws(StoreFailure) -> Report {
        do throws(StoreFailure) {
            var draft = try work(out: &batch, in: store, ledger)
            if options.escalates { draft.escalate(at: instant) }
            try store.write(draft.rows)
            try store.commit()
            waiting = []
            budget = draft.budget
            strangers = draft.strangers
            clock.isTold = clock.problem != nil
            ledger?.handOver(draft.report.recordedAlerts, recorded: draft.rows.lateOutcomes)
            return adopt(draft, into: &batch)
        } catch {
            ledger?.release()
            throw error
        }
    }

    /// Brings the registry up to the store's, and changes nothing.
    mutating func lookAtRegistry(in store: any CommitStore) throws(StoreFailure) {
        try open(store)
        store.rollback()
    }

    /// Reads and judges; what the transaction is to write.
    private mutating func work(
        out batch: inout [Candidate], in store: any CommitStore, _ ledger: (any OutageLedger)?
    ) throws(StoreFailure) -> Draft {
        try open(store)
        if options.watchesReaders { clock.look(at: batch, in: registry) }
        for index in batch.indices {
            batch[index].outcome = Outcome()
            batch[index].admission = Admission(
                batch[index].message, batch[index].decoded, registry: registry,
                serverClockTrusted: clock.problem == nil)
        }
        try passOverReleases(of: &batch, in: store)
        let verdicts = try lookUpKeys(of: batch, in: store)
        var draft = Draft(registry: registry, judgesUnknownReaders: options.judgesUnknownReaders)
        draft.strangers = strangers
        draft.isClockDoubted = clock.problem != nil
        for index in batch.indices { draft.sort(&batch[index], verdicts: verdicts) }
        draft.budget = budget
        draft.keepWithinBudget()
        try judge(&draft, in: store)
        try follow(&draft, in: store)
        if options.watchesReaders {
            draft.watchReaders(in: batch, open: openSubjects)
            draft.findings += clock.findings(hasOpenAlert: openSubjects?.contains(.instance) ?? true)
        }
        draft.findings += waiting
        try settle(&draft, in: store)
        if let ledger { draft.record(ledger) }
        return draft
    }

    /// Releases that another instance has taken, or that have ended, are not ours.
    private func passOverReleases(of batch: inout [Candidate], in store: any CommitStore) throws(StoreFailure) {
        let releases = batch.compactMap(\.release)
        guard !releases.isEmpty else { return }
        let ours = try store.lockReleases(releases)
        for index in batch.indices {
            if let release = batch[index].release, !ours.contains(release) { batch[index].admission = .elsewhere }
        }
    }

    /// Opens a transaction and brings what is remembered up to it.
    mutating func open(_ store: any CommitStore) throws(StoreFailure) {
        let version = try store.begin()
        if hasNewPacks {
            // Once: reading a large one may take several calls.
            store.forgetRegistry()
            hasNewPacks = false
        }
        if version != registry.version || isRegistryOfOldPacks {
            registry = try store.registry()
            isRegistryOfOldPacks = false
            plans.forgetPatients()
        }
        if openSubjects == nil { openSubjects = try store.subjectsWithOpenEpisodes() }
    }

    /// Alerts that were told of during an outage and that no drained report raised again: the daemon died between the
    /// commit and its note of it, or what judges now knows better. They are recorded as they were told. Call it when
    /// every spooled report has been drained.
    public mutating func recordLeftovers(
        of ledger: any OutageLedger, to store: any CommitStore, at instant: Instant? = nil
    ) throws(StoreFailure) -> Report {
        let left = ledger.unrecorded
        guard !left.isEmpty || !ledger.lateOutcomes.isEmpty else { return Report() }
        do throws(StoreFailure) {
            _ = try store.begin()
            if openSubjects == nil { openSubjects = try store.subjectsWithOpenEpisodes() }
            let ids = left.map(\.job.episode.id)
            let recorded = ids.isEmpty ? [:] : try store.recorded(ids)
            let subjects = Set(left.map(\.job.episode.subject))
            let open = try store.openEpisodes(of: Array(subjects))
            var draft = Draft(registry: registry)
            draft.recordLeftovers(left, recorded: recorded, open: open, ledger)
            if options.escalates { draft.escalate(at: instant) }
            draft.lockedSubjects = subjects
            draft.stillOpen = Set(open.map(\.subject))
            try store.write(draft.rows)
            try store.commit()
            ledger.handOver(draft.report.recordedAlerts, recorded: draft.rows.lateOutcomes)
            var none: [Candidate] = []
            return adopt(draft, into: &none)
        } catch {
            ledger.release()
            throw error
        }
    }

    /// Claims each key once; twins of a batch share its verdict.
    private func lookUpKeys(
        of batch: [Candidate], in store: any CommitStore
    ) throws(StoreFailure) -> [ReportKey: KeyVerdict] {
        var claims: [KeyClaim] = []
        var places: [ReportKey: Int] = [:]
        for candidate in batch {
            guard let key = candidate.admission.key else { continue }
            let insert = if case .admitted = candidate.admission { true } else { false }
            if let place = places[key] {
                claims[place].insert = claims[place].insert || insert
            } else {
                places[key] = claims.count
                claims.append(
                    KeyClaim(
                        key: key, digestHigh: candidate.decoded.digest.high, digestLow: candidate.decoded.digest.low,
                        insert: insert))
            }
        }
        guard !claims.isEmpty else { return [:] }
        let verdicts = try store.claim(claims)
        return Dictionary(uniqueKeysWithValues: zip(claims.map(\.key), verdicts))
    }

    private mutating func judge(_ draft: inout Draft, in store: any CommitStore) throws(StoreFailure) {
        // Oldest first, so that a window is filled in the order in which it was measured.
        draft.accepted.sort { $0.report.takenAt < $1.report.takenAt }
        for accepted in draft.accepted where accepted.report.readings.contains(where: { $0.kind == .consciousness }) {
            draft.consciousness[accepted.patient, default: ConsciousnessWord()].add(
                ConsciousnessWord(newest: accepted.report.takenAt))
        }
        let needs = findNeeds(of: &draft)
        var histories = needs.all.isEmpty ? [:] : try store.history(of: needs.all)
        noteConsciousness(in: histories, of: needs, in: &draft)
        // Patients for whom this very batch has opened something that a later report of it may end.
        var raised: Set<Identifier> = []
        for index in draft.accepted.indices {
            let patient = draft.accepted[index].patient
            let plan = plans.plan(for: patient, in: registry)
            let history = histories[patient] ?? PatientHistory()
            draft.markSuspicions(at: index, plan: plan, history: history)
            let accepted = draft.accepted[index]
            let hasOpenAlert = raised.contains(patient) || openSubjects?.contains(.patient(patient)) ?? true
            if hasOpenAlert { draft.noteRepeat(accepted, plan) }
            let mayHold = mayHold(accepted)
            let judged = watched(accepted.message) {
                Judging.judge(
                    accepted, plan: plan, history: history, hasOpenAlert: hasOpenAlert, mayHold: mayHold)
            }
            draft.findings += judged.findings
            draft.note(judged, of: accepted)
            if options.keepsScores {
                draft.report.scores[accepted.report.key] = plan.news2Score(of: accepted.report, history: history)
            }
            if !judged.findings.isEmpty { raised.insert(patient) }
            if needs.all[patient] != nil { histories[patient, default: PatientHistory()].add(accepted.report) }
        }
        draft.histories = histories
        for refused in draft.refused { draft.findings += unverifiedReds(of: refused) }
    }

    private mutating func unverifiedReds(of refused: RefusedReport) -> [Finding] {
        if refused.reason == .unknownDevice {
            let plan = plans.planOfTheUnknown()
            return watched(refused.message) {
                Judging.unverifiedReds(
                    of: refused, subject: .device(refused.key.device), site: refused.site, plan: plan)
            }
        }
        guard let device = registry.devices[refused.key.device],
            // By our clock: the report's own time is what is in doubt.
            let patient = device.presentOrLastPatient(at: refused.receivedAt)
        else { return [] }
        let plan = plans.plan(for: patient, in: registry)
        let site = registry.patients[patient]?.site
        return watched(refused.message) {
            Judging.unverifiedReds(of: refused, subject: .patient(patient), site: site, plan: plan)
        }
    }

    private func watched<Result>(_ message: Message, _ body: () -> Result) -> Result {
        if let crashGuard { crashGuard.watch(message, body) } else { body() }
    }

    /// Follows each device's `seq`: a hole is a technical alert, and ends when all that was missing has come.
    private func follow(_ draft: inout Draft, in store: any CommitStore) throws(StoreFailure) {
        let counting = draft.accepted.filter { $0.sequence != nil }.sorted { $0.order < $1.order }
        guard !counting.isEmpty else { return }
        let unknown = Set(counting.map(\.report.key.device)).filter { sequences[$0] == nil }
        if !unknown.isEmpty {
            for sequence in try store.sequences(of: Array(unknown)) { draft.sequences[sequence.device] = sequence }
        }
        for accepted in counting {
            guard let number = accepted.sequence else { continue }
            let device = accepted.report.key.device
            guard var sequence = draft.sequences[device] ?? sequences[device] else {
                draft.sequences[device] = DeviceSequence(device: device, highest: number)
                draft.sequencesChanged.insert(device)
                continue
            }
            let step = sequence.take(number)
            draft.sequences[device] = sequence
            draft.sequencesChanged.insert(device)
            if let finding = Judging.sequenceFinding(step, missing: sequence.missing, of: accepted) {
                draft.findings.append(finding)
            }
        }
        draft.rows.sequences = draft.sequencesChanged.compactMap { draft.sequences[$0] }
    }

    /// Locks the alerts, settles what waited for a repeat, and raises what was found.
    private func settle(_ draft: inout Draft, in store: any CommitStore) throws(StoreFailure) {
        var subjects: Set<Subject> = []
        for finding in draft.findings {
            if case .beyond = finding.verdict { subjects.insert(finding.subject) }
        }
        for finding in draft.findings where openSubjects?.contains(finding.subject) ?? true {
            subjects.insert(finding.subject)
        }
        subjects.formUnion(draft.subjectsOfRepeats)
        draft.rows.timers += draft.held.map(\.timer)
        guard !subjects.isEmpty else { return }
        let open = try store.openEpisodes(of: Array(subjects))
        let waiting = try store.timers(Array(draft.repeats.keys), skippingLocked: false)
        draft.settle(waiting.compactMap(HeldRed.init), open: open)
        raise(&draft, over: open, of: subjects)
    }

    /// Turns findings into alerts, which are locked, and notifying transitions into outbox rows.
    func raise(_ draft: inout Draft, over open: [Episode], of subjects: Set<Subject>) {
        draft.lockedSubjects = subjects
        draft.stillOpen = Set(open.map(\.subject))
        var ledger = EpisodeLedger(
            open: open, redsEndInRange: options.redsEndInRange, standingRules: options.standingRules)
        for finding in draft.findings where subjects.contains(finding.subject) { ledger.apply(finding) }
        draft.rows.episodes = ledger.changes
        let route = Route(registry: registry)
        for change in ledger.changes {
            guard let event = change.events.last else { continue }
            guard !draft.isToldTogether(change.episode) else {
                draft.rows.suppressions += draft.suppressions(of: change)
                continue
            }
            draft.rows.outbox += route.entries(for: change, at: event.at)
        }
    }

    /// The store has committed: now what was learned is remembered.
    mutating func adopt(_ draft: Draft, into batch: inout [Candidate]) -> Report {
        for (device, sequence) in draft.sequences { sequences[device] = sequence }
        var open = openSubjects ?? []
        open.subtract(draft.lockedSubjects)
        open.formUnion(draft.stillOpen)
        for (patient, word) in draft.consciousness {
            consciousness[patient, default: ConsciousnessWord()].add(word)
        }
        for (index, advice) in draft.advice { batch[index].outcome.advice = advice }
        for (index, minutes) in draft.repeatsAsked { batch[index].outcome.repeatAfterMinutes = minutes }
        for change in draft.rows.episodes where change.episode.state != .resolved {
            open.insert(change.episode.subject)
        }
        openSubjects = open
        var report = draft.report
        report.notifying = draft.rows.episodes.filter { $0.events.contains { $0.transition.notifies } }
        report.wroteOutbox = !draft.rows.outbox.isEmpty || !draft.rows.madeDeliveries.isEmpty
        report.redNotices = draft.redNotices
        report.memory = JudgingMemory(
            episodes: draft.rows.episodes, lookedBack: draft.rows.lookedBack, histories: draft.histories,
            reports: draft.rows.reports, timers: draft.rows.timers, endedTimers: draft.rows.endedTimers)
        return report
    }
}
