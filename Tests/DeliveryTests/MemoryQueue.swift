import Alerting
import Clinical
import Dispatch
import Registry
import Synchronization

/// An outbox in memory. A retry is due at once: tests do not wait for back-off, they look at what it was.
final class MemoryQueue: DeliveryQueue, Sendable {
    struct Away: Error {}

    struct Recorded: Sendable {
        var job: DeliveryJob
        var outcome: DeliveryOutcome
    }

    private struct State {
        var pending: [DeliveryJob] = []
        var leased: [String: DeliveryJob] = [:]
        var failingClaims = 0
        var failingRecords = 0
        var lostRecords = 0
        var repeatsAtOnce = true
    }

    private let state = Mutex(State())
    private let bell = DispatchSemaphore(value: 0)
    private let continuation: AsyncStream<Recorded>.Continuation
    /// What was recorded, in order.
    let recorded: AsyncStream<Recorded>

    init(_ jobs: [DeliveryJob]) {
        (recorded, continuation) = AsyncStream.makeStream()
        state.withLock { $0.pending = jobs }
    }

    func add(_ job: DeliveryJob) {
        state.withLock { $0.pending.append(job) }
        wake()
    }

    /// The next calls fail as they do when the database is away.
    func fail(claims: Int = 0, records: Int = 0) {
        state.withLock { state in
            state.failingClaims = claims
            state.failingRecords = records
        }
    }

    /// The next records are lost as when the daemon dies before them: the row is due again as soon as its lease is over,
    /// which here is at once.
    func loseRecords(_ count: Int) { state.withLock { $0.lostRecords = count } }

    func keepRetries() { state.withLock { $0.repeatsAtOnce = false } }

    var failuresLeft: Int { state.withLock { $0.failingClaims + $0.failingRecords } }

    func isLeased(_ count: Int) -> Bool { state.withLock { $0.leased.count == count } }

    var isNothingLeased: Bool { state.withLock { $0.leased.isEmpty } }

    /// Everything leased is due again, as when leases run out.
    func endLeases() {
        state.withLock { state in
            state.pending += state.leased.values
            state.leased = [:]
        }
        wake()
    }

    func claim(limit: Int, lease: Interval) throws -> [DeliveryJob] {
        try state.withLock { state in
            if state.failingClaims > 0 {
                state.failingClaims -= 1
                throw Away()
            }
            let reds = state.pending.filter { $0.episode.severity == .red }
            let others = state.pending.filter { $0.episode.severity != .red }
            let jobs = Array((reds + others).prefix(limit))
            let keys = Set(jobs.map(\.entry.key))
            state.pending.removeAll { keys.contains($0.entry.key) }
            for job in jobs { state.leased[job.entry.key] = job }
            return jobs
        }
    }

    func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try state.withLock { state in
            if state.failingRecords > 0 {
                state.failingRecords -= 1
                throw Away()
            }
            state.leased[job.entry.key] = nil
            // It is one row: what has ended is not due, though its lease ran out.
            state.pending.removeAll { $0.entry.key == job.entry.key }
            var next = job
            next.attempt += 1
            if state.lostRecords > 0 {
                state.lostRecords -= 1
                state.pending.append(next)
                return
            }
            if case .retry = outcome, state.repeatsAtOnce { state.pending.append(next) }
            continuation.yield(Recorded(job: job, outcome: outcome))
        }
    }

    func waitForWork(milliseconds: Int32) { _ = bell.wait(timeout: .now() + .milliseconds(Int(milliseconds))) }

    func wake() { bell.signal() }
}

/// A job for `address`; `number` tells its alert from others.
func makeJob(
    _ number: UInt64 = 1, to address: String?, severity: Severity = .red, summary: String = "SpO2 90 %: below 92 %",
    subject: Subject? = nil, attempt: Int = 1, channel: Channel = .webhook
) throws -> DeliveryJob {
    struct BadCode: Error {}
    guard let patient = Identifier("P0001"), let site = Identifier("north"), let recipient = Identifier("cm-01") else {
        throw BadCode()
    }
    let episode = Episode(
        id: AlertID(high: 7, low: number), subject: subject ?? .patient(patient), site: site, device: nil,
        rule: "spo2-low", alertClass: .clinical, severity: severity,
        raisedAt: Instant(microseconds: 1_795_421_732_000_000), summary: summary)
    return DeliveryJob(
        entry: OutboxEntry(alert: episode.id, revision: 0, step: 0, channel: channel, recipient: recipient),
        attempt: attempt, address: address, episode: episode)
}

/// A message of several ambers: `patients` says whose each is.
func makeGathering(
    _ kind: Gathering.Kind, patients: [String], to address: String?, openReds: Int = 0, channel: Channel
) throws -> DeliveryJob {
    struct BadCode: Error {}
    var alerts: [Gathering.Alert] = []
    var first: DeliveryJob?
    for (number, patient) in patients.enumerated() {
        guard let code = Identifier(patient) else { throw BadCode() }
        var job = try makeJob(
            UInt64(number) + 1, to: address, severity: .amber, subject: .patient(code), channel: channel)
        job.episode.rule = ["spo2-low", "pulse-high", "temperature-high", "systolic-low"][number % 4]
        alerts.append(
            Gathering.Alert(key: job.entry.key, episode: job.episode, state: number == 0 ? .resolved : .open))
        first = first ?? job
    }
    guard var job = first else { throw BadCode() }
    job.entry.key = "\(kind.rawValue)-0011223344556677"
    job.gathering = Gathering(kind: kind, alerts: alerts, openReds: openReds)
    return job
}
