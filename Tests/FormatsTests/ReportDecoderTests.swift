import Clinical
import Formats
import Testing

@Suite struct ReportDecoderTests {
    @Test func `the contract's example is decoded whole`() throws {
        let decoded = Decoded(exampleReport)
        #expect(decoded.fault == nil)
        let report = decoded.report
        #expect(report.id == Identifier("d41f-000123", grammar: .report))
        #expect(report.takenAt == Instant(microseconds: 1_795_421_730_000_000))
        #expect(report.sentAt == Instant(microseconds: 1_795_421_731_000_000))
        #expect(report.sequence == 123)
        #expect(report.battery == 87)
        #expect(
            report.readings == [
                SentReading(kind: .known(.systolic), value: .number(142), unit: .known(.millimetresOfMercury)),
                SentReading(kind: .known(.diastolic), value: .number(88), unit: .known(.millimetresOfMercury)),
                SentReading(kind: .known(.pulse), value: .number(71), unit: .known(.perMinute)),
            ])
        #expect(report.answers == [SentAnswer(question: .unknown("breathless"), value: .boolean(true))])
    }

    @Test(arguments: Kind.allCases) func `every kind is known by its code`(_ kind: Kind) {
        let value = kind.isCoded ? #""A""# : "1"
        let decoded = Decoded(report(reading: #"{"kind":"\#(kind.code)","value":\#(value)}"#))
        #expect(decoded.report.readings.first?.kind == .known(kind))
    }

    @Test(arguments: Kind.allCases) func `a known kind's value has the kind's type`(_ kind: Kind) {
        let wrong = kind.isCoded ? "1" : #""120""#
        let problem = kind.isCoded ? "is not a string" : "is not a number"
        for reading in [
            #"{"kind":"\#(kind.code)","value":\#(wrong)}"#, #"{"value":\#(wrong),"kind":"\#(kind.code)"}"#,
        ] {
            let decoded = Decoded(report(reading: #"{"kind":"x","value":1},\#(reading)"#))
            #expect(decoded.fault?.reason == .malformed)
            #expect(decoded.fault?.detail.hasPrefix("readings[1].value \(problem) at byte ") ?? false)
            #expect(decoded.report.id == Identifier("a"))
        }
    }

    @Test(arguments: ["1", #""1""#]) func `an unknown kind's value has any type`(_ value: String) {
        let decoded = Decoded(report(reading: #"{"kind":"mood","value":\#(value)}"#))
        #expect(decoded.fault == nil)
        #expect(decoded.report.readings.count == 1)
    }

    @Test(arguments: UCUMUnit.allCases) func `every unit is known by its code`(_ unit: UCUMUnit) {
        let decoded = Decoded(report(reading: #"{"kind":"pulse","value":1,"unit":"\#(unit.code)"}"#))
        #expect(decoded.report.readings.first?.unit == .known(unit))
    }

    @Test(arguments: Question.allCases) func `every question is known by its code`(_ question: Question) {
        let decoded = Decoded(report(with: #""answers":[{"question":"\#(question.rawValue)","value":3}]"#))
        #expect(decoded.report.answers == [SentAnswer(question: .known(question), value: .number(3))])
    }

    @Test func `the order of members and white space say nothing`() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        func object(_ members: [String]) -> String {
            let spaced = members.shuffled(using: &generator).map { member in
                ["", "", " ", "\n\t"].randomElement(using: &generator).map { $0 + member + $0 } ?? member
            }
            return "{" + spaced.joined(separator: ",") + "}"
        }
        let expected = Decoded(exampleReport).report
        for _ in 0..<500 {
            let readings = [("systolic", "142", "mm[Hg]"), ("diastolic", "88", "mm[Hg]"), ("pulse", "71", "/min")].map {
                object([#""kind":"\#($0)""#, #""value":\#($1)"#, #""unit" : "\#($2)""#, #""kin":1"#])
            }
            let text = object([
                #""id":"d41f-000123""#, #""taken_at":"2026-11-23T08:15:30Z""#, #""sent_at":"2026-11-23T08:15:31Z""#,
                #""seq":123"#, #""battery":87"#, #""readings":[\#(readings.joined(separator: ","))]"#,
                #""answers":[\#(object([#""question":"breathless""#, #""value":true"#]))]"#, #""value":{"kind":[]}"#,
            ])
            let decoded = Decoded(text)
            #expect(decoded.fault == nil, "\(text)")
            #expect(decoded.report.id == expected.id && decoded.report.readings == expected.readings, "\(text)")
            #expect(decoded.report.sentAt == expected.sentAt && decoded.report.battery == 87)
            #expect(ContentDigest(of: decoded.report) == ContentDigest(of: expected))
        }
    }

    @Test func `every flag of the contract is known and others are kept`() {
        let sent =
            #""low-perfusion","movement","irregular-pulse","shaken","","control-solution","#
            + #""out-of-range-high","out-of-range-low","clock-corrected","shaken""#
        let reading = Decoded(report(reading: #"{"kind":"spo2","value":90,"flags":[\#(sent)]}"#)).report.readings.first
        #expect(
            reading?.flags == [
                .movement, .irregularPulse, .lowPerfusion, .controlSolution, .outOfRangeHigh, .outOfRangeLow,
            ])
        #expect(reading?.otherFlags == ["shaken", "", "shaken"])
    }

    @Test func `unknown names are kept as text`() {
        let decoded = Decoded(
            report(reading: #"{"kind":"Pulse","value":"naïve \ud83d\ude00","unit":"BPM of a very long name"}"#))
        #expect(
            decoded.report.readings == [
                SentReading(
                    kind: .unknown("Pulse"), value: .code("naïve 😀"), unit: .unknown("BPM of a very long name"))
            ])
    }

    @Test func `every known name may be written with escapes`() {
        let plain = #"""
            {"id":"x","taken_at":"2026-11-23T08:15:30Z","sent_at":"2026-11-23T08:15:31Z","seq":5,"battery":50,\#
            "readings":[{"kind":"spo2","value":97,"unit":"%","flags":["movement"]}],\#
            "answers":[{"question":"tired","value":"yes"}]}
            """#
        // Each string's first character as \u00XX, in keys and in values.
        var escaped = ""
        var isInside = false
        for character in plain {
            if character == "\"" {
                isInside.toggle()
                escaped.append(character)
                if isInside { escaped.append("\u{1}") }
            } else if escaped.last == "\u{1}", let value = character.asciiValue {
                escaped.removeLast()
                let digits = String(value, radix: 16)
                escaped += #"\u00"# + (digits.count == 1 ? "0" : "") + digits
            } else {
                escaped.append(character)
            }
        }
        let (first, second) = (Decoded(plain), Decoded(escaped))
        #expect(escaped.contains(#""\u0069d":"\u0078""#))
        #expect(first.fault == nil && second.fault == nil)
        #expect(first.report.id == second.report.id && first.report.id != nil)
        #expect(second.report.sentAt == first.report.sentAt && second.report.sentAt != nil)
        #expect(second.report.battery == 50)
        #expect(second.report.readings.first?.flags == .movement)
        #expect(ContentDigest(of: first.report) == ContentDigest(of: second.report))
    }

    @Test(
        arguments: [
            ("null", nil), ("0", 0), ("-0", 0), ("123", 123), ("1.0", 1), ("1e3", 1000), ("1.5e1", 15), ("100e-2", 1),
            ("9223372036854775807", Int64.max), ("9007199254740993", 9_007_199_254_740_993),
            ("9007199254740992.0", 9_007_199_254_740_992), ("1.00000000000000000000000", 1), ("0e9999999999", 0),
        ] as [(String, Int64?)])
    func `seq is any integer from 0 to the largest`(_ text: String, _ expected: Int64?) {
        let decoded = Decoded(report(with: #""seq":\#(text)"#))
        #expect(decoded.fault == nil)
        #expect(decoded.report.sequence == expected)
    }

    @Test(arguments: [
        ("0", 0.0), ("100", 100), ("87.5", 87.5), ("101", nil), ("-1", nil), ("1e300", nil), ("null", nil),
    ])
    func `a battery outside its range is not worth a report`(_ text: String, _ expected: Double?) {
        let decoded = Decoded(report(with: #""battery":\#(text)"#))
        #expect(decoded.fault == nil)
        #expect(decoded.report.battery == expected)
    }

    /// Members that make a report malformed while its id stays readable.
    @Test(arguments: [
        #""seq":1.5"#, #""seq":-1"#, #""seq":9223372036854775808"#, #""seq":9007199254740993.0"#, #""seq":1e19"#,
        #""seq":"1""#, #""seq":true"#, #""seq":1e400"#, #""battery":"87""#, #""battery":[]"#, #""battery":1e400"#,
        #""sent_at":5"#, #""sent_at":"now""#, #""sent_at":"2026-11-23""#, #""answers":{}"#, #""answers":"no""#,
        #""answers":[1]"#, #""answers":[null]"#, #""answers":[{"question":"tired"}]"#, #""answers":[{"value":1}]"#,
        #""answers":[{"question":1,"value":1}]"#, #""answers":[{"question":"tired","value":null}]"#,
        #""answers":[{"question":"tired","value":[]}]"#, #""answers":[{"question":"tired","value":1,"value":1}]"#,
        #""seq":1,"seq":1"#, #""x":{"a":1,"a":2}"#, #""x":1,"x":2"#, #""x":1,"\u0078":2"#, #""x":"\u0000""#,
        #""x":"\ud800""#, #""x":1e400"#, #""readings":[]"#, #""taken_at":"2026-11-23T08:15:30Z""#,
    ])
    func `a fault of content leaves the id`(_ members: String) {
        let decoded = Decoded(report(with: members))
        #expect(decoded.fault?.reason == .malformed)
        #expect(decoded.report.id == Identifier("a"))
        #expect(decoded.report.readings.isEmpty)
    }

    @Test(arguments: [
        "1", "null", "[]", #"{"value":1}"#, #"{"kind":"pulse"}"#, #"{"kind":1,"value":1}"#, #"{"kind":null,"value":1}"#,
        #"{"kind":"pulse","value":1,"kind":"pulse","value":1}"#, #"{"kind":"pulse","value":null}"#,
        #"{"kind":"pulse","value":true}"#, #"{"kind":"pulse","value":[1]}"#,
        #"{"kind":"pulse","value":{}}"#, #"{"kind":"pulse","value":1,"unit":1}"#,
        #"{"kind":"pulse","value":1,"flags":"movement"}"#, #"{"kind":"pulse","value":1,"flags":[1]}"#,
        #"{"kind":"pulse","value":1,"flags":[null]}"#, #"{"kind":"pulse","kind":"pulse","value":1}"#,
        #"{"kind":"pulse","value":1e999}"#, #"{"kind":"pulse","value":1,"x":1,"x":1}"#,
        #"{"kind":"pul\u0000se","value":1}"#,
    ])
    func `a malformed reading makes the report malformed`(_ reading: String) {
        let decoded = Decoded(report(reading: reading))
        #expect(decoded.fault?.reason == .malformed)
        #expect(decoded.report.id == Identifier("a"))
    }

    @Test(arguments: [
        "{}", #"{"taken_at":"2026-11-23T08:15:30Z"}"#, #"{"id":1,"taken_at":"2026-11-23T08:15:30Z"}"#,
        #"{"id":"","taken_at":"2026-11-23T08:15:30Z"}"#, #"{"id":"a b","taken_at":"2026-11-23T08:15:30Z"}"#,
        #"{"id":"é","taken_at":"2026-11-23T08:15:30Z"}"#, #"{"id":null,"taken_at":"2026-11-23T08:15:30Z"}"#,
        #"{"id":"a","id":"a","taken_at":"2026-11-23T08:15:30Z"}"#, #"{"id":"a","id":"b"}"#,
        #"{"id":"a","\u0069d":"b"}"#, #"{"id":1,"id":"b"}"#, #"{"id":"a"} x"#, #"{"id":"a""#, #"[{"id":"a"}]"#,
        #"{"id":"a","x":[[[[[[[[0]]]]]]]]}"#, #""a""#, "", "null", "\u{FEFF}{}",
        "{\"id\":\"" + String(repeating: "a", count: 65) + "\"}",
    ])
    func `without exactly one valid id there is none`(_ payload: String) {
        let decoded = Decoded(payload)
        #expect(decoded.fault?.reason == .malformed)
        #expect(decoded.report.id == nil)
    }

    @Test(arguments: [
        #"{"id":"a","taken_at":"2026-11-23T08:15:30Z"}"#,
        #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","readings":[]}"#,
        #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","readings":null,"answers":null,"x":1}"#,
    ])
    func `a report that says nothing is empty`(_ payload: String) {
        let decoded = Decoded(payload)
        #expect(decoded.fault?.reason == .empty)
        #expect(decoded.report.id == Identifier("a"))
    }

    @Test func `malformed goes before empty`() {
        #expect(Decoded(#"{"id":"a","taken_at":"yesterday"}"#).fault?.reason == .malformed)
    }

    @Test func `64 readings and 64 answers fit and one more does not`() {
        func payload(readings: Int, answers: Int) -> String {
            let readings = Array(repeating: #"{"kind":"pulse","value":71}"#, count: readings).joined(separator: ",")
            let answers = Array(repeating: #"{"question":"tired","value":true}"#, count: answers).joined(separator: ",")
            return #"{"id":"a","taken_at":"2026-11-23T08:15:30Z","readings":[\#(readings)],"answers":[\#(answers)]}"#
        }
        let full = Decoded(payload(readings: 64, answers: 64))
        #expect(full.fault == nil)
        #expect(full.report.readings.count == 64 && full.report.answers.count == 64)
        #expect(Decoded(payload(readings: 65, answers: 0)).fault?.detail.hasPrefix("readings has more than 64") == true)
        #expect(Decoded(payload(readings: 1, answers: 65)).fault?.detail.hasPrefix("answers has more than 64") == true)
    }

    @Test func `64 KiB fit and one byte more does not`() {
        let start = report(with: #""x":""#).dropLast()
        let filling = String(repeating: "y", count: ReportDecoder.maximumCount - start.utf8.count - 2)
        #expect(Decoded(start + filling + "\"}").fault == nil)
        let decoded = Decoded(start + filling + "y\"}")
        #expect(decoded.fault?.reason == .malformed)
        #expect(decoded.report.id == nil)
    }

    @Test func `eight levels fit and nine do not`() {
        func nested(_ depth: Int) -> String {
            report(with: #""x":"# + String(repeating: "[", count: depth - 1) + String(repeating: "]", count: depth - 1))
        }
        #expect(Decoded(nested(8)).fault == nil)
        #expect(Decoded(nested(9)).fault?.detail.hasPrefix("nested too deep") == true)
    }

    @Test func `a fault names the field and the byte and nothing that was sent`() {
        let unit = Decoded(
            report(reading: #"{"kind":"pulse","value":71},{"kind":"secret","value":98765,"unit":4321}"#)
        ).fault
        #expect(unit?.detail == "readings[1].unit is not a string at byte 122")
        #expect(Decoded(#"{"id":"a"}"#).fault?.detail == "taken_at is missing at byte 9")
        #expect(Decoded(#"{"id":"a","id":"a"}"#).fault?.detail == "id stands twice at byte 11")
        #expect(
            Decoded(report(with: #""secret":1,"secret":2"#)).fault?.detail.hasPrefix("duplicate key at byte ") == true)
    }

    @Test func `a report cut short anywhere is malformed`() {
        let bytes = Array(exampleReport.utf8)
        var decoder = ReportDecoder()
        for count in 0..<bytes.count {
            let decoded = Decoded(Array(bytes[..<count]), &decoder)
            #expect(decoded.fault?.reason == .malformed, "cut at \(count)")
            #expect(decoded.report.id == nil)
        }
        #expect(Decoded(bytes, &decoder).fault == nil)
    }

    @Test func `random bytes and spoilt reports never trap`() {
        let seed = UInt64.random(in: 0 ... .max)
        print("seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var decoder = ReportDecoder()
        let example = Array(exampleReport.utf8)
        let syntax = Array(#"{}[]",:\u0eE+-.123tfn "#.utf8)
        for round in 0..<20_000 {
            var bytes: [UInt8]
            switch round % 3 {
            case 0:
                bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            case 1:
                bytes = (0..<Int.random(in: 0...80, using: &generator)).map { _ in
                    syntax.randomElement(using: &generator) ?? 0
                }
            default:
                bytes = example
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    bytes[Int.random(in: bytes.indices, using: &generator)] = UInt8.random(
                        in: 0...255, using: &generator)
                }
            }
            let decoded = Decoded(bytes, &decoder)
            // What the report decoder takes is JSON to the general reader as well.
            if decoded.fault == nil {
                #expect(throws: Never.self) { try JSONReader.value(bytes.span) }
                _ = ContentDigest(of: decoded.report)
            } else {
                #expect(decoded.fault?.reason == .malformed || decoded.fault?.reason == .empty)
            }
        }
    }
}
