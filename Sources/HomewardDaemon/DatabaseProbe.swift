import Alerting
import CLinux
import Clinical
import Delivery
import Glibc
import Ingestion
import Instruments
import Logging
import PostgresStore
import RingBuffer
import ServiceLifecycle
import Synchronization

/// Asks PostgreSQL every two seconds whether it would take a report and what time it is, looks every half minute for
/// readers that have gone silent, seals the audit chain every five minutes, and makes the coming months' partitions once a
/// day.
///
/// A thread of its own: libpq blocks, up to the database deadline, and nothing else may wait for it.
final class DatabaseProbe: Service, MetricsSource {
    private static let interval: Int32 = 2000
    private static let undecidedInterval: Int32 = 100
    /// At a start it is said within that time who holds the lease, or the database is away. Nanoseconds.
    private static let decision: Int64 = 5_000_000_000
    private static let upkeepInterval: Int64 = 24 * 3600 * 1_000_000_000
    /// As often as the chain's head leaves the machine with the heartbeat.
    private static let sealingInterval: Int64 = 300 * 1_000_000_000
    private static let sealingPortion: Int32 = 1000
    private static let readerInterval: Int64 = 30 * 1_000_000_000
    /// After the start readers' retained states must come first: what was known before may be long past.
    private static let readerDelay: Int64 = 120 * 1_000_000_000

    private let configuration: DatabaseConfiguration
    private let sites: [Identifier]
    private let clientID: String
    private let stateDirectory: String
    /// Of this instance's self-test.
    private let syntheticCode: Identifier?
    private let seat: LeaseSeat
    private let commit: CommitControl
    private let logger: Logger
    private let connected = Atomic(false)
    private let unsealed = Gauge()
    private let complaint = Mutex<String?>(nil)
    private let selfTest = Mutex<SelfTestFailure?>(nil)
    private let stopDescriptor: Int32
    private let started = linux_monotonic_nanoseconds()

    /// - Parameters:
    ///   - sites: those that this instance serves; empty: all.
    ///   - clientID: what makes this instance the same over its lives.
    init(
        _ configuration: DatabaseConfiguration, sites: [Identifier], clientID: String, stateDirectory: String,
        syntheticCode: Identifier?, seat: LeaseSeat, commit: CommitControl, logger: Logger
    ) {
        self.configuration = configuration
        self.sites = sites
        self.clientID = clientID
        self.stateDirectory = stateDirectory
        self.syntheticCode = syntheticCode
        self.seat = seat
        self.commit = commit
        self.logger = logger
        stopDescriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    }

    deinit { close(stopDescriptor) }

    var isConnected: Bool { connected.load(ordering: .acquiring) }

