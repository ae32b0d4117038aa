/// One limit on one side of normal, and what it means to be beyond it.
public struct Threshold: Hashable, Sendable {
    public var severity: Severity
    public var limit: Limit
    /// An immediate limit (marked ‡ in the clinical facts): no confirmation, nothing may hold it back.
    public var immediate: Bool
    /// How many readings in a row, this one included, must be beyond the limit. 1 for nearly all.
    public var occurrences: Int
    /// The span in which those readings must lie.
    public var within: Interval
    /// The first reading beyond the limit asks for a repeat in this time: until then the alert is amber, and silence
    /// makes it red. Nil: the next reading is waited for, however long it takes.
    public var repeatAfter: Interval?

    public init(
        severity: Severity, limit: Limit, immediate: Bool = false, occurrences: Int = 1,
        within: Interval = .hours(24), repeatAfter: Interval? = nil
    ) {
        self.repeatAfter = repeatAfter
        self.severity = severity
        self.limit = limit
        self.immediate = immediate
        self.occurrences = occurrences
        self.within = within
    }
}

/// A number that a reading is held against, in the kind's canonical unit.
public struct Limit: Hashable, Sendable {
    /// In the kind's canonical unit.
    public var value: Double
    /// Glucose only: the same limit in mg/dL. A limit is kept as a pair and compared in the unit that the meter sent,
    /// because 70 mg/dL converts to 3.885 mmol/L and would alarm one level too high.
    public var milligramsPerDecilitre: Double?
    /// Whether the number itself is beyond the limit ("at or below", "at or above").
    public var inclusive: Bool

    public init(value: Double, milligramsPerDecilitre: Double? = nil, inclusive: Bool) {
        self.value = value
        self.milligramsPerDecilitre = milligramsPerDecilitre
        self.inclusive = inclusive
    }
}

/// A side of normal. With a kind it names a band's rule: `spo2-low`.
public enum Side: String, CaseIterable, Sendable, Hashable {
    case low
    case high
}
