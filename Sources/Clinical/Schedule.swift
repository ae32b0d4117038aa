import Foundation

public enum Weekday: String, CaseIterable, Sendable, Hashable {
    case monday = "mon"
    case tuesday = "tue"
    case wednesday = "wed"
    case thursday = "thu"
    case friday = "fri"
    case saturday = "sat"
    case sunday = "sun"
}

/// When readings are due: local time of the patient, with how early and how late they may come.
public struct ScheduleSlot: Hashable, Sendable {
    public var kinds: [Kind]
    /// Minutes after local midnight.
    public var due: Int
    public var days: Set<Weekday>
    public var early: Interval
    public var grace: Interval

    public init(kinds: [Kind], due: Int, days: Set<Weekday>, early: Interval, grace: Interval) {
        self.kinds = kinds
        self.due = due
        self.days = days
        self.early = early
        self.grace = grace
    }
}

/// A span of days without missed-reading alerts; both ends included.
public struct Pause: Hashable, Sendable {
    public var from: CalendarDate
    public var until: CalendarDate
    public var reason: String?
    /// Somebody ended it early: what opens from then on is due again.
    public var ended: Instant?

    public init(from: CalendarDate, until: CalendarDate, reason: String?, ended: Instant? = nil) {
        self.from = from
        self.until = until
        self.reason = reason
        self.ended = ended
    }

    /// Whether it takes in that moment of that day.
    public func covers(_ instant: Instant, on date: CalendarDate) -> Bool {
        from <= date && date <= until && (ended.map { instant < $0 } ?? true)
    }
}

/// What a slot asks for on one day.
public struct DueReading: Hashable, Sendable {
    public var kinds: [Kind]
    /// In the patient's zone.
    public var date: CalendarDate
    /// A measurement counts from `opens` to `closes`, both included.
    public var opens: Instant
    public var due: Instant
    public var closes: Instant

    public init(kinds: [Kind], date: CalendarDate, opens: Instant, due: Instant, closes: Instant) {
        self.kinds = kinds
        self.date = date
        self.opens = opens
        self.due = due
        self.closes = closes
    }

    /// The kinds of which no measurement was taken inside the window by a clock that can be trusted.
    public func missingKinds(in readings: [PastReading]) -> [Kind] {
        kinds.filter { kind in
            !readings.contains { $0.kind == kind && isInside($0.takenAt) && !$0.flags.contains(.clockCorrected) }
        }
    }

    /// Measured inside the window, but only by a clock that had to be corrected.
    public func isDoubtful(_ kind: Kind, in readings: [PastReading]) -> Bool {
        readings.contains { $0.kind == kind && isInside($0.takenAt) && $0.flags.contains(.clockCorrected) }
    }

    private func isInside(_ instant: Instant) -> Bool { opens <= instant && instant <= closes }
}

/// A patient's schedule on the calendar. Pure: no clock.
///
/// A wall-clock time that a daylight-saving night skips is taken by the offset before it (01:30 is then 02:30); of one
/// that comes twice the first counts, as calendars do it (RFC 5545, 3.3.5). Early and grace are lengths of time, whatever
/// the wall clock does meanwhile.
public struct Schedule: Sendable {
    public let slots: [ScheduleSlot]
    public let pauses: [Pause]
    private let clock: WallClock

    /// How far ahead and back a reading is looked for: longer than a pause of a year.
    private static let horizon: Int64 = 400

    /// - Parameter timeZone: an IANA name; UTC where this system does not know it.
    public init(slots: [ScheduleSlot], pauses: [Pause] = [], timeZone: String) {
        self.slots = slots.filter { !$0.kinds.isEmpty && !$0.days.isEmpty }
        self.pauses = pauses
        clock = WallClock(timeZone)
    }

