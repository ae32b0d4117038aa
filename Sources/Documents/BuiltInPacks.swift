public import Clinical

/// The packs of `config/protocols`, as they were when this was built.
public enum BuiltInPacks {
    /// Each file's name with its bytes.
    static let files: [(path: String, code: String, bytes: [UInt8])] = [
        ("adult", PackageResources.adult_yaml),
        ("anticoagulation", PackageResources.anticoagulation_yaml),
        ("asthma", PackageResources.asthma_yaml),
        ("copd", PackageResources.copd_yaml),
        ("diabetes", PackageResources.diabetes_yaml),
        ("heart-failure", PackageResources.heart_failure_yaml),
        ("hypertension", PackageResources.hypertension_yaml),
    ].map { ("built in: \($0.0).yaml", $0.0, $0.1) }

    /// All of them. A fault in one is a fault of the build, which the tests find; it ends the process here rather than
    /// leave patients without limits.
    public static func library() -> PackLibrary {
        let (library, problems) = PackLibrary.load(files, directory: "built in", ProblemList())
        precondition(
            problems.isEmpty, "built-in protocol packs: \(problems.map(\.description).joined(separator: "\n"))")
        return library
    }
}
