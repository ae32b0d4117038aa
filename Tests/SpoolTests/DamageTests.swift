import Foundation
import Ingestion
import Testing

@testable import Spool

@Suite struct DamageTests {
    /// Five records in one segment; where each begins, and the end.
    static func fill(_ shelf: Shelf, key: SpoolKey?) throws -> (file: String, bytes: [UInt8], places: [Int]) {
        try shelf.life(key: key) { spool throws in
            try spool.append(0..<5)
            let sizes = (0..<5).map { RecordFormat.byteCount(of: Shelf.message($0), isEncrypted: key != nil) }
            let file = try #require(try shelf.files().first)
            let places = sizes.reduce(into: [SegmentHeader.byteCount]) { $0.append(($0.last ?? 0) + $1) }
            return (file, try Shelf.bytes(file), places)
        }
    }

    @Test(arguments: [false, true])
    func aTornTailIsCutAtEveryPlace(isEncrypted: Bool) throws {
        let key = isEncrypted ? try Shelf.key() : nil
        let shelf = Shelf()
        let (file, sound, places) = try Self.fill(shelf, key: key)
        #expect(places[5] == sound.count)
        for end in places[4]..<sound.count {
            try Shelf.write(Array(sound[..<end]), to: file)
            try shelf.life(key: key) { spool throws in
                #expect(spool.count(of: .ordinary) == 4)
                let torn: [SpoolIncident] = end == places[4] ? [] : [.torn(file: file, bytes: end - places[4])]
                #expect(spool.takeIncidents() == torn)
                #expect(spool.takeIncidents() == [])
                #expect(try spool.first(9, of: .ordinary).map(Kept.init) == kept(0..<4))
            }
            #expect(try Shelf.bytes(file) == Array(sound[..<places[4]]))
            try shelf.life(key: key) { spool throws in #expect(spool.takeIncidents() == []) }
        }
        // All there, but not what was written, as after a power cut.
        for place in places[4]..<sound.count {
            var damaged = sound
            damaged[place] ^= 0x10
            try Shelf.write(damaged, to: file)
            try shelf.life(key: key) { spool throws in
                #expect(spool.takeIncidents() == [.torn(file: file, bytes: sound.count - places[4])])
                #expect(spool.count(of: .ordinary) == 4)
            }
        }
        // And whole again: written to after it.
        try shelf.life(key: key) { spool throws in
            try spool.append(5..<7)
            #expect(try spool.drain() == kept([0, 1, 2, 3, 5, 6]))
        }
    }

    @Test(arguments: [false, true])
    func aDamagedRecordIsSetAsideAndTheRestDrained(isEncrypted: Bool) throws {
        let key = isEncrypted ? try Shelf.key() : nil
        let shelf = Shelf()
        let (file, sound, places) = try Self.fill(shelf, key: key)
        for place in places[2]..<places[3] {
            var damaged = sound
            damaged[place] ^= UInt8(1) << UInt8(place % 8)
            try Shelf.write(damaged, to: file)
            let expected = [SpoolIncident.corrupt(file: file + ".corrupt", bytes: places[3] - places[2])]
            try shelf.life(key: key) { spool throws in
                #expect(spool.takeIncidents() == expected)
                #expect(spool.takeIncidents() == [])
                #expect(spool.count(of: .ordinary) == 4)
                #expect(try spool.first(9, of: .ordinary).map(Kept.init) == kept([0, 1, 3, 4]))
            }
            #expect(try Shelf.bytes(file + ".corrupt") == Array(damaged[places[2]..<places[3]]))
            // Told once, not once a life.
            try shelf.life(key: key) { spool throws in
                #expect(spool.takeIncidents() == [])
                #expect(try spool.first(9, of: .ordinary).map(Kept.init) == kept([0, 1, 3, 4]))
            }
            try FileManager.default.removeItem(atPath: file + ".corrupt")
        }
        try Shelf.write(sound, to: file)
        try shelf.life(key: key) { spool throws in #expect(try spool.drain() == kept(0..<5)) }
    }

    @Test(arguments: [false, true])
    func damageFoundWhileDrainingIsSetAsideToo(isEncrypted: Bool) throws {
        let key = isEncrypted ? try Shelf.key() : nil
        let shelf = Shelf()
        try shelf.life(key: key) { spool throws in
            try spool.append(0..<5)
            let file = try #require(try shelf.files().first)
            let size = { RecordFormat.byteCount(of: Shelf.message($0), isEncrypted: isEncrypted) }
            let second = SegmentHeader.byteCount + size(0)
            var bytes = try Shelf.bytes(file)
            bytes[second + 4] ^= 0x40
            bytes[bytes.count - 1] ^= 1
            let handle = try FileHandle(forWritingTo: URL(filePath: file))
            try handle.write(contentsOf: bytes)
            try handle.close()
            #expect(try spool.drain(by: 1) == kept([0, 2, 3]))
            // The last was acknowledged: not torn, corrupt.
            #expect(
                spool.takeIncidents() == [
                    .corrupt(file: file + ".corrupt", bytes: size(1)),
                    .corrupt(file: file + ".corrupt", bytes: size(4)),
                ])
            #expect(spool.count(of: .ordinary) == 0 && spool.bytes == 0)
        }
    }

    @Test func aSegmentWithoutAReadableHeaderIsSetAsideWhole() throws {
        for place in 0..<SegmentHeader.byteCount {
            let shelf = Shelf()
            try shelf.life { try $0.append(0..<3) }
            try shelf.life { try $0.append(3..<5) }
            let file = try #require(try shelf.files().first)
            var bytes = try Shelf.bytes(file)
            bytes[place] ^= 0x80
            try Shelf.write(bytes, to: file)
            try shelf.life { spool throws in
                #expect(spool.takeIncidents() == [.corrupt(file: file + ".corrupt", bytes: bytes.count)])
                #expect(try spool.drain() == kept(3..<5))
            }
            #expect(try Shelf.bytes(file + ".corrupt") == bytes)
        }
    }

    @Test func aNewerVersionIsRefusedAndLeftAlone() throws {
        let shelf = Shelf()
        try shelf.life { try $0.append(0..<3) }
        let file = try #require(try shelf.files().first)
        var bytes = try Shelf.bytes(file)
        bytes[8] = 2
        bytes.put(checksum(bytes.span.extracting(first: 96)), at: 96)
        try Shelf.write(bytes, to: file)
        let error = #expect(throws: SpoolUnavailable.self) { try shelf.open() }
        #expect(error?.kind == .version && error?.path == file)
        #expect(try Shelf.bytes(file) == bytes)
    }

    @Test func aCutInAnAcknowledgedSegmentIsCorruptNotTorn() throws {
        let shelf = Shelf()
        try shelf.life { try $0.append(0..<3) }
        try shelf.life { try $0.append(3..<5) }
        let file = try #require(try shelf.files().first)
        let bytes = try Shelf.bytes(file)
        try Shelf.write(Array(bytes.dropLast(5)), to: file)
        try shelf.life { spool throws in
            let size = RecordFormat.byteCount(of: Shelf.message(2), isEncrypted: false)
            #expect(spool.takeIncidents() == [.corrupt(file: file + ".corrupt", bytes: size)])
        }
        try shelf.life { spool throws in
            #expect(spool.takeIncidents() == [])
            #expect(try spool.drain() == kept([0, 1, 3, 4]))
        }
    }

    /// A device that knows the format can't have its payload read as another device's report.
    @Test func aRecordInAPayloadIsNotFoundWhenItsSurroundingsAreDamaged() throws {
        let shelf = Shelf()
        var forged = Message(topic: Array("a".utf8))
        let header = SegmentHeader(number: 1, previousNumber: 0, previousLength: 0, isEncrypted: false)
        RecordFormat(header, key: nil).append(Shelf.message(66), at: 0, nonce: [UInt8]().span, to: &forged.payload)
        forged.fullLength = forged.payload.count
        try shelf.life { try $0.append([forged, Shelf.message(1)], to: .ordinary, holdingRed: false) }
        let file = try #require(try shelf.files().first)
        var bytes = try Shelf.bytes(file)
        bytes[SegmentHeader.byteCount + 5] ^= 1
        try Shelf.write(bytes, to: file)
        try shelf.life { spool throws in #expect(try spool.drain() == kept([1])) }
    }
}
