import Clinical
import Formats
import Registry

extension JSONWriter {
    mutating func fields(_ fields: [String: FieldValue]) {
        beginObject()
        for (name, value) in fields {
            self.name(name)
            field(value)
        }
        endObject()
    }

    private mutating func field(_ field: FieldValue) {
        switch field {
        case .null: null()
        case .boolean(let bool): value(bool)
        case .number(let number): value(number)
        case .string(let text): value(text)
        case .array(let elements):
            beginArray()
            for element in elements { self.field(element) }
            endArray()
        case .object(let members): fields(members)
        }
    }
}

extension FieldValue {
    init(_ json: JSONValue) {
        switch json {
        case .null: self = .null
        case .bool(let bool): self = .boolean(bool)
        case .number(let number): self = .number(number)
        case .string(let text): self = .string(text)
        case .array(let elements): self = .array(elements.map { FieldValue($0) })
        case .object(let members):
            self = .object(
                Dictionary(members.map { ($0.0, FieldValue($0.1)) }, uniquingKeysWith: { first, _ in first }))
        }
    }
}

extension OutageState.Window {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.name("kinds")
        writer.beginArray()
        for kind in kinds { writer.value(Int64(kind.rawValue)) }
        writer.endArray()
        writer.member("needed", needed)
        writer.name("readings")
        writer.beginArray()
        for reading in readings { reading.write(to: &writer) }
        writer.endArray()
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let kinds = json["kinds"]?.array, let needed = json["needed"]?.instant,
            let elements = json["readings"]?.array
        else { return nil }
        let readings = elements.compactMap { PastReading($0) }
        guard readings.count == elements.count else { return nil }
        self.init(
            kinds: Set(kinds.compactMap { $0.integer.flatMap { UInt8(exactly: $0) }.flatMap { Kind(rawValue: $0) } }),
            needed: needed, readings: readings)
    }
}

extension PastReading {
    func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("device", key.device.description)
        writer.member("report", key.report.description)
        writer.member("index", Int64(index))
        writer.member("kind", Int64(kind.rawValue))
        writer.member("value", value)
        writer.member("sent", sentValue)
        if let sentUnit { writer.member("unit", Int64(sentUnit.rawValue)) }
        writer.member("flags", Int64(flags.rawValue))
        writer.member("taken_at", takenAt)
        writer.endObject()
    }

    init?(_ json: JSONValue) {
        guard let device = json["device"]?.string.flatMap({ Identifier($0) }),
            let report = json["report"]?.string.flatMap({ Identifier($0, grammar: .report) }),
            let index = json["index"]?.integer,
            let kind = json["kind"]?.integer.flatMap({ UInt8(exactly: $0) }).flatMap({ Kind(rawValue: $0) }),
            let value = json["value"]?.number, let sent = json["sent"]?.number,
            let flags = json["flags"]?.integer.flatMap({ UInt16(exactly: $0) }), let takenAt = json["taken_at"]?.instant
        else { return nil }
        let unit = json["unit"]?.integer.flatMap { UInt8(exactly: $0) }.flatMap { UCUMUnit(rawValue: $0) }
        self.init(
            key: ReportKey(device: device, report: report), index: Int(clamping: index), kind: kind, value: value,
            sentValue: sent, sentUnit: unit, flags: ReadingFlags(rawValue: flags), takenAt: takenAt)
    }
}
