/// `bytes` in lower-case hexadecimal, two digits each.
public func hexadecimal(_ bytes: Span<UInt8>) -> String {
    var digits: [UInt8] = []
    digits.reserveCapacity(bytes.count * 2)
    for index in bytes.indices {
        digits.append(digit(bytes[index] >> 4))
        digits.append(digit(bytes[index] & 0xf))
    }
    return String(decoding: digits, as: UTF8.self)
}

/// `bytes` in lower-case hexadecimal, two digits each.
public func hexadecimal(_ bytes: [UInt8]) -> String { hexadecimal(bytes.span) }

private func digit(_ value: UInt8) -> UInt8 { value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10 }
