import Foundation
import Yams

/// YAML bytes -> `DocumentNode`. The only file that knows the YAML library.
///
/// Bounded against hostile files: 64 MiB, nested 32 deep, no anchors that are used, no tags, one document.
enum YAMLDocument {
    static let maximumBytes = 64 << 20
    static let maximumDepth = 32

    /// The document at `path`, or nil when it could not be read, is not YAML, or is empty; the first two are reported.
    static func read(path: String, _ problems: ProblemList) -> DocumentNode? {
        let bytes: Data
        var isDirectory = false
        if FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory), isDirectory {
            problems.add(DocumentProblem(file: path, line: nil, message: "can't be read: is a directory"))
            return nil
        }
        do {
            bytes = try Data(contentsOf: URL(filePath: path))
        } catch {
            problems.add(DocumentProblem(file: path, line: nil, message: "can't be read: \(Self.reason(of: error))"))
            return nil
        }
        return parse([UInt8](bytes), file: path, problems)
    }

    /// The document of `bytes`; nil when there is none (reported, unless the file is merely empty).
    static func parse(_ bytes: [UInt8], file: String, _ problems: ProblemList) -> DocumentNode? {
        func refuse(_ message: String, line: Int?) {
            problems.add(DocumentProblem(file: file, line: line, message: message))
        }
        guard bytes.count <= maximumBytes else {
            refuse("has \(bytes.count) bytes; at most \(maximumBytes) are read", line: nil)
            return nil
        }
        guard var text = String(validating: bytes, as: UTF8.self) else {
            refuse("is not UTF-8", line: lineOfFirstInvalidByte(in: bytes))
            return nil
        }
        if text.unicodeScalars.first == "\u{FEFF}" { text.unicodeScalars.removeFirst() }
        if let line = lineOfUsedAnchor(in: text) {
            refuse("anchors and aliases (& and *) are not read here: write the value out", line: line)
            return nil
        }
        let lastLine = lines(of: text).lastIndex { !$0.allSatisfy(\.isWhitespace) }.map { $0 + 1 } ?? 1
        // The library keeps a pointer into the string's own storage, which a string of 15 bytes or less does not have.
        if text.utf8.count < 32 { text += "\n#                                " }
        do {
            guard let root = try Parser(yaml: text, encoding: .utf8).singleRoot() else { return nil }
            return node(root, file: file, line: 1, depth: 1, problems)
        } catch let error as YamlError {
            let (line, message) = explanation(of: error, text: text)
            refuse(message, line: line.map { min($0, lastLine) })
        } catch {
            refuse("is not YAML", line: nil)
        }
        return nil
    }

    private static func node(
        _ yaml: Node, file: String, line: Int, depth: Int, _ problems: ProblemList
    ) -> DocumentNode {
        let line = yaml.mark?.line ?? line
        var result = DocumentNode(file: file, line: line, content: .null)
        guard depth <= maximumDepth else {
            problems.add("is nested more than \(maximumDepth) deep", at: result)
            return result
        }
        switch yaml {
        case .scalar(let scalar):
            let quoted = scalar.style != .plain
            let isTagged = quoted ? scalar.tag.rawValue != Tag.Name.str.rawValue : !scalar.tag.rawValue.isEmpty
            if isTagged { problems.add("tags (\(scalar.tag.rawValue)) are not read here", at: result) }
            result.content =
                quoted ? .string(scalar.string, quoted: true) : PlainScalar.content(of: scalar.string)
        case .sequence(let sequence):
            if !sequence.tag.rawValue.isEmpty { problems.add("tags are not read here", at: result) }
            result.content = .list(sequence.map { node($0, file: file, line: line, depth: depth + 1, problems) })
        case .mapping(let mapping):
            if !mapping.tag.rawValue.isEmpty { problems.add("tags are not read here", at: result) }
            result.content = .mapping(fields(mapping, in: result, depth: depth, problems))
        case .alias:
            problems.add("anchors and aliases are not read here: write the value out", at: result)
        }
        return result
    }

    private static func fields(
        _ mapping: Node.Mapping, in parent: DocumentNode, depth: Int, _ problems: ProblemList
    ) -> [DocumentNode.Field] {
        var firstLines: [String: Int] = [:]
        var fields: [DocumentNode.Field] = []
        for (key, value) in mapping {
            let line = key.mark?.line ?? parent.line ?? 1
            let place = DocumentNode(file: parent.file, line: line, content: .null)
            guard case .scalar(let scalar) = key, !scalar.string.isEmpty else {
                problems.add("a key must be a word", at: place)
                continue
            }
            if let first = firstLines[scalar.string] {
                problems.add(duplicateMessage(scalar.string, firstLine: first), at: place)
                continue
            }
            firstLines[scalar.string] = line
            let child = node(value, file: parent.file, line: line, depth: depth + 1, problems)
            fields.append(DocumentNode.Field(name: scalar.string, line: line, value: child))
        }
        return fields
    }

    private static func duplicateMessage(_ key: String, firstLine: Int) -> String {
        "the key \"\(DocumentNode.excerpt(of: key))\" stands here a second time (first in line \(firstLine))"
    }

    // MARK: - Errors of the YAML library, in our words

    private static func explanation(of error: YamlError, text: String) -> (line: Int?, message: String) {
        switch error {
        case .scanner(_, let problem, let mark, _):
            if character(at: mark, in: text) == "\t" {
                return (mark.line, "a tab can't indent YAML: use spaces")
            }
            return (mark.line, "is not YAML: \(problem)")
        case .parser(_, let problem, let mark, _):
            return (mark.line, "is not YAML: \(problem)")
        case .composer(_, let problem, let mark, _):
            if problem.contains("another document") {
                return (mark.line, "a second document begins here; a file holds one")
            }
            return (mark.line, "is not YAML: \(problem)")
        case .reader(let problem, let offset, _, let yaml):
            let line = offset.map { count in 1 + yaml.prefix(count).count { $0.isNewline } }
            return (line, "is not YAML: \(problem)")
        case .duplicatedKeysInMapping(let duplicates, let context):
            let key = duplicates.first ?? ""
            let line = lineOfSecond(key, after: context.mark, in: text)
            return (line, duplicateMessage(key, firstLine: context.mark.line))
        default:
            return (nil, "is not YAML")
        }
    }

    /// The library names the first of two equal keys; the second is the next line that has it at the same column.
    private static func lineOfSecond(_ key: String, after mark: Mark, in text: String) -> Int {
        for (index, line) in lines(of: text).enumerated() where index >= mark.line {
            var rest = line.dropFirst(mark.column - 1)
            let indent = line.prefix(mark.column - 1)
            guard indent.allSatisfy({ $0 == " " || $0 == "-" }) else { continue }
            if rest.first == "\"" || rest.first == "'" { rest.removeFirst() }
            guard rest.hasPrefix(key) else { continue }
            let after = rest.dropFirst(key.count).drop { $0 == "\"" || $0 == "'" || $0 == " " }
            if after.first == ":" { return index + 1 }
        }
        return mark.line
    }

    private static func character(at mark: Mark, in text: String) -> Character? {
        let all = lines(of: text)
        guard all.indices.contains(mark.line - 1) else { return nil }
        return all[mark.line - 1].dropFirst(mark.column - 1).first
    }

    private static func lines(of text: String) -> [Substring] {
        text.split(omittingEmptySubsequences: false) { $0.isNewline }
    }

    private static func lineOfFirstInvalidByte(in bytes: [UInt8]) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var line = 1
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            if scalar == "\n" { line += 1 }
        }
        return line
    }

    /// The line of the first alias whose anchor is in the file, or nil.
    ///
    /// Looked for before the library composes anything: a few nested aliases make a tree of billions of nodes, and a
    /// collection as a key is hashed whole. A name after `&` and again after `*` is an alias for every purpose here.
    private static func lineOfUsedAnchor(in text: String) -> Int? {
        var anchors: Set<String> = []
        var aliases: [(name: String, line: Int)] = []
        var line = 1
        var previous: UInt8 = UInt8(ascii: " ")
        var bytes = Array(text.utf8)[...]
        while let byte = bytes.popFirst() {
            if byte == UInt8(ascii: "\n") { line += 1 }
            if byte == UInt8(ascii: "&") || byte == UInt8(ascii: "*"), !isNameByte(previous) {
                let name = String(decoding: bytes.prefix(while: isNameByte), as: UTF8.self)
                if !name.isEmpty, byte == UInt8(ascii: "&") { anchors.insert(name) }
                if !name.isEmpty, byte == UInt8(ascii: "*") { aliases.append((name, line)) }
            }
            previous = byte
        }
        return aliases.first { anchors.contains($0.name) }?.line
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    static func reason(of error: any Error) -> String {
        switch (error as? CocoaError)?.code {
        case .fileReadNoSuchFile, .fileNoSuchFile: "no such file"
        case .fileReadNoPermission: "permission denied"
        default: (error as? CocoaError)?.localizedDescription ?? "unknown error"
        }
    }
}
