/// A number of the text, read as `±mantissa × 10^exponent`, and where it stands.
struct JSONNumber: BitwiseCopyable {
    var start = 0
    var end = 0
    var isNegative = false
    /// Written without a point and without an exponent.
    var isPlain = true
    /// The first 19 significant digits.
    var mantissa: UInt64 = 0
    var exponent = 0
    /// False when a digit other than zero is not in `mantissa`.
    var isExact = true

    private static let exactIntegers: UInt64 = 1 << 53

    /// The nearest double, ties to even; nil when that is not finite. A number too small for a double is zero.
    func double(in bytes: Span<UInt8>) -> Double? {
        // Clinger's fast path: both operands are exact doubles, so the one operation rounds correctly.
        if isExact, mantissa <= Self.exactIntegers {
            let magnitude = Double(mantissa)
            if mantissa == 0 || exponent == 0 { return isNegative ? -magnitude : magnitude }
            if exponent < 0, exponent >= -22 {
                let quotient = magnitude / Self.powersOfTen[-exponent]
                return isNegative ? -quotient : quotient
            }
            if exponent > 0, exponent <= 22 {
                let product = magnitude * Self.powersOfTen[exponent]
                return isNegative ? -product : product
            }
        }
        // The standard library's conversion does not look at the locale and rounds correctly.
        let text = unsafe String(copying: UTF8Span(unchecked: bytes.extracting(start..<end)))
        guard let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// Whether `double` would give a value.
    func isFinite(in bytes: Span<UInt8>) -> Bool {
        // The mantissa is below 10^20.
        mantissa == 0 || exponent <= 288 || double(in: bytes) != nil
    }

    /// The number as an integer: any plain digits within Int64, else (`1.0`, `1e3`) only a value that is
    /// mathematically an integer within ±2^53, beyond which the writer's own doubles were not exact.
    var integer: Int64? {
        guard isExact else { return nil }
        var magnitude = mantissa
        var exponent = exponent
        if magnitude == 0 { return 0 }
        while exponent < 0 {
            let (quotient, remainder) = magnitude.quotientAndRemainder(dividingBy: 10)
            guard remainder == 0 else { return nil }
            magnitude = quotient
            exponent += 1
        }
        while exponent > 0 {
            let (product, overflow) = magnitude.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            magnitude = product
            exponent -= 1
        }
        guard isPlain || magnitude <= Self.exactIntegers else { return nil }
        if isNegative, magnitude == UInt64(Int64.max) + 1 { return .min }
        guard let value = Int64(exactly: magnitude) else { return nil }
        return isNegative ? -value : value
    }

    private static let powersOfTen: InlineArray<23, Double> = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]
}

extension JSONScanner {
    /// Reads the number that starts at `index`.
    mutating func number(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONNumber {
        var number = JSONNumber()
        number.start = index
        if peek(bytes) == UInt8(ascii: "-") {
            number.isNegative = true
            index += 1
        }
        let first = peek(bytes)
        let integerStart = index
        digits(bytes, into: &number, isFraction: false)
        guard index > integerStart, first != UInt8(ascii: "0") || index == integerStart + 1 else {
            throw JSONFault(index < bytes.count ? .badNumber : .unexpectedEnd, at: index)
        }
        if peek(bytes) == UInt8(ascii: ".") {
            number.isPlain = false
            index += 1
            let fractionStart = index
            digits(bytes, into: &number, isFraction: true)
            guard index > fractionStart else {
                throw JSONFault(index < bytes.count ? .badNumber : .unexpectedEnd, at: index)
            }
        }
        if peek(bytes) | 0x20 == UInt8(ascii: "e") {
            number.isPlain = false
            number.exponent += try exponent(bytes)
        }
        number.end = index
        return number
    }

    private mutating func digits(_ bytes: Span<UInt8>, into number: inout JSONNumber, isFraction: Bool) {
        var index = index
        var mantissa = number.mantissa
        while index < bytes.count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            index += 1
            // Below 10^18 one more digit still makes less than 10^19, which a UInt64 holds.
            if mantissa < 1_000_000_000_000_000_000 {
                mantissa = mantissa &* 10 &+ UInt64(digit)
                if isFraction { number.exponent -= 1 }
            } else {
                if digit != 0 { number.isExact = false }
                if !isFraction { number.exponent += 1 }
            }
        }
        number.mantissa = mantissa
        self.index = index
    }

    private mutating func exponent(_ bytes: Span<UInt8>) throws(JSONFault) -> Int {
        index += 1
        let sign = peek(bytes)
        if sign == UInt8(ascii: "-") || sign == UInt8(ascii: "+") { index += 1 }
        let start = index
        var exponent = 0
        while index < bytes.count {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { break }
            index += 1
            // Far beyond any double, and far from overflow.
            if exponent < 1_000_000_000 { exponent = exponent * 10 + Int(digit) }
        }
        guard index > start else { throw JSONFault(index < bytes.count ? .badNumber : .unexpectedEnd, at: index) }
        return sign == UInt8(ascii: "-") ? -exponent : exponent
    }
}
