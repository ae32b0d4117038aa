/// What a kind's number can be at all, and what it can hardly be.
public struct Plausibility: Hashable, Sendable {
    /// Outside, a reading is refused as `implausible`. Both ends belong to the range.
    public var refusedOutside: ClosedRange<Double>
    /// Outside, a reading is marked suspect and judged all the same. Both ends belong to the range.
    public var suspectOutside: ClosedRange<Double>

    init(_ refused: ClosedRange<Double>, suspect: ClosedRange<Double>? = nil) {
        refusedOutside = refused
        suspectOutside = suspect ?? refused
    }
}

extension Kind {
    /// The limits in the unit `unit`, or nil where the limits of the canonical unit, held against the converted value,
    /// are meant: all but glucose in mg/dL, whose limits are a pair, so that a meter's own round numbers stay inside.
    ///
    /// Source: the union of published cleaning ranges (OpenMRS/CIEL, MIMIC-Extract, HiRID, OHDSI), narrowed to adults
    /// at home. None of them is a clinical limit.
    func plausibility(sentIn unit: UCUMUnit?) -> Plausibility? {
        guard self == .glucose, unit == .milligramsPerDecilitre else { return nil }
        return Plausibility(10...1000, suspect: 20...600)
    }

    /// The limits in the canonical unit; for coded kinds the ranks. Same source.
    public var plausibility: Plausibility {
        switch self {
        case .systolic: Plausibility(40...300, suspect: 70...250)
        case .diastolic: Plausibility(20...200, suspect: 40...150)
        case .meanArterial: Plausibility(30...250)
        case .pulse: Plausibility(20...300, suspect: 30...220)
        case .spo2: Plausibility(40...100, suspect: 70...100)
        case .weight: Plausibility(20...350)
        case .glucose: Plausibility(0.6...55.5, suspect: 1.1...33.3)
        case .temperature: Plausibility(25...45, suspect: 34...42)
        case .respiratoryRate: Plausibility(2...80, suspect: 6...60)
        case .peakFlow: Plausibility(30...900)
        case .fev1: Plausibility(0.1...9)
        case .inr: Plausibility(0.5...20, suspect: 0.5...8)
        case .ketones: Plausibility(0...15, suspect: 0...8)
        case .steps: Plausibility(0...100_000, suspect: 0...60_000)
        case .catScore: Plausibility(0...40)
        case .oxygen: Plausibility(0...15)
        case .consciousness: Plausibility(0...4)
        }
    }

    /// Whether `value`, sent in `unit`, can be this kind's at all. False for a unit that the kind does not take.
    func isPlausible(_ value: Double, sentIn unit: UCUMUnit?) -> Bool {
        if let pair = plausibility(sentIn: unit) { return pair.refusedOutside.contains(value) }
        guard let canonical = unit.map({ canonical(value, sentIn: $0) }) ?? value else { return false }
        return plausibility.refusedOutside.contains(canonical)
    }

    /// Whether a plausible `value`, sent in `unit`, is so rare that the reading is marked.
    func isUnusual(_ value: Double, sentIn unit: UCUMUnit?) -> Bool {
        if let pair = plausibility(sentIn: unit) { return !pair.suspectOutside.contains(value) }
        guard let canonical = unit.map({ canonical(value, sentIn: $0) }) ?? value else { return false }
        return !plausibility.suspectOutside.contains(canonical)
    }

    /// Whether `value`, impossible in `unit`, would be possible in another unit of the kind, as 98.6 `Cel` or
    /// 120 `mmol/L`: then nobody knows what was measured, and the sender's unit is wrong rather than his number.
    func isAmbiguous(_ value: Double, sentIn unit: UCUMUnit?) -> Bool {
        for other in UCUMUnit.allCases where other != unit && takes(other) {
            if isPlausible(value, sentIn: other) { return true }
        }
        return false
    }
}
