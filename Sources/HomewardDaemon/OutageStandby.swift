import Alerting
import CLinux
import Clinical
import Delivery
import Dispatch
import Documents
import Ingestion
import Instruments
import Logging
import Outage
import Registry
import Spool
import Synchronization

/// The spool, the memory and the deliveries that carry the pipeline over an outage of PostgreSQL, in the state
/// directory. Made before the pipeline starts, then the commit thread's; `dispatcher` and `keep` are for others.
final class OutageStandby: Standby {
    /// How often the memory of open alerts is read anew and written to disk.
    private static let refreshInterval: Int64 = 30_000_000_000
    /// The same after a red: a daemon that is killed and starts in an outage would tell of it again.
    private static let refreshAfterRed: Int64 = 2_000_000_000
    /// How often the rule windows are written: they are large, and what they lack of the last minutes is a reading or two
    /// of a patient.
    private static let windowsInterval: Int64 = 600_000_000_000

    let spool: any ReportSpool
    private let store: OutageStore
    private let deliveries: OutageDeliveries
    private let snapshots: SnapshotWriter
    private let logger: Logger
    private var nextRefresh: Int64 = 0
    private var nextWindows: Int64 = 0

    var memory: any CommitStore { store }
    var ledger: any OutageLedger { deliveries }

    init(
        spool: any ReportSpool, deliveries: OutageDeliveries, snapshots: SnapshotWriter,
        packs: PackLibrary, served: ServedChannels, logger: Logger
    ) {
        self.spool = spool
        self.deliveries = deliveries
        self.snapshots = snapshots
        self.logger = logger
        store = OutageStore()
        restore(packs: packs, served: served)
    }

    /// What an earlier life knew, so that judging goes on also when this one begins in an outage.
    private func restore(packs: PackLibrary, served: ServedChannels) {
        do throws(OutageFault) {
            if let kept = try snapshots.directory.readRegistry() {
                let builder = RegistryBuilder(packs: packs, served: served)
                store.use(builder.build(kept.entries, version: kept.version).registry)
            }
            if let state = try snapshots.directory.readState() { store.restore(state) }
        } catch {
            logger.error(
                "snapshot can't be read: in an outage patients are unknown until PostgreSQL was there once",
                metadata: ["cause": "\(error)"])
        }
        store.adopt(deliveries.openEpisodes)
    }

    func tell(_ changes: [EpisodeChange], registry: Registry) {
        tell(Route(registry: registry).outageNotices(for: changes))
    }

    func tell(_ notices: [OutageNotice]) {
        do throws(OutageFault) {
            try deliveries.add(notices)
        } catch {
            logger.critical(
                "outage journal can't be written: reds are sent, but a crash would send them again",
                metadata: ["cause": "\(error)"])
        }
    }

    func note(_ memory: JudgingMemory, registry: Registry) {
        // Of the same version it may be built with other packs.
        store.use(registry)
        store.note(memory)
        guard memory.episodes.contains(where: { $0.episode.severity == .red }) else { return }
        nextRefresh = min(nextRefresh, linux_monotonic_nanoseconds() + Self.refreshAfterRed)
    }

    var isRefreshDue: Bool { linux_monotonic_nanoseconds() >= nextRefresh }

    func refresh(from database: any CommitStore) throws(StoreFailure) {
        nextRefresh = linux_monotonic_nanoseconds() + Self.refreshInterval
        _ = try database.begin()
        store.replaceOpenEpisodes(try database.everyOpenEpisode())
        store.forget(try database.enteredInError(since: wallClock() - OutageStore.longestMemory))
        store.replaceWaitingReds(try database.everyTimer(HeldRed.kind))
        try database.commit()
        snapshots.write(episodes: store.everyOpenEpisode(), timers: store.waitingReds)
        guard linux_monotonic_nanoseconds() >= nextWindows else { return }
        writeWindows()
    }

    private func writeWindows() {
        guard let windows = store.takeChangedWindows(at: wallClock()) else { return }
        nextWindows = linux_monotonic_nanoseconds() + Self.windowsInterval
        snapshots.write(windows: windows)
    }

    func endOutage() {
        deliveries.endOutage()
        store.endOutage()
        nextRefresh = 0
    }

    func close() {
        snapshots.write(episodes: store.everyOpenEpisode(), timers: store.waitingReds)
        writeWindows()
        snapshots.finish()
    }
}

/// Writes the snapshots on a queue of its own: encoding a large registry takes longer than a report may wait.
final class SnapshotWriter: Sendable {
    let directory: SnapshotDirectory
    private let queue = DispatchQueue(label: "snapshots")
    private let logger: Logger
    private let complaints = RepeatedWords()

    init(directory: SnapshotDirectory, logger: Logger) {
        self.directory = directory
        self.logger = logger
    }

    func write(registry entries: [RegistryEntry], version: Int64) {
        run { directory throws(OutageFault) in try directory.write(registry: entries, version: version) }
    }

    func write(episodes: [Episode], timers: [Alerting.Timer]) {
        run { directory throws(OutageFault) in try directory.write(episodes: episodes, timers: timers) }
    }

    func write(windows: [Identifier: OutageState.Window]) {
        run { directory throws(OutageFault) in try directory.write(windows: windows) }
    }

    /// Returns when everything is on disk.
    func finish() { queue.sync {} }

    private func run(_ body: @escaping @Sendable (SnapshotDirectory) throws(OutageFault) -> Void) {
        queue.async { [directory, logger, complaints] in
            do throws(OutageFault) {
                try body(directory)
            } catch {
                guard let count = complaints.take("\(error)") else { return }
                logger.error("snapshot was not written", metadata: ["cause": "\(error)", "count": "\(count)"])
            }
        }
    }
}
