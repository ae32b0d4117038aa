import Alerting
import Clinical
import Documents
import Foundation
import Ingestion
import Logging
import PostgresStore
import ServiceLifecycle
import Synchronization

/// Which content of each configured pack is in force.
///
/// The one that was approved last, as the database keeps it; a changed file waits for its approval, and never leaves a
/// patient without limits. A pack of which no content was ever approved is in force as it is configured, and every page
/// says that the limits are not approved here. What was approved is kept beside the spool too, so that a daemon that starts
/// while the database is away judges by it. Where an approved content can't be read any more, or does not go with the
/// others, what was in force stays.
///
/// It looks every few seconds: another instance may have taken the approval. Any thread may ask.
final class PackKeeper: Service {
    private struct State {
        var configured: [PackBytes]
        var isRecorded = false
        var approved: [PackBytes] = []
        var inForce: [PackBytes]
        var library: PackLibrary
        var complaint: String?
        var listeners: [@Sendable (PackLibrary) -> Void] = []
    }

    private static let interval = Duration.seconds(3)

    private let store: DeskThreads<PackStore>
    private let file: URL
    private let logger: Logger
    private let state: Mutex<State>

    /// Asks the database once, within its deadline; while it is away, what was approved is read from `directory`.
    ///
    /// - Parameter library: the configured packs, checked.
    init(
        configured: [PackBytes], library: PackLibrary, database: DatabaseConfiguration, directory: String,
        logger: Logger
    ) {
        store = DeskThreads(name: "packs", count: 1, limit: 16) { PackStore(database) }
        file = URL(filePath: directory).appending(path: "approved-packs.json")
        self.logger = logger
        state = Mutex(State(configured: configured, inForce: configured, library: library))
        let first = PackStore(database)
        do throws(StoreFailure) {
            try look(in: first)
        } catch {
            take(approved: kept())
        }
    }

    var library: PackLibrary { state.withLock { $0.library } }
    /// SHA-256 of the content in force, by pack.
    var hashes: [String: [UInt8]] {
        state.withLock { state in
            Dictionary(state.inForce.map { ($0.code, $0.hash) }, uniquingKeysWith: { first, _ in first })
        }
    }

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

    private func look(in store: PackStore) throws(StoreFailure) {
        let (configured, isRecorded) = state.withLock { ($0.configured, $0.isRecorded) }
        if !isRecorded { try store.record(configured) }
        let approved = try store.approved()
        state.withLock { $0.isRecorded = $0.configured == configured }
        take(approved: approved)
    }

    /// - Parameter approved: nil: as they were known.
    private func take(approved: [PackBytes]?) {
        let (wanted, isNew) = state.withLock { state in
            let isNew = approved.map { $0 != state.approved } ?? false
            if let approved { state.approved = approved }
            return (Self.wanted(state.configured, approved: state.approved), isNew)
        }
        if isNew { keep(approved ?? []) }
        guard wanted != state.withLock({ $0.inForce }) else { return }
        let (library, problems) = PackLibrary.load(wanted)
        guard problems.isEmpty else { return complain(problems.map(\.description).joined(separator: "; ")) }
        let listeners = state.withLock { state in
            state.inForce = wanted
            state.library = library
            state.complaint = nil
            return state.listeners
        }
        logger.notice("packs in force have changed")
        for tell in listeners { tell(library) }
    }

    /// Of each configured pack the content that was approved last, else the configured one.
    static func wanted(_ configured: [PackBytes], approved: [PackBytes]) -> [PackBytes] {
        let byCode = Dictionary(approved.map { ($0.code, $0) }, uniquingKeysWith: { $1 })
        return configured.map { byCode[$0.code] ?? $0 }
    }

    private func complain(_ words: String) {
        let isNew = state.withLock { state in
            defer { state.complaint = words }
            return state.complaint != words
        }
        guard isNew else { return }
        logger.error(
            "approved packs can't be used together: what was in force stays", metadata: ["problem": "\(words)"])
    }

    // MARK: Beside the spool

    private func keep(_ approved: [PackBytes]) {
        let texts = Dictionary(
            approved.map { ($0.code, Data($0.bytes).base64EncodedString()) }, uniquingKeysWith: { $1 })
        do {
            try JSONEncoder().encode(texts).write(to: file, options: .atomic)
        } catch {
            logger.error("approved packs can't be kept for a start without the database")
        }
    }

    private func kept() -> [PackBytes] {
        guard let bytes = try? Data(contentsOf: file),
            let texts = try? JSONDecoder().decode([String: String].self, from: bytes)
        else { return [] }
        return texts.sorted { $0.key < $1.key }.compactMap { code, text in
            Data(base64Encoded: text).map { PackBytes(code: code, bytes: [UInt8]($0)) }
        }
    }
}
