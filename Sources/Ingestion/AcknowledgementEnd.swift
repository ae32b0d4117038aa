public import Alerting
public import Clinical
import Formats

/// The time by which an acknowledged red is to be resolved, as a timer that is set in the transaction that acknowledges
/// it: then it comes back, as nobody had seen it.
///
/// Taking it ("I have it") begins the time anew, and so does taking it back from its shelf: somebody has just said that it
/// is in hand. An acknowledged amber does not come back: nobody has to act on it at once.
public struct AcknowledgementEnd: Sendable, Hashable {
    /// The timers' kind; their subject is the alert.
    public static let kind = "acknowledgement-end"
    /// Clinical facts, section 5, proposal: a red is acted upon within 60 minutes.
    public static let time = Interval.minutes(60)

    var alert: AlertID
    var subject: Subject
    var due: Instant

    public static func name(of alert: AlertID) -> TimerName { TimerName(kind: kind, subject: alert.description) }

    init(of episode: Episode, at instant: Instant) {
        alert = episode.id
        subject = episode.subject
        due = instant + Self.time
    }

    var timer: Timer {
        var writer = JSONWriter()
        writer.beginObject()
        subject.write(to: &writer)
        writer.endObject()
        return Timer(kind: Self.kind, subject: alert.description, due: due, payload: writer.text, delay: Self.time)
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

/// What a person's action does to the timers of an alert, in the transaction of the action.
public struct AlertTimers: Sendable {
    public var set: [Timer] = []
    public var ended: [TimerName] = []

    /// - Parameter episode: as it is after the action.
    public init(after action: AlertAction, on episode: Episode, at instant: Instant) {
        // Whoever does anything to an alert has seen it.
        ended = Self.all(of: episode.id)
        switch action {
        case .acknowledge, .take, .unshelve:
            if episode.state == .acknowledged, episode.severity == .red {
                set.append(AcknowledgementEnd(of: episode, at: instant).timer)
            }
        case .shelve(let end):
            set.append(ShelvingEnd(of: episode, at: end).timer)
        case .resolve: break
        }
    }

    public static func all(of alert: AlertID) -> [TimerName] {
        [EscalationTimer.name(of: alert), AcknowledgementEnd.name(of: alert), ShelvingEnd.name(of: alert)]
    }
}
