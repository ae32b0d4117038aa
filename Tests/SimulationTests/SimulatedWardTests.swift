import Clinical
import Foundation
import Testing

@testable import Simulation

private let start = Instant(microseconds: 1_790_000_000_000_000)

private func ward(_ count: Int, _ scenario: Scenario, seed: UInt64 = 7, run: String? = nil) -> SimulatedWard {
    SimulatedWard(patients: count, scenario: scenario, seed: seed, start: start, site: "ward", run: run)
}

private func reports(_ count: Int, of ward: SimulatedWard) -> [SimulatedReport] { Array(ward.prefix(count)) }

@Suite struct SimulatedWardTests {
    @Test(arguments: Scenario.allCases)
    func sameSeedGivesTheSameBytes(scenario: Scenario) {
        func bytes(_ seed: UInt64) -> [[UInt8]] {
            reports(600, of: ward(12, scenario, seed: seed)).map { $0.payload(sentAt: $0.uploadAt) }
        }
        #expect(bytes(1) == bytes(1))
        #expect(bytes(1) != bytes(2))
        #expect(
            ward(12, scenario).registryYAML(site: "ward") == ward(12, scenario).registryYAML(site: "ward"))
    }

    @Test func aSmallerWardIsTheBeginningOfALargerOne() {
        let small = Set(reports(400, of: ward(5, .mixed)))
        let large = ward(40, .mixed).prefix(8 * 400).filter { small.contains($0) }
        #expect(large.count == small.count)
    }

    @Test func sharesDivideTheWard() {
        let whole = Set(reports(500, of: ward(10, .mixed)))
        var parts: Set<SimulatedReport> = []
        for remainder in 0..<3 {
            let part = SimulatedWard(
                patients: 10, scenario: .mixed, seed: 7, start: start, site: "ward", share: (remainder, 3))
            for report in part.prefix(300) {
                #expect(parts.insert(report).inserted)
            }
        }
        #expect(whole.isSubset(of: parts))
    }

    @Test func reportsComeInOrderOfUploadAndCountUp() {
        var last = start
        var sequences: [String: Int64] = [:]
        for report in reports(4000, of: ward(20, .mixed, run: "k3f9")) {
            #expect(report.uploadAt >= last && report.takenAt >= start && report.uploadAt > report.takenAt)
            last = report.uploadAt
            let sequence = (sequences[report.device] ?? 0) + 1
            #expect(report.sequence == sequence)
            sequences[report.device] = sequence
            #expect(report.id == "k3f9-\(padded(Int(sequence), width: 6))" && report.id.utf8.count <= 15)
        }
        #expect(sequences.count == 20)
        #expect(reports(1, of: ward(1, .stable)).first?.id == "sim-00001-000001")
    }

    @Test func halfOfTheReportsAreTakenInTheMorningRush() {
        let all = reports(8000, of: ward(100, .stable))
        let inRush = all.count { report in
            let hour = (report.takenAt.microseconds / 3_600_000_000) % 24
            return hour == 8 || hour == 9
        }
        let share = Double(inRush) / Double(all.count)
        #expect(share > 0.45 && share < 0.52)
        let days = (all.last.map { ($0.takenAt - start).seconds } ?? 0) / 86_400
        #expect(abs(Double(all.count) / 100 / days - 4) < 0.2)
    }

    @Test func everythingThatReadersDoHappens() {
        let all = reports(20_000, of: ward(150, .stable))
        let readings = all.flatMap(\.readings)
        let units = Set(readings.compactMap { $0.unit?.known })
        #expect(
            units.isSuperset(of: [
                .kilopascal, .pound, .stone, .milligramsPerDecilitre, .fahrenheit, .litresPerSecond,
                .beatsPerMinute, .breathsPerMinute,
            ]))
        for flag: ReadingFlags in [.movement, .irregularPulse, .lowPerfusion, .controlSolution] {
            #expect(readings.contains { $0.flags.contains(flag) })
        }
        let late = all.filter { $0.uploadAt - $0.takenAt > .hours(1) }
        #expect(Double(late.count) / Double(all.count) < 0.03 && !late.isEmpty)
        #expect(all.allSatisfy { $0.uploadAt - $0.takenAt < .hours(13) })
        #expect(all.contains { $0.losesFirstReceipt })
        #expect(all.contains { ($0.battery ?? 100) < 15 })
        #expect(all.allSatisfy { (0...100).contains($0.battery ?? -1) })
        #expect(all.contains { $0.answers.contains { $0.value == .boolean(true) } })
    }
}

