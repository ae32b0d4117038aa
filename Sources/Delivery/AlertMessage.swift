import Alerting
import Clinical
import Registry

/// The body of a webhook: the alert as it stood when its message was queued, so that every retry has the same bytes.
struct AlertMessage {
    var key: String
    var episode: Episode
    /// Of the care managers' page.
    var link: String

    /// The fields of the outside contract, section 4, in its order. `patient` is null for an alert about a device, a
    /// site or the instance; `site` is null for one about the instance.
    var json: [UInt8] {
        var patient: String?
        if case .patient(let code) = episode.subject { patient = code.description }
        let fields: [(String, String)] = [
            ("delivery", Self.quoted(key)),
            ("alert", Self.quoted(episode.id.description)),
            ("site", episode.site.map { Self.quoted($0.description) } ?? "null"),
            ("patient", patient.map(Self.quoted) ?? "null"),
            ("class", Self.quoted(episode.alertClass.rawValue)),
            ("rule", Self.quoted(episode.rule)),
            ("severity", Self.quoted(episode.severity.rawValue)),
            ("state", Self.quoted(episode.state.rawValue)),
            ("late", episode.late ? "true" : "false"),
            ("raised_at", Self.quoted(Self.time(episode.raisedAt))),
            ("summary", Self.quoted(episode.summary)),
            ("url", Self.quoted(link)),
        ]
        return Array("{\(fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ","))}".utf8)
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\u{0}"..."\u{1f}", "\u{7f}": result += "\\u00" + hexadecimalPair(UInt8(scalar.value))
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    private static func hexadecimalPair(_ byte: UInt8) -> String {
        (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }

    /// RFC 3339 in UTC, with microseconds only where there are any.
    private static func time(_ instant: Instant) -> String {
        let perDay: Int64 = 86_400_000_000
        // 0001-01-01 to 9999-12-31: what RFC 3339 can say.
        let inside = min(max(instant.microseconds, -62_135_596_800_000_000), 253_402_300_799_999_999)
        let ofDay = (inside % perDay + perDay) % perDay
        let date = civilDate(daysSinceEpoch: (inside - ofDay) / perDay)
        let second = ofDay / 1_000_000
        let fraction = ofDay % 1_000_000
        let clock = [second / 3600, second / 60 % 60, second % 60].map { padded($0, 2) }.joined(separator: ":")
        let day = "\(padded(date.year, 4))-\(padded(date.month, 2))-\(padded(date.day, 2))"
        return "\(day)T\(clock)\(fraction == 0 ? "" : ".\(padded(fraction, 6))")Z"
    }

    /// The proleptic Gregorian calendar, counted in eras of 400 years that begin on 1 March.
    private static func civilDate(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let ofEra = shifted - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * ofYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * monthFromMarch + 2) / 5 + 1)
    }

    private static func padded(_ number: Int64, _ digits: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
}
