import Clinical
import Foundation

/// A patient's body: what a perfect instrument would read at a given time.
///
/// Value = what is usual for the patient + the time of day + a slow drift from day to day + what the illness does.
/// The figures are invented to be believable, not taken from a study; only the limits that the tests hold them
/// against have sources.
struct Physiology: Sendable {
    let patient: SimulatedPatient
    /// The deviation of today per kind, in standard deviations; each day remembers half of the day before.
    private var drift: [Kind: Double] = [:]

    init(patient: SimulatedPatient) { self.patient = patient }

    mutating func beginDay(with random: inout SeededGenerator) {
        for kind in Kind.allCases where Self.spread(of: kind) != nil {
            let step = random.normal()
            drift[kind] = min(2.5, max(-2.5, 0.5 * (drift[kind] ?? step) + 0.866 * step))
        }
    }

    /// In the kind's canonical unit. `hour` is the patient's local time, `days` counts from the ward's start.
    func value(of kind: Kind, hour: Double, days: Double, with random: inout SeededGenerator) -> Double? {
        guard let usual = patient.usual[kind] else { return nil }
        guard let spread = Self.spread(of: kind) else { return usual }
        let scale = Self.isRelative(kind) ? usual : 1
        let deviation = (drift[kind] ?? 0) * spread.days + random.normal() * spread.noise + circadian(kind, hour: hour)
        let ofBest = kind == .peakFlow ? usual * 0.91 : usual
        return ofBest + deviation * scale + effect(on: kind, hour: hour, days: days)
    }

    func severity(days: Double) -> Double { patient.course.severity(days: days) }

    /// Kilograms of fluid: 0.4 a day while it gets worse.
    func fluid(days: Double) -> Double {
        patient.course == .decompensation ? 0.4 * patient.course.daysToWorst * severity(days: days) : 0
    }

    /// Peak flow and steps vary in proportion to what is usual.
    private static func isRelative(_ kind: Kind) -> Bool { kind == .peakFlow || kind == .steps }

    /// Standard deviations from day to day and from measurement to measurement.
    private static func spread(of kind: Kind) -> (days: Double, noise: Double)? {
        switch kind {
        case .systolic: (4, 4)
        case .diastolic: (2.5, 2.5)
        case .pulse: (2.5, 2.5)
        case .spo2: (0.35, 0.5)
        case .respiratoryRate: (0.6, 0.8)
        case .temperature: (0.1, 0.1)
        case .weight: (0.25, 0.1)
        case .glucose: (0.35, 0.35)
        case .ketones: (0.03, 0.04)
        case .peakFlow: (0.015, 0.015)
        case .steps: (0.15, 0.15)
        case .meanArterial, .fev1, .inr, .catScore, .consciousness, .oxygen: nil
        }
    }

    private func circadian(_ kind: Kind, hour: Double) -> Double {
        /// 1 at `peak` o'clock, -1 twelve hours away.
        func wave(_ peak: Double) -> Double { cos((hour - peak) / 12 * .pi) }
        switch kind {
        case .systolic: return 4 * wave(11)
        case .diastolic: return 2.5 * wave(11)
        case .pulse: return 3 * wave(15)
        case .spo2: return 0.2 * wave(14)
        case .temperature: return 0.3 * wave(17)
        case .weight: return 0.35 * wave(19)
        case .peakFlow: return 0.03 * wave(16)
        case .glucose:
            // About an hour after breakfast and after the evening meal.
            return hour > 9 && hour < 11 ? 2.4 : hour > 18.5 && hour < 21 ? 2.0 : 0
        default: return 0
        }
    }

    private func effect(on kind: Kind, hour: Double, days: Double) -> Double {
        let severity = severity(days: days)
        switch (patient.course, kind) {
        case (.decompensation, .weight): return fluid(days: days)
        case (.decompensation, .spo2): return -7 * severity
        case (.decompensation, .pulse): return 26 * severity
        case (.decompensation, .respiratoryRate): return 8 * severity
        case (.decompensation, .systolic): return -10 * severity
        case (.exacerbation, .spo2): return -8 * severity
        case (.exacerbation, .pulse): return 28 * severity
        case (.exacerbation, .respiratoryRate): return 9 * severity
        case (.exacerbation, .temperature): return 1.1 * severity
        case (.hypoglycaemia, .glucose):
            // Low before meals; after meals it rebounds a little high.
            let usual = patient.usual[.glucose] ?? 6
            return hour < 9.1 || (hour > 11.5 && hour < 14.5) ? -0.97 * usual * severity : 1.5 * severity
        default: return 0
        }
    }
}
