internal import Clinical
internal import Documents
internal import Ingestion
internal import Registry

/// The registry as the commit thread works with it, of one snapshot.
struct LoadedRegistry: Sendable {
    var registry: Registry
    var identifiers: RegistryIdentifiers
}

/// Reads and builds the registry on a thread and a connection of its own, one load at a time. One thread calls; it may
/// let go at any time, and a load under way then ends by itself.
final class RegistryLoading {
    private typealias Work = BackgroundWork<Result<LoadedRegistry, StoreFailure>>

    private let configuration: DatabaseConfiguration
    private let build: PostgresCommitStore.RegistryBuild
    /// Under way, or done and not fetched yet.
    private var work: Work?

    init(_ configuration: DatabaseConfiguration, build: @escaping PostgresCommitStore.RegistryBuild) {
        self.configuration = configuration.named("registry")
        self.build = build
    }

    /// Joins the load under way, or begins one; waits for it up to this time of the monotonic clock, in nanoseconds.
    ///
    /// - Parameter version: an older registry, whose load began before it moved, is thrown away and read again.
    /// - Throws: `transient` when it is not done by then; else why the load failed, once.
    func load(atLeast version: Int64, until deadline: Int64) throws(StoreFailure) -> LoadedRegistry {
        while true {
            if work == nil { work = try begin() }
            guard let result = work?.value(until: deadline) else {
                throw StoreFailure(kind: .transient, message: "the registry is being read")
            }
            work = nil
            let loaded = try result.get()
            if loaded.registry.version >= version { return loaded }
        }
    }

    /// A load under way, or done and not fetched, is nobody's any more.
    func forget() { work = nil }

    private func begin() throws(StoreFailure) -> Work {
        let (configuration, build) = (configuration, build)
        let work = Work.start(name: "registry") {
            Result { () throws(StoreFailure) in try Self.read(configuration, build) }
        }
        guard let work else { throw StoreFailure(kind: .transient, message: "reading the registry: no thread left") }
        return work
    }

    private static func read(
        _ configuration: DatabaseConfiguration, _ build: PostgresCommitStore.RegistryBuild
    ) throws(StoreFailure) -> LoadedRegistry {
        let (entries, version, identifiers) = try rows(configuration)
        do {
            let registry = try build(entries, version)
            return LoadedRegistry(registry: registry, identifiers: identifiers)
        } catch {
            throw StoreFailure(kind: .misconfigured, message: "the registry in the database can't be read: \(error)")
        }
    }

    /// All from one snapshot. The connection is gone before anything is built.
    private static func rows(
        _ configuration: DatabaseConfiguration
    ) throws(StoreFailure) -> (entries: [RegistryEntry], version: Int64, identifiers: RegistryIdentifiers) {
        var connection = PostgresConnection(configuration)
        connection.startCall()
        try connection.connect()
        connection.startCall(within: patience)
        _ = try connection.query(
            """
            BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
            SET LOCAL statement_timeout = '60s';
            SET LOCAL idle_in_transaction_session_timeout = '10min'
            """, doing: "reading the registry")
        let (entries, version) = try RegistryReading.entries(&connection)
        connection.startCall(within: patience)
        var identifiers = RegistryIdentifiers()
        try identifiers.load(&connection)
        return (entries, version, identifiers)
    }

    /// For one call to the server: nobody waits for it.
    private static let patience = Interval.minutes(1)
}
