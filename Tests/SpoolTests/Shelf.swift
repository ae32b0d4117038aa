import Clinical
import Foundation
import Glibc
import Ingestion
import Synchronization

@testable import Spool

/// A directory of the test's own and the spools that are opened in it, one after another.
final class Shelf {
    let path: String

    init() {
        path = FileManager.default.temporaryDirectory.appending(path: "homeward-spool-\(UUID().uuidString)").path
    }

    // A directory left in /tmp spoils no later test.
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(
        quota: Int = 1 << 30, segmentSize: Int = 16 << 20, key: SpoolKey? = nil, calls: SystemCalls = .linux
    ) throws -> DiskSpool {
        try DiskSpool(directory: path, quota: quota, segmentSize: segmentSize, key: key, calls: calls)
    }

    /// Opens the spool, uses it and lets it go, without any last words: as a kill would leave it.
    func life<Result>(
        quota: Int = 1 << 30, segmentSize: Int = 16 << 20, key: SpoolKey? = nil, calls: SystemCalls = .linux,
        _ body: (DiskSpool) throws -> Result
    ) throws -> Result {
        try body(open(quota: quota, segmentSize: segmentSize, key: key, calls: calls))
    }

    func files(_ lane: SpoolLane = .ordinary, suffix: String = ".segment") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: "\(path)/\(lane)").filter { $0.hasSuffix(suffix) }.sorted()
            .map { "\(path)/\(lane)/\($0)" }
    }

    static func bytes(_ file: String) throws -> [UInt8] { [UInt8](try Data(contentsOf: URL(filePath: file))) }

    static func write(_ bytes: [UInt8], to file: String) throws { try Data(bytes).write(to: URL(filePath: file)) }

    static func key(_ byte: UInt8 = 7) throws -> SpoolKey? { SpoolKey([UInt8](repeating: byte, count: 32)) }

    static func message(_ number: Int, payload: Int = 20) -> Message {
        Message(
            topic: Array("homeward/north/dev-\(number)/report".utf8),
            payload: (0..<payload).map { UInt8(truncatingIfNeeded: $0 + number) },
            fullLength: number.isMultiple(of: 3) ? nil : 100_000 + number,
            digest: number.isMultiple(of: 3) ? nil : [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32),
            retained: number.isMultiple(of: 2), receivedAt: Instant(microseconds: 1_795_421_732_000_000 + Int64(number))
        )
    }
}

/// What of a message is kept.
struct Kept: Hashable {
    var topic: [UInt8]
    var payload: [UInt8]
    var fullLength: Int
    var digest: [UInt8]?
    var retained: Bool
    var receivedAt: Instant
    var receivedTick: Int64

    init(_ message: Message) {
        topic = message.topic
        payload = message.payload
        fullLength = message.fullLength
        digest = message.digest
        retained = message.retained
        receivedAt = message.receivedAt
        receivedTick = message.receivedTick
    }
}

extension DiskSpool {
    /// Drains a lane, so many at a time.
    func drain(_ lane: SpoolLane = .ordinary, by limit: Int = 7) throws -> [Kept] {
        var drained: [Kept] = []
        while true {
            let messages = try first(limit, of: lane)
            if messages.isEmpty { return drained }
            drained += messages.map(Kept.init)
            try removeFirst(messages.count, of: lane)
        }
    }

    func append(_ numbers: Range<Int>, to lane: SpoolLane = .ordinary, holdingRed: Bool = false) throws {
        try append(numbers.map { Shelf.message($0) }, to: lane, holdingRed: holdingRed)
    }
}

func kept(_ numbers: some Sequence<Int>) -> [Kept] { numbers.map { Kept(Shelf.message($0)) } }

/// SplitMix64: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

/// Linux with faults: each call fails once for every error that waits in its list; 0 lets it pass.
final class Faults: Sendable {
    let write = Mutex<[Int32]>([])
    let synchroniseData = Mutex<[Int32]>([])
    let truncate = Mutex<[Int32]>([])
    let unlink = Mutex<[Int32]>([])
    /// The most that one write takes.
    let longestWrite = Mutex<Int>(.max)
    let bytesRead = Mutex<Int>(0)
    let synchronisations = Mutex<Int>(0)

    var calls: SystemCalls {
        let linux = SystemCalls.linux
        var calls = linux
        calls.write = { descriptor, bytes, offset in
            if let error = Self.next(self.write) { return -Int(error) }
            let longest = self.longestWrite.withLock { $0 }
            return linux.write(descriptor, bytes.extracting(first: min(longest, bytes.count)), offset)
        }
        calls.synchroniseData = { descriptor in
            self.synchronisations.withLock { $0 += 1 }
            return Self.next(self.synchroniseData).map { -$0 } ?? linux.synchroniseData(descriptor)
        }
        calls.truncate = { Self.next(self.truncate).map { -$0 } ?? linux.truncate($0, $1) }
        calls.unlink = { Self.next(self.unlink).map { -$0 } ?? linux.unlink($0) }
        calls.read = { descriptor, bytes, places, offset in
            let count = linux.read(descriptor, &bytes, places, offset)
            self.bytesRead.withLock { $0 += max(0, count) }
            return count
        }
        return calls
    }

    private static func next(_ list: borrowing Mutex<[Int32]>) -> Int32? {
        list.withLock { $0.isEmpty ? nil : $0.removeFirst() }.flatMap { $0 == 0 ? nil : $0 }
    }
}
