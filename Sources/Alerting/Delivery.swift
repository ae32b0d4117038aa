public import Clinical

public enum Channel: String, CaseIterable, Sendable {
    case webhook
    case email
    case sms
    case mqtt
}

/// A message to be sent: one row of the outbox, written in the transaction that raised the alert.
public struct OutboxEntry: Hashable, Sendable {
    /// From (alert, revision, step, channel, recipient), never from a sequence: the same on every retry and replay.
    public var key: String
    public var alert: AlertID
    public var revision: Int32
    public var step: Int
    public var channel: Channel
    /// A care manager's code; of an MQTT topic its site's.
    public var recipient: Identifier

    public init(alert: AlertID, revision: Int32, step: Int, channel: Channel, recipient: Identifier) {
        key = "\(alert)-\(revision)-\(step)-\(channel.rawValue)-\(recipient)"
        self.alert = alert
        self.revision = revision
        self.step = step
        self.channel = channel
        self.recipient = recipient
    }
}

/// Several alerts in one message.
public struct Gathering: Hashable, Sendable {
    public struct Alert: Hashable, Sendable {
        /// Of its row of the outbox.
        public var key: String
        /// As it stood when the row was written.
        public var episode: Episode
        /// As it stands now.
        public var state: AlertState

        public init(key: String, episode: Episode, state: AlertState) {
            self.key = key
            self.episode = episode
            self.state = state
        }
    }

    public enum Kind: String, Hashable, Sendable {
        /// Several alerts of one patient.
        case patient
        /// What waited for the site's hours, or was too much to be told one by one.
        case digest
    }

    public var kind: Kind
    /// Not empty; worst first, then the oldest.
    public var alerts: [Alert]
    /// Red alerts of these alerts' sites that nobody has acknowledged yet.
    public var openReds: Int

    /// One alert that was to be told several times meanwhile: its message is that of one alert.
    public var isOfOneAlert: Bool { kind == .patient && Set(alerts.map(\.episode.id)).count == 1 }

    /// Of a message by its key.
    public static func kind(of key: String) -> Kind { key.hasPrefix("\(Kind.patient.rawValue)-") ? .patient : .digest }

    public init(kind: Kind, alerts: [Alert], openReds: Int) {
        self.kind = kind
        self.alerts = alerts
        self.openReds = openReds
    }
}

/// A claimed outbox row with everything that its message needs.
public struct DeliveryJob: Hashable, Sendable {
    /// Of a message of several alerts the first one's, under the message's key.
    public var entry: OutboxEntry
    /// 1 for the first.
    public var attempt: Int
    /// The recipient's address on this channel (a URL for a webhook); nil when the registry no longer has one.
    public var address: String?
    /// As the alert stood when the row was written.
    public var episode: Episode
    /// What else is in it; nil for a message of one alert, as every red's is.
    public var gathering: Gathering?

    public init(
        entry: OutboxEntry, attempt: Int, address: String?, episode: Episode, gathering: Gathering? = nil
    ) {
        self.entry = entry
        self.attempt = attempt
        self.address = address
        self.episode = episode
        self.gathering = gathering
    }

    /// Of the rows of the outbox that it tells of.
    public var rows: [String] { gathering?.alerts.map(\.key) ?? [entry.key] }
    /// Every alert that it tells of.
    public var episodes: [Episode] { gathering?.alerts.map(\.episode) ?? [episode] }
}

/// What came of one attempt.
public enum DeliveryOutcome: Hashable, Sendable {
    case sent(at: Instant)
    /// Try again so much later, by the clock of whoever keeps the queue; `error` has no patient data.
    case retry(after: Interval, error: String)
    /// No use trying again: the recipient has no address on this channel, or the channel is not set up.
    case failed(error: String)
}

/// The outbox as the dispatcher sees it. One dispatcher thread owns it; calls block at most the database deadline.
public protocol DeliveryQueue: AnyObject {
    /// Takes due rows, reds first, and leases them for that long; committed before it returns, so that a crash
    /// between sending and recording repeats a message under the same key rather than loses it.
    func claim(limit: Int, lease: Interval) throws -> [DeliveryJob]
    func record(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws
    /// The same, of a channel that is dead: whoever is next is to be told at once, where nobody else of its step was
    /// reached. Twice changes nothing.
    func recordDead(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws
    /// Returns when the database says that there may be work, `wake()` is called, or the time is over.
    func waitForWork(milliseconds: Int32)
    /// From any thread.
    func wake()
}

extension DeliveryQueue {
    /// For queues without timers that escalate.
    public func recordDead(_ outcome: DeliveryOutcome, of job: DeliveryJob) throws { try record(outcome, of: job) }
}

extension AlertID: CustomStringConvertible {
    /// The form of a UUID.
    public var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xffff, 4), hex(high & 0xffff, 4), hex(low >> 48, 4),
            hex(low & 0xffff_ffff_ffff, 12),
        ].joined(separator: "-")
    }

    /// Reads what `description` writes.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [8, 4, 4, 4, 12],
            let high = UInt64(parts[0...2].joined(), radix: 16), let low = UInt64(parts[3...4].joined(), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    /// All ids whose text begins so; nil where none can.
    public static func beginning(with text: String) -> ClosedRange<AlertID>? {
        let places = "00000000-0000-0000-0000-000000000000"
        guard !text.isEmpty, text.utf8.count <= places.utf8.count else { return nil }
        let rest = places.dropFirst(text.utf8.count)
        guard let first = AlertID(text + rest), let last = AlertID(text + rest.replacing("0", with: "f")) else {
            return nil
        }
        return first...last
    }
}
