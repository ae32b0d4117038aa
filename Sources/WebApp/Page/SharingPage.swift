import Alerting
import Clinical
import Registry

/// Who may see a patient: the site's team, and the professionals who were selected, since when and on whose word.
struct SharingPage {
    let file: SharingFile
    let form: String
    let notice: PatientPage.Notice?
    private let time: PageTime

    init(_ file: SharingFile, form: String, notice: PatientPage.Notice? = nil) {
        self.file = file
        self.form = form
        self.notice = notice
        time = PageTime(now: file.at, timeZone: file.viewer.timeZone)
    }

    private var code: String { file.patient.description }
    private var name: String { file.name ?? code }

    var page: HTML {
        PageFrame.page("Who may see \(name)", viewer: file.viewer, form: form) {
            element("p", .class("small")) {
                element("a", .href(Place("patients", code))) {
                    "Back to "
                    element("bdi") { name }
                }
            }
            element("h1") { "Who may see this patient" }
            if let notice { notice.part }
            element("div", .class("columns")) {
                element("div") {
                    selected
                    if file.viewer.leads { selection }
                }
                element("aside") {
                    team
                    own
                }
            }
        }
    }

    // MARK: Selected professionals

    private var selected: HTML {
        element("section", .class("card")) {
            element("h2") { "Selected for this patient" }
            element("p", .class("small")) { "Whoever may only look sees this patient only while selected here." }
            if file.rows.isEmpty { element("p", .class("empty")) { "Nobody." } }
            for row in file.rows {
                element("div", .class("item")) {
                    element("p") {
                        element("strong") { element("bdi") { row.name ?? row.careManager } }
                        " since \(time.short(row.since)), on the word of "
                        element("bdi") { row.word }
                        element("span", .class("small")) {
                            " (added by "
                            element("bdi") { row.addedBy }
                            ")"
                        }
                    }
                    if let ended = row.endedAt {
                        element("p", .class("small")) {
                            "Ended \(time.short(ended)) by "
                            element("bdi") { row.endedBy ?? "" }
                            ": "
                            element("bdi") { row.endReason ?? "" }
                        }
                    } else if file.viewer.leads {
                        ending(row)
                    }
                }
            }
        }
    }

    private func ending(_ row: SharingRow) -> HTML {
        element("details", .class("act")) {
            element("summary") {
                "End it"
                element("span", .class("visually-hidden")) { " for \(row.name ?? row.careManager)" }
            }
            element("form", .method("post"), .action(Place("patients", code, "sharing"))) {
                PageFrame.formToken(form)
                element("input", .type("hidden"), .name("do"), .value("end"))
                element("input", .type("hidden"), .name("row"), .value("\(row.id)"))
                element("label", .for("end-\(row.id)")) { "Why" }
                element(
                    "input", .type("text"), .id("end-\(row.id)"), .name("reason"), .maxlength(500), .required,
                    .autocomplete("off"))
                element("button", .type("submit")) { "End it" }
            }
        }
    }

    private var selection: HTML {
        element("section", .class("card")) {
            element("h2") { "Select a professional" }
            if file.choices.isEmpty {
                element("p", .class("empty")) { "Nobody else of this site has the role read-only." }
            } else {
                element("form", .method("post"), .action(Place("patients", code, "sharing")), .class("stack")) {
                    PageFrame.formToken(form)
                    element("input", .type("hidden"), .name("do"), .value("add"))
                    element("label", .for("who")) { "Who" }
                    element("select", .id("who"), .name("who")) {
                        for person in file.choices {
                            element("option", .value(person.code)) {
                                person.name.map { "\($0) (\(person.code))" } ?? person.code
                            }
                        }
                    }
                    element("label", .for("word")) { "On whose word, such as the patient, by telephone" }
                    element(
                        "input", .type("text"), .id("word"), .name("word"), .maxlength(500), .required,
                        .autocomplete("off"))
                    element("button", .type("submit"), .class("primary")) { "Let them see" }
                }
            }
        }
    }

    // MARK: Beside

    private var team: HTML {
        element("section", .class("card")) {
            element("h2") { "The team of \(file.viewer.siteName)" }
            element("p", .class("small")) { "They see every patient of the site." }
            element("ul", .class("plain")) {
                for person in file.team {
                    element("li") {
                        element("bdi") { person.name ?? person.code }
                        element("span", .class("small")) { " \(person.role.rawValue)" }
                    }
                }
            }
        }
    }

    private var own: HTML {
        guard file.viewer.mayAct else { return .nothing }
        return element("section", .class("card")) {
            element("h2") { "The patient's own data" }
            element("p") {
                "All that is stored of this patient, for a subject access request. The download is recorded."
            }
            element("p") {
                element("a", .href(Place("patients", code, "data.csv"))) { "Download as CSV" }
            }
            if file.viewer.maySearchAudit {
                element("p") {
                    element("a", .href(Place("audit", query: [("patient", code)]))) { "Who looked at this patient" }
                }
            }
        }
    }
}
