import Clinical
import Documents
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
