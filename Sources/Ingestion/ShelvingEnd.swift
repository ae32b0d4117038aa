public import Alerting
public import Clinical
import Formats

/// The end of a shelving, as a timer that is set in the transaction that shelves: the alert comes back by itself.
public struct ShelvingEnd: Sendable, Hashable {
    /// The timers' kind.
    static let kind = "shelving-end"

    var alert: AlertID
    var subject: Subject
    var due: Instant

    public init(of episode: Episode, at due: Instant) {
        alert = episode.id
        subject = episode.subject
        self.due = due
    }

    /// One for each alert: shelving it again moves it.
    public var timer: Timer {
        var writer = JSONWriter()
        writer.beginObject()
        let (type, code): (String, Identifier?) =
            switch subject {
            case .patient(let code): ("patient", code)
            case .device(let code): ("device", code)
            case .site(let code): ("site", code)
            case .instance: ("instance", nil)
            }
        writer.name("type")
        writer.value(type)
        if let code {
            writer.name("code")
            writer.value(code.description)
        }
        writer.endObject()
        return Timer(kind: Self.kind, subject: alert.description, due: due, payload: writer.text)
    }

    /// Nil for a timer of another kind, or one that can't be understood.
    init?(_ timer: Timer) {
        guard timer.kind == Self.kind, let alert = AlertID(timer.subject),
            let json = try? JSONReader.value(Array(timer.payload.utf8).span)
        else { return nil }
        let code = json["code"]?.string.flatMap { Identifier($0) }
        switch (json["type"]?.string, code) {
        case ("patient", let code?): subject = .patient(code)
        case ("device", let code?): subject = .device(code)
        case ("site", let code?): subject = .site(code)
        case ("instance", _): subject = .instance
        default: return nil
        }
        self.alert = alert
        due = timer.due
    }
}

extension BatchProcessor {
    /// Alerts whose shelving is over, after everything else of the transaction: one that has just changed is looked at
    /// again with the next turn.
    func bringBack(_ ends: [ShelvingEnd], _ draft: inout Draft, over open: [Episode], at instant: Instant) {
        let route = Route(registry: registry)
        for end in ends {
            if draft.rows.episodes.contains(where: { $0.episode.id == end.alert }) {
                draft.rows.timers.append(end.timer)
                continue
            }
            guard let change = open.first(where: { $0.id == end.alert })?.comingBack(at: instant) else { continue }
            draft.rows.episodes.append(change)
            draft.rows.outbox += route.entries(for: change, at: instant)
        }
    }
}
