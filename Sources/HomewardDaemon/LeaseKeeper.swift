import Alerting
import CLinux
import Clinical
import Delivery
import Documents
import Glibc
import Ingestion
import Logging
import MQTTClient
import PostgresStore
import RingBuffer
import ServiceLifecycle
import Synchronization

/// Holds the lease of this instance's shard, or waits for it: renewed every 2 s on a connection of its own, it lasts 6 s
/// by PostgreSQL's clock. Reading from the broker is allowed and stopped from here.
///
/// While PostgreSQL is away nobody can renew, and nobody can take: whoever held it goes on, whoever waits does not begin.
/// Where another instance waits, each lost connection to the broker asks for the lease before the next one: the other may
/// have taken it, and a broker that hands the session over does not always say so. Without an answer it goes on only once
/// it has asked in vain for as long as the lease lasts.
final class LeaseKeeper: Service {
    private static let interval: Int64 = 2_000_000_000
    private static let margin: Int64 = 20_000_000
    /// After a failure.
    private static let pause: Int64 = 500_000_000
    /// For how long a holder that can't read the lease leaves the broker to whoever took the session from it.
    private static let yield: Int64 = 60_000_000_000
    /// After so long without another instance this one is alone.
    private static let loneliness: Int64 = 86_400_000_000_000
    /// A connection to the broker that stood no longer was taken away.
    private static let shortLived: Int64 = 5_000_000_000

    let seat: LeaseSeat
    private let configuration: DatabaseConfiguration
    private let name: String
    private let sites: String
    let subscriber: SubscriberControl
    private let commit: CommitControl
    let logger: Logger
    private let wakeUp = WakeUp()
    private let beats = Atomic<Int>(0)
    private let started = linux_monotonic_nanoseconds()
    let file: Mutex<LeaseFile>
    private let view = Mutex(View())
    let link = Mutex(Link())

    /// What others see of it.
    struct View: Sendable {
        /// The last answer; nil: none in this life.
        var answer: PostgresLease.Answer?
        /// It can't be read now.
        var isAway = false
        var problem: String?
    }

    struct Link {
        var connectedAt: Int64?
        var absence = BrokerAbsence()
        /// No connection to the broker before the lease was asked for again.
        var asks = false
        /// The session went to another client.
        var wasTaken = false
        var yieldsUntil: Int64?
        var isPaired = false
        /// When another instance was last there; monotonic nanoseconds.
        var seenAt: Int64?
    }

    init(
        _ configuration: DatabaseConfiguration, seat: LeaseSeat, sites: Configuration.Sites, file: LeaseFile,
        subscriber: SubscriberControl, commit: CommitControl, logger: Logger
    ) {
        var own = configuration
        own.deadline = min(configuration.deadline, .seconds(2))
        self.configuration = own
        self.sites = sites.isAll ? "*" : sites.codes.map(\.description).sorted().joined(separator: ",")
        self.subscriber = subscriber
        self.commit = commit
        self.logger = logger
        name = Self.machineName()
        self.seat = seat
        self.file = Mutex(file)
        let age = file.found?.secondsAlone(at: Self.wallSeconds()) ?? .max
        let isPaired = age < Self.loneliness / 1_000_000_000
        link.withLock { link in
            link.isPaired = isPaired
            if isPaired { link.seenAt = started - age * 1_000_000_000 }
        }
        seat.note(isPaired: isPaired)
        subscriber.hold()
        // A commit that was refused is news too: nothing more is read, and the keeper looks who has it.
        seat.onChange { [subscriber, wakeUp] standing in
            guard standing == .standby else { return }
            subscriber.hold()
            wakeUp.wake()
        }
    }

    static func wallSeconds() -> Int64 { wallClock().microseconds / 1_000_000 }

    private static func machineName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// What others see of it.
    var current: View { view.withLock { $0 } }

    private var isPaired: Bool { link.withLock(\.isPaired) }

    /// Grows with each look; the watchdog compares it.
    var beatCount: Int { beats.load(ordering: .relaxed) }

    // MARK: - The broker's side

    /// On the mqtt thread.
    func noteBroker(_ event: BrokerEvent) {
        let now = linux_monotonic_nanoseconds()
        switch event {
        case .connected(.subscriber, _):
            link.withLock { link in
                link.connectedAt = now
                link.absence.end()
            }
        case .sessionTakenOver: link.withLock { $0.wasTaken = $0.isPaired }
        case .disconnected(.subscriber, let error) where error.reason == .stoodAside:
            link.withLock { $0.absence.end() }
        case .disconnected(.subscriber, _):
            link.withLock { $0.absence.failed(at: now) }
            let asks = link.withLock { link -> Bool in
                guard link.isPaired, let since = link.connectedAt else { return false }
                link.connectedAt = nil
                link.asks = true
                if now - since < Self.shortLived { link.wasTaken = true }
                return true
            }
            guard asks else { return }
            subscriber.hold()
            wakeUp.wake()
        default: break
        }
    }

