import CLinux
import Documents
import Formats
import Foundation
import Glibc

/// `homeward status`: how the daemon on this machine does, by its `/readyz` and `/metrics`.
public struct StatusPage {
    private let configurationPath: String

    public init(configurationPath: String) {
        self.configurationPath = configurationPath
    }

    /// 0 when it is ready, or stands by for another instance; 69 when it is not, or not there.
    public func run(json: Bool) throws -> ExitStatus {
        let loaded: LoadedConfiguration
        do throws(DocumentProblems) {
            loaded = try LoadedConfiguration(path: configurationPath)
        } catch {
            StandardError.write("\(error)\n")
            return .badConfiguration
        }
        let listener = loaded.configuration.metrics
        let http = loaded.configuration.http
        if http.tls != nil, listener.host == http.host, listener.port == http.port {
            StandardError.write("/metrics is behind TLS: give it a port of its own on this machine (metrics.port)\n")
            return .badConfiguration
        }
        let readiness: LocalPage
        let metrics: LocalPage
        do throws(LocalPage.Unreachable) {
            readiness = try LocalPage(host: listener.host, port: listener.port, path: "/readyz")
            metrics = try LocalPage(host: listener.host, port: listener.port, path: "/metrics")
        } catch {
            StandardError.write("\(error)\n")
            return .unavailable
        }
        let status = DaemonStatus(metrics: metrics.body, isReady: readiness.status == 200, readiness: readiness.body)
        var output = BufferedOutput()
        if json { output.write(status.json) } else { status.lines.forEach { output.write($0) } }
        output.flush()
        return status.isReady || status.isStandby ? .success : .unavailable
    }
}

/// What the two pages say, for a person. Pure.
struct DaemonStatus {
    /// `name{labels}` to its value, in the page's order.
    let samples: [(series: String, value: Double)]
    let isReady: Bool
    private let readiness: String
    private let lease: JSONValue?

    init(metrics: String, isReady: Bool, readiness: String) {
        self.isReady = isReady
        self.readiness = readiness.trimmingCharacters(in: .whitespacesAndNewlines)
        lease = (try? JSONReader.value(Array(readiness.utf8).span))?["lease"]
        samples = metrics.split(separator: "\n").compactMap { line in
            guard !line.hasPrefix("#"), let space = line.lastIndex(of: " "),
                let value = Double(line[line.index(after: space)...].replacing("Inf", with: "inf"))
            else { return nil }
            return (String(line[..<space]), value)
        }
    }

    /// Another instance takes the reports, and this one could.
    var isStandby: Bool {
        lease?["state"]?.string == "standby" && value("homeward_database_connected") == 1
            && readiness.contains(#""problems":[]"#)
    }

    /// Who takes the reports and who could; nil where the daemon says nothing of it.
    private var leaseWords: String? {
        guard let lease, let state = lease["state"]?.string else { return nil }
        let holder = lease["holder"]?.string ?? "nobody that is known"
        let epoch = lease["epoch"]?.number.flatMap { Int64(exactly: $0) }.map { ", epoch \($0)" } ?? ""
        let standby = lease["standby"]?.string
        switch state {
        case "held": return "held\(epoch); standing by: \(standby ?? "nobody")"
        case "standby": return "standing by for \(holder)\(epoch)"
        default: return "not read yet"
        }
    }

    private func value(_ series: String) -> Double { samples.first { $0.series == series }?.value ?? .nan }

    /// All series of a name together.
    private func total(_ name: String) -> Double {
        samples.filter { $0.series == name || $0.series.hasPrefix(name + "{") }.reduce(0) { $0 + $1.value }
    }

    var lines: [String] {
        func whole(_ value: Double) -> String { Int(exactly: value.rounded()).map(String.init) ?? "unknown" }
        func connection(_ name: String) -> String { value(name) == 1 ? "connected" : "away" }
        let reds = samples.filter { $0.series.hasPrefix("homeward_alerts_raised_total") }
            .filter { $0.series.contains("severity=\"red\"") }.reduce(0) { $0 + $1.value }
        var lines = [
            "state        \(isReady ? "ready" : isStandby ? "standby" : "not ready: \(readiness)")",
            "broker       \(connection("homeward_broker_connected"))",
            "database     \(connection("homeward_database_connected"))",
            "reports      \(whole(value("homeward_reports_received_total"))) received, "
                + "\(whole(value("homeward_reports_stored_total"))) stored, "
                + "\(whole(value("homeward_reports_duplicate_total"))) again, "
                + "\(whole(total("homeward_reports_quarantined_total"))) quarantined, "
                + "\(whole(value("homeward_reports_in_flight"))) in flight",
            "alerts       \(whole(total("homeward_alerts_raised_total"))) raised, \(whole(reds)) of them red",
            "spool        \(Self.size(value("homeward_spool_bytes"))) of "
                + "\(Self.size(value("homeward_spool_quota_bytes"))) used, \(spoolLeft)",
        ]
        if let leaseWords { lines.append("lease        \(leaseWords)") }
        if lease?["restored"]?.bool == true {
            lines.append("restored     what was due over an hour before waits: homeward timers list")
        }
        let prefix = "homeward_certificate_expiry_seconds{which=\""
        for sample in samples where sample.series.hasPrefix(prefix) && sample.value < 30 * 86_400 {
            let which = sample.series.dropFirst(prefix.count).dropLast(2)
            let days = whole((sample.value / 86_400).rounded(.down))
            lines.append("certificate  \(which) \(sample.value < 0 ? "has expired" : "expires in \(days) days")")
        }
        return lines
    }

    /// "room for 53 h at today's rate".
    private var spoolLeft: String {
        if value("homeward_spool_quota_bytes") == 0 { return "it is switched off" }
        let hours = value("homeward_spool_left_seconds") / 3600
        guard let whole = Int(exactly: hours.rounded(.down)) else { return "nothing comes that would fill it" }
        return "room for \(whole) h at today's rate"
    }

    private static func size(_ bytes: Double) -> String {
        guard bytes.isFinite else { return "unknown" }
        for (unit, factor) in [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1024.0)] where bytes >= factor {
            return "\((bytes / factor * 10).rounded() / 10) \(unit)"
        }
        return "\(Int(exactly: bytes) ?? 0) B"
    }

