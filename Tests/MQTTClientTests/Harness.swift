import Ingestion
import MQTTClient
import RingBuffer
import Synchronization
import TestSupport
import Testing

/// A subscriber on a thread of its own, with all that it said.
final class TestSubscriber {
    let inbox: ManualInbox
    let control = SubscriberControl()
    private let heard = Heard()
    private let thread: StageThread
    private let outcome = Outcome()

    private final class Heard: Sendable {
        let events = Mutex<[BrokerEvent]>([])
    }

    private final class Outcome: Sendable {
        let value = Mutex<SubscriberOutcome?>(nil)
    }

    init(
        _ settings: BrokerSettings, inbox: ManualInbox = ManualInbox(), limits: SubscriberLimits = SubscriberLimits(),
        filters: [String] = ["homeward/v1/+/+/report"]
    ) {
        self.inbox = inbox
        let subscriber = Handoff(
            GatedSubscriber(settings: settings, filters: filters, limits: limits, inbox: inbox, control: control) {
                [heard] event in heard.events.withLock { $0.append(event) }
            })
        thread = StageThread.start(name: "mqtt") { [outcome] in
            let ended = subscriber.take().run()
            outcome.value.withLock { $0 = ended }
        }
    }

    deinit {
        control.stop(within: .zero)
        thread.join()
    }

    var events: [BrokerEvent] { heard.events.withLock { $0 } }

    func stop(within limit: Duration = .seconds(20)) -> SubscriberOutcome? {
        control.stop(within: limit)
        return join()
    }

    func join() -> SubscriberOutcome? {
        thread.join()
        return outcome.value.withLock { $0 }
    }

    func awaitSubscribed(_ location: SourceLocation = #_sourceLocation) {
        #expect(eventually { control.isConnected }, "\(events)", sourceLocation: location)
    }

    func awaitEvent(_ event: BrokerEvent, count: Int = 1, _ location: SourceLocation = #_sourceLocation) {
        let came = eventually { events.count { $0 == event } >= count }
        #expect(came, "\(event) in \(events)", sourceLocation: location)
    }

    func await(messages count: Int, _ location: SourceLocation = #_sourceLocation) {
        #expect(
            eventually { inbox.messages.count >= count }, "\(inbox.messages.count) messages", sourceLocation: location)
    }
}

extension BrokerEvent {
    var isDisconnect: Bool {
        if case .disconnected = self { true } else { false }
    }

    var subscriberError: MQTTError? {
        if case .disconnected(.subscriber, let error) = self { error } else { nil }
    }
}

extension PrivateBroker {
    /// Short waits, so that tests end soon.
    func settings(clientID: String = "homeward") -> BrokerSettings {
        var settings = BrokerSettings(host: "127.0.0.1", port: port, clientID: clientID)
        settings.backoff.floor = .milliseconds(10)
        settings.backoff.ceiling = .milliseconds(100)
        settings.backoff.afterTakeover = .milliseconds(500)
        return settings
    }

    /// Publishes as one device and returns when the broker has confirmed all.
    func publish(
        _ payloads: [String], to topic: String = "homeward/v1/north/dev-0001/report", retained: Bool = false,
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try publish(bytes: payloads.map { Array($0.utf8) }, to: topic, retained: retained, location)
    }

    func publish(
        bytes payloads: [[UInt8]], to topic: String = "homeward/v1/north/dev-0001/report", retained: Bool = false,
        using settings: BrokerSettings? = nil, _ location: SourceLocation = #_sourceLocation
    ) throws {
        var reader = ReaderConnection(settings: settings ?? self.settings(), clientID: "dev-0001")
        try reader.awaitConnected(location)
        for payload in payloads {
            while reader.unacknowledged >= 1000 { reader.serve(milliseconds: 10) { _ in } }
            _ = try reader.publish(topic: topic, payload: payload, retained: retained)
        }
        let confirmed = eventually {
            reader.serve(milliseconds: 10) { _ in }
            return reader.unacknowledged == 0
        }
        #expect(confirmed, "publications are confirmed", sourceLocation: location)
        reader.close()
    }

    /// PUBACKs that this client has sent.
    func acknowledged(by clientID: String = "homeward") -> Int { logged("Received PUBACK from \(clientID) ") }
}

extension ReaderConnection {
    mutating func awaitConnected(_ location: SourceLocation = #_sourceLocation) throws {
        let connected = eventually {
            serve(milliseconds: 10) { _ in }
            return isConnected
        }
        try #require(connected, sourceLocation: location)
    }

    /// Serves until an event satisfies `condition`; returns all events up to then.
    mutating func serve(until condition: (Event) -> Bool, _ location: SourceLocation = #_sourceLocation) -> [Event] {
        var events: [Event] = []
        let came = eventually {
            var met = false
            serve(milliseconds: 10) { event in
                events.append(event)
                met = met || condition(event)
            }
            return met
        }
        #expect(came, "\(events)", sourceLocation: location)
        return events
    }
}
