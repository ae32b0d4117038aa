import Clinical
import Foundation

/// Times as people on a site read them: in its zone, with UTC's name where the zone is unknown.
struct PageTime: Sendable {
    let now: Instant
    private let calendar: Calendar
    private let suffix: String

    init(now: Instant, timeZone: String) {
        self.now = now
        var calendar = Calendar(identifier: .gregorian)
        let zone = TimeZone(identifier: timeZone)
        calendar.timeZone = zone ?? .gmt
        self.calendar = calendar
        suffix = zone == nil ? " UTC" : ""
    }

    /// `08:15`
    func clock(_ instant: Instant) -> String {
        let parts = parts(instant)
        return "\(two(parts.hour)):\(two(parts.minute))\(suffix)"
    }

    /// `08:15` today, else `Mon 23 Nov 08:15`.
    func short(_ instant: Instant) -> String {
        let (then, today) = (parts(instant), parts(now))
        if (then.year, then.month, then.day) == (today.year, today.month, today.day) { return clock(instant) }
        return "\(day(instant)) \(clock(instant))"
    }

    /// `Mon 23 Nov`, with the year where it is another.
    func day(_ instant: Instant) -> String {
        let parts = parts(instant)
        let weekday = name(parts.weekday, in: ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"])
        let year = parts.year == self.parts(now).year ? "" : " \(parts.year ?? 0)"
        return "\(weekday) \(dayAndMonth(instant))\(year)"
    }

    /// `23 Nov`
    func dayAndMonth(_ instant: Instant) -> String {
        let parts = parts(instant)
        let month = name(
            parts.month, in: ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"])
        return "\(parts.day ?? 0) \(month)"
    }

    /// `2026-11-23`
    func isoDay(_ instant: Instant) -> String {
        let parts = parts(instant)
        return "\(parts.year ?? 0)-\(two(parts.month))-\(two(parts.day))"
    }

    /// `2026-11-23T08:15`, the minute that it is in, as a form has it.
    func local(_ instant: Instant) -> String {
        let parts = parts(instant)
        return "\(isoDay(instant))T\(two(parts.hour)):\(two(parts.minute))"
    }

    /// Nine in the morning of the next day, as a form has it.
    var tomorrowMorning: String { isoDay(midnight(after: now)) + "T09:00" }

    /// Of the same day as now.
    func isToday(_ instant: Instant) -> Bool { isoDay(instant) == isoDay(now) }

    /// Less than a minute ago.
    func isFresh(_ instant: Instant) -> Bool { now - instant < .minutes(1) }

    /// `now`, `12 min`, `3 h`, `2 days`.
    func age(_ instant: Instant) -> String {
        let minutes = (now - instant).microseconds / 60_000_000
        return switch minutes {
        case ..<1: "now"
        case ..<120: "\(minutes) min"
        case ..<2880: "\(minutes / 60) h"
        default: "\(minutes / 1440) days"
        }
    }

    /// The first midnight after `instant`.
    func midnight(after instant: Instant) -> Instant {
        let start = calendar.startOfDay(for: date(instant))
        guard let next = calendar.date(byAdding: .day, value: 1, to: start),
            let seconds = Int64(exactly: next.timeIntervalSince1970.rounded())
        else { return instant + .days(1) }
        return Instant(microseconds: 0) + .seconds(seconds)
    }

    private func date(_ instant: Instant) -> Date {
        Date(timeIntervalSince1970: Interval(microseconds: instant.microseconds).seconds)
    }

    private func parts(_ instant: Instant) -> DateComponents {
        calendar.dateComponents([.year, .month, .day, .weekday, .hour, .minute], from: date(instant))
    }

    private func name(_ number: Int?, in names: [String]) -> String {
        guard let number, names.indices.contains(number - 1) else { return "?" }
        return names[number - 1]
    }

    private func two(_ number: Int?) -> String {
        let text = String(number ?? 0)
        return text.utf8.count < 2 ? "0" + text : text
    }
}