    /// One object: `ready` and every series without labels that is a finite number.
    var json: String {
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("ready")
        writer.value(isReady)
        for sample in samples where sample.value.isFinite && !sample.series.contains("{") {
            writer.name(sample.series)
            writer.value(sample.value)
        }
        writer.endObject()
        return writer.text
    }
}

/// One page of a listener on this machine, asked for in plain HTTP and given ten seconds.
struct LocalPage {
    let status: Int
    let body: String

    struct Unreachable: Error, CustomStringConvertible {
        var description: String
    }

    private static let limit = 8 << 20

    init(host: String, port: UInt16, path: String) throws(Unreachable) {
        let address = "\(host):\(port)"
        // What listens everywhere is asked here.
        let near = ["0.0.0.0": "127.0.0.1", "::": "::1"][host] ?? host
        let descriptor = try Self.connect(near, port, address)
        defer { close(descriptor) }
        let request = "GET \(path) HTTP/1.1\r\nHost: \(address)\r\nConnection: close\r\n\r\n"
        var bytes = Array(request.utf8)
        guard unsafe send(descriptor, &bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Unreachable(description: "\(address) closed the connection")
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while answer.count < Self.limit {
            let count = unsafe recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else { break }
            answer += buffer.prefix(count)
        }
        let text = String(decoding: answer, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n"), let status = text.split(separator: " ").dropFirst().first,
            let number = Int(status)
        else { throw Unreachable(description: "\(address) gave no answer") }
        self.status = number
        body = String(text[end.upperBound...])
    }

    private static func connect(_ host: String, _ port: UInt16, _ address: String) throws(Unreachable) -> Int32 {
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, String(port), &hints, &found) == 0, let first = unsafe found else {
            throw Unreachable(description: "there is no host \(host)")
        }
        defer { unsafe freeaddrinfo(first) }
        var next: UnsafeMutablePointer<addrinfo>? = unsafe first
        while let info = unsafe next {
            let sort = unsafe info.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue)
            let descriptor = unsafe socket(info.pointee.ai_family, sort, 0)
            if descriptor >= 0 {
                var patience = timeval(tv_sec: 10, tv_usec: 0)
                let size = socklen_t(MemoryLayout<timeval>.size)
                unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, size)
                unsafe setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, size)
                if unsafe Glibc.connect(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0 {
                    return descriptor
                }
                close(descriptor)
            }
            unsafe next = info.pointee.ai_next
        }
        throw Unreachable(description: "nothing listens at \(address): is the daemon running?")
    }
}
