internal import CLinux
public import Ingestion

/// How the subscriber paces itself.
public struct SubscriberLimits: Sendable, Hashable {
    /// Messages read before they are waited for. At least 1. No use beyond the broker's window.
    public var batch = 2000
    /// How long a batch may stay unacknowledged before the connection is given up. Shorter than the keepalive.
    public var hold = Duration.seconds(10)
    /// Receipts that the broker has not confirmed; when there are as many, reading stops.
    public var receipts = 1000
    /// How long the broker may take to answer SUBSCRIBE; a backlog comes before the answer.
    public var subscribe = Duration.seconds(60)

    public init() {}
}

/// Why `GatedSubscriber.run` returned.
public enum SubscriberOutcome: Sendable, Hashable {
    /// Everything that was read is durable and acknowledged.
    case stopped
    /// The deadline passed first: the broker will send the last messages again.
    case stoppedUnacknowledged
    /// A stage of the pipeline failed: closed without acknowledging.
    case stageFailed
}

/// The mqtt thread: reads reports into the inbox, acknowledges them once they are durable, and sends their receipts.
///
/// **Promise.** A PUBACK leaves only after every message read before it, on this connection, is durable. On any error,
/// and when it holds too long, the connection is dropped with the acknowledgements that it had queued, so the broker
/// sends those messages again; it reconnects for ever, with back-off, also when the very first connect or the name
/// lookup fails, and subscribes on every connect whatever the broker says of the session. A full inbox stops reading.
///
/// It reads and flushes in turn: a queue of PUBACKs can only be flushed whole.
public struct GatedSubscriber<InboxType: Inbox & ~Copyable & Sendable>: ~Copyable, Sendable {
    private let settings: BrokerSettings
    private let limits: SubscriberLimits
    private let filters: [String]
    private let inbox: InboxType
    private let control: SubscriberControl
    private let observer: @Sendable (BrokerEvent) -> Void

    /// - Parameters:
    ///   - filters: topic filters, at least one; subscribed at QoS 1.
    ///   - observer: told of each event, on the mqtt thread; must not block.
    public init(
        settings: BrokerSettings, filters: [String], limits: SubscriberLimits = SubscriberLimits(),
        inbox: consuming InboxType, control: SubscriberControl, observer: @escaping @Sendable (BrokerEvent) -> Void
    ) {
        self.settings = settings
        self.limits = limits
        self.filters = filters
        self.inbox = inbox
        self.control = control
        self.observer = observer
    }

    /// Serves until `control.stop` or the failure of a stage. Blocks: the calling thread becomes the mqtt thread. The
    /// inbox ends with it, which tells the stages that no more will come.
    public consuming func run() -> SubscriberOutcome {
        var loop = SubscriberLoop(
            settings: settings, limits: limits, filters: filters, inbox: inbox, control: control, observer: observer)
        return loop.run()
    }
}
