/// A reading that passed validation: what was measured, in the kind's canonical unit.
public struct Reading: Hashable, Sendable {
    /// Its place in the report, counted from 0.
    public var index: Int
    public var kind: Kind
    /// In the kind's canonical unit; for a coded kind the code's rank, so that comparisons stay total.
    public var value: Double
    /// For coded kinds (consciousness A, C, V, P, U); nil otherwise.
    public var code: String?
    public var sentValue: Double
    /// Nil where the contract lets the unit be left out.
    public var sentUnit: UCUMUnit?
    public var flags: ReadingFlags
    public var otherFlags: [String]
    /// Why it is suspect: a mark, never a hold. Empty for an accepted reading.
    public var suspicions: [Suspicion]

    public init(
        index: Int, kind: Kind, value: Double, code: String? = nil, sentValue: Double, sentUnit: UCUMUnit?,
        flags: ReadingFlags = [], otherFlags: [String] = [], suspicions: [Suspicion] = []
    ) {
        self.index = index
        self.kind = kind
        self.value = value
        self.code = code
        self.sentValue = sentValue
        self.sentUnit = sentUnit
        self.flags = flags
        self.otherFlags = otherFlags
        self.suspicions = suspicions
    }

    public var isSuspect: Bool { !suspicions.isEmpty }
}

/// What makes a reading suspect (clinical facts, section 3).
public enum Suspicion: String, CaseIterable, Sendable, Hashable {
    case unusualValue = "unusual-value"
    case smallPulsePressure = "small-pulse-pressure"
    case meanArterialMismatch = "mean-arterial-mismatch"
    case deviceFlag = "device-flag"
    case pulseMismatch = "pulse-mismatch"
    case abovePersonalBest = "above-personal-best"
    /// Far from what the same person measured lately: another person on the scale, perhaps.
    case unlikelyForPerson = "unlikely-for-person"
    /// The person's usual number in another unit of the kind.
    case likelyOtherUnit = "likely-other-unit"
}

/// A reading that was refused alone; the rest of its report is judged and stored.
public struct RefusedReading: Hashable, Sendable {
    public var index: Int
    /// The kind as sent.
    public var kind: String
    public var reason: RefusalReason

    public init(index: Int, kind: String, reason: RefusalReason) {
        self.index = index
        self.kind = kind
        self.reason = reason
    }
}

/// What is left of a report's readings after validation. Reused: arrays keep their capacity.
public struct ValidatedReadings: Sendable {
    public var readings: [Reading] = []
    public var refused: [RefusedReading] = []

    public init() {}

    public mutating func reset() {
        readings.removeAll(keepingCapacity: true)
        refused.removeAll(keepingCapacity: true)
    }
}
