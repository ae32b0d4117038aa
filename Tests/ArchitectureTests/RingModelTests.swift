import Foundation
import Testing

/// The ring's code and its model, `Tests/RingModel/ring.pml`, name the same steps, so that neither changes alone.
@Suite struct RingModelTests {
    /// What the ring does that another thread can see: its atomics, and the calls on its eventfds.
    private static let visible = [
        "ordering: .", "linux_eventfd_signal(", "linux_eventfd_drain(", "linux_poll_readable(",
    ]

    @Test func `every access that another thread can see names its step`() throws {
        let accesses = try Self.ringCode().filter { line in Self.visible.contains { line.text.contains($0) } }
        #expect(!accesses.isEmpty)
        for line in accesses { #expect(Self.step(in: line.text) != nil, "\(line.path): \(line.text)") }
    }

    @Test func `the code and the model name the same steps`() throws {
        let named = Set(try Self.ringCode().compactMap { Self.step(in: $0.text) })
        let labels = try Self.modelLabels()
        #expect(!labels.isEmpty)
        #expect(named.subtracting(labels).sorted() == [], "steps that the model does not have")
        #expect(labels.subtracting(named).sorted() == [], "steps that the code does not name")
    }

    private static func ringCode() throws -> [(path: String, text: Substring)] {
        try SourceTree.swiftFiles(under: "Sources").filter { $0.target == "RingBuffer" }.flatMap { file in
            file.lines.filter { !$0.trimmingCharacters(in: .whitespaces).hasPrefix("//") }.map { (file.path, $0) }
        }
    }

    /// `publish_own` in `…  // S1. Model: publish_own`.
    private static func step(in line: Substring) -> String? {
        line.firstMatch(of: /\/\/.*Model: ([a-z_]+)$/).map { String($0.1) }
    }

    /// Every label but those that have a meaning for spin itself.
    private static func modelLabels() throws -> Set<String> {
        let text = try String(contentsOf: SourceTree.root.appending(path: "Tests/RingModel/ring.pml"), encoding: .utf8)
        let labels = text.split(separator: "\n").compactMap { $0.wholeMatch(of: /([a-z_]+):/).map { String($0.1) } }
        return Set(labels.filter { !$0.hasPrefix("end") && !$0.hasPrefix("progress") && !$0.hasPrefix("accept") })
    }
}
