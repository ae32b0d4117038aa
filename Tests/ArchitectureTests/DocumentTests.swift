import Foundation
import Testing

/// What the guides say of the tests is so.
@Suite struct DocumentTests {
    private static let guide = "Sources/HomewardDaemon/HomewardDaemon.docc/WhatHappensWhen.md"

    @Test func `each row of what happens when names a test that is there`() throws {
        let text = try String(contentsOf: SourceTree.root.appending(path: Self.guide), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("| ") && !$0.hasPrefix("| fault |") }
        #expect(rows.count > 20)
        let code = try SourceTree.swiftFiles(under: "Tests").flatMap(\.lines)
        let tests = Set(code.compactMap(Self.testName))
        let suites = Set(code.compactMap { $0.firstMatch(of: /struct ([A-Za-z]+Tests)\b/).map { String($0.1) } })
        for row in rows {
            let cells = row.split(separator: "|", omittingEmptySubsequences: true)
            let names = try #require(cells.last).matches(of: /`([^`]+)`/).map { String($0.1) }
            #expect(!names.isEmpty, "no test in: \(row)")
            for name in names { #expect(tests.contains(name) || suites.contains(name), "no such test: \(name)") }
        }
    }

    /// `name` of `@Test func name(` or of ``func `a name in words`(``.
    private static func testName(_ line: Substring) -> String? {
        if let words = line.firstMatch(of: /func `([^`]+)`\(/) { return String(words.1) }
        return line.firstMatch(of: /func ([A-Za-z0-9]+)\(/).map { String($0.1) }
    }
}
