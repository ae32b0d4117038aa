import Alerting
import Clinical

/// The open reds that the viewer may see, whatever the filter leaves of the list: script tells of those that are new. Not
/// seen itself.
extension WorklistPage {
    var redList: HTML {
        element("ul", .class("reds"), .hidden) {
            for row in list.rows where row.triage.state == .red {
                for open in row.alerts {
                    if let spoke = open.spoke {
                        element(
                            "li", .data(.alert, "\(open.id):\(spoke)"),
                            .data(.patient, row.triage.patient.description)
                        ) { "\(row.name ?? row.triage.patient.description), \(Signs.rule(open.alert.rule))" }
                    }
                }
            }
            for episode in list.others {
                if let spoke = list.othersSpoke[episode.id] {
                    element("li", .data(.alert, "\(episode.id):\(spoke)")) {
                        "\(AlertPart.subject(episode)), \(Signs.rule(episode.rule))"
                    }
                }
            }
        }
    }

    /// For pages that show no list.
    var redsAlone: HTML {
        element("div", .id("reds"), .data(.viewer, list.viewer.careManager.description)) { redList }
    }
}
