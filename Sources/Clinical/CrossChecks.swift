/// What the readings of one report say about each other (clinical facts, section 3).
enum CrossChecks {
    /// A smaller difference between systolic and diastolic is suspect; it happens in shock, so it is judged.
    static let smallestPulsePressure = 10.0
    /// How far a mean arterial pressure may lie from (systolic + 2 diastolic) / 3.
    static let meanArterialTolerance = 20.0
    /// How far apart two pulses of one report may be, as an oximeter's and a cuff's.
    static let pulseTolerance = 20.0

    /// Marks suspect readings in place and returns the indices of those that contradict each other.
    static func apply(to readings: inout [Reading], sent: [SentReading]) -> IndexSet64 {
        var contradictory = IndexSet64()
        var lowestPulse = Double.infinity
        var highestPulse = -Double.infinity
        for place in readings.indices where !readings[place].isBeyondMeter {
            switch readings[place].kind {
            case .systolic: check(systolic: place, in: &readings, sent: sent, contradictory: &contradictory)
            case .pulse:
                lowestPulse = min(lowestPulse, readings[place].value)
                highestPulse = max(highestPulse, readings[place].value)
            default: break
            }
        }
        if highestPulse - lowestPulse > pulseTolerance {
            for place in readings.indices where readings[place].kind == .pulse && !readings[place].isBeyondMeter {
                readings[place].suspicions.append(.pulseMismatch)
            }
        }
        return contradictory
    }

    private static func check(
        systolic place: Int, in readings: inout [Reading], sent: [SentReading], contradictory: inout IndexSet64
    ) {
        let ordinal = ordinal(ofReadingAt: readings[place].index, of: .systolic, in: sent)
        guard let diastolic = find(.diastolic, ordinal: ordinal, in: readings, sent: sent) else { return }
        let high = readings[place].value
        let low = readings[diastolic].value
        guard high > low else {
            contradictory.insert(readings[place].index)
            contradictory.insert(readings[diastolic].index)
            return
        }
        if high - low < smallestPulsePressure {
            readings[place].suspicions.append(.smallPulsePressure)
            readings[diastolic].suspicions.append(.smallPulsePressure)
        }
        guard let mean = find(.meanArterial, ordinal: ordinal, in: readings, sent: sent) else { return }
        let value = readings[mean].value
        if value < low || value > high {
            contradictory.insert(readings[mean].index)
        } else if abs(value - (high + 2 * low) / 3) > meanArterialTolerance {
            readings[mean].suspicions.append(.meanArterialMismatch)
        }
    }

    /// How many of the same kind stand before it in the report as sent, refused ones too, so that a refusal does not
    /// shift the pairs.
    private static func ordinal(ofReadingAt index: Int, of kind: Kind, in sent: [SentReading]) -> Int {
        var count = 0
        for place in sent.indices {
            if place >= index { break }
            if case .known(kind) = sent[place].kind { count += 1 }
        }
        return count
    }

    private static func find(_ kind: Kind, ordinal: Int, in readings: [Reading], sent: [SentReading]) -> Int? {
        for place in readings.indices where readings[place].kind == kind && !readings[place].isBeyondMeter {
            if self.ordinal(ofReadingAt: readings[place].index, of: kind, in: sent) == ordinal { return place }
        }
        return nil
    }
}

/// Indices below 64, the most readings that a report may have, without touching the heap.
struct IndexSet64 {
    private var bits: UInt64 = 0

    var isEmpty: Bool { bits == 0 }

    mutating func insert(_ index: Int) {
        if (0..<64).contains(index) { bits |= 1 << UInt64(index) }
    }

    func contains(_ index: Int) -> Bool { (0..<64).contains(index) && bits & (1 << UInt64(index)) != 0 }
}
