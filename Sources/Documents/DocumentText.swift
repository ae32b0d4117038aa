public import Clinical

/// ASCII digits only: `Int64(_:)` also takes a sign.
enum DecimalDigits {
    static func value(of text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(text)
    }
}

/// `HH:MM`.
enum ClockTime {
    /// Minutes after midnight of `text`, 0 to 1439, or nil. `24:00` is a closing time and not one of day: nil.
    static func minutes(of text: some StringProtocol) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }) else { return nil }
        guard let hours = DecimalDigits.value(of: parts[0]), let minutes = DecimalDigits.value(of: parts[1]) else {
            return nil
        }
        guard hours < 24, minutes < 60 else { return nil }
        return Int(exactly: hours * 60 + minutes)
    }
}

extension CalendarDate {
    /// The day that `text` writes as `YYYY-MM-DD`; nil when it is not one.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].utf8.count == 4, parts[1].utf8.count == 2, parts[2].utf8.count == 2 else {
            return nil
        }
        let numbers = parts.compactMap { DecimalDigits.value(of: $0).flatMap { Int(exactly: $0) } }
        guard numbers.count == 3 else { return nil }
        self.init(year: numbers[0], month: numbers[1], day: numbers[2])
    }
}