/// Canonical value and the band in which all stable readings, and 95 % of them, must lie.
struct Believable: Sendable, CustomTestStringConvertible {
    let kind: Kind
    let all: ClosedRange<Double>
    let most: ClosedRange<Double>
    var testDescription: String { kind.code }
}

@Suite struct PhysiologyTests {
    static let table = [
        Believable(kind: .systolic, all: 90...185, most: 100...160),
        Believable(kind: .diastolic, all: 45...115, most: 56...98),
        Believable(kind: .pulse, all: 42...105, most: 52...95),
        Believable(kind: .spo2, all: 82...100, most: 87...100),
        Believable(kind: .respiratoryRate, all: 9...21, most: 10...20),
        Believable(kind: .temperature, all: 35.1...38.0, most: 35.6...37.5),
        Believable(kind: .weight, all: 49...115, most: 50...113),
        Believable(kind: .glucose, all: 3.0...14, most: 4.5...12),
        Believable(kind: .peakFlow, all: 200...560, most: 220...545),
        Believable(kind: .steps, all: 0...13_000, most: 300...11_000),
    ]

    /// 100 patients for 50 days.
    private static let stable = reports(20_000, of: ward(100, .stable)).flatMap(\.readings)

    @Test(arguments: table)
    func stableValuesAreBelievable(row: Believable) {
        let values = Self.stable.filter { $0.kind.known == row.kind }.compactMap(canonical)
        #expect(values.count > 500)
        let lowest = values.min() ?? .nan
        let highest = values.max() ?? .nan
        #expect(row.all.contains(lowest) && row.all.contains(highest), "\(lowest) to \(highest)")
        let inside = values.count { row.most.contains($0) }
        #expect(Double(inside) / Double(values.count) >= 0.95)
        #expect(highest - lowest > (row.all.upperBound - row.all.lowerBound) / 5, "\(lowest) to \(highest)")
    }

    /// The stated rate: at most 1 in 1000 readings of stable patients lies beyond an immediate limit, and those are
    /// the low SpO2 of cold fingers.
    @Test(arguments: [1, 2, 3] as [UInt64])
    func stablePatientsRarelyCrossAnImmediateLimit(seed: UInt64) {
        let ward = ward(150, .stable, seed: seed)
        let patients = Dictionary(uniqueKeysWithValues: ward.patients.map { ($0.device, $0) })
        var beyond = 0
        var count = 0
        for report in reports(15_000, of: ward) {
            guard let patient = patients[report.device] else { continue }
            for reading in report.readings {
                count += 1
                if isBeyondImmediateLimit(reading, of: patient) { beyond += 1 }
            }
        }
        #expect(beyond * 1000 <= count, "seed \(seed): \(beyond) of \(count)")
    }

    @Test func aDecompensatingHeartGathersFluidAndLosesSaturation() {
        let ward = ward(6, .heartFailureDecompensation)
        for patient in ward.patients {
            let own = reports(6 * 4 * 13, of: ward).filter { $0.device == patient.device }
            let weights = own.flatMap { report in report.readings.map { (report, $0) } }
                .filter { $0.1.kind.known == .weight }
                .compactMap { pair in canonical(pair.1).map { (($0), (pair.0.takenAt - start).seconds / 86_400) } }
            let first = weights.first ?? (.nan, 0)
            let last = weights.last ?? (.nan, 0)
            // 0.4 kg a day, give or take the daily spread at both ends.
            #expect(abs((last.0 - first.0) / (last.1 - first.1) - 0.4) < 0.2)
            #expect(mean(of: .spo2, in: own.suffix(8)) < mean(of: .spo2, in: own.prefix(8)) - 2.5)
            #expect(!said(.moreSwelling, in: own.prefix(8)) || !said(.moreSwelling, in: own.prefix(4)))
            #expect(said(.moreSwelling, in: own.suffix(8)) && said(.moreBreathless, in: own.suffix(8)))
        }
    }

