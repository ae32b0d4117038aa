public import Clinical
import Foundation

extension PackLibrary {
    /// Every `*.yaml` of a directory as a pack, and everything that is wrong with them. Blocks while it reads. Packs
    /// with problems are left out of `library`, so use it only where `problems` is empty.
    public static func load(directory: String) -> (library: PackLibrary, problems: [DocumentProblem]) {
        let problems = ProblemList()
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: directory).sorted()
        } catch {
            problems.add(
                DocumentProblem(
                    file: directory, line: nil, message: "can't be read: \(YAMLDocument.reason(of: error))"))
            return (PackLibrary(), problems.refusals)
        }
        var files: [(path: String, code: String, bytes: [UInt8])] = []
        for name in names where !name.hasPrefix(".") {
            let path = "\(directory.hasSuffix("/") ? String(directory.dropLast()) : directory)/\(name)"
            if name.hasSuffix(".yml") {
                problems.add(DocumentProblem(file: path, line: nil, message: "is not read: name it .yaml"))
            }
            guard name.hasSuffix(".yaml") else { continue }
            do {
                let bytes = try Data(contentsOf: URL(filePath: path))
                files.append((path, String(name.dropLast(5)), [UInt8](bytes)))
            } catch {
                problems.add(
                    DocumentProblem(
                        file: path, line: nil, message: "can't be read: \(YAMLDocument.reason(of: error))"))
            }
        }
        return load(files, directory: directory, problems)
    }

    static func load(
        _ files: [(path: String, code: String, bytes: [UInt8])], directory: String, _ problems: ProblemList
    ) -> (library: PackLibrary, problems: [DocumentProblem]) {
        let packs = files.compactMap { PackDocument.parse($0.bytes, file: $0.path, code: $0.code, problems) }
        let library = PackLibrary(packs)
        if !files.contains(where: { $0.code == everybody }) {
            problems.add(
                DocumentProblem(
                    file: directory, line: nil, message: "has no \(everybody).yaml, the pack that holds for everybody"))
        }
        if problems.refusals.isEmpty {
            for file in files { library.check(file.code, file: file.path, file.bytes, problems) }
        }
        return (library, problems.refusals)
    }

    /// Whether low and high leave something in range for a patient of this pack, on either NEWS2 scale.
    private func check(_ code: String, file: String, _ bytes: [UInt8], _ problems: ProblemList) {
        var found: [PlanProblem] = []
        for scale in [1, 2] {
            let profile = PatientProfile(news2Scale: scale, conditions: [code])
            for problem in Plan.problems(of: profile, packs: self) where !found.contains(problem) {
                found.append(problem)
                problems.add(
                    DocumentProblem(
                        file: file, line: Self.line(of: problem, in: bytes), message: problem.description))
            }
        }
    }

    /// Where the file first has a band of the kind; nil where the fault lies in `adult`'s alone.
    private static func line(of problem: PlanProblem, in bytes: [UInt8]) -> Int? {
        guard case .inverted(let kind, _) = problem,
            let node = YAMLDocument.parse(bytes, file: "", ProblemList()), case .mapping(let fields) = node.content,
            case .list(let bands)? = fields.first(where: { $0.name == "bands" })?.value.content
        else { return nil }
        return bands.first { band in
            guard case .mapping(let fields) = band.content else { return false }
            return fields.contains { $0.name == "kind" && $0.value.content == .string(kind.code, quoted: false) }
        }?.line
    }
}
