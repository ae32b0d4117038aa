import Alerting
import Clinical
import Documents
import Ingestion
import Logging
import PostgresStore
import ServiceLifecycle
import Synchronization

/// Which content of each configured pack is in force.
///
/// The one that was approved last, as the database keeps it; a changed file waits for its approval, and never leaves a
/// patient without limits. A pack of which no content was ever approved is in force as it is configured, and every page
/// says that the limits are not approved here. An approved pack whose file is gone stays: its patients keep their limits.
/// What was approved is kept beside the spool too, so that a daemon that starts while the database is away judges by it.
/// Where an approved content can't be read any more, or does not go with the others, what was in force stays; at a start,
/// where nothing was, as many approved ones as go together, and the pages say so.
///
/// It looks every few seconds: another instance may have taken the approval. Any thread may ask.
final class PackKeeper: Service {
    private struct State {
        var configured: [PackBytes]
        var isRecorded = false
        var approved: [PackBytes] = []
        var inForce: [PackBytes]
        var library: PackLibrary
        /// Approved ones have been in force: what does not go together does not replace them.
        var isSettled = false
        var gone: Set<String> = []
        var complaint: String?
        var listeners: [@Sendable (PackLibrary) -> Void] = []
    }

    private static let interval = Duration.seconds(3)

    private let store: DeskThreads<PackStore>
    private let file: ApprovedPacksFile
    private let logger: Logger
    private let state: Mutex<State>

    /// Asks the database once, within its deadline; while it is away, what was approved is read from `directory`.
    ///
    /// - Parameter library: the configured packs, checked.
    init(
        configured: [PackBytes], library: PackLibrary, database: DatabaseConfiguration, directory: String,
        logger: Logger
    ) {
        store = DeskThreads(name: "packs", count: 1, limit: 16, logger: logger) { PackStore(database) }
        file = ApprovedPacksFile(directory: directory)
        self.logger = logger
        state = Mutex(State(configured: configured, inForce: configured, library: library))
        let first = PackStore(database)
        do throws(StoreFailure) {
            try look(in: first)
        } catch {
            takeKept()
        }
    }

    private func takeKept() {
        do throws(ApprovedPacksFile.Unusable) {
            let approved = try file.read()
            logger.warning(
                "the database does not answer: judging by the packs approved when it last did",
                metadata: ["packs": "\(approved.map(\.code).joined(separator: ", "))"])
            take(approved: approved)
        } catch {
            logger.error(
                "the database does not answer, and what was approved is not known: judging by the packs as configured",
                metadata: ["problem": "\(error)"])
            take(approved: [])
        }
    }

    var library: PackLibrary { state.withLock { $0.library } }
    /// SHA-256 of the content in force, by pack.
    var hashes: [String: [UInt8]] {
        state.withLock { state in
            Dictionary(state.inForce.map { ($0.code, $0.hash) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Whether what is in force of every pack is what was approved last of it.
    var isApproved: Bool { state.withLock { PackChoice.isApproved($0.inForce, by: $0.approved) } }

    /// Called with what is in force whenever that has changed.
    func onChange(_ tell: @escaping @Sendable (PackLibrary) -> Void) { state.withLock { $0.listeners.append(tell) } }

    /// The configuration was read again.
    func use(_ configured: [PackBytes]) {
        state.withLock { state in
            state.configured = configured
            state.isRecorded = false
        }
        take(approved: nil)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                do { try await Task.sleep(for: Self.interval) } catch { break }
                // A database that is away changes nothing; others tell of it.
                try? await self.look()
            }
        }
        store.close()
    }

    /// At once: whoever just approved one sees it in force.
    func look() async throws(CareDeskUnavailable) {
        try await store.run { store throws(StoreFailure) in try self.look(in: store) }
    }

    /// What was ever met with one of those hashes.
    func contents(_ hashes: [[UInt8]]) async throws(CareDeskUnavailable) -> [PackBytes] {
        try await store.run { store throws(StoreFailure) in try store.contents(hashes) }
    }

    private func look(in store: PackStore) throws(StoreFailure) {
        let (configured, isRecorded) = state.withLock { ($0.configured, $0.isRecorded) }
        if !isRecorded { try store.record(configured) }
        let approved = try store.approved()
        state.withLock { $0.isRecorded = $0.configured == configured }
        take(approved: approved)
    }

    /// - Parameter approved: nil: as they were known.
    private func take(approved: [PackBytes]?) {
        let (configured, known, isNew, inForce, isSettled) = state.withLock { state in
            let isNew = approved.map { $0 != state.approved } ?? false
            if let approved { state.approved = approved }
            return (state.configured, state.approved, isNew, state.inForce, state.isSettled)
        }
        if isNew, !file.write(known) {
            logger.error("approved packs can't be kept for a start without the database")
        }
        warn(of: Set(known.map(\.code)).subtracting(configured.map(\.code)))
        let wanted = PackChoice.wanted(configured, approved: known)
        guard wanted != inForce else {
            if !known.isEmpty { state.withLock { $0.isSettled = true } }
            return
        }
        let (library, problems) = PackLibrary.load(wanted)
        if problems.isEmpty { return putInForce(wanted, library, isSettled: !known.isEmpty) }
        complain(problems.map(\.description).joined(separator: "; "))
        guard !isSettled, let most = PackChoice.most(configured, approved: known) else { return }
        let others = most.files.filter { !known.contains($0) }.map(\.code)
        logger.error(
            "of these packs what is configured is in force, though it is not approved",
            metadata: ["packs": "\(others.joined(separator: ", "))"])
        putInForce(most.files, most.library, isSettled: most.files.contains { known.contains($0) })
    }

    private func putInForce(_ files: [PackBytes], _ library: PackLibrary, isSettled: Bool) {
        let listeners = state.withLock { state -> [@Sendable (PackLibrary) -> Void]? in
            if isSettled { state.isSettled = true }
            guard state.inForce != files else { return nil }
            state.inForce = files
            state.library = library
            return state.listeners
        }
        guard let listeners else { return }
        logger.notice("packs in force have changed")
        for tell in listeners { tell(library) }
    }

    private func warn(of gone: Set<String>) {
        let isNew = state.withLock { state in
            defer { state.gone = gone }
            return !gone.isEmpty && state.gone != gone
        }
        guard isNew else { return }
        logger.warning(
            "approved packs that are not configured any more stay in force",
            metadata: ["packs": "\(gone.sorted().joined(separator: ", "))"])
    }

    private func complain(_ words: String) {
        let isNew = state.withLock { state in
            defer { state.complaint = words }
            return state.complaint != words
        }
        guard isNew else { return }
        logger.error("approved packs can't all be used together", metadata: ["problem": "\(words)"])
    }
}
