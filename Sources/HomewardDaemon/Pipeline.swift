import Alerting
import Clinical
import Delivery
import Foundation
import Ingestion
import Instruments
import Logging
import MQTTClient
import RingBuffer
import ServiceLifecycle
import Synchronization

/// The three threads around the ring: mqtt, decode, commit. One service of the daemon.
///
/// A graceful shutdown stops reading, waits until what was read is committed, acknowledges it, sends its receipts and
/// disconnects. What can't be committed within `drainLimit` stays unacknowledged: the broker has it still.
struct Pipeline: Service {
    /// Slots of the ring: twice the broker's window, so that a redelivered window fits beside one that is in work.
    static let capacity = 4096
    /// Shorter than systemd's TimeoutStopSec.
    static let drainLimit = Duration.seconds(20)

    private let broker: BrokerSettings
    private let filters: [String]
    private let ends: Handoff<RingEnds<Slot>>
    private let store: Handoff<StoreBox>
    private let durable: Duration
    private let packs: PackLibrary
    private let options: BatchProcessor.Options
    private let crashGuard: CrashGuard?
    private let session: BrokerSession
    private let lease: LeaseKeeper
    private let instruments: PipelineInstruments
    private let logger: Logger
    let gauge: RingGauge
    let subscriber: SubscriberControl
    let commit: CommitControl

    /// The commit thread's store and standby on their way to that thread: whoever takes them owns them.
    struct StoreBox: @unchecked Sendable, ~Copyable {
        // Handed over once, before the thread starts; never touched by two threads.
        let store: any CommitStore
        let standby: (any Standby)?
        let handover: (any Handover)?
    }

    init(
        broker: BrokerSettings, filters: [String], store: any CommitStore & Handover, standby: (any Standby)?,
        durable: Duration, packs: PackLibrary, options: BatchProcessor.Options, crashGuard: CrashGuard?,
        session: BrokerSession, lease: LeaseKeeper, subscriber: SubscriberControl, commit: CommitControl,
        instruments: PipelineInstruments, logger: Logger
    ) throws {
        let ends = try RingEnds<Slot>(capacity: Self.capacity) { _ in Slot() }
        gauge = ends.gauge
        self.ends = Handoff(ends)
        self.store = Handoff(StoreBox(store: store, standby: standby, handover: store))
        self.durable = durable
        self.broker = broker
        self.filters = filters
        self.packs = packs
        self.options = options
        self.crashGuard = crashGuard
        self.session = session
        self.lease = lease
        self.subscriber = subscriber
        self.commit = commit
        self.instruments = instruments
        self.logger = logger
    }

    /// Throws when a stage failed: the daemon then ends with a failure and systemd starts it again.
    func run() async throws {
        let outcome = await withGracefulShutdownHandler {
            await withCheckedContinuation { continuation in
                start { continuation.resume(returning: $0) }
            }
        } onGracefulShutdown: {
            subscriber.stop(within: Self.drainLimit)
        }
        switch outcome {
        case .stopped: logger.info("pipeline drained")
        case .stoppedUnacknowledged:
            logger.warning("pipeline stopped with unacknowledged reports; the broker keeps them")
        case .stageFailed: throw PipelineFailure()
        }
    }

