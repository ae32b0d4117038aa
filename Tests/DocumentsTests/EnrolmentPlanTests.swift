import Formats
import Foundation
import Registry
import Testing

@testable import Documents

@Suite struct EnrolmentPlanTests {
    private static let key = RegistryKey(entity: .patient, code: "P0001")

    private static func file(_ fields: [String: FieldValue]) -> [RegistryEntry] {
        [RegistryEntry(key: key, fields: fields)]
    }

    /// value in the file, in the database, last loaded -> what is to be done; nil is a field that is not there.
    @Test(
        arguments: [
            ("new", nil, nil, "write"),
            ("same", "same", "same", "keep"),
            ("same", "same", nil, "keep"),
            ("same", "same", "older", "keep"),
            ("new", "old", "old", "write"),
            ("new", "theirs", "old", "conflict"),
            ("old", "theirs", "old", "conflict"),
            ("new", "theirs", nil, "conflict"),
            ("old", nil, "old", "conflict"),
        ] as [(String, String?, String?, String)])
    func oneField(file: String, current: String?, loaded: String?, expected: String) {
        var fields: [String: StoredField] = ["other": StoredField(value: .number(1), loaded: .number(1))]
        if current != nil || loaded != nil {
            fields["name"] = StoredField(
                value: current.map { .string($0) } ?? .null, loaded: loaded.map { .string($0) })
        }
        let entries = Self.file(["name": .string(file)])
        let plan = EnrolmentPlan(files: entries, stored: [Self.key: fields])
        #expect(plan.isClean == (expected != "conflict"))
        #expect(plan.changes.flatMap { $0.fields.keys } == (expected == "write" ? ["name"] : []))
        #expect(plan.loaded[Self.key]?["name"] == (expected == "conflict" ? nil : .string(file)))
        #expect(plan.unchanged == (expected == "keep" ? [Self.key] : []))
        let replacing = EnrolmentPlan(files: entries, stored: [Self.key: fields], replace: true)
        #expect(replacing.isClean)
        #expect(replacing.changes.isEmpty == (expected == "keep"))
    }

    @Test func aNewEntryIsAddedWhole() {
        let plan = EnrolmentPlan(files: Self.file(["name": .string("A"), "risk": .string("high")]), stored: [:])
        #expect(plan.changes.map(\.sort) == [.add])
        #expect(plan.lines == ["add patient P0001 (name, risk)", "1 to add, 0 to update, 0 unchanged"])
    }

    @Test func theWordsNameFieldsAndNoValues() throws {
        let entries = try RegistryFile.parse(
            Array("patients:\n  - code: P0001\n    name: Secret\n    risk: high\n".utf8), file: "r.yaml")
        let plan = EnrolmentPlan(
            files: entries,
            stored: [
                Self.key: [
                    "name": StoredField(value: .string("Theirs"), loaded: .string("Older")),
                    "risk": StoredField(value: .string("standard"), loaded: .string("standard")),
                ]
            ])
        #expect(
            plan.lines == [
                "update patient P0001: risk",
                "r.yaml:3: name of patient P0001 was changed elsewhere since it was last loaded",
                "0 to add, 1 to update, 0 unchanged, 1 changed elsewhere",
            ])
    }

    @Test func aListReplacesThatListAndAbsenceDeletesNothing() {
        let stored: [String: StoredField] = [
            "limits": StoredField(value: .array([.number(1), .number(2)]), loaded: .array([.number(1), .number(2)])),
            "name": StoredField(value: .string("A"), loaded: .string("A")),
        ]
        let files = Self.file(["limits": .array([.number(3)])])
        let merged = EnrolmentPlan.merged(files: files, stored: [Self.key: stored])
        #expect(merged.map(\.fields) == [["limits": .array([.number(3)]), "name": .string("A")]])
    }

    /// Loads and edits from elsewhere in any order against a model that remembers who wrote last: an edit from
    /// elsewhere is never lost without `replace`, and a load without conflicts leaves exactly the file's values.
    @Test(arguments: 0..<40)
    func anEditFromElsewhereIsNeverLost(seed: UInt64) {
        var random = SplitMix(state: seed)
        var stored: [RegistryKey: [String: StoredField]] = [:]
        // The model: what the last load left, and what others have put in its place since. A value that was put back
        // is no change.
        var left: [String: FieldValue] = [:]
        var elsewhere: [String: FieldValue] = [:]
        let names = ["a", "b", "c"]
        for _ in 0..<200 {
            if random.next() % 3 == 0, let name = names.randomElement(using: &random), stored[Self.key] != nil {
                let value = FieldValue.number(Double(random.next() % 4))
                let before = stored[Self.key]?[name]
                stored[Self.key]?[name] = StoredField(value: value, loaded: before?.loaded)
                elsewhere[name] = left[name] == value ? nil : value
                continue
            }
            var fields: [String: FieldValue] = [:]
            for name in names where random.next() % 2 == 0 { fields[name] = .number(Double(random.next() % 4)) }
            let replace = random.next() % 5 == 0
            let plan = EnrolmentPlan(files: Self.file(fields), stored: stored, replace: replace)
            guard plan.isClean else {
                #expect(!replace, "seed \(seed)")
                continue
            }
            for change in plan.changes {
                for (name, value) in change.fields {
                    let lost = elsewhere[name].map { $0 != value } ?? false
                    #expect(replace || !lost, "seed \(seed): \(name)")
                    stored[change.key, default: [:]][name] = StoredField(value: value, loaded: value)
                }
            }
            for (key, settled) in plan.loaded {
                for (name, value) in settled { stored[key, default: [:]][name]?.loaded = value }
            }
            for (name, value) in fields {
                #expect(stored[Self.key]?[name]?.value == value, "seed \(seed)")
                left[name] = value
                elsewhere[name] = nil
            }
        }
    }
}

