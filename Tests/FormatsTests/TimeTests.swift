import Clinical
import Formats
import Foundation
import Testing

@Suite struct TimeTests {
    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:00z", 0), ("1970-01-01T01:00:00+01:00", 0),
            ("1969-12-31T18:30:00-05:30", 0), ("1970-01-01T00:00:00-00:00", 0), ("1970-01-01T00:00:00.5Z", 500_000),
            ("1970-01-01T00:00:00.123456789Z", 123_456), ("1969-12-31T23:59:59.999999Z", -1),
            ("1970-01-01T23:59:00+23:59", 0), ("2000-02-29T12:00:00Z", 951_825_600_000_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000), ("2017-01-01T05:29:60.25+05:30", 1_483_228_800_250_000),
            ("1900-03-01T00:00:00Z", -2_203_891_200_000_000), ("0001-01-01T00:00:00Z", -62_135_596_800_000_000),
            ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
        ] as [(String, Int64)])
    func `a time with a zone is read`(_ text: String, _ microseconds: Int64) {
        #expect(RFC3339.parse(text) == Instant(microseconds: microseconds))
    }

    @Test(arguments: [
        "", "2026-11-23", "2026-11-23T08:15:30", "2026-11-23 08:15:30Z", "2026-11-23T08:15Z",
        "2026-11-23T08:15:30+0000",
        "2026-11-23T08:15:30+00", "2026-11-23T08:15:30+24:00", "2026-11-23T08:15:30+00:60", "2026-11-23T08:15:30.Z",
        "2026-11-23T08:15:30,5Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-11-31T00:00:00Z",
        "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-11-00T00:00:00Z", "2026-11-23T24:00:00Z",
        "2026-11-23T08:60:00Z", "2026-11-23T08:15:61Z", "2026-11-23T08:15:60Z", "2026-11-23T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "+2026-11-23T08:15:30Z", "2026-11-23T08:15:30Zx",
        " 2026-11-23T08:15:30Z", "2026-11-23T08:15:30Z ", "20261123T081530Z", "2026-W47-1T08:15:30Z",
        "2026-327T08:15:30Z",
        "2026-11-2３T08:15:30Z", "2026-1１-23T08:15:30Z", "1795421730",
    ])
    func `anything else is none`(_ text: String) {
        #expect(RFC3339.parse(text) == nil)
    }

    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (500_000, "1970-01-01T00:00:00.500Z"), (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"), (1_795_421_730_000_000, "2026-11-23T08:15:30Z"),
        (Int64.max, "9999-12-31T23:59:59.999999Z"), (Int64.min, "0001-01-01T00:00:00Z"),
    ])
    func `an instant is written in UTC`(_ microseconds: Int64, _ text: String) {
        #expect(RFC3339.format(Instant(microseconds: microseconds)) == text)
    }

    @Test func `random instants agree with Foundation both ways`() throws {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<3000 {
            // Foundation changes to the Julian calendar before 1582 and has no zone beyond 18 hours.
            let seconds = Int64.random(in: -12_000_000_000...253_402_300_799, using: &generator)
            let minutes = Int64.random(in: -1079...1079, using: &generator)
            let zone = try #require(TimeZone(secondsFromGMT: Int(minutes * 60)))
            var style = Date.ISO8601FormatStyle(timeZone: .gmt)
            let date = Date(timeIntervalSince1970: Double(seconds))
            let instant = Instant(microseconds: seconds * 1_000_000)
            #expect(RFC3339.format(instant) == date.formatted(style))
            // Foundation writes Z, or an offset, by its time zone; away from the ends of the years.
            guard seconds < 253_402_200_000 else { continue }
            style.timeZone = zone
            style = style.timeZoneSeparator(.colon)
            #expect(RFC3339.parse(date.formatted(style)) == instant, "\(date.formatted(style))")
        }
    }

    @Test func `what is written is read again`() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<20_000 {
            let instant = Instant(
                microseconds: .random(in: -62_135_596_800_000_000...253_402_300_799_999_999, using: &generator))
            #expect(RFC3339.parse(RFC3339.format(instant)) == instant)
        }
    }
}
