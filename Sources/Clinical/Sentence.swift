/// An alert's one sentence for a nurse: what was measured, when, against which limit of which pack. English; nothing
/// in it names the patient.
public enum Sentence {
    /// "SpO2 90 % on Mon 23 Nov at 08:15, at or below the red limit of 92 % (adult pack 1a2b3c4d, NHS COVID)."
    /// The value stands as it was sent, times are the patient's local ones.
    public static func summary(
        of assessment: Assessment, takenAt: Instant, receivedAt: Instant, timeZone: String
    ) -> String {
        let text =
            "\(measured(assessment.reading)) \(when(takenAt, timeZone)), \(judged(assessment))"
            + occasions(assessment, timeZone: timeZone) + doubts(assessment.reading) + confirmation(assessment)
        return text + lateness(takenAt: takenAt, receivedAt: receivedAt, timeZone: timeZone) + "."
    }

    /// "; received late, on Mon 23 Nov at 09:45"
    static func lateness(takenAt: Instant, receivedAt: Instant, timeZone: String) -> String {
        guard Clocks.isLate(takenAt: takenAt, receivedAt: receivedAt) else { return "" }
        return "; received late, \(when(receivedAt, timeZone))"
    }

    /// "on Mon 23 Nov at 08:15"
    static func when(_ instant: Instant, _ timeZone: String) -> String {
        let (date, time) = LocalTime.words(instant, timeZone: timeZone)
        return "on \(date) at \(time)"
    }

    static func tooLate(_ sentence: String, alsoRed: String) -> String {
        sentence.dropLast() + ", too late to alert as red\(alsoRed)."
    }

    static func unverified(
        _ body: String, reason: RefusalReason, receivedAt: Instant, timeZone: String, alsoRed: String
    ) -> String {
        "Unverified: \(body), in a report received \(when(receivedAt, timeZone)) that was refused (\(words(reason)))"
            + "\(alsoRed)."
    }

    static func unknownReader(_ body: String, receivedAt: Instant, timeZone: String, alsoRed: String) -> String {
        "Unverified: \(body), in a report received \(when(receivedAt, timeZone))\(alsoRed); the patient is not known here "
            + "and was judged by the default adult pack."
    }

    /// "adult pack 1a2b3c4d, NHS COVID Oximetry @home": the pack and the beginning of its content's hash, which is its
    /// version. A proposal without a source names none, and is called a proposal once.
    static func provenance(
        pack: String, hash: String, basis: String? = nil, source: String, isProposal: Bool
    ) -> String {
        let version = hash.isEmpty ? "" : " \(hash.prefix(8))"
        var parts = [pack == "own-limit" ? "the patient's own limit" : "\(pack) pack\(version)"]
        if let basis { parts.append(basis) }
        if !source.isEmpty, source != "proposal" { parts.append(source) }
        if isProposal { parts.append("proposal") }
        return parts.joined(separator: ", ")
    }

    /// "at or below"
    static func relation(_ limit: Limit, _ side: Side) -> String {
        switch (side, limit.inclusive) {
        case (.low, true): "at or below"
        case (.low, false): "below"
        case (.high, true): "at or above"
        case (.high, false): "above"
        }
    }

    /// For `late-red`: received over 24 h after it was taken.
    public static func lateRed(
        of assessment: Assessment, others: [Assessment] = [], takenAt: Instant, receivedAt: Instant, timeZone: String
    ) -> String {
        tooLate(
            summary(of: assessment, takenAt: takenAt, receivedAt: receivedAt, timeZone: timeZone),
            alsoRed: alsoRed(others))
    }

    /// For `unverified-red`: value, reason and time of receipt, since the report's own time or patient is in doubt.
    public static func unverifiedRed(
        of assessment: Assessment, others: [Assessment] = [], reason: RefusalReason, receivedAt: Instant,
        timeZone: String
    ) -> String {
        unverified(
            unverifiedBody(assessment), reason: reason, receivedAt: receivedAt, timeZone: timeZone,
            alsoRed: doubts(assessment.reading) + alsoRed(others))
    }

    /// For `unverified-red` of a reader that is not known while the registry can't be asked.
    public static func unknownReaderRed(
        of assessment: Assessment, others: [Assessment] = [], outcomes: [RuleOutcome] = [], receivedAt: Instant,
        timeZone: String
    ) -> String {
        unknownReader(
            unverifiedBody(assessment), receivedAt: receivedAt, timeZone: timeZone,
            alsoRed: doubts(assessment.reading) + alsoRed(others) + alsoRed(outcomes, timeZone: timeZone))
    }

