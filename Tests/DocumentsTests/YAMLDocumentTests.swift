import Clinical
import Testing

@testable import Documents

@Suite struct YAMLDocumentTests {
    /// Reads `yaml` as the record of `body`, and gives what it said.
    private func problems(_ yaml: String, _ body: @escaping (MappingReader) -> Void) -> [String] {
        let list = ProblemList()
        guard let node = YAMLDocument.parse(Array(yaml.utf8), file: "a.yaml", list) else {
            return list.inLineOrder.map(\.description)
        }
        _ = DocumentValue<Bool>.record { reader in
            body(reader)
            return true
        }.read(node, DocumentContext(list))
        return list.inLineOrder.map(\.description)
    }

    @Test(arguments: [
        ("a: 1\n\tb: 2\n", "a.yaml:2: a tab can't indent YAML: use spaces"),
        ("a:\n\t- 2\n", "a.yaml:2: a tab can't indent YAML: use spaces"),
        ("a: 1\nb: 2\na: 3\n", "a.yaml:3: the key \"a\" stands here a second time (first in line 1)"),
        (
            "x:\n  - b: 1\n    c: 2\n    b: 3\n",
            "a.yaml:4: the key \"b\" stands here a second time (first in line 2)"
        ),
        ("a: 1\n\"a\": 2\n", "a.yaml:2: the key \"a\" stands here a second time (first in line 1)"),
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document begins here; a file holds one"),
        ("a: &x 1\nb: *x\n", "a.yaml:2: anchors and aliases (& and *) are not read here: write the value out"),
        ("a: !!int \"5\"\n", "a.yaml:1: tags (tag:yaml.org,2002:int) are not read here"),
        ("a: !!str 5\n", "a.yaml:1: tags (tag:yaml.org,2002:str) are not read here"),
        ("a: 1\n? [b]\n: 2\n", "a.yaml:2: a key must be a word"),
        ("a: {b: 1\n", "a.yaml:1: is not YAML: did not find expected ',' or '}'"),
        ("- a\n", "a.yaml:1: expected a mapping, found a list"),
        ("just words", "a.yaml:1: expected a mapping, found \"just words\""),
    ])
    func refused(yaml: String, problem: String) {
        #expect(problems(yaml) { for key in ["a", "b", "x"] { _ = $0[key] } } == [problem])
    }

    @Test func notUTF8IsReportedAtItsLine() {
        let list = ProblemList()
        #expect(YAMLDocument.parse(Array("a: 1\nb: ".utf8) + [0xFF, 0x0A], file: "a.yaml", list) == nil)
        #expect(list.inLineOrder.map(\.description) == ["a.yaml:2: is not UTF-8"])
    }

    @Test(arguments: ["", "\n", "# only a comment\n", "\u{FEFF}", "---\n...\n"])
    func anEmptyFileIsNoDocumentAndNoProblem(yaml: String) {
        let list = ProblemList()
        let node = YAMLDocument.parse(Array(yaml.utf8), file: "a.yaml", list)
        #expect(node == nil || node?.isNull == true)
        #expect(list.inLineOrder.isEmpty)
    }

    @Test func aBillionLaughsAreRefusedBeforeTheyAreComposed() {
        var yaml = "a0: &a0 [x, x]\n"
        for level in 1...60 { yaml += "a\(level): &a\(level) [*a\(level - 1), *a\(level - 1)]\n" }
        yaml += "? *a60\n: 1\n"
        #expect(
            problems(yaml) { _ in } == [
                "a.yaml:2: anchors and aliases (& and *) are not read here: write the value out"
            ])
    }

    @Test(arguments: [33, 200, 1_000, 200_000])
    func deepNestingIsRefusedWithoutRunningOutOfStack(depth: Int) {
        let list = ProblemList()
        let yaml = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        _ = YAMLDocument.parse(Array(yaml.utf8), file: "a.yaml", list)
        #expect(list.inLineOrder.count == 1)
    }

    @Test func aMissingFileIsReported() {
        let list = ProblemList()
        #expect(YAMLDocument.read(path: "/nonexistent/a.yaml", list) == nil)
        #expect(list.inLineOrder.map(\.description) == ["/nonexistent/a.yaml: can't be read: no such file"])
    }

    @Test func aDirectoryIsReported() {
        let list = ProblemList()
        #expect(YAMLDocument.read(path: "/tmp", list) == nil)
        #expect(list.inLineOrder.map(\.description) == ["/tmp: can't be read: is a directory"])
    }

    @Test func ampersandsAndStarsInTextAreText() {
        let text = "a: \"R&D *now*\" # *x\nb: https://h/?a=1&now=2\n"
        var values: [String?] = []
        let found = problems(text) { values = [$0.optional("a", .text), $0.optional("b", .text)] }
        #expect(found == [])
        #expect(values == ["R&D *now*", "https://h/?a=1&now=2"])
    }

    @Test func unknownKeysNameTheNearestAndEveryProblemIsTold() {
        let yaml = "hots: x\nport: seventy\nnested:\n  bade: 1\n"
        let found = problems(yaml) { reader in
            _ = reader.required("host", .text)
            _ = reader.optional("port", .integer(in: 1...65535))
            _ = reader.optional("nested", .record { $0.required("bad", .number) })
        }
        #expect(
            found == [
                "a.yaml:1: host is missing",
                "a.yaml:1: unknown key \"hots\"; the nearest known key is \"host\"",
                "a.yaml:2: port: expected a whole number from 1 to 65535, found \"seventy\"",
                "a.yaml:4: nested.bad is missing",
                "a.yaml:4: unknown key \"nested.bade\"; the nearest known key is \"bad\"",
            ])
    }

    @Test func whatIsWithheldIsNotQuoted() {
        let found = problems("born: 1948-13-02\nphone: 447700900123\n") { reader in
            _ = reader.optional("born", .date.withheld)
            _ = reader.optional("phone", .text.withheld)
        }
        #expect(
            found == [
                "a.yaml:1: born: expected a date as YYYY-MM-DD, found text",
                "a.yaml:2: phone: expected text, found a number: put it in quotes",
            ])
    }
}

