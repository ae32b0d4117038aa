public import Clinical

/// One invented patient with the reader in his home. Made from the seed and his place on the ward alone, so that a
/// larger ward of the same seed begins with the same people.
public struct SimulatedPatient: Sendable {
    /// From 0.
    public let index: Int
    /// `S00001`
    public let code: String
    /// `sim-00001`
    public let device: String
    /// Codes of protocol packs.
    public let conditions: [String]
    /// 2 where the patient lives at an SpO2 of 88 to 92 %.
    public let news2Scale: Int
    public let highRisk: Bool
    public let born: CalendarDate
    /// What is usual for this patient, in the kinds' canonical units. Peak flow is the personal best.
    public let usual: [Kind: Double]
    /// The unit that this reader sends a kind in.
    let units: [Kind: UCUMUnit]
    let course: Course
    /// Atrial fibrillation: the cuff often flags an irregular pulse.
    let irregularPulse: Bool
    /// Percent of battery that one report costs.
    let batteryUse: Double
    /// Whether the patient lets the battery run nearly empty.
    let chargesLate: Bool
    /// The usual minute of the day of the four reports.
    let minutesOfDay: [Int]

    public init(index: Int, scenario: Scenario, seed: UInt64) {
        var random = SeededGenerator(seed: seed, path: 1, UInt64(truncatingIfNeeded: index))
        self.index = index
        let number = padded(index + 1, width: 5)
        code = "S" + number
        device = "sim-" + number
        course = scenario.course(ofPatient: index)
        let conditions = Self.conditions(of: course, with: &random)
        self.conditions = conditions
        let lowSaturation = conditions.contains("copd") && random.chance(0.6)
        news2Scale = lowSaturation ? 2 : 1
        highRisk = course != .stable || random.chance(0.15)
        born = Self.birthday(with: &random)
        usual = Self.usual(conditions: conditions, lowSaturation: lowSaturation, with: &random)
        units = Self.units(with: &random)
        irregularPulse = conditions.contains("heart-failure") && random.chance(0.3)
        batteryUse = random.uniform(0.4...1.2)
        chargesLate = random.chance(0.1)
        // Two of four in the morning rush, 08:00 to 10:00, then midday and evening.
        minutesOfDay = [
            485 + random.below(45), 545 + random.below(45), 745 + random.below(90), 1090 + random.below(150),
        ]
    }

    private static func conditions(of course: Course, with random: inout SeededGenerator) -> [String] {
        let mix: [(choice: String, weight: Double)] = [
            ("copd", 20), ("heart-failure", 20), ("hypertension", 25), ("diabetes", 20), ("asthma", 15),
        ]
        let first =
            switch course {
            case .stable: random.pick(mix, otherwise: "hypertension")
            case .decompensation: "heart-failure"
            case .exacerbation: "copd"
            case .hypoglycaemia: "diabetes"
            }
        guard random.chance(0.2) else { return [first] }
        let second = random.pick(mix.filter { $0.choice != first }, otherwise: "hypertension")
        // Asthma beside COPD is the same lungs measured twice.
        if [first, second].allSatisfy(["copd", "asthma"].contains) { return [first] }
        return [first, second]
    }

    private static func birthday(with random: inout SeededGenerator) -> CalendarDate {
        let year = 1936 + random.below(45)
        let month = 1 + random.below(12)
        let day = 1 + random.below(28)
        guard let date = CalendarDate(year: year, month: month, day: day) else {
            preconditionFailure("every month has 28 days")
        }
        return date
    }

    private static func usual(
        conditions: [String], lowSaturation: Bool, with random: inout SeededGenerator
    ) -> [Kind: Double] {
        let hypertension = conditions.contains("hypertension")
        let lungs = conditions.contains("copd")
        let systolic = random.uniform(hypertension ? 122...146 : 112...134)
        return [
            .systolic: systolic,
            .diastolic: systolic * random.uniform(0.56...0.63),
            .pulse: random.uniform(61...83),
            .spo2: random.uniform(lowSaturation ? 89.5...91.5 : lungs ? 95.8...96.6 : 96.2...98.2),
            .respiratoryRate: random.uniform(lungs ? 14.5...16.5 : 13...16),
            .temperature: random.uniform(36.3...36.8),
            .weight: random.uniform(52...112),
            .glucose: random.uniform(5.9...8.2),
            .ketones: 0.2,
            .peakFlow: random.uniform(290...540),
            .steps: random.uniform(1200...7500),
            .oxygen: lowSaturation && random.chance(0.3) ? 1 : 0,
        ]
    }

    private static func units(with random: inout SeededGenerator) -> [Kind: UCUMUnit] {
        let cuff = random.pick([(UCUMUnit.millimetresOfMercury, 92), (.kilopascal, 8)], otherwise: .kilopascal)
        return [
            .systolic: cuff,
            .diastolic: cuff,
            .pulse: random.pick([(UCUMUnit.perMinute, 90), (.beatsPerMinute, 10)], otherwise: .perMinute),
            .spo2: .percent,
            .respiratoryRate: random.pick(
                [(UCUMUnit.perMinute, 90), (.breathsPerMinute, 10)], otherwise: .perMinute),
            .temperature: random.pick([(UCUMUnit.celsius, 88), (.fahrenheit, 12)], otherwise: .celsius),
            .weight: random.pick(
                [(UCUMUnit.kilogram, 75), (.pound, 15), (.stone, 10)], otherwise: .kilogram),
            .glucose: random.pick(
                [(UCUMUnit.millimolesPerLitre, 70), (.milligramsPerDecilitre, 30)], otherwise: .millimolesPerLitre),
            .ketones: .millimolesPerLitre,
            .peakFlow: random.pick(
                [(UCUMUnit.litresPerMinute, 95), (.litresPerSecond, 5)], otherwise: .litresPerMinute),
            .steps: .steps,
            .oxygen: .litresPerMinute,
        ]
    }
}

/// `number` in decimal, with zeros before it up to `width` digits.
func padded(_ number: Int, width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
}
