/// One thing that is wrong in a document, where it stands, in words for the person who wrote it.
public struct DocumentProblem: Error, Hashable, Sendable, CustomStringConvertible {
    /// The path as it was given; for an entry that comes from the database, its name ("patient P0001").
    public var file: String
    /// Counted from 1; nil where there is no line to name.
    public var line: Int?
    public var message: String
    /// A notice is told and refuses nothing.
    public var isNotice: Bool

    public init(file: String, line: Int?, message: String, isNotice: Bool = false) {
        self.file = file
        self.line = line
        self.message = message
        self.isNotice = isNotice
    }

    /// `file:line: message`; a notice as `file:line: notice: message`.
    public var description: String {
        let place = line.map { "\(file):\($0)" } ?? file
        return "\(place): \(isNotice ? "notice: " : "")\(message)"
    }
}

/// Every problem of one or more documents; never empty.
public struct DocumentProblems: Error, Sendable, CustomStringConvertible {
    /// In the order of the files as they were read, then of the lines.
    public var problems: [DocumentProblem]

    public init(_ problems: [DocumentProblem]) { self.problems = problems }

    /// One problem a line.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Gathers problems while documents are read, so that all of them are told at once. One thread's.
final class ProblemList {
    private var found: [DocumentProblem] = []
    private var fileOrder: [String: Int] = [:]

    /// Adds a problem at `node`'s line.
    func add(_ message: String, at node: DocumentNode, isNotice: Bool = false) {
        add(DocumentProblem(file: node.file, line: node.line, message: message, isNotice: isNotice))
    }

    func add(_ problem: DocumentProblem) {
        if fileOrder[problem.file] == nil { fileOrder[problem.file] = fileOrder.count }
        found.append(problem)
    }

    /// In the order of the files as they were met, then of the lines; what was found first stands first on a line.
    var inLineOrder: [DocumentProblem] {
        found.enumerated().sorted { left, right in
            let leftFile = fileOrder[left.element.file] ?? 0
            let rightFile = fileOrder[right.element.file] ?? 0
            return (leftFile, left.element.line ?? 0, left.offset)
                < (rightFile, right.element.line ?? 0, right.offset)
        }.map(\.element)
    }

    /// What refuses the document, notices left out.
    var refusals: [DocumentProblem] { inLineOrder.filter { !$0.isNotice } }

    var notices: [DocumentProblem] { inLineOrder.filter(\.isNotice) }

    /// How many refusals there are; compare before and after to learn whether a step found any.
    var refusalCount: Int { found.count { !$0.isNotice } }
}
