import Foundation
import Testing

@testable import Clinical

@Suite struct ScheduleTests {
    private static let everyDay = Set(Weekday.allCases)

    private static func instant(_ text: String) -> Instant {
        guard let date = ISO8601DateFormatter().date(from: text) else { return Instant(microseconds: 0) }
        return Instant(microseconds: Int64(date.timeIntervalSince1970) * 1_000_000)
    }

    private static func day(_ text: String) -> Int64 {
        instant(text + "T00:00:00Z").microseconds / 86_400_000_000
    }

    private static func slot(
        _ kinds: [Kind] = [.spo2], at due: Int = 540, days: Set<Weekday> = everyDay, early: Interval = .hours(2),
        grace: Interval = .hours(4)
    ) -> ScheduleSlot {
        ScheduleSlot(kinds: kinds, due: due, days: days, early: early, grace: grace)
    }

    private static func reading(
        _ kind: Kind = .spo2, at instant: Instant, flags: ReadingFlags = [], id: Int = 0
    ) throws -> PastReading {
        let device = try #require(Identifier("dev-1")), report = try #require(Identifier("r\(id)"))
        return PastReading(
            key: ReportKey(device: device, report: report), index: id, kind: kind, value: 97, sentValue: 97,
            sentUnit: nil, flags: flags, takenAt: instant)
    }

    // MARK: - Wall clocks

    /// Zone, day, minutes after midnight, and the instant. 2026: London changes on 29 March and 25 October.
    @Test(arguments: [
        ("Europe/London", "2026-03-28", 540, "2026-03-28T09:00:00Z"),
        ("Europe/London", "2026-03-29", 30, "2026-03-29T00:30:00Z"),
        ("Europe/London", "2026-03-29", 90, "2026-03-29T01:30:00Z"),  // skipped: 02:30 on the wall
        ("Europe/London", "2026-03-29", 120, "2026-03-29T01:00:00Z"),
        ("Europe/London", "2026-03-29", 540, "2026-03-29T08:00:00Z"),
        ("Europe/London", "2026-10-24", 540, "2026-10-24T08:00:00Z"),
        ("Europe/London", "2026-10-25", 30, "2026-10-24T23:30:00Z"),
        ("Europe/London", "2026-10-25", 90, "2026-10-25T00:30:00Z"),  // twice: the first
        ("Europe/London", "2026-10-25", 120, "2026-10-25T02:00:00Z"),
        ("Europe/London", "2026-10-25", 540, "2026-10-25T09:00:00Z"),
        ("America/New_York", "2026-03-08", 150, "2026-03-08T07:30:00Z"),  // skipped
        ("America/New_York", "2026-11-01", 90, "2026-11-01T05:30:00Z"),  // twice
        ("Australia/Lord_Howe", "2026-10-04", 135, "2026-10-03T15:45:00Z"),  // half an hour is skipped
        ("Asia/Kathmandu", "2026-11-23", 540, "2026-11-23T03:15:00Z"),
        ("Not/AZone", "2026-11-23", 540, "2026-11-23T09:00:00Z"),
    ])
    func aTimeOnTheWall(zone: String, date: String, minute: Int, expected: String) {
        #expect(WallClock(zone).instant(day: Self.day(date), minute: minute) == Self.instant(expected))
    }

    @Test(arguments: ["2026-11-23", "2026-03-29", "2024-02-29", "1970-01-01", "2100-03-01"])
    func daysAreDates(date: String) {
        let day = Self.day(date)
        #expect(WallClock.date(of: day)?.description == date)
        #expect(WallClock("Europe/London").day(of: Self.instant(date + "T12:00:00Z")) == day)
    }

    @Test func weekdays() {
        #expect(WallClock.weekday(of: Self.day("2026-11-23")) == .monday)
        #expect(WallClock.weekday(of: Self.day("2026-11-29")) == .sunday)
        #expect(WallClock.weekday(of: -1) == .wednesday)
    }

    /// One window a day, whatever the night before did; never more than an hour from the day before's.
    @Test(arguments: ["Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia"])
    func everyDayHasItsOwnWindow(zone: String) {
        let clock = WallClock(zone)
        for minute in [0, 30, 90, 120, 150, 540, 1439] {
            for day in Self.day("2026-01-01")..<Self.day("2027-01-02") {
                let gap = clock.instant(day: day + 1, minute: minute) - clock.instant(day: day, minute: minute)
                #expect(gap >= .hours(23) && gap <= .hours(25), "\(zone) \(minute) \(day)")
            }
        }
    }

    // MARK: - What is due

