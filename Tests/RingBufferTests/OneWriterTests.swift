import Foundation
import RingBuffer
import Testing

/// A second writer of a cursor does not compile. Compiled for real: the move checker does not run in a mere type check.
struct OneWriterTests {
    @Test func oneProducerCompiles() throws {
        // The counter-check: what the others are refused for is not the way they are compiled.
        #expect(try errors(in: "let first = ends.producer; first.finish()") == [])
    }

    @Test(arguments: [
        "let first = ends.producer; let second = ends.producer; first.finish(); second.finish()",
        "let first = ends.decoder; let second = ends.decoder; first.finish(); second.finish()",
        "let first = ends.committer; let second = first; first.finish(); second.finish()",
        "var first = ends.producer; first.finish(); first.publish()",
    ])
    func aSecondWriterDoesNotCompile(body: String) throws {
        let errors = try errors(in: body)
        #expect(errors.count == 1)
        #expect(errors.allSatisfy { $0.contains("consumed more than once") || $0.contains("used after consume") })
    }

    /// The compiler's error lines for a function with this body and a ring named `ends`.
    private func errors(in body: String) throws -> [String] {
        let directory = FileManager.default.temporaryDirectory.appending(path: "ring-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let source = directory.appending(path: "Snippet.swift")
        try """
        import RingBuffer
        func snippet() throws {
            let ends = try RingEnds(capacity: 2) { index in index }
            \(body)
        }
        """.write(to: source, atomically: true, encoding: .utf8)

        // The modules lie beside the executable that runs this test.
        let products = URL(filePath: "/proc/self/exe").resolvingSymlinksInPath().deletingLastPathComponent()
        let compiler = Process()
        compiler.executableURL = URL(filePath: "/usr/bin/env")
        compiler.arguments = [
            "swiftc", "-swift-version", "6", "-emit-sil", "-o", "/dev/null",
            "-I", products.appending(path: "Modules").path,
            "-Xcc", "-fmodule-map-file=" + products.appending(path: "CLinux.build/module.modulemap").path,
            "-module-cache-path", products.appending(path: "ModuleCache").path,
            source.path,
        ]
        let output = Pipe()
        compiler.standardError = output
        compiler.standardOutput = FileHandle.nullDevice
        try compiler.run()
        let text = String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
        compiler.waitUntilExit()
        let lines = text.split(separator: "\n").map(String.init).filter { $0.contains(": error: ") }
        #expect((compiler.terminationStatus == 0) == lines.isEmpty, "\(text)")
        return lines
    }
}
