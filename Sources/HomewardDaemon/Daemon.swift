import Alerting
import Clinical
import Delivery
import Documents
import Foundation
import Ingestion
import Instruments
import Logging
import MQTTClient
import Outage
import PostgresStore
import Registry
import RingBuffer
import ServiceLifecycle
import Spool
import UnixSignals
import WebApp

/// The composition root: every room wired to the others, started and stopped in order.
///
/// Health and metrics answer first and last; the pipeline drains before the dispatcher and the probe end.
struct Daemon {
    private let loaded: LoadedConfiguration
    private let logger: Logger
    private let instruments: PipelineInstruments
    private let pipeline: Pipeline
    private let dispatcher: Dispatcher
    /// Tells of reds while PostgreSQL is away; nil where the spool is switched off.
    private let outageDispatcher: Dispatcher?
    private let probe: DatabaseProbe
    private let lease: LeaseKeeper
    private let desk: PostgresCareDesk
    private let leads: PostgresLeadDesk
    private let board: ServiceBoard
    private let packKeeper: PackKeeper
    private let coverage: CoverageWatch
    private let dailyMessages: DailyMessages
    private let certificateExpiry = CertificateExpiry()
    private let registry: RegistryBoard
    private let notification = ServiceNotification()

    init(_ loaded: LoadedConfiguration, state: StateDirectory, logger: Logger) throws {
        self.loaded = loaded
        self.logger = logger
        let instruments = PipelineInstruments(
            .init(
                reasons: RefusalReason.allCases.map(\.rawValue), alertClasses: AlertClass.allCases.map(\.rawValue),
                severities: Severity.allCases.map(\.rawValue), channels: Channel.allCases.map(\.rawValue)))
        let configuration = loaded.configuration
        let seat = LeaseSeat(shard: loaded.broker.clientID, instance: state.lease.instance)
        let queue = try PostgresDeliveryQueue(loaded.database, syntheticCode: loaded.syntheticCode, seat: seat)
        let commit = CommitControl(awaitsSight: true, onOutbox: { queue.wake() })
        let packKeeper = PackKeeper(
            configured: loaded.packFiles, library: loaded.packs, database: loaded.database, directory: state.path,
            logger: Logger(label: "packs"))
        self.packKeeper = packKeeper
        let subscriber = SubscriberControl()
        lease = LeaseKeeper(
            loaded.database, seat: seat, sites: configuration.sites, file: state.lease, subscriber: subscriber,
            commit: commit, logger: Logger(label: "lease"))
        let packs = packKeeper.library
        let served = configuration.servedChannels
        let snapshots = SnapshotWriter(
            directory: SnapshotDirectory(path: state.path), logger: Logger(label: "snapshots"))
        let board = RegistryBoard()
        let store = PostgresCommitStore(loaded.database, seat: seat) { entries, version in
            snapshots.write(registry: entries, version: version)
            // A pack that was taken away since must not stop the stream: its patients are judged by what is left.
            let registry = RegistryBuilder(packs: packKeeper.library, served: served)
                .build(entries, version: version).registry
            board.show(registry)
            return registry
        }
        let standby = state.outage.map { outage in
            // What waits there has been received, and has not ended.
            instruments.reportsReceived.add(outage.spool.reportsAtOpening)
            if outage.deliveries.damagedRecords > 0 {
                logger.critical(
                    "outage journal damaged: lines left out, the file is kept",
                    metadata: ["file": "outage.journal.corrupt", "lines": "\(outage.deliveries.damagedRecords)"])
            }
            let level = outage.spool.level
            instruments.spoolBytes.observe { Double(level.bytes) }
            instruments.stages.spoolQuotaBytes.set(Double(level.quota))
            return OutageStandby(
                spool: outage.spool, deliveries: outage.deliveries, snapshots: snapshots, packs: packs,
                served: served, logger: Logger(label: "pipeline"))
        }
        var judging = BatchProcessor.Options()
        judging.sites = configuration.sites.isAll ? nil : Set(configuration.sites.codes)
        pipeline = try Pipeline(
            broker: loaded.broker, filters: loaded.topicFilters, store: store, standby: standby,
            durable: .microseconds(configuration.deadlines.durable.microseconds), packs: packs,
            options: judging, crashGuard: state.crashGuard,
            session: BrokerSession(
                directory: state.path, broker: "\(loaded.broker.host):\(loaded.broker.port)",
                clientID: loaded.broker.clientID),
            lease: lease, subscriber: subscriber, commit: commit, instruments: instruments,
            logger: Logger(label: "pipeline"))
        let channels = DeliveryWiring.channels(configuration, broker: subscriber)
        let health = DeliveryWiring.health(commit)
        let outbox: any DeliveryQueue & Sendable =
            state.outage.map { WatchedDeliveryQueue(queue, unsent: commit.unsent, told: $0.deliveries) } ?? queue
        dispatcher = try Dispatcher(
            queue: SeatedDeliveryQueue(outbox, seat: seat), channels: channels, health: health,
            instruments: instruments,
            logger: Logger(label: "delivery"))
        outageDispatcher = try state.outage.map { outage in
            try Dispatcher(
                queue: SeatedDeliveryQueue(outage.deliveries, seat: seat), channels: channels, health: health,
                instruments: instruments,
                logger: Logger(label: "outage-delivery"))
        }
        probe = DatabaseProbe(
            loaded.database, sites: configuration.sites.isAll ? [] : Array(configuration.sites.codes),
            clientID: loaded.broker.clientID, stateDirectory: state.path,
            syntheticCode: Identifier(loaded.syntheticCode), seat: seat, commit: commit,
            logger: Logger(label: "database"))
        desk = PostgresCareDesk(loaded.database, packs: packKeeper, served: served, logger: Logger(label: "page"))
        self.board = Self.serviceBoard(instruments, pipeline.subscriber, probe, commit, lease)
        leads = PostgresLeadDesk(
            loaded.database, board: self.board, packs: packKeeper, desk: desk, served: served)
        packKeeper.onChange { [desk] packs in
            commit.use(packs)
            desk.use(packs)
        }
        coverage = CoverageWatch(
            loaded.database, registry: board, sites: judging.sites, seat: seat, commit: commit,
            logger: Logger(label: "coverage"))
        dailyMessages = DailyMessages(
            loaded.database, registry: board, channels: channels, seat: seat, logger: Logger(label: "daily-message"))
        registry = board
        self.instruments = instruments
        observe()
    }

