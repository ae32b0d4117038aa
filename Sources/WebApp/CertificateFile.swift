public import Foundation
import NIOSSL

/// PEM files of certificates.
public enum CertificateFile {
    /// When the first of its certificates to end does so; nil where it holds none that can be read.
    public static func expiry(path: String) -> Date? {
        guard let certificates = try? NIOSSLCertificate.fromPEMFile(path) else { return nil }
        return certificates.map { Date(timeIntervalSince1970: Double($0.notValidAfter)) }.min()
    }
}
