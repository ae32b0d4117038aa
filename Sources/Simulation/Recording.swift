public import Clinical
public import Foundation

/// Which column of a table is which kind of reading.
public struct RecordedColumn: Sendable, Hashable {
    public var kind: Kind
    /// The unit that the column is in; nil where the kind is sent without one.
    public var unit: UCUMUnit?
    /// The column's name in the header.
    public var value: String
    /// Decimals that the meter shows; nil sends the number as it was recorded.
    public var digits: Int?

    public init(kind: Kind, unit: UCUMUnit?, value: String, digits: Int? = nil) {
        self.kind = kind
        self.unit = unit
        self.value = value
        self.digits = digits
    }

    /// `kind=weight,unit=kg,value=WeightKg`, and optionally `digits=1`.
    ///
    /// Throws the sentence that says what is wrong, for a usage error.
    public init(argument: String) throws(RecordedColumnFault) {
        var parts: [String: String] = [:]
        for part in argument.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
            guard pair.count == 2 else { throw RecordedColumnFault("\"\(part)\" is not NAME=VALUE") }
            guard ["kind", "unit", "value", "digits"].contains(pair[0]) else {
                throw RecordedColumnFault("\"\(pair[0])\" is none of kind, unit, value, digits")
            }
            guard parts.updateValue(pair[1], forKey: pair[0]) == nil else {
                throw RecordedColumnFault("\"\(pair[0])\" stands there twice")
            }
        }
        guard let kindCode = parts["kind"], let value = parts["value"] else {
            throw RecordedColumnFault("kind= and value= are needed")
        }
        guard let kind = Kind(code: kindCode) else {
            let known = Kind.allCases.map(\.code).joined(separator: ", ")
            throw RecordedColumnFault("\"\(kindCode)\" is no kind; there are \(known)")
        }
        var unit: UCUMUnit?
        if let code = parts["unit"] {
            guard let known = UCUMUnit(code: code) else { throw RecordedColumnFault("\"\(code)\" is no unit") }
            unit = known
        }
        var digits: Int?
        if let text = parts["digits"] {
            guard let number = Int(text), (0...6).contains(number) else {
                throw RecordedColumnFault("digits= takes 0 to 6")
            }
            digits = number
        }
        self.init(kind: kind, unit: unit, value: value, digits: digits)
    }
}

/// What is wrong with a column mapping, in a sentence.
public struct RecordedColumnFault: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// A table of recorded data, to be played as reports: one per row, with a reading for each column that has a value
/// in it. A row without any value is left out.
public struct Recording: Sendable, Hashable {
    /// Whose reader the rows come from.
    public enum Device: Sendable, Hashable {
        case code(String)
        /// The code is `prefix` and then the column's text.
        case column(String, prefix: String)
    }

    public var path: String
    public var columns: [RecordedColumn]
    public var timeColumn: String
    /// Of times that don't say their own.
    public var timeZone: TimeZone
    public var device: Device
    /// Moves all times by the same length, so that the last one becomes this.
    public var lastAt: Instant?

    public init(
        path: String, columns: [RecordedColumn], timeColumn: String, device: Device, timeZone: TimeZone = .gmt,
        lastAt: Instant? = nil
    ) {
        self.path = path
        self.columns = columns
        self.timeColumn = timeColumn
        self.device = device
        self.timeZone = timeZone
        self.lastAt = lastAt
    }

    /// Reads the whole file at once, so that a bad line is known before anything is sent.
    ///
    /// - Returns: The reports in the order of their times. Report ids are `RUN-LINE`, with the line of the file.
    public func reports(site: String, run: String) throws(RecordingFault) -> [SimulatedReport] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw RecordingFault(path: path, message: "can't be read")
        }
        return try reports(of: CSVTable(path: path, bytes: Array(data)), site: site, run: run)
    }

    func reports(of table: CSVTable, site: String, run: String) throws(RecordingFault) -> [SimulatedReport] {
        let timeIndex = try table.index(of: timeColumn)
        var valueIndexes: [Int] = []
        for column in columns { valueIndexes.append(try table.index(of: column.value)) }
        var deviceIndex: Int?
        if case .column(let name, _) = device { deviceIndex = try table.index(of: name) }
        var reports: [SimulatedReport] = []
        for row in table.rows {
            var readings: [SentReading] = []
            for (column, index) in zip(columns, valueIndexes) {
                if let reading = try reading(row.fields[index], column, at: row.line) { readings.append(reading) }
            }
            guard !readings.isEmpty else { continue }
            let text = row.fields[timeIndex]
            guard let takenAt = RecordedTime.parse(text, timeZone: timeZone) else {
                throw fault(row.line, "\"\(text)\" is no time that is known here")
            }
            let code = try deviceCode(deviceIndex.map { row.fields[$0] }, at: row.line)
            reports.append(
                SimulatedReport(
                    site: site, device: code, id: "\(run)-\(padded(row.line, width: 6))", takenAt: takenAt,
                    uploadAt: takenAt, readings: readings))
        }
        // Stable, so that rows of the same time stay in the file's order.
        let ordered = reports.enumerated().sorted { ($0.element.takenAt, $0.offset) < ($1.element.takenAt, $1.offset) }
            .map(\.element)
        guard let lastAt, let last = ordered.last else { return ordered }
        return ordered.map { $0.uploaded(at: lastAt - (last.takenAt - $0.takenAt)) }
    }

    private func reading(
        _ text: String, _ column: RecordedColumn, at line: Int
    ) throws(RecordingFault) -> SentReading? {
        let trimmed = text.trimmingCharacters(in: .whitespaces)
        guard !trimmed.isEmpty else { return nil }
        guard var number = Double(trimmed), number.isFinite else {
            throw fault(line, "\"\(text)\" in column \"\(column.value)\" is no number")
        }
        if let digits = column.digits {
            let steps = (0..<digits).reduce(1.0) { steps, _ in steps * 10 }
            let rounded = (number * steps).rounded() / steps
            if rounded.isFinite { number = rounded }
        }
        return SentReading(kind: .known(column.kind), value: .number(number), unit: column.unit.map { .known($0) })
    }

    private func deviceCode(_ field: String?, at line: Int) throws(RecordingFault) -> String {
        let code =
            switch device {
            case .code(let code): code
            case .column(_, let prefix): prefix + (field ?? "")
            }
        guard Identifier(code) != nil else {
            throw fault(line, "\"\(code)\" is no device code: 1 to 64 of A-Z a-z 0-9 _ -")
        }
        return code
    }

    private func fault(_ line: Int, _ message: String) -> RecordingFault {
        RecordingFault(path: path, line: line, message: message)
    }
}
