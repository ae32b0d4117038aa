/// A stored reading, as far as a rule that looks back needs it.
public struct PastReading: Hashable, Sendable {
    public var key: ReportKey
    public var index: Int
    public var kind: Kind
    /// In the kind's canonical unit.
    public var value: Double
    public var sentValue: Double
    public var sentUnit: UCUMUnit?
    public var flags: ReadingFlags
    /// Corrected.
    public var takenAt: Instant

    public init(
        key: ReportKey, index: Int, kind: Kind, value: Double, sentValue: Double, sentUnit: UCUMUnit?,
        flags: ReadingFlags = [], takenAt: Instant
    ) {
        self.key = key
        self.index = index
        self.kind = kind
        self.value = value
        self.sentValue = sentValue
        self.sentUnit = sentUnit
        self.flags = flags
        self.takenAt = takenAt
    }
}

/// What a rule that looks back must be given before a report can be judged.
public struct HistoryNeed: Hashable, Sendable {
    public var kinds: Set<Kind>
    public var since: Instant

    public init(kinds: Set<Kind>, since: Instant) {
        self.kinds = kinds
        self.since = since
    }
}

/// A patient's readings as far back as was asked for. Adding the same reading twice changes nothing.
public struct PatientHistory: Sendable {
    /// By `takenAt`, oldest first.
    public private(set) var readings: [PastReading] = []

    public init(readings: [PastReading] = []) {
        for reading in readings { add(reading) }
    }

    public mutating func add(_ reading: PastReading) {
        guard !readings.contains(where: { $0.key == reading.key && $0.index == reading.index }) else { return }
        let place = readings.lastIndex { $0.takenAt <= reading.takenAt }.map { $0 + 1 } ?? 0
        readings.insert(reading, at: place)
    }
}
