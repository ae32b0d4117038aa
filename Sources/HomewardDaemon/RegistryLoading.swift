import Clinical
import Documents
import Foundation
import PostgresStore
import Registry

/// Packs from a directory, or the built-in ones.
enum ProtocolFiles {
    static func library(directory: String?) throws(DocumentProblems) -> PackLibrary {
        guard let directory else { return BuiltInPacks.library() }
        let (library, problems) = PackLibrary.load(directory: directory)
        guard problems.isEmpty else { throw DocumentProblems(problems) }
        return library
    }
}

/// A registry out of files alone, as `replay` judges by.
enum RegistryFiles {
    static func registry(paths: [String], packs: PackLibrary) throws(DocumentProblems) -> Registry {
        let outcome = RegistryBuilder(packs: packs).build(try RegistryFile.read(paths: paths), version: 1)
        guard outcome.problems.isEmpty else { throw DocumentProblems(outcome.problems) }
        return outcome.registry
    }
}

/// The typed registry of what the database has, for the commit thread.
enum StoredRegistry {
    struct Unreadable: Error, CustomStringConvertible {
        var description: String
    }

    static func build(
        _ entries: [PostgresStore.RegistryEntry], version: Int64, packs: PackLibrary
    ) throws -> Registry {
        guard let stored = RegistryFields.stored(entries) else {
            throw Unreadable(description: "an entry is not JSON of ours")
        }
        let outcome = RegistryBuilder(packs: packs).build(
            stored.map { Documents.RegistryEntry(key: $0.key, fields: $0.value.fields.mapValues(\.value)) },
            version: version)
        // A pack that was taken away since must not stop the stream: its patients are judged by what is left.
        return outcome.registry
    }
}
