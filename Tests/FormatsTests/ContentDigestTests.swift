import Clinical
import Formats
import Testing

@testable import struct Formats.SipHash128

@Suite struct ContentDigestTests {
    private static let base = #"""
        {"id":"a","taken_at":"2026-11-23T08:15:30Z","seq":7,"battery":50,"sent_at":"2026-11-23T08:15:31Z","readings":[\#
        {"kind":"glucose","value":5.5,"unit":"mmol/L","flags":["movement","shaken"]},{"kind":"inr","value":0}],\#
        "answers":[{"question":"tired","value":true}]}
        """#

    private static func digest(_ text: String) throws -> ContentDigest {
        let decoded = Decoded(text)
        try #require(decoded.fault == nil)
        return ContentDigest(of: decoded.report)
    }

    /// One replacement in the base report that says the same.
    @Test(arguments: [
        (#""id":"a""#, #""id":"b""#), (#""battery":50"#, #""battery":51"#), (#","battery":50"#, ""),
        (#"08:15:31Z"#, "08:19:00Z"), ("2026-11-23T08:15:30Z", "2026-11-23T09:15:30.000+01:00"),
        (#""seq":7"#, #""seq":7.0"#), (#""value":5.5"#, #""value":55e-1"#), (#""value":0"#, #""value":-0.0"#),
        (#"["movement","shaken"]"#, #"["shaken","movement","shaken"]"#),
        (#""kind":"inr""#, #""x":1,"kind":"\u0069nr""#),
        (#","value":0}"#, #","value":0,"unit":null,"flags":[]}"#),
    ])
    func `another way to say the same is a duplicate`(_ old: String, _ new: String) throws {
        let changed = Self.base.replacing(old, with: new)
        try #require(changed != Self.base)
        #expect(try Self.digest(changed) == Self.digest(Self.base))
    }

    /// One replacement that says something else.
    @Test(arguments: [
        ("08:15:30Z", "08:15:30.000001Z"), (#""seq":7"#, #""seq":8"#), (#","seq":7"#, ""), (#""seq":7"#, #""seq":0"#),
        ("glucose", "ketones"), ("glucose", "Glucose"), ("5.5", "5.6"),
        ("mmol/L", "mg/dL"), ("mmol/L", "mmol/l"), (#","unit":"mmol/L""#, ""), (#""unit":"mmol/L""#, #""unit":"""#),
        (#"["movement","shaken"]"#, #"["movement"]"#), (#"["movement","shaken"]"#, #"["shaken"]"#),
        (#"["movement","shaken"]"#, "[]"), (#"["movement","shaken"]"#, #"["movement","shaken","low-perfusion"]"#),
        (#"["movement","shaken"]"#, #"["movementshaken"]"#), (#","value":0}"#, #","value":0,"unit":""}"#),
        (#",{"kind":"inr","value":0}"#, ""),
        (#",{"kind":"inr","value":0}"#, #",{"kind":"inr","value":0},{"kind":"inr","value":0}"#),
        ("tired", "confused"), ("true", "false"), (#""value":true"#, #""value":1"#),
        (#""value":true"#, #""value":"true""#),
        (#"{"question":"tired","value":true}"#, ""),
        (
            #"{"question":"tired","value":true}"#,
            #"{"question":"tired","value":true},{"question":"tired","value":true}"#
        ),
    ])
    func `another content is a conflict`(_ old: String, _ new: String) throws {
        let changed = Self.base.replacing(old, with: new)
        try #require(changed != Self.base)
        #expect(try Self.digest(changed) != Self.digest(Self.base))
    }

    @Test func `the order of readings counts and canonical equivalence does not make texts equal`() throws {
        let first = #"{"kind":"pulse","value":1}"#
        let second = #"{"kind":"inr","value":2}"#
        #expect(
            try Self.digest(report(reading: "\(first),\(second)")) != Self.digest(report(reading: "\(second),\(first)"))
        )
        func flagged(_ flag: String) -> String { report(reading: #"{"kind":"pulse","value":1,"flags":["\#(flag)"]}"#) }
        #expect(try Self.digest(flagged("\u{E9}")) != Self.digest(flagged("e\u{301}")))
    }

    @Test func `a name that is learnt later keeps its digest and our own flag adds nothing`() {
        var known = SentReport()
        known.readings = [
            SentReading(kind: .known(.pulse), value: .number(1), unit: .known(.perMinute), flags: .movement)
        ]
        known.answers = [SentAnswer(question: .known(.tired), value: .text(""))]
        var unknown = known
        unknown.readings = [
            SentReading(
                kind: .unknown("pulse"), value: .number(1), unit: .unknown("/min"), flags: .clockCorrected,
                otherFlags: ["movement"])
        ]
        unknown.answers = [SentAnswer(question: .unknown("tired"), value: .text(""))]
        #expect(ContentDigest(of: known) == ContentDigest(of: unknown))
    }

    /// Digests are stored: a change of this value makes every stored report a conflict when it is sent again.
    @Test func `the digest of the contract's example stands for ever`() throws {
        let digest = try Self.digest(exampleReport)
        #expect(digest == ContentDigest(high: 4_111_949_064_631_788_880, low: 535_740_617_414_128_663))
    }

    /// From the reference code of SipHash (`vectors_sip128`): key 00…0f, input 00, 01, … of the given count.
    @Test(arguments: [
        (0, "a3817f04ba25a8e66df67214c7550293"), (1, "da87c1d86b99af44347659119b22fc45"),
        (2, "8177228da4a45dc7fca38bdef60affe4"), (3, "9c70b60c5267a94e5f33b6b02985ed51"),
        (4, "f88164c12d9c8faf7d0f6e7c7bcd5579"), (5, "1368875980776f8854527a07690e9627"),
        (6, "14eeca338b208613485ea0308fd7a15e"), (7, "a1f1ebbed8dbc153c0b84aa61ff08239"),
        (8, "3b62a9ba6258f5610f83e264f31497b4"), (9, "264499060ad9baabc47f8b02bb6d71ed"),
        (15, "5493e99933b0a8117e08ec0f97cfc3d9"), (16, "6ee2a4ca67b054bbfd3315bf85230577"),
        (63, "5150d1772f50834a503e069a973fbd7c"),
    ])
    func `SipHash gives the reference vectors`(_ count: Int, _ expected: String) {
        var bytes = SipHash128(key0: 0x0706_0504_0302_0100, key1: 0x0f0e_0d0c_0b0a_0908)
        var words = bytes
        for byte in 0..<UInt8(count) { bytes.appendByte(byte) }
        for word in 0..<UInt64(count / 8) { words.append(0x0706_0504_0302_0100 &+ word &* 0x0808_0808_0808_0808) }
        for byte in UInt8(count / 8 * 8)..<UInt8(count) { words.appendByte(byte) }
        for hash in [bytes.finish(), words.finish()] {
            let output = [hash.first, hash.second].flatMap { word in (0..<8).map { word >> ($0 * 8) & 0xff } }
            let text = output.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
            #expect(text == expected)
        }
    }
}
