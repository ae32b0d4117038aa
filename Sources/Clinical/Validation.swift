/// Splits a report's readings into those that are judged and stored, and those that are refused alone.
///
/// Each reading is held against the outside contract's reasons in their order: `unknown-kind`, `unknown-code`,
/// `missing-unit`, `unknown-unit`, `ambiguous-unit`, `implausible`, `inconsistent`, `control-solution`. Where the
/// contract leaves room:
/// - a string for a kind that is a number, or a number for a coded kind, is `malformed` before anybody comes here;
///   should one come all the same, it is `unknown-code`;
/// - a unit that is UCUM but not the kind's (weight in `mmol/L`, any unit on consciousness) is `unknown-unit`;
/// - the k-th systolic of a report belongs to its k-th diastolic and its k-th mean arterial;
/// - systolic at or below diastolic refuses those two; their mean arterial has then nothing to be held against. A
///   mean arterial outside diastolic...systolic is refused alone;
/// - a reading flagged `out-of-range-low` or `-high` carries the meter's own limit instead of a measurement: it is
///   never ambiguous or implausible, contradicts nothing, and no band makes it suspect.
public enum Validation {
    /// Empties `validated`, then fills it, `refused` in the order of the report. `clockCorrected` puts the flag
    /// `clock-corrected` on every reading. No allocation for a report without refusals and suspicions, once the
    /// arrays of `validated` have their capacity.
    public static func validate(
        _ report: SentReport, clockCorrected: Bool = false, into validated: inout ValidatedReadings
    ) {
        validated.reset()
        var control = false
        for index in report.readings.indices {
            let sent = report.readings[index]
            switch check(sent, index: index) {
            case .accepted(var reading):
                if clockCorrected { reading.flags.insert(.clockCorrected) }
                control = control || reading.flags.contains(.controlSolution)
                validated.readings.append(reading)
            case .refused(let reason):
                validated.refused.append(RefusedReading(index: index, kind: name(of: sent.kind), reason: reason))
            }
        }
        let contradictory = CrossChecks.apply(to: &validated.readings, sent: report.readings)
        if !contradictory.isEmpty || control { refuse(contradictory, of: &validated) }
    }

    private enum Outcome {
        case accepted(Reading)
        case refused(RefusalReason)
    }

    private static func check(_ sent: SentReading, index: Int) -> Outcome {
        guard case .known(let kind) = sent.kind else { return .refused(.unknownKind) }
        var reading = Reading(
            index: index, kind: kind, value: 0, sentValue: 0, sentUnit: nil, flags: sent.flags,
            otherFlags: sent.otherFlags)
        switch sent.value {
        case .code(let code):
            guard let rank = kind.codes.firstIndex(of: code) else { return .refused(.unknownCode) }
            guard sent.unit == nil else { return .refused(.unknownUnit) }
            reading.code = code
            reading.value = Double(rank)
            reading.sentValue = Double(rank)
        case .number(let number):
            guard !kind.isCoded, number.isFinite else { return .refused(.unknownCode) }
            if let reason = take(number, in: sent.unit, by: kind, into: &reading) { return .refused(reason) }
        }
        markSingle(&reading)
        return .accepted(reading)
    }

    /// Sets the reading's values, or says why the number can't be the kind's in that unit.
    private static func take(
        _ number: Double, in sentUnit: SentName<UCUMUnit>?, by kind: Kind, into reading: inout Reading
    ) -> RefusalReason? {
        reading.sentValue = number
        switch sentUnit {
        case nil:
            guard kind.unitRule == .optional else { return .missingUnit }
            reading.value = number
        case .unknown: return .unknownUnit
        case .known(let unit):
            guard let value = kind.canonical(number, sentIn: unit) else { return .unknownUnit }
            reading.sentUnit = unit
            reading.value = value
        }
        if reading.isBeyondMeter { return nil }
        guard kind.isPlausible(number, sentIn: reading.sentUnit) else {
            return kind.isAmbiguous(number, sentIn: reading.sentUnit) ? .ambiguousUnit : .implausible
        }
        if kind.isWhole, reading.value.rounded() != reading.value { return .implausible }
        return nil
    }

    /// Marks what makes a reading suspect by itself.
    private static func markSingle(_ reading: inout Reading) {
        if !reading.isBeyondMeter, reading.kind.isUnusual(reading.sentValue, sentIn: reading.sentUnit) {
            reading.suspicions.append(.unusualValue)
        }
        if !reading.flags.isDisjoint(with: [.movement, .lowPerfusion])
            || reading.otherFlags.contains(where: { doubtfulFlags.contains($0) })
        {
            reading.suspicions.append(.deviceFlag)
        }
    }

    /// A loose cuff, a wrong position, no finger: flags beyond the contract's, which readers derived from Bluetooth's
    /// status bits send under these names.
    private static let doubtfulFlags: Set<String> = ["loose-cuff", "position", "no-finger"]

    private static func refuse(_ contradictory: IndexSet64, of validated: inout ValidatedReadings) {
        for reading in validated.readings {
            if contradictory.contains(reading.index) {
                validated.refused.append(
                    RefusedReading(index: reading.index, kind: reading.kind.code, reason: .inconsistent))
            } else if reading.flags.contains(.controlSolution) {
                validated.refused.append(
                    RefusedReading(index: reading.index, kind: reading.kind.code, reason: .controlSolution))
            }
        }
        validated.readings.removeAll {
            contradictory.contains($0.index) || $0.flags.contains(.controlSolution)
        }
        validated.refused.sort { $0.index < $1.index }
    }

    private static func name(of kind: SentName<Kind>) -> String {
        switch kind {
        case .known(let kind): kind.code
        case .unknown(let text): text
        }
    }
}

extension Reading {
    /// The meter could not measure and sent its own limit instead.
    public var isBeyondMeter: Bool { !flags.isDisjoint(with: [.outOfRangeLow, .outOfRangeHigh]) }
}
