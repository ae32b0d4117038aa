import Clinical
import Documents
import Ingestion
import Registry
import Testing

@testable import HomewardDaemon

@Suite struct ReplayTests {
    private static func line(_ payload: String, members: String = "") -> [UInt8] {
        let topic = "homeward/v1/north/dev-1/report"
        let text = #"{"topic":"\#(topic)","received_at":"2026-11-23T08:15:32Z"\#(members),"payload":\#(payload)}"#
        return Array(text.utf8)
    }

    @Test(
        arguments: [
            (#"{"a":1, "a":2}"#, Array(#"{"a":1, "a":2}"#.utf8)), ("null", Array("null".utf8)),
            (#""{\"a\":1}""#, Array(#"{"a":1}"#.utf8)), (#""\u0000""#, [0]), (#""\ud800""#, [0xED, 0xA0, 0x80]),
            (#""""#, []),
        ] as [(String, [UInt8])])
    func `a payload is taken byte for byte, a string as its text`(_ payload: String, _ expected: [UInt8]) throws {
        #expect(try RecordedMessage.read(Self.line(payload)).get().payload == expected)
    }

    @Test func `a payload of any depth is a message`() throws {
        let payload = String(repeating: "[", count: 70_000) + String(repeating: "]", count: 70_000)
        let message = try RecordedMessage.read(Self.line(payload)).get()
        #expect(message.fullLength == 140_000 && message.payload.count == Message.maximumPayload)
        #expect(message.digest?.count == 32)
    }

    @Test(arguments: ["", "[]", #"{"topic":"a"}"#, #"{"topic":1,"received_at":"2026-11-23T08:15:32Z","payload":1}"#])
    func `what is no message is a problem`(_ line: String) {
        #expect(throws: RecordedMessage.Problem.self) { try RecordedMessage.read(Array(line.utf8)).get() }
    }

    @Test func `an alert about a device names the report's patient`() throws {
        let payload = #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","answers":[{"question":"no-such","value":1}]}"#
        var replayer = Replayer(packs: PackLibrary(), registry: nil)
        let lines = ReplayOutput.lines(
            number: 1, try replayer.take(try RecordedMessage.read(Self.line(payload)).get()))
        #expect(lines.count == 2)
        let alert = #"{"line":1,"report":"a","patient":"dev-1","alert":{"rule":"unknown-question""#
        #expect(lines.last?.hasPrefix(alert) ?? false)
    }
}

/// The score line of `replay`, as the outside contract has it.
@Suite struct ReplayScoreTests {
    private func lines(_ readings: String, id: String, at time: String, _ replayer: inout Replayer) throws -> [String] {
        let payload = #"{"id":"\#(id)","taken_at":"\#(time)","readings":[\#(readings)]}"#
        let text =
            #"{"topic":"homeward/v1/north/dev-1/report","received_at":"\#(time)","payload":\#(payload)}"#
        return ReplayOutput.lines(number: 1, try replayer.take(try RecordedMessage.read(Array(text.utf8)).get()))
    }

    private let most = [
        ("respiratory-rate", "24", "/min"), ("spo2", "92", "%"), ("oxygen", "2", "L/min"), ("pulse", "80", "/min"),
        ("temperature", "36", "Cel"),
    ].map { #"{"kind":"\#($0)","value":\#($1),"unit":"\#($2)"}"# }.joined(separator: ",")
    private let rest = #"{"kind":"systolic","value":120,"unit":"mm[Hg]"},{"kind":"consciousness","value":"A"}"#

    @Test func `one report with all seven`() throws {
        var replayer = Replayer(packs: BuiltInPacks.library(), registry: nil)
        let found = try lines(most + "," + rest, id: "a", at: "2026-11-23T08:15:00Z", &replayer)
        let score =
            #"{"line":1,"report":"a","patient":"dev-1","score":{"name":"news2","scale":1,"total":7,"complete":true,"#
            + #""highest_single":2}}"#
        #expect(found.contains(score))
        #expect(found.contains { $0.contains(#""rule":"news2","class":"clinical","severity":"red""#) })
    }

    @Test func `a partial score has no total, and is completed within 15 minutes`() throws {
        for (time, total) in [("2026-11-23T08:30:00Z", "7"), ("2026-11-23T08:30:01Z", "null")] {
            var replayer = Replayer(packs: BuiltInPacks.library(), registry: nil)
            let partial = try lines(most, id: "a", at: "2026-11-23T08:15:00Z", &replayer)
            #expect(partial.contains { $0.contains(#""total":null,"complete":false,"highest_single":2}"#) })
            let full = try lines(rest, id: "b", at: time, &replayer)
            #expect(full.contains { $0.contains(#""total":\#(total),"#) }, "\(full)")
        }
    }

    @Test func `a weight that is not this person's is printed as suspect`() throws {
        var replayer = Replayer(packs: BuiltInPacks.library(), registry: nil)
        func status(_ weight: Int, at time: String) throws -> Bool {
            let reading = #"{"kind":"weight","value":\#(weight),"unit":"kg"}"#
            return try lines(reading, id: "w\(weight)", at: time, &replayer)[0].contains(#""status":"suspect""#)
        }
        #expect(try !status(80, at: "2026-11-23T08:15:00Z"))
        #expect(try status(60, at: "2026-11-24T08:15:00Z"))
    }

    @Test func `a report without a parameter has no score`() throws {
        var replayer = Replayer(packs: BuiltInPacks.library(), registry: nil)
        let weight = #"{"kind":"weight","value":80,"unit":"kg"}"#
        #expect(try lines(weight, id: "a", at: "2026-11-23T08:15:00Z", &replayer).count == 1)
    }
}
