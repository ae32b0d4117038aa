/// What makes a reading suspect for this person (clinical facts, section 3). A mark and never a hold.
extension Plan {
    /// How far a weight may be from the median of the 7 days before, and from any weight of the 24 h before, kg.
    private static let weightFromMedian = 5.0
    private static let weightInADay = 3.0
    private static let medianSpan = Interval.days(7)
    /// A value that is this near to the usual one times a unit's factor smells of that unit.
    private static let unitTolerance = 0.1

    /// Marks what can only be called suspect by someone who knows the patient: over 150 % of the personal best, a weight
    /// that is another person's, a number that is another unit's. Call it on a report's validated readings before they
    /// are judged and stored; twice changes nothing.
    public func markSuspicions(
        in readings: inout [Reading], at instant: Instant, history: PatientHistory = PatientHistory()
    ) {
        markAbovePersonalBest(in: &readings)
        for place in readings.indices where !readings[place].isBeyondMeter {
            switch readings[place].kind {
            case .weight: markWeight(&readings[place], at: instant, history)
            case .glucose: markUnit(&readings[place], at: instant, history)
            default: break
            }
        }
    }

    /// What `markSuspicions` looks back at.
    func suspicionHistoryNeeded(for report: JudgedReport) -> HistoryNeed? {
        var kinds: Set<Kind> = []
        for reading in report.readings {
            if reading.kind == .weight || (reading.kind == .glucose && smellsOfAUnit(reading)) {
                kinds.insert(reading.kind)
            }
        }
        return kinds.isEmpty ? nil : HistoryNeed(kinds: kinds, since: report.takenAt - Self.medianSpan)
    }

    private func markWeight(_ reading: inout Reading, at instant: Instant, _ history: PatientHistory) {
        let before = history.readings(of: .weight).filter {
            $0.takenAt < instant && instant - $0.takenAt <= Self.medianSpan
        }
        let trusted = before.filter { !$0.isSuspect }
        let value = reading.value
        if let median = Self.median(trusted.map(\.value)) {
            if Self.isNear(value / median, Kind.kilogramsPerPound)
                || Self.isNear(median / value, Kind.kilogramsPerPound)
            {
                reading.mark(.likelyOtherUnit)
            }
            if abs(value - median) > Self.weightFromMedian { reading.mark(.unlikelyForPerson) }
        }
        let today = trusted.filter { instant - $0.takenAt <= .hours(24) }
        if today.contains(where: { abs(value - $0.value) > Self.weightInADay }) { reading.mark(.unlikelyForPerson) }
    }

    /// Only a value that would be usual in the other unit is worth a look back.
    private func smellsOfAUnit(_ reading: Reading) -> Bool {
        let factor = Kind.milligramsPerDecilitrePerMillimolePerLitre
        let usual = Kind.glucose.plausibility.suspectOutside
        return !reading.isBeyondMeter
            && (usual.contains(reading.value * factor) || usual.contains(reading.value / factor))
    }

    private func markUnit(_ reading: inout Reading, at instant: Instant, _ history: PatientHistory) {
        guard smellsOfAUnit(reading) else { return }
        let before = history.readings(of: .glucose).filter {
            !$0.isSuspect && $0.takenAt < instant && instant - $0.takenAt <= Self.medianSpan
        }
        guard let median = Self.median(before.map(\.value)) else { return }
        let factor = 1 / Kind.milligramsPerDecilitrePerMillimolePerLitre
        if Self.isNear(reading.value / median, factor) || Self.isNear(median / reading.value, factor) {
            reading.mark(.likelyOtherUnit)
        }
    }

    private static func isNear(_ ratio: Double, _ factor: Double) -> Bool {
        abs(ratio / factor - 1) <= unitTolerance
    }

    private static func median(_ values: [Double]) -> Double? {
        let sorted = values.sorted()
        guard let middle = sorted.dropFirst(sorted.count / 2).first else { return nil }
        guard sorted.count.isMultiple(of: 2), let below = sorted.dropFirst(sorted.count / 2 - 1).first else {
            return middle
        }
        return (below + middle) / 2
    }
}

extension Reading {
    fileprivate mutating func mark(_ suspicion: Suspicion) {
        if !suspicions.contains(suspicion) { suspicions.append(suspicion) }
    }
}
