public import Alerting
internal import CLinux
internal import CPQ
public import Clinical
internal import Glibc
public import Ingestion
internal import Registry

/// The outbox as the dispatcher sees it, on a connection of its own.
///
/// One thread calls everything but `wake()`, which touches nothing but the descriptor: hence `@unchecked Sendable`.
/// A failure leaves the outbox as it was; the next call connects again.
public final class PostgresDeliveryQueue: DeliveryQueue, @unchecked Sendable {
    var connection: PostgresConnection
    let policy: NoisePolicy
    let seat: LeaseSeat?
    /// When messages that wait were last looked at, on the monotonic clock, in nanoseconds.
    var lastGathering: Int64 = 0
    /// Claimed beside a busy queue: they leave with the next claim.
    private var gathered: [DeliveryJob] = []
    /// As last asked for.
    private var lease = Interval.seconds(30)
    private let syntheticCode: String?
    private let wakeDescriptor: Int32
    private var isListening = false

    private static let claim = Statement(
        name: "claim_deliveries",
        sql: """
            WITH due AS (
                SELECT delivery_key FROM homeward.outbox
                WHERE state = 'pending' AND next_attempt_at <= now() AND (lease_until IS NULL OR lease_until <= now())
                    -- People's messages that are no red's are let go first, by `gather`.
                    -- A self-test waits on its own machine, for its own instance.
                    AND ($3::text IS NULL OR NOT starts_with(recipient, 'homeward-self-') OR recipient = $3::text)
                    AND (urgent OR channel NOT IN ('email', 'sms') OR released_at IS NOT NULL AND message IS NULL)
                    AND ($4::text IS NULL OR EXISTS (
                        SELECT FROM homeward.lease WHERE shard = $4::text AND epoch = $5::int8))
                    -- After a restore: it may have been sent.
                    AND created_at >= (SELECT homeward.held_before())
                -- Who was never told comes before who is told again.
                ORDER BY urgent DESC, step > 0, next_attempt_at
                LIMIT $1::int4
                FOR UPDATE SKIP LOCKED
            ), taken AS (
                UPDATE homeward.outbox o
                SET attempts = o.attempts + 1, lease_until = now() + $2::int8 * interval '1 microsecond'
                FROM due WHERE o.delivery_key = due.delivery_key
                RETURNING o.*
            )
            SELECT a.id, a.subject_type, a.subject, a.site, a.device, a.rule, a.class,
                coalesce(e.severity, a.severity),
                CASE e.transition WHEN 'acknowledged' THEN 'acknowledged' WHEN 'shelved' THEN 'shelved'
                    WHEN 'resolved' THEN 'resolved' ELSE CASE WHEN e.alert IS NULL THEN a.state ELSE 'open' END END,
                a.late, a.raised_at, coalesce(e.summary, a.summary), a.escalation_level, a.worst, a.acknowledged_at,
                a.worst_acknowledged, a.latest_taken_at, t.revision, t.step, t.channel, t.recipient, t.attempts,
                CASE t.channel WHEN 'webhook' THEN
                    -- A self-test says where it waits; when it has gone nobody does.
                    CASE WHEN starts_with(t.recipient, 'homeward-self-') THEN (
                        SELECT sink FROM homeward.self_test WHERE code = t.recipient AND running_until > now())
                        ELSE c.fields ->> 'webhook' END
                    -- A site's fallback is told under the site's code.
                    WHEN 'email' THEN CASE WHEN c.fields IS NULL THEN (
                        SELECT fields -> 'fallback' ->> 'email' FROM homeward.registry_entry
                        WHERE entity = 'site' AND code = t.recipient ORDER BY version DESC LIMIT 1)
                        ELSE c.fields ->> 'email' END
                    WHEN 'sms' THEN c.fields ->> 'mobile' END,
                t.delivery_key
            FROM taken t
            JOIN homeward.alert a ON a.id = t.alert
            LEFT JOIN homeward.alert_event e ON e.alert = t.alert AND e.revision = t.revision
            LEFT JOIN LATERAL (
                SELECT fields FROM homeward.registry_entry
                WHERE entity = 'care-manager' AND code = t.recipient ORDER BY version DESC LIMIT 1
            ) c ON true
            ORDER BY t.urgent DESC, t.step > 0, t.next_attempt_at, t.delivery_key
            """)

