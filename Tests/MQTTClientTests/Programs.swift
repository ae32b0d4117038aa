import Foundation
import Testing

/// Runs a program to its end; a failure fails the test with what it said.
func run(_ program: String, _ arguments: String...) throws {
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: program)
    process.arguments = arguments
    process.standardError = output
    process.standardOutput = output
    try process.run()
    let said = try output.fileHandleForReading.readToEnd() ?? Data()
    process.waitUntilExit()
    try #require(process.terminationStatus == 0, "\(program): \(String(decoding: said, as: UTF8.self))")
}

/// The text of a file, which is removed.
func takeText(of path: String) throws -> String {
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try String(contentsOfFile: path, encoding: .utf8)
}
