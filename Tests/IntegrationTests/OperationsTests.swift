import Foundation
import TestSupport
import Testing

/// What operators rely on: the service manager's notifications, TLS with certificates, and the monitoring that is shipped.
@Suite(.serialized) struct OperationsTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    // MARK: systemd

    @Test func `systemd hears READY before the servers are there, is fed, and is told what is waited for`() throws {
        let stack = try Stack()
        stack.broker.stop()
        let manager = try NotificationSocket(in: stack.directory)
        // Nothing listens at port 1, so the database is away too.
        try stack.startDaemon([
            "NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "6000000",
            "HOMEWARD_DATABASE_URL": "postgresql://homeward@127.0.0.1:1/homeward",
        ])
        #expect(manager.next() == "READY=1")
        #expect(manager.next() == "WATCHDOG=1")
        #expect(manager.next() == "STATUS=waiting for the broker, the database")
        // Fed on while both are away: the waits renew themselves.
        for _ in 0..<3 { #expect(manager.next() == "WATCHDOG=1") }
        // Nobody can say who holds the lease: once the start is over, that is waited for in peace.
        let process = try #require(stack.daemonProcessID)
        let (began, before) = (ContinuousClock.now, cpuSeconds(of: process))
        for _ in 0..<4 { #expect(manager.next() == "WATCHDOG=1") }
        let used = cpuSeconds(of: process) - before
        #expect(used < (.now - began) / .seconds(1) / 100, "used \(used) s of CPU without anything to do")
        stack.signalDaemon(SIGHUP)
        var words = manager.next()
        while words == "WATCHDOG=1" { words = manager.next() }
        #expect(words.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        #expect(stack.stopDaemon() == 0)
    }

    // MARK: Monitoring

    @Test func `every metric of the alert rules and of the dashboard is on the page`() throws {
        let stack = try Stack()
        try stack.startReadyDaemon()
        let page = try #require(stack.get("/metrics")).body
        let families = Set(
            page.split(separator: "\n").filter { $0.hasPrefix("# TYPE ") }.map { $0.split(separator: " ")[2] })
        for file in ["homeward.rules.yml", "homeward.dashboard.json"] {
            let text = try String(
                contentsOf: Self.root.appending(path: "deploy/monitoring/\(file)"), encoding: .utf8)
            let names = Set(text.matches(of: /\bhomeward_[a-z_]+/).map { String($0.0) })
            #expect(names.count >= 10)
            for name in names {
                let family = name.replacing(/_(bucket|sum|count)$/, with: "")
                #expect(families.contains(where: { $0 == name || $0 == family }), "\(file): \(name)")
            }
        }
        let status = try stack.run("status", "--config", stack.configurationFile.path)
        #expect(status.status == 0, "\(status.errors)")
        #expect(status.output.hasPrefix("state        ready\nbroker       connected\ndatabase     connected\n"))
        #expect(stack.stopDaemon() == 0)
        let gone = try stack.run("status", "--config", stack.configurationFile.path)
        #expect(gone.status == 69)
        #expect(gone.errors.contains("is the daemon running?"))
    }

    // MARK: TLS

    @Test func `over TLS reports come by certificate, and certificates that end soon are alerts`() throws {
        let pki = try PrivateAuthority()
        try pki.run("init")
        try pki.run("broker", "localhost", "127.0.0.1")
        try pki.run("client", "homeward", days: 20)
        try pki.run("device", "dev-0001", "north", days: 3)
        // No ACL: what the daemon refuses, it refuses by itself.
        let broker = try PrivateBroker(
            listener: [
                "cafile \(pki.path("ca.pem"))", "certfile \(pki.path("broker.pem"))",
                "keyfile \(pki.path("private/broker.key"))", "crlfile \(pki.path("revoked.pem"))",
                "require_certificate true", "use_identity_as_username true",
            ])
        let postgres = try PrivatePostgres.shared()
        let servers = Stack.Servers(
            broker: broker, postgres: postgres, brokerPort: broker.port,
            databasePort: UInt16(clamping: postgres.port))
        let stack = try Stack(
            environment: [
                "HOMEWARD_BROKER_TLS_CA_FILE": pki.path("ca.pem"),
                "HOMEWARD_BROKER_TLS_CERTIFICATE_FILE": pki.path("homeward.pem"),
                "HOMEWARD_BROKER_TLS_KEY_FILE": pki.path("private/homeward.key"),
                "HOMEWARD_BROKER_TLS_WATCHED_DIRECTORY": pki.path(""),
            ], servers: servers)
        try stack.startReadyDaemon()

        // The device's own, one of a site that it is not of, and one of a device that is not there.
        for (site, device) in [("north", "dev-0001"), ("south", "dev-0001"), ("north", "dev-9999")] {
            try pki.publish(
                Payload.report("r-\(site)-\(device)", readings: #"{"kind":"pulse","value":71,"unit":"/min"}"#),
                to: "homeward/v1/\(site)/\(device)/report", as: "dev-0001", port: broker.port)
        }
        #expect(
            try eventually(within: .seconds(120)) {
                try stack.query("SELECT site, device, reason FROM homeward.v_quarantine ORDER BY device") == [
                    ["south", "dev-0001", "unknown-device"], ["north", "dev-9999", "unknown-device"],
                ]
            })
        #expect(try stack.query("SELECT report_id FROM homeward.v_report") == [["r-north-dev-0001"]])

        let wanted = [
            ["amber", "", "Certificates of this instance: own expires in 19 days. Without them nothing is received."],
            [
                "red", "dev-0001",
                "The certificate of device dev-0001 expires in 2 days: after that its patient can't be seen.",
            ],
        ]
        #expect(
            try eventually(within: .seconds(120)) {
                try stack.query(
                    """
                    SELECT severity, device, summary FROM homeward.v_alert
                    WHERE rule = 'certificate-expiring' AND class = 'technical' ORDER BY severity
                    """) == wanted
            })
        for which in ["own", "ca", "broker", "crl", "device:dev-0001"] {
            #expect(stack.metric("homeward_certificate_expiry_seconds{which=\"\(which)\"}") != nil, "\(which)")
        }
        #expect(stack.stopDaemon() == 0)
    }
}

