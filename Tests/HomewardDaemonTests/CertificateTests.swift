import Alerting
import Clinical
import Foundation
import Instruments
import Registry
import Testing

@testable import HomewardDaemon

/// Certificates as openssl makes them.
@Suite struct CertificateTests {
    final class Folder {
        let url = FileManager.default.temporaryDirectory.appending(path: "homeward-certificates-\(UUID().uuidString)")

        init() throws { try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true) }

        deinit { try? FileManager.default.removeItem(at: url) }

        /// The shipped script, as operators run it.
        func pki(_ arguments: String..., days: Int = 100) throws {
            let script = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appending(path: "deploy/broker/pki.sh")
            let process = Process()
            process.executableURL = script
            process.arguments = [url.path] + arguments
            process.environment = ProcessInfo.processInfo.environment.merging(["HOMEWARD_PKI_DAYS": "\(days)"]) { $1 }
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0, "pki.sh \(arguments)")
        }

        var files: CertificateFiles {
            CertificateFiles(
                own: url.appending(path: "homeward.pem").path, http: nil,
                authority: url.appending(path: "ca.pem").path, watchedDirectory: url.path)
        }
    }

    @Test func `each certificate and the list of revoked ones is found, with its end and its site`() throws {
        let folder = try Folder()
        try folder.pki("init")
        try folder.pki("broker", "localhost", days: 20)
        try folder.pki("client", "homeward", days: 5)
        try folder.pki("device", "dev-0001", "north", days: 3)
        // Key files and other texts are none.
        try "no certificate".write(to: folder.url.appending(path: "notes.txt"), atomically: true, encoding: .utf8)
        let look = folder.files.look()
        #expect(look.unread == [])
        let now = Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1e6))
        let days = Dictionary(
            uniqueKeysWithValues: look.entries.map { entry in
                ("\(entry.which)", Int(((entry.expires - now).microseconds + 3_600_000_000) / 86_400_000_000))
            })
        #expect(days == ["own": 5, "ca": 3650, "broker": 20, "crl": 60, "device:dev-0001": 3])
        #expect(look.entries.first { $0.which == .device("dev-0001") }?.site?.description == "north")

        let expiry = CertificateExpiry()
        expiry.note(look.entries)
        let page = MetricsPage([expiry]).render()
        #expect(page.contains("\nhomeward_certificate_expiry_seconds{which=\"device:dev-0001\"} 25"))
        #expect(page.contains("\nhomeward_certificate_expiry_seconds{which=\"ca\"} 31"))
    }

    @Test func `a file that is no certificate is named, and hides no other`() throws {
        let folder = try Folder()
        try folder.pki("init")
        try folder.pki("client", "homeward")
        let damaged = folder.url.appending(path: "damaged.pem")
        let begin = "-----BEGIN CERTIFICATE-----\n"
        for text in [begin, begin + "AAAA\n-----END CERTIFICATE-----\n", begin + "MAA=\n-----END CERTIFICATE-----\n"] {
            try text.write(to: damaged, atomically: true, encoding: .utf8)
            let look = folder.files.look()
            #expect(look.unread == [damaged.path], "\(text)")
            #expect(look.entries.count == 3)
        }
    }

    // MARK: Warnings

    private static let now = Instant(microseconds: 1_800_000_000_000_000)

    private static func entry(
        _ which: CertificateExpiry.Which, days: Int64, site: Identifier? = nil
    ) -> CertificateExpiry.Entry {
        .init(which: which, expires: now + .days(days), site: site)
    }

    @Test(arguments: [(31, nil), (29, Severity.amber), (8, .amber), (6, .red), (-1, .red)] as [(Int64, Severity?)])
    func `amber thirty days ahead, red seven days ahead`(row: (days: Int64, severity: Severity?)) {
        var warnings = CertificateWarnings()
        let findings = warnings.findings(
            [Self.entry(.own, days: 400), Self.entry(.broker, days: row.days)], at: Self.now
        ).flatMap(\.self)
        #expect(findings.count == 1)
        #expect(findings.first?.verdict == row.severity.map { .beyond($0) } ?? .inRange)
        #expect(findings.first?.subject == .instance)
        #expect(findings.first?.alertClass == .technical)
        #expect(findings.first?.summary.contains("broker") == (row.severity != nil))
    }

    @Test func `a device's warning is its own, and ends when it has a newer certificate`() throws {
        let device = try #require(Identifier("dev-0001"))
        let site = Identifier("north")
        var warnings = CertificateWarnings()
        func findings(days: Int64) -> [Finding] {
            warnings.findings([Self.entry(.device("dev-0001"), days: days, site: site)], at: Self.now)
                .flatMap(\.self).filter { $0.subject == .device(device) }
        }
        // The first look says also what is good: an earlier life may have warned.
        #expect(findings(days: 300).map(\.verdict) == [.inRange])
        #expect(findings(days: 300) == [])
        let warning = findings(days: 6)
        #expect(warning.map(\.verdict) == [.beyond(.red)])
        #expect(warning.first?.site == site)
        #expect(
            warning.first?.summary
                == "The certificate of device dev-0001 expires in 6 days: after that its patient can't be seen.")
        #expect(findings(days: 300).map(\.verdict) == [.inRange])
        #expect(findings(days: 300) == [])
        let patient = try #require(Identifier("P0001"))
        let paired = warnings.findings(
            [Self.entry(.device("dev-0001"), days: 20, site: site)], patients: [device: patient], at: Self.now)
        #expect(
            paired.joined().last?.summary
                == "The certificate of device dev-0001 of patient P0001 expires in 20 days: after that P0001 can't be seen."
        )
    }

    @Test func `many devices are handed over in portions`() {
        var warnings = CertificateWarnings()
        let entries = (0..<120).map { Self.entry(.device("dev-\($0)"), days: 1) }
        #expect(warnings.findings(entries, at: Self.now).map(\.count) == [50, 50, 21])
    }
}
