public import Alerting
import Clinical
import Formats
import Registry

/// The next step of an open alert's chain, as a timer that is set in the transaction in which the alert speaks: nothing
/// that becomes of this process leaves an alert with nobody to tell.
public struct EscalationTimer: Sendable, Hashable {
    /// The timers' kind; their subject is the alert. A dead channel calls such a timer forward.
    public static let kind = "escalation"

    var alert: AlertID
    var subject: Subject
    var progress: Escalation.Progress

    public static func name(of alert: AlertID) -> TimerName { TimerName(kind: kind, subject: alert.description) }

    /// For how long it has been due; nil where that is for our own clock to say.
    var late: Interval?

    init(of episode: Episode, _ progress: Escalation.Progress) {
        alert = episode.id
        subject = episode.subject
        self.progress = progress
    }

    /// Due as long after `instant` as it is to wait, by the clock of whoever keeps it.
    func timer(at instant: Instant) -> Timer {
        var writer = JSONWriter()
        writer.beginObject()
        subject.write(to: &writer)
        for (name, number) in [
            ("revision", Int64(progress.revision)), ("level", Int64(progress.level)),
            ("began_us", progress.began.microseconds), ("told_us", progress.told.microseconds),
            ("next_us", progress.next.microseconds),
        ] {
            writer.name(name)
            writer.value(number)
        }
        writer.name("people")
        writer.beginArray()
        for code in progress.people { writer.value(code) }
        writer.endArray()
        writer.name("unanswered")
        writer.value(progress.isUnanswered)
        writer.endObject()
        return Timer(
            kind: Self.kind, subject: alert.description, due: progress.due, payload: writer.text,
            delay: progress.due - instant)
    }

    /// Nil for a timer of another kind, or one that can't be understood. What it does not say of the chain (a row that
    /// a migration made) means that nobody has been told.
    init?(_ timer: Timer) {
        guard timer.kind == Self.kind, let alert = AlertID(timer.subject),
            let json = try? JSONReader.value(Array(timer.payload.utf8).span), let subject = Subject(json)
        else { return nil }
        func number(_ name: String) -> Int64? { json[name]?.number.flatMap { Int64(exactly: $0) } }
        self.alert = alert
        self.subject = subject
        late = timer.late
        progress = Escalation.Progress(
            revision: Int32(clamping: number("revision") ?? 1), level: Int(clamping: number("level") ?? 0),
            began: number("began_us").map { Instant(microseconds: $0) } ?? timer.due,
            told: Interval(microseconds: number("told_us") ?? -1), next: Interval(microseconds: number("next_us") ?? 0),
            people: (json["people"]?.array ?? []).compactMap { $0.string.flatMap { Identifier($0) } },
            isUnanswered: json["unanswered"]?.bool ?? false)
    }
}

extension Subject {
    /// As two members of an object that is open: what finds and locks the alert.
    func write(to writer: inout JSONWriter) {
        let (type, code): (String, Identifier?) =
            switch self {
            case .patient(let code): ("patient", code)
            case .device(let code): ("device", code)
            case .site(let code): ("site", code)
            case .instance: ("instance", nil)
            }
        writer.name("type")
        writer.value(type)
        if let code {
            writer.name("code")
            writer.value(code)
        }
    }

    /// Reads what `write` writes.
    init?(_ json: JSONValue) {
        let code = json["code"]?.string.flatMap { Identifier($0) }
        switch (json["type"]?.string, code) {
        case ("patient", let code?): self = .patient(code)
        case ("device", let code?): self = .device(code)
        case ("site", let code?): self = .site(code)
        case ("instance", _): self = .instance
        default: return nil
        }
    }
}

extension Draft {
    /// Sets the timer of what has spoken and takes away that of what has ended. After everything else of the transaction,
    /// what was told of in an outage too.
    ///
    /// - Parameter instant: now. Later than the events of reports that had waited in the spool: their steps count from
    ///   when somebody is told. Nil: the events' own times.
    mutating func escalate(at instant: Instant?) {
        let escalation = Escalation(route: Route(registry: registry))
        let recorded = Set(report.recordedAlerts.map(\.alert))
        let outbox = Dictionary(grouping: rows.outbox, by: \.alert)
        for index in rows.episodes.indices {
            let episode = rows.episodes[index].episode
            if episode.state != .open {
                if episode.state == .resolved { rows.endedTimers += AlertTimers.all(of: episode.id) }
                continue
            }
            guard let event = rows.episodes[index].events.last(where: { $0.transition.notifies }),
                !isToldTogether(episode)
            else { continue }
            // What would bring it back: it is back.
            if event.transition != .opened { rows.endedTimers += AlertTimers.all(of: episode.id) }
            let spoke = instant.map { max($0, event.at) } ?? event.at
            let progress = escalation.begin(
                episode, spokeWith: event,
                entries: outbox[episode.id, default: []].filter { $0.revision == event.revision },
                isToldToAll: recorded.contains(episode.id), at: spoke)
            rows.episodes[index].episode.escalationLevel = progress?.level ?? 0
            if let progress {
                rows.timers.append(EscalationTimer(of: episode, progress).timer(at: spoke))
            }
        }
    }

    /// Steps that are due, of alerts that are still open and have not spoken anew in this very transaction.
    mutating func tell(_ due: [EscalationTimer], over open: [Episode], at instant: Instant) {
        let escalation = Escalation(route: Route(registry: registry))
        for timer in due {
            let place = rows.episodes.firstIndex { $0.episode.id == timer.alert }
            let change = place.map { rows.episodes[$0] }
            guard let episode = change?.episode ?? open.first(where: { $0.id == timer.alert }), episode.state == .open,
                !(change?.events.contains { $0.transition.notifies } ?? false)
            else { continue }
            let step = escalation.step(
                timer.progress, of: episode, late: timer.late ?? instant - timer.progress.due, at: instant)
            rows.outbox += step.entries
            if let progress = step.progress {
                rows.timers.append(EscalationTimer(of: episode, progress).timer(at: instant))
            }
            guard step.isNews else { continue }
            let told = episode.escalated(step, explanation: step.json, at: instant)
            report.escalated.append(told)
            if let place {
                rows.episodes[place].episode = told.episode
                rows.episodes[place].events += told.events
            } else {
                rows.episodes.append(told)
            }
        }
    }
}

extension Escalation.Step {
    /// For the event: to whom, and how.
    fileprivate var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("level")
        writer.value(level)
        writer.name("unanswered")
        writer.value(isUnanswered)
        writer.name("told")
        writer.beginArray()
        for entry in entries {
            writer.beginObject()
            writer.name("recipient")
            writer.value(entry.recipient)
            writer.name("channel")
            writer.value(entry.channel.rawValue)
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        return writer.text
    }
}
