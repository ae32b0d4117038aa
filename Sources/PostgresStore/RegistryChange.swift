public import Alerting
public import Clinical
internal import Documents
public import Ingestion
public import Registry

/// Changes the registry in the name of who is signed in on the page: a new version of a patient's entry and of readers',
/// with who, when and why, in one transaction with the patient's history. One thread.
///
/// Row-level security says whether that patient is there for them and whether they may write; the entries as they would
/// stand are checked as `enrol` checks them. Changes take turns with those of `enrol`. Once `apply` has returned, every
/// report received after it is judged by the change.
public final class RegistryChange {
    /// What a change is made from: the entries of the patient, of his readers and those named, of everybody who held one of
    /// them, and of all sites, care managers and escalations.
    public struct Base: Sendable {
        public var viewer: Viewer
        /// PostgreSQL's clock.
        public var now: Instant
        public var fields: [RegistryKey: [String: FieldValue]]
        public var registry: Registry
    }

    /// Why a change is not made, for the person who asked. May name the patient's data: never for a log.
    public struct Refusal: Error, Hashable, Sendable {
        public var words: String

        public init(_ words: String) { self.words = words }
    }

    public enum Outcome: Hashable, Sendable {
        /// The registry's version afterwards.
        case done(Int64)
        /// The form was sent before: what it said has been done, or done and changed again.
        case doneBefore
        case refused(Refusal)
    }

    private var connection: PostgresConnection
    private let packs: PackLibrary
    private let served: ServedChannels

    private static let lock = Statement(
        name: "web_registry_lock", sql: "SELECT pg_advisory_xact_lock(7811322041998342)")
    private static let entries = Statement(
        name: "web_registry_entries",
        sql: """
            WITH reader AS (
                SELECT code, fields FROM homeward.registry_current
                WHERE entity = 'device' AND (code = ANY ($2::text[]) OR code IN (
                    SELECT d.code FROM homeward.pairing h
                    JOIN homeward.patient p ON p.id = h.patient JOIN homeward.device d ON d.id = h.device
                    WHERE p.code = $1::text AND h.retired_version IS NULL))
            ), holder AS (
                SELECT h ->> 'patient' AS code
                FROM reader CROSS JOIN LATERAL jsonb_array_elements(
                    CASE jsonb_typeof(reader.fields -> 'pairings') WHEN 'array' THEN reader.fields -> 'pairings'
                    ELSE '[]' END) h
            )
            SELECT v.version, now(), e.entity, e.code, e.fields::text, coalesce(e.last_enrolled, '{}')::text
            FROM homeward.registry_version v JOIN homeward.registry_current e ON
                e.entity IN ('site', 'care-manager', 'escalation')
                OR (e.entity = 'device' AND e.code IN (SELECT code FROM reader))
                OR (e.entity = 'patient' AND (e.code = $1::text OR e.code IN (SELECT code FROM holder)))
            """)

    /// - Parameter packs: those in force: what is written must be good for them.
    public init(_ configuration: DatabaseConfiguration, packs: PackLibrary, served: ServedChannels) {
        var patient = configuration.named("registry-change")
        // Enrolling a large ward takes its time, and changes take turns.
        patient.deadline = max(configuration.deadline, .seconds(15))
        connection = PostgresConnection(patient)
        self.packs = packs
        self.served = served
    }

    /// - Parameters:
    ///   - event: what the patient's history is told; its note is the change's reason.
    ///   - addition: what is written with it, also where the registry stays as it is.
    ///   - readers: the codes of readers that the change may be about, besides the patient's own.
    ///   - edit: the fields to write, by entry; null erases one, a list replaces that list, an entry that is not there is
    ///     added. Called in the transaction: it must not wait.
    public func apply(
        _ event: PatientEventRequest, also addition: PatientEventAddition? = nil, readers: [Identifier] = [],
        within session: SessionToken,
        edit: (Base) throws(Refusal) -> [RegistryKey: [String: FieldValue]]
    ) throws(StoreFailure) -> DeskAnswer<Outcome> {
        do {
            try PatientEventWriting.begin(session, &connection)
            let verdict = try PatientEventWriting.write(event, &connection)
            if case .new(let viewer) = verdict, let addition { _ = try addition.write(event, viewer, &connection) }
            _ = try connection.run(WebReader.leave, PostgresParameters(), doing: "changing the registry")
            guard case .new(let viewer) = verdict else {
                _ = try connection.query("ROLLBACK", doing: "changing the registry")
                return switch verdict {
                case .signedOut: .signedOut
                case .notThere: .notThere
                case .before, .new: .seen(.doneBefore)
                }
            }
            let outcome = try change(event, readers, viewer, edit)
            let end: StaticString = if case .done = outcome { "COMMIT" } else { "ROLLBACK" }
            _ = try connection.query(end, doing: "changing the registry")
            return .seen(outcome)
        } catch {
            // Whatever was begun, and the role, end with the connection.
            connection.close()
            throw error
        }
    }

