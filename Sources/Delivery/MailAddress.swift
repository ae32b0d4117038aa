/// An e-mail address that can stand in SMTP's envelope and in a header as it is: printable ASCII without spaces,
/// brackets, quotes or commas. Nothing that could begin another command or header is one.
struct MailAddress: Hashable, Sendable {
    let text: String
    let domain: String

    init?(_ text: String) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard parts.count == 2, let local = parts.first, let domain = parts.last, text.utf8.count <= 254,
            !local.isEmpty, local.utf8.count <= 64, !domain.isEmpty,
            local.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !#"<>,;:"()[]\"#.utf8.contains($0) }),
            domain.utf8.allSatisfy({ Self.isOfDomain($0) }), !domain.hasPrefix("."), !domain.hasSuffix("."),
            !domain.contains("..")
        else { return nil }
        self.text = text
        self.domain = String(domain)
    }

    private static func isOfDomain(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
    }
}
