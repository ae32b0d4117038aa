internal import Cryptography
internal import Foundation
public import Registry

extension FieldValue {
    /// The same for the same value, another for another: whether a field has changed since somebody saw it.
    public var fingerprint: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Numbers are finite: nothing of it can fail.
        let bytes = (try? encoder.encode([self])).map { [UInt8]($0) } ?? []
        return hexadecimal(Array(sha256(bytes).prefix(16)))
    }
}
