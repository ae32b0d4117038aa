import Alerting
import Clinical
import Formats
import Registry

/// One alert, what it says for itself, and what can be done about it.
struct AlertPart {
    let file: AlertFile
    let viewer: Viewer
    let form: String
    let time: PageTime
    let team: [Identifier: String]

    static func subject(_ episode: Episode) -> String {
        switch episode.subject {
        case .patient(let code): "Patient \(code)"
        case .device(let code): "Reader \(code)"
        case .site(let code): "Site \(code)"
        case .instance: "This installation"
        }
    }

    var part: HTML {
        let episode = file.episode
        return element(
            "article", .class("alert alert-\(episode.severity.rawValue) is-\(episode.state.rawValue)"),
            .id("alert-\(episode.id)"), .data(.state, episode.state.rawValue)
        ) {
            element("h3") {
                Signs.severity(episode.severity)
                " \(Signs.rule(episode.rule))"
                if episode.late { element("span", .class("tag")) { "Late" } }
                if episode.alertClass == .technical { element("span", .class("tag plain")) { "Technical" } }
            }
            element("p", .class("sentence")) { episode.summary }
            element("p", .class("small")) { standing }
            if viewer.mayAct { actions }
            explanation
            history
            ledger
        }
    }

    private var standing: String {
        let episode = file.episode
        var words = "Raised \(time.short(episode.raisedAt)), "
        switch episode.state {
        case .open:
            words += time.isFresh(episode.raisedAt) ? "unanswered" : "unanswered for \(time.age(episode.raisedAt))"
        case .acknowledged, .shelved:
            words += episode.state.rawValue
            if let at = episode.acknowledgedAt { words += " since \(time.short(at))" }
            if let who = holder { words += " by \(who)" }
        case .resolved:
            words += "resolved"
            if let at = file.resolvedAt { words += " \(time.short(at))" }
            if let who = file.resolvedBy { words += " by \(name(who))" }
            if episode.acknowledgedAt == nil { words += ", not yet seen by anybody" }
        }
        return words + "."
    }

    private var holder: String? { file.holder.map(name) }

    fileprivate func name(_ code: String) -> String { PatientStanding.name(code, team) }

    // MARK: Actions

    @HTMLBuilder private var actions: HTML {
        let episode = file.episode
        element("div", .class("actions")) {
            switch episode.state {
            case .open:
                act("acknowledge", "Acknowledge", primary: true)
                act("take", "I have it")
                resolve
            case .acknowledged:
                act("take", "I have it", note: "Hand-over note")
                handOver
                shelve
                resolve
            case .shelved:
                act("unshelve", "Take it back")
                resolve
            case .resolved:
                if episode.acknowledgedAt == nil { act("acknowledge", "Seen", primary: true) }
            }
        }
    }

    private func act(_ verb: String, _ words: String, primary: Bool = false, note: String? = nil) -> HTML {
        guard let note else {
            return request(verb) {
                element("button", .type("submit"), .class(primary ? "primary" : "plain-button")) { words }
            }
        }
        return element("details", .class("act")) {
            element("summary") { words }
            request(verb) {
                self.note(verb, note, isRequired: false)
                element("button", .type("submit"), .class("primary")) { words }
            }
        }
    }

    /// To one of the team.
    @HTMLBuilder private var handOver: HTML {
        let others = team.filter { $0.key != viewer.careManager }.sorted { $0.key.description < $1.key.description }
        if !others.isEmpty {
            element("details", .class("act")) {
                element("summary") { "Hand over" }
                request("hand-over") {
                    let id = "to-\(file.episode.id)"
                    element("label", .for(id)) { "To whom" }
                    element("select", .id(id), .name("to"), .required) {
                        for (code, name) in others {
                            element("option", .value(code.description)) { "\(name) (\(code))" }
                        }
                    }
                    note("hand-over", "What they should know", isRequired: true)
                    element("button", .type("submit"), .class("primary")) { "Hand over" }
                }
            }
        }
    }

    private var shelve: HTML {
        element("details", .class("act")) {
            element("summary") { "Shelve" }
            request("shelve") {
                let longest = AlertAction.longestShelving(of: file.episode.severity)
                let id = "hours-\(file.episode.id)"
                element("label", .for(id)) { "For how long" }
                element("select", .id(id), .name("hours")) {
                    for hours in [1, 2, 4, 8, 24, 48, 72] where Interval.hours(Int64(hours)) <= longest {
                        element("option", .value("\(hours)")) { hours == 1 ? "1 hour" : "\(hours) hours" }
                    }
                }
                note("shelve", "Why", isRequired: true)
                element("button", .type("submit"), .class("primary")) { "Shelve" }
            }
        }
    }

