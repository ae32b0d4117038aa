import Clinical
import MQTTClient

/// What a connection told.
enum ReaderLinkEvent: Sendable, Hashable {
    case connected
    /// The broker's ACL does not let these readers hear their receipts.
    case subscriptionRefused
    /// PUBACK; `taken` is false where the broker refused the publication.
    case acknowledged(packet: Int32, taken: Bool)
    case message(topic: String, payload: [UInt8])
    case disconnected
}

/// A reader's connection to the broker, so that the rules of sending again can be tried against lost receipts and a
/// clock that a test moves. One thread calls it.
protocol ReaderLink: AnyObject {
    var isConnected: Bool { get }
    func subscribe(_ filter: String) throws
    /// Returns the packet identifier that the acknowledgement will carry; throws when nothing was taken.
    func publish(topic: String, payload: [UInt8], retained: Bool) throws -> Int32
    /// One turn of at most `milliseconds`.
    func serve(milliseconds: Int32, _ body: (ReaderLinkEvent) -> Void)
    func close()
}

/// The connection over libmosquitto: it connects again by itself, with back-off, and subscribes anew each time.
final class BrokerLink: ReaderLink {
    private var connection: ReaderConnection

    init(settings: BrokerSettings, clientID: String, will: Will) {
        connection = ReaderConnection(settings: settings, clientID: clientID, will: will)
    }

    var isConnected: Bool { connection.isConnected }

    func subscribe(_ filter: String) throws { try connection.subscribe(filter) }

    func publish(topic: String, payload: [UInt8], retained: Bool) throws -> Int32 {
        try connection.publish(topic: topic, payload: payload, retained: retained)
    }

    func serve(milliseconds: Int32, _ body: (ReaderLinkEvent) -> Void) {
        connection.serve(milliseconds: milliseconds) { event in
            switch event {
            case .connected: body(.connected)
            case .subscribed(let refusal): if refusal != nil { body(.subscriptionRefused) }
            case .acknowledged(let packet, let code): body(.acknowledged(packet: packet, taken: !code.isRefusal))
            case .message(let topic, let payload, _): body(.message(topic: topic, payload: payload))
            case .disconnected: body(.disconnected)
            }
        }
    }

    func close() { connection.close() }
}

/// The time that readers live in.
protocol ReaderClock: AnyObject, Sendable {
    /// The wall clock.
    var now: Instant { get }
    /// Monotonic, since some beginning.
    var elapsed: Interval { get }
}