    /// Gauges that are read at each scrape.
    private func observe() {
        let gauge = pipeline.gauge
        let subscriber = pipeline.subscriber
        let probe = probe
        instruments.ringOccupancy.observe { gauge.occupancy }
        instruments.brokerConnected.observe { subscriber.isConnected ? 1 : 0 }
        instruments.databaseConnected.observe { probe.isConnected ? 1 : 0 }
        // Behind first: a cursor is never ahead of a later look at the one before it.
        instruments.stages.commitQueue.observe {
            let durable = gauge.durable
            return Double(gauge.decoded - durable)
        }
        instruments.stages.decodeQueue.observe {
            let decoded = gauge.decoded
            return Double(gauge.received - decoded)
        }
    }

    func run() async throws {
        let http = webServers()
        let reload = Reload(
            loaded: loaded, packs: packKeeper, notification: notification, logger: logger)
        let watchdog = Watchdog(
            notification: notification, gauge: pipeline.gauge, commit: pipeline.commit,
            subscriber: pipeline.subscriber, probe: probe, lease: lease, logger: logger)
        let instruments = instruments
        let intake = IntakeRate(instruments: instruments) {
            let left = instruments.stages.spoolQuotaBytes.value - instruments.spoolBytes.value
            return Int(exactly: left.rounded()) ?? 0
        }
        let certificates = CertificateWatch(
            files: CertificateFiles(loaded.configuration), expiry: certificateExpiry, commit: pipeline.commit,
            board: registry, logger: Logger(label: "certificates"))
        // Services stop in the reverse order of this list.
        let services: [any Service] =
            http + [desk, leads, board, packKeeper, lease, probe, coverage, dailyMessages]
            + [dispatcher, outageDispatcher].compactMap(\.self).map(DispatcherService.init)
            + [pipeline, watchdog, reload, certificates, intake]
        var configuration = ServiceGroupConfiguration(
            services: services.map {
                .init(
                    service: $0, successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup)
            }, gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "services"))
        configuration.maximumGracefulShutdownDuration = Pipeline.drainLimit + .seconds(8)
        let group = ServiceGroup(configuration: configuration)
        logger.info(
            "started", metadata: ["version": "\(HomewardVersion.current)", "broker": "\(loaded.broker)"])
        // Ready once the configuration is good: servers that are away are waited for.
        notification.ready()
        try await group.run()
        notification.stopping()
    }

    private static func serviceBoard(
        _ instruments: PipelineInstruments, _ subscriber: SubscriberControl, _ probe: DatabaseProbe,
        _ commit: CommitControl, _ lease: LeaseKeeper
    ) -> ServiceBoard {
        ServiceBoard(instruments: instruments) {
            // The probe does not write: a table that refuses reports is seen by the commit thread alone.
            var problems = probe.problems
            if let problem = commit.problem, !problems.contains(problem) { problems.append(problem) }
            if let problem = commit.spoolProblem { problems.append(problem) }
            if let problem = lease.current.problem { problems.append(problem) }
            return (subscriber.isConnected, probe.isConnected, problems)
        }
    }

    private func webServers() -> [any Service] {
        let board = board
        let lease = lease
        let probe = probe
        let http = loaded.configuration.http
        let metrics = loaded.configuration.metrics
        return WebServer.servers(
            http: .init(
                host: http.host, port: Int(http.port),
                tls: http.tls.map { .init(certificate: $0.certificateFile, key: $0.keyFile) }),
            metrics: .init(host: metrics.host, port: Int(metrics.port)),
            page: MetricsPage([instruments, instruments.stages, lease, probe, certificateExpiry]), desk: desk,
            leads: leads, publicURL: http.publicURL,
            readiness: {
                let state = board.readiness()
                return Readiness(
                    broker: state.isBrokerConnected, database: state.isDatabaseConnected, others: state.problems,
                    lease: lease.readiness)
            }, logger: Logger(label: "http"))
    }
}

/// The dispatcher as a service of the group.
struct DispatcherService: Service {
    let dispatcher: Dispatcher

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await dispatcher.run()
        } onGracefulShutdown: {
            dispatcher.stop()
        }
    }
}

/// SIGHUP: new packs, if they are good and approved, or none of that name ever was; the registry is read anew at the next
/// batch.
struct Reload: Service {
    let loaded: LoadedConfiguration
    let packs: PackKeeper
    let notification: ServiceNotification
    let logger: Logger

    func run() async throws {
        let signals = await UnixSignalsSequence(trapping: .sighup)
        for await _ in signals.cancelOnGracefulShutdown() {
            notification.reloading()
            do throws(DocumentProblems) {
                let again = try LoadedConfiguration(path: loaded.path)
                packs.use(again.packFiles)
                logger.info("packs and registry reloaded")
            } catch {
                for problem in error.problems {
                    logger.error(
                        "not reloaded, the old packs stay in force",
                        metadata: [
                            "file": "\(problem.file)", "line": "\(problem.line ?? 0)", "problem": "\(problem.message)",
                        ])
                }
            }
            notification.ready()
        }
    }
}
