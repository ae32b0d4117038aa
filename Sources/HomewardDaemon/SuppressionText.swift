import Alerting
import Clinical
import Formats
import PostgresStore

extension AlertText {
    static func line(_ row: SuppressionRow) -> String {
        var words = "\(RFC3339.format(row.at))  \(row.kind)  \(StandardErrorLog.escaped(row.reason))"
        if let until = row.until { words += ", until \(RFC3339.format(until))" }
        if let recipient = row.recipient, let channel = row.channel { words += ", for \(recipient) by \(channel)" }
        if let message = row.message { words += ", message \(message)" }
        return words + (row.actor == "homeward" ? "" : ", by \(StandardErrorLog.escaped(row.actor))")
    }

    static func write(_ row: SuppressionRow, to writer: inout JSONWriter) {
        writer.beginObject()
        for (name, value) in [
            ("at", RFC3339.format(row.at)), ("kind", row.kind), ("reason", row.reason), ("actor", row.actor),
            ("until", row.until.map(RFC3339.format)), ("recipient", row.recipient), ("channel", row.channel),
            ("message", row.message),
        ] as [(String, String?)] {
            text(name, value, to: &writer)
        }
        writer.endObject()
    }
}