    @Test func theNextWindowClosesAfterItsGrace() {
        let schedule = Schedule(slots: [Self.slot()], timeZone: "Europe/London")
        let closes = Self.instant("2026-11-23T13:00:00Z")
        #expect(schedule.nextClosing(after: Self.instant("2026-11-23T08:00:00Z")) == closes)
        #expect(schedule.nextClosing(after: closes - .seconds(1)) == closes)
        #expect(schedule.nextClosing(after: closes) == closes + .days(1))
        #expect(Schedule(slots: [], timeZone: "Europe/London").nextClosing(after: closes) == nil)
        #expect(Schedule(slots: [Self.slot([])], timeZone: "UTC").nextClosing(after: closes) == nil)
    }

    @Test func onlyItsDays() {
        let schedule = Schedule(slots: [Self.slot(days: [.monday])], timeZone: "Europe/London")
        let monday = Self.instant("2026-11-23T13:00:00Z")
        #expect(schedule.nextClosing(after: monday) == monday + .days(7))
    }

    @Test func aPauseHoldsOnBothItsEnds() throws {
        let from = try #require(CalendarDate(year: 2026, month: 12, day: 20))
        let until = try #require(CalendarDate(year: 2027, month: 1, day: 3))
        let pause = Pause(from: from, until: until, reason: "holiday")
        let schedule = Schedule(slots: [Self.slot()], pauses: [pause], timeZone: "Europe/London")
        let last = Self.instant("2026-12-19T13:00:00Z")
        #expect(schedule.nextClosing(after: last - .seconds(1)) == last)
        #expect(schedule.nextClosing(after: last) == Self.instant("2027-01-04T13:00:00Z"))
        #expect(schedule.missed(at: Self.instant("2027-01-03T23:00:00Z"), since: last, in: []).missed.isEmpty)
    }

    /// What had opened by then was not asked for, and is not missed afterwards; what opens from then on is.
    @Test func aPauseThatWasEndedHoldsUntilThen() throws {
        let from = try #require(CalendarDate(year: 2026, month: 12, day: 20))
        let until = try #require(CalendarDate(year: 2027, month: 1, day: 3))
        let ended = Self.instant("2026-12-28T10:00:00Z")
        let pause = Pause(from: from, until: until, reason: "holiday", ended: ended)
        let slots = [Self.slot(), Self.slot(at: 18 * 60)]
        let schedule = Schedule(slots: slots, pauses: [pause], timeZone: "Europe/London")
        let before = Self.instant("2026-12-19T23:00:00Z")
        let evening = Self.instant("2026-12-28T22:00:00Z")
        #expect(schedule.nextClosing(after: before) == evening)
        let missed = schedule.missed(at: evening, since: before - .days(9), in: []).missed
        #expect(missed.contains { $0.reading.closes == evening })
        #expect(!missed.contains { $0.reading.opens > before && $0.reading.opens < ended })
        #expect(pause.covers(ended - .seconds(1), on: from) && !pause.covers(ended, on: from))
    }

