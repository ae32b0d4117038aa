import Alerting
import CLinux
import Clinical
import Documents
import Glibc
import Ingestion
import Logging
import PostgresStore
import Registry
import RingBuffer
import Synchronization

/// The worklist of everybody, made again when the database says that an alert or the registry changed, and in any case
/// every few seconds while somebody looks. What of it a viewer gets is another's affair.
///
/// A thread and connections of its own. Alerts are read each time, with the readings of those patients whose alerts have
/// changed; all readings, which are many more, so seldom that reading them takes a tenth of the time at most, and every
/// twenty seconds at least. Nobody looking, it is made once in minutes, so that whoever looks first in the morning waits
/// for the alerts alone.
final class WorklistKeeper: Sendable {
    struct Ward: Sendable {
        var registry: Registry
        var packs: PackLibrary
        var rows: [Identifier: WorklistRow]
        /// The same, as `WorklistRow.sorted` has them.
        var sorted: [WorklistRow]
        /// Another of each that is made.
        var number: Int64
        var at: Instant
    }

    private struct State {
        var ward: Ward?
        /// Of the monotonic clock, nanoseconds.
        var madeAt: Int64 = 0
        /// When the making of `ward` began.
        var begunAt: Int64 = .min
        /// Since when somebody listens.
        var listenedSince: Int64 = 0
        var askedAt: Int64 = .min
        var waiting: [CheckedContinuation<Result<Ward, CareDeskUnavailable>, Never>] = []
        var listeners: [Int: AsyncStream<Void>.Continuation] = [:]
        var nextListener = 0
        var packs: PackLibrary
        var isClosed = false
    }

    private static let second: Int64 = 1_000_000_000
    /// So old a ward is shown at once; an older one is made again first.
    private static let fresh = 15 * second
    private static let restAfter = 120 * second
    /// Nobody is told that it is live when it has not been made for so long.
    private static let behind = 20 * second
    /// Between two times of making it: a storm of alerts takes no more than its share.
    private static let leastInterval = second / 4
    /// As long as making it takes, it rests, but never so long that an alert isn't live within a second.
    private static let longestInterval = second / 2

    private let configuration: DatabaseConfiguration
    private let served: ServedChannels
    private let notifications: PageNotifications
    private let logger: Logger
    private let state: Mutex<State>

    init(_ configuration: DatabaseConfiguration, packs: PackLibrary, served: ServedChannels, logger: Logger) {
        var patient = configuration
        // A large ward takes its time to read; nothing else waits for it.
        patient.deadline = .minutes(1)
        self.configuration = patient
        self.served = served
        self.logger = logger
        notifications = PageNotifications(configuration)
        state = Mutex(State(packs: packs))
        _ = StageThread.start(name: "worklist") { self.work() }
    }

    func use(_ packs: PackLibrary) { state.withLock { $0.packs = packs } }

    /// As it is, or as it is once it has been made.
    func ward() async throws(CareDeskUnavailable) -> Ward {
        let result: Result<Ward, CareDeskUnavailable> = await withCheckedContinuation { continuation in
            let now = linux_monotonic_nanoseconds()
            let answer = state.withLock { state -> Result<Ward, CareDeskUnavailable>? in
                state.askedAt = now
                if state.isClosed { return .failure(.databaseAway) }
                if let ward = state.ward, now - state.madeAt < Self.fresh { return .success(ward) }
                guard state.waiting.count < 256 else { return .failure(.busy) }
                state.waiting.append(continuation)
                return nil
            }
            if let answer { continuation.resume(returning: answer) } else { notifications.call() }
        }
        return try result.get()
    }

    /// Until the ward is of that version of the registry or a later one, so that who changed it sees the change; five
    /// seconds at most, since a large one takes its time to read.
    func waitForRegistry(_ version: Int64) async {
        for _ in 0..<100 {
            let (known, isClosed) = state.withLock { ($0.ward?.registry.version ?? -1, $0.isClosed) }
            if known >= version || isClosed { return }
            do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
        }
    }

    /// Until the ward is of a making that began after now, so that who did something sees it done; two seconds at most.
    func waitForNextWard() async {
        let now = linux_monotonic_nanoseconds()
        notifications.call()
        for _ in 0..<40 {
            let (begun, isClosed) = state.withLock { ($0.begunAt, $0.isClosed) }
            if begun >= now || isClosed { return }
            do { try await Task.sleep(for: .milliseconds(50)) } catch { return }
        }
    }

