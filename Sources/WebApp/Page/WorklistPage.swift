import Alerting
import Clinical

/// What of the worklist is asked for.
struct WorklistFilter: Sendable {
    /// Whose patients: the viewer's own, nobody's, or those of that care manager.
    enum Owner: Hashable, Sendable {
        case mine
        case nobody
        case careManager(Identifier)

        init?(_ text: String) {
            switch text {
            case "mine": self = .mine
            case "nobody": self = .nobody
            default:
                guard let code = Identifier(text) else { return nil }
                self = .careManager(code)
            }
        }

        var text: String {
            switch self {
            case .mine: "mine"
            case .nobody: "nobody"
            case .careManager(let code): code.description
            }
        }
    }

    var owner: Owner?
    var site: Identifier?
    var condition: String?
    var state: TriageState?
    var search: String?
    var page = 0

    init(_ form: WebForm) {
        owner = form["who"].flatMap(Owner.init)
        site = form["site"].flatMap { Identifier($0) }
        condition = form["condition"]
        state = form["state"].flatMap(TriageState.init(rawValue:))
        search = form["q"]
        page = form["page"].flatMap { Int($0) }.map { min(max($0, 0), 10_000) } ?? 0
    }

    var query: [(String, String)] {
        var query: [(String, String)] = []
        if let owner { query.append(("who", owner.text)) }
        if let site { query.append(("site", site.description)) }
        if let condition { query.append(("condition", condition)) }
        if let state { query.append(("state", state.rawValue)) }
        if let search { query.append(("q", search)) }
        if page > 0 { query.append(("page", "\(page)")) }
        return query
    }

    var takesAll: Bool { owner == nil && site == nil && condition == nil && state == nil && search == nil }

    func takes(_ row: WorklistRow, _ viewer: Viewer) -> Bool {
        switch owner {
        case .mine where row.triage.keyWorker != viewer.careManager: return false
        case .nobody where row.triage.keyWorker != nil: return false
        case .careManager(let code) where row.triage.keyWorker != code: return false
        default: break
        }
        if let site, row.triage.site != site { return false }
        if let condition, !row.conditions.contains(condition) { return false }
        if let state, row.triage.state != state { return false }
        guard let search else { return true }
        let text = "\(row.triage.patient) \(row.name ?? "")".lowercased()
        return search.lowercased().split(separator: " ").allSatisfy { text.contains($0) }
    }
}

/// The worklist: who must be looked at, those first who must be looked at first.
struct WorklistPage {
    static let pageSize = 100

    let list: Worklist
    let filter: WorklistFilter
    let form: String
    /// What has just been done.
    let notice: PatientPage.Notice?
    private let time: PageTime
    private let shown: [WorklistRow]

    init(_ list: Worklist, _ filter: WorklistFilter, form: String, notice: PatientPage.Notice? = nil) {
        self.notice = notice
        self.list = list
        self.filter = filter
        self.form = form
        time = PageTime(now: list.at, timeZone: list.viewer.timeZone)
        let viewer = list.viewer
        shown = filter.takesAll ? list.rows : list.rows.filter { filter.takes($0, viewer) }
    }

    var page: HTML {
        PageFrame.page(
            title, viewer: list.viewer, form: form, refresh: Place(query: filter.query + [("auto", "1")])
        ) {
            element("div", .class("bar")) {
                element("h1") { element("bdi") { list.viewer.siteName } }
                // What script makes live says so; until then, and where it fails, it isn't.
                element("span", .id("live"), .class("live live-wait"), .role("status")) { "Not live" }
                element("label", .id("sound-choice"), .class("choice"), .hidden) {
                    element("input", .type("checkbox"), .id("sound"))
                    " Sound for a new red"
                }
                element("span", .id("sound-waiting"), .class("tag"), .role("status"), .hidden) {
                    "Sound is waiting: press a key"
                }
            }
            if let notice {
                element("p", .class(notice.isBad ? "notice bad" : "notice"), .role("status")) {
                    notice.told(time, list.team)
                }
            }
            element("p", .id("announce"), .class("visually-hidden"), .aria(.live, "assertive"))
            filters
            part
            element("details", .id("keys"), .class("small keys")) {
                element("summary") { "Keys" }
                element("label", .id("keys-choice"), .class("choice"), .hidden) {
                    element("input", .type("checkbox"), .id("keys-on"))
                    " Single keys work"
                }
                element("p") {
                    "j and k go down and up, Enter opens, / searches, m shows your own patients and everybody's, t shows the "
                    "technical alerts, ? opens this. On a patient's page j and k go from alert to alert, c logs a call, "
                    "r types in a reading, u goes back to the worklist."
                }
            }
        }
    }

