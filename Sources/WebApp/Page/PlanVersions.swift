import Alerting
import Registry

/// Every version of a patient's entry that there was, with what it changed.
struct PlanVersions {
    let versions: [PlanVersion]
    let time: PageTime

    var part: HTML {
        element("section", .class("card")) {
            element("h2") { "Versions" }
            element("ol", .class("plain versions")) {
                for version in versions {
                    element("li") {
                        element("p") {
                            element("strong") { time.short(version.at) }
                            " by "
                            element("bdi") { version.actor }
                            element("span", .class("small")) { " (\(version.source), version \(version.version))" }
                        }
                        if let reason = version.reason { element("p") { element("bdi") { reason } } }
                        for change in version.changes { difference(change) }
                    }
                }
            }
        }
    }

    private func difference(_ change: PlanVersion.Change) -> HTML {
        let before = PlanWords.lines(change.field, change.before)
        let after = PlanWords.lines(change.field, change.after)
        return element("dl", .class("difference")) {
            element("dt") { PlanWords.label(change.field) }
            element("dd") {
                for line in before where !after.contains(line) {
                    element("p") {
                        "was: "
                        element("bdi") { line }
                    }
                }
                for line in after where !before.contains(line) {
                    element("p") {
                        "now: "
                        element("bdi") { line }
                    }
                }
            }
        }
    }
}
