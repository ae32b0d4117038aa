public import Documents
internal import Formats
public import Ingestion
public import Registry

/// The registry as data, as it stood at a version.
public struct StoredRegistry: Sendable {
    public var version: Int64
    public var fields: [RegistryKey: [String: StoredField]]
}

/// What one change of the registry writes: all of it or nothing.
public struct RegistryUpdate: Sendable {
    /// What the change was made from. If the registry has moved since, nothing is written.
    public var base: StoredRegistry
    public var changes: [EnrolmentPlan.Change]
    /// What is to be remembered as last loaded from files.
    public var loaded: [RegistryKey: [String: FieldValue]]
    /// Everything as it stands afterwards, checked by the caller: gives the sites of entries and the pairings.
    public var registry: Registry
    /// `enrol`, or the page.
    public var source: String
    /// The operating system's user, or a care manager's code.
    public var actor: String
    public var reason: String?

    public init(
        base: StoredRegistry, changes: [EnrolmentPlan.Change], loaded: [RegistryKey: [String: FieldValue]] = [:],
        registry: Registry, source: String, actor: String, reason: String? = nil
    ) {
        self.base = base
        self.changes = changes
        self.loaded = loaded
        self.registry = registry
        self.source = source
        self.actor = actor
        self.reason = reason
    }
}

/// Reads and changes the registry, for `enrol` and the page. Entries are versions that are added, never changed. One
/// thread.
public final class RegistryStore {
    private var connection: PostgresConnection

    /// - Parameter configuration: its deadline holds for the whole of a change; give it a minute.
    public init(_ configuration: DatabaseConfiguration) {
        connection = PostgresConnection(configuration.named("registry"))
    }

    public func read() throws(StoreFailure) -> StoredRegistry {
        try connection.startCheckedCall()
        let (entries, version) = try RegistryReading.enrolledEntries(&connection)
        var fields: [RegistryKey: [String: StoredField]] = [:]
        for enrolled in entries {
            fields[enrolled.entry.key] = StoredField.stored(enrolled.entry.fields, loaded: enrolled.lastEnrolled)
        }
        return StoredRegistry(version: version, fields: fields)
    }

    /// Writes the change and returns the registry's new version, or the old one when there was nothing to write. Once
    /// it has returned, every report received after it is judged by it. Changes take turns under an advisory lock.
    ///
    /// - Throws: `transient` when the registry moved since `base` was read (read and check again); `poison` with
    ///   SQLSTATE 23P01 when pairings overlap.
    public func apply(_ update: RegistryUpdate) throws(StoreFailure) -> Int64 {
        let rows = RegistryRow.rows(of: update)
        guard !rows.isEmpty else { return update.base.version }
        try connection.startCheckedCall()
        do {
            let version = try write(rows, update)
            _ = try connection.query("COMMIT", doing: "changing the registry")
            return version
        } catch {
            // The next change begins anew.
            connection.close()
            throw error
        }
    }

    private func write(_ rows: [RegistryRow], _ update: RegistryUpdate) throws(StoreFailure) -> Int64 {
        let current = try connection.query(
            """
            BEGIN;
            SET LOCAL statement_timeout = '60s';
            SELECT pg_advisory_xact_lock(7811322041998342);
            SELECT version FROM homeward.registry_version
            """, doing: "changing the registry")
        guard current.text(0, 0) == "\(update.base.version)" else {
            throw StoreFailure(kind: .transient, message: "changing the registry: it was changed meanwhile")
        }
        let version = update.base.version + 1
        _ = try connection.run(RegistryWriting.change(rows, update, version), doing: "changing the registry")
        return version
    }
}

/// One entry's new version, as JSON.
struct RegistryRow {
    var key: RegistryKey
    var fields: String
    var lastEnrolled: String?
    /// False when only what was last loaded is new.
    var isChanged: Bool

    static func rows(of update: RegistryUpdate) -> [RegistryRow] {
        let changes = Dictionary(update.changes.map { ($0.key, $0.fields) }, uniquingKeysWith: { first, _ in first })
        var rows: [RegistryRow] = []
        for key in Set(changes.keys).union(update.loaded.keys).sorted() {
            let stored = update.base.fields[key] ?? [:]
            let before = stored.compactMapValues { $0.value == .null ? nil : $0.value }
            let loadedBefore = stored.compactMapValues(\.loaded)
            // A null erases the field.
            let after = before.merging(changes[key] ?? [:]) { _, new in new }.filter { $0.value != .null }
            let loaded = loadedBefore.merging(update.loaded[key] ?? [:]) { _, new in new }
            let isNew = update.base.fields[key] == nil
            guard isNew || after != before || loaded != loadedBefore else { continue }
            rows.append(
                RegistryRow(
                    key: key, fields: json(after), lastEnrolled: loaded.isEmpty ? nil : json(loaded),
                    isChanged: isNew || after != before))
        }
        return rows
    }

    private static func json(_ fields: [String: FieldValue]) -> String {
        var writer = JSONWriter()
        writer.fields(fields)
        return String(decoding: writer.bytes, as: UTF8.self)
    }
}
