/// What happens on the simulated ward.
public enum Scenario: String, CaseIterable, Sendable {
    /// Everybody is as well as usual.
    case stable
    /// Fluid gathers: 0.4 kg a day, swelling, falling SpO2.
    case heartFailureDecompensation = "heart-failure-decompensation"
    /// SpO2 falls from the patient's own baseline; pulse and breathing rise; sputum changes.
    case copdExacerbation = "copd-exacerbation"
    /// Glucose falls from day to day until the meter says LO.
    case hypo
    /// Three of four patients are stable; the others share the three courses.
    case mixed

    /// The course of the patient at `index` (from 0) of a ward in this scenario.
    func course(ofPatient index: Int) -> Course {
        switch self {
        case .stable: .stable
        case .heartFailureDecompensation: .decompensation
        case .copdExacerbation: .exacerbation
        case .hypo: .hypoglycaemia
        case .mixed:
            switch index % 12 {
            case 1: .decompensation
            case 3: .exacerbation
            case 5: .hypoglycaemia
            default: .stable
            }
        }
    }
}

/// The course of one patient's illness, repeating: worse, treated, calm.
enum Course: Sendable, Hashable {
    case stable
    case decompensation
    case exacerbation
    case hypoglycaemia

    /// Days from the first sign to the worst.
    var daysToWorst: Double {
        switch self {
        case .stable: 0
        case .decompensation: 14
        case .exacerbation: 8
        case .hypoglycaemia: 5
        }
    }

    private static let daysOfRecovery = 4.0
    private static let calmDays = 6.0

    /// How far gone the illness is `days` after the ward's start: 0 is well, 1 the worst.
    func severity(days: Double) -> Double {
        guard daysToWorst > 0, days > 0 else { return 0 }
        let inPeriod = days.truncatingRemainder(dividingBy: daysToWorst + Self.daysOfRecovery + Self.calmDays)
        if inPeriod <= daysToWorst { return inPeriod / daysToWorst }
        return max(0, 1 - (inPeriod - daysToWorst) / Self.daysOfRecovery)
    }
}
