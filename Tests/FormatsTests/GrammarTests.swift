import Clinical
import Formats
import Testing

/// One JSON text by the naming of the JSON parsing test suite: `y` is to be accepted, `n` breaks RFC 8259, `i` is
/// left to the implementation by the RFC and refused by the contract, with the reason that we give.
struct GrammarCase: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var problem: JSONFault.Problem?

    var testDescription: String { name }

    static func y(_ name: String, _ text: String) -> GrammarCase {
        GrammarCase(name: "y_" + name, bytes: Array(text.utf8))
    }
    static func n(_ name: String, _ text: String, _ problem: JSONFault.Problem = .unexpectedByte) -> GrammarCase {
        GrammarCase(name: "n_" + name, bytes: Array(text.utf8), problem: problem)
    }
    static func n(_ name: String, _ bytes: [UInt8], _ problem: JSONFault.Problem) -> GrammarCase {
        GrammarCase(name: "n_" + name, bytes: bytes, problem: problem)
    }
    static func i(_ name: String, _ text: String, _ problem: JSONFault.Problem) -> GrammarCase {
        GrammarCase(name: "i_" + name, bytes: Array(text.utf8), problem: problem)
    }

    /// `bytes` as the inside of a string.
    static func quoted(_ name: String, _ bytes: [UInt8], _ problem: JSONFault.Problem?) -> GrammarCase {
        GrammarCase(name: name, bytes: [0x22] + bytes + [0x22], problem: problem)
    }

    static let structure: [GrammarCase] = [
        .y("array_empty", "[]"), .y("array_space", "[ ]"), .y("object_empty", "{}"), .y("object_space", " {\t\r\n} "),
        .y("array_nested", "[[[[[[[[]]]]]]]]"), .y("array_of_all", #"[null,1,"1",{},[],true,false]"#),
        .y("space_everywhere", " [ 1 , 2 ] "), .y("object_basic", #"{"asd":"sdf"}"#),
        .y("object_empty_key", #"{"":0}"#),
        .y("object_keys_by_case", #"{"id":1,"ID":2}"#), .y("lonely_true", "true"), .y("lonely_null", "null"),
        .y("lonely_int", "42"), .y("lonely_string", #""asd""#), .y("same_key_in_two_objects", #"[{"a":1},{"a":2}]"#),
        .y("same_key_by_depth", #"{"a":{"a":{"a":1}}}"#),
        .n("empty", "", .unexpectedEnd), .n("space_only", " \n", .unexpectedEnd), .n("open_array", "[", .unexpectedEnd),
        .n("open_object", "{", .unexpectedEnd), .n("close_only", "]"), .n("array_wrong_end", "[1}"),
        .n("object_wrong_end", #"{"a":1]"#), .n("array_comma_end", "[1,]"), .n("array_comma_only", "[,]"),
        .n("array_two_commas", "[1,,2]"), .n("array_comma_first", "[,1]"), .n("array_no_comma", "[1 2]"),
        .n("array_colon", #"["":1]"#), .n("object_comma_end", #"{"a":1,}"#), .n("object_comma_only", "{,}"),
        .n("object_two_commas", #"{"a":1,,"b":2}"#), .n("object_no_colon", #"{"a" 1}"#),
        .n("object_two_colons", #"{"a"::1}"#), .n("object_no_value", #"{"a":}"#), .n("object_key_bare", "{a:1}"),
        .n("object_key_single_quotes", "{'a':1}"), .n("object_key_number", "{1:1}"), .n("object_key_null", "{null:1}"),
        .n("object_comma_for_colon", #"{"a",1}"#), .n("two_values", "[][]", .bytesAfterEnd),
        .n("comma_after", "[],", .bytesAfterEnd), .n("nul_after", "[]\0", .bytesAfterEnd),
        .n("garbage_after", #"{"a":1}#"#, .bytesAfterEnd), .n("comment", "[/* */]"),
        .n("line_comment", "[] // end", .bytesAfterEnd),
        .n("literal_short", "[nul]"), .n("literal_cut", "[tru", .unexpectedEnd), .n("literal_long", "[nulll]"),
        .n("literal_capital", "[True]"), .n("nan", "[NaN]"), .n("infinity", "[Infinity]"), .n("undefined", "undefined"),
        .n("form_feed", "[\u{0C}]"), .n("no_break_space", "[\u{A0}]"), .n("too_deep", "[[[[[[[[[]]]]]]]]]", .tooDeep),
        .n("deep_unclosed", String(repeating: "[", count: 60_000), .tooDeep),
        .n("deep_objects", String(repeating: #"{"a":"#, count: 10_000), .tooDeep),
        .n("byte_order_mark", [0xEF, 0xBB, 0xBF, 0x7B, 0x7D], .byteOrderMark),
        .n("utf16_little", [0x5B, 0x00, 0x5D, 0x00], .unexpectedByte),
        .n("utf16_big", [0x00, 0x5B, 0x00, 0x5D], .unexpectedByte),
        .i("duplicate_key", #"{"a":1,"a":1}"#, .duplicateKey),
        .i("duplicate_key_apart", #"{"a":1,"b":2,"a":3}"#, .duplicateKey),
        .i("duplicate_key_escaped", #"{"a":1,"\u0061":2}"#, .duplicateKey),
        .i("duplicate_key_deep", #"[{"x":[{"a":1,"a":2}]}]"#, .duplicateKey),
        .i("duplicate_empty_key", #"{"":1,"":2}"#, .duplicateKey),
        .i("duplicate_solidus", #"{"/":1,"\/":2}"#, .duplicateKey),
        .i("duplicate_astral", #"{"😀":1,"\ud83d\ude00":2}"#, .duplicateKey),
        // Equal to Swift's String, not equal as JSON names.
        .y("keys_canonically_equivalent", "{\"\u{E9}\":1,\"e\u{301}\":2}"),
    ]

    static let numbers: [GrammarCase] = [
        .y("zero", "[0]"), .y("minus_zero", "[-0]"), .y("int", "[123]"), .y("negative", "[-123]"),
        .y("real", "[123.456789]"),
        .y("exponent", "[1e1]"), .y("exponent_capital", "[1E22]"), .y("exponent_plus", "[1E+2]"),
        .y("exponent_minus", "[1E-2]"),
        .y("zero_exponent", "[0e1]"), .y("exponent_zeros", "[1e0000]"),
        .y("fraction_zeros", "[1.000000000000000000000000]"),
        .y("denormal", "[4.9e-324]"), .y("largest", "[1.7976931348623157e308]"),
        .y("too_small_is_zero", "[1e-400]"), .y("huge_exponent_of_zero", "[0e999999999999]"),
        .y("twenty_digits", "[20000000000000000000]"), .y("long", "[" + String(repeating: "7", count: 300) + "]"),
        .n("plus", "[+1]"), .n("leading_zero", "[012]", .badNumber), .n("minus_leading_zero", "[-012]", .badNumber),
        .n("minus_only", "[-]", .badNumber), .n("minus_space", "[- 1]", .badNumber),
        .n("two_minus", "[--1]", .badNumber),
        .n("point_first", "[.5]"), .n("point_last", "[1.]", .badNumber), .n("minus_point", "[-.5]", .badNumber),
        .n("two_points", "[1.2.3]"), .n("exponent_empty", "[1e]", .badNumber),
        .n("exponent_sign_only", "[1e+]", .badNumber),
        .n("exponent_point", "[1e1.5]"), .n("exponent_first", "[e1]"), .n("point_exponent", "[1.e1]", .badNumber),
        .n("hexadecimal", "[0x1]"), .n("with_letter", "[1a]"), .n("with_comma", "[1,000]", .badNumber),
        .n("full_width_digit", "[\u{FF11}]"), .n("cut_minus", "-", .unexpectedEnd),
        .n("cut_point", "1.", .unexpectedEnd),
        .n("cut_exponent", "1e", .unexpectedEnd), .n("minus_infinity", "[-Infinity]", .badNumber),
        .i("overflow", "[1e400]", .numberOutOfRange), .i("overflow_negative", "[-1e400]", .numberOutOfRange),
        .i("overflow_far", "[1e99999999999999999999]", .numberOutOfRange),
        .i("overflow_digits", "[" + String(repeating: "9", count: 400) + "]", .numberOutOfRange),
        .i("overflow_rounding", "[1.7976931348623159e308]", .numberOutOfRange),
    ]

    static let strings: [GrammarCase] = [
        .y("escapes", #"["\"\\\/\b\f\n\r\t"]"#), .y("unicode_escape", #"["\u0060\u012a\uABcd"]"#),
        .y("surrogate_pair", #"["\uD834\udd1e"]"#), .y("noncharacter", #"["\uFFFF\uFDD0"]"#),
        .y("delete", "[\"\u{7F}\"]"),
        .y("line_separators", "[\"\u{2028}\u{2029}\"]"), .y("escaped_control", #"["\u0001\u001f"]"#),
        .y("reversed_solidus_pair", #"["\\u0000"]"#),
        .quoted("y_two_bytes", [0xC2, 0x80, 0xDF, 0xBF], nil),
        .quoted("y_three_bytes", [0xE0, 0xA0, 0x80, 0xEF, 0xBF, 0xBF], nil),
        .quoted("y_around_surrogates", [0xED, 0x9F, 0xBF, 0xEE, 0x80, 0x80], nil),
        .quoted("y_four_bytes", [0xF0, 0x90, 0x80, 0x80, 0xF4, 0x8F, 0xBF, 0xBF], nil),
        .n("raw_newline", "[\"a\nb\"]", .controlCharacter), .n("raw_tab", "[\"\t\"]", .controlCharacter),
        .n("raw_nul", "[\"a\0b\"]", .controlCharacter), .n("unit_separator", "[\"\u{1F}\"]", .controlCharacter),
        .n("unclosed", #"["a"#, .unexpectedEnd), .n("escape_end", #"["\"#, .unexpectedEnd),
        .n("escaped_quote_end", #"["\"]"#, .unexpectedEnd),
        .n("escape_x", #"["\x00"]"#, .badEscape), .n("escape_capital_u", #"["\U0061"]"#, .badEscape),
        .n("escape_single_quote", #"["\'"]"#, .badEscape), .n("escape_astral", #"["\😀"]"#, .badEscape),
        .n("unicode_short", #"["\u00A"]"#, .badEscape), .n("unicode_not_hexadecimal", #"["\u00g0"]"#, .badEscape),
        .n("unicode_sign", #"["\u+123"]"#, .badEscape), .n("unicode_cut", #"["\u00"#, .unexpectedEnd),
        .n("surrogate_then_bad_escape", #"["\ud834\u12"]"#, .badEscape), .n("single_quotes", "['a']"),
        .quoted("n_lone_continuation", [0x80], .invalidUTF8), .quoted("n_overlong_2", [0xC0, 0xAF], .invalidUTF8),
        .quoted("n_overlong_2_high", [0xC1, 0xBF], .invalidUTF8),
        .quoted("n_overlong_3", [0xE0, 0x80, 0xAF], .invalidUTF8),
        .quoted("n_overlong_4", [0xF0, 0x80, 0x80, 0xAF], .invalidUTF8),
        .quoted("n_surrogate", [0xED, 0xA0, 0x80], .invalidUTF8),
        .quoted("n_beyond_10FFFF", [0xF4, 0x90, 0x80, 0x80], .invalidUTF8),
        .quoted("n_five_bytes", [0xF8, 0x88, 0x80, 0x80, 0x80], .invalidUTF8),
        .quoted("n_ff", [0xFF], .invalidUTF8), .quoted("n_cut_2", [0xC3], .invalidUTF8),
        .quoted("n_cut_3", [0xE2, 0x82], .invalidUTF8),
        .quoted("n_cut_4", [0xF0, 0x9F, 0x98], .invalidUTF8),
        .quoted("n_latin_1", [0x63, 0x61, 0x66, 0xE9], .invalidUTF8),
        .quoted("n_behind_eight", Array("abcdefgh".utf8) + [0xC3, 0x28], .invalidUTF8),
        .n("invalid_utf8_outside", [0x5B, 0xFF, 0x5D], .unexpectedByte),
        .i("nul", #"["\u0000"]"#, .nulCharacter), .i("nul_in_key", #"{"\u0000":1}"#, .nulCharacter),
        .i("lone_high", #"["\uD800"]"#, .loneSurrogate), .i("lone_low", #"["\uDFFF"]"#, .loneSurrogate),
        .i("high_and_letter", #"["\uD800a"]"#, .loneSurrogate), .i("two_highs", #"["\uD800\uD800"]"#, .loneSurrogate),
        .i("low_and_high", #"["\uDC00\uD800"]"#, .loneSurrogate),
        .i("high_and_newline", #"["\uD800\n"]"#, .loneSurrogate),
        .i("lone_in_key", #"{"\uDADA":1}"#, .loneSurrogate),
    ]
}

@Suite struct GrammarTests {
    @Test(arguments: GrammarCase.structure + GrammarCase.numbers + GrammarCase.strings)
    func `the reader accepts and refuses as the grammar says`(_ sample: GrammarCase) {
        var problem: JSONFault.Problem?
        do throws(JSONFault) { _ = try JSONReader.value(sample.bytes.span) } catch { problem = error.problem }
        #expect(problem == sample.problem)
    }

    /// The same texts as the value of a field that the decoder does not know: ignored, but never unread.
    @Test(arguments: GrammarCase.structure + GrammarCase.numbers + GrammarCase.strings)
    func `an unknown field's value is checked by the same grammar`(_ sample: GrammarCase) {
        // Two containers less fit, the report's own and none of the list's; texts that end in an open container
        // would swallow the report's end.
        guard sample.problem != .unexpectedEnd, sample.problem != .bytesAfterEnd, sample.problem != .byteOrderMark,
            sample.name != "y_array_nested"
        else { return }
        let bytes = Array(report(with: #""x":"#).utf8).dropLast() + sample.bytes + [0x7D]
        let decoded = Decoded(Array(bytes))
        #expect((decoded.fault == nil) == (sample.problem == nil))
        if sample.problem != nil { #expect(decoded.fault?.reason == .malformed) }
        // An id is read only out of well-formed JSON.
        #expect((decoded.report.id != nil) == !sample.name.hasPrefix("n_"))
    }

    @Test(arguments: [
        ("[1]", JSONValue.array([.number(1)])), (#"{"b":null,"a":true}"#, .object([("a", .bool(true)), ("b", .null)])),
        (#""\u00e9\ud83d\ude00\n""#, .string("é😀\n")), ("-0.5e1", .number(-5)),
        ("9007199254740993", .number(9_007_199_254_740_992)), ("0.1", .number(0.1)),
        ("1e-400", .number(0)), ("123456789012345678901234567890", .number(1.2345678901234568e29)),
        ("1.7976931348623157e308", .number(Double.greatestFiniteMagnitude)),
        ("5e-324", .number(.leastNonzeroMagnitude)),
        ("8.988465674311580e307", .number(8.98846567431158e307)), ("98.6", .number(98.6)),
    ])
    func `values come out as written`(_ text: String, _ expected: JSONValue) throws {
        #expect(try JSONReader.value(Array(text.utf8).span) == expected)
    }

    @Test func `members give each value's raw bytes`() throws {
        let line = #" {"topic":"t/1", "payload" : {"a":[1, 2],"a":"\ud800"} ,"retained":true, "raw":"x\"y" }"#
        let bytes = Array(line.utf8)
        let members = try JSONReader.members(bytes.span)
        #expect(members.map(\.name) == ["topic", "payload", "retained", "raw"])
        let texts = members.map { String(decoding: bytes[$0.range], as: UTF8.self) }
        #expect(texts == [#""t/1""#, #"{"a":[1, 2],"a":"\ud800"}"#, "true", #""x\"y""#])
    }

    @Test(arguments: [#"{"a":"#, "[", "[[],"]) func `members of any depth`(_ opening: String) throws {
        let closing = opening.hasPrefix("{") ? "}" : "]"
        let deep = String(repeating: opening, count: 100_000) + "1" + String(repeating: closing, count: 100_000)
        let bytes = Array(#"{"first":0,"deep":\#(deep),"last":{"a":[]}}"#.utf8)
        let members = try JSONReader.members(bytes.span)
        #expect(members.map(\.name) == ["first", "deep", "last"])
        #expect(members[1].range.count == deep.utf8.count)
        #expect { try JSONReader.members(Array(bytes.dropLast(30)).span) } throws: {
            ($0 as? JSONFault)?.problem == .unexpectedEnd
        }
    }

    @Test(
        arguments: [
            (#""""#, []), (#""a\n\u00e9\ud83d\ude00""#, Array("a\né😀".utf8)), (#""\u0000""#, [0]),
            (#""\ud800x""#, [0xED, 0xA0, 0x80, 0x78]), (#""\udfff""#, [0xED, 0xBF, 0xBF]),
        ] as [(String, [UInt8])])
    func `a string's text, whatever it is`(_ string: String, _ expected: [UInt8]) throws {
        #expect(try JSONReader.text(Array(string.utf8).span) == expected)
    }

    @Test(arguments: ["", "1", #""a"#, #""a"b"#, #""\x""#]) func `text is of a string alone`(_ text: String) {
        #expect(throws: JSONFault.self) { try JSONReader.text(Array(text.utf8).span) }
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, JSONFault.Problem.duplicateKey), (#"{"a":{"b":}}"#, .unexpectedByte), ("[]", .notAnObject),
        ("", .unexpectedEnd), (#"{"a":1} x"#, .bytesAfterEnd), (#"{"\ud800":1}"#, .loneSurrogate),
    ])
    func `members refuse what is no object of distinct names`(_ text: String, _ problem: JSONFault.Problem) {
        #expect { try JSONReader.members(Array(text.utf8).span) } throws: { ($0 as? JSONFault)?.problem == problem }
    }

    @Test func `many names are compared too`() {
        let names = (0..<5000).map { "\"k\($0)\":0" }
        let distinct = "{" + names.joined(separator: ",") + "}"
        let repeated = "{" + (names + ["\"k77\":1"]).joined(separator: ",") + "}"
        #expect(throws: Never.self) { try JSONReader.value(Array(distinct.utf8).span) }
        let offset = Array(distinct.utf8).count + 1
        #expect(throws: JSONFault(.duplicateKey, at: offset)) { try JSONReader.value(Array(repeated.utf8).span) }
    }
}
