import Alerting
public import Clinical
import Formats
import Foundation
import Ingestion
import PostgresStore
import Registry

/// `homeward alerts`: the worklist at a terminal.
public struct Alerts {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// Reds first, then the oldest. `all`: resolved ones too. `recovered`: only those that ended by themselves and that
    /// nobody has seen. `limit`: no more than so many, and a word on standard
    /// error when there are more. `follow`: goes on with what is new or changes, until SIGINT or SIGTERM.
    public func list(
        all: Bool, recovered: Bool, site: String?, patient: String?, limit: Int?, follow: Bool = false, json: Bool
    ) throws -> ExitStatus {
        var filter = AlertFilter(recoveredUnseen: recovered)
        if let limit {
            guard limit > 0, limit < Int.max else {
                StandardError.write("--limit: \(limit) is no number of alerts\n")
                return .usage
            }
            filter.limit = limit + 1
        }
        if all { filter.states = [] }
        for (text, path, name) in [(site, \AlertFilter.site, "site"), (patient, \AlertFilter.patient, "patient")] {
            guard let text else { continue }
            guard let code = Identifier(text) else {
                StandardError.write("--\(name): \(text) is no code\n")
                return .usage
            }
            filter[keyPath: path] = code
        }
        let wanted = filter
        if follow {
            return withDatabase(configurationPath) { loaded throws(StoreFailure) in
                var following = AlertFollowing(AlertReader(loaded.database), wanted, json: json)
                try following.run()
                return .success
            }
        }
        return withDatabase(configurationPath) { loaded throws(StoreFailure) in
            var rows = try AlertReader(loaded.database).alerts(wanted)
            if let limit, rows.count > limit {
                rows = Array(rows.prefix(limit))
                StandardError.write("there are more than \(limit) alerts\n")
            }
            var output = BufferedOutput()
            if json {
                for row in rows { output.write(AlertText.json(row)) }
            } else if rows.isEmpty {
                output.write("no alerts")
            } else {
                for row in rows { output.write(AlertText.line(row)) }
            }
            output.flush()
            return .success
        }
    }

    /// The alert of that id, or of the beginning of one; nil, and why on standard error, where not exactly one has it.
    private func only(_ id: String, in reader: AlertReader) throws(StoreFailure) -> AlertRow? {
        // Resolved ones too: their history is asked for as well.
        let candidates =
            try AlertID.beginning(with: id.lowercased()).map { ids throws(StoreFailure) in
                try reader.alerts(AlertFilter(ids: ids, states: []))
            } ?? []
        if candidates.count == 1 { return candidates.first }
        StandardError.write(
            candidates.isEmpty ? "no alert \(id)\n" : "\(id) is the beginning of \(candidates.count) alerts\n")
        return nil
    }

    /// Does something about the alert of that id, or of the beginning of one. 65 where it can't be done, with the reason
    /// on standard error and nothing changed.
    public func act(_ intent: AlertIntent, on id: String) throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let desk = AlertDesk(loaded.database)
            var careManager: Identifier?
            if let code = intent.careManager {
                let role = try Identifier(code).flatMap { code throws(StoreFailure) in try desk.role(of: code) }
                guard let role else {
                    StandardError.write("--as: no care manager \(StandardErrorLog.escaped(code))\n")
                    return .badData
                }
                guard role != .readOnly else {
                    StandardError.write("--as: \(code) may only look\n")
                    return .badData
                }
                careManager = Identifier(code)
            }
            guard let row = try only(id, in: AlertReader(loaded.database)) else { return .badData }
            let now = Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))
            let result = try desk.act(
                intent.action(on: row.episode, at: now), on: row.episode.id,
                by: AlertActor(account: NSUserName(), careManager: careManager), note: intent.note,
                // What was read a moment ago, unless the person says what they saw.
                seen: intent.seen ?? row.episode.revision, at: now)
            switch result {
            case .success(let episode)?:
                var after = row
                after.episode = episode
                var output = BufferedOutput()
                output.write(intent.json ? AlertText.json(after) : AlertText.line(after))
                output.flush()
                return .success
            case .failure(let refusal)?:
                StandardError.write("refused: \(refusal)\n")
            case nil:
                StandardError.write("no alert \(id)\n")
            }
            return .badData
        }
    }

    /// By the whole id, or by a beginning that only one alert has.
    public func show(_ id: String, json: Bool) throws -> ExitStatus {
        withDatabase(configurationPath) { loaded throws(StoreFailure) in
            let reader = AlertReader(loaded.database)
            guard let row = try only(id, in: reader) else { return .badData }
            let events = try reader.events(of: row.episode.id)
            let deliveries = try reader.deliveries(of: row.episode.id)
            let suppressions = try reader.suppressions(of: row.episode)
            var output = BufferedOutput()
            if json {
                output.write(AlertText.json(row, events: events, deliveries: deliveries, suppressions: suppressions))
            } else {
                for line in AlertText.explanation(row, events, deliveries, suppressions) { output.write(line) }
            }
            output.flush()
            return .success
        }
    }
}

