import CLinux
import Testing

@testable import Spool

@Suite struct ChecksumTests {
    /// RFC 3720 appendix B.4, and the check value of the catalogue of parametrised CRC algorithms.
    static let vectors: [([UInt8], UInt32)] = [
        ([], 0),
        ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
        ([UInt8](repeating: 0xff, count: 32), 0x62A8_AB43),
        (Array(0..<32), 0x46DD_794E),
        (Array((0..<32).reversed()), 0x113F_DB5C),
        (Array("123456789".utf8), 0xE306_9283),
    ]

    @Test(arguments: vectors)
    func knownChecksums(bytes: [UInt8], expected: UInt32) {
        #expect(checksum(bytes.span) == expected)
        #expect(unsafe crc32c_by_table(0, bytes, bytes.count) == expected)
    }

    @Test func bothWaysAgreeAtEveryLengthAndInPieces() {
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 131 + $0 >> 3) }
        for count in bytes.indices {
            let whole = checksum(bytes.span.extracting(first: count))
            #expect(unsafe crc32c_by_table(0, bytes, count) == whole)
            let split = count / 3
            let first = checksum(bytes.span.extracting(first: split))
            #expect(checksum(bytes.span.extracting(split..<count), after: first) == whole)
        }
    }
}
