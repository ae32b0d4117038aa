import Clinical
import Foundation
import Glibc
import Ingestion
import Synchronization
import Testing

@testable import Spool

@Suite struct DiskSpoolTests {
    static let shapes: [Message] = [
        Message(), Message(topic: [0xff, 0], payload: [0]), Shelf.message(1), Shelf.message(6, payload: 0),
        Message(
            topic: [UInt8](repeating: 65, count: Message.maximumTopic),
            payload: [UInt8](repeating: 1, count: Message.maximumPayload), fullLength: .max,
            digest: [UInt8](repeating: 9, count: 32), retained: true, receivedAt: .init(microseconds: .min)),
        Message(fullLength: -1, digest: [], receivedAt: .init(microseconds: .max)),
    ]

    @Test(arguments: [false, true])
    func everyMessageComesBackAsItWas(isEncrypted: Bool) throws {
        let shelf = Shelf()
        let key = isEncrypted ? try Shelf.key() : nil
        let twice = (Self.shapes + Self.shapes).map(Kept.init)
        try shelf.life(key: key) { spool throws in
            for message in Self.shapes { try spool.append([message], to: .overflow, holdingRed: false) }
            try spool.append(Self.shapes, to: .overflow, holdingRed: false)
            #expect(try spool.first(100, of: .overflow).map(Kept.init) == twice)
            #expect(spool.count(of: .ordinary) == 0)
        }
        try shelf.life(key: key) { spool throws in
            #expect(spool.count(of: .overflow) == twice.count)
            #expect(try spool.drain(.overflow) == twice)
            #expect(spool.takeIncidents() == [])
            #expect(spool.bytes == 0 && spool.fill == 0)
        }
        #expect(try shelf.files(.overflow) == [])
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64])
    func doesWhatAnArrayDoes(salt: UInt64) throws {
        let seed = UInt64.random(in: 0..<1 << 40) * 8 + salt
        var random = SeededGenerator(state: seed)
        let key = salt.isMultiple(of: 2) ? try Shelf.key() : nil
        let shelf = Shelf()
        var model: [SpoolLane: [Kept]] = [.ordinary: [], .overflow: []]
        var next = 0
        for _ in 0..<12 {
            try shelf.life(segmentSize: 3000, key: key) { spool throws in
                for _ in 0..<Int.random(in: 0..<25, using: &random) {
                    let lane = Bool.random(using: &random) ? SpoolLane.ordinary : .overflow
                    let number = Int.random(in: 0..<30, using: &random)
                    switch Int.random(in: 0..<3, using: &random) {
                    case 0:
                        let batch = (next..<next + number).map { Shelf.message($0, payload: $0 % 400) }
                        next += number
                        try spool.append(batch, to: lane, holdingRed: false)
                        model[lane]? += batch.map(Kept.init)
                    case 1:
                        let expected = model[lane]?.prefix(number) ?? []
                        #expect(try spool.first(number, of: lane).map(Kept.init) == Array(expected), "seed \(seed)")
                    default:
                        try spool.removeFirst(number, of: lane)
                        model[lane] = Array((model[lane] ?? []).dropFirst(number))
                    }
                    for lane in SpoolLane.allCases {
                        #expect(spool.count(of: lane) == model[lane]?.count, "seed \(seed)")
                    }
                    let onDisk = try SpoolLane.allCases.flatMap { try shelf.files($0) }
                        .reduce(0) { try $0 + Shelf.bytes($1).count }
                    #expect(spool.bytes == onDisk, "seed \(seed)")
                }
                #expect(spool.takeIncidents() == [], "seed \(seed)")
            }
        }
        try shelf.life(key: key) { spool throws in
            for lane in SpoolLane.allCases {
                #expect(try spool.drain(lane) == model[lane], "seed \(seed)")
            }
        }
    }

    @Test func drainedSegmentsLeaveTheDisk() throws {
        let shelf = Shelf()
        try shelf.life(segmentSize: 1000) { spool throws in
            for start in 0..<50 { try spool.append(start..<start + 1) }
            let segments = try shelf.files().count
            #expect(segments > 5)
            let full = spool.bytes
            try spool.removeFirst(25, of: .ordinary)
            #expect(try shelf.files().count < segments)
            #expect(spool.bytes < full)
            #expect(try spool.drain() == kept(25..<50))
            #expect(try shelf.files() == [])
            try spool.append(50..<51)
            #expect(try spool.drain() == kept(50..<51))
        }
    }

    /// What is read is bounded by what is there, however often it is asked for.
    @Test func drainingAMillionReadsEachByteOnce() throws {
        let shelf = Shelf()
        let faults = Faults()
        let batch = (0..<1000).map { Shelf.message($0, payload: 8) }
        let total = 1_000_000
        try shelf.life(calls: faults.calls) { spool throws in
            for _ in 0..<total / batch.count { try spool.append(batch, to: .ordinary, holdingRed: false) }
            #expect(spool.count(of: .ordinary) == total)
            let written = spool.bytes
            var drained = 0
            while case let messages = try spool.first(500, of: .ordinary), !messages.isEmpty {
                #expect(messages.first?.topic == batch[drained % 1000].topic)
                // Asked again, as after a commit that failed.
                #expect(try spool.first(500, of: .ordinary).count == messages.count)
                try spool.removeFirst(messages.count, of: .ordinary)
                drained += messages.count
            }
            #expect(drained == total)
            #expect(faults.bytesRead.withLock { $0 } < written + written / 50)
        }
    }

    @Test func theLastTwentiethIsForReds() throws {
        let shelf = Shelf()
        let quota = 100_000
        try shelf.life(quota: quota) { spool throws in
            var taken = 0
            func fillUp(holdingRed: Bool) throws {
                while true {
                    do {
                        try spool.append(taken..<taken + 1, holdingRed: holdingRed)
                        taken += 1
                    } catch let error as SpoolFailure {
                        #expect(error.kind == .full)
                        return
                    }
                }
            }
            try fillUp(holdingRed: false)
            #expect(spool.bytes <= 95_000 && spool.bytes > 94_800)
            let ordinary = taken
            try fillUp(holdingRed: true)
            #expect(spool.bytes <= quota && spool.bytes > quota - 200 && taken > ordinary)
            #expect(spool.fill > 0.99 && spool.fill <= 1)
            #expect(spool.level.bytes == spool.bytes)
            #expect(spool.count(of: .ordinary) == taken)
            #expect(try spool.drain() == kept(0..<taken))
            try spool.append(0..<1)
        }
    }

    @Test func aMessageOverTheBoundsIsRefusedAndNothingOfItsBatchTaken() throws {
        let shelf = Shelf()
        try shelf.life { spool throws in
            let long = Message(payload: [UInt8](repeating: 0, count: Message.maximumPayload + 1))
            #expect(throws: SpoolFailure.self) {
                try spool.append([Shelf.message(0), long], to: .ordinary, holdingRed: true)
            }
            #expect(spool.count(of: .ordinary) == 0 && spool.bytes == 0)
        }
    }

    /// A crash may bring back what was removed, but never forget what was not.
    @Test func withoutItsMarkerALaneIsGivenAgain() throws {
        let shelf = Shelf()
        try shelf.life {
            try $0.append(0..<10)
            try $0.removeFirst(4, of: .ordinary)
        }
        let marker = shelf.path + "/ordinary/" + RemovedMarker.name
        let sound = try Shelf.bytes(marker)
        try shelf.life { spool throws in #expect(try spool.first(99, of: .ordinary).map(Kept.init) == kept(4..<10)) }
        for place in sound.indices {
            var damaged = sound
            damaged[place] ^= 1
            try Shelf.write(damaged, to: marker)
            try shelf.life { spool throws in #expect(try spool.first(99, of: .ordinary).map(Kept.init) == kept(0..<10))
            }
        }
        try FileManager.default.removeItem(atPath: marker)
        try shelf.life { spool throws in #expect(try spool.drain() == kept(0..<10)) }
        // An old marker says nothing of a new segment, not even of one of its number.
        try Shelf.write(sound, to: marker)
        try shelf.life { try $0.append(20..<25) }
        try shelf.life { spool throws in #expect(try spool.drain() == kept(20..<25)) }
    }
}
