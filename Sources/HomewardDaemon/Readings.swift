import Alerting
import Clinical
import Formats
import Foundation
import Ingestion
import PostgresStore

/// `homeward readings`: what people say of stored readings, at a terminal.
public struct Readings {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// Oldest first, with what was said of each.
    public func list(patient: String, since: String, json: Bool) throws -> ExitStatus {
        guard let code = Identifier(patient), let start = WhatIf.instant(since, timeZone: "UTC") else {
            StandardError.write("--patient wants a code, --since a day or a time\n")
            return .usage
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let history = StoredHistory(loaded.database)
            guard try !history.patients(code, site: nil).isEmpty else {
                StandardError.write("the database has no patient \(code)\n")
                return .badData
            }
            var output = BufferedOutput()
            for row in try history.readings(of: code, since: start) {
                output.write(json ? Self.json(row) : Self.text(row))
            }
            output.flush()
            return .success
        }
    }

    private static func text(_ row: ReadingRow) -> String {
        var columns = [
            RFC3339.format(row.takenAt), "\(row.key.device)", "\(row.key.report)", "\(row.reading)", row.kind,
            StandardErrorLog.escaped(row.value) + (row.unit.map { " \($0)" } ?? ""), row.status,
        ]
        if let correction = row.correction {
            columns.append("by \(correction.by) because \(StandardErrorLog.escaped(correction.reason))")
        }
        return columns.joined(separator: "  ")
    }

    private static func json(_ row: ReadingRow) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, text) in [
            ("taken_at", RFC3339.format(row.takenAt)), ("device", row.key.device.description),
            ("report", row.key.report.description), ("kind", row.kind), ("value_sent", row.value),
            ("unit_sent", row.unit), ("status", row.status), ("corrected_by", row.correction?.by),
            ("corrected_at", row.correction.map { RFC3339.format($0.at) }), ("actor", row.correction?.actor),
            ("reason", row.correction?.reason),
        ] {
            writer.name(name)
            if let text { writer.value(text) } else { writer.null() }
        }
        writer.name("reading")
        writer.value(row.reading)
        writer.endObject()
        return writer.text
    }

    /// Marks a reading entered in error on behalf of a care manager; the operating system's user is recorded as who did
    /// it. 65 when there is no such reading or no such care manager, and when somebody marked it before.
    public func correct(
        site: String, device: String, report: String, reading: Int, by: String, reason: String, json: Bool
    ) throws -> ExitStatus {
        func code(_ text: String, _ name: String, grammar: Identifier.Grammar = .topic) -> Identifier? {
            guard let code = Identifier(text, grammar: grammar) else {
                StandardError.write("--\(name): \(StandardErrorLog.escaped(text)) is no code\n")
                return nil
            }
            return code
        }
        guard let site = code(site, "site"), let device = code(device, "device"), let by = code(by, "by"),
            let report = code(report, "report", grammar: .report)
        else { return .usage }
        let reason = reason.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !reason.isEmpty, reason.utf8.count <= Self.longestReason, !reason.utf8.contains(0) else {
            StandardError.write("--reason: some words, at most \(Self.longestReason) bytes\n")
            return .usage
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let request = ReadingCorrections.Request(
                site: site, key: ReportKey(device: device, report: report), reading: reading, by: by,
                actor: NSUserName(), reason: reason)
            switch try ReadingCorrections(loaded.database, packs: loaded.packsInForce()).mark(request) {
            case .noSuchReading:
                StandardError.write("no reading \(reading) of report \(report) of device \(device) is stored\n")
                return .badData
            case .noSuchCareManager:
                StandardError.write("--by: \(by) is no care manager who may do that\n")
                return .badData
            case .marked(let correction, let isNew, let patient, let alerts):
                tell(correction, isNew: isNew, patient: patient, alerts: alerts, json: json)
                return isNew ? .success : .badData
            }
        }
    }

    /// A sentence or two: it stands in the alert's summary.
    private static let longestReason = 500

    private func tell(
        _ correction: EnteredInError, isNew: Bool, patient: Identifier, alerts: [EpisodeChange], json: Bool
    ) {
        if !isNew {
            StandardError.write(
                "it was marked before, at \(RFC3339.format(correction.at)) by \(correction.by) because "
                    + "\(StandardErrorLog.escaped(correction.reason))\n")
        }
        var output = BufferedOutput()
        if json {
            output.write(Self.json(correction, isNew: isNew, patient: patient, alerts: alerts))
        } else {
            if isNew {
                let which = "\(correction.kind.code) of report \(correction.key.report) of patient \(patient)"
                output.write("\(which): entered in error")
            }
            for change in alerts {
                let words = StandardErrorLog.escaped(change.events.last?.summary ?? "")
                output.write(
                    "alert \(change.episode.id.description.prefix(8)) \(change.episode.rule) "
                        + "\(change.episode.severity.rawValue) \(change.episode.state.rawValue): \(words)")
            }
        }
        output.flush()
    }

    private static func json(
        _ correction: EnteredInError, isNew: Bool, patient: Identifier, alerts: [EpisodeChange]
    ) -> String {
        var writer = JSONWriter()
        writer.beginObject()
        for (name, text) in [
            ("device", correction.key.device.description), ("report", correction.key.report.description),
            ("kind", correction.kind.code), ("patient", patient.description), ("by", correction.by),
            ("actor", correction.actor), ("reason", correction.reason), ("at", RFC3339.format(correction.at)),
        ] {
            writer.name(name)
            writer.value(text)
        }
        writer.name("reading")
        writer.value(correction.reading)
        writer.name("new")
        writer.value(isNew)
        writer.name("alerts")
        writer.beginArray()
        for change in alerts {
            writer.beginObject()
            for (name, text) in [
                ("alert", change.episode.id.description), ("rule", change.episode.rule),
                ("severity", change.episode.severity.rawValue), ("state", change.episode.state.rawValue),
                ("summary", change.episode.summary),
            ] {
                writer.name(name)
                writer.value(text)
            }
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
