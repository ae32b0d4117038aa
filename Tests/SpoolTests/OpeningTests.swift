import Foundation
import Glibc
import Ingestion
import Testing

@testable import Spool

@Suite struct OpeningTests {
    @Test func twoDaemonsNeverShareASpool() throws {
        let shelf = Shelf()
        try shelf.life { _ throws in
            let error = #expect(throws: SpoolUnavailable.self) { try shelf.open() }
            #expect(error?.kind == .locked && error?.path == shelf.path)
        }
        try shelf.life { #expect($0.count(of: .ordinary) == 0) }
    }

    @Test func filesAreForTheDaemonsUserAlone() throws {
        let shelf = Shelf()
        try shelf.life { spool throws in
            try spool.append(0..<3)
            try spool.removeFirst(1, of: .ordinary)
        }
        let paths = try FileManager.default.subpathsOfDirectory(atPath: shelf.path)
        #expect(paths.count == 5)
        for path in [""] + paths {
            var status = stat()
            #expect(unsafe lstat(shelf.path + "/" + path, &status) == 0)
            #expect(status.st_mode & 0o077 == 0, "\(path)")
        }
    }

    @Test(arguments: [("", 0o722 as mode_t), ("/ordinary", 0o750), ("/overflow", 0o701)])
    func openDirectoriesAreRefused(folder: String, mode: mode_t) throws {
        let shelf = Shelf()
        try shelf.life { _ in }
        #expect(unsafe chmod(shelf.path + folder, mode) == 0)
        let error = #expect(throws: SpoolUnavailable.self) { try shelf.open() }
        #expect(error?.kind == .permissions && error?.path == shelf.path + folder)
    }

    @Test func aDirectoryThatCanNotBeMadeIsNamed() throws {
        let shelf = Shelf()
        let error = #expect(throws: SpoolUnavailable.self) {
            try DiskSpool(directory: shelf.path + "/none/spool", quota: 1 << 20)
        }
        #expect(error?.kind == .file)
        #expect(error?.description.hasPrefix(shelf.path + "/none/spool: the directory can't be made") == true)
        try Shelf.write([1], to: shelf.path)
        #expect(throws: SpoolUnavailable.self) { try shelf.open() }
    }

    @Test func anotherKeyOrNoneIsRefusedAndNothingLost() throws {
        let shelf = Shelf()
        try shelf.life(key: Shelf.key(1)) { try $0.append(0..<3) }
        let before = try shelf.files().map(Shelf.bytes)
        for key in [nil, try Shelf.key(2)] {
            let error = #expect(throws: SpoolUnavailable.self) { try shelf.open(key: key) }
            #expect(error?.kind == .wrongKey)
        }
        #expect(try shelf.files().map(Shelf.bytes) == before)
        try shelf.life(key: Shelf.key(1)) { spool throws in #expect(try spool.drain() == kept(0..<3)) }
    }

    @Test func plainSegmentsAreReadWithAKeyAndNewOnesEncrypted() throws {
        let shelf = Shelf()
        let topic = Array("homeward/north/dev-".utf8)
        try shelf.life { try $0.append(0..<3) }
        try shelf.life(key: Shelf.key()) { spool throws in
            try spool.append(3..<6)
            let files = try shelf.files().map(Shelf.bytes)
            #expect(files.map { $0.firstRange(of: topic) != nil } == [true, false])
            #expect(try spool.drain() == kept(0..<6))
        }
    }

    /// Ciphertext moved to another place with a checksum to fit is not taken for what it was.
    @Test func sealedRecordsAreBoundToTheirPlace() throws {
        let key = try #require(try Shelf.key())
        let nonce = [UInt8](repeating: 3, count: SpoolKey.nonceCount)
        let plain: [UInt8] = [1, 2, 3]
        let here: [UInt8] = [1]
        let there: [UInt8] = [2]
        var sealed: [UInt8] = []
        var opened: [UInt8] = []
        key.seal(plain.span, binding: here.span, nonce: nonce.span, to: &sealed)
        #expect(key.open(sealed.span, binding: here.span, into: &opened) && opened == plain)
        #expect(!key.open(sealed.span, binding: there.span, into: &opened))
        #expect(!key.open(sealed.span.extracting(first: 39), binding: here.span, into: &opened))
    }

    static let keyFileCases: [(content: [UInt8], mode: mode_t, expected: SpoolUnavailable.Class?)] = [
        ([UInt8](repeating: 0xfe, count: 32), 0o400, nil),
        (Array(String(repeating: "0aF9", count: 16).utf8), 0o600, nil),
        (Array(String(repeating: "0aF9", count: 16).utf8) + [10], 0o440, nil),
        (Array(String(repeating: "0aF9", count: 16).utf8) + [10], 0o444, .permissions),
        (Array(String(repeating: "0aG9", count: 16).utf8), 0o400, .key),
        (Array(String(repeating: "0aF9", count: 17).utf8), 0o400, .key),
        ([UInt8](repeating: 0, count: 31), 0o400, .key),
        ([], 0o400, .key),
    ]

    @Test(arguments: keyFileCases)
    func aKeyFileHoldsOneKeyAndIsNotForEverybody(content: [UInt8], mode: mode_t, expected: SpoolUnavailable.Class?)
        throws
    {
        let shelf = Shelf()
        try shelf.life { _ in }
        let path = shelf.path + "/key"
        try Shelf.write(content, to: path)
        #expect(unsafe chmod(path, mode) == 0)
        do throws(SpoolUnavailable) {
            _ = try SpoolKey.read(path: path)
            #expect(expected == nil)
        } catch {
            #expect(error.kind == expected && error.path == path)
        }
        #expect(throws: SpoolUnavailable.self) { try SpoolKey.read(path: path + "-none") }
    }

    @Test func aCrashBeforeTheFirstSyncLeavesNothingToRead() throws {
        for size in 0..<SegmentHeader.byteCount {
            let shelf = Shelf()
            try shelf.life { try $0.append(0..<1) }
            let file = try #require(try shelf.files().first)
            try Shelf.write(Array(try Shelf.bytes(file)[..<size]), to: file)
            try shelf.life { spool throws in
                #expect(spool.takeIncidents() == [.torn(file: file, bytes: size)])
                #expect(spool.count(of: .ordinary) == 0)
                try spool.append(1..<2)
            }
            try shelf.life { spool throws in #expect(try spool.drain() == kept(1..<2)) }
        }
    }
}
