import Foundation
import MQTTClient
import TestSupport
import Testing

@Suite struct TLSTests {
    /// A private authority, a server certificate for 127.0.0.1 and a client certificate, made by openssl.
    final class Certificates {
        let directory: URL

        init() throws {
            directory = FileManager.default.temporaryDirectory.appending(
                path: "homeward-tls-\(UUID().uuidString)", directoryHint: .isDirectory)
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            try makeAuthority("ca")
            try makeAuthority("other-ca")
            try sign("server", extension: "subjectAltName=IP:127.0.0.1")
            try sign("client", extension: "extendedKeyUsage=clientAuth")
        }

        deinit { try? FileManager.default.removeItem(at: directory) }

        func path(_ name: String) -> String { directory.appending(path: name).path(percentEncoded: false) }

        private func makeAuthority(_ name: String) throws {
            try run(
                "/usr/bin/openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out",
                path("\(name).pem"))
        }

        private func sign(_ name: String, extension text: String) throws {
            try Data(text.utf8).write(to: directory.appending(path: "\(name).ext"))
            try run(
                "/usr/bin/openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", "/CN=\(name)", "-keyout", path("\(name).key"), "-out", path("\(name).csr"))
            try run(
                "/usr/bin/openssl", "x509", "-req", "-in", path("\(name).csr"), "-CA", path("ca.pem"), "-CAkey",
                path("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", path("\(name).ext"), "-out",
                path("\(name).pem"))
        }
    }

    let certificates: Certificates
    let broker: PrivateBroker

    init() throws {
        certificates = try Certificates()
        broker = try PrivateBroker(listener: [
            "cafile \(certificates.path("ca.pem"))", "certfile \(certificates.path("server.pem"))",
            "keyfile \(certificates.path("server.key"))", "require_certificate true",
        ])
    }

    var settings: BrokerSettings {
        var settings = broker.settings()
        settings.tls = .init(
            authority: certificates.path("ca.pem"), certificate: certificates.path("client.pem"),
            key: certificates.path("client.key"))
        return settings
    }

    @Test func readsABacklogThatPollDoesNotSee() throws {
        let inbox = ManualInbox(capacity: 64, sendsReceipts: true)
        let first = TestSubscriber(settings)
        first.awaitSubscribed()
        #expect(first.stop() == .stopped)
        let reports = (0..<3000).map { "report \($0)" }
        try broker.publish(bytes: reports.map { Array($0.utf8) }, using: settings)
        let subscriber = TestSubscriber(settings, inbox: inbox)
        subscriber.await(messages: reports.count)
        #expect(inbox.texts == reports)
        #expect(subscriber.stop() == .stopped)
        #expect(broker.acknowledged() == reports.count)
    }

    @Test func nothingIsAcknowledgedBeforeItIsDurable() throws {
        let subscriber = TestSubscriber(settings, inbox: ManualInbox(durable: false))
        subscriber.awaitSubscribed()
        try broker.publish(bytes: [Array("report".utf8)], using: settings)
        subscriber.await(messages: 1)
        subscriber.inbox.fail()
        #expect(subscriber.join() == .stageFailed)
        #expect(broker.acknowledged() == 0)
        let second = TestSubscriber(settings)
        second.await(messages: 1)
        #expect(second.inbox.texts == ["report"])
    }

    @Test func aWrongAuthorityIsRefusedUntilItsFileIsCorrected() throws {
        let file = certificates.path("trusted.pem")
        try FileManager.default.copyItem(atPath: certificates.path("other-ca.pem"), toPath: file)
        var settings = settings
        settings.tls?.authority = file
        let subscriber = TestSubscriber(settings)
        #expect(eventually { subscriber.events.count { $0.subscriberError?.reason == .tls } >= 3 })
        #expect(!subscriber.events.contains(.subscribed))
        try Data(contentsOf: URL(filePath: certificates.path("ca.pem"))).write(to: URL(filePath: file))
        subscriber.awaitSubscribed()
        // And back: the old file is not remembered.
        try Data(contentsOf: URL(filePath: certificates.path("other-ca.pem"))).write(to: URL(filePath: file))
        let refusals = subscriber.events.count { $0.subscriberError?.reason == .tls }
        broker.stop()
        try broker.start()
        #expect(eventually { subscriber.events.count { $0.subscriberError?.reason == .tls } > refusals })
    }

    @Test func aCertificateForAnotherNameIsRefused() throws {
        var settings = settings
        settings.host = "localhost"
        let subscriber = TestSubscriber(settings)
        #expect(eventually { subscriber.events.count { $0.subscriberError?.reason == .tls } >= 2 })
        #expect(!subscriber.events.contains(.subscribed))
    }

    @Test func aMissingFileAndAPlainPortAreErrorsAndTriedAgain() throws {
        var missing = settings
        missing.tls?.authority = certificates.path("nowhere.pem")
        let first = TestSubscriber(missing)
        #expect(eventually { first.events.count { $0.subscriberError?.reason == .invalidArgument } >= 2 })

        let plain = try PrivateBroker()
        var settings = settings
        settings.port = plain.port
        settings.connectTimeout = .milliseconds(500)
        let second = TestSubscriber(settings)
        #expect(eventually { second.events.count { $0.subscriberError != nil } >= 2 })
    }
}