    @Test func anExacerbationFallsFromTheOwnBaseline() {
        let ward = ward(6, .copdExacerbation)
        for patient in ward.patients {
            let own = reports(6 * 4 * 8, of: ward).filter { $0.device == patient.device }
            let usual = patient.usual[.spo2] ?? .nan
            #expect(abs(mean(of: .spo2, in: own.prefix(4)) - usual) < 2.2)
            #expect(mean(of: .spo2, in: own.suffix(4)) < usual - 4)
            #expect(mean(of: .pulse, in: own.suffix(4)) > mean(of: .pulse, in: own.prefix(4)) + 8)
            #expect(
                mean(of: .respiratoryRate, in: own.suffix(4)) > mean(of: .respiratoryRate, in: own.prefix(4)) + 3)
            #expect(said(.sputumColour, in: own.suffix(5)) && said(.sputumVolume, in: own.suffix(5)))
        }
    }

    @Test func hyposEndInTheMetersLO() {
        let ward = ward(8, .hypo)
        let all = reports(8 * 4 * 6, of: ward)
        for patient in ward.patients {
            let glucose = all.filter { $0.device == patient.device }.flatMap(\.readings)
                .filter { $0.kind.known == .glucose }
            #expect(glucose.prefix(2).allSatisfy { !$0.flags.contains(.outOfRangeLow) })
            let low = glucose.filter { $0.flags.contains(.outOfRangeLow) }
            #expect(!low.isEmpty)
            #expect(low.allSatisfy { $0.value == .number($0.unit?.known == .milligramsPerDecilitre ? 20 : 1.1) })
        }
    }

    @Test func mixedHasEveryCourse() {
        let courses = Set(ward(12, .mixed).patients.map(\.course))
        #expect(courses == [.stable, .decompensation, .exacerbation, .hypoglycaemia])
    }

    @Test(arguments: [Course.decompensation, .exacerbation, .hypoglycaemia])
    func coursesWorsenAreTreatedAndStayInBounds(course: Course) {
        #expect(course.severity(days: 0) == 0 && course.severity(days: course.daysToWorst) == 1)
        #expect(course.severity(days: course.daysToWorst + 4.1) == 0)
        for step in 0..<4000 { #expect((0...1).contains(course.severity(days: Double(step) / 10))) }
    }

    private func mean(of kind: Kind, in reports: some Sequence<SimulatedReport>) -> Double {
        let values = reports.flatMap(\.readings).filter { $0.kind.known == kind }.compactMap(canonical)
        return values.isEmpty ? .nan : values.reduce(0, +) / Double(values.count)
    }

    private func said(_ question: Question, in reports: some Sequence<SimulatedReport>) -> Bool {
        reports.contains { $0.answers.contains { $0.question.known == question && $0.value == .boolean(true) } }
    }

    /// clinical.md section 4, the limits marked as immediate.
    private func isBeyondImmediateLimit(_ reading: SentReading, of patient: SimulatedPatient) -> Bool {
        guard let kind = reading.kind.known, let value = canonical(reading) else { return false }
        switch kind {
        case .spo2: return value <= (patient.news2Scale == 2 ? 85 : 92)
        case .respiratoryRate: return value <= 8 || value >= 25
        case .pulse: return value <= 40 || value >= 131
        case .systolic: return value >= 220 || value <= (patient.conditions.contains("heart-failure") ? 79 : 90)
        case .diastolic: return value >= 130
        case .glucose: return value < 3.0 || !reading.flags.isDisjoint(with: [.outOfRangeLow, .outOfRangeHigh])
        default: return false
        }
    }
}

/// A reading's number in the kind's canonical unit.
private func canonical(_ reading: SentReading) -> Double? {
    guard case .number(let number) = reading.value else { return nil }
    switch reading.unit?.known {
    case .kilopascal: return number * 7.500615758
    case .fahrenheit: return (number - 32) / 1.8
    case .pound: return number * 0.45359237
    case .stone: return number * 6.35029318
    case .milligramsPerDecilitre: return number / 18.0156
    case .litresPerSecond: return number * 60
    default: return number
    }
}
