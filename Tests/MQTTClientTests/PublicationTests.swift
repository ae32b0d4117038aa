import MQTTClient
import Synchronization
import TestSupport
import Testing

/// Publications of other threads through the receipts' client.
@Suite struct PublicationTests {
    private final class Outcomes: Sendable {
        private let list = Mutex<[PublicationOutcome]>([])
        var all: [PublicationOutcome] { list.withLock { $0 } }
        func add(_ outcome: PublicationOutcome) { list.withLock { $0.append(outcome) } }
    }

    private let topic = "homeward/v1/north/alerts"

    private func publish(
        _ text: String, by subscriber: TestSubscriber, within limit: Duration = .seconds(20), _ outcomes: Outcomes
    ) {
        subscriber.control.publish(key: text, topic: topic, payload: Array(text.utf8), within: limit) {
            outcomes.add($0)
        }
    }

    @Test func `a publication is confirmed once the broker has it, and nobody else finds it later`() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        var display = ReaderConnection(settings: broker.settings(), clientID: "display")
        try display.subscribe("homeward/v1/+/alerts")
        _ = display.serve { $0 == .subscribed(refusal: nil) }
        let outcomes = Outcomes()
        for number in 0..<300 { publish("\(number)", by: subscriber, outcomes) }
        let last = ReaderConnection.Event.message(topic: topic, payload: Array("199".utf8), retained: false)
        _ = display.serve { $0 == last }
        #expect(eventually { outcomes.all.count == 300 })
        // Bounded: what did not fit was told at once.
        #expect(outcomes.all.count { $0 == .accepted } >= 200)
        display.close()
        var late = ReaderConnection(settings: broker.settings(), clientID: "late")
        try late.subscribe("homeward/v1/+/alerts")
        let events = late.serve { $0 == .subscribed(refusal: nil) }
        #expect(!events.contains { if case .message = $0 { true } else { false } }, "not retained")
        late.close()
    }

    @Test func `while the broker is away nobody waits beyond his time, and nothing is published twice`() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        broker.freeze()
        let outcomes = Outcomes()
        for _ in 0..<3 { publish("same", by: subscriber, within: .milliseconds(200), outcomes) }
        #expect(eventually { outcomes.all.count == 3 })
        #expect(outcomes.all.allSatisfy { $0 == .unconfirmed })
        publish("same", by: subscriber, outcomes)
        broker.thaw()
        #expect(eventually { outcomes.all.last == .accepted })
        #expect(broker.logged("Received PUBLISH from homeward-receipts ") == 1)
        broker.stop()
        #expect(eventually { !subscriber.control.isPublishing })
        publish("away", by: subscriber, outcomes)
        #expect(outcomes.all.last == .unconfirmed, "at once")
    }

    @Test func `a refusal is told`() throws {
        let broker = try PrivateBroker(
            options: ["acl_file {directory}/acl"], files: ["acl": "topic readwrite homeward/v1/+/+/report\n"])
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        let outcomes = Outcomes()
        publish("x", by: subscriber, within: .seconds(60), outcomes)
        #expect(eventually { outcomes.all == [.refused(.notAuthorized)] }, "\(outcomes.all) \(subscriber.events)")
    }

    @Test func `a stop leaves nobody waiting`() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        broker.freeze()
        let outcomes = Outcomes()
        publish("x", by: subscriber, within: .seconds(3600), outcomes)
        _ = subscriber.stop(within: .milliseconds(100))
        #expect(outcomes.all == [.unconfirmed])
        broker.thaw()
    }
}
