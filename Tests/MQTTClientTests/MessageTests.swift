import Cryptography
import MQTTClient
import TestSupport
import Testing

@Suite struct MessageTests {
    let topic = "homeward/v1/north/dev-0001/report"

    @Test(arguments: [0, 1, 65_535, 65_536, 65_537, 1_000_000])
    func payloadsOfAnyLength(length: Int) throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        try broker.publish(bytes: [payload, Array("next".utf8)])
        subscriber.await(messages: 2)
        let message = try #require(subscriber.inbox.messages.first)
        #expect(message.topic == topic)
        #expect(message.fullLength == length)
        #expect(message.payload == Array(payload.prefix(65_536)))
        #expect(message.digest == (length > 65_536 ? sha256(payload) : nil))
        #expect(!message.retained)
        #expect(subscriber.inbox.texts.last == "next")
    }

    @Test func bytesThatAreNoText() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        let all = Array(UInt8.min...UInt8.max)
        try broker.publish(bytes: [all])
        subscriber.await(messages: 1)
        #expect(subscriber.inbox.messages.first?.payload == all)
    }

    @Test func aRetainedMessageIsFlaggedAndComesOnce() throws {
        let broker = try PrivateBroker()
        try broker.publish(["old"], retained: true)
        let subscriber = TestSubscriber(broker.settings())
        subscriber.await(messages: 1)
        #expect(subscriber.inbox.messages.first?.retained == true)
        #expect(subscriber.stop() == .stopped)
        // The subscription stands in the session, so it is not new and brings no retained messages again.
        let second = TestSubscriber(broker.settings())
        second.awaitSubscribed()
        try broker.publish(["live"], retained: true)
        second.await(messages: 1)
        #expect(second.inbox.texts == ["live"])
        #expect(second.inbox.messages.first?.retained == false, "flagged only when due to a subscription")
    }

    @Test func receiptsReachTheDevice() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings(), inbox: ManualInbox(sendsReceipts: true))
        subscriber.awaitSubscribed()
        var reader = ReaderConnection(settings: broker.settings(), clientID: "dev-0001")
        try reader.subscribe("homeward/v1/+/+/receipt")
        _ = reader.serve { $0 == .subscribed(refusal: nil) }
        let packet = try reader.publish(topic: topic, payload: Array("first".utf8))
        let expected = ReaderConnection.Event.message(
            topic: "homeward/v1/north/dev-0001/receipt", payload: Array("first".utf8), retained: false)
        let events = reader.serve { $0 == expected }
        #expect(events.contains(.acknowledged(packet: packet, .success)))
        reader.close()
    }

    @Test func receiptsSurviveTheBrokersRestart() throws {
        let broker = try PrivateBroker()
        let inbox = ManualInbox(durable: false, sendsReceipts: true)
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox)
        subscriber.awaitSubscribed()
        try broker.publish(["report"])
        subscriber.await(messages: 1)
        broker.stop()
        #expect(eventually { !subscriber.control.isPublishing })
        inbox.makeDurable()
        #expect(eventually { inbox.freeSlots == inbox.capacity }, "kept for later, so the slot is free")
        try broker.start()
        #expect(eventually { broker.logged("Received PUBLISH from homeward-receipts ") >= 1 })
    }

    @Test func fullReceiptsStopReadingUntilTheyLeave() throws {
        let broker = try PrivateBroker()
        let inbox = ManualInbox(capacity: 16, sendsReceipts: true)
        var limits = SubscriberLimits()
        limits.receipts = 2
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox, limits: limits)
        subscriber.awaitSubscribed()
        let reports = (0..<2000).map { "report \($0)" }
        try broker.publish(reports)
        subscriber.await(messages: reports.count)
        #expect(inbox.texts == reports)
        #expect(inbox.refused == 0)
        #expect(subscriber.stop() == .stopped)
        #expect(broker.logged("Received PUBLISH from homeward-receipts ") == reports.count)
    }

    @Test func theWillIsPublishedForAReaderThatIsCutOff() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(
            broker.settings(), filters: ["homeward/v1/+/+/report", "homeward/v1/+/+/status"])
        subscriber.awaitSubscribed()
        let will = Will(topic: "homeward/v1/north/dev-0001/status", payload: Array("offline".utf8), retained: true)
        do {
            var reader = ReaderConnection(settings: broker.settings(), clientID: "dev-0001", will: will)
            try reader.awaitConnected()
        }
        subscriber.await(messages: 1)
        #expect(subscriber.inbox.messages.first?.topic == will.topic)
        #expect(subscriber.inbox.texts == ["offline"])
    }

    @Test func aReaderMayHaveSoManyUnderWayAndNoMore() throws {
        let broker = try PrivateBroker()
        var reader = ReaderConnection(settings: broker.settings(), clientID: "dev-0001")
        #expect(throws: MQTTError(.notConnected)) { try reader.publish(topic: topic, payload: []) }
        try reader.awaitConnected()
        for _ in 0..<ReaderConnection.window { _ = try reader.publish(topic: topic, payload: []) }
        #expect(throws: MQTTError(.windowFull)) { try reader.publish(topic: topic, payload: []) }
        #expect(
            eventually {
                reader.serve(milliseconds: 10) { _ in }
                return reader.unacknowledged == 0
            })
    }
}