    /// Somebody listens, and what they were told of is old: the database does not answer, or takes too long.
    var isBehind: Bool {
        let now = linux_monotonic_nanoseconds()
        return state.withLock { state in
            !state.listeners.isEmpty && now - max(state.madeAt, state.listenedSince) > Self.behind
        }
    }

    /// Whoever listens looks.
    func news() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let number = state.withLock { state -> Int? in
            guard !state.isClosed else { return nil }
            state.nextListener += 1
            if state.listeners.isEmpty { state.listenedSince = linux_monotonic_nanoseconds() }
            state.listeners[state.nextListener] = continuation
            return state.nextListener
        }
        guard let number else {
            continuation.finish()
            return stream
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.listeners.removeValue(forKey: number) }
        }
        notifications.call()
        return stream
    }

    func close() {
        let (waiting, listeners) = state.withLock { state in
            state.isClosed = true
            defer {
                state.waiting = []
                state.listeners = [:]
            }
            return (state.waiting, Array(state.listeners.values))
        }
        for continuation in waiting { continuation.resume(returning: .failure(.databaseAway)) }
        for listener in listeners { listener.finish() }
        notifications.call()
    }

    // MARK: The thread

    private func work() {
        var maker = WardMaker(configuration, served: served)
        var complaint: String?
        var rest: Int64 = 0
        while true {
            let ended = notifications.wait(milliseconds: 5000)
            var isNews = ended == .word
            if ended != .time {
                // More may come meanwhile, and is read with it.
                Self.pause(until: rest)
                if notifications.takeWaiting() { isNews = true }
            }
            let started = linux_monotonic_nanoseconds()
            defer {
                let took = linux_monotonic_nanoseconds() - started
                rest = started + took + min(max(took, Self.leastInterval), Self.longestInterval)
            }
            let (isClosed, isWanted, packs) = state.withLock { state in
                let isWatched = !state.listeners.isEmpty || started - Self.restAfter < state.askedAt
                return (state.isClosed, isWatched || !state.waiting.isEmpty, state.packs)
            }
            if isClosed { return }
            guard isWanted else {
                if notifications.isListening { maker.keepWarm(packs) }
                continue
            }
            do throws(StoreFailure) {
                let ward = try maker.make(packs)
                publish(ward, begunAt: started, isNews: isNews)
                complaint = nil
            } catch {
                if complaint != error.message {
                    complaint = error.message
                    logger.error("the worklist can't be made", metadata: ["failure": "\(error)"])
                }
                let waiting = state.withLock { state in
                    defer { state.waiting = [] }
                    return state.waiting
                }
                for continuation in waiting { continuation.resume(returning: .failure(CareDeskUnavailable(error))) }
            }
        }
    }

    private static func pause(until tick: Int64) {
        let left = tick - linux_monotonic_nanoseconds()
        guard left > 0 else { return }
        usleep(UInt32(clamping: left / 1000))
    }

    private func publish(_ ward: Ward, begunAt: Int64, isNews: Bool) {
        let (waiting, listeners) = state.withLock { state in
            let hasChanged = isNews || state.ward?.rows != ward.rows
            state.ward = ward
            state.madeAt = linux_monotonic_nanoseconds()
            state.begunAt = begunAt
            defer { state.waiting = [] }
            return (state.waiting, hasChanged ? Array(state.listeners.values) : [])
        }
        for continuation in waiting { continuation.resume(returning: .success(ward)) }
        for listener in listeners { listener.yield() }
    }
}

/// Reads and makes the ward; of one thread.
private struct WardMaker {
    private let triage: TriageReader
    private let alerts: AlertReader
    private let served: ServedChannels
    private var snapshot = TriageSnapshot(at: Instant(microseconds: 0))
    private var registry: Registry?
    private var uncovered: Set<Identifier> = []
    private var packs: PackLibrary?
    private var plans: Plans?
    private var readAt = Int64.min
    private var number: Int64 = 0
    /// How long reading everything took.
    private var took: Int64 = 0
    /// Nobody has looked since everything was read.
    private var isRested = false
    private var warmedAt = Int64.min
    /// Of so many everything is read again at once.
    private static let mostPatients = 500
    private static let warmInterval: Int64 = 60_000_000_000
    /// Somebody looks after a rest: readings so old are shown until they have been read anew, seconds later.
    private static let warmFor: Int64 = 600_000_000_000

