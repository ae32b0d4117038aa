import MQTTClient
import TestSupport
import Testing

/// Pins what the whole design leans on, and what libmosquitto promises nowhere: that an acknowledgement waits in its
/// queue until we write.
@Suite struct AcknowledgementTests {
    let reports = (0..<50).map { "report \($0)" }

    /// Makes the session at the broker, so that what is published waits for us.
    private func makeSession(_ broker: PrivateBroker) {
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        #expect(subscriber.stop() == .stopped)
    }

    @Test func nothingIsAcknowledgedBeforeItIsDurable() throws {
        let broker = try PrivateBroker()
        makeSession(broker)
        try broker.publish(reports)

        let first = TestSubscriber(broker.settings(), inbox: ManualInbox(durable: false))
        first.await(messages: 1)
        first.inbox.fail()
        #expect(first.join() == .stageFailed)
        #expect(broker.acknowledged() == 0)

        let second = TestSubscriber(broker.settings())
        second.await(messages: reports.count)
        #expect(second.inbox.texts == reports, "all again, in order")
        #expect(eventually { broker.acknowledged() == reports.count })
        #expect(second.stop() == .stopped)
    }

    @Test func whatWasAcknowledgedDoesNotComeAgain() throws {
        let broker = try PrivateBroker()
        makeSession(broker)
        try broker.publish(reports)
        let first = TestSubscriber(broker.settings())
        first.await(messages: reports.count)
        #expect(eventually { broker.acknowledged() == reports.count })
        first.inbox.fail()
        #expect(first.join() == .stageFailed)

        let second = TestSubscriber(broker.settings())
        second.awaitSubscribed()
        try broker.publish(["last"])
        second.await(messages: 1)
        #expect(second.inbox.texts == ["last"])
    }

    @Test func acknowledgementsWaitForTheWholeBatch() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings(), inbox: ManualInbox(durable: false))
        subscriber.awaitSubscribed()
        try broker.publish(reports)
        subscriber.await(messages: 1)
        #expect(broker.acknowledged() == 0)
        subscriber.inbox.makeDurable()
        subscriber.await(messages: reports.count)
        #expect(eventually { broker.acknowledged() == reports.count })
        #expect(subscriber.inbox.texts == reports)
    }

    @Test func orderlyStopAcknowledgesWhatWasRead() throws {
        let broker = try PrivateBroker()
        makeSession(broker)
        try broker.publish(reports)
        let inbox = ManualInbox(durable: false, sendsReceipts: true)
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox)
        subscriber.await(messages: 1)
        subscriber.control.stop(within: .seconds(20))
        inbox.makeDurable()
        #expect(subscriber.join() == .stopped)
        // The broker may read what was sent last after the subscriber has gone.
        #expect(eventually { broker.acknowledged() == inbox.messages.count })
        #expect(
            eventually { broker.logged("Received DISCONNECT from homeward") == 4 },
            "two of the first subscriber, two of this")
        #expect(eventually { broker.logged("Received PUBLISH from homeward-receipts ") == inbox.messages.count })

        let second = TestSubscriber(broker.settings())
        second.await(messages: reports.count - inbox.messages.count)
        #expect(inbox.texts + second.inbox.texts == reports)
    }

    /// What the broker has sent and nobody has read makes a reset of the closed socket, and the broker, which is slow
    /// here, would throw away what it has not read.
    @Test func aSlowBrokerGetsTheLastAcknowledgementsToo() throws {
        let broker = try PrivateBroker()
        makeSession(broker)
        let inbox = ManualInbox(durable: false)
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox)
        subscriber.awaitSubscribed()
        try broker.publish(["held"])
        subscriber.await(messages: 1)
        try broker.publish(reports)
        #expect(eventually { broker.logged("Sending PUBLISH to homeward ") > 1 })
        broker.freeze()
        subscriber.control.stop(within: .seconds(20))
        inbox.makeDurable()
        #expect(subscriber.join() == .stopped)
        broker.thaw()
        #expect(eventually { broker.acknowledged() == 1 })
        let second = TestSubscriber(broker.settings())
        second.await(messages: reports.count)
        #expect(second.inbox.texts == reports)
    }

    @Test func stopGivesUpAtItsDeadline() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings(), inbox: ManualInbox(durable: false))
        subscriber.awaitSubscribed()
        try broker.publish(["report"])
        subscriber.await(messages: 1)
        #expect(subscriber.stop(within: .milliseconds(50)) == .stoppedUnacknowledged)
        #expect(broker.acknowledged() == 0)
        let second = TestSubscriber(broker.settings())
        second.await(messages: 1)
    }

    @Test func aHoldThatLastsTooLongClosesAndTheBrokerSendsAgain() throws {
        let broker = try PrivateBroker()
        var limits = SubscriberLimits()
        limits.hold = .milliseconds(200)
        let subscriber = TestSubscriber(broker.settings(), inbox: ManualInbox(durable: false), limits: limits)
        subscriber.awaitSubscribed()
        try broker.publish(["report"])
        subscriber.awaitEvent(.heldTooLong)
        subscriber.awaitEvent(.disconnected(.subscriber, MQTTError(.heldTooLong)))
        #expect(broker.acknowledged() == 0)
        #expect(eventually { broker.logged("Client homeward closed its connection") == 1 })
        subscriber.inbox.makeDurable()
        subscriber.await(messages: 2)
        #expect(subscriber.inbox.texts == ["report", "report"])
        subscriber.awaitEvent(.connected(.subscriber, sessionPresent: true))
        #expect(eventually { broker.acknowledged() == 1 })
    }

    @Test func aFullInboxStopsReadingAndResumes() throws {
        let broker = try PrivateBroker()
        let inbox = ManualInbox(capacity: 8, releases: false)
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox)
        subscriber.awaitSubscribed()
        try broker.publish(reports)
        #expect(eventually { broker.acknowledged() == 8 })
        #expect(inbox.freeSlots == 0)
        inbox.release()
        subscriber.await(messages: reports.count)
        #expect(inbox.texts == reports)
        #expect(inbox.refused == 0)
        #expect(eventually { broker.acknowledged() == reports.count })
    }

    @Test func ordersTenThousandUnderSmallBatches() throws {
        let broker = try PrivateBroker()
        var limits = SubscriberLimits()
        limits.batch = 7
        let inbox = ManualInbox(capacity: 64, sendsReceipts: true)
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox, limits: limits)
        subscriber.awaitSubscribed()
        let many = (0..<10_000).map { "report \($0)" }
        try broker.publish(many)
        subscriber.await(messages: many.count)
        #expect(inbox.texts == many)
        #expect(subscriber.stop() == .stopped)
        #expect(broker.logged("Received PUBLISH from homeward-receipts ") == many.count)
    }
}
