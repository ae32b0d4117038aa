import CLinux
import Clinical
import Documents
import Glibc
import Ingestion
import Instruments
import Logging
import MQTTClient
import PostgresStore
import RingBuffer
import ServiceLifecycle
import Synchronization
import WebApp

/// Holds the lease of this instance's shard, or waits for it: renewed every 2 s on a connection of its own, it lasts 6 s
/// by PostgreSQL's clock. Reading from the broker is allowed and stopped from here.
///
/// While PostgreSQL is away nobody can renew, and nobody can take: whoever held it goes on, whoever waits does not begin.
/// Where another instance waits, each lost connection to the broker asks for the lease before the next one: the other may
/// have taken it, and a broker that hands the session over does not always say so.
final class LeaseKeeper: Service, MetricsSource {
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
    private let subscriber: SubscriberControl
    private let commit: CommitControl
    private let logger: Logger
    private let wakeUp = WakeUp()
    private let started = linux_monotonic_nanoseconds()
    private let file: Mutex<LeaseFile>
    private let view = Mutex(View())
    private let link = Mutex(Link())

    /// What others see of it.
    struct View: Sendable {
        /// The last answer; nil: none in this life.
        var answer: PostgresLease.Answer?
        /// It can't be read now.
        var isAway = false
        var problem: String?
    }

    private struct Link {
        var connectedAt: Int64?
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
        let isPaired = file.found?.isPaired ?? false
        link.withLock { $0.isPaired = isPaired }
        seat.note(isPaired: isPaired)
        subscriber.hold()
        // A commit that was refused is news too: nothing more is read, and the keeper looks who has it.
        seat.onChange { [subscriber, wakeUp] standing in
            guard standing == .standby else { return }
            subscriber.hold()
            wakeUp.wake()
        }
    }

    private static func machineName() -> String {
        var bytes = [CChar](repeating: 0, count: 256)
        guard unsafe gethostname(&bytes, bytes.count - 1) == 0 else { return "unknown" }
        return String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    // MARK: - What others ask

    /// The machine that holds the lease, as last seen.
    var holder: String? { current.answer?.holder }

    var current: View { view.withLock { $0 } }

    func families() -> [MetricFamily] {
        let answer = current.answer
        return [
            .gauge(
                "homeward_lease_held", help: "1 while this instance is the one that reads and judges, else 0.",
                seat.isHolder ? 1 : 0),
            .gauge(
                "homeward_lease_epoch", help: "The lease's epoch as last seen: it grows with each take-over and start.",
                Double(answer?.epoch ?? 0)),
            .gauge(
                "homeward_lease_standby", help: "1 while another instance waits to take over, as last seen, else 0.",
                answer?.standbys == nil ? 0 : 1),
        ]
    }

    /// For `/readyz`, which is 503 on a standby: it does not read from the broker.
    var readiness: Readiness.Lease {
        let answer = current.answer
        let state: Readiness.Lease.State =
            switch seat.standing {
            case .undecided: .undecided
            case .holder: .held
            case .standby: .standby
            }
        return Readiness.Lease(
            state: state, holder: answer?.holder, epoch: answer?.epoch, standbys: answer?.standbys,
            isHeldByRestore: answer?.isHeld ?? false)
    }

    // MARK: - The broker's side

    /// On the mqtt thread.
    func noteBroker(_ event: BrokerEvent) {
        let now = linux_monotonic_nanoseconds()
        switch event {
        case .connected(.subscriber, _): link.withLock { $0.connectedAt = now }
        case .sessionTakenOver: link.withLock { $0.wasTaken = $0.isPaired }
        case .disconnected(.subscriber, let error) where error.reason != .stoodAside:
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
        while wakeUp.sleep(milliseconds: Int32(clamping: (wait + 999_999) / 1_000_000)) {
            let started = linux_monotonic_nanoseconds()
            // What is lost from here on is asked for again.
            link.withLock { $0.asks = false }
            do throws(StoreFailure) {
                let answer = try lease.renew(
                    state.isFresh ? nil : state.epoch, isStart: state.isFresh, mark: state.mark)
                // Before any file or log that may hang: as we are, so we stay.
                if answer.isMine, seat.standing == .holder(epoch: answer.epoch) { seat.noteLook() }
                take(answer, &state, lease)
                seat.noteLook()
                // Whoever waits looks again when it ends.
                let left =
                    answer.isMine
                    ? Self.interval : min(Self.interval, answer.left.microseconds * 1000 + Self.margin)
                wait = max(Self.margin, started + left - linux_monotonic_nanoseconds())
            } catch {
                fail(error, &state)
                seat.noteLook()
                wait = Self.pause
            }
        }
        release(lease, state)
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
        } else {
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
                    epoch: answer.isMine ? answer.epoch : state.epoch, isPaired: link.withLock(\.isPaired),
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
            goOn()
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

    /// An orderly stop: whoever waits takes over at once.
    private func release(_ lease: PostgresLease, _ state: Life) {
        guard let epoch = seat.epoch else { return }
        // With nobody there to take it, we begin again as its holder, PostgreSQL or not.
        guard current.answer?.standbys != nil else { return }
        do throws(StoreFailure) {
            try lease.release(epoch)
            file.withLock {
                $0.write(
                    LeaseMemory(
                        word: .released, shard: seat.shard, epoch: epoch, isPaired: true, mark: state.mark))
            }
            logger.notice("lease released", metadata: ["epoch": "\(epoch)"])
        } catch {
            logger.warning("the lease can't be released: it ends by itself", metadata: ["failure": "\(error)"])
        }
    }
}
