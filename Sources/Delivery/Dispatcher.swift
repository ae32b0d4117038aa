public import Alerting
public import Clinical
import Dispatch
import Glibc
public import Instruments
public import Logging
import Synchronization

/// Sends what waits in the outbox until it is delivered.
///
/// Two threads of its own. One owns the queue: it claims messages, each under a lease that outlasts its attempt, and
/// records what became of them. The other owns the requests: many at once, a few at one host, reds first, so that an
/// endpoint that hangs holds up no red for anybody else. A queue that fails (the database is away) is asked again with
/// back-off, for ever; requests under way go on meanwhile, and what came of them is kept and recorded first.
///
/// A message is repeated only when its answer was lost or the daemon died before recording it, under the same key.
public final class Dispatcher: Sendable {
    private let board: Board
    private let queue: QueueBox
    private let webhook: WebhookChannel
    private let limits: Backlog<DeliveryJob>.Limits
    private let instruments: PipelineInstruments
    private let logger: Logger
    private let clock: @Sendable () -> Instant
    private let hasRun = Atomic<Bool>(false)

    /// `clock` says what time it is, for the timestamp of a request and the time of the next attempt.
    ///
    /// The queue belongs to the dispatcher from now on; it is called from one thread only, except for `wake()`.
    public convenience init(
        queue: sending any DeliveryQueue, webhook: WebhookChannel, instruments: PipelineInstruments, logger: Logger,
        clock: @escaping @Sendable () -> Instant = wallClock
    ) throws(DispatcherFault) {
        try self.init(
            queue: queue, webhook: webhook, limits: .init(), instruments: instruments, logger: logger, clock: clock)
    }

    init(
        queue: sending any DeliveryQueue, webhook: WebhookChannel, limits: Backlog<DeliveryJob>.Limits,
        instruments: PipelineInstruments, logger: Logger, clock: @escaping @Sendable () -> Instant
    ) throws(DispatcherFault) {
        do throws(TransfersUnavailable) {
            board = Board(transfers: try Transfers(.init(caFile: webhook.caFile, deadline: webhook.deadline)))
        } catch {
            throw .noMemory
        }
        self.queue = QueueBox(queue: queue)
        self.webhook = webhook
        self.limits = limits
        self.instruments = instruments
        self.logger = logger
        self.clock = clock
    }

    /// Works until `stop()` is called or the task is cancelled; returns when both threads have ended. Once only.
    public func run() async throws(DispatcherFault) {
        guard !hasRun.exchange(true, ordering: .acquiringAndReleasing) else { throw .alreadyRan }
        let started = await withTaskCancellationHandler {
            await withCheckedContinuation { (ended: CheckedContinuation<Bool, Never>) in
                guard startThread({ self.sendMessages() }) else { return ended.resume(returning: false) }
                let isStarted = startThread {
                    self.manageQueue()
                    ended.resume(returning: true)
                }
                if !isStarted {
                    self.stop()
                    ended.resume(returning: false)
                }
            }
        } onCancel: {
            stop()
        }
        guard started else { throw .noThread }
    }

    /// From any thread, returns at once, may be called twice. Nothing more is claimed; what waits goes back to the
    /// queue; requests under way end by themselves or by their deadline and are recorded; then `run()` returns.
    public func stop() {
        board.state.withLock { $0.isStopping = true }
        board.transfers.wake()
        queue.wake()
        board.pause.signal()
    }
}

/// Why a dispatcher can't run.
public enum DispatcherFault: Error, Sendable {
    case noMemory
    case noThread
    case alreadyRan
}

/// The system's clock.
public let wallClock: @Sendable () -> Instant = { time(of: CLOCK_REALTIME) }

