/// A report as its payload says it: decoded, nothing judged yet.
///
/// One value is reused for report after report: `reset()` empties the arrays and keeps their capacity, so that a
/// report of ordinary size is decoded without touching the heap.
public struct SentReport: Sendable {
    public var id: Identifier?
    /// `taken_at` by the device's clock.
    public var takenAt = Instant(microseconds: 0)
    /// `sent_at` by the device's clock.
    public var sentAt: Instant?
    public var sequence: Int64?
    /// Percent, 0 to 100.
    public var battery: Double?
    public var readings: [SentReading] = []
    public var answers: [SentAnswer] = []

    public init() {
        readings.reserveCapacity(8)
        answers.reserveCapacity(8)
    }

    public mutating func reset() {
        id = nil
        takenAt = Instant(microseconds: 0)
        sentAt = nil
        sequence = nil
        battery = nil
        readings.removeAll(keepingCapacity: true)
        answers.removeAll(keepingCapacity: true)
    }
}

/// One entry of `readings`, as sent.
///
/// Nearly every reading has names that we know and no other flags: then it is copied with hardly more than its bits. What
/// else was sent lies apart.
public struct SentReading: Sendable, Hashable {
    @usableFromInline var knownKind: Kind?
    @usableFromInline var knownUnit: UCUMUnit?
    public var flags: ReadingFlags
    public var value: SentValue
    /// Nil unless it holds something.
    @usableFromInline var texts: SentTexts?

    public init(
        kind: SentName<Kind>, value: SentValue, unit: SentName<UCUMUnit>?, flags: ReadingFlags = [],
        otherFlags: [String] = []
    ) {
        knownKind = kind.known
        knownUnit = unit?.known
        self.value = value
        self.flags = flags
        var unknownKind: String?
        if case .unknown(let text) = kind { unknownKind = text }
        var unknownUnit: String?
        if case .unknown(let text) = unit { unknownUnit = text }
        guard unknownKind != nil || unknownUnit != nil || !otherFlags.isEmpty else { return }
        texts = SentTexts(kind: unknownKind, unit: unknownUnit, otherFlags: otherFlags)
    }

    /// With names that we know and flags that the contract names.
    @inlinable
    public init(knownKind: Kind, value: SentValue, knownUnit: UCUMUnit?, flags: ReadingFlags) {
        self.knownKind = knownKind
        self.knownUnit = knownUnit
        self.flags = flags
        self.value = value
    }

    public var kind: SentName<Kind> {
        if let knownKind { return .known(knownKind) }
        return .unknown(texts?.kind ?? "")
    }

    /// Nil where the payload gives no unit.
    public var unit: SentName<UCUMUnit>? {
        if let knownUnit { return .known(knownUnit) }
        return texts?.unit.map { .unknown($0) }
    }

    /// Flags that the contract does not name; kept as sent, empty for nearly every reading.
    public var otherFlags: [String] { texts?.otherFlags ?? [] }
}

/// The texts of a reading that stand for nothing we know.
@usableFromInline
final class SentTexts: Sendable, Hashable {
    let kind: String?
    let unit: String?
    let otherFlags: [String]

    init(kind: String?, unit: String?, otherFlags: [String]) {
        self.kind = kind
        self.unit = unit
        self.otherFlags = otherFlags
    }

    @usableFromInline
    static func == (left: SentTexts, right: SentTexts) -> Bool {
        left.kind == right.kind && left.unit == right.unit && left.otherFlags == right.otherFlags
    }

    @usableFromInline
    func hash(into hasher: inout Hasher) {
        hasher.combine(kind)
        hasher.combine(unit)
        hasher.combine(otherFlags)
    }
}

/// A name that we know, or the text that was sent instead of one.
public enum SentName<Known: Hashable & Sendable>: Hashable, Sendable {
    case known(Known)
    case unknown(String)

    public var known: Known? {
        if case .known(let name) = self { name } else { nil }
    }
}

/// A reading's value as sent: a number (always finite), or the string of a coded kind.
public enum SentValue: Hashable, Sendable {
    case number(Double)
    case code(String)
}

/// What the reader said of a reading beside its value.
public struct ReadingFlags: OptionSet, Sendable, Hashable, BitwiseCopyable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let movement = ReadingFlags(rawValue: 1 << 0)
    public static let irregularPulse = ReadingFlags(rawValue: 1 << 1)
    public static let lowPerfusion = ReadingFlags(rawValue: 1 << 2)
    public static let controlSolution = ReadingFlags(rawValue: 1 << 3)
    public static let outOfRangeHigh = ReadingFlags(rawValue: 1 << 4)
    public static let outOfRangeLow = ReadingFlags(rawValue: 1 << 5)
    /// Ours: `sent_at` proved a fast clock and both times were corrected.
    public static let clockCorrected = ReadingFlags(rawValue: 1 << 6)

    /// Each flag with its name in payloads and in `v_reading.flags`; `clock-corrected` is never taken from a payload.
    public static let names: [(flag: ReadingFlags, name: String)] = [
        (.movement, "movement"),
        (.irregularPulse, "irregular-pulse"),
        (.lowPerfusion, "low-perfusion"),
        (.controlSolution, "control-solution"),
        (.outOfRangeHigh, "out-of-range-high"),
        (.outOfRangeLow, "out-of-range-low"),
        (.clockCorrected, "clock-corrected"),
    ]
}

/// One entry of `answers`, as sent.
public struct SentAnswer: Sendable, Hashable {
    public var question: SentName<Question>
    public var value: AnswerValue

    public init(question: SentName<Question>, value: AnswerValue) {
        self.question = question
        self.value = value
    }
}

/// The answer to a symptom question.
public enum AnswerValue: Hashable, Sendable {
    case boolean(Bool)
    case number(Double)
    case text(String)
}

/// The symptom questions that the packs know. The raw value is the code in payloads.
public enum Question: String, CaseIterable, Sendable, Hashable {
    case moreBreathless = "more-breathless"
    case sputumColour = "sputum-colour"
    case sputumVolume = "sputum-volume"
    case moreSwelling = "more-swelling"
    case extraPillows = "extra-pillows"
    case tired
    case chestPain = "chest-pain"
    case breathlessAtRest = "breathless-at-rest"
    case confused
}