    // What was sent was sent, also by a worker whose lease had run out; anything else counts only for who holds it.
    private static let recording = Statement(
        name: "record_delivery",
        sql: """
            WITH recorded AS (
                UPDATE homeward.outbox SET state = 'sent', sent_at = $5::timestamptz, lease_until = NULL
                WHERE delivery_key = ANY ($1::text[]) AND $3::text = 'sent' AND state <> 'sent'
            ), repeated AS (
                UPDATE homeward.outbox
                SET state = CASE $3::text WHEN 'failed' THEN 'failed' ELSE state END,
                    next_attempt_at = CASE $3::text WHEN 'retry' THEN now() + $7::int8 * interval '1 microsecond'
                        ELSE next_attempt_at END,
                    last_error = $4::text, lease_until = NULL
                WHERE delivery_key = ANY ($1::text[]) AND $3::text <> 'sent' AND attempts = $2::int4
                    AND state = 'pending'
            )
            INSERT INTO homeward.delivery_attempt (delivery_key, attempt, outcome, error, dead)
            SELECT delivery_key, $2::int4, $3::text, $4::text, $6::int4 = 1
            FROM homeward.outbox WHERE delivery_key = ANY ($1::text[])
            ON CONFLICT DO NOTHING
            """)

    // The step is over where nobody of it was reached or can be hoped for. Whoever was told at an earlier step is not
    // waited for either, but then the chain goes round: it keeps its time. A timer that somebody holds is at work.
    private static let movingOn = Statement(
        name: "move_on",
        sql: """
            UPDATE homeward.timer t SET due_at = now()
            FROM homeward.outbox o
            WHERE o.delivery_key = ANY ($1::text[]) AND t.kind = $2::text AND t.subject = o.alert::text
                AND t.due_at > now() AND (t.lease_until IS NULL OR t.lease_until <= now())
                AND NOT EXISTS (
                    SELECT FROM homeward.outbox later
                    WHERE later.alert = o.alert
                        AND (later.revision > o.revision OR later.revision = o.revision AND later.step > o.step))
                AND NOT EXISTS (
                    SELECT FROM homeward.outbox earlier
                    WHERE earlier.alert = o.alert AND earlier.revision = o.revision AND earlier.step < o.step
                        AND earlier.channel = o.channel AND earlier.recipient = o.recipient)
                AND NOT EXISTS (
                    SELECT FROM homeward.outbox other
                    WHERE other.alert = o.alert AND other.revision = o.revision AND other.step = o.step
                        AND other.channel <> 'mqtt'
                        AND (other.state = 'sent' OR other.state = 'pending' AND NOT EXISTS (
                            SELECT FROM homeward.delivery_attempt a
                            WHERE a.delivery_key = other.delivery_key AND a.dead)))
            """)

    /// Of the timers that tell the next step of a chain; their subject is the alert.
    public static let escalationTimer = EscalationTimer.kind

    /// For how long a busy queue leaves what waits aside. Nanoseconds.
    private static let gatheringPause: Int64 = 5_000_000_000
    /// The most messages that are gathered beside it at once.
    private static let gatheredAside = 8

    /// Connects at the first call, not here. Throws only when the process has no descriptor left.
    ///
    /// - Parameters:
    ///   - syntheticCode: of this instance's own self-test, the only one of which it takes messages; nil: of all.
    ///   - seat: nothing is claimed without its lease; nil: there is none.
    public init(
        _ configuration: DatabaseConfiguration, policy: NoisePolicy = NoisePolicy(), syntheticCode: String? = nil,
        seat: LeaseSeat? = nil
    ) throws {
        self.policy = policy
        self.seat = seat
        self.syntheticCode = syntheticCode
        connection = PostgresConnection(configuration.named("deliver"))
        wakeDescriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard wakeDescriptor >= 0 else {
            throw StoreFailure(kind: .transient, message: "no descriptor for waking: errno \(errno)")
        }
    }

    deinit { _ = Glibc.close(wakeDescriptor) }

    private func connect() throws(StoreFailure) {
        connection.startCall()
        guard !connection.isConnected else { return }
        isListening = false
        try connection.connect()
    }

    public func claim(limit: Int, lease: Interval) throws -> [DeliveryJob] {
        guard seat?.isHolder ?? true else { return [] }
        try connect()
        self.lease = lease
        let single = try claimSingle(limit - gathered.count, lease)
        let jobs = single + gathered
        gathered = []
        // What is claimed leaves before anything is planned, a red above all.
        guard jobs.isEmpty else { return jobs }
        let gathered = try gather(limit: limit, lease: lease)
        guard gathered.released else { return gathered.jobs }
        do {
            return try claimSingle(limit - gathered.jobs.count, lease) + gathered.jobs
        } catch {
            // Those that are claimed leave all the same.
            guard !gathered.jobs.isEmpty else { throw error }
            return gathered.jobs
        }
    }