    // MARK: - The thread

    func run() async throws {
        await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                _ = StageThread.start(name: "lease") {
                    self.work()
                    continuation.resume()
                }
            }
        } onGracefulShutdown: {
            self.wakeUp.stop()
        }
    }

    private func work() {
        let lease = PostgresLease(
            configuration, shard: seat.shard, instance: seat.instance, name: name, sites: sites)
        let found = file.withLock(\.found)
        // Another client id is another lease.
        let isOurs = found?.shard == seat.shard
        var state = Life(mark: isOurs ? found?.mark : nil, epoch: isOurs ? found?.epoch : nil)
        var wait: Int64 = 0
        while sleep(wait, lease) {
            let started = linux_monotonic_nanoseconds()
            beats.add(1, ordering: .relaxed)
            if let until = state.leavesUntil, until > started {
                wait = until - started
                continue
            }
            // What is lost from here on is asked for again.
            link.withLock { $0.asks = false }
            state.doubt.begin(at: started)
            do throws(StoreFailure) {
                let answer = try lease.renew(
                    state.isFresh ? nil : state.epoch, isStart: state.isFresh, mark: state.mark)
                guard state.doubt.answered(begun: started, at: linux_monotonic_nanoseconds()) else {
                    wait = Self.margin
                    continue
                }
                // Before any file or log that may hang: as we are, so we stay.
                if answer.isMine, seat.standing == .holder(epoch: answer.epoch) { seat.noteLook() }
                take(answer, &state, lease)
                seat.noteLook()
                if answer.isMine, answer.standbys != nil, leave(lease, answer, state.mark) {
                    state.leavesUntil = linux_monotonic_nanoseconds() + LeaseDoubt.span
                    continue
                }
                // Whoever waits looks again when it ends.
                let left =
                    answer.isMine
                    ? Self.interval : min(Self.interval, answer.left.microseconds * 1000 + Self.margin)
                wait = max(Self.margin, started + left - linux_monotonic_nanoseconds())
            } catch {
                state.doubt.failed(begun: started, at: linux_monotonic_nanoseconds())
                fail(error, &state)
                if !isPaired || state.doubt.mayBeTrusted { seat.noteLook() }
                wait = Self.pause
            }
        }
        release(lease, mark: state.mark)
    }

    /// Nanoseconds, or until a lease is released. False when it is time to stop.
    private func sleep(_ wait: Int64, _ lease: PostgresLease) -> Bool {
        // What came along with an answer is in libpq already.
        let milliseconds = lease.takeNews() ? 0 : Int32(clamping: (wait + 999_999) / 1_000_000)
        defer { _ = lease.takeNews() }
        return wakeUp.sleep(milliseconds: milliseconds, orReadable: lease.descriptor)
    }

    /// What the thread remembers between its looks.
    private struct Life {
        /// The most renewals ever seen.
        var mark: Int64?
        /// As whose holder this instance was last.
        var epoch: Int64?
        /// It has not held it in this life, nor gone on as its last holder.
        var isFresh = true
        var hasComplained = false
        /// Whoever waits takes the lease meanwhile; monotonic nanoseconds.
        var leavesUntil: Int64?
        var doubt = LeaseDoubt()
        /// What the technical alert about a restore was last told; nil: nothing since the lease was taken.
        var toldHeld: Bool?
    }

    private func take(_ answer: PostgresLease.Answer, _ state: inout Life, _ lease: PostgresLease) {
        state.mark = max(state.mark ?? 0, answer.mark)
        state.hasComplained = false
        let before = view.withLock { view in
            let before = view.answer
            view.answer = answer
            view.isAway = false
            view.problem = mismatch(answer)
            return before
        }
        if answer.isHeld, before?.isHeld != true {
            logger.critical(
                "the database is behind what this instance remembers: what was long due waits for `homeward timers`",
                metadata: ["remembered": "\(state.mark ?? 0)"])
        }
        seat.hasHandover = answer.hasHandover
        let standing = seat.standing
        if answer.isMine {
            state.isFresh = false
            state.epoch = answer.epoch
            let now = linux_monotonic_nanoseconds()
            let isPaired = link.withLock { link in
                // One that was there may come back at any time; after a day without it we are alone.
                if answer.standbys != nil {
                    link.isPaired = true
                    link.seenAt = now
                } else if now - (link.seenAt ?? started) > Self.loneliness {
                    link.isPaired = false
                }
                link.wasTaken = false
                link.yieldsUntil = nil
                return link.isPaired
            }
            seat.note(isPaired: isPaired)
            if standing != .holder(epoch: answer.epoch) {
                if standing == .standby { commit.noteTakeover() }
                endOtherCommits(lease)
                seat.set(.holder(epoch: answer.epoch))
                logger.notice(
                    "lease taken",
                    metadata: [
                        "shard": "\(seat.shard)", "epoch": "\(answer.epoch)", "instance": "\(seat.instance)",
                    ])
            }
            if answer.standbys != before?.standbys {
                logger.info("standby", metadata: ["instances": "\(answer.standbys ?? "none")"])
            }
            subscriber.allow()
            tellOfRestore(answer, &state)
        } else {
            state.toldHeld = nil
            link.withLock { link in
                link.isPaired = true
                link.seenAt = linux_monotonic_nanoseconds()
            }
            seat.note(isPaired: true)
            if case .holder = standing {
                logger.error("lease lost", metadata: ["holder": "\(answer.holder)", "epoch": "\(answer.epoch)"])
            } else if before?.epoch != answer.epoch {
                logger.notice(
                    "standing by", metadata: ["holder": "\(answer.holder)", "epoch": "\(answer.epoch)"])
            }
            // It was ours before it was another's: an earlier life's can't be taken back at once any more.
            state.isFresh = false
            subscriber.hold()
            seat.set(.standby)
        }
        remember(answer, state)
    }

    /// One technical alert a hold: a later start or take-over adds to it. Where the hold ended while nobody was there it
    /// ends now.
    private func tellOfRestore(_ answer: PostgresLease.Answer, _ state: inout Life) {
        guard answer.isHeld != state.toldHeld else { return }
        state.toldHeld = answer.isHeld
        commit.raise(
            TechnicalFinding(
                .databaseRestored, answer.isHeld ? .beyond(.amber) : .inRange, at: wallClock(),
                summary: answer.isHeld
                    ? "The database was restored: timers and messages that were due over an hour before wait for "
                        + "`homeward timers`."
                    : "What waited after the database was restored was released or expired."))
    }

    /// Where it fails, an earlier holder's locks last until PostgreSQL finds it gone.
    private func endOtherCommits(_ lease: PostgresLease) {
        do throws(StoreFailure) {
            let uptime = Interval(microseconds: (linux_monotonic_nanoseconds() - started) / 1000)
            let ended = try lease.endOtherCommits(uptime: uptime)
            if ended > 0 { logger.notice("ended an earlier holder's sessions", metadata: ["sessions": "\(ended)"]) }
        } catch {
            logger.warning("an earlier holder's sessions can't be ended", metadata: ["failure": "\(error)"])
        }
    }

    /// Two configurations that are no pair.
    private func mismatch(_ answer: PostgresLease.Answer) -> String? {
        guard !answer.isMine, answer.sites != sites else { return nil }
        return "the lease \(seat.shard) is held by \(answer.holder) for sites \(answer.sites), and this instance "
            + "serves \(sites): give each shard its own broker.client_id"
    }

    private func remember(_ answer: PostgresLease.Answer, _ state: Life) {
        file.withLock { file in
            let mark = state.mark ?? answer.mark
            // Not at each renewal: what the database may be behind is minutes.
            let kept = file.written?.mark ?? 0
            file.write(
                LeaseMemory(
                    word: answer.isMine ? .held : .released, shard: seat.shard,
                    epoch: answer.isMine ? answer.epoch : state.epoch, pairedAt: pairedAt,
                    mark: mark - kept < 15 && kept <= mark ? max(kept, 1) : mark))
        }
    }

    /// PostgreSQL is away, or somebody must mend it: nobody can take the lease from whoever held it.
    private func fail(_ failure: StoreFailure, _ state: inout Life) {
        view.withLock { $0.isAway = true }
        switch seat.standing {
        case .undecided:
            let found = file.withLock(\.found)
            if let found, found.word == .held, found.shard == nil || found.shard == seat.shard {
                // The other may have it by now.
                guard !isPaired || state.doubt.hasLasted else { return }
                logger.warning(
                    "the lease can't be read: going on as its last holder",
                    metadata: ["epoch": "\(found.epoch.map(String.init) ?? "none")", "failure": "\(failure)"])
                state.isFresh = found.epoch == nil
                seat.set(.holder(epoch: found.epoch))
                subscriber.allow()
            } else if !state.hasComplained {
                state.hasComplained = true
                logger.warning(
                    "the lease can't be read, and this instance did not hold it last: waiting",
                    metadata: ["failure": "\(failure)"])
            }
        case .holder:
            if !isPaired || state.doubt.hasLasted { goOn() }
        case .standby: break
        }
    }

    /// Without a word of the lease: back to the broker, unless it gave our session to somebody else.
    private func goOn() {
        let now = linux_monotonic_nanoseconds()
        let mayRead = link.withLock { link -> Bool in
            guard link.wasTaken else { return !link.asks }
            if let until = link.yieldsUntil {
                guard now >= until else { return false }
                link.wasTaken = false
                link.yieldsUntil = nil
                return true
            }
            link.yieldsUntil = now + Self.yield
            logger.error("another client has our session, and the lease can't be read: leaving the broker to it")
            return false
        }
        if mayRead { subscriber.allow() }
    }
}
