import Alerting
import Clinical
import Formats
import Foundation
import Ingestion

/// What somebody typed in as a reader would have sent it: it goes the same way. Checked as the pipeline will check it, so
/// that a slip is told while the patient is still on the telephone.
struct TypedPayload {
    /// For the person who typed; never for a log.
    struct Refusal: Error {
        var words: String
    }

    let bytes: [UInt8]
    /// `SpO2 84 %, pulse 120 /min`
    let words: String

    init(_ typed: TypedReadings, form: FormID, timeZone: String, now: Date = .now) throws(Refusal) {
        guard !typed.values.isEmpty else { throw Refusal(words: "no value was typed in") }
        let taken = try Self.time(typed.takenAt, timeZone, now)
        var writer = JSONWriter()
        writer.beginObject()
        writer.name("id")
        writer.value(form.description)
        writer.name("taken_at")
        writer.value(taken)
        writer.name("typed")
        writer.value(typed.source.rawValue)
        writer.name("readings")
        writer.beginArray()
        for value in typed.values {
            writer.beginObject()
            writer.name("kind")
            writer.value(value.kind.code)
            writer.name("value")
            if value.kind.isCoded {
                writer.value(value.text.uppercased())
            } else {
                writer.value(try Self.number(value))
            }
            if let unit = value.unit, !value.kind.isCoded {
                writer.name("unit")
                writer.value(unit)
            }
            writer.name("flags")
            writer.beginArray()
            writer.value("typed")
            writer.value("told-by-\(typed.source.rawValue)")
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
        writer.endObject()
        bytes = writer.bytes
        words = typed.values.map { value in
            "\(value.kind.name) \(value.text)\(value.unit.map { " \($0)" } ?? "")"
        }.joined(separator: ", ")
        try Self.check(bytes, typed, now)
    }

    private static func number(_ value: TypedReadings.Value) throws(Refusal) -> Double {
        let text = value.text.replacing(",", with: ".")
        guard text.utf8.count <= 12, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let number = Double(text), number.isFinite
        else { throw Refusal(words: "\(value.kind.name): expected a number, such as 97 or 36.5") }
        return number
    }

    private static func time(_ text: String?, _ timeZone: String, _ now: Date) throws(Refusal) -> Instant {
        guard let text else {
            return Instant(microseconds: Int64(exactly: (now.timeIntervalSince1970 * 1_000_000).rounded()) ?? 0)
        }
        guard let taken = Instant(wallClock: text, timeZone: timeZone) else {
            throw Refusal(words: "the time when it was taken can't be read")
        }
        return taken
    }

    private static func check(_ bytes: [UInt8], _ typed: TypedReadings, _ now: Date) throws(Refusal) {
        let receivedAt = Instant(microseconds: Int64(exactly: (now.timeIntervalSince1970 * 1_000_000).rounded()) ?? 0)
        let message = Message(
            topic: Array("homeward/v1/any/any/report".utf8), payload: bytes, receivedAt: receivedAt)
        var stage = DecodeStage()
        var decoded = Decoded()
        stage.decode(message, into: &decoded)
        if let fault = decoded.fault { throw Refusal(words: "it can't be taken: \(fault.detail)") }
        if let refusal = decoded.clock.refusal {
            throw Refusal(
                words: refusal == .clockFuture ? "it would have been taken in the future" : "it is older than 30 days")
        }
        guard let first = decoded.readings.refused.first else { return }
        let value = typed.values.indices.contains(first.index) ? typed.values[first.index] : nil
        let told = value.map { "\($0.kind.name) \($0.text)\($0.unit.map { " \($0)" } ?? "")" } ?? first.kind
        throw Refusal(words: "\(told) is refused: \(first.reason.rawValue.replacing("-", with: " "))")
    }
}

extension Instant {
    /// A wall clock's time as a form has it, `2026-11-23T08:15`.
    init?(wallClock text: String, timeZone: String) {
        let style = Date.ISO8601FormatStyle(timeZone: TimeZone(identifier: timeZone) ?? .gmt)
            .year().month().day().dateTimeSeparator(.standard).time(includingFractionalSeconds: false)
        guard let date = try? style.parse(text + (text.utf8.count == 16 ? ":00" : "")),
            let microseconds = Int64(exactly: (date.timeIntervalSince1970 * 1_000_000).rounded())
        else { return nil }
        self.init(microseconds: microseconds)
    }
}
