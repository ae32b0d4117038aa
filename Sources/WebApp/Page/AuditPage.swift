import Alerting
import Clinical

/// Who looked at whom, for those who lead a team.
struct AuditPage {
    let rows: [ReadAuditRow]
    let patient: String?
    let viewer: Viewer
    let form: String
    let time: PageTime

    var page: HTML {
        PageFrame.page("Who looked", viewer: viewer, form: form) {
            element("h1") { "Who looked" }
            element("form", .method("get"), .action(Place("audit")), .class("filters"), .role("search")) {
                element("label", .for("search")) { "Patient's code" }
                element(
                    "input", .type("search"), .id("search"), .name("patient"), .value(patient ?? ""), .maxlength(64))
                element("button", .type("submit")) { "Show" }
            }
            element("table") {
                element("thead") {
                    element("tr") {
                        for head in ["When", "Who", "What", "Patient"] { element("th", .scope("col")) { head } }
                    }
                }
                element("tbody") {
                    for row in rows {
                        element("tr") {
                            element("td") { time.short(row.at) }
                            element("td") { element("bdi") { row.careManager } }
                            element("td") { row.what }
                            element("td") { element("bdi") { row.patient ?? "" } }
                        }
                    }
                }
            }
            element("p", .class("small")) { "The newest 500." }
        }
    }
}