/// What a person at a terminal wants done about an alert.
public struct AlertIntent: Sendable {
    public enum Verb: Hashable, Sendable {
        case acknowledge
        case take
        case shelve(Interval)
        case unshelve
        case resolve
    }

    var verb: Verb
    var careManager: String?
    var note: String?
    var seen: Int32?
    var json: Bool

    public init(_ verb: Verb, careManager: String?, note: String?, seen: Int32?, json: Bool) {
        self.verb = verb
        self.careManager = careManager
        self.note = note
        self.seen = seen
        self.json = json
    }

    func action(on episode: Episode, at instant: Instant) -> AlertAction {
        switch verb {
        case .acknowledge: .acknowledge
        case .take: .take
        case .shelve(let span): .shelve(until: instant + span)
        case .unshelve: .unshelve
        case .resolve: .resolve
        }
    }
}

/// Alerts as text and as JSON. Everything that came from outside passes through `StandardErrorLog.escaped`, so that no
/// input can move a cursor.
enum AlertText {
    static func line(_ row: AlertRow) -> String {
        let episode = row.episode
        let who = whom(episode)
        return [
            episode.id.description.prefix(8).description, episode.severity.rawValue.uppercased(),
            episode.state.rawValue, RFC3339.format(episode.raisedAt), who, episode.rule,
            StandardErrorLog.escaped(episode.summary) + (episode.late ? " (late)" : "")
                + (row.suppressions > 0 ? " (\(row.suppressions) suppressed)" : ""),
        ].joined(separator: "  ")
    }

    private static func whom(_ episode: Episode) -> String {
        switch episode.subject {
        case .patient(let code), .device(let code), .site(let code): "\(code)"
        case .instance: "homeward"
        }
    }

    static func explanation(
        _ row: AlertRow, _ events: [EpisodeEvent], _ deliveries: [DeliveryRow], _ suppressions: [SuppressionRow]
    ) -> [String] {
        let episode = row.episode
        var lines = [
            "alert      \(episode.id)",
            "about      \(episode.subject.text)" + (episode.site.map { " (site \($0))" } ?? ""),
            "rule       \(episode.rule), \(episode.alertClass.rawValue), \(episode.severity.rawValue)",
            "state      \(episode.state.rawValue)" + (episode.late ? ", late" : ""),
            "summary    \(StandardErrorLog.escaped(episode.summary))",
            "raised     \(RFC3339.format(episode.raisedAt))",
        ]
        if let at = episode.acknowledgedAt {
            lines.append("taken      \(RFC3339.format(at)) by \(row.acknowledgedBy ?? "?")")
        }
        if let at = row.resolvedAt { lines.append("resolved   \(RFC3339.format(at)) by \(row.resolvedBy ?? "?")") }
        let joined = joined(events)
        if joined > 0 {
            lines.append("not told   \(joined) further \(joined == 1 ? "reading" : "readings") of this alert")
        }
        lines.append("history")
        for event in events {
            lines.append(
                "  \(event.revision)  \(RFC3339.format(event.at))  \(event.transition.rawValue)  "
                    + "\(event.severity.rawValue)  "
                    + "\(event.actor)  \(StandardErrorLog.escaped(event.summary))")
            lines.append("    \(StandardErrorLog.escaped(event.explanation))")
        }
        lines.append(deliveries.isEmpty ? "told       nobody" : "told")
        for delivery in deliveries {
            let error = delivery.lastError.map { ", \(StandardErrorLog.escaped($0))" } ?? ""
            let sent = delivery.sentAt.map { " at \(RFC3339.format($0))" } ?? ""
            lines.append(
                "  \(delivery.recipient) by \(delivery.channel): \(delivery.state)\(sent), "
                    + "attempt \(delivery.attempts)\(error)")
        }
        if !suppressions.isEmpty { lines.append("suppressed") }
        return lines + suppressions.map { "  " + line($0) }
    }

