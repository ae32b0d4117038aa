import Clinical
import Foundation
import Testing

@testable import Simulation

private func table(_ text: String) throws -> CSVTable { try CSVTable(path: "data.csv", bytes: Array(text.utf8)) }

@Suite struct CSVTableTests {
    @Test(arguments: [
        ("a,b\n1,2\n", [["1", "2"]]),
        ("a,b\r\n1,2\r\n3,4", [["1", "2"], ["3", "4"]]),
        ("\u{FEFF}a,b\n,\n", [["", ""]]),
        ("a,b\n\"x, \"\"y\"\"\",\"two\nlines\"\n", [["x, \"y\"", "two\nlines"]]),
        ("a,b\n\"\",é\n", [["", "é"]]),
    ])
    func rowsAreRead(text: String, rows: [[String]]) throws {
        let table = try table(text)
        #expect(table.header == ["a", "b"])
        #expect(table.rows.map(\.fields) == rows)
    }

    @Test(arguments: [
        ("", nil, "the file is empty: a header line is needed"),
        ("a,a\n", 1, "two columns are named \"a\""),
        ("a,b\n1\n", 2, "1 fields where the header has 2"),
        ("a,b\n1,2\n\n", 3, "1 fields where the header has 2"),
        ("a,b\n\"x\ny\",2\n1,\"2\n", 4, "a quote is never closed"),
        ("a,b\n1,\"2\"3\n", 2, "text after a closing quote"),
        ("a,b\n1,2\"3\"\n", 2, "a quote inside a field that does not begin with one"),
        ("a,b\n1,2\r3,4\n", 2, "a carriage return without a line feed"),
    ])
    func faultsNameTheirLine(text: String, line: Int?, message: String) {
        #expect(throws: RecordingFault(path: "data.csv", line: line, message: message)) { try table(text) }
    }

    @Test func bytesThatAreNotUTF8AreRefused() {
        let fault = RecordingFault(path: "data.csv", line: 2, message: "not UTF-8")
        #expect(throws: fault) { try CSVTable(path: "data.csv", bytes: Array("a\n".utf8) + [0xFF, 10]) }
        #expect(fault.description == "data.csv:2: not UTF-8")
    }
}

@Suite struct RecordedTimeTests {
    @Test(arguments: [
        ("2016-05-02T23:59:59Z", 1_462_233_599),
        ("2016-05-03T01:59:59+02:00", 1_462_233_599),
        ("2016-05-02 23:59:59", 1_462_233_599),
        ("5/2/2016 11:59:59 PM", 1_462_233_599),
        ("5/2/2016 12:00:00 AM", 1_462_147_200),
        ("5-2-2016", 1_462_147_200),
        ("2016-05-02", 1_462_147_200),
    ])
    func timesAreRead(text: String, seconds: Int64) {
        #expect(RecordedTime.parse(text, timeZone: .gmt) == Instant(microseconds: seconds * 1_000_000))
    }

    @Test(arguments: [
        "", "yesterday", "2016-02-30", "13/1/2016", "5/2/16", "5/2/2016 13:00:00 PM", "5/2/2016 25:00:00",
        "2016-05-02 12:00", "2016-05-02 12:60:00", "5/2/2016 1:00:00 XM", "5/2/2016 1:0x:00", "2016-05-02  12:00:00",
    ])
    func otherTextIsNoTime(text: String) { #expect(RecordedTime.parse(text, timeZone: .gmt) == nil) }

    @Test func aZoneMovesLocalTimesOnly() throws {
        let london = try #require(TimeZone(identifier: "Europe/London"))
        #expect(
            RecordedTime.parse("7/1/2016 8:00:00 AM", timeZone: london)
                == RecordedTime.parse("2016-07-01T07:00:00Z", timeZone: london))
        #expect(
            RecordedTime.parse("1/1/2016 8:00:00 AM", timeZone: london)
                == RecordedTime.parse("2016-01-01T08:00:00Z", timeZone: london))
    }
}

