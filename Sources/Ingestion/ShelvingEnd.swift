public import Alerting
public import Clinical
import Formats

/// The end of a shelving, as a timer that is set in the transaction that shelves: the alert comes back by itself.
public struct ShelvingEnd: Sendable, Hashable {
    /// The timers' kind.
    public static let kind = "shelving-end"

    var alert: AlertID
    var subject: Subject
    var due: Instant

    public init(of episode: Episode, at due: Instant) {
        alert = episode.id
        subject = episode.subject
        self.due = due
    }

    public static func name(of alert: AlertID) -> TimerName { TimerName(kind: kind, subject: alert.description) }

    /// One for each alert: shelving it again moves it.
    public var timer: Timer {
        var writer = JSONWriter()
        writer.beginObject()
        subject.write(to: &writer)
        writer.endObject()
        return Timer(kind: Self.kind, subject: alert.description, due: due, payload: writer.text)
    }

    /// Nil for a timer of another kind, or one that can't be understood.
    init?(_ timer: Timer) {
        guard timer.kind == Self.kind, let alert = AlertID(timer.subject),
            let json = try? JSONReader.value(Array(timer.payload.utf8).span), let subject = Subject(json)
        else { return nil }
        self.alert = alert
        self.subject = subject
        due = timer.due
    }
}

extension Draft {
    /// Alerts whose shelving is over, or whose acknowledgement no resolution has followed; after everything else of the
    /// transaction: one that has just changed is looked at again with the next turn.
    mutating func bringBack(_ timers: [Timer], over open: [Episode], at instant: Instant) {
        let route = Route(registry: registry)
        for timer in timers {
            let alert: AlertID
            let isShelving: Bool
            if let end = ShelvingEnd(timer) {
                (alert, isShelving) = (end.alert, true)
            } else if let end = AcknowledgementEnd(timer) {
                (alert, isShelving) = (end.alert, false)
            } else {
                continue
            }
            if rows.episodes.contains(where: { $0.episode.id == alert }) {
                rows.timers.append(timer)
                continue
            }
            let episode = open.first { $0.id == alert }
            guard
                let change = isShelving
                    ? episode?.comingBack(at: instant) : episode?.comingBackUnresolved(at: instant)
            else { continue }
            rows.episodes.append(change)
            rows.outbox += route.entries(for: change, at: instant)
        }
    }
}