    /// Readings that joined the alert without a word to anybody: one alert an episode.
    private static func joined(_ events: [EpisodeEvent]) -> Int { events.count { $0.transition == .joined } }

    static func json(
        _ row: AlertRow, events: [EpisodeEvent]? = nil, deliveries: [DeliveryRow]? = nil,
        suppressions: [SuppressionRow]? = nil
    ) -> String {
        let episode = row.episode
        var writer = JSONWriter()
        func text(_ name: String, _ value: String?) { Self.text(name, value, to: &writer) }
        writer.beginObject()
        text("alert", episode.id.description)
        text("site", episode.site?.description)
        if case .patient(let code) = episode.subject { text("patient", code.description) } else { text("patient", nil) }
        text("device", episode.device?.description)
        text("class", episode.alertClass.rawValue)
        text("rule", episode.rule)
        text("severity", episode.severity.rawValue)
        text("state", episode.state.rawValue)
        writer.name("late")
        writer.value(episode.late)
        text("raised_at", RFC3339.format(episode.raisedAt))
        text("acknowledged_at", episode.acknowledgedAt.map(RFC3339.format))
        text("acknowledged_by", row.acknowledgedBy)
        text("resolved_at", row.resolvedAt.map(RFC3339.format))
        text("resolved_by", row.resolvedBy)
        writer.name("escalation_level")
        writer.value(episode.escalationLevel)
        text("summary", episode.summary)
        if let events {
            writer.name("joined_untold")
            writer.value(joined(events))
            writer.name("events")
            writer.beginArray()
            for event in events { write(event, to: &writer) }
            writer.endArray()
        }
        if let deliveries {
            writer.name("deliveries")
            writer.beginArray()
            for delivery in deliveries { write(delivery, to: &writer) }
            writer.endArray()
        }
        if let suppressions {
            writer.name("suppressed")
            writer.beginArray()
            for suppression in suppressions { write(suppression, to: &writer) }
            writer.endArray()
        }
        writer.endObject()
        return writer.text
    }

    private static func write(_ event: EpisodeEvent, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("revision")
        writer.value(Int(event.revision))
        for (name, value) in [
            ("at", RFC3339.format(event.at)), ("transition", event.transition.rawValue),
            ("severity", event.severity.rawValue), ("actor", event.actor), ("summary", event.summary),
        ] {
            writer.name(name)
            writer.value(value)
        }
        text("report", event.report?.report.description, to: &writer)
        writer.name("explanation")
        // What the database gives back is JSON; anything else is shown as text rather than break the line.
        let bytes = Array(event.explanation.utf8)
        do throws(JSONFault) {
            writer.value(try JSONReader.value(bytes.span, maximumDepth: 32))
        } catch {
            writer.value(event.explanation)
        }
        writer.endObject()
    }

    private static func write(_ delivery: DeliveryRow, to writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in [
            ("channel", delivery.channel), ("recipient", delivery.recipient), ("state", delivery.state),
        ] {
            writer.name(name)
            writer.value(value)
        }
        writer.name("attempts")
        writer.value(delivery.attempts)
        text("last_error", delivery.lastError, to: &writer)
        text("sent_at", delivery.sentAt.map(RFC3339.format), to: &writer)
        writer.endObject()
    }

    static func text(_ name: String, _ value: String?, to writer: inout JSONWriter) {
        writer.name(name)
        if let value { writer.value(value) } else { writer.null() }
    }
}
