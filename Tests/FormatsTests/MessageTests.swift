import Clinical
import Formats
import Testing

@Suite struct MessageTests {
    @Test(arguments: [
        ("homeward/v1/north/dev-0001/report", HomewardTopic.Leaf.report), ("homeward/v1/n/d/status", .status),
        ("homeward/v1/N_1/d-2/receipt", .receipt),
    ])
    func `a topic is read and written`(_ text: String, _ leaf: HomewardTopic.Leaf) throws {
        let topic = try #require(HomewardTopic(text))
        #expect(topic.leaf == leaf)
        #expect(topic.text == text)
    }

    @Test(arguments: [
        "", "homeward", "homeward/v1/", "homeward/v1/north", "homeward/v1/north/dev-0001",
        "homeward/v1/north/dev-0001/",
        "homeward/v1/north/dev-0001/reports", "homeward/v1/north/dev-0001/repor", "homeward/v1/north/dev-0001/report/",
        "homeward/v1/north/dev-0001/report/x", "/homeward/v1/north/dev-0001/report",
        "homeward/v2/north/dev-0001/report",
        "Homeward/v1/north/dev-0001/report", "homeward/v1//dev-0001/report", "homeward/v1/north//report",
        "homeward/v1/no.rth/dev/report", "homeward/v1/north/d:1/report", "homeward/v1/nörth/dev/report",
        "homeward/v1/north/dev 1/report", "homeward/v1/+/dev/report", "homeward/v1/north/#",
        "homeward/v1/" + String(repeating: "s", count: 65) + "/dev/report",
    ])
    func `anything else is no topic of ours`(_ text: String) {
        #expect(HomewardTopic(text) == nil)
    }

    @Test func `the topic for receipts`() throws {
        let (site, device) = (try #require(Identifier("north")), try #require(Identifier("dev-0001")))
        #expect(HomewardTopic.receipt(site: site, device: device) == "homeward/v1/north/dev-0001/receipt")
    }

    @Test(arguments: [
        (
            #"{"state":"online","battery":87,"firmware":"2.1.0","now":"2026-11-23T08:15:31Z"}"#,
            DeviceStatus(
                online: true, battery: 87, firmware: "2.1.0", now: Instant(microseconds: 1_795_421_731_000_000))
        ),
        (#"{"state":"offline"}"#, DeviceStatus(online: false)),
        (
            #"{"state":"offline","battery":null,"firmware":null,"now":null,"x":{"y":[1]}}"#, DeviceStatus(online: false)
        ),
        (#"{"state":"online","battery":255}"#, DeviceStatus(online: true)),
    ])
    func `a status is read`(_ text: String, _ expected: DeviceStatus) throws {
        #expect(try DeviceStatus.decode(Array(text.utf8).span) == expected)
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"state":"on"}"#, #"{"state":true}"#, #"{"state":null}"#,
        #"{"state":"online","battery":"87"}"#,
        #"{"state":"online","firmware":2}"#, #"{"state":"online","now":"today"}"#, #"{"state":"online","now":5}"#,
        #"{"state":"online","state":"online"}"#, #"{"state":"online"}x"#, #"{"state":"online","x":"\u0000"}"#,
    ])
    func `a status that is none is malformed`(_ text: String) {
        #expect { try DeviceStatus.decode(Array(text.utf8).span) } throws: {
            ($0 as? ReportFault)?.reason == .malformed
        }
    }

    private static let receivedAt = Instant(microseconds: 1_795_421_731_500_000)

    private static func receipts() throws -> [(Receipt, String)] {
        let id = try #require(Identifier("d41f-000123", grammar: .report))
        return [
            (
                Receipt(id: id, outcome: .stored, receivedAt: receivedAt),
                #"{"id":"d41f-000123","outcome":"stored","received_at":"2026-11-23T08:15:31.500Z"}"#
            ),
            (
                Receipt(id: id, outcome: .quarantined, reason: .unknownUnit, receivedAt: receivedAt),
                #"{"id":"d41f-000123","outcome":"quarantined","reason":"unknown-unit","#
                    + #""received_at":"2026-11-23T08:15:31.500Z"}"#
            ),
            (
                Receipt(
                    id: id, outcome: .stored,
                    refused: [
                        .init(reading: 2, kind: "weight", reason: .implausible),
                        .init(reading: 3, kind: "a\"\n\u{85}", reason: .unknownKind),
                    ], repeatAfterMinutes: 30, advice: .init(code: "call-999", text: "Ring 999 — now"),
                    receivedAt: receivedAt),
                #"{"id":"d41f-000123","outcome":"stored","refused":[{"reading":2,"kind":"weight","reason":"implausible"},"#
                    + #"{"reading":3,"kind":"a\"\n\u0085","reason":"unknown-kind"}],"repeat_after_minutes":30,"#
                    + #""advice":{"code":"call-999","text":"Ring 999 — now"},"received_at":"2026-11-23T08:15:31.500Z"}"#
            ),
        ]
    }

    @Test func `receipts are written as the contract has them and read again`() throws {
        for (receipt, expected) in try Self.receipts() {
            var bytes = Array("before ".utf8)
            receipt.encode(into: &bytes)
            #expect(String(decoding: bytes, as: UTF8.self) == "before " + expected)
            #expect(Receipt(Array(expected.utf8).span) == receipt)
        }
    }

    @Test(arguments: ["", "{}", #"{"id":"a","outcome":"lost","received_at":"2026-11-23T08:15:31Z"}"#])
    func `what is no receipt is none`(_ text: String) {
        #expect(Receipt(Array(text.utf8).span) == nil)
    }

    @Test func `the writer puts commas and escapes`() throws {
        var writer = JSONWriter()
        writer.beginArray()
        writer.value("\u{0}\u{1F}\"\\/\u{7F}\u{9F}\u{A0}\u{2028}é😀")
        writer.null()
        writer.value(true)
        writer.beginObject()
        writer.endObject()
        writer.raw(Array(#"{"a": 1}"#.utf8).span)
        writer.value(Int64.min)
        writer.endArray()
        writer.endLine()
        writer.value(1)
        let expected =
            #"["\u0000\u001f\"\\/\u007f\u009f"# + "\u{A0}\u{2028}é😀" + #"",null,true,{},{"a": 1},"#
            + "-9223372036854775808]\n1"
        #expect(writer.text == expected)
    }

    @Test(arguments: [
        (142.0, "142"), (0.1, "0.1"), (-0.0, "-0"), (98.6, "98.6"), (1e16, "1e+16"), (.leastNonzeroMagnitude, "5e-324"),
        (.nan, "null"), (.infinity, "null"), (1e15, "1000000000000000"), (0.00001, "1e-05"),
    ])
    func `numbers are written short`(_ number: Double, _ expected: String) {
        var writer = JSONWriter()
        writer.value(number)
        #expect(writer.text == expected)
    }
}
