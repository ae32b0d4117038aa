import Foundation
import Testing

/// What the guides say of the tests is so.
@Suite struct DocumentTests {
    private static let catalog = "Sources/HomewardDaemon/HomewardDaemon.docc"

    private static func text(of page: String) throws -> String {
        try String(contentsOf: SourceTree.root.appending(path: "\(catalog)/\(page).md"), encoding: .utf8)
    }

    /// The pages whose tables end in a column "shown by", and how many such rows each has at least.
    @Test(arguments: [("WhatHappensWhen", 20), ("HowAlertsAreDecided", 10), ("ClinicalSafety", 50)])
    func `each row that is shown by a test names one that is there`(page: String, least: Int) throws {
        let rows = Self.shownRows(in: try Self.text(of: page))
        #expect(rows.count > least)
        let code = try SourceTree.swiftFiles(under: "Tests").flatMap(\.lines)
        let tests = Set(code.compactMap(Self.testName))
        let suites = Set(code.compactMap { $0.firstMatch(of: /struct ([A-Za-z0-9]+Tests)\b/).map { String($0.1) } })
        for row in rows {
            let names = try #require(row.last).matches(of: /`([^`]+)`/).map { String($0.1) }
            #expect(!names.isEmpty, "no test in: \(row)")
            for name in names { #expect(tests.contains(name) || suites.contains(name), "no such test: \(name)") }
        }
    }

    /// So that what a reader of the guide copies is what the tests ran.
    @Test(arguments: ["reader.py", "reader.sh"])
    func `the device maker's guide shows the clients as they are`(file: String) throws {
        let client = try String(contentsOf: SourceTree.root.appending(path: "deploy/clients/\(file)"), encoding: .utf8)
        #expect(try Self.text(of: "DeviceMakersGuide").contains("\n\(client)```\n"))
        #expect(client.count { $0 == "\n" } <= 60)
    }

    /// Every hazard has what a hazard log asks for, and at least one control that a test shows.
    @Test func `each hazard has its cause, effect, risks and controls`() throws {
        let text = try Self.text(of: "ClinicalSafety")
        let matrix = Self.riskMatrix(in: text)
        #expect(matrix.count == 5)
        let hazards = text.split(separator: "\n### ").dropFirst()
            .filter { $0.hasPrefix("H") }
        #expect(hazards.count >= 16)
        let grave = hazards.filter { $0.firstMatch(of: /\| Residual risk \| [a-z ×]+ = [45]/) != nil }
        let named = text.firstMatch(of: /Those are: ([^.]*)\./).map { $0.1.split(separator: ", ") } ?? []
        #expect(named == grave.map { $0.prefix { $0 != " " } }, "residual risks of 4 or 5 are named as such")
        for (place, hazard) in hazards.enumerated() {
            let title = hazard.prefix { $0 != "\n" }
            #expect(title.hasPrefix(place < 9 ? "H0\(place + 1) " : "H\(place + 1) "), "\(title)")
            for field in ["Hazard", "Causes", "Effect and harm", "Initial risk", "Residual risk", "Status and owner"] {
                let cell = hazard.split(separator: "\n").first { $0.hasPrefix("| \(field) | ") }
                #expect(cell != nil, "\(title) has no \(field)")
                guard field.hasSuffix("risk"), let cell else { continue }
                #expect(Self.isRated(cell, matrix), "\(title): \(cell)")
            }
            #expect(!Self.shownRows(in: String(hazard)).isEmpty, "\(title) has no control that a test shows")
        }
    }

    /// The score of a risk is what the page's own matrix says of its severity and likelihood.
    private static func isRated(_ cell: Substring, _ matrix: [String: [Substring]]) -> Bool {
        let severities = ["minor", "significant", "considerable", "major", "catastrophic"]
        guard let found = cell.firstMatch(of: /risk \| ([a-z]+) × ([a-z ]+) = ([1-5])\b/),
            let column = severities.firstIndex(of: String(found.1)), let row = matrix[String(found.2)],
            row.indices.contains(column)
        else { return false }
        return row[column] == found.3
    }

    /// `| very low | 1 | 1 | 2 | 2 | 3 |`
    private static func riskMatrix(in text: String) -> [String: [Substring]] {
        let rows = text.matches(of: /\| ((?:very )?(?:low|high)|medium) \|((?: [1-5] \|){5})/)
        return Dictionary(
            rows.map { (String($0.1), $0.2.split(separator: "|").map { $0.filter(\.isNumber)[...] }) },
            uniquingKeysWith: { $1 })
    }

    /// The cells of each row of the tables whose last column is "shown by".
    private static func shownRows(in text: String) -> [[Substring]] {
        var rows: [[Substring]] = []
        var isShown = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            guard line.hasPrefix("|") else {
                isShown = false
                continue
            }
            if line.hasSuffix("| shown by |") {
                isShown = true
            } else if isShown, !line.hasPrefix("|---") {
                rows.append(line.split(separator: "|", omittingEmptySubsequences: true))
            }
        }
        return rows
    }

    /// `name` of `@Test func name(` or of ``func `a name in words`(``.
    private static func testName(_ line: Substring) -> String? {
        if let words = line.firstMatch(of: /func `([^`]+)`\(/) { return String(words.1) }
        return line.firstMatch(of: /func ([A-Za-z0-9]+)\(/).map { String($0.1) }
    }
}