/// A small seeded generator (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

@Suite struct FieldValueTests {
    private func random(_ generator: inout SplitMix, depth: Int) -> FieldValue {
        switch generator.next() % (depth > 0 ? 6 : 4) {
        case 0: .null
        case 1: .boolean(generator.next() % 2 == 0)
        case 2:
            generator.next() % 2 == 0
                ? .number(Double(Int32(truncatingIfNeeded: generator.next())))
                : .number(Double(generator.next() % 1_000_000) / 997)
        case 3: .string(["", "no", "5", "true", "null", "Grüße \"x\" \\ \n\u{1}", "😀"][Int(generator.next() % 7)])
        case 4: .array((0..<(generator.next() % 4)).map { _ in random(&generator, depth: depth - 1) })
        default:
            .object(
                Dictionary(
                    (0..<(generator.next() % 4)).map { ("k\($0)", random(&generator, depth: depth - 1)) },
                    uniquingKeysWith: { first, _ in first }))
        }
    }

    @Test(arguments: 0..<200)
    func survivesJSON(seed: UInt64) throws {
        var generator = SplitMix(state: seed)
        let value = random(&generator, depth: 4)
        var writer = JSONWriter()
        writer.fields(["value": value])
        let json = try JSONReader.value(writer.bytes.span, maximumDepth: 64)
        #expect(FieldValue(json) == .object(["value": value]), "seed \(seed)")
    }

    @Test func survivesARegistryFile() throws {
        let entries = try RegistryFile.parse(Array(RegistryBuilderTests.example.utf8), file: "r.yaml")
        let stored = try entries.map { entry in
            var writer = JSONWriter()
            writer.fields(entry.fields)
            guard case .object(let fields) = FieldValue(try JSONReader.value(writer.bytes.span, maximumDepth: 64))
            else {
                throw DocumentProblems([])
            }
            return RegistryEntry(key: entry.key, fields: fields)
        }
        #expect(stored == entries)
        let outcome = RegistryBuilder(packs: testPacks).build(stored)
        #expect(outcome.problems == [])
        #expect(outcome.registry.patients == RegistryBuilder(packs: testPacks).build(entries).registry.patients)
    }
}

@Suite struct NHSNumberTests {
    /// uk-fci/nhs-number (MIT) and the NHS Data Dictionary's examples.
    @Test(arguments: [
        ("9434765919", NHSNumber.Verdict.test), ("9434765870", .test), ("9876543210", .test),
        ("4010232137", .issued), ("4505577104", .issued), ("9990000018", .test), ("9990000026", .test),
        ("9990000034", .test), ("9990000042", .test), ("9990000050", .test), ("9990000069", .test),
        ("9990000077", .test), ("9990000085", .test), ("9990000093", .test), ("4000000632", .issued),
        ("0607230002", .issued), ("9990000190", .test), ("9990000220", .test),
        ("9434765918", .wrongCheckDigit), ("1234567890", .wrongCheckDigit), ("4857773456", .wrongCheckDigit),
        ("0000000000", .neverIssued), ("1111111111", .neverIssued), ("5555555555", .neverIssued),
        ("8888888888", .neverIssued), ("", .malformed), ("999000001", .malformed), ("99900000180", .malformed),
        ("999000001x", .malformed), ("999 000 0018", .test),
    ])
    func verdict(text: String, expected: NHSNumber.Verdict) { #expect(NHSNumber.verdict(on: text) == expected) }

    /// The check digit of these would be 10, which is none: no last digit makes them valid.
    @Test(arguments: ["999000000", "999000014", "999000028", "999000031", "999000045"])
    func noCheckDigit(prefix: String) {
        #expect((0...9).allSatisfy { NHSNumber.verdict(on: "\(prefix)\($0)") == .wrongCheckDigit })
    }

    @Test func spacesAreDropped() { #expect(NHSNumber.normalized("999 000 0018") == "9990000018") }
}
