/// A UCUM unit that a reader may send. The raw value is the number that the database keeps and never changes.
public enum UCUMUnit: UInt8, CaseIterable, Sendable, Hashable {
    case millimetresOfMercury = 1
    case kilopascal = 2
    case perMinute = 3
    case beatsPerMinute = 4
    case breathsPerMinute = 5
    case percent = 6
    case celsius = 7
    case fahrenheit = 8
    case kilogram = 9
    case gram = 10
    case pound = 11
    case stone = 12
    case millimolesPerLitre = 13
    case milligramsPerDecilitre = 14
    case litresPerMinute = 15
    case litresPerSecond = 16
    case litre = 17
    case millilitre = 18
    case internationalNormalizedRatio = 19
    case one = 20
    case steps = 21
    case score = 22

    /// The UCUM code, case-sensitive, as it stands in payloads and views.
    public var code: String {
        switch self {
        case .millimetresOfMercury: "mm[Hg]"
        case .kilopascal: "kPa"
        case .perMinute: "/min"
        case .beatsPerMinute: "{beats}/min"
        case .breathsPerMinute: "{breaths}/min"
        case .percent: "%"
        case .celsius: "Cel"
        case .fahrenheit: "[degF]"
        case .kilogram: "kg"
        case .gram: "g"
        case .pound: "[lb_av]"
        case .stone: "[stone_av]"
        case .millimolesPerLitre: "mmol/L"
        case .milligramsPerDecilitre: "mg/dL"
        case .litresPerMinute: "L/min"
        case .litresPerSecond: "L/s"
        case .litre: "L"
        case .millilitre: "mL"
        case .internationalNormalizedRatio: "{INR}"
        case .one: "1"
        case .steps: "{steps}"
        case .score: "{score}"
        }
    }

    public init?(code: String) {
        guard let unit = Self.byCode[code] else { return nil }
        self = unit
    }

    private static let byCode = Dictionary(uniqueKeysWithValues: allCases.map { ($0.code, $0) })
}
