import Alerting
import Clinical

/// Open alerts that may be acknowledged together: technical ones, and those that only inform. No other is on it.
struct MinorAlertsPage {
    let episodes: [Episode]
    let viewer: Viewer
    let form: String
    let time: PageTime
    let notice: PatientPage.Notice?

    var page: HTML {
        PageFrame.page("Technical alerts", viewer: viewer, form: form) {
            element("h1") { "Technical alerts, and what only informs" }
            if let notice {
                element("p", .class(notice.isBad ? "notice bad" : "notice"), .role(notice.isBad ? "alert" : "status")) {
                    notice.words
                }
            }
            element("p", .class("small")) {
                "Clinical ambers and reds are not here: each of them is looked at by itself."
            }
            if episodes.isEmpty { element("p", .class("empty")) { "None is open." } } else { list }
        }
    }

    private var list: HTML {
        element("form", .method("post"), .action(Place("minor")), .class("bulk")) {
            PageFrame.formToken(form)
            element("ul", .class("plain")) {
                for (number, episode) in episodes.prefix(Self.most).enumerated() {
                    element("li") {
                        if viewer.mayAct {
                            element(
                                "input", .type("checkbox"), .id("alert-\(number)"), .name("a\(number)"),
                                .value("\(episode.id) \(episode.revision)"))
                        }
                        element("label", .for("alert-\(number)")) {
                            Signs.severity(episode.severity)
                            " "
                            element("bdi") { AlertPart.subject(episode) }
                            ": \(Signs.rule(episode.rule)), for \(time.age(episode.raisedAt)). "
                            element("bdi") { episode.summary }
                        }
                        " "
                        element("a", .href(Place("alerts", episode.id.description))) { "Open" }
                    }
                }
            }
            if episodes.count > Self.most {
                element("p", .class("small")) { "The \(Self.most) that wait longest, of \(episodes.count)." }
            }
            if viewer.mayAct {
                element("button", .type("submit"), .class("primary")) { "Acknowledge those chosen" }
            }
        }
    }

    /// A form has 64 fields at most.
    static let most = 60

    /// The alerts that a form names, each with the last event that was seen.
    static func chosen(_ form: WebForm) -> [(AlertID, Int32)] {
        (0..<most).compactMap { number in
            let parts = (form["a\(number)"] ?? "").split(separator: " ")
            guard parts.count == 2, let id = AlertID(String(parts[0])), let seen = Int32(parts[1]) else { return nil }
            return (id, seen)
        }
    }
}

/// A part of an alert's history that its patient's page has no room for.
struct AlertHistoryPage {
    let history: AlertHistory
    let form: String
    let time: PageTime

    var page: HTML {
        let episode = history.episode
        return PageFrame.page("History", viewer: history.viewer, form: form) {
            element("h1") {
                element("bdi") { AlertPart.subject(episode) }
                ": \(Signs.rule(episode.rule))"
            }
            element("p") { element("a", .href(Place("alerts", episode.id.description))) { "To the alert" } }
            element("ol", .class("events")) {
                for event in history.events {
                    element("li") {
                        element("span", .class("small")) { "\(time.short(event.at)) " }
                        element("strong") { event.transition.rawValue }
                        " by "
                        element("bdi") { event.actor }
                        ": "
                        element("bdi") { event.summary }
                    }
                }
            }
            if history.hasOlder, let last = history.events.last {
                element("p") {
                    element(
                        "a",
                        .href(
                            Place(
                                "alerts", episode.id.description, "history",
                                query: [("before", "\(last.revision)")]))
                    ) { "Older" }
                }
            }
        }
    }
}