    init(_ configuration: DatabaseConfiguration, served: ServedChannels) {
        triage = TriageReader(configuration)
        alerts = AlertReader(configuration)
        self.served = served
    }

    /// Nobody looks: everything once in minutes, in a fiftieth of the time at most. What fails here is told to whoever
    /// looks.
    mutating func keepWarm(_ packs: PackLibrary) {
        let now = linux_monotonic_nanoseconds()
        guard warmedAt == .min || now - warmedAt >= max(Self.warmInterval, 50 * took) else { return }
        warmedAt = now
        do throws(StoreFailure) {
            try readEverything(packs)
            isRested = true
        } catch { return }
    }

    mutating func make(_ packs: PackLibrary) throws(StoreFailure) -> WorklistKeeper.Ward {
        let age = readAt == .min ? .max : linux_monotonic_nanoseconds() - readAt
        let mayWait = isRested && age < Self.warmFor
        isRested = false
        var isWhole = self.packs != packs || (!mayWait && age >= min(10 * took, 20_000_000_000))
        if !isWhole, let registry {
            let before = snapshot
            let version = try triage.readAlerts(&snapshot)
            let changed = snapshot.patients(changedFrom: before, in: registry)
            isWhole = version != registry.version || changed.count > Self.mostPatients
            // What is live is so as a whole: the reading that made the alert stands beside it.
            if !isWhole, !changed.isEmpty { try triage.readLatest(of: changed, &snapshot) }
        }
        if isWhole { try readEverything(packs) }
        guard let registry, var plans else {
            throw StoreFailure(kind: .transient, message: "making the worklist: no registry")
        }
        let recovered = Dictionary(
            grouping: try alerts.alerts(AlertFilter(recoveredUnseen: true, limit: 10_000)).compactMap { row in
                if case .patient(let code) = row.episode.subject { code } else { nil }
            }, by: { $0 }
        ).mapValues(\.count)
        let desk = try triage.readDesk()
        let open = Dictionary(grouping: snapshot.alerts.filter { $0.alertClass == .clinical }) { alert in
            if case .patient(let code) = alert.subject { code } else { nil as Identifier? }
        }
        let list = snapshot.worklist(of: registry, uncovered: uncovered) { plans.plan(for: $0.profile) }
        self.plans = plans
        var rows: [Identifier: WorklistRow] = [:]
        for triage in list {
            let patient = registry.patients[triage.patient]
            let own = open[triage.patient] ?? []
            let unanswered = own.filter { $0.alert.state == .open }
            rows[triage.patient] = WorklistRow(
                triage: triage, name: patient?.details.name, conditions: patient?.profile.conditions ?? [],
                isHighRisk: patient?.profile.highRisk ?? false, alerts: own, unanswered: unanswered.count,
                unansweredSince: unanswered.map(\.alert.raisedAt).min(),
                muted: own.count { $0.alert.state == .shelved }, recoveredUnseen: recovered[triage.patient] ?? 0,
                followUp: desk.followUps[triage.patient], reviewedAt: desk.reviews[triage.patient])
        }
        number += 1
        return WorklistKeeper.Ward(
            registry: registry, packs: packs, rows: rows, sorted: WorklistRow.sorted(rows.values), number: number,
            at: snapshot.at)
    }

    /// The registry only where it has changed.
    private mutating func readEverything(_ packs: PackLibrary) throws(StoreFailure) {
        let now = linux_monotonic_nanoseconds()
        let isSame = self.packs == packs
        let stored = try triage.read(known: isSame ? registry?.version : nil)
        if !isSame || stored.version != registry?.version {
            let outcome = RegistryBuilder(packs: packs, served: served).build(stored.entries, version: stored.version)
            registry = outcome.registry
            uncovered = Set(outcome.uncovered.map(\.patient))
            plans = Plans(packs: packs)
            self.packs = packs
        }
        snapshot = stored.snapshot
        took = linux_monotonic_nanoseconds() - now
        readAt = now + took
    }
}
