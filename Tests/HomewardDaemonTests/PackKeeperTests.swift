import Clinical
import Documents
import Foundation
import Logging
import PostgresStore
import Synchronization
import TestSupport
import Testing

@testable import HomewardDaemon

/// Which packs are in force, also without a database.
@Suite struct PackKeeperTests {
    @Test func theLastApprovedStaysInForce() {
        func pack(_ code: String, _ text: String) -> PackBytes { PackBytes(code: code, bytes: Array(text.utf8)) }
        let configured = [pack("adult", "new"), pack("copd", "new")]
        #expect(PackChoice.wanted(configured, approved: []) == configured)
        #expect(
            PackChoice.wanted(configured, approved: [pack("adult", "old"), pack("gone", "x")])
                == [pack("adult", "old"), pack("copd", "new"), pack("gone", "x")], "whose file is gone stays")
    }

    @Test func whatDoesNotGoTogetherFallsBackPackByPack() throws {
        let configured = PackBytes.all(in: nil)
        func changed(_ code: String) throws -> PackBytes {
            let file = try #require(configured.first { $0.code == code })
            return PackBytes(code: code, bytes: file.bytes + Array("# approved here\n".utf8))
        }
        func broken(_ code: String) -> PackBytes { PackBytes(code: code, bytes: Array("unreadable: [".utf8)) }
        let (adult, copd) = (try changed("adult"), try changed("copd"))
        let one = try #require(PackChoice.most(configured, approved: [adult, broken("copd")]))
        #expect(one.files == PackChoice.wanted(configured, approved: [adult]))
        #expect(!PackChoice.isApproved(one.files, by: [adult, broken("copd")]))
        let more = try #require(PackChoice.most(configured, approved: [broken("a"), adult, broken("b"), copd]))
        #expect(more.files == PackChoice.wanted(configured, approved: [adult, copd]))
        let none = try #require(PackChoice.most(configured, approved: [broken("adult"), broken("copd")]))
        #expect(none.files == configured)
        #expect(PackChoice.most([broken("adult")], approved: [broken("copd")]) == nil)
        #expect(PackChoice.isApproved(configured, by: configured))
        #expect(!PackChoice.isApproved(configured, by: Array(configured.dropLast())))
    }

    @Test func theBuiltInFilesAreTheBuiltInPacks() {
        let files = PackBytes.all(in: nil)
        let (library, problems) = PackLibrary.load(files)
        #expect(problems.isEmpty && library == BuiltInPacks.library())
    }

    @Test func whereTheFilesAreOthersItIsSaid() {
        func pack(_ code: String, _ text: String) -> PackBytes { PackBytes(code: code, bytes: Array(text.utf8)) }
        let configured = [pack("adult", "new"), pack("copd", "same"), pack("asthma", "never approved")]
        let approved = [pack("adult", "old"), pack("copd", "same"), pack("gone", "x")]
        let inForce = PackChoice.wanted(configured, approved: approved)
        #expect(
            PackChoice.differences(configured, inForce: inForce) == [
                "pack adult: judged by the content approved last, the configured file is another",
                "pack gone: approved and in force, its file is missing",
            ])
        #expect(PackChoice.differences(configured, inForce: configured).isEmpty)
    }

    // MARK: Without a database

    /// Keeps what is logged.
    private final class Said: Sendable {
        let words = Mutex<[String]>([])

        var logger: Logger { Logger(label: "packs", factory: { _ in Handler(said: self) }) }

        private struct Handler: LogHandler {
            let said: Said
            var logLevel = Logger.Level.trace
            var metadata: Logger.Metadata = [:]

            subscript(metadataKey key: String) -> Logger.Metadata.Value? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) {
                said.words.withLock { $0.append("\(event.level) \(event.message) \(event.metadata ?? [:])") }
            }
        }
    }

    private final class Directory {
        let path: String

        init() throws {
            path = FileManager.default.temporaryDirectory.appending(path: "homeward-packs-\(UUID().uuidString)").path
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        var file: URL { URL(filePath: path).appending(path: "approved-packs.json") }
    }

    /// A port that nobody listens on.
    private func away() throws -> DatabaseConfiguration {
        DatabaseConfiguration(
            url: "postgresql://homeward@127.0.0.1:\(try PrivateBroker.freePort())/homeward", deadline: .seconds(30))
    }

    private static let configured = PackBytes.all(in: nil)

    private static func approved() throws -> PackBytes {
        let file = try #require(configured.first { $0.code == "copd" })
        return PackBytes(code: "copd", bytes: file.bytes + Array("# approved here\n".utf8))
    }

    private func keeper(_ directory: Directory, _ said: Said) throws -> PackKeeper {
        PackKeeper(
            configured: Self.configured, library: BuiltInPacks.library(), database: try away(),
            directory: directory.path, logger: said.logger)
    }

    /// The file changed since, and nobody has approved it: a start without the database does not put it in force.
    @Test func aStartWithoutTheDatabaseJudgesByWhatWasApproved() throws {
        let (directory, said) = (try Directory(), Said())
        let approved = try Self.approved()
        #expect(ApprovedPacksFile(directory: directory.path).write([approved]))
        let keeper = try keeper(directory, said)
        #expect(keeper.hashes["copd"] == approved.hash)
        #expect(keeper.hashes["adult"] == Self.configured.first { $0.code == "adult" }?.hash)
        #expect(!keeper.isApproved, "the others never were")
        #expect(said.words.withLock { $0.contains { $0.contains("judging by the packs approved when it last did") } })
    }

    @Test(arguments: ["missing", "no JSON", "another byte", "another pack's", "a directory"])
    func whereItIsDamagedTheConfiguredPacksJudgeAndItIsSaid(how: String) throws {
        let (directory, said) = (try Directory(), Said())
        let file = ApprovedPacksFile(directory: directory.path)
        #expect(file.write([try Self.approved()]))
        switch how {
        case "missing": try FileManager.default.removeItem(at: directory.file)
        case "no JSON": try Data("{\"copd\":".utf8).write(to: directory.file)
        case "another byte":
            // Of the content, which stays readable.
            var entries = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: directory.file)) as? [String: [String: String]])
            let other = Data(try Self.approved().bytes + Array(" ".utf8)).base64EncodedString()
            entries["copd"]?["content"] = other
            try JSONSerialization.data(withJSONObject: entries).write(to: directory.file)
        case "another pack's":
            try Data(#"{"copd":{"sha256":"00","content":"AAAA"}}"#.utf8).write(to: directory.file)
        default:
            try FileManager.default.removeItem(at: directory.file)
            try FileManager.default.createDirectory(at: directory.file, withIntermediateDirectories: false)
        }
        #expect(throws: how == "missing" ? ApprovedPacksFile.Unusable.missing : .damaged) { try file.read() }
        let keeper = try keeper(directory, said)
        #expect(
            keeper.hashes == Dictionary(uniqueKeysWithValues: Self.configured.map { ($0.code, $0.hash) }))
        #expect(!keeper.isApproved)
        #expect(
            said.words.withLock {
                $0.contains { $0.hasPrefix("error") && $0.contains("judging by the packs as configured") }
            })
    }

    @Test func whatIsKeptIsReadBack() throws {
        let directory = try Directory()
        let file = ApprovedPacksFile(directory: directory.path)
        #expect(file.write(Self.configured))
        #expect(try file.read() == Self.configured.sorted { $0.code < $1.code })
        #expect(!ApprovedPacksFile(directory: directory.path + "/nowhere").write([]))
    }
}
