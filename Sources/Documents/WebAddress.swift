import Foundation

/// An http or https URL, as far as a document's reader must understand it.
struct WebAddress {
    var host: String
    var isEncrypted: Bool

    /// Nil unless `text` is such a URL with a host and, where it names one, a port from 1 to 65535.
    init?(_ text: String) {
        guard text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), let parts = URLComponents(string: text) else {
            return nil
        }
        guard let scheme = parts.scheme?.lowercased(), scheme == "http" || scheme == "https" else { return nil }
        guard let host = parts.host, !host.isEmpty else { return nil }
        if let port = parts.port, !(1...65535).contains(port) { return nil }
        self.host = host
        isEncrypted = scheme == "https"
    }
}

/// The IANA names that this machine knows, and `UTC`.
enum KnownTimeZones {
    private static let names = Set(TimeZone.knownTimeZoneIdentifiers).union(["UTC", "Etc/UTC"])

    static func contains(_ name: String) -> Bool { names.contains(name) }
}