    /// When the next window after `instant` closes; nil when nothing will be due within the horizon.
    public func nextClosing(after instant: Instant) -> Instant? {
        slots.compactMap { slot -> Instant? in
            // A window that opened days ago may still be open.
            let first = clock.day(of: instant - slot.grace) - 1
            for day in first...(first + Self.horizon) {
                if let reading = reading(slot, on: day), reading.closes > instant { return reading.closes }
            }
            return nil
        }.min()
    }

    /// The last `count` windows of each slot that closed at `instant` or before and opened at `start` or after, the latest
    /// first. What a pause covers was not due.
    func lastClosed(_ count: Int, by instant: Instant, since start: Instant) -> [[DueReading]] {
        slots.map { slot in
            var found: [DueReading] = []
            let last = clock.day(of: instant) + 1
            for day in stride(from: last, through: last - Self.horizon, by: -1) {
                guard let reading = reading(slot, on: day), reading.closes <= instant else { continue }
                guard reading.opens >= start else { break }
                found.append(reading)
                if found.count == count { break }
            }
            return found
        }
    }

    /// Nil where the slot asks for nothing on that day.
    func reading(_ slot: ScheduleSlot, on day: Int64) -> DueReading? {
        guard slot.days.contains(WallClock.weekday(of: day)), let date = WallClock.date(of: day) else { return nil }
        let due = clock.instant(day: day, minute: slot.due)
        guard !pauses.contains(where: { $0.covers(due - slot.early, on: date) }) else { return nil }
        return DueReading(
            kinds: slot.kinds, date: date, opens: due - slot.early, due: due, closes: due + slot.grace)
    }
}

/// What a schedule asked for and did not get.
public struct MissedReadings: Hashable, Sendable {
    public struct Missed: Hashable, Sendable {
        public var reading: DueReading
        /// Of `reading.kinds`, those that were not measured.
        public var kinds: [Kind]
        /// Some of them came from a clock that had to be corrected.
        public var hasDoubtfulClock: Bool
        /// The one before it, of one of the same kinds, was missed too.
        public var isSecondRunning: Bool
    }

    /// Of each slot the latest window that has closed, where it was missed; by the time that it was due.
    public var missed: [Missed]

    /// Clinical facts, section 4, adult: amber at one, red at two running where the patient is of high risk; nil: nothing
    /// is missing.
    public func severity(highRisk: Bool) -> Severity? {
        if missed.isEmpty { return nil }
        return highRisk && missed.contains(where: \.isSecondRunning) ? .red : .amber
    }
}

extension Schedule {
    /// The rule code of missed readings: no pack may name a rule so.
    public static let missedReadingRule = "missed-reading"
    /// The list of those who missed one slot: an alert of the site.
    public static let missedReadingsRule = "missed-readings"
    /// Whose readings can't be received at present: an alert of the site.
    public static let unseenRule = "patients-unseen"
    /// Whose readers are all offline with most others of the site: an alert of the site.
    public static let cutOffRule = "patients-cut-off"

    /// What must be read from the store before `missed` can be told at that time; nil when nothing was due yet.
    public func historyNeeded(at instant: Instant, since start: Instant) -> HistoryNeed? {
        let readings = lastClosed(2, by: instant, since: start).joined()
        guard let since = readings.map(\.opens).min() else { return nil }
        return HistoryNeed(kinds: Set(readings.flatMap(\.kinds)), since: since)
    }

    /// What was missed, as it stands at that time: the same readings give the same answer however often it is asked.
    ///
    /// - Parameter start: since when the schedule has been in force: what opened before that was not due.
    public func missed(at instant: Instant, since start: Instant, in readings: [PastReading]) -> MissedReadings {
        let bySlot = lastClosed(2, by: instant, since: start)
        let all = Set(bySlot.joined())
        let latest = bySlot.compactMap(\.first).sorted { ($0.due, $0.closes) < ($1.due, $1.closes) }
        return MissedReadings(
            missed: latest.compactMap { reading in
                let kinds = reading.missingKinds(in: readings)
                guard !kinds.isEmpty else { return nil }
                let before = all.filter { $0.due < reading.due && !Set($0.kinds).isDisjoint(with: kinds) }
                    .max { ($0.due, $0.closes) < ($1.due, $1.closes) }
                let wasMissed = before.map { !Set($0.missingKinds(in: readings)).isDisjoint(with: kinds) } ?? false
                return MissedReadings.Missed(
                    reading: reading, kinds: kinds,
                    hasDoubtfulClock: kinds.contains { reading.isDoubtful($0, in: readings) },
                    isSecondRunning: wasMissed)
            })
    }
}