    private var title: String {
        let reds = list.counts[.red, default: 0]
        return reds > 0 ? "(\(reds) red) Worklist" : "Worklist"
    }

    private var filters: HTML {
        element("form", .method("get"), .action(Place()), .class("filters"), .role("search")) {
            element("label", .for("who")) { "Patients of" }
            element("select", .id("who"), .name("who")) {
                option("", "the team", filter.owner?.text ?? "")
                option("mine", "me", filter.owner?.text ?? "")
                option("nobody", "nobody", filter.owner?.text ?? "")
                for (code, name) in list.team.sorted(by: { $0.key.description < $1.key.description })
                where code != list.viewer.careManager { option(code.description, name, filter.owner?.text ?? "") }
            }
            if list.sites.count > 1 {
                element("label", .for("site")) { "Site" }
                element("select", .id("site"), .name("site")) {
                    option("", "any", filter.site?.description ?? "")
                    for site in list.sites.map(\.description) { option(site, site, filter.site?.description ?? "") }
                }
            }
            element("label", .for("condition")) { "Condition" }
            element("select", .id("condition"), .name("condition")) {
                option("", "any", filter.condition ?? "")
                for condition in list.conditions {
                    option(condition, condition, filter.condition ?? "")
                }
            }
            element("label", .for("state")) { "State" }
            element("select", .id("state"), .name("state")) {
                option("", "any", filter.state?.rawValue ?? "")
                for state in TriageState.allCases {
                    option(state.rawValue, Signs.word(state), filter.state?.rawValue ?? "")
                }
            }
            element("label", .for("search")) { "Search" }
            element("input", .type("search"), .id("search"), .name("q"), .value(filter.search ?? ""), .maxlength(100))
            element("button", .type("submit")) { "Show" }
        }
    }

    private func option(_ value: String, _ words: String, _ chosen: String) -> HTML {
        element("option", .value(value), .selected(value == chosen)) { words }
    }

    /// What is replaced when something changed.
    var part: HTML {
        element(
            "div", .id("list"), .data(.at, time.clock(list.at)), .data(.title, title),
            .data(.viewer, list.viewer.careManager.description)
        ) {
            redList
            summary
            if !list.others.isEmpty { others }
            table
        }
    }

    private var summary: HTML {
        let count = list.counts
        return element("p", .class("summary")) {
            element("strong") { "As at \(time.clock(list.at))" }
            for state in TriageState.allCases {
                element("span", .class("count")) {
                    Signs.state(state)
                    " \(count[state] ?? 0)"
                }
            }
            if hiddenReds > 0 {
                element("a", .href(Place(query: [("state", TriageState.red.rawValue)])), .class("tag")) {
                    "\(hiddenReds) red not in this list"
                }
            }
            if shown.count != list.rows.count {
                element("span") { "\(shown.count) of \(list.rows.count) shown" }
                element("a", .href(Place())) { "Show all" }
            }
        }
    }

    private var rows: ArraySlice<WorklistRow> {
        shown.dropFirst(filter.page * Self.pageSize).prefix(Self.pageSize)
    }

    private var hiddenReds: Int { list.counts[.red, default: 0] - rows.count { $0.triage.state == .red } }

    private var table: HTML {
        let start = filter.page * Self.pageSize
        let rows = rows
        return .all([
            element("table", .class("worklist")) {
                element("thead") {
                    element("tr") {
                        for head in ["State", "Patient", "Why", "Unanswered", "Key worker", "Last reading"] {
                            element("th", .scope("col")) { head }
                        }
                    }
                }
                element("tbody") { for row in rows { line(row) } }
            },
            rows.isEmpty ? element("p", .class("empty")) { "Nobody to show." } : .nothing,
            pager(from: start, count: rows.count),
        ])
    }

    private func pager(from start: Int, count: Int) -> HTML {
        guard shown.count > Self.pageSize else { return .nothing }
        func place(_ page: Int) -> Place {
            var other = filter
            other.page = page
            return Place(query: other.query)
        }
        return element("nav", .class("pager"), .aria(.label, "More patients")) {
            if start > 0 { element("a", .href(place(filter.page - 1))) { "Before" } }
            element("span") { "\(min(start + 1, shown.count))–\(start + count) of \(shown.count)" }
            if start + count < shown.count { element("a", .href(place(filter.page + 1))) { "Next" } }
        }
    }

