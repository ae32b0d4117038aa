import Alerting
import Clinical
import Documents
import Formats
import Ingestion
import PostgresStore
import Registry

/// `homeward triage`: every patient's state at a terminal, those first whom somebody should look at first.
public struct TriageList {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// Red, amber, grey, paused, green. 64 when `site` is no code, 65 when there is no such site.
    public func run(site: String?, json: Bool) throws -> ExitStatus {
        var chosen: Identifier?
        if let site {
            guard let code = Identifier(site) else {
                StandardError.write("--site: \(site) is no code\n")
                return .usage
            }
            chosen = code
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var database = loaded.database
            // A large ward takes its time to read; nothing else waits for it.
            database.deadline = .minutes(1)
            let packs = try loaded.packsInForce()
            let stored = try TriageReader(database).read(site: chosen)
            let outcome = RegistryBuilder(packs: packs, served: loaded.configuration.servedChannels)
                .build(stored.entries, version: stored.version)
            if let chosen, outcome.registry.sites[chosen] == nil {
                StandardError.write("no site \(chosen)\n")
                return .badData
            }
            var plans = Plans(packs: packs)
            let rows = stored.snapshot.worklist(
                of: outcome.registry, site: chosen, uncovered: Set(outcome.uncovered.map(\.patient))
            ) { plans.plan(for: $0.profile) }
            var output = BufferedOutput()
            if json {
                for row in rows { output.write(TriageText.json(row)) }
            } else if rows.isEmpty {
                output.write("no patients")
            } else {
                for row in rows { output.write(TriageText.line(row)) }
            }
            output.flush()
            return .success
        }
    }
}

/// A line of the worklist as text and as JSON.
enum TriageText {
    static func line(_ row: Triage) -> String {
        var reasons = row.reasons.map { StandardErrorLog.escaped($0.description) }.joined(separator: "; ")
        if reasons.isEmpty { reasons = "nothing to do" }
        let waiting = row.oldestAlertAt.map { ", since \(RFC3339.format($0))" } ?? ""
        let last = row.lastReadingAt.map { "last reading \(RFC3339.format($0))" } ?? "no reading in a month"
        return [
            row.state.rawValue.uppercased(), row.site.description, row.patient.description,
            row.keyWorker?.description ?? "-", reasons + waiting, last,
        ].joined(separator: "  ")
    }

    /// `{"site":…,"patient":…,"state":…,"reason":…,"reasons":[{"code":…,"text":…}],"oldest_alert_at":…,
    /// "last_reading_at":…,"key_worker":…}`; `reason` is the first of them, null for green.
    static func json(_ row: Triage) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, text) in [
            ("site", row.site.description), ("patient", row.patient.description), ("state", row.state.rawValue),
            ("reason", row.reasons.first?.description), ("key_worker", row.keyWorker?.description),
        ] as [(String, String?)] {
            writer.name(name)
            if let text { writer.value(text) } else { writer.null() }
        }
        writer.name("reasons")
        writer.beginArray()
        for reason in row.reasons {
            writer.beginObject()
            writer.name("code")
            writer.value(reason.code)
            writer.name("text")
            writer.value(reason.description)
            writer.endObject()
        }
        writer.endArray()
        for (name, instant) in [("oldest_alert_at", row.oldestAlertAt), ("last_reading_at", row.lastReadingAt)] {
            writer.name(name)
            if let instant { writer.value(instant) } else { writer.null() }
        }
        writer.endObject()
        return writer.text
    }
}
