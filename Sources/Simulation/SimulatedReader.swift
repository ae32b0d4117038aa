import Clinical
import Foundation

/// One patient's reader: the endless, ordered stream of the reports that it takes.
///
/// Reports come in the order of `takenAt`, which is also the order of `uploadAt`: a reader that was out of reach
/// uploads what it kept in order.
struct SimulatedReader: Sendable {
    let patient: SimulatedPatient
    private let site: String
    private let idPrefix: String
    private let start: Instant
    private let timeZone: TimeZone
    private var random: SeededGenerator
    private var body: Physiology
    /// Days since 1970 of the local day that is being lived.
    private var day: Int
    private var slot = 0
    private var sequence: Int64 = 0
    private var battery: Double
    private var lastUpload: Instant

    init(patient: SimulatedPatient, site: String, run: String?, seed: UInt64, start: Instant, timeZone: TimeZone) {
        self.patient = patient
        self.site = site
        self.start = start
        self.timeZone = timeZone
        idPrefix = run ?? patient.device
        random = SeededGenerator(seed: seed, path: 2, UInt64(truncatingIfNeeded: patient.index))
        body = Physiology(patient: patient)
        battery = random.uniform(25...100)
        let offset = timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: start.seconds))
        day = Int(((start.seconds + Double(offset)) / 86_400).rounded(.down))
        lastUpload = start
        body.beginDay(with: &random)
    }

    mutating func next() -> SimulatedReport {
        while true {
            let usualMinute = patient.minutesOfDay[slot]
            let secondOfDay = usualMinute * 60 + Int(random.normal() * 240)
            let takenAt = instant(day: day, secondOfDay: secondOfDay)
            let taken = takenAt < start ? nil : report(takenAt: takenAt, secondOfDay: secondOfDay)
            slot += 1
            if slot == patient.minutesOfDay.count {
                slot = 0
                day += 1
                body.beginDay(with: &random)
            }
            if let taken { return taken }
        }
    }

    private func instant(day: Int, secondOfDay: Int) -> Instant {
        let local = Int64(day) * 86_400 + Int64(secondOfDay)
        // The offset of the same wall-clock time read as UTC: off only within hours of a change of the clocks.
        let offset = timeZone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(local)))
        return Instant(microseconds: (local - Int64(offset)) * 1_000_000)
    }

    private mutating func report(takenAt: Instant, secondOfDay: Int) -> SimulatedReport {
        let hour = Double(secondOfDay) / 3600
        let days = (takenAt - start).seconds / 86_400
        var readings: [SentReading] = []
        for kind in kinds() {
            if let reading = measure(kind, hour: hour, days: days) { readings.append(reading) }
        }
        ordered(&readings)
        let answers = slot == 1 ? answers(days: days) : []
        useBattery()
        sequence += 1
        return SimulatedReport(
            site: site, device: patient.device, id: "\(idPrefix)-\(padded(Int(sequence), width: 6))",
            takenAt: takenAt, uploadAt: upload(of: takenAt), sequence: sequence, readings: readings,
            answers: answers, battery: Int(battery), losesFirstReceipt: random.chance(0.005))
    }

    /// Mostly seconds later; now and then the reader is out of reach for up to six hours.
    private mutating func upload(of takenAt: Instant) -> Instant {
        let seconds = random.chance(0.015) ? random.uniform(1200...21_600) : random.uniform(2...20)
        let soonest = takenAt + .seconds(Int64(seconds))
        lastUpload = max(soonest, lastUpload + .seconds(2))
        return lastUpload
    }

    private mutating func useBattery() {
        battery -= patient.batteryUse
        if battery < (patient.chargesLate ? 4 : 20) { battery = 100 }
    }

    // MARK: What is measured when

    private func kinds() -> [Kind] {
        var kinds: [Kind] = []
        func add(_ more: [Kind]) { kinds += more.filter { !kinds.contains($0) } }
        let cuff: [Kind] = [.systolic, .diastolic, .pulse]
        for condition in patient.conditions {
            switch (condition, slot) {
            case ("heart-failure", 0): add([.weight] + cuff)
            case ("heart-failure", 3), ("hypertension", 0), ("hypertension", 3): add(cuff)
            case ("diabetes", _): add([.glucose])
            case ("asthma", 0), ("asthma", 3): add([.peakFlow])
            case ("copd", 0), ("copd", 2), ("copd", 3): add([.spo2, .pulse])
            default: break
            }
        }
        // After breakfast everybody has a full round; on high risk a carer helps, and all that NEWS2 asks is there.
        if slot == 1 {
            add([.spo2, .pulse, .respiratoryRate, .temperature])
            if patient.highRisk { add(cuff + [.oxygen, .consciousness]) }
        }
        if slot == 2, kinds.isEmpty { add([.spo2, .pulse]) }
        if slot == 3, patient.index.isMultiple(of: 2) { add([.steps]) }
        return kinds.isEmpty ? [.spo2, .pulse] : kinds
    }

    private mutating func measure(_ kind: Kind, hour: Double, days: Double) -> SentReading? {
        if kind == .consciousness { return SentReading(kind: .known(kind), value: .code("A"), unit: nil) }
        guard var value = body.value(of: kind, hour: hour, days: days, with: &random), let unit = patient.units[kind]
        else { return nil }
        var flags: ReadingFlags = []
        switch kind {
        case .spo2 where random.chance(0.008):
            // Cold fingers read low.
            flags.insert(.lowPerfusion)
            value -= random.uniform(0...3)
        case .systolic, .diastolic:
            if random.chance(0.012) {
                flags.insert(.movement)
                value += random.normal() * 2
            }
            if kind == .systolic, random.chance(patient.irregularPulse ? 0.4 : 0.004) { flags.insert(.irregularPulse) }
        case .glucose where random.chance(0.003):
            // The bottle of control solution instead of a finger.
            flags.insert(.controlSolution)
            value = 6.1
        default: break
        }
        return Meter(kind: kind, unit: unit).reading(of: value, flags: flags)
    }

    /// A cuff never prints a diastolic within 15 of its systolic: it would have said "error" and measured again.
    private func ordered(_ readings: inout [SentReading]) {
        guard let high = readings.firstIndex(where: { $0.kind.known == .systolic }),
            let low = readings.firstIndex(where: { $0.kind.known == .diastolic }),
            case .number(let systolic) = readings[high].value, case .number(let diastolic) = readings[low].value
        else { return }
        let gap = readings[low].unit?.known == .kilopascal ? 2.0 : 15
        if systolic - diastolic < gap { readings[low].value = .number(((systolic - gap) * 10).rounded() / 10) }
    }

    // MARK: Answers

    private mutating func answers(days: Double) -> [SentAnswer] {
        let severity = body.severity(days: days)
        let fluid = body.fluid(days: days)
        var answers: [SentAnswer] = []
        func add(_ question: Question, _ value: Bool) {
            answers.append(SentAnswer(question: .known(question), value: .boolean(value)))
        }
        // Now and then a well patient says yes.
        let slightly = 0.01
        for condition in patient.conditions {
            switch condition {
            case "heart-failure":
                add(.moreSwelling, fluid > 1.2 || random.chance(slightly))
                add(.moreBreathless, fluid > 2 || random.chance(slightly))
                add(.extraPillows, fluid > 3 || random.chance(slightly))
                add(.tired, fluid > 1.6 || random.chance(slightly))
                add(.breathlessAtRest, patient.course == .decompensation && severity > 0.9)
            case "copd":
                let flaring = patient.course == .exacerbation ? severity : 0
                if !answers.contains(where: { $0.question.known == .moreBreathless }) {
                    add(.moreBreathless, flaring > 0.3 || random.chance(slightly))
                }
                add(.sputumColour, flaring > 0.4 || random.chance(slightly))
                add(.sputumVolume, flaring > 0.25 || random.chance(slightly))
            default: break
            }
        }
        return answers
    }
}