    /// What somebody must mend before reports can be stored; empty while all is well or the server is merely away.
    var problems: [String] {
        let failure = selfTest.withLock { $0 }
        return [complaint.withLock { $0 }, failure.map { "self-test: \($0.words)" }].compactMap(\.self)
    }

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                _ = StageThread.start(name: "database") {
                    self.work()
                    continuation.resume()
                }
            }
        } onGracefulShutdown: {
            eventfd_write(self.stopDescriptor, 1)
        }
    }

    private func work() {
        let upkeep = DatabaseUpkeep(configuration)
        var lastUpkeep: Int64?
        var nextSealing: Int64 = 0
        var clock = ServerClockWatch()
        var watch = SightWatch(
            mark: AliveMark(directory: stateDirectory, logger: logger), started: wallClock(),
            monotonic: linux_monotonic_nanoseconds())
        var kernel = KernelClockWatch()
        var isFirstLook = true
        var wasStandby = false
        if linux_clock_is_synchronised() == 0 {
            logger.warning("the kernel does not call its clock synchronised: is a time service running here?")
        }
        repeat {
            let wall = wallClock()
            do throws(StoreFailure) {
                compare(&clock, since: wall, database: try upkeep.probe())
                if let syntheticCode, seat.isHolder {
                    note(try upkeep.selfTestFailure(of: syntheticCode), isFirst: isFirstLook)
                    isFirstLook = false
                }
                let now = linux_monotonic_nanoseconds()
                if seat.isHolder {
                    if wasStandby {
                        // Until now somebody else looked: what our own mark says is not what was seen.
                        watch = SightWatch(
                            takingOverAt: wallClock(), monotonic: now, in: stateDirectory, logger: logger)
                        wasStandby = false
                    }
                    try look(&watch, upkeep, now: now)
                } else if seat.standing == .standby {
                    wasStandby = true
                }
                if lastUpkeep.map({ now - $0 > Self.upkeepInterval }) ?? true {
                    try upkeep.maintain()
                    lastUpkeep = now
                }
                note(nil)
                if now >= nextSealing { nextSealing = now + seal(upkeep) }
            } catch {
                compare(&clock, since: wall, database: nil)
                if seat.isHolder {
                    try? watch.markAlive(now: linux_monotonic_nanoseconds(), at: wallClock(), in: nil)
                }
                note(error)
            }
            let isSynchronised = linux_clock_is_synchronised()
            let unsynchronised = kernel.take(
                isSynchronised: isSynchronised < 0 ? nil : isSynchronised == 1, now: linux_monotonic_nanoseconds(),
                at: wallClock())
            if let unsynchronised { commit.raise(unsynchronised) }
        } while sleep()
    }

    /// When to seal again. That it can't be done is no reason to take no reports.
    private func seal(_ upkeep: DatabaseUpkeep) -> Int64 {
        var wait = Self.sealingInterval
        do throws(StoreFailure) {
            // What a long absence left is sealed turn by turn.
            if try upkeep.sealAudit(most: Self.sealingPortion) >= Int64(Self.sealingPortion) { wait = 0 }
        } catch {
            logger.error("audit chain not sealed", metadata: ["failure": "\(error)"])
        }
        do throws(StoreFailure) {
            unsealed.set(try upkeep.auditUnsealedSeconds())
        } catch {
            logger.error("what is not sealed can't be looked for", metadata: ["failure": "\(error)"])
        }
        return wait
    }

    func families() -> [MetricFamily] {
        [
            .gauge(
                "homeward_audit_unsealed_seconds",
                help: "Age of the oldest row of history that is not sealed, after the last sealing; 0 with none.",
                unsealed.value)
        ]
    }

    /// Of earlier lives, and of readers that have gone silent.
    private func look(_ watch: inout SightWatch, _ upkeep: DatabaseUpkeep, now: Int64) throws(StoreFailure) {
        try watch.markAlive(now: now, at: wallClock()) { [clientID] instant throws(StoreFailure) in
            try upkeep.noteAlive(clientID, at: instant)
        }
        guard watch.isFirstLook || now >= watch.nextReaders else { return }
        let healed = try upkeep.healTimers()
        if healed > 0 { logger.error("reds without a timer have one again", metadata: ["reds": "\(healed)"]) }
        let silent = try upkeep.silentReaders(for: SilentReaders.patience, sites: sites)
        let instant = wallClock()
        commit.noteSight(
            Sight(
                absence: watch.takeAbsence(), crowds: silent.crowds(at: instant), mayBePast: watch.isFirstLook))
        if watch.isFirstLook {
            watch.isFirstLook = false
            watch.nextReaders = now + Self.readerDelay
            return
        }
        watch.nextReaders = now + Self.readerInterval
        commit.raise(silent.findings(at: instant))
    }

    private func compare(_ clock: inout ServerClockWatch, since wall: Instant, database: Instant?) {
        let kernel = linux_clock_is_synchronised()
        commit.doubtClock(
            clock.take(
                ServerClockWatch.Look(
                    wall: wall, wallAfter: wallClock(), monotonic: linux_monotonic_nanoseconds(), database: database,
                    isSynchronised: kernel < 0 ? nil : kernel == 1)))
    }

    /// A self-test that fails makes us not ready until one succeeds. The alert of it is a person's to end.
    private func note(_ failure: SelfTestFailure?, isFirst: Bool) {
        let before = selfTest.withLock { standing in
            defer { standing = failure }
            return standing
        }
        guard failure?.since != before?.since else { return }
        guard let failure else { return logger.notice("self-test succeeded again") }
        logger.critical("self-test failed", metadata: ["failure": "\(failure.words)"])
        // What an earlier life found may have its alert, resolved even: this is another one then.
        commit.raise(
            TechnicalFinding(
                .selfTest, .beyond(.red), at: isFirst ? wallClock() : failure.since,
                summary: SelfTestAlert.summary(failure)))
    }

    private func note(_ failure: StoreFailure?) {
        let wasConnected = connected.exchange(failure == nil, ordering: .acquiringAndReleasing)
        let words = failure.flatMap { $0.kind == .misconfigured ? $0.message : nil }
        let before = complaint.withLock { complaint in
            defer { complaint = words }
            return complaint
        }
        if let failure, wasConnected || words != before {
            logger.error("database can't take reports", metadata: ["failure": "\(failure)"])
        } else if failure == nil, !wasConnected {
            logger.info("database connected")
        }
    }

    /// False when it is time to stop.
    private func sleep() -> Bool {
        var waited = pollfd(fd: stopDescriptor, events: Int16(POLLIN), revents: 0)
        // Who looks is said soon after the start.
        let isNear = seat.standing == .undecided && linux_monotonic_nanoseconds() - started < Self.decision
        return unsafe poll(&waited, 1, isNear ? Self.undecidedInterval : Self.interval) == 0
    }
}
