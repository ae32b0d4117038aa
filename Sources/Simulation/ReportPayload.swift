public import Clinical
import Formats

extension SimulatedReport {
    /// The payload, as a reader sends it at `sentAt` by its own clock. The same report and instant give the same bytes.
    public func payload(sentAt: Instant) -> [UInt8] {
        var json = JSONText()
        json.bytes.reserveCapacity(256)
        json.raw("{")
        json.member("id", id)
        json.raw(",\"taken_at\":\"")
        RFC3339.append(takenAt, to: &json.bytes)
        json.raw("\",\"sent_at\":\"")
        RFC3339.append(sentAt, to: &json.bytes)
        json.raw("\"")
        if let sequence { json.raw(",\"seq\":\(sequence)") }
        if !readings.isEmpty {
            json.list("readings", readings) { json, reading in
                json.member("kind", reading.kind.known?.code ?? reading.kind.text)
                json.raw(",\"value\":")
                switch reading.value {
                case .number(let number): json.number(number)
                case .code(let code): json.string(code)
                }
                if let unit = reading.unit {
                    json.raw(",")
                    json.member("unit", unit.known?.code ?? unit.text)
                }
                let flags = ReadingFlags.names.filter { reading.flags.contains($0.flag) }.map(\.name)
                if !(flags + reading.otherFlags).isEmpty {
                    json.raw(",\"flags\":[")
                    json.separated(flags + reading.otherFlags) { $0.string($1) }
                    json.raw("]")
                }
            }
        }
        if !answers.isEmpty {
            json.list("answers", answers) { json, answer in
                json.member("question", answer.question.known?.rawValue ?? answer.question.text)
                json.raw(",\"value\":")
                switch answer.value {
                case .boolean(let value): json.raw(value ? "true" : "false")
                case .number(let number): json.number(number)
                case .text(let text): json.string(text)
                }
            }
        }
        if let battery { json.raw(",\"battery\":\(battery)") }
        json.raw("}")
        return json.bytes
    }

    /// A device's retained status.
    static func status(online: Bool, battery: Int?, now: Instant) -> [UInt8] {
        var json = JSONText()
        json.raw("{\"state\":\"\(online ? "online" : "offline")\"")
        if let battery { json.raw(",\"battery\":\(battery)") }
        json.raw(",\"firmware\":\"2.1.0\",\"now\":\"")
        RFC3339.append(now, to: &json.bytes)
        json.raw("\"}")
        return json.bytes
    }
}

extension SentName {
    /// The text of a name that is not known; empty for one that is.
    fileprivate var text: String {
        if case .unknown(let text) = self { text } else { "" }
    }
}

/// JSON being written.
private struct JSONText {
    var bytes: [UInt8] = []

    mutating func raw(_ text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func member(_ name: String, _ value: String) {
        string(name)
        raw(":")
        string(value)
    }

    mutating func string(_ text: String) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20:
                raw("\\u00" + (byte < 16 ? "0" : "") + String(byte, radix: 16))
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }

    /// The shortest digits that give `number` back; whole numbers without a fraction, as meters print them.
    mutating func number(_ number: Double) {
        if let whole = Int64(exactly: number), abs(number) < 1e15 {
            raw(String(whole))
        } else {
            raw(number.description)
        }
    }

    mutating func separated<Element>(_ elements: [Element], _ write: (inout JSONText, Element) -> Void) {
        for (index, element) in elements.enumerated() {
            if index > 0 { raw(",") }
            write(&self, element)
        }
    }

    mutating func list<Element>(_ name: String, _ elements: [Element], _ write: (inout JSONText, Element) -> Void) {
        raw(",\"\(name)\":[")
        separated(elements) { json, element in
            json.raw("{")
            write(&json, element)
            json.raw("}")
        }
        raw("]")
    }
}
