import Alerting
import Clinical
import Formats
import Registry

/// The body of a webhook: the alert as it stood when its message was queued, so that every retry has the same bytes.
struct AlertMessage {
    var key: String
    var episode: Episode
    /// Of the care managers' page.
    var link: String

    /// The fields of the outside contract, section 4, in its order. `patient` is null for an alert about a device, a
    /// site or the instance; `site` is null for one about the instance.
    var json: [UInt8] { json(hasSummary: true) }

    /// The same, with or without the sentence that says what was measured.
    func json(hasSummary: Bool) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("delivery")
        writer.value(key)
        writer.name("alert")
        writer.value(episode.id.description)
        writer.name("site")
        if let site = episode.site { writer.value(site) } else { writer.null() }
        writer.name("patient")
        if case .patient(let code) = episode.subject { writer.value(code) } else { writer.null() }
        writer.name("class")
        writer.value(episode.alertClass.rawValue)
        writer.name("rule")
        writer.value(episode.rule)
        writer.name("severity")
        writer.value(episode.severity.rawValue)
        writer.name("state")
        writer.value(episode.state.rawValue)
        writer.name("late")
        writer.value(episode.late)
        writer.name("raised_at")
        writer.value(episode.raisedAt)
        if hasSummary {
            writer.name("summary")
            writer.value(episode.summary)
        }
        writer.name("url")
        writer.value(link)
        writer.endObject()
        return writer.bytes
    }
}
