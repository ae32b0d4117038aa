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
        case "raised_at": RFC3339.format(episode.raisedAt.atWholeSecond)
        case "late": episode.late ? " (late)" : ""
        case "url": link
        default: ""
        }
    }

    /// `spo2-low` as "SpO2 low", `late-red` as "Late red".
    var title: String {
        for side in ["low", "high"] where episode.rule.hasSuffix("-\(side)") {
            if let kind = Kind(code: String(episode.rule.dropLast(side.count + 1))) { return "\(kind.name) \(side)" }
        }
        let words = episode.rule.replacing("-", with: " ")
        return words.prefix(1).uppercased() + words.dropFirst()
    }

    var subject: String {
        switch episode.subject {
        case .patient(let code): code.description
        case .device(let code): "reader \(code)"
        case .site(let code): "site \(code)"
        case .instance: "this installation"
        }
    }
}

extension Instant {
    var atWholeSecond: Instant { Instant(microseconds: microseconds - microseconds % 1_000_000) }
}

/// What a message of several alerts may say of them: no more than it may of each.
struct GatheredWords {
    private let gathering: Gathering
    /// Each once, also where it was to be told several times meanwhile.
    private let alerts: [Gathering.Alert]
    private let publicURL: String

    init(gathering: Gathering, publicURL: String) {
        self.gathering = gathering
        self.publicURL = publicURL
        var told: Set<AlertID> = []
        alerts = gathering.alerts.filter { told.insert($0.episode.id).inserted }
    }

    /// A patient's, or a digest.
    func template(of templates: MessageTemplates) -> MessageTemplates.Gathered {
        switch gathering.kind {
        case .patient: templates.patient
        case .digest: templates.digest
        }
    }

    /// A line for each alert, by the same template.
    func lines(_ template: TextTemplate) -> String {
        alerts.map { alert in
            let words = AlertWords(episode: alert.episode, link: alertLink(publicURL, alert.episode.id))
            return template.filled { $0 == "state" ? alert.state.rawValue : words.value(of: $0) }
        }.joined(separator: "\n")
    }

    func value(of place: String, lines: String) -> String {
        let episodes = alerts.map(\.episode)
        let worst = episodes.map(\.severity).max() ?? .info
        switch place {
        case "severity": return worst.rawValue
        case "severity_in_capitals": return worst.rawValue.uppercased()
        case "count": return "\(episodes.count)"
        case "subjects": return "\(Set(episodes.map(\.subject)).count)"
        case "open_reds": return "\(gathering.openReds)"
        case "subject": return episodes.first.map { AlertWords(episode: $0, link: "").subject } ?? ""
        case "site": return sites(of: episodes)
        case "raised_at": return episodes.map(\.raisedAt).min().map { RFC3339.format($0.atWholeSecond) } ?? ""
        case "titles": return titles(of: episodes)
        case "alerts": return lines
        case "url": return publicURL.hasSuffix("/") ? publicURL : publicURL + "/"
        default: return ""
        }
    }

    private func sites(of episodes: [Episode]) -> String {
        Set(episodes.compactMap { $0.site?.description }).sorted().joined(separator: ", ")
    }

    /// The first three, each once, and how many more.
    private func titles(of episodes: [Episode]) -> String {
        var titles: [String] = []
        for episode in episodes {
            let title = AlertWords(episode: episode, link: "").title
            if !titles.contains(title) { titles.append(title) }
        }
        let more = titles.count - 3
        return titles.prefix(3).joined(separator: ", ") + (more > 0 ? " and \(more) more" : "")
    }
}
