/// Why recorded data can't be played, and where: `file:line: message`.
public struct RecordingFault: Error, Equatable, Sendable, CustomStringConvertible {
    public var path: String
    /// From 1; nil where it is about the whole file.
    public var line: Int?
    public var message: String

    public init(path: String, line: Int? = nil, message: String) {
        self.path = path
        self.line = line
        self.message = message
    }

    public var description: String { "\(path):\(line.map { "\($0):" } ?? "") \(message)" }
}

/// A table in RFC 4180's CSV: a header line, then rows of as many fields. Fields in quotes may hold commas, line
/// ends and doubled quotes; lines end in LF or CRLF; a byte order mark at the start is skipped. Anything else is a
/// fault at its line, not a guess.
struct CSVTable: Sendable {
    struct Row: Sendable {
        /// Where the row begins, from 1.
        let line: Int
        let fields: [String]
    }

    let path: String
    let header: [String]
    let rows: [Row]

    init(path: String, bytes: [UInt8]) throws(RecordingFault) {
        var reader = CSVReader(path: path, bytes: bytes)
        guard let header = try reader.row() else {
            throw RecordingFault(path: path, message: "the file is empty: a header line is needed")
        }
        if let twice = Dictionary(grouping: header.fields, by: { $0 }).first(where: { $0.value.count > 1 })?.key {
            throw RecordingFault(path: path, line: header.line, message: "two columns are named \"\(twice)\"")
        }
        var rows: [Row] = []
        while let row = try reader.row() {
            guard row.fields.count == header.fields.count else {
                throw RecordingFault(
                    path: path, line: row.line,
                    message: "\(row.fields.count) fields where the header has \(header.fields.count)")
            }
            rows.append(row)
        }
        self.path = path
        self.header = header.fields
        self.rows = rows
    }

    func index(of column: String) throws(RecordingFault) -> Int {
        guard let index = header.firstIndex(of: column) else {
            throw RecordingFault(
                path: path, line: 1,
                message: "no column \"\(column)\"; there are \(header.map { "\"\($0)\"" }.joined(separator: ", "))")
        }
        return index
    }
}

private struct CSVReader {
    let path: String
    let bytes: [UInt8]
    private var index = 0
    private var line = 1

    init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
    }

    /// The next row; nil at the end. An empty line at the very end is no row.
    mutating func row() throws(RecordingFault) -> CSVTable.Row? {
        guard index < bytes.count else { return nil }
        let start = line
        var fields = [try field()]
        while index < bytes.count, bytes[index] == UInt8(ascii: ",") {
            index += 1
            fields.append(try field())
        }
        try endOfLine()
        return CSVTable.Row(line: start, fields: fields)
    }

    private mutating func endOfLine() throws(RecordingFault) {
        guard index < bytes.count else { return }
        if bytes[index] == UInt8(ascii: "\r") { index += 1 }
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\n") else {
            throw fault("a carriage return without a line feed")
        }
        index += 1
        line += 1
    }

    private mutating func field() throws(RecordingFault) -> String {
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { return try plainField() }
        let opened = line
        index += 1
        var text: [UInt8] = []
        while true {
            guard index < bytes.count else {
                throw RecordingFault(path: path, line: opened, message: "a quote is never closed")
            }
            let byte = bytes[index]
            index += 1
            if byte == UInt8(ascii: "\n") { line += 1 }
            guard byte == UInt8(ascii: "\"") else {
                text.append(byte)
                continue
            }
            guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else { break }
            text.append(byte)
            index += 1
        }
        if index < bytes.count, ![UInt8(ascii: ","), UInt8(ascii: "\r"), UInt8(ascii: "\n")].contains(bytes[index]) {
            throw fault("text after a closing quote")
        }
        return try decoded(text[...])
    }

    private mutating func plainField() throws(RecordingFault) -> String {
        let start = index
        scan: while index < bytes.count {
            switch bytes[index] {
            case UInt8(ascii: ","), UInt8(ascii: "\r"), UInt8(ascii: "\n"): break scan
            case UInt8(ascii: "\""): throw fault("a quote inside a field that does not begin with one")
            default: index += 1
            }
        }
        return try decoded(bytes[start..<index])
    }

    private func decoded(_ bytes: ArraySlice<UInt8>) throws(RecordingFault) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw fault("not UTF-8") }
        return text
    }

    private func fault(_ message: String) -> RecordingFault {
        RecordingFault(path: path, line: line, message: message)
    }
}