    private func change(
        _ event: PatientEventRequest, _ readers: [Identifier], _ viewer: Viewer,
        _ edit: (Base) throws(Refusal) -> [RegistryKey: [String: FieldValue]]
    ) throws(StoreFailure) -> Outcome {
        _ = try connection.query(
            "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = '15s'", doing: "changing the registry")
        _ = try connection.run(Self.lock, PostgresParameters(), doing: "changing the registry")
        let (stored, now) = try read(event.patient, readers)
        let fields = stored.fields.mapValues { $0.mapValues(\.value) }
        let before = build(fields)
        let changes: [RegistryKey: [String: FieldValue]]
        do throws(Refusal) {
            changes = try edit(Base(viewer: viewer, now: now, fields: fields, registry: before.registry))
        } catch {
            return .refused(error)
        }
        let after = build(fields.merging(changes) { old, new in old.merging(new) { _, new in new } })
        let names = Set(changes.keys.map(\.description))
        // What is wrong with somebody else's entry was so before.
        if let problem = after.problems.first(where: { names.contains($0.file) }) {
            return .refused(Refusal(problem.message))
        }
        let wereUncovered = Set(before.uncovered.map(\.patient))
        if let hole = after.uncovered.first(where: { !wereUncovered.contains($0.patient) }) {
            return .refused(Refusal(hole.problem.message))
        }
        let update = RegistryUpdate(
            base: stored,
            changes: changes.map { key, fields in
                EnrolmentPlan.Change(key: key, sort: stored.fields[key] == nil ? .add : .update, fields: fields)
            }, registry: after.registry, source: "page", actor: viewer.careManager.description, reason: event.note)
        let rows = RegistryRow.rows(of: update)
        guard !rows.isEmpty else { return .done(stored.version) }
        let version = stored.version + 1
        do throws(StoreFailure) {
            _ = try connection.run(RegistryWriting.change(rows, update, version), doing: "changing the registry")
        } catch {
            guard error.sqlState == "23P01" else { throw error }
            // By the pairings that are in force, which say the same as the entries.
            return .refused(Refusal("a reader would have two patients at once"))
        }
        return .done(version)
    }

    private func build(_ fields: [RegistryKey: [String: FieldValue]]) -> RegistryBuilder.Outcome {
        RegistryBuilder(packs: packs, served: served).build(
            fields.sorted { $0.key < $1.key }.map { RegistryEntry(key: $0.key, fields: $0.value) })
    }

    private func read(
        _ patient: Identifier, _ readers: [Identifier]
    ) throws(StoreFailure) -> (StoredRegistry, now: Instant) {
        var parameters = PostgresParameters()
        parameters.add(patient.description)
        parameters.addTexts(of: readers) { $0.description }
        let result = try connection.run(Self.entries, parameters, doing: "reading the registry")
        guard let version = result.int64(0, 0), let now = result.instant(0, 1) else {
            throw StoreFailure(kind: .misconfigured, message: "reading the registry: it is empty")
        }
        var fields: [RegistryKey: [String: StoredField]] = [:]
        for row in 0..<result.rowCount {
            guard let entity = result.text(row, 2).flatMap(RegistryEntity.init(rawValue:)),
                let code = result.text(row, 3), let values = RegistryReading.fields(result.bytes(row, 4)),
                let loaded = RegistryReading.fields(result.bytes(row, 5))
            else {
                throw StoreFailure(kind: .misconfigured, message: "reading the registry: an entry can't be understood")
            }
            fields[RegistryKey(entity: entity, code: code)] = StoredField.stored(values, loaded: loaded)
        }
        return (StoredRegistry(version: version, fields: fields), now)
    }
}

extension StoredField {
    /// The fields of an entry, with those that were erased since a file named them.
    static func stored(
        _ values: [String: FieldValue], loaded: [String: FieldValue]
    ) -> [String: StoredField] {
        var stored: [String: StoredField] = [:]
        for name in Set(values.keys).union(loaded.keys) {
            stored[name] = StoredField(value: values[name] ?? .null, loaded: loaded[name])
        }
        return stored
    }
}
