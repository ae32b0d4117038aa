import Alerting
import Clinical

/// Who looked at whom, for those who lead a team: by patient, by person, by day, a page at a time.
struct AuditPage {
    let file: AuditFile
    let search: AuditSearch
    let form: String
    private let time: PageTime

    init(_ file: AuditFile, _ search: AuditSearch, form: String) {
        self.file = file
        self.search = search
        self.form = form
        time = PageTime(now: file.at, timeZone: file.viewer.timeZone)
    }

    var page: HTML {
        PageFrame.page("Who looked", viewer: file.viewer, form: form) {
            element("h1") { "Who looked" }
            element("form", .method("get"), .action(Place("audit")), .class("filters"), .role("search")) {
                field("patient", "Patient's code", "search", search.patient?.description)
                field("who", "Looked by", "search", search.careManager?.description)
                field("from", "From", "date", search.from?.description)
                field("until", "Until", "date", search.until?.description)
                element("button", .type("submit")) { "Show" }
            }
            if file.rows.isEmpty {
                element("p", .class("empty")) { "Nobody." }
            } else {
                Facts.table("Looks", ["When", "Who", "What", "Patient"]) {
                    for row in file.rows {
                        element("tr") {
                            element("td") { time.short(row.at) }
                            element("td") { element("bdi") { row.careManager } }
                            element("td") {
                                row.what
                                if let detail = row.detail {
                                    ": "
                                    element("bdi") { detail }
                                }
                            }
                            element("td") { element("bdi") { row.patient ?? "" } }
                        }
                    }
                }
            }
            if let next = file.next {
                element("nav", .class("pager"), .aria(.label, "Older")) {
                    element("a", .href(Place("audit", query: query + [("before", "\(next)")]))) { "Older" }
                }
            }
        }
    }

    private func field(_ name: String, _ label: String, _ type: StaticString, _ value: String?) -> HTML {
        .all([
            element("label", .for(name)) { label },
            element("input", .type(type), .id(name), .name(name), .value(value ?? ""), .maxlength(64)),
        ])
    }

    private var query: [(String, String)] {
        [
            ("patient", search.patient?.description), ("who", search.careManager?.description),
            ("from", search.from?.description), ("until", search.until?.description),
        ].compactMap { name, value in value.map { (name, $0) } }
    }
}
