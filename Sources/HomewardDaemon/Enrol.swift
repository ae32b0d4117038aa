import Clinical
import Documents
import Formats
import Foundation
import Ingestion
import PostgresStore
import Registry

/// `homeward enrol`: registry files into the database, all or nothing, in force when it returns.
public struct Enrol {
    private let configurationPath: String
    private let paths: [String]
    private let dryRun: Bool
    private let replace: Bool
    private let uncovered: Bool
    private let json: Bool

    public init(
        configurationPath: String, paths: [String], dryRun: Bool, replace: Bool, uncovered: Bool, json: Bool
    ) {
        self.configurationPath = configurationPath
        self.paths = paths
        self.dryRun = dryRun
        self.replace = replace
        self.uncovered = uncovered
        self.json = json
    }

    /// 65 when a file is bad, a field was changed elsewhere, or an alert would reach nobody; then nothing is written.
    public func run() throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let files: [Documents.RegistryEntry]
            do throws(DocumentProblems) {
                files = try RegistryFile.read(paths: paths)
            } catch {
                StandardError.write("\(error)\n")
                return .badData
            }
            let store = RegistryStore(loaded.database, actor: OperatingSystemUser.name)
            var status = ExitStatus.success
            var progress = Progress(label: "enrolling", total: files.count)
            try store.change { current in
                let decision = decide(files, current: current, packs: loaded.packs)
                status = decision.status
                return dryRun || decision.status != .success ? nil : decision.writes
            } progress: { done in
                progress.advance(to: done)
            }
            progress.end()
            return status
        }
    }

    private struct Decision {
        var status: ExitStatus
        var writes: [RegistryWrite] = []
    }

    private func decide(
        _ files: [Documents.RegistryEntry], current: [PostgresStore.RegistryEntry], packs: PackLibrary
    ) -> Decision {
        guard let stored = RegistryFields.stored(current) else {
            StandardError.write("the registry in the database can't be read\n")
            return Decision(status: .software)
        }
        let fields = stored.mapValues(\.fields)
        let outcome = RegistryBuilder(packs: packs).build(EnrolmentPlan.merged(files: files, stored: fields))
        for notice in outcome.notices { StandardError.write("\(notice)\n") }
        var problems = outcome.problems
        let enrolled = Set(files.map(\.key))
        for patient in outcome.uncovered {
            let key = RegistryKey(entity: .patient, code: patient.patient.description)
            // Somebody who was uncovered before and is not in these files is no fault of theirs.
            if uncovered || !enrolled.contains(key) {
                StandardError.write("\(patient.problem) (stays grey)\n")
            } else {
                problems.append(patient.problem)
            }
        }
        guard problems.isEmpty else {
            for problem in problems { StandardError.write("\(problem)\n") }
            return Decision(status: .badData)
        }
        let plan = EnrolmentPlan(files: files, stored: fields, replace: replace)
        show(plan)
        guard plan.isClean else { return Decision(status: .badData) }
        return Decision(
            status: .success, writes: RegistryFields.writes(plan, stored: stored, registry: outcome.registry))
    }

    private func show(_ plan: EnrolmentPlan) {
        var output = BufferedOutput()
        if json {
            for change in plan.changes {
                var writer = JSONWriter()
                writer.beginObject()
                writer.name("change")
                writer.value(change.sort.rawValue)
                writer.name("entity")
                writer.value(change.key.entity.rawValue)
                writer.name("code")
                writer.value(change.key.code)
                writer.name("fields")
                writer.beginArray()
                for name in change.fields.keys.sorted() { writer.value(name) }
                writer.endArray()
                writer.endObject()
                output.write(writer.text)
            }
        } else {
            for line in plan.lines { output.write(line) }
            if dryRun { output.write("dry run: nothing was changed") }
        }
        output.flush()
        if json { for conflict in plan.conflicts { StandardError.write("\(conflict)\n") } }
    }
}

/// Between the database's JSON and the documents' field values.
enum RegistryFields {
    struct Stored {
        var fields: [String: StoredField]
        /// What the file said when it was last loaded.
        var loaded: [String: FieldValue]
    }

    /// Nil when an entry is not a JSON object of ours.
    static func stored(_ current: [PostgresStore.RegistryEntry]) -> [RegistryKey: Stored]? {
        var stored: [RegistryKey: Stored] = [:]
        for entry in current {
            guard let key = key(of: entry), let fields = read(entry.fields) else { return nil }
            let loaded = entry.lastEnrolled.flatMap(read) ?? [:]
            var entryFields = fields.mapValues { StoredField(value: $0, loaded: nil) }
            for (name, value) in loaded {
                entryFields[name] = StoredField(value: fields[name] ?? .null, loaded: value)
            }
            stored[key] = Stored(fields: entryFields, loaded: loaded)
        }
        return stored
    }

    static func key(of entry: PostgresStore.RegistryEntry) -> RegistryKey? {
        RegistryEntity(rawValue: entry.entity.rawValue).map { RegistryKey(entity: $0, code: entry.code) }
    }

    static func read(_ json: String) -> [String: FieldValue]? {
        try? JSONDecoder().decode([String: FieldValue].self, from: Data(json.utf8))
    }

    static func text(_ fields: [String: FieldValue]) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        // Field values are plain JSON: encoding them has nothing to fail at.
        return (try? encoder.encode(fields)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// New versions of what changes, and of what is only remembered as loaded.
    static func writes(
        _ plan: EnrolmentPlan, stored: [RegistryKey: Stored], registry: Registry
    ) -> [RegistryWrite] {
        let changed = Dictionary(plan.changes.map { ($0.key, $0.fields) }, uniquingKeysWith: { $1 })
        return plan.loaded.keys.sorted().compactMap { key in
            let before = stored[key]
            let loaded = (before?.loaded ?? [:]).merging(plan.loaded[key] ?? [:]) { $1 }
            guard changed[key] != nil || loaded != before?.loaded ?? [:] || before == nil else { return nil }
            var fields = (before?.fields ?? [:]).mapValues(\.value).merging(changed[key] ?? [:]) { $1 }
            fields = fields.filter { $0.value != .null }
            guard let entity = PostgresStore.RegistryEntry.Entity(rawValue: key.entity.rawValue) else { return nil }
            let entry = PostgresStore.RegistryEntry(
                entity: entity, code: key.code, fields: text(fields), lastEnrolled: text(loaded))
            return write(entry, key: key, registry: registry)
        }
    }

    private static func write(
        _ entry: PostgresStore.RegistryEntry, key: RegistryKey, registry: Registry
    ) -> RegistryWrite? {
        let code = Identifier(key.code)
        switch key.entity {
        case .site: return RegistryWrite(entry: entry, site: key.code)
        case .careManager:
            return RegistryWrite(entry: entry, site: code.flatMap { registry.careManagers[$0]?.site.description })
        case .patient:
            return RegistryWrite(entry: entry, site: code.flatMap { registry.patients[$0]?.site.description })
        case .device:
            let device = code.flatMap { registry.devices[$0] }
            return RegistryWrite(entry: entry, site: device?.site.description, pairings: device?.pairings ?? [])
        case .escalation: return RegistryWrite(entry: entry, site: nil)
        }
    }
}

/// Who runs this process, for the record.
enum OperatingSystemUser {
    static var name: String { NSUserName() }
}