    /// Going from one closing to the next finds each window of each slot, and nothing else.
    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64]) func noWindowIsLeftOut(seed: UInt64) {
        var random = Seeded(state: seed)
        let slots = (0..<Int.random(in: 1...3, using: &random)).map { _ in
            Self.slot(
                at: Int.random(in: 0..<1440, using: &random),
                days: Set(Weekday.allCases.filter { _ in Bool.random(using: &random) }).union([.tuesday]),
                early: .minutes(Int64.random(in: 0...300, using: &random)),
                grace: .minutes(Int64.random(in: 0...1800, using: &random)))
        }
        let zone = ["Europe/London", "America/New_York", "Australia/Lord_Howe"][Int(seed % 3)]
        let schedule = Schedule(slots: slots, timeZone: zone)
        let start = Self.instant("2026-03-01T00:00:00Z"), end = Self.instant("2026-12-01T00:00:00Z")
        var expected: Set<Instant> = []
        for slot in slots {
            for day in Self.day("2026-02-20")...Self.day("2026-12-02") {
                guard let reading = schedule.reading(slot, on: day) else { continue }
                if reading.closes > start, reading.closes <= end { expected.insert(reading.closes) }
            }
        }
        var found: [Instant] = []
        var at = start
        while let next = schedule.nextClosing(after: at), next <= end {
            found.append(next)
            at = next
        }
        #expect(found == expected.sorted(), "seed \(seed)")
    }

    // MARK: - What was missed

    private static let closes = instant("2026-11-23T13:00:00Z")
    private static let longAgo = instant("2026-01-01T00:00:00Z")

    /// The window is 07:00 to 13:00.
    @Test(
        arguments: [
            (.hours(-6), true), (.seconds(0), true), (Interval(microseconds: -21_600_000_001), false),
            (Interval(microseconds: 1), false),
        ] as [(Interval, Bool)])
    func onlyAMeasurementInsideTheWindowCounts(offset: Interval, counts: Bool) throws {
        let schedule = Schedule(slots: [Self.slot()], timeZone: "Europe/London")
        let readings = [try Self.reading(at: Self.closes + offset)]
        let missed = schedule.missed(at: Self.closes, since: Self.closes - .hours(6), in: readings)
        #expect(missed.missed.isEmpty == counts)
    }

    @Test func aClockThatHadToBeCorrectedSatisfiesNothing() throws {
        let schedule = Schedule(slots: [Self.slot()], timeZone: "Europe/London")
        let readings = [try Self.reading(at: Self.closes - .hours(1), flags: .clockCorrected)]
        let missed = schedule.missed(at: Self.closes, since: Self.closes - .hours(6), in: readings)
        #expect(missed.missed.map(\.hasDoubtfulClock) == [true])
        #expect(
            Sentence.missed(missed, timeZone: "Europe/London")
                == "SpO2, due Mon 23 Nov at 09:00, not measured between 07:00 and 13:00 by a clock that can be trusted."
        )
    }

    @Test func amberAtOneRedAtTwoRunningForHighRisk() throws {
        let schedule = Schedule(slots: [Self.slot()], timeZone: "Europe/London")
        let yesterday = try Self.reading(at: Self.closes - .days(1) - .hours(2))
        func severities(_ readings: [PastReading], since: Instant = Self.longAgo) -> [Severity?] {
            let missed = schedule.missed(at: Self.closes, since: since, in: readings)
            return [missed.severity(highRisk: false), missed.severity(highRisk: true)]
        }
        #expect(severities([yesterday]) == [.amber, .amber])
        #expect(severities([]) == [.amber, .red])
        // In force since this morning: yesterday's was not due.
        #expect(severities([], since: Self.closes - .hours(6)) == [.amber, .amber])
        #expect(severities([try Self.reading(at: Self.closes - .hours(1))]) == [nil, nil])
        // A window that is still open is not missed.
        #expect(schedule.missed(at: Self.closes - .seconds(1), since: Self.closes - .hours(6), in: []).missed.isEmpty)
    }

    @Test func everyKindOfASlotMustCome() throws {
        let schedule = Schedule(slots: [Self.slot([.spo2, .pulse])], timeZone: "Europe/London")
        let readings = [try Self.reading(at: Self.closes - .hours(1))]
        let missed = schedule.missed(at: Self.closes, since: Self.closes - .hours(6), in: readings)
        #expect(missed.missed.map(\.kinds) == [[.pulse]])
    }

    @Test func runningMeansOfTheSameKind() {
        let closes = Self.instant("2026-11-23T13:00:00Z"), since = Self.instant("2026-11-23T00:00:00Z")
        let together = Schedule(slots: [Self.slot([.spo2]), Self.slot([.weight])], timeZone: "Europe/London")
        #expect(together.missed(at: closes, since: since, in: []).severity(highRisk: true) == .amber)
        let twice = Schedule(slots: [Self.slot(at: 360), Self.slot(at: 540)], timeZone: "Europe/London")
        #expect(twice.missed(at: closes, since: since, in: []).severity(highRisk: true) == .red)
        #expect(
            twice.historyNeeded(at: closes, since: since)?.kinds.values.min() == Self.instant("2026-11-23T04:00:00Z"))
        #expect(twice.historyNeeded(at: since, since: since) == nil)
    }

    /// What is due is missed until it is measured, and more measurements never make it worse.
    @Test(arguments: [11, 12, 13, 14] as [UInt64]) func measuringNeverMakesItWorse(seed: UInt64) throws {
        var random = Seeded(state: seed)
        let schedule = Schedule(
            slots: [Self.slot(), Self.slot([.weight], at: 480), Self.slot(at: 1200)], timeZone: "Europe/London")
        var readings: [PastReading] = []
        let at = Self.closes + .hours(Int64.random(in: 0...24, using: &random))
        var worst = schedule.missed(at: at, since: Self.longAgo, in: readings)
        for id in 0..<60 {
            let kind: Kind = Bool.random(using: &random) ? .spo2 : .weight
            let taken = at - .minutes(Int64.random(in: 0...4320, using: &random))
            readings.append(try Self.reading(kind, at: taken, id: id))
            let now = schedule.missed(at: at, since: Self.longAgo, in: readings)
            #expect(Set(now.missed.map(\.reading)).isSubset(of: Set(worst.missed.map(\.reading))), "seed \(seed)")
            let (before, after) = (worst.severity(highRisk: true), now.severity(highRisk: true))
            #expect(
                after == nil || before.map { before in after.map { $0 <= before } ?? true } ?? false, "seed \(seed)")
            worst = now
        }
    }
}

private struct Seeded: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