@Suite struct PlainScalarTests {
    @Test(
        arguments: [
            ("true", .boolean(true)), ("FALSE", .boolean(false)), ("null", .null), ("~", .null), ("5", .number(5)),
            ("-1.5e3", .number(-1500)), ("0", .number(0)), ("0.5", .number(0.5)),
            ("no", .string("no", quoted: false)), ("off", .string("off", quoted: false)),
            ("y", .string("y", quoted: false)), ("22:30", .string("22:30", quoted: false)),
            ("1:30:00", .string("1:30:00", quoted: false)), ("010", .string("010", quoted: false)),
            ("0x1F", .string("0x1F", quoted: false)), ("1_000", .string("1_000", quoted: false)),
            (".nan", .string(".nan", quoted: false)), ("-.inf", .string("-.inf", quoted: false)),
            ("1e999", .string("1e999", quoted: false)), ("1.", .string("1.", quoted: false)),
            ("+5", .string("+5", quoted: false)), ("2026-12-24", .string("2026-12-24", quoted: false)),
        ] as [(String, DocumentNode.Content)])
    func meaning(text: String, content: DocumentNode.Content) {
        #expect(PlainScalar.content(of: text) == content)
    }

    @Test(arguments: ["010", "0x1F", "0o17", "1_000", "+5", ".5", ".nan", "-.inf", "1e999", "1.", "+447700900123"])
    func looksLikeANumber(text: String) { #expect(PlainScalar.looksLikeANumber(text)) }

    @Test(arguments: ["no", "22:30", "2026-12-24", "127.0.0.1", "2s", "P0001", "1GiB", "e5", ".", "-", "5.0.1"])
    func isText(text: String) { #expect(!PlainScalar.looksLikeANumber(text)) }
}

@Suite struct DocumentValueTests {
    private func read<Value>(_ yaml: String, _ type: DocumentValue<Value>) -> (Value?, [String]) {
        let list = ProblemList()
        guard let node = YAMLDocument.parse(Array(yaml.utf8), file: "a", list) else { return (nil, ["no document"]) }
        return (type.read(node, DocumentContext(list)), list.inLineOrder.map(\.description))
    }

    @Test(
        arguments: [
            ("2s", 2), ("0m", 0), ("15m", 900), ("4h", 14400), ("7d", 604_800), ("36500d", 3_153_600_000),
        ] as [(String, Int64)])
    func duration(text: String, seconds: Int64) { #expect(read(text, .duration).0 == .seconds(seconds)) }

    @Test(arguments: ["30", "-1s", "1.5h", "s", "1w", "2 s", "36501d", "9223372036854775807d", "15M"])
    func notADuration(text: String) {
        let (value, problems) = read(text, .duration)
        #expect(value == nil)
        #expect(problems.count == 1 && problems[0].contains("a length of time such as 2s, 15m, 4h or 7d"))
    }

    @Test(arguments: [("512KiB", 524_288), ("64MiB", 67_108_864), ("1GiB", 1_073_741_824)] as [(String, Int64)])
    func size(text: String, bytes: Int64) { #expect(read(text, .size).0 == bytes) }

    @Test(arguments: ["1GB", "1024", "-1GiB", "9223372036854775807KiB", "GiB", "1.5GiB"])
    func notASize(text: String) { #expect(read(text, .size).0 == nil) }

    @Test(arguments: [("22:30", 1350), ("\"00:00\"", 0), ("23:59", 1439)])
    func clockTime(text: String, minutes: Int) { #expect(read(text, .clockTime).0 == minutes) }

    @Test(arguments: ["24:00", "9:00", "09:60", "0900", "+9:00", "09:00:00"])
    func notAClockTime(text: String) { #expect(read(text, .clockTime).0 == nil) }

    @Test(arguments: ["2026-02-29", "2026-13-01", "26-01-01", "2026-1-1", "2026-01-01T00:00:00Z", "+026-01-01"])
    func notADate(text: String) { #expect(read(text, .date).0 == nil) }

    @Test func leapDay() { #expect(read("2028-02-29", .date).0 == CalendarDate(year: 2028, month: 2, day: 29)) }

    @Test(arguments: ["1.5", "1e300", "010", ".inf", "\"5\"", "true", "70000", "-1"])
    func notAPort(text: String) { #expect(read(text, .integer(in: 1...65535)).0 == nil) }

    @Test(arguments: ["yes", "on", "1", "\"true\""])
    func notABoolean(text: String) { #expect(read(text, .boolean).0 == nil) }

    @Test(arguments: ["true", "5", "010", "\"\"", "[a]", "0607230002"])
    func notText(text: String) { #expect(read(text, .text).0 == nil) }

    @Test(arguments: ["a b", "näh", String(repeating: "x", count: 65)])
    func notACode(text: String) { #expect(read(text, .identifier).0 == nil) }

    @Test func everyBadElementIsToldAtItsLine() {
        let (value, problems) = read("- spo2\n- puls\n- weight\n- 5\n", .list(of: .kind))
        #expect(value == [.spo2, .weight])
        #expect(problems.map { String($0.prefix(4)) } == ["a:2:", "a:4:"])
    }
}