/// Days and minutes of a zone's wall clock.
struct WallClock: Sendable {
    private let zone: TimeZone

    init(_ timeZone: String) { zone = TimeZone(identifier: timeZone) ?? .gmt }

    /// Days since 1970-01-01 on the wall.
    func day(of instant: Instant) -> Int64 {
        let seconds = Self.seconds(instant)
        return Self.quotient(seconds + offset(at: seconds), 86_400)
    }

    func instant(day: Int64, minute: Int) -> Instant {
        let wall = day * 86_400 + Int64(minute) * 60
        let before = offset(at: wall - 86_400)
        let after = offset(at: wall + 86_400)
        // Once, or the first of twice.
        let isBefore = offset(at: wall - before) == before
        // Neither: skipped in that night.
        let isAfter = !isBefore && offset(at: wall - after) == after
        return Instant(microseconds: 0) + .seconds(wall - (isAfter ? after : before))
    }

    static func weekday(of day: Int64) -> Weekday {
        // 1970-01-01 was a Thursday.
        let place = Int(day + 3 - quotient(day + 3, 7) * 7)
        return Weekday.allCases[place]
    }

    /// Howard Hinnant's algorithm.
    static func date(of day: Int64) -> CalendarDate? {
        let shifted = day + 719_468
        let era = quotient(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return CalendarDate(
            year: Int(year), month: Int(month), day: Int(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1))
    }

    private func offset(at seconds: Int64) -> Int64 {
        Int64(zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(seconds))))
    }

    private static func seconds(_ instant: Instant) -> Int64 { quotient(instant.microseconds, 1_000_000) }

    /// Rounded down.
    private static func quotient(_ number: Int64, _ divisor: Int64) -> Int64 {
        number / divisor - (number % divisor < 0 ? 1 : 0)
    }
}

extension Sentence {
    /// "SpO2 and pulse, due Mon 23 Nov at 09:00, not measured between 07:00 and 13:00; the second time running."
    public static func missed(_ missed: MissedReadings, timeZone: String) -> String {
        let parts = missed.missed.map { one in
            let reading = one.reading
            let due = LocalTime.words(reading.due, timeZone: timeZone)
            let from = LocalTime.words(reading.opens, timeZone: timeZone).time
            let to = LocalTime.words(reading.closes, timeZone: timeZone).time
            return "\(list(one.kinds.map(\.name))), due \(due.date) at \(due.time), "
                + "not measured between \(from) and \(to)"
                + (one.hasDoubtfulClock ? " by a clock that can be trusted" : "")
                + (one.isSecondRunning ? ", the second time running" : "")
        }
        let sentence = parts.joined(separator: "; ")
        return sentence.prefix(1).uppercased() + sentence.dropFirst() + "."
    }

    /// `09:05` in the zone.
    public static func time(_ instant: Instant, timeZone: String) -> String {
        LocalTime.words(instant, timeZone: timeZone).time
    }

    /// The same, with its day where it is read half a day later or more.
    public static func time(_ instant: Instant, readAt: Instant, timeZone: String) -> String {
        let words = LocalTime.words(instant, timeZone: timeZone)
        return readAt - instant < .hours(12) ? words.time : "\(words.time) on \(words.date)"
    }

    /// "Everything that was due has been measured."
    public static let nothingMissed = "Everything that was due has been measured."

    private static func list(_ words: [String]) -> String {
        guard let last = words.last, words.count > 1 else { return words.first ?? "" }
        return words.dropLast().joined(separator: ", ") + " and " + last
    }
}
