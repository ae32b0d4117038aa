import Foundation
import Glibc
import Ingestion
import Synchronization
import Testing

@testable import Spool

/// A disk that refuses.
@Suite struct FaultTests {
    @Test func aFailedSyncIsNotRepeatedOnItsFile() throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            try spool.append(0..<3)
            let first = try #require(try shelf.files().first)
            let sound = try Shelf.bytes(first)
            faults.synchroniseData.withLock { $0 = [EIO] }
            let before = faults.synchronisations.withLock { $0 }
            try spool.append(3..<6)
            #expect(faults.synchronisations.withLock { $0 } == before + 2)
            #expect(try shelf.files().count == 2)
            #expect(try Shelf.bytes(first) == sound)
            try spool.append(6..<8)
            #expect(try Shelf.bytes(first) == sound)
            #expect(spool.count(of: .ordinary) == 8)
            #expect(try spool.drain() == kept(0..<8))
        }
    }

    @Test func twoFailedSyncsTakeNothing() throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            for attempt in 0..<3 {
                faults.synchroniseData.withLock { $0 = [EIO, EIO] }
                let error = #expect(throws: SpoolFailure.self) { try spool.append(10..<20) }
                #expect(error?.kind == .broken && error?.message.contains("fdatasync") == true)
                #expect(spool.count(of: .ordinary) == attempt)
                try spool.append(attempt..<attempt + 1)
            }
        }
        try shelf.life { spool throws in
            #expect(spool.takeIncidents() == [])
            #expect(try spool.drain() == kept(0..<3))
        }
    }

    /// The failed batch can't even be cut off: the next segment says where the acknowledged part ended.
    @Test func whatAFailedSyncLeftBehindIsNotGivenTwice() throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            try spool.append(0..<3)
            faults.synchroniseData.withLock { $0 = [EIO] }
            faults.truncate.withLock { $0 = [EIO] }
            try spool.append(3..<6)
            #expect(try spool.first(99, of: .ordinary).map(Kept.init) == kept(0..<6))
        }
        let file = try #require(try shelf.files().first)
        let extra = (3..<6).reduce(0) { $0 + RecordFormat.byteCount(of: Shelf.message($1), isEncrypted: false) }
        try shelf.life { spool throws in
            #expect(spool.takeIncidents() == [.torn(file: file, bytes: extra)])
            #expect(spool.count(of: .ordinary) == 6)
            #expect(try spool.drain() == kept(0..<6))
        }
    }

    @Test(arguments: [ENOSPC, EDQUOT])
    func aFullDiskTakesNothingAndGoesOnWhenThereIsRoom(error number: Int32) throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            for begun in [0, 3] {
                // The first piece is written, then there is no room.
                faults.longestWrite.withLock { $0 = 50 }
                faults.write.withLock { $0 = [0, number] }
                let bytes = spool.bytes
                let error = #expect(throws: SpoolFailure.self) { try spool.append(90..<99) }
                #expect(error?.kind == .full)
                #expect(spool.bytes == bytes && spool.count(of: .ordinary) == begun)
                try spool.append(begun..<begun + 3)
            }
            #expect(try shelf.files().count == 1)
        }
        try shelf.life { spool throws in
            #expect(spool.takeIncidents() == [])
            #expect(try spool.drain() == kept(0..<6))
        }
    }

    @Test func shortWritesAreCompleted() throws {
        let shelf = Shelf()
        let faults = Faults()
        faults.longestWrite.withLock { $0 = 7 }
        try shelf.life(calls: faults.calls) { try $0.append(0..<9) }
        try shelf.life { spool throws in #expect(try spool.drain() == kept(0..<9)) }
    }

    @Test func aFailedWriteGoesToANewSegment() throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            try spool.append(0..<2)
            faults.write.withLock { $0 = [EIO] }
            try spool.append(2..<4)
            #expect(try shelf.files().count == 2)
            #expect(try spool.drain() == kept(0..<4))
        }
    }

    @Test func aFileThatCanNotBeRemovedIsCountedUntilItIs() throws {
        let shelf = Shelf()
        let faults = Faults()
        try shelf.life(calls: faults.calls) { spool throws in
            try spool.append(0..<2)
            let bytes = spool.bytes
            faults.unlink.withLock { $0 = [EPERM] }
            try spool.removeFirst(2, of: .ordinary)
            #expect(spool.count(of: .ordinary) == 0 && spool.bytes == bytes)
            try spool.append(2..<3)
            #expect(try spool.drain() == kept(2..<3))
            #expect(try shelf.files() == [] && spool.bytes == 0)
        }
    }

    /// On a file system of a few pages, where root may mount one.
    @Test(.enabled(if: getuid() == 0)) func aRealFullFileSystem() throws {
        let shelf = Shelf()
        try FileManager.default.createDirectory(
            atPath: shelf.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard unsafe mount("tmpfs", shelf.path, "tmpfs", 0, "size=256k,mode=0700") == 0 else { return }
        defer { unsafe _ = umount2(shelf.path, Int32(MNT_DETACH)) }
        try shelf.life { spool throws in
            var taken = 0
            var kind: SpoolFailure.Class?
            while kind == nil, taken < 10_000 {
                do { try spool.append(taken..<taken + 20) } catch let error as SpoolFailure { kind = error.kind }
                if kind == nil { taken += 20 }
            }
            #expect(kind == .full && taken > 100)
            #expect(spool.count(of: .ordinary) == taken)
            #expect(try spool.drain() == kept(0..<taken))
            try spool.append(0..<20)
        }
        try shelf.life { spool throws in
            #expect(spool.takeIncidents() == [])
            #expect(try spool.drain() == kept(0..<20))
        }
    }
}
