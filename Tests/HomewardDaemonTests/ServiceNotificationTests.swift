import Foundation
import Testing

@testable import HomewardDaemon

@Suite struct ServiceNotificationTests {
    /// systemd's end: a datagram socket, by path or by abstract name.
    final class Receiver {
        let descriptor: Int32
        let name: String

        init(abstract: Bool) throws {
            let unique = "homeward-notify-\(UUID().uuidString.prefix(8))"
            name = abstract ? "@\(unique)" : "/tmp/\(unique)"
            descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            var bytes = Array(name.utf8)
            if abstract { bytes[0] = 0 }
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
            let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
            let descriptor = descriptor
            let bound = unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
            }
            try #require(bound == 0)
        }

        deinit {
            close(descriptor)
            if !name.hasPrefix("@") { unsafe unlink(name) }
        }

        func next() -> String {
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
    }

    @Test(arguments: [true, false])
    func `systemd hears of readiness, life and the end`(abstract: Bool) throws {
        let receiver = try Receiver(abstract: abstract)
        let notification = ServiceNotification(environment: ["NOTIFY_SOCKET": receiver.name])
        notification.ready()
        #expect(receiver.next() == "READY=1")
        notification.alive()
        #expect(receiver.next() == "WATCHDOG=1")
        notification.reloading()
        #expect(receiver.next().hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        notification.stopping()
        #expect(receiver.next() == "STOPPING=1")
    }

    @Test func `without systemd nothing is sent and nothing fails`() {
        let notification = ServiceNotification(environment: [:])
        notification.ready()
        #expect(notification.watchdogInterval == nil)
    }

    @Test func `the watchdog is ours only when it names this process`() {
        let ours = ["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "\(getpid())"]
        #expect(ServiceNotification(environment: ours).watchdogInterval == .seconds(30))
        let others = ["WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"]
        #expect(ServiceNotification(environment: others).watchdogInterval == nil)
    }
}

@Suite struct StandardErrorLogTests {
    @Test(arguments: [
        ("plain", "plain"), ("two words", "\"two words\""), ("", "\"\""), ("a=b", "\"a=b\""),
        ("say \"no\"", "\"say \\\"no\\\"\""),
    ])
    func `values are quoted where a reader would stumble`(row: (String, String)) {
        #expect(StandardErrorLog.quoted(row.0) == row.1)
    }

    @Test func `no input can forge a second line or turn the text around`() {
        let naughty = "a\n2026 root: fake\u{1b}[31m\u{202e}\u{2028}\u{9b}"
        let escaped = StandardErrorLog.escaped(naughty)
        #expect(escaped == "a\\u{a}2026 root: fake\\u{1b}[31m\\u{202e}\\u{2028}\\u{9b}")
    }
}
