import Foundation

/// A patient's wall clock. Cold paths only: sentences, and the end of a day when a plan is compiled.
enum LocalTime {
    /// `Mon 23 Nov` and `08:15` in the zone; an unknown zone falls back to UTC and says so.
    static func words(_ instant: Instant, timeZone: String) -> (date: String, time: String) {
        let zone = TimeZone(identifier: timeZone)
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone ?? .gmt
        let moment = Date(timeIntervalSince1970: Interval(microseconds: instant.microseconds).seconds)
        let parts = calendar.dateComponents([.weekday, .day, .month, .hour, .minute], from: moment)
        let weekday = name(parts.weekday, in: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"])
        let month = name(
            parts.month, in: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
        let time = "\(twoDigits(parts.hour)):\(twoDigits(parts.minute))"
        return ("\(weekday) \(parts.day ?? 0) \(month)", zone == nil ? time + " UTC" : time)
    }

    /// The first instant after `date` in the zone (UTC for a zone that does not exist).
    static func end(of date: CalendarDate, timeZone: String) -> Instant {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(identifier: timeZone) ?? .gmt
        let components = DateComponents(year: date.year, month: date.month, day: date.day)
        guard let start = calendar.date(from: components),
            let end = calendar.date(byAdding: .day, value: 1, to: calendar.startOfDay(for: start)),
            let seconds = Int64(exactly: calendar.startOfDay(for: end).timeIntervalSince1970.rounded())
        else { return Instant(microseconds: .min) }
        return Instant(microseconds: 0) + .seconds(seconds)
    }

    private static func name(_ number: Int?, in names: [String]) -> String {
        guard let number, names.indices.contains(number - 1) else { return "?" }
        return names[number - 1]
    }

    private static func twoDigits(_ number: Int?) -> String {
        let text = String(number ?? 0)
        return text.utf8.count < 2 ? "0" + text : text
    }
}

extension CalendarDate {
    /// Whole years from this day to the day that `instant` is in UTC; negative before birth.
    public func age(at instant: Instant) -> Int {
        let today = CalendarDate.civil(of: instant)
        let hadBirthday = (today.month, today.day) >= (month, day)
        return today.year - year - (hadBirthday ? 0 : 1)
    }

    /// Days to civil date, Howard Hinnant's algorithm.
    private static func civil(of instant: Instant) -> (year: Int, month: Int, day: Int) {
        let perDay: Int64 = 86_400_000_000
        let days = instant.microseconds / perDay - (instant.microseconds % perDay < 0 ? 1 : 0)
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1)
    }
}