    private var resolve: HTML {
        element("details", .class("act")) {
            element("summary") { "Resolve" }
            request("resolve") {
                note("resolve", "What was done", isRequired: file.episode.severity == .red)
                element("button", .type("submit"), .class("primary")) { "Resolve" }
            }
        }
    }

    private func note(_ verb: String, _ words: String, isRequired: Bool) -> HTML {
        let id = "\(verb)-note-\(file.episode.id)"
        return .all([
            element("label", .for(id)) { words },
            element("textarea", .id(id), .name("note"), .rows(2), .maxlength(1000), isRequired ? .required : nil),
        ])
    }

    /// With the last event that this page shows: it is refused if the alert has spoken again since.
    private func request(_ verb: String, @HTMLBuilder _ content: () -> HTML) -> HTML {
        element("form", .method("post"), .action(Place("alerts", file.episode.id.description))) {
            PageFrame.formToken(form)
            element("input", .type("hidden"), .name("do"), .value(verb))
            element(
                "input", .type("hidden"), .name("seen"),
                .value("\(file.events.last?.revision ?? file.episode.revision)"))
            content()
        }
    }

    // MARK: Why, and what happened

    private var explanation: HTML {
        let cause = file.events.last { $0.report != nil } ?? file.events.first
        return element("details") {
            element("summary") { "Why" }
            if let cause { Explained.part(cause.explanation) }
        }
    }

    private var history: HTML {
        let joined = file.joined
        return element("details") {
            element("summary") { "What happened, and who was told" }
            element("ol", .class("events")) {
                for event in file.events where event.transition != .joined {
                    element("li") {
                        element("span", .class("small")) { "\(time.short(event.at)) " }
                        element("strong") { event.transition.rawValue }
                        " by \(name(event.actor)): \(event.summary)"
                    }
                }
            }
            if file.hasOlderEvents {
                element("p", .class("small")) {
                    "What stands here is the newest. "
                    element("a", .href(Place("alerts", file.episode.id.description, "history"))) {
                        "The whole history"
                    }
                }
            }
            if joined > 0 {
                element("p", .class("small")) {
                    "\(joined >= 1000 ? "1000 or more" : "\(joined)") further \(joined == 1 ? "reading" : "readings") joined it without a word to anybody."
                }
            }
            element("p", .class("small")) {
                file.told.isEmpty
                    ? "Nobody was told by another way." : "Told: " + file.told.joined(separator: "; ") + "."
            }
        }
    }
}

extension AlertPart {
    /// Why somebody was not told of it, or not alone.
    @HTMLBuilder fileprivate var ledger: HTML {
        if !file.ledger.isEmpty {
            element("details") {
                element("summary") { "What was held back, merged or shelved" }
                element("ol", .class("events")) {
                    for row in file.ledger {
                        element("li") {
                            element("span", .class("small")) { "\(time.short(row.at)) " }
                            element("strong") { row.kind }
                            if let recipient = row.recipient {
                                " for "
                                element("bdi") { name(recipient) }
                            }
                            ": "
                            element("bdi") { row.reason }
                            " (\(name(row.actor))"
                            if let until = row.until { ", until \(time.short(until))" }
                            ")"
                        }
                    }
                }
            }
        }
    }
}

extension AlertFile {
    /// Who took or acknowledged it last.
    var holder: String? {
        events.last { [.taken, .acknowledged].contains($0.transition) }?.actor ?? acknowledgedBy
    }
}

/// An event's explanation, which is JSON, as a list that people read.
enum Explained {
    static func part(_ json: String) -> HTML {
        let bytes = Array(json.utf8)
        do throws(JSONFault) {
            return part(try JSONReader.value(bytes.span, maximumDepth: 16))
        } catch {
            return element("p") { json }
        }
    }

    private static func part(_ value: JSONValue) -> HTML {
        switch value {
        case .null: .text("–")
        case .bool(let value): .text(value ? "yes" : "no")
        case .number(let value):
            .text(value == value.rounded() && value.magnitude < 1e15 ? "\(Int(exactly: value) ?? 0)" : "\(value)")
        case .string(let text): element("bdi") { text }
        case .array(let values):
            if values.isEmpty {
                .text("none")
            } else {
                element("ul") { for value in values { element("li") { part(value) } } }
            }
        case .object(let members):
            element("dl") {
                for (name, value) in members where !isEmpty(value) {
                    element("dt") { name.replacing("_", with: " ") }
                    element("dd") { part(value) }
                }
            }
        }
    }

    private static func isEmpty(_ value: JSONValue) -> Bool {
        switch value {
        case .null: true
        case .array(let values): values.isEmpty
        default: false
        }
    }
}