/// How a meter shows a value: in its own unit, to its own resolution, between its own limits.
struct Meter: Sendable {
    let kind: Kind
    let unit: UCUMUnit

    func reading(of canonical: Double, flags: ReadingFlags) -> SentReading {
        var flags = flags
        var shown = rounded(converted(canonical))
        if let limits = glucoseLimits {
            // LO and HI: the meter's own limit is the value.
            if shown < limits.lowerBound {
                flags.insert(.outOfRangeLow)
                shown = limits.lowerBound
            } else if shown > limits.upperBound {
                flags.insert(.outOfRangeHigh)
                shown = limits.upperBound
            }
        }
        return SentReading(kind: .known(kind), value: .number(shown), unit: .known(unit), flags: flags)
    }

    /// The contract's factors, the other way round.
    private func converted(_ canonical: Double) -> Double {
        switch unit {
        case .kilopascal: canonical / 7.500615758
        case .fahrenheit: canonical * 1.8 + 32
        case .pound: canonical / 0.45359237
        case .stone: canonical / 6.35029318
        case .milligramsPerDecilitre: canonical * 18.0156
        case .litresPerSecond: canonical / 60
        default: canonical
        }
    }

    private func rounded(_ value: Double) -> Double {
        let steps: Double =
            switch unit {
            case .kilopascal, .celsius, .fahrenheit, .kilogram, .pound, .millimolesPerLitre: 10
            case .stone, .litresPerSecond: 100
            default: 1
            }
        let highest = kind == .spo2 ? 100.0 : .greatestFiniteMagnitude
        return min(highest, max(0, (value * steps).rounded() / steps))
    }

    /// 1.1 to 33.3 mmol/L, 20 to 600 mg/dL: what common home meters measure.
    private var glucoseLimits: ClosedRange<Double>? {
        guard kind == .glucose else { return nil }
        return unit == .milligramsPerDecilitre ? 20...600 : 1.1...33.3
    }
}

extension Instant {
    /// Seconds since 1970.
    var seconds: Double { Double(microseconds) / 1_000_000 }
}