    private func claimSingle(_ limit: Int, _ lease: Interval) throws(StoreFailure) -> [DeliveryJob] {
        guard limit > 0 else { return [] }
        var parameters = PostgresParameters()
        parameters.add(Int32(clamping: limit))
        parameters.add(lease.microseconds)
        parameters.add(optional: syntheticCode)
        LeaseFence.add(seat, to: &parameters)
        let result = try connection.run(Self.claim, parameters, doing: "claiming deliveries")
        var jobs: [DeliveryJob] = []
        for row in 0..<result.rowCount {
            guard let job = Self.job(result, row) else {
                throw StoreFailure(kind: .misconfigured, message: "claiming deliveries: a row can't be understood")
            }
            jobs.append(job)
        }
        return jobs
    }

    static func job(_ result: borrowing PostgresResult, _ row: Int) -> DeliveryJob? {
        guard let episode = EpisodeRow.episode(result, row, from: 0), let step = result.int32(row, 18),
            let channel = result.text(row, 19).flatMap({ Channel(rawValue: $0) }),
            let recipient = result.identifier(row, 20), let attempt = result.int32(row, 21),
            let key = result.text(row, 23)
        else { return nil }
        var entry = OutboxEntry(
            alert: episode.id, revision: episode.revision, step: Int(step), channel: channel, recipient: recipient)
        // An outage's row keeps the key that it was told under, also where its alert is part of another now.
        entry.key = key
        return DeliveryJob(entry: entry, attempt: Int(attempt), address: result.text(row, 22), episode: episode)
    }

    public func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try connect()
        try record(outcome, of: job, isDead: false)
    }

    public func recordDead(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws {
        try connect()
        try record(outcome, of: job, isDead: true)
        // A display tells nobody in particular.
        guard job.entry.channel != .mqtt else { return }
        var parameters = PostgresParameters()
        parameters.addTexts(of: job.rows) { $0 }
        parameters.add(Self.escalationTimer)
        _ = try connection.run(Self.movingOn, parameters, doing: "moving on from a dead channel")
    }

    private func record(_ outcome: DeliveryOutcome, of job: DeliveryJob, isDead: Bool) throws {
        var parameters = PostgresParameters()
        parameters.addTexts(of: job.rows) { $0 }
        parameters.add(Int32(clamping: job.attempt))
        var delay: Interval?
        switch outcome {
        case .sent(let at):
            parameters.add("sent")
            parameters.addNull()
            parameters.add(at)
        case .retry(let after, let error):
            parameters.add("retry")
            parameters.add(Quarantining.storable(error))
            parameters.addNull()
            delay = after
        case .failed(let error):
            parameters.add("failed")
            parameters.add(Quarantining.storable(error))
            parameters.addNull()
        }
        parameters.add(Int32(isDead ? 1 : 0))
        parameters.add(delay?.microseconds ?? 0)
        _ = try connection.run(Self.recording, parameters, doing: "recording a delivery")
    }

    /// Listens once connected; without a connection it is only `wake()` or the time that ends the wait. A
    /// notification only wakes: what is due is what `claim` finds.
    public func waitForWork(milliseconds: Int32) {
        if connection.isConnected, seat?.isHolder ?? true, gathered.isEmpty,
            linux_monotonic_nanoseconds() - lastGathering > Self.gatheringPause
        {
            // Claims have found something else each time, which is on its way now. What fails here fails there too.
            connection.startCall()
            if let found = try? gather(limit: Self.gatheredAside, lease: lease) {
                gathered += found.jobs
                if found.released || !found.jobs.isEmpty { return }
            }
        }
        if connection.isConnected, !isListening {
            connection.startCall()
            do {
                _ = try connection.query("LISTEN homeward_outbox", doing: "listening")
                isListening = true
                // What was written before LISTEN took hold has no notification.
                return
            } catch {}
        }
        let server = connection.isConnected && isListening ? connection.socket : -1
        var waiting = [
            pollfd(fd: wakeDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: server, events: Int16(POLLIN), revents: 0),
        ]
        // Notifications that came along with an answer are in libpq already.
        if connection.takeNotifications() { return }
        _ = unsafe poll(&waiting, 2, milliseconds)
        if waiting[0].revents != 0 {
            var count: eventfd_t = 0
            _ = unsafe eventfd_read(wakeDescriptor, &count)
        }
        if waiting[1].revents != 0 { _ = connection.takeNotifications() }
    }

    public func wake() { _ = eventfd_write(wakeDescriptor, 1) }
}

extension PostgresConnection {
    /// Takes in what the server sent unasked; true if a notification was among it. Closes a dead connection.
    mutating func takeNotifications() -> Bool {
        guard isConnected else { return false }
        guard unsafe PQconsumeInput(handle) == 1 else {
            close()
            return false
        }
        var any = false
        while let notification = unsafe PQnotifies(handle) {
            any = true
            unsafe PQfreemem(notification)
        }
        return any
    }
}
