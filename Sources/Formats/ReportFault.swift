public import Clinical

/// Why a payload is no report (or no status): a fault of the whole message.
public struct ReportFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// `.malformed`, or `.empty` for a report without any reading and any answer.
    public var reason: RefusalReason
    /// What is wrong, at which field and byte. Holds known field names and numbers only, nothing that was sent.
    public var detail: String

    public init(reason: RefusalReason, detail: String) {
        self.reason = reason
        self.detail = detail
    }

    init(_ fault: JSONFault) {
        reason = .malformed
        detail = fault.description
    }

    public var description: String { "\(reason.rawValue): \(detail)" }
}

/// A fault of the content, found while the text is still being read; words are made of it only at the end.
struct ContentFault {
    var problem: Problem
    var place: Place
    var offset: Int

    enum Problem {
        case missing, duplicate, notString, notNumber, notArray, notObject, notScalar
        case badIdentifier, badTime, badSequence, badState, tooMany

        var text: String {
            switch self {
            case .missing: "is missing"
            case .duplicate: "stands twice"
            case .notString: "is not a string"
            case .notNumber: "is not a number"
            case .notArray: "is not an array"
            case .notObject: "is not an object"
            case .notScalar: "is of the wrong type"
            case .badIdentifier: "is not 1 to 64 of [A-Za-z0-9._:-]"
            case .badTime: "is not an RFC 3339 time with a zone"
            case .badSequence: "is not an integer from 0 to 9223372036854775807"
            case .badState: "is neither online nor offline"
            case .tooMany: "has more than 64 entries"
            }
        }
    }

    /// A field of the contract: `battery`, `readings[2]`, `readings[2].unit`.
    struct Place {
        var list: ReportField?
        var index = 0
        var field: ReportField?

        var text: String {
            guard let list else { return field?.rawValue ?? "" }
            return "\(list.rawValue)[\(index)]" + (field.map { ".\($0.rawValue)" } ?? "")
        }
    }

    var fault: ReportFault {
        ReportFault(reason: .malformed, detail: "\(place.text) \(problem.text) at byte \(offset)")
    }
}

/// The field names of the contract's payloads.
enum ReportField: String, CaseIterable, BitwiseCopyable {
    case id
    case takenAt = "taken_at"
    case sentAt = "sent_at"
    case seq, readings, answers, battery
    case kind, value, unit, flags
    case question
    case state, firmware, now

    /// A set of fields as bits.
    typealias Mask = UInt32

    var mask: Mask {
        switch self {
        case .id: 1 << 0
        case .takenAt: 1 << 1
        case .sentAt: 1 << 2
        case .seq: 1 << 3
        case .readings: 1 << 4
        case .answers: 1 << 5
        case .battery: 1 << 6
        case .kind: 1 << 7
        case .value: 1 << 8
        case .unit: 1 << 9
        case .flags: 1 << 10
        case .question: 1 << 11
        case .state: 1 << 12
        case .firmware: 1 << 13
        case .now: 1 << 14
        }
    }
}
