import Clinical
import Foundation
import Testing

@testable import Documents

@Suite struct PackDocumentTests {
    private func problems(_ bands: String, code: String = "test", head: String? = nil) -> [String] {
        let list = ProblemList()
        let text = (head ?? "code: test\ntitle: A test\n") + bands
        _ = PackDocument.parse(Array(text.utf8), file: "test.yaml", code: code, list)
        return list.refusals.map(\.description)
    }

    private func band(_ kind: String, _ side: String, _ rest: String) -> String {
        "bands:\n  - kind: \(kind)\n    side: \(side)\n    source: a source\n    \(rest)\n"
    }

    @Test func aGoodPack() throws {
        let list = ProblemList()
        let text = """
            code: test
            title: A test
            bands:
              - kind: systolic
                side: high
                unit: kPa
                age_from: 80
                clear_margin: 5
                worse_by: 10
                proposal: true
                source: a source
                red:
                  - { at_or_above: 28, immediate: true, source: another, proposal: false }
                  - { above: 24, times: 2, within: 12h }
                amber: { above: 22 }
            """
        let pack = try #require(PackDocument.parse(Array(text.utf8), file: "test.yaml", code: "test", list))
        let band = try #require(pack.bands.first)
        #expect(list.refusals.isEmpty && pack.isEnabled && pack.contentHash.utf8.count == 64)
        #expect(band.clearMargin == 5 && band.worseBy == 10 && band.applicability.ageFrom == 80)
        #expect(band.limits.map(\.threshold.severity) == [.red, .red, .amber])
        #expect(band.limits.map(\.threshold.occurrences) == [1, 2, 1])
        #expect(band.limits[1].threshold.within == .hours(12))
        #expect(band.limits.map(\.source) == ["another", "a source", "a source"])
        #expect(band.limits.map(\.isProposal) == [false, true, true])
        #expect(abs(band.limits[0].threshold.limit.value - 28 * 7.500615758) < 1e-9)
    }

    /// Each fault at its line, in words that say what to do.
    @Test(arguments: [
        ("spo3", "low", "red: { below: 5 }", 4, "expected one of systolic"),
        ("pulse", "left", "red: { below: 50 }", 5, "expected one of low, high"),
        (
            "pulse", "low", "red: { belwo: 50 }", 7,
            "unknown key \"bands.red.belwo\"; the nearest known key is \"below\""
        ),
        ("pulse", "low", "rde: { below: 50 }", 7, "unknown key \"bands.rde\"; the nearest known key is \"red\""),
        ("pulse", "low", "red: { above: 50 }", 7, "a low side has below or at_or_below"),
        ("pulse", "low", "red: { below: 50, at_or_below: 51 }", 7, "must have either below or at_or_below"),
        ("pulse", "low", "red: { below: 5 }", 7, "no reading of pulse gets there"),
        ("pulse", "low", "red: { below: \"50\" }", 7, "expected a number"),
        ("pulse", "low", "red: { below: 60 }\n    amber: { below: 50 }", 7, "is inverted: red must lie beyond amber"),
        ("pulse", "high", "red: { above: 50 }\n    amber: { above: 60 }", 7, "is inverted"),
        ("pulse", "low", "unit: kg\n    red: { below: 50 }", 8, "pulse is not measured in kg"),
        ("pulse", "low", "news2_scale: 2\n    red: { below: 50 }", 7, "only SpO2 has it"),
        ("pulse", "low", "red: { below: 50, times: 2 }", 7, "times wants within"),
        ("pulse", "low", "red: { below: 50, within: 2h }", 7, "means nothing without times"),
        ("pulse", "low", "amber: { below: 50, immediate: true }", 7, "can be immediate"),
        ("pulse", "low", "red: { below: 1, offset_from: target }", 7, "only inr has a target"),
        ("pulse", "low", "clear_margin: 1", 4, "has neither red nor amber"),
        ("spo2", "low", "news2_scale: 1\n    red: { below: 90 }", 4, "SpO2 follows news2_scale alone"),
        ("glucose", "low", "red: { below: 3 }", 7, "expected a mapping"),
        ("glucose", "low", "red: { below: { mmol/L: 3.9 } }", 7, "mg/dL is missing"),
        ("glucose", "low", "red: { below: { mmol/L: 3.9, mg/dL: 80 } }", 7, "is about 70 mg/dL"),
        ("consciousness", "high", "red: { above: D }", 7, "expected one of A, C, V, P, U"),
    ])
    func faults(kind: String, side: String, rest: String, line: Int, message: String) {
        let found = problems(band(kind, side, rest))
        #expect(found.contains { $0.hasPrefix("test.yaml:\(line): ") && $0.contains(message) }, "\(found)")
    }

    @Test func faultsOfTheWholeFile() {
        let good = band("pulse", "low", "red: { below: 50 }")
        #expect(problems(good).isEmpty)
        #expect(problems(good, code: "other") == ["test.yaml:1: code: is \"test\", but the file is other.yaml"])
        #expect(problems("", head: "") == ["test.yaml: is empty: a protocol pack is expected"])
        let twice = good + good.dropFirst("bands:\n".count)
        #expect(problems(twice).contains { $0.contains("pulse-low stands here twice") })
        let sourceless = good.replacing("    source: a source\n", with: "")
        #expect(problems(sourceless).contains { $0.contains("has no source") })
    }

    @Test func aDirectoryOfPacks() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: "homeward-packs-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        func write(_ name: String, _ bytes: some Sequence<UInt8>) throws {
            try Data(bytes).write(to: directory.appending(path: name))
        }
        func load() -> (library: PackLibrary, problems: [DocumentProblem]) {
            PackLibrary.load(directory: directory.path(percentEncoded: false))
        }
        #expect(load().problems.map(\.message) == ["has no adult.yaml, the pack that holds for everybody"])

        for file in BuiltInPacks.files { try write("\(file.code).yaml", file.bytes) }
        #expect(load().problems.isEmpty && load().library == BuiltInPacks.library())

        // One byte more is another version.
        let copd = try #require(BuiltInPacks.files.first { $0.code == "copd" })
        try write("copd.yaml", copd.bytes + Array("# ours\n".utf8))
        #expect(load().library["copd"]?.contentHash != BuiltInPacks.library()["copd"]?.contentHash)
        #expect(load().library["copd"]?.bands == BuiltInPacks.library()["copd"]?.bands)

        // Low and high of two packs that leave nothing in range.
        let own = "code: own\ntitle: Own\n" + band("pulse", "low", "red: { below: 200 }")
        try write("own.yaml", own.utf8)
        #expect(load().problems.map(\.message).first?.contains("leave nothing in range") == true)
        #expect(load().problems.map(\.line) == [4])
        try write("own.yaml", "code: own\n".utf8)
        #expect(load().problems.map(\.line) == [1, 1])
        try write("own.yml", own.utf8)
        #expect(load().problems.contains { $0.message == "is not read: name it .yaml" })

        let missing = PackLibrary.load(directory: directory.path(percentEncoded: false) + "/none")
        #expect(missing.problems.map(\.message) == ["can't be read: no such file"])
    }
}