    private func start(
        whenDone: @escaping @Sendable (SubscriberOutcome) -> Void
    ) {
        let ring = ends.take()
        let decoder = Handoff(ring.decoder)
        let committer = Handoff(ring.committer)
        let producer = Handoff(ring.producer)
        let decodeThread = StageThread.start(name: "decode") {
            var stage = DecodeStage(crashGuard: crashGuard)
            stage.run(decoder.take())
        }
        let commitThread = StageThread.start(name: "commit") {
            crashGuard?.prepareThread()
            let stores = store.take()
            var stage = CommitStage(
                processor: BatchProcessor(packs: packs, options: options, crashGuard: crashGuard), store: stores.store,
                standby: stores.standby, seat: lease.seat, handover: stores.handover, durable: durable,
                instruments: instruments, control: commit, logger: logger)
            stage.run(committer.take())
        }
        _ = StageThread.start(name: "mqtt") {
            let inbox = RingInbox(ring: producer.take(), instruments: instruments, drained: commit.receipts)
            let subscriber = GatedSubscriber(
                settings: broker, filters: filters, inbox: inbox, control: subscriber,
                observer: BrokerObserver(
                    logger: logger, commit: commit, session: session, lease: lease,
                    connects: instruments.stages.brokerConnects
                ).observe)
            let outcome = subscriber.run()
            // The producer is gone with the subscriber, so both stages come to their end.
            if outcome != .stopped { commit.giveUp() }
            decodeThread.join()
            commitThread.join()
            whenDone(outcome)
        }
    }
}

/// A stage of the pipeline ended before it was asked to.
struct PipelineFailure: Error, CustomStringConvertible {
    var description: String { "a stage of the pipeline failed" }
}

/// Broker events as log lines, by who must act.
struct BrokerObserver: Sendable {
    let logger: Logger
    let commit: CommitControl
    let session: BrokerSession
    let lease: LeaseKeeper
    let connects: Counter
    private let repeats = RepeatedWords()

    init(
        logger: Logger, commit: CommitControl, session: BrokerSession, lease: LeaseKeeper, connects: Counter
    ) {
        self.logger = logger
        self.lease = lease
        self.connects = connects
        self.commit = commit
        self.session = session
    }

    func observe(_ event: BrokerEvent) {
        lease.noteBroker(event)
        switch event {
        case .connected(let client, let sessionPresent):
            if client == .subscriber { connects.add() }
            logger.info(
                "broker connected",
                metadata: ["client": "\(client.rawValue)", "session_present": "\(sessionPresent)"])
            // Of losses within one life the subscriber itself tells.
            if client == .subscriber, session.takeExpectation(), !sessionPresent { tellOfLostSession() }
        case .subscribed:
            logger.info("broker subscribed")
            session.note()
            commit.noteBroker(isConnected: true)
        case .disconnected(let client, let error):
            if client == .subscriber { commit.noteBroker(isConnected: false) }
            if error.reason == .stoodAside {
                logger.info("left the broker", metadata: ["client": "\(client.rawValue)"])
                break
            }
            guard let count = repeats.take("\(client.rawValue) \(error)") else { break }
            logger.warning(
                "broker disconnected",
                metadata: ["client": "\(client.rawValue)", "cause": "\(error)", "count": "\(count)"])
        case .lostSession:
            tellOfLostSession()
        case .subscriptionRefused(let code):
            guard let count = repeats.take("refused \(code)") else { break }
            logger.error("broker refused the subscription", metadata: ["code": "\(code)", "count": "\(count)"])
        case .sessionTakenOver:
            guard let count = repeats.take("taken over") else { break }
            logger.error(
                "another client took over our session: is a second instance running?", metadata: ["count": "\(count)"])
        case .sessionContested:
            guard let count = repeats.take("contested") else { break }
            logger.error(
                "the broker accepts and closes at once: is a second instance running under our client id?",
                metadata: ["count": "\(count)"])
        case .heldTooLong:
            guard let count = repeats.take("held") else { break }
            logger.warning(
                "reports are not durable in time: the broker's connection is closed until they are",
                metadata: ["count": "\(count)"])
        case .publicationsRefused(let code, let count):
            logger.error("broker refused receipts", metadata: ["code": "\(code)", "count": "\(count)"])
        }
    }

    private func tellOfLostSession() {
        logger.error("broker lost our session: reports that it had queued may be gone")
        commit.raise(
            TechnicalFinding(
                .lostSession, .beyond(.amber), at: wallClock(),
                summary: "The broker had lost our session: reports that it had queued are gone, unless their "
                    + "readers kept them until their receipts."))
    }
}
