/// What a reading measures. The raw value is the number that the database keeps and never changes.
public enum Kind: UInt8, CaseIterable, Sendable, Hashable {
    case systolic = 1
    case diastolic = 2
    case meanArterial = 3
    case pulse = 4
    case spo2 = 5
    case respiratoryRate = 6
    case temperature = 7
    case weight = 8
    case glucose = 9
    case ketones = 10
    case peakFlow = 11
    case fev1 = 12
    case inr = 13
    case steps = 14
    case catScore = 15
    case consciousness = 16
    case oxygen = 17

    /// The name in payloads, views, packs and rule codes.
    public var code: String {
        switch self {
        case .systolic: "systolic"
        case .diastolic: "diastolic"
        case .meanArterial: "mean-arterial"
        case .pulse: "pulse"
        case .spo2: "spo2"
        case .respiratoryRate: "respiratory-rate"
        case .temperature: "temperature"
        case .weight: "weight"
        case .glucose: "glucose"
        case .ketones: "ketones"
        case .peakFlow: "peak-flow"
        case .fev1: "fev1"
        case .inr: "inr"
        case .steps: "steps"
        case .catScore: "cat-score"
        case .consciousness: "consciousness"
        case .oxygen: "oxygen"
        }
    }

    public init?(code: String) {
        guard let kind = Self.byCode[code] else { return nil }
        self = kind
    }

    private static let byCode = Dictionary(uniqueKeysWithValues: allCases.map { ($0.code, $0) })
}
