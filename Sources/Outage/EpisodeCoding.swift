import Alerting
import Clinical
import Formats
import Registry

/// Alerts and their messages as JSON. Times are whole microseconds: nothing may change on the way.
extension Episode {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("id", id.description)
        writer.member("subject", subject.text)
        writer.member("site", site?.description)
        writer.member("device", device?.description)
        writer.member("rule", rule)
        writer.member("class", alertClass.rawValue)
        writer.member("severity", severity.rawValue)
        writer.member("state", state.rawValue)
        writer.member("late", late)
        writer.member("raised_at", raisedAt)
        writer.member("summary", summary)
        writer.member("escalation_level", Int64(escalationLevel))
        writer.member("worst", worst)
        writer.member("acknowledged_at", acknowledgedAt)
        writer.member("worst_acknowledged", worstAcknowledged)
        writer.member("latest_taken_at", latestTakenAt)
        writer.member("revision", Int64(revision))
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let id = json["id"]?.string.flatMap({ AlertID($0) }),
            let subject = json["subject"]?.string.flatMap({ Subject(text: $0) }),
            let rule = json["rule"]?.string,
            let alertClass = json["class"]?.string.flatMap({ AlertClass(rawValue: $0) }),
            let severity = json["severity"]?.string.flatMap({ Severity(rawValue: $0) }),
            let state = json["state"]?.string.flatMap({ AlertState(rawValue: $0) }),
            let late = json["late"]?.bool, let raisedAt = json["raised_at"]?.instant,
            let summary = json["summary"]?.string, let level = json["escalation_level"]?.integer,
            let revision = json["revision"]?.integer.flatMap({ Int32(exactly: $0) })
        else { return nil }
        self.init(
            id: id, subject: subject, site: json["site"]?.string.flatMap { Identifier($0) },
            device: json["device"]?.string.flatMap { Identifier($0) }, rule: rule, alertClass: alertClass,
            severity: severity, state: state, late: late, raisedAt: raisedAt, summary: summary,
            escalationLevel: Int(clamping: level), worst: json["worst"]?.number,
            acknowledgedAt: json["acknowledged_at"]?.instant, worstAcknowledged: json["worst_acknowledged"]?.number,
            latestTakenAt: json["latest_taken_at"]?.instant, revision: revision)
    }
}

extension Subject {
    /// Reads what `text` writes.
    init?(text: String) {
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        let code = parts.count == 2 ? Identifier(String(parts[1])) : nil
        switch (parts.first, code) {
        case ("patient", let code?): self = .patient(code)
        case ("device", let code?): self = .device(code)
        case ("site", let code?): self = .site(code)
        case ("instance", nil) where parts.count == 1: self = .instance
        default: return nil
        }
    }
}

extension OutageNotice {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("revision", Int64(job.entry.revision))
        writer.member("step", Int64(job.entry.step))
        writer.member("channel", job.entry.channel.rawValue)
        writer.member("recipient", job.entry.recipient.description)
        writer.member("address", job.address)
        writer.member("at", at)
        writer.name("episode")
        job.episode.write(to: &writer)
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let episode = json["episode"].flatMap({ Episode($0) }),
            let revision = json["revision"]?.integer.flatMap({ Int32(exactly: $0) }),
            let step = json["step"]?.integer,
            let channel = json["channel"]?.string.flatMap({ Channel(rawValue: $0) }),
            let recipient = json["recipient"]?.string.flatMap({ Identifier($0) }), let at = json["at"]?.instant
        else { return nil }
        let entry = OutboxEntry(
            alert: episode.id, revision: revision, step: Int(clamping: step), channel: channel, recipient: recipient)
        self.init(
            job: DeliveryJob(entry: entry, attempt: 1, address: json["address"]?.string, episode: episode), at: at)
    }
}

extension JSONWriter {
    mutating func member(_ name: String, _ text: String?) {
        self.name(name)
        if let text { value(text) } else { null() }
    }

    mutating func member(_ name: String, _ bool: Bool) {
        self.name(name)
        value(bool)
    }

    mutating func member(_ name: String, _ integer: Int64) {
        self.name(name)
        value(integer)
    }

    mutating func member(_ name: String, _ number: Double?) {
        self.name(name)
        if let number { value(number) } else { null() }
    }

    mutating func member(_ name: String, _ instant: Instant?) {
        self.name(name)
        if let instant { value(instant.microseconds) } else { null() }
    }
}

extension JSONValue {
    /// Microseconds; exact as a double until the year 2255.
    var instant: Instant? { integer.map { Instant(microseconds: $0) } }

    var integer: Int64? { number.flatMap { Int64(exactly: $0) } }
}
