import Alerting
import Clinical
import Delivery
import Documents
import Foundation
import Instruments
import Synchronization

/// The certificates and revocation lists that this instance knows by their files, and when each ends:
/// `homeward_certificate_expiry_seconds{which}`. Any thread.
final class CertificateExpiry: MetricsSource, Sendable {
    /// `which` on the metrics page. A device's is `device:CODE`.
    enum Which: Hashable, Comparable, CustomStringConvertible {
        /// Homeward's own, by which the broker knows it.
        case own
        /// Of the page and the metrics.
        case http
        /// The authority that the broker's and the devices' certificates come from.
        case authority
        case broker
        /// The list of revoked certificates: a broker refuses everybody by an old one.
        case revocations
        case device(String)

        var description: String {
            switch self {
            case .own: "own"
            case .http: "http"
            case .authority: "ca"
            case .broker: "broker"
            case .revocations: "crl"
            case .device(let code): "device:\(code)"
            }
        }
    }

    struct Entry: Hashable {
        var which: Which
        var expires: Instant
        /// A device's site, by its certificate's organization.
        var site: Identifier?
    }

    /// The page lists no more devices; those that end first.
    static let shownDevices = 200

    private let entries = Mutex<[Entry]>([])

    func note(_ found: [Entry]) { entries.withLock { $0 = found } }

    func families() -> [MetricFamily] {
        let now = wallClock()
        let known = entries.withLock { $0 }.sorted { ($0.expires, $0.which) < ($1.expires, $1.which) }
        var devices = 0
        let shown = known.filter { entry in
            guard case .device = entry.which else { return true }
            devices += 1
            return devices <= Self.shownDevices
        }
        return [
            .gauge(
                "homeward_certificate_expiry_seconds",
                help: "Seconds until a certificate or the list of revoked ones ends; below 0: since it ended.",
                labels: ["which"],
                shown.map { (["\($0.which)"], Double(($0.expires - now).microseconds / 1_000_000)) })
        ]
    }
}

/// Where certificates are looked for. Reads files each time, so that a renewed one counts.
struct CertificateFiles: Sendable {
    var own: String?
    var http: String?
    var authority: String?
    /// The broker's certificate, `broker.pem`, the devices', and the lists of revoked ones.
    var watchedDirectory: String?

    struct Look {
        /// One entry for each `which`.
        var entries: [CertificateExpiry.Entry] = []
        /// Files that could not be read.
        var unread: [String] = []
    }

    func look() -> Look {
        var look = Look()
        for (which, path) in [(CertificateExpiry.Which.own, own), (.http, http), (.authority, authority)] {
            guard let path else { continue }
            // A chain is as good as the first of it that ends.
            let ends = documents(path, &look).map(\.expires)
            if let first = ends.min() { look.entries.append(.init(which: which, expires: first)) }
        }
        guard let watchedDirectory else { return look }
        guard let names = try? FileManager.default.contentsOfDirectory(atPath: watchedDirectory) else {
            look.unread.append(watchedDirectory)
            return look
        }
        let known = [own, http, authority].compactMap { $0.map(Self.resolved) }
        var latest: [CertificateExpiry.Which: CertificateExpiry.Entry] = [:]
        for name in names.sorted() where [".pem", ".crt", ".crl"].contains(where: name.hasSuffix) {
            let path = "\(watchedDirectory)/\(name)"
            if known.contains(Self.resolved(path)) { continue }
            for document in documents(path, &look) {
                guard let entry = Self.entry(document, file: name) else { continue }
                // Of a renewed certificate both may lie there; the newer one is in use.
                if let other = latest[entry.which], other.expires >= entry.expires { continue }
                latest[entry.which] = entry
            }
        }
        look.entries += latest.values
        return look
    }

    private static func resolved(_ path: String) -> String { URL(filePath: path).resolvingSymlinksInPath().path }

    private static func entry(_ document: CertificateDocument, file: String) -> CertificateExpiry.Entry? {
        if document.sort == .revocationList { return .init(which: .revocations, expires: document.expires) }
        if file.hasPrefix("broker.") { return .init(which: .broker, expires: document.expires) }
        guard let name = document.commonName, let code = Identifier(name) else { return nil }
        return .init(
            which: .device(code.description), expires: document.expires,
            site: document.organization.flatMap { Identifier($0) })
    }

    private func documents(_ path: String, _ look: inout Look) -> [CertificateDocument] {
        do {
            return try CertificateDocument.all(in: String(contentsOfFile: path, encoding: .utf8))
        } catch {
            look.unread.append(path)
            return []
        }
    }
}

extension CertificateFiles {
    init(_ configuration: Configuration) {
        own = configuration.broker.tls?.certificateFile
        authority = configuration.broker.tls?.caFile
        watchedDirectory = configuration.broker.tls?.watchedDirectory
        http = configuration.http.tls?.certificateFile
    }
}
