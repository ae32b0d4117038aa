import Foundation

struct ProgramFailed: Error {
    var status: Int32
    var output: String
}

/// Runs a program of the system to its end; its standard output.
@discardableResult
func runProgram(_ name: String, _ arguments: [String], input: Data = Data()) throws -> String {
    let process = Process()
    let stdin = Pipe()
    let stdout = Pipe()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [name] + arguments
    process.standardInput = stdin
    process.standardOutput = stdout
    process.standardError = FileHandle.nullDevice
    try process.run()
    stdin.fileHandleForWriting.write(input)
    try stdin.fileHandleForWriting.close()
    let output = stdout.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let text = String(decoding: output, as: UTF8.self)
    guard process.terminationStatus == 0 else { throw ProgramFailed(status: process.terminationStatus, output: text) }
    return text
}