/// The shipped script's authority in a directory of its own.
private final class PrivateAuthority {
    struct Failure: Error { var arguments: [String] }

    private let directory = FileManager.default.temporaryDirectory.appending(
        path: "homeward-authority-\(UUID().uuidString)")
    private static let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "deploy/broker/pki.sh")

    init() throws { try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true) }

    deinit { try? FileManager.default.removeItem(at: directory) }

    func path(_ name: String) -> String { name.isEmpty ? directory.path : directory.path + "/" + name }

    func run(_ arguments: String..., days: Int = 400) throws {
        try Self.run(Self.script.path, [directory.path] + arguments, ["HOMEWARD_PKI_DAYS": "\(days)"])
    }

    func publish(_ payload: String, to topic: String, as name: String, port: UInt16) throws {
        try Self.run(
            "/usr/bin/mosquitto_pub",
            [
                "-V", "5", "-q", "1", "-h", "localhost", "-p", "\(port)", "--cafile", path("ca.pem"), "--cert",
                path("\(name).pem"), "--key", path("private/\(name).key"), "-t", topic, "-m", payload,
            ], [:])
    }

    private static func run(_ program: String, _ arguments: [String], _ environment: [String: String]) throws {
        let process = Process()
        process.executableURL = URL(filePath: program)
        process.arguments = arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw Failure(arguments: arguments) }
    }
}

/// The service manager's end of the notification protocol.
private final class NotificationSocket {
    let path: String
    private let descriptor: Int32

    init(in directory: URL) throws {
        path = directory.appending(path: "notify").path
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let descriptor = descriptor
        let bound = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(descriptor, $0, length) }
        }
        try #require(bound == 0)
        // Nothing waits for ever.
        var patience = timeval(tv_sec: 120, tv_usec: 0)
        unsafe setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    /// The next notification; empty when none came.
    func next() -> String {
        var buffer = [UInt8](repeating: 0, count: 1024)
        let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }
}
