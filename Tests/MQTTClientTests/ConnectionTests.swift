import MQTTClient
import TestSupport
import Testing

@Suite struct ConnectionTests {
    @Test func comesBackAfterTheBrokersRestart() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        broker.stop()
        #expect(eventually { !subscriber.control.isSubscribed && !subscriber.control.isPublishing })
        try broker.start()
        subscriber.awaitEvent(.connected(.subscriber, sessionPresent: true))
        subscriber.awaitEvent(.subscribed, count: 2)
        #expect(!subscriber.events.contains(.lostSession))
        try broker.publish(["after"])
        subscriber.await(messages: 1)
    }

    @Test func saysSoWhenTheBrokerLostTheSessionAndSubscribesAnew() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        broker.kill()
        try broker.forgetSessions()
        try broker.start()
        subscriber.awaitEvent(.lostSession)
        subscriber.awaitEvent(.subscribed, count: 2)
        try broker.publish(["after"])
        subscriber.await(messages: 1)
    }

    @Test func theFirstConnectMayFail() throws {
        let broker = try PrivateBroker(starts: false)
        let subscriber = TestSubscriber(broker.settings())
        #expect(eventually { subscriber.events.contains { $0.subscriberError?.reason == .system } })
        try broker.start()
        subscriber.awaitSubscribed()
        #expect(!subscriber.events.contains(.lostSession))
    }

    @Test func aNameThatNobodyKnowsIsLookedUpAgain() {
        var settings = BrokerSettings(host: "broker.invalid", port: 1883, clientID: "homeward")
        settings.backoff.floor = .milliseconds(1)
        settings.backoff.ceiling = .milliseconds(2)
        let subscriber = TestSubscriber(settings)
        #expect(eventually { subscriber.events.count { $0.subscriberError?.reason == .addressLookup } >= 2 })
        #expect(subscriber.stop() == .stopped)
    }

    @Test func stopsWhileTheBrokerIsAway() throws {
        let broker = try PrivateBroker(starts: false)
        let subscriber = TestSubscriber(broker.settings())
        #expect(eventually { subscriber.events.contains { $0.isDisconnect } })
        #expect(subscriber.stop() == .stopped)
    }

    @Test func aSessionThatIsTakenAgainAndAgainIsReportedAndComesBack() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        // Takes the session whenever it has been taken back, until we say that we noticed.
        var other = ReaderConnection(settings: broker.settings(), clientID: "homeward", keepsSession: true)
        #expect(
            eventually {
                other.serve(milliseconds: 1) { _ in }
                return subscriber.events.contains(.sessionContested)
            }, "\(subscriber.events)")
        other.close()
        let before = subscriber.events.count { $0 == .subscribed }
        subscriber.awaitEvent(.subscribed, count: before + 1)
        try broker.publish(["after"])
        subscriber.await(messages: 1)
    }

    @Test func aBrokerThatSaysThatTheSessionIsTakenIsBelieved() throws {
        let connack: [UInt8] = [0x20, 3, 1, 0, 0]
        let taken: [UInt8] = [0xE0, 1, 0x8E]
        let broker = try ScriptedBroker(answers: [connack + taken])
        let subscriber = TestSubscriber(broker.settings)
        subscriber.awaitEvent(.sessionTakenOver)
        #expect(subscriber.stop() == .stopped)
    }

    @Test(arguments: [
        [0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
        // CONNACK, then a PUBLISH without a topic.
        [0x20, 3, 0, 0, 0, 0x30, 0],
        // CONNACK, then a SUBACK without codes (CVE-2024-10525), which Debian's libmosquitto refuses.
        [0x20, 3, 0, 0, 0, 0x90, 3, 0, 1, 0],
        Array("HTTP/1.1 400 Bad\r\n\r\n".utf8),
    ])
    func nonsenseOnTheWireIsAnErrorAndTriedAgain(bytes: [UInt8]) throws {
        let broker = try ScriptedBroker(answers: [bytes])
        let subscriber = TestSubscriber(broker.settings)
        #expect(eventually { subscriber.events.count { $0.subscriberError != nil } >= 2 }, "\(subscriber.events)")
        #expect(subscriber.inbox.messages.isEmpty)
        #expect(!subscriber.events.contains(.subscribed))
    }

    @Test func aFrozenBrokerIsNoticed() throws {
        let broker = try PrivateBroker()
        var settings = broker.settings()
        settings.keepalive = .seconds(5)
        settings.connectTimeout = .milliseconds(500)
        let subscriber = TestSubscriber(settings)
        subscriber.awaitSubscribed()
        broker.freeze()
        #expect(eventually { !subscriber.control.isConnected })
        broker.thaw()
        subscriber.awaitSubscribed()
        try broker.publish(["after"])
        subscriber.await(messages: 1)
    }

    @Test(arguments: [BrokerSettings.ProtocolVersion.mqtt5, .mqtt311])
    func readsInEitherProtocol(version: BrokerSettings.ProtocolVersion) throws {
        let broker = try PrivateBroker()
        var settings = broker.settings()
        settings.version = version
        let first = TestSubscriber(settings)
        first.awaitSubscribed()
        #expect(first.stop() == .stopped)
        // Kept by the broker while nobody is there: the session is persistent in both.
        try broker.publish(["while away"])
        let second = TestSubscriber(settings, inbox: ManualInbox(sendsReceipts: true))
        second.await(messages: 1)
        second.awaitEvent(.connected(.subscriber, sessionPresent: true))
        #expect(second.inbox.texts == ["while away"])
        #expect(eventually { broker.logged("Received PUBLISH from homeward-receipts ") == 1 })
    }

    @Test func theSessionIsAskedToLastAWeekAndTheWindowIsWide() throws {
        let broker = try PrivateBroker()
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitSubscribed()
        // p5: MQTT 5; c0: clean start false; k20: keepalive.
        #expect(broker.logged("as homeward (p5, c0, k20)") == 1)
        #expect(broker.logged("as homeward-receipts (p5, c1, k20)") == 1)
        #expect(subscriber.stop() == .stopped)
        // Without its expiry interval the session would have ended with the connection.
        try broker.publish((0..<100).map { "report \($0)" })
        let held = TestSubscriber(broker.settings(), inbox: ManualInbox(durable: false))
        held.await(messages: 1)
        // More than the broker's 20: what is unacknowledged does not stop it.
        #expect(eventually { broker.logged("Sending PUBLISH to homeward ") == 100 })
    }

    @Test func usernameAndPassword() throws {
        let broker = try PrivateBroker(
            options: ["password_file {directory}/passwords"], anonymous: false,
            // `mosquitto_passwd` of homeward, correct.
            files: ["passwords": try passwordLine(user: "homeward", password: "correct")])
        var settings = broker.settings()
        settings.username = "homeward"
        settings.password = "wrong"
        let refused = TestSubscriber(settings)
        #expect(
            eventually {
                refused.events.contains {
                    $0.subscriberError?.brokerCode == .notAuthorized && $0.subscriberError?.reason == .connectionRefused
                }
            }, "\(refused.events)")
        #expect(refused.stop() == .stopped)

        settings.password = "correct"
        let subscriber = TestSubscriber(settings)
        subscriber.awaitSubscribed()
    }

    private func passwordLine(user: String, password: String) throws -> String {
        let file = "/tmp/homeward-passwords-\(UInt64.random(in: 0...UInt64.max))"
        try run("/usr/bin/mosquitto_passwd", "-c", "-b", file, user, password)
        return try takeText(of: file)
    }

    @Test func aRefusedSubscriptionIsReportedAndTriedAgain() throws {
        // The dynamic security plugin refuses whatever no role allows; an ACL file never refuses SUBSCRIBE.
        let plugin = "/usr/lib/x86_64-linux-gnu/mosquitto_dynamic_security.so"
        let roles = """
            {"defaultACLAccess":{"publishClientSend":true,"publishClientReceive":true,"subscribe":false,
            "unsubscribe":true},"clients":[],"groups":[],"roles":[]}
            """
        let broker = try PrivateBroker(
            options: ["plugin \(plugin)", "plugin_opt_config_file {directory}/roles.json"],
            files: ["roles.json": roles])
        let subscriber = TestSubscriber(broker.settings())
        subscriber.awaitEvent(.subscriptionRefused(.notAuthorized), count: 3)
        #expect(!subscriber.control.isSubscribed)
        #expect(subscriber.control.isPublishing)
        #expect(!subscriber.events.contains(.subscribed))
    }

    @Test func refusedReceiptsAreCountedAndStopNobody() throws {
        let broker = try PrivateBroker(
            options: ["acl_file {directory}/acl"], files: ["acl": "topic readwrite homeward/v1/+/+/report\n"])
        let inbox = ManualInbox(sendsReceipts: true)
        var limits = SubscriberLimits()
        limits.receipts = 4
        let subscriber = TestSubscriber(broker.settings(), inbox: inbox, limits: limits)
        subscriber.awaitSubscribed()
        try broker.publish((0..<100).map { "report \($0)" })
        subscriber.await(messages: 100)
        let reported = eventually {
            subscriber.events.contains {
                if case .publicationsRefused(.notAuthorized, _) = $0 { true } else { false }
            }
        }
        #expect(reported, "\(subscriber.events)")
        #expect(subscriber.stop() == .stopped)
        let reports = subscriber.events.count { if case .publicationsRefused = $0 { true } else { false } }
        #expect(reports == 1, "at most once a minute")
    }
}
