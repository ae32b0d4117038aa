internal import Alerting
internal import CLinux
public import Clinical
public import Documents
public import Ingestion
public import Registry

/// The database as the commit thread sees it: one connection, binary `COPY` for what comes by the million, prepared
/// statements for the rest, and as few round trips as that takes.
///
/// A connection that broke while nothing was under way is replaced within `begin()` itself. Connecting checks the
/// schema's version and refuses a server that would lose confirmed reports.
public final class PostgresCommitStore: CommitStore {
    /// Makes the typed registry of the entries at a version; throws when they contradict each other.
    public typealias RegistryBuild = @Sendable (_ entries: [RegistryEntry], _ version: Int64) throws -> Registry

    var connection: PostgresConnection
    var identifiers = RegistryIdentifiers()
    let reports = CopyBuffer()
    let readings = CopyBuffer()
    let answers = CopyBuffer()
    private let registryLoading: RegistryLoading
    /// Nil for whoever acts in a person's name: such a transaction needs no lease.
    let seat: LeaseSeat?
    /// The open transaction has changed something.
    var hasWritten = false
    /// The registry's version in the transaction that is open.
    private var seenVersion: Int64 = 0
    /// How long the transaction waits for a registry that moved; nanoseconds.
    private static let registryPatience: Int64 = 500_000_000

    /// Connects at the first call, not here.
    ///
    /// - Parameters:
    ///   - buildRegistry: called whenever the registry moved, on a thread of the store's own that reads it; it
    ///   may take its time. Never twice at once.
    ///   - seat: what is written is committed only under its lease.
    public init(
        _ configuration: DatabaseConfiguration, seat: LeaseSeat? = nil, buildRegistry: @escaping RegistryBuild
    ) {
        self.seat = seat
        connection = PostgresConnection(
            configuration.named(
                seat.map { LeaseFence.session(shard: $0.shard, instance: $0.instance) } ?? "commit"))
        registryLoading = RegistryLoading(configuration, build: buildRegistry)
    }

    /// With the registry built by the packs as they are at that moment; one that contradicts itself is refused. `packs`
    /// is called as `buildRegistry` is.
    public convenience init(_ configuration: DatabaseConfiguration, packs: @escaping @Sendable () -> PackLibrary) {
        self.init(configuration) { entries, version in
            let outcome = RegistryBuilder(packs: packs()).build(entries, version: version)
            guard outcome.problems.isEmpty else { throw DocumentProblems(outcome.problems) }
            return outcome.registry
        }
    }

    public func limit(until deadline: Int64?) { connection.limit = deadline }

    public func begin() throws(StoreFailure) -> Int64 {
        connection.startCall()
        if connection.isConnected {
            do {
                if !connection.isIdle { _ = try connection.query("ROLLBACK", doing: "rolling back") }
                return try openTransaction()
            } catch  where !connection.isConnected && error.kind == .transient {
                // It broke while nothing was under way (a restarted server): nothing is lost by connecting again.
            }
        }
        try connection.connectChecked()
        return try openTransaction()
    }

    private func openTransaction() throws(StoreFailure) -> Int64 {
        let result = try connection.query(
            "BEGIN; SET LOCAL synchronous_commit = on; SELECT version FROM homeward.registry_version",
            doing: "beginning")
        guard let version = result.text(0, 0).flatMap({ Int64($0) }) else {
            throw StoreFailure(kind: .misconfigured, message: "beginning: the registry has no version")
        }
        seenVersion = version
        hasWritten = false
        return version
    }

    /// The registry at the version that this transaction saw, or at a newer one. It is read and built beside the commit
    /// thread, on a connection of its own: a large one takes longer than a report may wait.
    ///
    /// - Throws: `transient` "the registry is being read" when that is not done within 0.5 s: a later call, of any
    ///   transaction, gets the result. A failure of the reading is the failure of one call; the next one reads again.
    public func registry() throws(StoreFailure) -> Registry {
        let patience = linux_monotonic_nanoseconds() + Self.registryPatience
        let loaded = try registryLoading.load(
            atLeast: seenVersion, until: min(patience, connection.limit ?? .max))
        identifiers = loaded.identifiers
        return loaded.registry
    }

    public func forgetRegistry() { registryLoading.forget() }

    /// Ids of codes; loads them again once when one is not known yet.
    func resolve(
        _ codes: some Sequence<Identifier>, in table: KeyPath<RegistryIdentifiers, [Identifier: Int32]>
    ) throws(StoreFailure) {
        for code in codes where identifiers[keyPath: table][code] == nil {
            try identifiers.load(&connection)
            return
        }
    }

    public func write(_ batch: CommitBatch) throws(StoreFailure) {
        connection.startCall()
        hasWritten = true
        try copy(batch.reports)
        var calls: [(statement: Statement, parameters: PostgresParameters)] = []
        if !batch.quarantined.isEmpty { calls.append(Quarantining.call(batch.quarantined)) }
        if !batch.statuses.isEmpty || !batch.sequences.isEmpty {
            try resolve(batch.statuses.map(\.device) + batch.sequences.map(\.device), in: \.devices)
            calls += DeviceState.calls(batch, devices: identifiers.devices)
        }
        if !batch.episodes.isEmpty { calls += EpisodeWriting.calls(batch.episodes) }
        if !batch.outbox.isEmpty { calls += OutboxWriting.calls(batch.outbox) }
        if !batch.suppressions.isEmpty { calls.append(SuppressionWriting.call(batch.suppressions)) }
        calls += TimerWriting.calls(batch)
        if !batch.releases.isEmpty { calls.append(ReleaseWriting.call(batch.releases)) }
        calls += OutageWriting.calls(batch)
        _ = try connection.run(calls, doing: "writing")
    }

    public func commit() throws(StoreFailure) {
        connection.startCall()
        if hasWritten, let seat {
            // In one round trip: whoever stops in between holds up nobody's take-over.
            _ = try connection.run(try LeaseFence.calls(seat), doing: "committing")
            return
        }
        let result = try connection.query("COMMIT", doing: "committing")
        // PostgreSQL answers ROLLBACK to the COMMIT of a failed transaction, and calls that success.
        guard result.commandTag == "COMMIT" else {
            throw StoreFailure(kind: .transient, message: "committing: the transaction had failed")
        }
    }

    public func rollback() {
        guard connection.isConnected, !connection.isIdle else { return }
        connection.startCall()
        do {
            _ = try connection.query("ROLLBACK", doing: "rolling back")
        } catch {
            connection.close()
        }
    }

    /// Ends the connection. The next `begin()` connects again.
    public func close() { connection.close() }
}