    private func line(_ row: WorklistRow) -> HTML {
        let triage = row.triage
        let code = triage.patient.description
        return element(
            "tr", .class("row row-\(triage.state.rawValue)"), .data(.state, triage.state.rawValue),
            .data(.patient, code)
        ) {
            element("td") { Signs.state(triage.state) }
            element("th", .scope("row")) {
                element("a", .href(Place("patients", code))) { element("bdi") { row.name ?? code } }
                element("span", .class("small")) {
                    if row.name != nil { "\(code) " }
                    if row.isHighRisk { element("span", .class("tag")) { "High risk" } }
                    for condition in row.conditions { element("span", .class("tag plain")) { condition } }
                }
            }
            element("td", .class("why")) {
                element("span") { reason(row) }
                if let alert = mayTake(row) { take(alert, row) }
                element("span", .class("small")) {
                    if triage.reasons.count > 1 { "and \(triage.reasons.count - 1) more " }
                    if row.isOverdue { element("span", .class("tag")) { "Overdue" } }
                    if row.recoveredUnseen > 0 {
                        element("span", .class("tag")) { "Recovered, not yet seen: \(row.recoveredUnseen)" }
                    }
                    if row.muted > 0 { element("span", .class("tag plain")) { "Shelved: \(row.muted)" } }
                    if triage.isDischarged { element("span", .class("tag plain")) { "No longer monitored" } }
                    if let followUp = row.followUp {
                        element("span", .class("tag")) { "Follow-up" }
                        "\(time.short(followUp.due)): "
                        element("bdi") { followUp.note }
                        " "
                    }
                    if let reviewed = row.reviewedAt, time.isToday(reviewed) {
                        element("span", .class("tag plain")) { "Reviewed \(time.clock(reviewed))" }
                    }
                }
            }
            element("td", .class("when unanswered")) {
                if let since = row.unansweredSince { element("strong") { time.age(since) } } else { "–" }
            }
            element("td", .class("keyworker")) {
                element("bdi") { triage.keyWorker.map { list.team[$0] ?? $0.description } ?? "nobody" }
            }
            element("td", .class("when last")) {
                if let last = triage.lastReadingAt { time.short(last) } else { "none in a month" }
            }
        }
    }

    private func reason(_ row: WorklistRow) -> String {
        guard let first = row.triage.reasons.first else { return "Nothing to do" }
        guard case .alert(let rule, _, _) = first else { return Signs.reason(first) }
        let holder = row.alerts.first { $0.alert.rule == rule }?.holder
        return Signs.reason(first, holder: holder.map { PatientStanding.name($0, list.team) })
    }

    /// The worst of the patient's alerts that nobody has.
    private func mayTake(_ row: WorklistRow) -> TriageSnapshot.OpenAlert? {
        guard list.viewer.mayAct, [.red, .amber].contains(row.triage.state) else { return nil }
        return row.alerts.first { $0.alert.state == .open && $0.alert.severity >= .amber }
    }

    private func take(_ open: TriageSnapshot.OpenAlert, _ row: WorklistRow) -> HTML {
        element("form", .method("post"), .action(Place("alerts", open.id.description)), .class("take")) {
            PageFrame.formToken(form)
            element("input", .type("hidden"), .name("do"), .value("take"))
            element("input", .type("hidden"), .name("seen"), .value("\(open.revision)"))
            element(
                "input", .type("hidden"), .name("back"),
                .value(filter.query.map { "\($0.0)=\(Place.encoded($0.1))" }.joined(separator: "&")))
            element("button", .type("submit")) {
                "I have it"
                element("span", .class("visually-hidden")) {
                    ": \(row.name ?? row.triage.patient.description), \(Signs.rule(open.alert.rule))"
                }
            }
        }
    }

    private var others: HTML {
        element("details", .class("card"), list.others.contains { $0.severity == .red } ? .open : nil) {
            element("summary") {
                "\(list.others.count) \(list.others.count == 1 ? "alert" : "alerts") of the site and its readers"
            }
            element("ul", .class("plain")) {
                for episode in list.others {
                    element("li") {
                        Signs.severity(episode.severity)
                        " "
                        element("a", .href(Place("alerts", episode.id.description))) {
                            element("bdi") { AlertPart.subject(episode) }
                            ": \(Signs.rule(episode.rule))"
                        }
                        " \(episode.state.rawValue), \(time.age(episode.raisedAt))"
                    }
                }
            }
        }
    }
}
