public import Clinical
import Foundation
public import Registry

/// When a site is open, and when it opens next, by the clock on its wall. Pure.
public struct OfficeHours: Sendable {
    private let hours: [OpeningHours]
    private let timeZone: String

    public init(_ site: Site) {
        hours = site.hours
        timeZone = site.timeZone
    }

    /// A site without hours has no beginning to wait for, and a time zone that this system does not know tells nothing:
    /// both are taken as open.
    public func isOpen(at instant: Instant) -> Bool {
        guard !hours.isEmpty, let local = LocalTime(instant, timeZone: timeZone) else { return true }
        return hours.contains {
            $0.days.contains(local.weekday) && $0.opens <= local.minute && local.minute < $0.closes
        }
    }

    /// The first beginning of hours after that, at most eight days on; nil where there is none.
    ///
    /// A beginning that the clock skips in spring is taken an hour later, one that it strikes twice in autumn at the
    /// first stroke.
    public func opening(after instant: Instant) -> Instant? {
        guard let zone = TimeZone(identifier: timeZone) else { return nil }
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = zone
        let today = calendar.startOfDay(for: Date(timeIntervalSince1970: Double(instant.microseconds) / 1_000_000))
        var openings: [Instant] = []
        for offset in 0...8 {
            guard let day = calendar.date(byAdding: .day, value: offset, to: today) else { continue }
            // Foundation counts from Sunday = 1.
            let weekday = Weekday.allCases[(calendar.component(.weekday, from: day) + 5) % 7]
            let date = calendar.dateComponents([.year, .month, .day], from: day)
            for span in hours where span.days.contains(weekday) {
                var components = date
                components.hour = span.opens / 60
                components.minute = span.opens % 60
                guard let opening = calendar.date(from: components),
                    let seconds = Int64(exactly: opening.timeIntervalSince1970.rounded())
                else { continue }
                let (microseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
                if !overflow, microseconds > instant.microseconds {
                    openings.append(Instant(microseconds: microseconds))
                }
            }
        }
        return openings.min()
    }
}
