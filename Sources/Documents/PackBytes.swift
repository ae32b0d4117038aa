public import Clinical
internal import Cryptography
import Foundation

/// A pack's file as it is: what is approved is its bytes.
public struct PackBytes: Hashable, Sendable {
    /// The file's name without `.yaml`.
    public var code: String
    public var bytes: [UInt8]
    /// SHA-256 of them.
    public var hash: [UInt8]

    public init(code: String, bytes: [UInt8]) {
        self.code = code
        self.bytes = bytes
        hash = sha256(bytes)
    }

    /// The files of a directory, by code; without one, those that are built in. Blocks while it reads; what can't be read
    /// is left out, and told by `PackLibrary.load`.
    public static func all(in directory: String?) -> [PackBytes] {
        guard let directory else { return BuiltInPacks.files.map { PackBytes(code: $0.code, bytes: $0.bytes) } }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory).sorted()) ?? []
        return names.compactMap { name in
            guard !name.hasPrefix("."), name.hasSuffix(".yaml"),
                let bytes = try? Data(contentsOf: URL(filePath: directory).appending(path: name))
            else { return nil }
            return PackBytes(code: String(name.dropLast(5)), bytes: [UInt8](bytes))
        }
    }
}

extension PackLibrary {
    /// The same checks as for a directory of these files.
    public static func load(_ files: [PackBytes]) -> (library: PackLibrary, problems: [DocumentProblem]) {
        load(files.map { ("\($0.code).yaml", $0.code, $0.bytes) }, directory: "packs", ProblemList())
    }
}