private func time(of clock: clockid_t) -> Instant {
    var now = timespec()
    unsafe clock_gettime(clock, &now)
    return Instant(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
}

/// What the two threads hand to each other.
private final class Board: Sendable {
    struct Finished: Sendable {
        var job: DeliveryJob
        var outcome: DeliveryOutcome
    }

    struct State {
        var claimed: [DeliveryJob] = []
        var finished: [Finished] = []
        var isStopping = false
        var transfersEnded = false
    }

    /// What a request under way is for.
    struct Tag: Sendable {
        var job: DeliveryJob
        var host: String
        /// On the monotonic clock.
        var start: Instant
    }

    let state = Mutex(State())
    let transfers: Transfers<Tag>
    /// Ends a back-off early when the dispatcher stops.
    let pause = DispatchSemaphore(value: 0)

    init(transfers: Transfers<Tag>) { self.transfers = transfers }

    var isStopping: Bool { state.withLock { $0.isStopping } }
}

/// The queue, reachable from both threads. `@unchecked`: only the queue's thread calls anything but `wake()`, which the
/// port allows from any thread.
private struct QueueBox: @unchecked Sendable {
    let queue: any DeliveryQueue

    func wake() { queue.wake() }
}

// MARK: - The queue's thread

extension Dispatcher {
    /// What the queue's thread knows.
    private struct Ledger {
        /// Handed to the other thread, by key.
        var underWay: Set<String> = []
        /// Ended and not recorded yet, oldest first.
        var unrecorded: [Board.Finished] = []
        /// Failures of the queue one after the other.
        var failures = 0

        var held: Int { underWay.count + unrecorded.count }
    }

    private func manageQueue() {
        var ledger = Ledger()
        let most = limits.inFlight + limits.waiting
        while true {
            let (finished, isOver) = board.state.withLock { state in
                defer { state.finished = [] }
                return (state.finished, state.isStopping && state.transfersEnded)
            }
            for entry in finished {
                ledger.underWay.remove(entry.job.entry.key)
                ledger.unrecorded.append(entry)
            }
            record(&ledger)
            if isOver { break }
            let room = board.isStopping ? 0 : most - ledger.held
            guard room > 0 else {
                queue.queue.waitForWork(milliseconds: Self.pollMilliseconds)
                continue
            }
            guard let count = claim(room, &ledger) else {
                pauseAfterFailure(ledger.failures)
                continue
            }
            if count < room { queue.queue.waitForWork(milliseconds: Self.pollMilliseconds) }
        }
        if !ledger.unrecorded.isEmpty {
            logger.warning(
                "deliveries were not recorded and will be repeated under their keys",
                metadata: ["count": "\(ledger.unrecorded.count)"])
        }
    }

    /// The database's word that there is work is a hint; this is the truth.
    private static let pollMilliseconds: Int32 = 1000

    /// Records what has ended, up to the first failure, which goes to the end of the line.
    private func record(_ ledger: inout Ledger) {
        while let entry = ledger.unrecorded.first {
            do {
                try queue.queue.record(entry.outcome, of: entry.job)
                ledger.unrecorded.removeFirst()
            } catch {
                ledger.unrecorded.removeFirst()
                ledger.unrecorded.append(entry)
                if ledger.failures == 0 {
                    logger.warning("delivery outcome was not recorded", metadata: ["error": "\(error)"])
                }
                return
            }
        }
    }

    /// Claims and hands over at most `room` messages; how many there were, or nil when the queue failed.
    private func claim(_ room: Int, _ ledger: inout Ledger) -> Int? {
        let lease = Interval(
            microseconds: webhook.deadline.microseconds + limits.patience.microseconds
                + Self.leaseMargin.microseconds)
        let jobs: [DeliveryJob]
        do {
            jobs = try queue.queue.claim(limit: room, lease: lease)
        } catch {
            if ledger.failures == 0 {
                logger.warning("outbox is not available", metadata: ["error": "\(error)"])
            }
            ledger.failures += 1
            return nil
        }
        if ledger.failures > 0 { logger.notice("outbox is available again") }
        ledger.failures = 0
        var fresh: [DeliveryJob] = []
        for job in jobs {
            let key = job.entry.key
            if let index = ledger.unrecorded.firstIndex(where: { $0.job.entry.key == key }) {
                // Its lease ran out while it could not be recorded: it is not sent again for that.
                ledger.unrecorded[index].job = job
            } else if ledger.underWay.insert(key).inserted {
                fresh.append(job)
            }
        }
        board.state.withLock { $0.claimed += fresh }
        if !fresh.isEmpty { board.transfers.wake() }
        return jobs.count
    }

    /// Time to record an outcome after the deadline, with a database that is slow.
    private static let leaseMargin = Interval.seconds(5)

    private func pauseAfterFailure(_ failures: Int) {
        let ceiling = min(1000, 200 << min(failures, 5))
        if board.isStopping { return }
        _ = board.pause.wait(timeout: .now() + .milliseconds(Int.random(in: 50...ceiling)))
    }
}

// MARK: - The requests' thread

extension Dispatcher {
    private func sendMessages() {
        var backlog = Backlog<DeliveryJob>(limits: limits)
        while true {
            let (claimed, isStopping) = board.state.withLock { state in
                defer { state.claimed = [] }
                return (state.claimed, state.isStopping)
            }
            for job in claimed { accept(job, into: &backlog) }
            if isStopping {
                for entry in backlog.giveBackAll() {
                    giveBack(entry.message, "stopped before it was sent", after: 0...0)
                }
            }
            while let entry = backlog.next(at: monotonicNow) { begin(entry, &backlog) }
            for entry in backlog.giveBack(at: monotonicNow) {
                giveBack(entry.message, "other messages to its host are under way", after: 2...5)
            }
            let ended = board.transfers.step()
            for (tag, result) in ended {
                backlog.ended(host: tag.host, start: tag.start)
                var generator = SystemRandomNumberGenerator()
                finish(tag.job, webhook.outcome(of: result, for: tag.job, at: clock(), using: &generator))
            }
            if isStopping, board.transfers.count == 0 { break }
            // What has just ended may have made room for what waits.
            if ended.isEmpty { board.transfers.wait(milliseconds: backlog.waiting == 0 ? 1000 : 100) }
        }
        board.state.withLock { $0.transfersEnded = true }
        queue.wake()
    }

    private var monotonicNow: Instant { time(of: CLOCK_MONOTONIC) }

    private func accept(_ job: DeliveryJob, into backlog: inout Backlog<DeliveryJob>) {
        do {
            let request = try webhook.request(for: job, at: clock())
            backlog.add(
                .init(
                    message: job, host: request.address.host, isRed: job.episode.severity == .red, since: monotonicNow))
        } catch {
            finish(job, .failed(error: error.rawValue))
        }
    }

    private func begin(_ entry: Backlog<DeliveryJob>.Entry, _ backlog: inout Backlog<DeliveryJob>) {
        let job = entry.message
        do {
            // Made again, since the signature holds the time of the attempt.
            let request = try webhook.request(for: job, at: clock())
            try board.transfers.begin(request, tag: .init(job: job, host: entry.host, start: entry.since))
        } catch let refusal as WebhookChannel.Refusal {
            backlog.ended(host: entry.host, start: entry.since)
            finish(job, .failed(error: refusal.rawValue))
        } catch {
            backlog.ended(host: entry.host, start: entry.since)
            var generator = SystemRandomNumberGenerator()
            let result = HTTPResult.unanswered("no memory for a request")
            finish(job, webhook.outcome(of: result, for: job, at: clock(), using: &generator))
        }
    }

    /// No attempt was made: nothing is counted.
    private func giveBack(_ job: DeliveryJob, _ reason: String, after seconds: ClosedRange<Int64>) {
        let delay = Interval.seconds(Int64.random(in: seconds))
        hand(over: job, .retry(at: clock() + delay, error: reason))
    }

    private func finish(_ job: DeliveryJob, _ outcome: DeliveryOutcome) {
        let channel = job.entry.channel.rawValue
        var metadata: Logger.Metadata = ["delivery": "\(job.entry.key)", "attempt": "\(job.attempt)"]
        switch outcome {
        case .sent:
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.sent.rawValue].add()
            logger.debug("alert was delivered", metadata: metadata)
        case .retry(_, let error):
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.retried.rawValue].add()
            metadata["error"] = "\(error)"
            logger.notice("alert was not delivered and will be sent again", metadata: metadata)
        case .failed(let error):
            instruments.deliveries[channel, PipelineInstruments.DeliveryResult.failed.rawValue].add()
            metadata["error"] = "\(error)"
            logger.error("alert can't be delivered", metadata: metadata)
        }
        hand(over: job, outcome)
    }

    private func hand(over job: DeliveryJob, _ outcome: DeliveryOutcome) {
        board.state.withLock { $0.finished.append(.init(job: job, outcome: outcome)) }
        queue.wake()
    }
}