    private static func unverifiedBody(_ assessment: Assessment) -> String {
        "\(measured(assessment.reading)), \(judged(assessment))"
    }

    /// "; red too: Pulse 140 /min, Systolic pressure 84 mmHg"
    private static func alsoRed(_ others: [Assessment]) -> String {
        others.isEmpty ? "" : "; red too: " + others.map { measured($0.reading) }.joined(separator: ", ")
    }

    /// "SpO2 90 %", "Temperature 102.4 °F (39.1 °C)", "Glucose LO (below 1.1 mmol/L)".
    public static func measured(_ reading: Reading) -> String {
        if let code = reading.code { return "\(reading.kind.name) \(code) (\(words(ofCode: code)))" }
        let unit = (reading.sentUnit ?? reading.kind.canonicalUnit)?.words ?? ""
        let value = (number(reading.sentValue) + " " + unit).trimmingSpace
        if reading.flags.contains(.outOfRangeLow) { return "\(reading.kind.name) LO (below the meter's \(value))" }
        if reading.flags.contains(.outOfRangeHigh) { return "\(reading.kind.name) HI (above the meter's \(value))" }
        return "\(reading.kind.name) \(value)\(converted(reading))\(charted(reading))"
    }

    /// "92.4 %" is red at 92 only because the chart knows whole numbers: say so, or the sentence contradicts itself.
    private static func charted(_ reading: Reading) -> String {
        guard (reading.sentUnit ?? reading.kind.canonicalUnit)?.words == reading.kind.canonicalUnit?.words,
            let charted = reading.kind.chartResolution?.rounded(reading.value), charted != reading.value
        else { return "" }
        return " (\(number(charted)) on the chart)"
    }

    private static func converted(_ reading: Reading) -> String {
        guard let sent = reading.sentUnit, let unit = reading.kind.canonicalUnit, unit != sent else { return "" }
        guard unit.words != sent.words, reading.kind != .glucose, reading.kind != .inr else { return "" }
        return " (\(number(reading.value, decimals: reading.kind.shownDecimals)) \(unit.words))"
    }

    /// "at or below the red limit of 92 % (adult pack 1a2b3c4d, NHS COVID)"
    private static func judged(_ assessment: Assessment) -> String {
        guard let level = assessment.level else { return "in range" }
        guard let threshold = assessment.limit else {
            return "outside what the meter can measure, which is \(level.rawValue) at once"
        }
        // The limit's own severity, which a red that is switched off keeps.
        let off = assessment.redSwitchedOff ? ", red being switched off" : ""
        if assessment.reading.kind.isCoded {
            let code = limitWords(threshold.limit, assessment)
            return "where \(code) or worse is \(threshold.severity.rawValue)\(off) (\(provenance(assessment)))"
        }
        let limit = "the \(threshold.severity.rawValue) limit of \(limitWords(threshold.limit, assessment))"
        return "\(relation(threshold.limit, assessment.side)) \(limit)\(off) (\(provenance(assessment)))"
    }

    private static func limitWords(_ limit: Limit, _ assessment: Assessment) -> String {
        let kind = assessment.reading.kind
        if kind.isCoded, let rank = Int(exactly: limit.value), kind.codes.indices.contains(rank) {
            return kind.codes[rank]
        }
        var text = number(limit.value, decimals: 2)
        var unit = kind.canonicalUnit
        if kind == .glucose, assessment.reading.sentUnit == .milligramsPerDecilitre,
            let pair = limit.milligramsPerDecilitre
        {
            text = number(pair)
            unit = .milligramsPerDecilitre
        }
        return (text + " " + (unit?.words ?? "")).trimmingSpace
    }

    private static func provenance(_ assessment: Assessment) -> String {
        provenance(
            pack: assessment.pack, hash: assessment.packHash, basis: assessment.basis, source: assessment.source,
            isProposal: assessment.isProposal)
    }

    /// "; red once confirmed, repeat asked in 30 min", "; repeat asked in 30 min", "; not confirmed, 178 mmHg then
    /// 150 mmHg"
    private static func confirmation(_ assessment: Assessment) -> String {
        if let repeatAfter = assessment.repeatAfter {
            let waits = assessment.awaited == nil ? "" : " red once confirmed,"
            return ";\(waits) repeat asked in \(words(repeatAfter))"
        }
        guard let first = assessment.unconfirmed else { return "" }
        return "; not confirmed, \(value(first)) then \(value(assessment.reading))"
    }

