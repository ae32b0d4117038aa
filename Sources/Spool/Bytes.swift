import CLinux

/// Numbers in a segment are little-endian, whatever the machine is.
extension [UInt8] {
    mutating func append(number: some FixedWidthInteger) {
        unsafe Swift.withUnsafeBytes(of: number.littleEndian) { unsafe append(contentsOf: $0) }
    }

    mutating func append(span: Span<UInt8>) {
        unsafe span.withUnsafeBufferPointer { unsafe append(contentsOf: $0) }
    }

    /// Overwrites four bytes that are there.
    mutating func put(_ number: UInt32, at offset: Int) {
        for byte in 0..<4 { self[offset + byte] = UInt8(truncatingIfNeeded: number >> (8 * UInt32(byte))) }
    }
}

extension Span<UInt8> {
    /// The number at `offset`; the caller has checked that its bytes are there.
    func number<Number: FixedWidthInteger>(_: Number.Type, at offset: Int) -> Number {
        let wanted = extracting(offset..<offset + MemoryLayout<Number>.size)
        return unsafe wanted.withUnsafeBytes { Number(littleEndian: unsafe $0.loadUnaligned(as: Number.self)) }
    }

    var array: [UInt8] { unsafe withUnsafeBufferPointer { unsafe Array($0) } }
}

/// CRC-32C of what `before` covers followed by `bytes`.
func checksum(_ bytes: Span<UInt8>, after before: UInt32 = 0) -> UInt32 {
    unsafe bytes.withUnsafeBytes { unsafe crc32c(before, $0.baseAddress, $0.count) }
}

/// CRC-32C of what `before` covers followed by the number's bytes.
func checksum(number: some FixedWidthInteger, after before: UInt32) -> UInt32 {
    unsafe withUnsafeBytes(of: number.littleEndian) { unsafe crc32c(before, $0.baseAddress, $0.count) }
}
