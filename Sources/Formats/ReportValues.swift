import Clinical

/// The values of the contract's fields. Each function reads the value at the scanner's place to its end, whatever it
/// is; one of the wrong type is noted as a fault and gives nil.
extension ReportDecoder {
    mutating func text(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONScanner.Text? {
        if scanner.peek(bytes) == UInt8(ascii: "\"") { return try scanner.string(bytes) }
        note(.notString, at: scanner.index)
        try scanner.skipValue(bytes)
        return nil
    }

    /// True when the value was null and is read.
    mutating func skipNull(_ bytes: Span<UInt8>) throws(JSONFault) -> Bool {
        guard scanner.peek(bytes) == UInt8(ascii: "n") else { return false }
        _ = try scanner.literal(bytes)
        return true
    }

    mutating func optionalArray(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONScanner.Container? {
        if scanner.peek(bytes) == UInt8(ascii: "[") { return try scanner.open(bytes) }
        if try skipNull(bytes) { return nil }
        note(.notArray, at: scanner.index)
        try scanner.skipValue(bytes)
        return nil
    }

    mutating func optionalInstant(_ bytes: Span<UInt8>) throws(JSONFault) -> Instant? {
        if try skipNull(bytes) { return nil }
        guard let text = try text(bytes) else { return nil }
        let instant = scanner.instant(text, bytes)
        if instant == nil { note(.badTime, at: text.start) }
        return instant
    }

    mutating func optionalNumber(_ bytes: Span<UInt8>) throws(JSONFault) -> JSONNumber? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return try scanner.number(bytes)
        default:
            if try skipNull(bytes) { return nil }
            note(.notNumber, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    mutating func optionalSequence(_ bytes: Span<UInt8>) throws(JSONFault) -> Int64? {
        guard let number = try optionalNumber(bytes) else { return nil }
        guard let integer = number.integer, integer >= 0 else {
            note(.badSequence, at: number.start)
            return nil
        }
        return integer
    }

    mutating func optionalBattery(_ bytes: Span<UInt8>) throws(JSONFault) -> Double? {
        guard let number = try optionalNumber(bytes) else { return nil }
        let percent = double(number, bytes)
        return (0...100).contains(percent) ? percent : nil
    }

    /// The number, or 0 with a flaw noted when no finite double is near it.
    mutating func double(_ number: JSONNumber, _ bytes: Span<UInt8>) -> Double {
        if let double = number.double(in: bytes) { return double }
        scanner.note(.numberOutOfRange, at: number.start)
        return 0
    }

    mutating func readingValue(_ bytes: Span<UInt8>) throws(JSONFault) -> SentValue? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try scanner.number(bytes)
            return .number(double(number, bytes))
        case UInt8(ascii: "\""):
            let text = try scanner.string(bytes)
            return .code(scanner.copy(text, bytes))
        default:
            note(.notScalar, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    mutating func answerValue(_ bytes: Span<UInt8>) throws(JSONFault) -> AnswerValue? {
        switch scanner.peek(bytes) {
        case UInt8(ascii: "t"), UInt8(ascii: "f"):
            return .boolean(try scanner.literal(bytes) == .yes)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = try scanner.number(bytes)
            return .number(double(number, bytes))
        case UInt8(ascii: "\""):
            let text = try scanner.string(bytes)
            return .text(scanner.copy(text, bytes))
        default:
            note(.notScalar, at: scanner.index)
            try scanner.skipValue(bytes)
            return nil
        }
    }

    mutating func readFlags(
        _ bytes: Span<UInt8>, known: inout ReadingFlags, others: inout [String]
    ) throws(JSONFault) {
        guard var array = try optionalArray(bytes) else { return }
        while try scanner.nextElement(bytes, in: &array) {
            guard let text = try text(bytes) else { continue }
            if let flag =
                scanner.find(text, bytes, in: flags)
            {
                if flag != .clockCorrected { known.insert(flag) }
            } else {
                others.append(scanner.copy(text, bytes))
            }
        }
    }
}