    static func words(_ interval: Interval) -> String {
        let minutes = interval.microseconds / 60_000_000
        if minutes < 120 { return "\(minutes) min" }
        return minutes % 1440 == 0 && minutes > 1440 ? "\(minutes / 1440) days" : "\(minutes / 60) h"
    }

    /// "178 mmHg", as it was sent.
    static func value(_ reading: PastReading) -> String {
        let unit = (reading.sentUnit ?? reading.kind.canonicalUnit)?.words ?? ""
        return (number(reading.sentValue) + " " + unit).trimmingSpace
    }

    private static func value(_ reading: Reading) -> String {
        let unit = (reading.sentUnit ?? reading.kind.canonicalUnit)?.words ?? ""
        return (number(reading.sentValue) + " " + unit).trimmingSpace
    }

    private static func occasions(_ assessment: Assessment, timeZone: String) -> String {
        guard !assessment.otherReadings.isEmpty else { return "" }
        let others = assessment.otherReadings.map { value($0) + " " + when($0.takenAt, timeZone) }
        return ", as was " + others.joined(separator: " and ")
    }

    private static func doubts(_ reading: Reading) -> String {
        guard reading.isSuspect else { return "" }
        let reasons = reading.suspicions.map { suspicion in
            switch suspicion {
            case .unusualValue: "an unusual value"
            case .smallPulsePressure: "systolic and diastolic less than 10 mmHg apart"
            case .meanArterialMismatch: "mean arterial pressure does not fit"
            case .deviceFlag: "the reader reported a poor measurement"
            case .pulseMismatch: "two pulses over 20 apart"
            case .abovePersonalBest: "far above the personal best"
            case .unlikelyForPerson: "far from this person's last values; another person, perhaps"
            case .likelyOtherUnit: "would be usual in another unit"
            }
        }
        return "; suspect (\(reasons.joined(separator: ", "))), repeat asked"
    }

    static func words(_ reason: RefusalReason) -> String {
        switch reason {
        case .clockFuture: "clock-future: its time lies ahead"
        case .tooOld: "too-old: its time is over 30 days ago"
        case .unpaired: "unpaired: nobody had the reader at its time"
        case .conflict: "conflict: another report has its id"
        default: reason.rawValue
        }
    }

    private static func words(ofCode code: String) -> String {
        switch code {
        case "A": "alert"
        case "C": "new confusion"
        case "V": "responds to voice"
        case "P": "responds to pain"
        default: "unresponsive"
        }
    }

    /// As people write it: `142`, `36.6`; never in scientific notation for anything plausible.
    static func number(_ value: Double) -> String {
        if let whole = Int64(exactly: value), value.magnitude < 1e15 { return String(whole) }
        return value.description
    }

    /// Rounded to so many decimals, without trailing zeros.
    static func number(_ value: Double, decimals: Int) -> String {
        var scale = 1.0
        for _ in 0..<decimals { scale *= 10 }
        return number((value * scale).rounded(.toNearestOrAwayFromZero) / scale)
    }
}

extension String {
    fileprivate var trimmingSpace: String { hasSuffix(" ") ? String(dropLast()) : self }
}

extension Kind {
    /// For people.
    public var name: String {
        switch self {
        case .systolic: "Systolic pressure"
        case .diastolic: "Diastolic pressure"
        case .meanArterial: "Mean arterial pressure"
        case .pulse: "Pulse"
        case .spo2: "SpO2"
        case .respiratoryRate: "Respiratory rate"
        case .temperature: "Temperature"
        case .weight: "Weight"
        case .glucose: "Glucose"
        case .ketones: "Ketones"
        case .peakFlow: "Peak flow"
        case .fev1: "FEV1"
        case .inr: "INR"
        case .steps: "Steps"
        case .catScore: "CAT score"
        case .consciousness: "Consciousness"
        case .oxygen: "Oxygen"
        }
    }

    fileprivate var shownDecimals: Int {
        switch self {
        case .temperature, .weight: 1
        case .fev1: 2
        default: 0
        }
    }
}

extension UCUMUnit {
    /// For people; empty where the number stands alone.
    public var words: String {
        switch self {
        case .millimetresOfMercury: "mmHg"
        case .perMinute, .beatsPerMinute, .breathsPerMinute: "/min"
        case .celsius: "°C"
        case .fahrenheit: "°F"
        case .pound: "lb"
        case .stone: "st"
        case .internationalNormalizedRatio, .one, .steps, .score: ""
        default: code
        }
    }
}
