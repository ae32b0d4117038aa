import Clinical
import Formats
import Foundation

/// The times of recorded data. Accepted, whatever the row: RFC 3339; `yyyy-MM-dd HH:mm:ss` (simglucose);
/// `M/d/yyyy h:mm:ss AM` (Fitbit exports), with `-` for `/` too; each also without a time of day, which is midnight.
/// No two of them can be mistaken for each other. Without a zone of its own a time is in the recording's.
enum RecordedTime {
    static func parse(_ text: String, timeZone: TimeZone) -> Instant? {
        if let instant = RFC3339.parse(text) { return instant }
        let parts = text.split(separator: " ", omittingEmptySubsequences: false)
        guard let first = parts.first, parts.count <= 3, let date = date(first) else { return nil }
        var second = 0
        if parts.count > 1 {
            guard let time = secondOfDay(parts[1], half: parts.count == 3 ? parts[2] : nil) else { return nil }
            second = time
        }
        let clock = [second / 3600, second / 60 % 60, second % 60].map { padded($0, width: 2) }.joined(separator: ":")
        guard let asUTC = RFC3339.parse("\(date)T\(clock)Z") else { return nil }
        // The zone's offset at that wall-clock time, found in two steps around a change of the clocks.
        let guess = timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: asUTC.seconds))
        let offset = timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: asUTC.seconds - Double(guess)))
        return asUTC - .seconds(Int64(offset))
    }

    private static func date(_ text: Substring) -> CalendarDate? {
        let parts = text.split(separator: text.contains("/") ? "/" : "-", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        let digits = parts.map(\.utf8.count)
        let numbers = parts.compactMap(number)
        guard numbers.count == 3 else { return nil }
        if digits == [4, 2, 2] { return CalendarDate(year: numbers[0], month: numbers[1], day: numbers[2]) }
        guard digits[0] <= 2, digits[1] <= 2, digits[2] == 4 else { return nil }
        return CalendarDate(year: numbers[2], month: numbers[0], day: numbers[1])
    }

    private static func secondOfDay(_ text: Substring, half: Substring?) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).compactMap(number)
        guard parts.count == 3, text.count(where: { $0 == ":" }) == 2, parts[1] < 60, parts[2] < 60 else { return nil }
        var hour = parts[0]
        switch half?.uppercased() {
        case nil: guard hour < 24 else { return nil }
        case "AM", "PM":
            guard (1...12).contains(hour) else { return nil }
            hour = hour % 12 + (half?.uppercased() == "PM" ? 12 : 0)
        default: return nil
        }
        return hour * 3600 + parts[1] * 60 + parts[2]
    }

    private static func number(_ text: Substring) -> Int? {
        guard (1...4).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(text)
    }
}
