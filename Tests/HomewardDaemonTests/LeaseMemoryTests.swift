import Foundation
import Testing

@testable import HomewardDaemon

/// What the state directory remembers of the lease over restarts.
@Suite struct LeaseMemoryTests {
    @Test(
        arguments: [
            LeaseMemory(word: .held, shard: "homeward", epoch: 7, pairedAt: 1_764_000_000, mark: 1234),
            LeaseMemory(word: .released, shard: "a b", epoch: nil, pairedAt: nil, mark: nil),
        ])
    func `it is read as it was written`(memory: LeaseMemory) {
        #expect(LeaseMemory(memory.text) == memory)
    }

    @Test func `another instance counts for a day from when it was last there, also over restarts`() throws {
        let memory = try #require(LeaseMemory("held 7 paired:1764000000 12 homeward\n"))
        #expect(memory.secondsAlone(at: 1_764_000_060) == 60)
        #expect(memory.secondsAlone(at: 1_764_090_000) == 90_000)
        // A clock that was set back.
        #expect(memory.secondsAlone(at: 1_763_000_000) == 0)
        #expect(LeaseMemory("held 7 alone 12 homeward\n")?.secondsAlone(at: 0) == nil)
        #expect(LeaseMemory("held 7 paired:\(Int64.max) 12 homeward\n")?.secondsAlone(at: .min) == nil)
    }

    @Test func `a directory from before leases has held it alone`() throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: directory) }
        #expect(try LeaseFile(directory: directory).found == nil)
        try "x".write(toFile: directory + "/broker-session", atomically: true, encoding: .utf8)
        let found = try #require(try LeaseFile(directory: directory).found)
        #expect(found.word == .held && found.pairedAt == nil)
    }
}
