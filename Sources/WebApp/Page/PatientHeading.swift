import Alerting
import Clinical
import Registry

/// Who it is, how it stands, and the number to ring.
struct PatientHeading {
    let file: PatientFile
    let time: PageTime

    private var patient: Patient { file.patient }
    private var code: String { patient.code.description }
    private var name: String { patient.details.name ?? code }

    var part: HTML {
        let standing = PatientStanding(file)
        return element("div", .class("bar")) {
            element("h1") {
                element("bdi") { name }
                if patient.details.name != nil { element("span", .class("small")) { " \(code)" } }
            }
            if let state = standing.state { Signs.state(state) }
            if patient.profile.highRisk { element("span", .class("tag")) { "High risk" } }
            if let discharge = patient.discharge {
                element("span", .class("tag")) {
                    "\(discharge.because == .died ? "Died" : "Discharged"), \(time.day(discharge.at))"
                }
            }
            if let reviewed = file.row?.reviewedAt, time.isToday(reviewed) {
                element("span", .class("tag plain")) { "Reviewed \(time.clock(reviewed))" }
            }
            element("span", .class("small")) {
                "As at \(time.clock(file.at)). \(standing.words)"
            }
            identity
            element("nav", .class("page-links"), .aria(.label, "About this patient")) {
                element("a", .href(Place("patients", code, "plan"))) { "Plan" }
                element("a", .href(Place("patients", code, "sharing"))) { "Who may see" }
            }
        }
    }

    /// What is read out and dialled before anything else.
    private var identity: HTML {
        let details = patient.details
        return element("p", .class("identity")) {
            if let phone = details.phone {
                element("span") {
                    "Telephone "
                    if let place = Place(telephone: phone) {
                        element("a", .href(place)) { element("bdi") { phone } }
                    } else {
                        element("bdi") { phone }
                    }
                }
            }
            if let born = patient.profile.born { element("span") { "Born \(born)" } }
            if let number = details.nhsNumber {
                element("span") {
                    "NHS number "
                    element("bdi") { PatientPage.grouped(number) }
                }
            }
        }
    }
}
