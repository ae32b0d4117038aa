public import Clinical

/// Times of the outside surface.
///
/// Reading takes RFC 3339 as its grammar has it: `T` and `Z` in either case, a zone always, `-00:00` as UTC, offsets
/// up to ±23:59, years 0001 to 9999 (in UTC too), days checked against the calendar. A space instead of `T`, which
/// the RFC only mentions, is refused. Any number of fraction digits is read; what is finer than a microsecond is cut
/// off. A leap second (`:60`, only at 23:59 UTC on the last day of a month) is the instant of the second after it,
/// as POSIX and PostgreSQL count.
public enum RFC3339 {
    /// The instant that `bytes`, all of them, say; nil when they are not such a time.
    public static func parse(_ bytes: Span<UInt8>) -> Instant? {
        guard bytes.count >= 20,
            let year = number(bytes, at: 0, count: 4), bytes[4] == UInt8(ascii: "-"),
            let month = number(bytes, at: 5, count: 2), bytes[7] == UInt8(ascii: "-"),
            let day = number(bytes, at: 8, count: 2), bytes[10] | 0x20 == UInt8(ascii: "t"),
            let hour = number(bytes, at: 11, count: 2), bytes[13] == UInt8(ascii: ":"),
            let minute = number(bytes, at: 14, count: 2), bytes[16] == UInt8(ascii: ":"),
            let second = number(bytes, at: 17, count: 2),
            year >= 1, month >= 1, month <= 12, day >= 1, day <= CivilDate.days(inMonth: month, ofYear: year),
            hour <= 23, minute <= 59, second <= 60
        else { return nil }
        var index = 19
        guard let fraction = microseconds(bytes, at: &index), let offset = zone(bytes, at: &index),
            index == bytes.count
        else { return nil }
        let days = CivilDate.daysSinceEpoch(year: year, month: month, day: day)
        let minutes = days * 1440 + hour * 60 + minute - offset
        if second == 60 {
            let utc = CivilDate(daysSinceEpoch: (minutes - 1439) / 1440)
            guard (minutes % 1440 + 1440) % 1440 == 1439,
                utc.day == CivilDate.days(inMonth: utc.month, ofYear: utc.year)
            else { return nil }
        }
        let instant = Instant(microseconds: Int64(minutes * 60 + second) * 1_000_000 + Int64(fraction))
        return instant < earliest || instant > latest ? nil : instant
    }

    public static func parse(_ text: String) -> Instant? {
        let utf8 = Array(text.utf8)
        return parse(utf8.span)
    }

    /// `2026-11-23T08:15:30Z`, with three digits of fraction when it has whole milliseconds, six when it has
    /// microseconds, none when it has neither. An instant outside the years 0001 to 9999 is written as the nearest
    /// instant inside.
    public static func format(_ instant: Instant) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(27)
        append(instant, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends what `format` gives, in ASCII.
    public static func append(_ instant: Instant, to bytes: inout [UInt8]) {
        let microseconds = min(max(instant, earliest), latest).microseconds
        // Floor division: times before 1970 are negative.
        let seconds = microseconds / 1_000_000 - (microseconds % 1_000_000 < 0 ? 1 : 0)
        let fraction = microseconds - seconds * 1_000_000
        let days = seconds / 86400 - (seconds % 86400 < 0 ? 1 : 0)
        let ofDay = seconds - days * 86400
        let date = CivilDate(daysSinceEpoch: Int(days))
        append(date.year, digits: 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(date.month, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        append(date.day, digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        append(Int(ofDay / 3600), digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(Int(ofDay / 60 % 60), digits: 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        append(Int(ofDay % 60), digits: 2, to: &bytes)
        if fraction != 0 {
            bytes.append(UInt8(ascii: "."))
            let isMilliseconds = fraction % 1000 == 0
            append(Int(isMilliseconds ? fraction / 1000 : fraction), digits: isMilliseconds ? 3 : 6, to: &bytes)
        }
        bytes.append(UInt8(ascii: "Z"))
    }

    /// 0001-01-01T00:00:00Z
    static let earliest = Instant(microseconds: -62_135_596_800_000_000)
    /// 9999-12-31T23:59:59.999999Z
    static let latest = Instant(microseconds: 253_402_300_799_999_999)

    @inline(__always)
    private static func number(_ bytes: Span<UInt8>, at start: Int, count: Int) -> Int? {
        guard start + count <= bytes.count else { return nil }
        var value = 0
        for index in start..<(start + count) {
            let digit = bytes[index] &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            value = value &* 10 &+ Int(digit)
        }
        return value
    }

    /// 0 when there is no fraction; nil when there is a point without digits.
    private static func microseconds(_ bytes: Span<UInt8>, at index: inout Int) -> Int? {
        guard index < bytes.count, bytes[index] == UInt8(ascii: ".") else { return 0 }
        index += 1
        let start = index
        var value = 0
        while index < bytes.count, case let digit = bytes[index] &- UInt8(ascii: "0"), digit <= 9 {
            if index - start < 6 { value = value &* 10 &+ Int(digit) }
            index += 1
        }
        guard index > start else { return nil }
        var digits = index - start
        while digits < 6 {
            value = value &* 10
            digits += 1
        }
        return value
    }

    /// Minutes east of UTC.
    private static func zone(_ bytes: Span<UInt8>, at index: inout Int) -> Int? {
        guard index < bytes.count else { return nil }
        let sign = bytes[index]
        if sign | 0x20 == UInt8(ascii: "z") {
            index += 1
            return 0
        }
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), bytes.count - index >= 6,
            let hours = number(bytes, at: index + 1, count: 2), hours <= 23,
            bytes[index + 3] == UInt8(ascii: ":"),
            let minutes = number(bytes, at: index + 4, count: 2), minutes <= 59
        else { return nil }
        index += 6
        return sign == UInt8(ascii: "-") ? -(hours * 60 + minutes) : hours * 60 + minutes
    }

    private static func append(_ value: Int, digits: Int, to bytes: inout [UInt8]) {
        var divisor = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(truncatingIfNeeded: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / divisor % 10)))
            divisor /= 10
        }
    }
}

/// A day of the proleptic Gregorian calendar.
struct CivilDate: Equatable {
    var year: Int
    var month: Int
    var day: Int

    /// Years are counted from March, so that the leap day is a year's last (Hinnant, "chrono-compatible low-level
    /// date algorithms").
    init(daysSinceEpoch: Int) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    static func daysSinceEpoch(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func days(inMonth month: Int, ofYear year: Int) -> Int {
        switch month {
        case 4, 6, 9, 11: 30
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        default: 31
        }
    }
}
