import Alerting
import Clinical
import Delivery
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
            let files: [RegistryEntry]
            do throws(DocumentProblems) {
                files = try RegistryFile.read(paths: paths)
            } catch {
                StandardError.write("\(error)\n")
                return .badData
            }
            var database = loaded.database
            // A large registry takes its time to write; nothing else waits for it.
            database.deadline = .minutes(10)
            let store = RegistryStore(database)
            let packs = try loaded.packsInForce()
            var progress = Phases()
            defer { progress.end() }
            for attempt in 1...Self.attempts {
                progress.begin("reading the registry")
                let current = try store.read()
                progress.begin("checking \(files.count) entries")
                let builder = RegistryBuilder(
                    packs: packs, served: loaded.configuration.servedChannels, today: wallClock())
                let decision = decide(files, current: current, builder, isFirst: attempt == 1)
                guard !dryRun, decision.status == .success, let update = decision.update else { return decision.status }
                progress.begin("writing \(update.changes.count) entries")
                do throws(StoreFailure) {
                    _ = try store.apply(update)
                    return .success
                } catch {
                    // Somebody else changed the registry between our read and our write: look again.
                    guard error.kind == .transient, attempt < Self.attempts else { throw error }
                }
            }
            return .unavailable
        }
    }

    /// How often it looks again when others change the registry at the same time.
    private static let attempts = 20

    private struct Decision {
        var status: ExitStatus
        var update: RegistryUpdate?
    }

    private func decide(
        _ files: [RegistryEntry], current: StoredRegistry, _ builder: RegistryBuilder, isFirst: Bool
    ) -> Decision {
        let outcome = builder.build(EnrolmentPlan.merged(files: files, stored: current.fields))
        var problems = outcome.problems
        problems += files.filter(Self.isSynthetic).map {
            $0.problem("\($0.key): codes that begin with \(Synthetic.siteCode), and that site, are the self-test's own")
        }
        problems += files.filter(Self.isTyped).map {
            $0.problem("\($0.key): a reader whose code begins so stands for what is typed in on the page")
        }
        var notices = outcome.notices.map(\.description)
        let enrolled = Set(files.map(\.key))
        for patient in outcome.uncovered {
            let key = RegistryKey(entity: .patient, code: patient.patient.description)
            // Somebody who was uncovered before and is not in these files is no fault of theirs.
            if uncovered || !enrolled.contains(key) {
                notices.append("\(patient.problem) (stays grey)")
            } else {
                problems.append(patient.problem)
            }
        }
        StandardError.clearLine()
        if isFirst { for notice in notices { StandardError.write("\(notice)\n") } }
        guard problems.isEmpty else {
            for problem in problems { StandardError.write("\(problem)\n") }
            return Decision(status: .badData)
        }
        if dryRun, isFirst { showHoles(outcome) }
        let plan = EnrolmentPlan(files: files, stored: current.fields, replace: replace)
        if isFirst || !plan.isClean { show(plan) }
        guard plan.isClean else { return Decision(status: .badData) }
        return Decision(
            status: .success,
            update: RegistryUpdate(
                base: current, changes: plan.changes, loaded: plan.loaded, registry: outcome.registry,
                source: "enrol", actor: NSUserName()))
    }

    private static func isTyped(_ entry: RegistryEntry) -> Bool {
        entry.key.entity == .device && Identifier(entry.key.code).map(TypedReader.isTyped) ?? false
    }

    private static func isSynthetic(_ entry: RegistryEntry) -> Bool {
        entry.key.code.hasPrefix(Synthetic.siteCode) || entry.fields["site"] == .string(Synthetic.siteCode)
    }

    /// When nobody would be told in the coming days if the files were enrolled: notices, and on standard error as these
    /// are. Those whom nobody ever reaches are named already.
    private func showHoles(_ outcome: RegistryBuilder.Outcome) {
        let uncovered = Set(outcome.uncovered.map(\.patient))
        let now = wallClock()
        for var hole in Coverage(registry: outcome.registry).holes(from: now) {
            hole.patients.removeAll(where: uncovered.contains)
            guard !hole.patients.isEmpty else { continue }
            let zone = outcome.registry.sites[hole.site]?.timeZone
            StandardError.write("coverage hole at \(hole.site): \(hole.words(timeZone: zone, now: now))\n")
        }
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
