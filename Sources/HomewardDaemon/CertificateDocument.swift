import Clinical
import Formats
import Foundation
import SwiftASN1

/// When a PEM block ends: a certificate (RFC 5280, 4.1) or a list of revoked ones (5.1). Read for its dates alone; nothing
/// here says that a signature is good.
struct CertificateDocument: Hashable {
    enum Sort: Hashable {
        case certificate
        case revocationList
    }

    var sort: Sort
    /// A list's next update.
    var expires: Instant
    /// Of a certificate's subject; the last one where there are several.
    var commonName: String?
    var organization: String?

    /// Every certificate and list in a PEM file, in its order; other blocks, such as keys, are passed over.
    ///
    /// - Throws: `Unreadable` where a block can't be read. Its text holds nothing of the file.
    static func all(in text: String) throws(Unreadable) -> [CertificateDocument] {
        guard let blocks = try? PEMDocument.parseMultiple(pemString: text) else { throw Unreadable() }
        var documents: [CertificateDocument] = []
        for block in blocks {
            let read: ((ASN1Node) throws -> CertificateDocument)? =
                switch block.discriminator {
                case "CERTIFICATE": certificate
                case "X509 CRL": revocationList
                default: nil
                }
            guard let read else { continue }
            guard let document = try? read(try DER.parse(block.derBytes)) else { throw Unreadable() }
            documents.append(document)
        }
        return documents
    }

    struct Unreadable: Error, CustomStringConvertible {
        var description: String { "is no PEM file of certificates or of revocations" }
    }

    // MARK: DER

    private static func certificate(_ node: ASN1Node) throws -> CertificateDocument {
        var fields = try parts(of: signed(node))[...]
        // version, serial number, signature algorithm, issuer.
        if fields.first?.identifier.tagClass == .contextSpecific { fields = fields.dropFirst() }
        fields = fields.dropFirst(3)
        guard let validity = fields.popFirst(), let subject = fields.popFirst(),
            let end = try parts(of: validity).dropFirst().first
        else { throw Unreadable() }
        let names = try names(in: subject)
        return CertificateDocument(
            sort: .certificate, expires: try instant(end), commonName: names[[2, 5, 4, 3]],
            organization: names[[2, 5, 4, 10]])
    }

    private static func revocationList(_ node: ASN1Node) throws -> CertificateDocument {
        var fields = try parts(of: signed(node))[...]
        // version, signature algorithm, issuer, this update.
        if fields.first?.identifier == .integer { fields = fields.dropFirst() }
        fields = fields.dropFirst(3)
        guard let next = fields.popFirst() else { throw Unreadable() }
        return CertificateDocument(sort: .revocationList, expires: try instant(next))
    }

    /// What the signature is over: the first of three.
    private static func signed(_ node: ASN1Node) throws -> ASN1Node {
        guard let first = try parts(of: node).first else { throw Unreadable() }
        return first
    }

    private static func parts(of node: ASN1Node) throws -> [ASN1Node] {
        guard case .constructed(let parts) = node.content else { throw Unreadable() }
        return Array(parts)
    }

    /// The texts of a name by their object identifiers.
    private static func names(in node: ASN1Node) throws -> [[UInt]: String] {
        var names: [[UInt]: String] = [:]
        for set in try parts(of: node) {
            for pair in try parts(of: set) {
                let pair = try parts(of: pair)
                guard pair.count == 2, case .primitive(let bytes) = pair[1].content,
                    let text = String(validating: bytes, as: UTF8.self)
                else { continue }
                let identifier = try ASN1ObjectIdentifier(derEncoded: pair[0])
                names[identifier.oidComponents] = text
            }
        }
        return names
    }

    private static func instant(_ node: ASN1Node) throws -> Instant {
        let fields: [Int]
        if node.identifier == .utcTime {
            let time = try UTCTime(derEncoded: node)
            fields = [time.year, time.month, time.day, time.hours, time.minutes, time.seconds]
        } else {
            let time = try GeneralizedTime(derEncoded: node)
            fields = [time.year, time.month, time.day, time.hours, time.minutes, time.seconds]
        }
        let digits = fields.enumerated().map { index, field in
            let text = String(field)
            return String(repeating: "0", count: max(0, (index == 0 ? 4 : 2) - text.count)) + text
        }
        let text = digits[..<3].joined(separator: "-") + "T" + digits[3...].joined(separator: ":") + "Z"
        guard let instant = RFC3339.parse(text) else { throw Unreadable() }
        return instant
    }
}
