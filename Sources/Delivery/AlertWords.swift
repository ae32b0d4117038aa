import Alerting
import Clinical
import Formats
import Registry

/// What a short message may say of an alert: its class, severity and rule, the patient's code, and where to read on.
/// What was measured stays behind the login.
struct AlertWords {
    var episode: Episode
    var link: String
    /// Said to the site's fallback: everybody of the chain was told, and nobody has answered.
    var isUnanswered = false

    func value(of place: String) -> String {
        switch place {
        case "severity": episode.severity.rawValue + (isUnanswered ? " and unanswered" : "")
        case "severity_in_capitals": (isUnanswered ? "UNANSWERED " : "") + episode.severity.rawValue.uppercased()
        case "class": episode.alertClass.rawValue
        case "title": title
        case "subject": subject
        case "site": episode.site?.description ?? "every site"
        case "raised_at": RFC3339.format(Instant(microseconds: wholeSeconds))
        case "late": episode.late ? " (late)" : ""
        case "url": link
        default: ""
        }
    }

    private var wholeSeconds: Int64 { episode.raisedAt.microseconds - episode.raisedAt.microseconds % 1_000_000 }

    /// `spo2-low` as "SpO2 low", `late-red` as "Late red".
    private var title: String {
        for side in ["low", "high"] where episode.rule.hasSuffix("-\(side)") {
            if let kind = Kind(code: String(episode.rule.dropLast(side.count + 1))) { return "\(kind.name) \(side)" }
        }
        let words = episode.rule.replacing("-", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    private var subject: String {
        switch episode.subject {
        case .patient(let code): code.description
        case .device(let code): "reader \(code)"
        case .site(let code): "site \(code)"
        case .instance: "this installation"
        }
    }
}
