import Glibc

/// A code of the outside surface (site, device, report id): 1 to 64 ASCII bytes, kept inline.
///
/// Inline, so that the hot path copies and hashes it without touching the heap.
public struct Identifier: Hashable, Sendable, BitwiseCopyable, CustomStringConvertible {
    /// The most bytes that a code may have.
    public static let maximumCount = 64

    private var bytes: InlineArray<64, UInt8>
    private var length: UInt8

    /// The code of `source`, or nil when it is empty, longer than 64 bytes, or holds a byte outside
    /// `[A-Za-z0-9_-]` (topic levels) and, where `grammar` is `.report`, `.` and `:`.
    public init?(_ source: Span<UInt8>, grammar: Grammar) {
        guard source.count >= 1, source.count <= Self.maximumCount else { return nil }
        bytes = InlineArray(repeating: 0)
        length = UInt8(truncatingIfNeeded: source.count)
        for index in source.indices {
            let byte = source[index]
            guard grammar.allows(byte) else { return nil }
            bytes[index] = byte
        }
    }

    public init?(_ source: String, grammar: Grammar = .topic) {
        let utf8 = Array(source.utf8)
        self.init(utf8.span, grammar: grammar)
    }

    public var count: Int { Int(length) }

    public subscript(index: Int) -> UInt8 { bytes[index] }

    public var description: String {
        unsafe String(unsafeUninitializedCapacity: count) { buffer in
            for index in 0..<count { unsafe buffer[index] = bytes[index] }
            return count
        }
    }

    public static func == (left: Identifier, right: Identifier) -> Bool {
        // All of them: what lies beyond the length is zero, and a fixed number of bytes is compared without a loop.
        guard left.length == right.length else { return false }
        return unsafe withUnsafeBytes(of: left.bytes) { left in
            unsafe withUnsafeBytes(of: right.bytes) { right in
                guard let left = left.baseAddress, let right = right.baseAddress else { return false }
                return unsafe memcmp(left, right, maximumCount) == 0
            }
        }
    }

    public func hash(into hasher: inout Hasher) {
        unsafe bytes.span.extracting(first: count).withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    }

    /// Which bytes may stand in a code.
    public enum Grammar: Sendable {
        /// `[A-Za-z0-9_-]`: a site or a device, a level of the topic.
        case topic
        /// `[A-Za-z0-9._:-]`: a report's id.
        case report

        func allows(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            case UInt8(ascii: "."), UInt8(ascii: ":"): self == .report
            default: false
            }
        }
    }
}
