/// The NHS number: ten digits, the last of them a check digit (NHS Data Dictionary; HL7 UK).
public enum NHSNumber {
    /// What a text is, as an NHS number.
    public enum Verdict: Hashable, Sendable {
        /// In a range that is issued: England, Wales and the Isle of Man 4, 6 and 7; CHI of Scotland 01 to 31; Northern
        /// Ireland 32 to 39.
        case issued
        /// 9: set aside for tests, never a person's.
        case test
        /// The check digit is right, but numbers of this range were never issued.
        case neverIssued
        case wrongCheckDigit
        /// Not ten digits.
        case malformed
    }

    /// Judges `text`; spaces between the digits are allowed, as the number is written on letters ("999 000 0018").
    ///
    /// The check digit alone lets 0000000000 and 1111111111 pass: both are refused as never issued.
    public static func verdict(on text: String) -> Verdict {
        let digits = digits(of: text)
        guard digits.count == 10 else { return .malformed }
        var sum = 0
        for (place, digit) in digits.dropLast().enumerated() { sum += digit * (10 - place) }
        let check = (11 - sum % 11) % 11
        // 10 never stands as a digit: such numbers don't exist.
        guard check != 10, check == digits[9] else { return .wrongCheckDigit }
        switch digits[0] {
        case 4, 6, 7: return .issued
        case 9: return .test
        case 0...3: break
        default: return .neverIssued
        }
        if digits.allSatisfy({ $0 == digits[0] }) { return .neverIssued }
        let day = digits[0] * 10 + digits[1]
        let month = digits[2] * 10 + digits[3]
        if (1...31).contains(day), (1...12).contains(month) { return .issued }
        return (32...39).contains(day) ? .issued : .neverIssued
    }

    /// The ten digits without spaces; nil unless the number is issued or a test number.
    public static func normalized(_ text: String) -> String? {
        switch verdict(on: text) {
        case .issued, .test: digits(of: text).map(String.init).joined()
        default: nil
        }
    }

    /// Empty when anything but digits and spaces stands there.
    private static func digits(of text: String) -> [Int] {
        var digits: [Int] = []
        for byte in text.utf8 where byte != UInt8(ascii: " ") {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return [] }
            digits.append(Int(digit))
        }
        return digits
    }
}
