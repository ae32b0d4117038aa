/// Whether a reading of a kind must name its unit.
public enum UnitRule: Sendable, Hashable {
    case required
    case optional
    /// Coded kinds: there is no unit.
    case forbidden
}

// Units, codes and factors stand in the outside contract, section 1, "Kinds".
extension Kind {
    /// The unit that `Reading.value` is in; nil for coded kinds.
    public var canonicalUnit: UCUMUnit? {
        switch self {
        case .systolic, .diastolic, .meanArterial: .millimetresOfMercury
        case .pulse, .respiratoryRate: .perMinute
        case .spo2: .percent
        case .temperature: .celsius
        case .weight: .kilogram
        case .glucose, .ketones: .millimolesPerLitre
        case .peakFlow, .oxygen: .litresPerMinute
        case .fev1: .litre
        case .inr: .internationalNormalizedRatio
        case .steps: .steps
        case .catScore: .score
        case .consciousness: nil
        }
    }

    /// Units taken besides the canonical one.
    public var otherUnits: [UCUMUnit] { UCUMUnit.allCases.filter { $0 != canonicalUnit && takes($0) } }

    public func takes(_ unit: UCUMUnit) -> Bool { canonical(0, sentIn: unit) != nil }

    public var unitRule: UnitRule {
        switch self {
        case .inr, .steps, .catScore: .optional
        case .consciousness: .forbidden
        default: .required
        }
    }

    /// Coded kinds take a string of `codes`, all others a number.
    public var isCoded: Bool { self == .consciousness }

    /// The codes of a coded kind, mildest first; a code's place is its rank, which is `Reading.value`.
    public var codes: [String] { isCoded ? Self.consciousnessCodes : [] }

    private static let consciousnessCodes = ["A", "C", "V", "P", "U"]

    /// LOINC codes; empty where only a local code exists. `15074-8` is glucose in mmol/L, `2339-0` in mg/dL.
    public var loinc: [String] {
        switch self {
        case .systolic: ["8480-6"]
        case .diastolic: ["8462-4"]
        case .meanArterial: ["8478-0"]
        case .pulse: ["8867-4"]
        case .spo2: ["2708-6", "59408-5"]
        case .respiratoryRate: ["9279-1"]
        case .temperature: ["8310-5"]
        case .weight: ["29463-7"]
        case .glucose: ["15074-8", "2339-0"]
        case .ketones: ["104816-4"]
        case .peakFlow: ["19935-6"]
        case .fev1: ["20150-9"]
        case .inr: ["34714-6"]
        case .steps: ["55423-8"]
        case .catScore, .consciousness, .oxygen: []
        }
    }

    /// Only whole numbers make sense (a questionnaire's score, a count of steps).
    public var isWhole: Bool { self == .steps || self == .catScore }

    /// `value` of `unit` in the canonical unit, or nil where the kind does not take that unit. May be infinite for a
    /// value near the end of the range of numbers, which no plausibility limit lets through.
    public func canonical(_ value: Double, sentIn unit: UCUMUnit) -> Double? {
        if unit == canonicalUnit { return value }
        switch (self, unit) {
        case (.systolic, .kilopascal), (.diastolic, .kilopascal), (.meanArterial, .kilopascal):
            return value * Self.millimetresOfMercuryPerKilopascal
        case (.pulse, .beatsPerMinute), (.respiratoryRate, .breathsPerMinute), (.inr, .one): return value
        case (.temperature, .fahrenheit): return (value - 32) / 1.8
        case (.weight, .gram): return value / 1000
        case (.weight, .pound): return value * Self.kilogramsPerPound
        case (.weight, .stone): return value * Self.kilogramsPerStone
        case (.glucose, .milligramsPerDecilitre): return value / Self.milligramsPerDecilitrePerMillimolePerLitre
        case (.peakFlow, .litresPerSecond): return value * 60
        case (.fev1, .millilitre): return value / 1000
        default: return nil
        }
    }

    /// `value` of the canonical unit in `unit`, unrounded; nil where the kind does not take that unit.
    public func value(_ value: Double, in unit: UCUMUnit) -> Double? {
        if unit == canonicalUnit { return value }
        switch (self, unit) {
        case (.temperature, .fahrenheit): return value * 1.8 + 32
        default:
            guard let one = canonical(1, sentIn: unit) else { return nil }
            return value / one
        }
    }

    static let millimetresOfMercuryPerKilopascal = 7.500615758
    static let kilogramsPerPound = 0.45359237
    static let kilogramsPerStone = 6.35029318
    /// From the molar mass 180.156 g/mol.
    static let milligramsPerDecilitrePerMillimolePerLitre = 18.0156
}