@Suite struct RecordingTests {
    private static let weights = """
        Id,Date,WeightKg,WeightPounds
        1,5-3-2016,52.59999847,115.9631465
        2,5-2-2016,,
        1,5-2-2016,52.7,
        """

    private func recording(_ columns: [String]) throws -> Recording {
        Recording(
            path: "data.csv", columns: try columns.map { try RecordedColumn(argument: $0) }, timeColumn: "Date",
            device: .column("Id", prefix: "fitbit-"))
    }

    @Test func aRowIsAReportInOrderOfTime() throws {
        let recording = try recording([
            "kind=weight,unit=kg,value=WeightKg,digits=1", "kind=weight,unit=[lb_av],value=WeightPounds",
        ])
        let reports = try recording.reports(of: table(Self.weights), site: "ward", run: "r")
        #expect(reports.map(\.id) == ["r-000004", "r-000002"])
        #expect(reports.map(\.device) == ["fitbit-1", "fitbit-1"])
        #expect(reports.map { $0.readings.map(\.value) } == [[.number(52.7)], [.number(52.6), .number(115.9631465)]])
        #expect(reports[0].takenAt < reports[1].takenAt)
        #expect(
            reports[0].payload(sentAt: reports[0].takenAt)
                == Array(
                    ("{\"id\":\"r-000004\",\"taken_at\":\"2016-05-02T00:00:00Z\",\"sent_at\":\"2016-05-02T00:00:00Z\","
                        + "\"readings\":[{\"kind\":\"weight\",\"value\":52.7,\"unit\":\"kg\"}]}").utf8))
    }

    @Test func timesCanEndNow() throws {
        var recording = try recording(["kind=weight,unit=kg,value=WeightKg"])
        let now = Instant(microseconds: 1_790_000_000_000_000)
        recording.lastAt = now
        let reports = try recording.reports(of: table(Self.weights), site: "ward", run: "r")
        #expect(reports.map(\.takenAt) == [now - .days(1), now])
    }

    @Test(arguments: [
        ("x", "5-2-2016", "1", "\"x\" in column \"WeightKg\" is no number"),
        ("nan", "5-2-2016", "1", "\"nan\" in column \"WeightKg\" is no number"),
        ("70", "soon", "1", "\"soon\" is no time that is known here"),
        ("70", "5-2-2016", "a/b", "\"fitbit-a/b\" is no device code: 1 to 64 of A-Z a-z 0-9 _ -"),
    ])
    func badRowsAreNamed(value: String, time: String, device: String, message: String) throws {
        let recording = try recording(["kind=weight,unit=kg,value=WeightKg"])
        let rows = try table("Id,Date,WeightKg\n1,5-1-2016,70\n\(device),\(time),\(value)\n")
        #expect(throws: RecordingFault(path: "data.csv", line: 3, message: message)) {
            try recording.reports(of: rows, site: "ward", run: "r")
        }
    }

    @Test func aMissingColumnOrFileIsNamed() throws {
        let recording = try recording(["kind=weight,unit=kg,value=Weight"])
        #expect(
            throws: RecordingFault(
                path: "data.csv", line: 1, message: "no column \"Weight\"; there are \"Id\", \"Date\"")
        ) { try recording.reports(of: table("Id,Date\n"), site: "ward", run: "r") }
        #expect(throws: RecordingFault(path: "data.csv", message: "can't be read")) {
            try recording.reports(site: "ward", run: "r")
        }
    }

    @Test(arguments: [
        "kind=weight", "value=x", "kind=heaviness,value=x", "kind=weight,unit=stones,value=x", "kind=weight,value",
        "kind=weight,value=x,value=y", "kind=weight,value=x,digits=9", "kind=weight,value=x,colour=red", "",
    ])
    func badMappingsAreRefused(argument: String) {
        #expect(throws: RecordedColumnFault.self) { try RecordedColumn(argument: argument) }
    }
}
