import Cryptography
import Documents
import Foundation

/// `approved-packs.json` beside the spool: what was approved last, for a start while the database is away. One thread.
struct ApprovedPacksFile {
    /// Nothing of it is used.
    enum Unusable: Error, Hashable, CustomStringConvertible {
        case missing
        case damaged

        var description: String {
            switch self {
            case .missing: "approved-packs.json: not there: nothing was approved, or this directory is new"
            case .damaged: "approved-packs.json: damaged"
            }
        }
    }

    private struct Entry: Codable {
        var sha256: String
        var content: Data
    }

    private let url: URL

    init(directory: String) { url = URL(filePath: directory).appending(path: "approved-packs.json") }

    /// False where it can't be written.
    func write(_ approved: [PackBytes]) -> Bool {
        let entries = Dictionary(
            approved.map { ($0.code, Entry(sha256: hexadecimal($0.hash), content: Data($0.bytes))) },
            uniquingKeysWith: { $1 })
        do {
            try JSONEncoder().encode(entries).write(to: url, options: .atomic)
            return true
        } catch {
            return false
        }
    }

    /// By code. One byte that is another and none of it is used: a limit would be another too.
    func read() throws(Unusable) -> [PackBytes] {
        guard let bytes = try? Data(contentsOf: url) else {
            throw FileManager.default.fileExists(atPath: url.path()) ? .damaged : .missing
        }
        guard let entries = try? JSONDecoder().decode([String: Entry].self, from: bytes) else { throw .damaged }
        var approved: [PackBytes] = []
        for (code, entry) in entries.sorted(by: { $0.key < $1.key }) {
            let pack = PackBytes(code: code, bytes: [UInt8](entry.content))
            guard hexadecimal(pack.hash) == entry.sha256 else { throw .damaged }
            approved.append(pack)
        }
        return approved
    }
}
