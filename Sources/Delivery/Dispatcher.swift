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
/// records what became of them. The other owns the messages under way: many at once, a few at one host, reds first, so
/// that an endpoint that hangs holds up no red for anybody else; each e-mail has a thread of its own meanwhile. A queue that fails (the database is away) is asked again with
/// back-off, for ever; requests under way go on meanwhile, and what came of them is kept and recorded first.
///
/// A message is repeated only when its answer was lost or the daemon died before recording it, under the same key.
public final class Dispatcher: Sendable {
    let board: Board
    let queue: QueueBox
    let channels: DeliveryChannels
    let health: ChannelHealth
    let limits: Backlog<DeliveryJob>.Limits
    let instruments: PipelineInstruments
    let logger: Logger
    let clock: @Sendable () -> Instant
    private let hasRun = Atomic<Bool>(false)

    /// `clock` says what time it is, for the timestamp of a request and the time of the next attempt.
    ///
    /// The queue belongs to the dispatcher from now on; it is called from one thread only, except for `wake()`.
    public convenience init(
        queue: sending any DeliveryQueue, channels: DeliveryChannels, health: ChannelHealth,
        instruments: PipelineInstruments, logger: Logger, clock: @escaping @Sendable () -> Instant = wallClock
    ) throws(DispatcherFault) {
        try self.init(
            queue: queue, channels: channels, health: health, limits: .init(), instruments: instruments,
            logger: logger, clock: clock)
    }

    init(
        queue: sending any DeliveryQueue, channels: DeliveryChannels, health: ChannelHealth = ChannelHealth(),
        limits: Backlog<DeliveryJob>.Limits, instruments: PipelineInstruments, logger: Logger,
        clock: @escaping @Sendable () -> Instant
    ) throws(DispatcherFault) {
        do throws(TransfersUnavailable) {
            board = Board(transfers: try Transfers(.init(deadline: channels.deadline)))
        } catch {
            throw .noMemory
        }
        self.queue = QueueBox(queue: queue)
        self.channels = channels
        self.health = health
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

func time(of clock: clockid_t) -> Instant {
    var now = timespec()
    unsafe clock_gettime(clock, &now)
    return Instant(microseconds: Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000)
}

/// What the two threads hand to each other.
final class Board: Sendable {
    struct Finished: Sendable {
        var job: DeliveryJob
        var outcome: DeliveryOutcome
        /// Whoever is next is to be told at once.
        var isDead: Bool
    }

    struct State {
        var claimed: [DeliveryJob] = []
        var finished: [Finished] = []
        /// Of messages that don't go through `transfers`.
        var endedElsewhere: [(tag: Tag, result: DeliveryResult)] = []
        var underWayElsewhere = 0
        var isStopping = false
        var transfersEnded = false
    }

    /// What a message under way is for.
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

    /// From any thread, once for each message that began elsewhere.
    func end(_ tag: Tag, _ result: DeliveryResult) {
        state.withLock { $0.endedElsewhere.append((tag, result)) }
        transfers.wake()
    }
}

/// The queue, reachable from both threads. `@unchecked`: only the queue's thread calls anything but `wake()`, which the
/// port allows from any thread.
struct QueueBox: @unchecked Sendable {
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
                if entry.isDead {
                    try queue.queue.recordDead(entry.outcome, of: entry.job)
                } else {
                    try queue.queue.record(entry.outcome, of: entry.job)
                }
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
        // A mail server can take its time twice.
        let attempt = channels.deadline.microseconds * (channels.email == nil ? 1 : 2)
        let lease = Interval(
            microseconds: attempt + limits.patience.microseconds + Self.leaseMargin.microseconds)
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
