/// What the plan makes of a report. Pure: the same report, plan and history give the same verdict, and a history that
/// already holds the report changes nothing.
///
/// `history` is only looked at for limits that ask for several readings; give what `historyNeeded` asks for, or an
/// empty one where there is none to be had: then such a limit waits for its next reading.
///
/// `mayHold` is false where the reader can't ask for a repeat, and while the database is away: then a limit that would
/// wait for its confirmation is red at once, and asks for the repeat all the same.
public func judge(
    _ report: JudgedReport, plan: Plan, history: PatientHistory = PatientHistory(), mayHold: Bool = true
) -> Verdict {
    let judgement = Judgement(
        readings: report.readings, at: report.takenAt, key: report.key, plan: plan, history: history,
        mayHold: mayHold)
    var verdict = Verdict()
    verdict.assessments.reserveCapacity(report.readings.count * 2)
    let tooLate = report.isTooLateToAlert
    judgement.forEachRule { kind, side, bands in
        guard let assessment = judgement.assess(kind, side, bands) else { return }
        if !tooLate {
            verdict.assessments.append(assessment)
        } else if assessment.level == .red {
            verdict.lateReds.append(assessment)
        }
    }
    verdict.lateReds = mostTellingFirst(verdict.lateReds)
    for outcome in plan.judgeRules(report, history: history) {
        if !tooLate {
            verdict.outcomes.append(outcome)
        } else if outcome.level == .red {
            verdict.lateOutcomes.append(outcome)
        }
    }
    return verdict
}

/// The immediate reds of the rules beyond the bands in a report that was refused as a whole: chest pain in a report whose
/// clock is wrong must not be lost either. `instant` is when it was received, since its own time can't be trusted.
public func immediateOutcomes(of report: JudgedReport, at instant: Instant, plan: Plan) -> [RuleOutcome] {
    var report = report
    report.takenAt = instant
    return plan.judgeRules(report, history: PatientHistory()).filter { $0.level == .red && $0.immediate }
}

/// The readings that some immediate limit makes red by themselves, for `unverified-red`: a report that was refused
/// as a whole must not hide one. The most telling comes first. `instant` is when it was received, since its own time can't be trusted.
public func immediateReds(in readings: [Reading], at instant: Instant, plan: Plan) -> [Assessment] {
    let judgement = Judgement(
        readings: readings, at: instant, key: nil, plan: plan, history: PatientHistory(), mayHold: true)
    var reds: [Assessment] = []
    judgement.forEachRule { kind, side, bands in
        guard let assessment = judgement.assess(kind, side, bands) else { return }
        if assessment.level == .red, assessment.immediate { reds.append(assessment) }
    }
    return mostTellingFirst(reds)
}

/// Which of several reds of one report a single alert is about: an immediate one before others, one that can be trusted
/// before a suspect one, then the one that lies farthest on the way from its limit to the end of what is plausible; as
/// they came where all that is equal.
private func mostTellingFirst(_ reds: [Assessment]) -> [Assessment] {
    func precedes(_ left: Assessment, _ right: Assessment) -> Bool {
        if left.immediate != right.immediate { return left.immediate }
        if left.suspect != right.suspect { return right.suspect }
        return left.shareBeyondLimit > right.shareBeyondLimit
    }
    return reds.enumerated().sorted { left, right in
        if precedes(left.element, right.element) { return true }
        return !precedes(right.element, left.element) && left.offset < right.offset
    }.map(\.element)
}

extension Assessment {
    /// 0 at the limit, 1 at the end of what is plausible and for what a meter could not measure.
    fileprivate var shareBeyondLimit: Double {
        let range = reading.kind.plausibility.refusedOutside
        let end = side == .low ? range.lowerBound : range.upperBound
        guard !reading.isBeyondMeter, let limit = limit?.limit.value, limit != end else { return 1 }
        return (limit - reading.value) / (limit - end)
    }
}

extension Plan {
    /// What must be read from the store before `report` can be judged: nil for most reports, since it is asked only
    /// for what a rule looks back at, and for bands only when a reading is beyond a limit that needs several readings
    /// and would worsen what it is by itself, or may be the repeat that was asked for. What a NEWS2 score needs is asked
    /// for apart, by `news2HistoryNeeded`.
    public func historyNeeded(for report: JudgedReport) -> HistoryNeed? {
        var need = bandHistoryNeeded(for: report)
        for rule in rules where rule.concerns(report) {
            guard let part = rule.historyNeeded(at: report.takenAt) else { continue }
            need = need?.union(part) ?? part
        }
        if let part = suspicionHistoryNeeded(for: report) { need = need?.union(part) ?? part }
        return need
    }

    private func bandHistoryNeeded(for report: JudgedReport) -> HistoryNeed? {
        guard asksForSeveral else { return nil }
        let judgement = Judgement(
            readings: report.readings, at: report.takenAt, key: report.key, plan: self, history: PatientHistory(),
            mayHold: true)
        var need: HistoryNeed?
        judgement.forEachRule { kind, side, bands in
            guard bands.contains(where: \.asksForSeveral) else { return }
            guard let span = judgement.spanNeeded(kind, side, bands) else { return }
            let part = HistoryNeed(kinds: [kind], since: report.takenAt - span)
            need = need?.union(part) ?? part
        }
        return need
    }
}

/// One report under one plan.
private struct Judgement {
    let readings: [Reading]
    let instant: Instant
    let key: ReportKey?
    let plan: Plan
    let history: PatientHistory
    let mayHold: Bool
    private let onOxygen: Bool

    init(
        readings: [Reading], at instant: Instant, key: ReportKey?, plan: Plan, history: PatientHistory, mayHold: Bool
    ) {
        self.mayHold = mayHold
        self.readings = readings
        self.instant = instant
        self.key = key
        self.plan = plan
        self.history = history
        onOxygen = readings.contains { $0.kind == .oxygen && $0.value > 0 }
    }

    /// Calls `body` once for each kind in the report and side that has a band, in the order of kinds and sides.
    func forEachRule(_ body: (Kind, Side, [ResolvedBand]) -> Void) {
        var present: UInt64 = 0
        for reading in readings { present |= 1 << UInt64(reading.kind.rawValue) }
        while present != 0 {
            let place = present.trailingZeroBitCount
            present &= present - 1
            guard let kind = UInt8(exactly: place).flatMap({ Kind(rawValue: $0) }) else { continue }
            visit(kind, .low, body)
            visit(kind, .high, body)
        }
    }

    private func visit(_ kind: Kind, _ side: Side, _ body: (Kind, Side, [ResolvedBand]) -> Void) {
        let bands = plan.bands(kind, side, onOxygen: onOxygen, at: instant)
        if !bands.isEmpty { body(kind, side, bands) }
    }

    /// What one band makes of one reading; small, since nearly all of them are thrown away.
    private struct Finding {
        var readingPlace: Int
        var bandPlace: Int
        /// Which of the band's thresholds; nil in range, and for what a meter could not measure beside no limit.
        var thresholdPlace: Int?
        var level: Severity?
        var immediate = false
        var worseness: Double
        var others: [PastReading] = []
        /// Which of the band's thresholds is red once it is confirmed.
        var awaitedPlace: Int?
        /// Which of the band's thresholds would have waited, had it been allowed to.
        var unheldPlace: Int?
    }

    /// The worst that any reading of the kind is by any of the bands.
    func assess(_ kind: Kind, _ side: Side, _ bands: [ResolvedBand]) -> Assessment? {
        var worst: Finding?
        var clears = true
        for place in readings.indices where readings[place].kind == kind {
            let measured = Measured(readings[place])
            if readings[place].isSuspect || measured.isBeyondMeter(on: side) { clears = false }
            for bandPlace in bands.indices {
                let finding = find(
                    Finding(readingPlace: place, bandPlace: bandPlace, worseness: measured.worseness(on: side)),
                    measured, side, bands[bandPlace])
                if clears { clears = finding.level == nil && bands[bandPlace].isClear(measured, on: side) }
                if worst.map({ isWorse(finding, than: $0) }) ?? true { worst = finding }
            }
        }
        return worst.map { assessment($0, kind, side, bands[$0.bandPlace], clears: clears) }
    }

    private func find(_ start: Finding, _ measured: Measured, _ side: Side, _ band: ResolvedBand) -> Finding {
        var finding = start
        for place in band.bounds.indices {
            let threshold = band.bounds[place]
            guard measured.isBeyond(threshold.limit, on: side) else { continue }
            if threshold.occurrences > 1 {
                if let others = run(of: threshold, kind: measured.kind, side: side) {
                    finding.others = others
                } else if threshold.repeatAfter == nil {
                    continue
                } else if mayHold {
                    finding.awaitedPlace = finding.awaitedPlace ?? place
                    continue
                } else {
                    finding.unheldPlace = place
                }
            }
            finding.thresholdPlace = place
            finding.level = threshold.severity
            finding.immediate = threshold.immediate
            break
        }
        // What waits for its confirmation is amber, whatever milder limits the pack has.
        if finding.awaitedPlace != nil, finding.level.map({ $0 < .amber }) ?? true {
            finding.thresholdPlace = finding.awaitedPlace
            finding.level = .amber
        }
        // Outside contract: a glucose LO or HI is red at once, whatever the plan's limits ask for.
        if measured.kind == .glucose, measured.isBeyondMeter(on: side) {
            // A milder limit that it is beyond too is not what makes it red.
            if finding.level != .red { finding.thresholdPlace = nil }
            finding.level = .red
            finding.immediate = true
        }
        return finding
    }

    /// A total order that does not depend on the order of readings, as far as they differ in what counts.
    private func isWorse(_ left: Finding, than right: Finding) -> Bool {
        if left.level != right.level {
            guard let leftLevel = left.level else { return false }
            return right.level.map { leftLevel > $0 } ?? true
        }
        if left.immediate != right.immediate { return left.immediate }
        if left.worseness != right.worseness { return left.worseness > right.worseness }
        let (left, right) = (left.readingPlace, right.readingPlace)
        if readings[left].isSuspect != readings[right].isSuspect { return readings[right].isSuspect }
        return readings[left].index < readings[right].index
    }

    private func assessment(
        _ finding: Finding, _ kind: Kind, _ side: Side, _ band: ResolvedBand, clears: Bool
    ) -> Assessment {
        let reading = readings[finding.readingPlace]
        var result = Assessment(
            rule: RuleNames.name(kind, side), side: side, level: finding.level, reading: reading, pack: band.pack,
            packHash: band.packHash, immediate: finding.immediate, worseness: finding.worseness, step: band.worseBy,
            suspect: reading.isSuspect, clears: clears, otherReadings: finding.others)
        if let place = finding.thresholdPlace {
            let resolved = band.thresholds[place]
            result.limit = resolved.threshold
            result.basis = resolved.basis
            result.source = resolved.limit.source
            result.isProposal = resolved.limit.isProposal
            result.advice = resolved.limit.advice
        }
        if let place = finding.awaitedPlace ?? finding.unheldPlace, !plan.isRedOff(kind, at: instant) {
            let limit = band.thresholds[place].limit
            if finding.awaitedPlace != nil { result.awaited = limit }
            result.repeatAfter = limit.threshold.repeatAfter
        }
        if result.level == nil { result.unconfirmed = unconfirmed(kind, side, band) }
        if result.level == .red, plan.isRedOff(kind, at: instant) {
            result.level = .amber
            result.immediate = false
            result.redSwitchedOff = true
        }
        return result
    }

    /// The reading just before this report, where it waited for a confirmation that this report does not give.
    private func unconfirmed(_ kind: Kind, _ side: Side, _ band: ResolvedBand) -> PastReading? {
        for threshold in band.bounds where threshold.repeatAfter != nil {
            guard let last = occasions(of: kind).last(where: isBefore),
                let first = last.first(where: { Measured($0).isBeyond(threshold.limit, on: side) }),
                instant - first.takenAt <= threshold.within
            else { continue }
            return first
        }
        return nil
    }

    // MARK: - Limits that ask for several readings

    /// A report is one occasion, however many readings of the kind it holds. The limit is met when `occurrences`
    /// occasions in a row, this one among them, are beyond it and lie within the span, by the time they were taken and
    /// not by the order in which they came. Where the limit asks for a repeat a normal one between them is no bar:
    /// "a second such within 24 h" (clinical facts, section 4). Returns the other occasions' readings, oldest first; nil when not met.
    func run(of threshold: Threshold, kind: Kind, side: Side) -> [PastReading]? {
        var before: [PastReading] = []
        var after: [PastReading] = []
        let occasions = occasions(of: kind)
        for occasion in occasions.reversed() where isBefore(occasion) {
            guard let beyond = occasion.first(where: { Measured($0).isBeyond(threshold.limit, on: side) }) else {
                if threshold.repeatAfter != nil { continue }
                break
            }
            before.insert(beyond, at: 0)
        }
        for occasion in occasions where !isBefore(occasion) {
            guard let beyond = occasion.first(where: { Measured($0).isBeyond(threshold.limit, on: side) }) else {
                if threshold.repeatAfter != nil { continue }
                break
            }
            after.append(beyond)
        }
        // Every stretch of that many occasions which has this report in it, from the oldest on.
        let others = threshold.occurrences - 1
        for earlier in stride(from: min(others, before.count), through: 0, by: -1) where others - earlier <= after.count
        {
            let stretch = before.suffix(earlier) + after.prefix(others - earlier)
            let first = earlier > 0 ? stretch.first?.takenAt ?? instant : instant
            let last = others > earlier ? stretch.last?.takenAt ?? instant : instant
            if last - first <= threshold.within { return Array(stretch) }
        }
        return nil
    }

    /// The other reports' readings of the kind, report by report, oldest first; within one report the worst is not
    /// sought: the first beyond the limit stands for it.
    private func occasions(of kind: Kind) -> [ArraySlice<PastReading>] {
        let line = history.readings(of: kind)
        var occasions: [ArraySlice<PastReading>] = []
        var start = line.startIndex
        while start < line.endIndex {
            let end = line[start...].firstIndex { $0.key != line[start].key } ?? line.endIndex
            if line[start].key != key { occasions.append(line[start..<end]) }
            start = end
        }
        return occasions
    }

    private func isBefore(_ occasion: ArraySlice<PastReading>) -> Bool {
        guard let first = occasion.first else { return false }
        if first.takenAt != instant { return first.takenAt < instant }
        return key.map { first.key.precedes($0) } ?? true
    }

    /// The longest span of a limit that would worsen what a reading is by itself.
    func spanNeeded(_ kind: Kind, _ side: Side, _ bands: [ResolvedBand]) -> Interval? {
        var longest: Interval?
        let level = assess(kind, side, bands)?.level
        for reading in readings where reading.kind == kind {
            let measured = Measured(reading)
            for band in bands {
                for threshold in band.bounds where threshold.occurrences > 1 {
                    if threshold.repeatAfter != nil, level == nil {
                        longest = max(longest ?? threshold.within, threshold.within)
                        continue
                    }
                    guard level.map({ threshold.severity > $0 }) ?? true else { continue }
                    guard measured.isBeyond(threshold.limit, on: side) else { continue }
                    longest = max(longest ?? threshold.within, threshold.within)
                }
            }
        }
        return longest
    }
}

/// The bands' rule codes, made once.
private enum RuleNames {
    private static let names: [String] = {
        var names = Array(repeating: "", count: 64)
        for kind in Kind.allCases {
            for side in Side.allCases { names[PlanCompiler.place(kind, side)] = Band.rule(kind, side) }
        }
        return names
    }()

    static func name(_ kind: Kind, _ side: Side) -> String { names[PlanCompiler.place(kind, side)] }
}

extension ReportKey {
    /// An order that is the same everywhere, for readings taken at one instant.
    func precedes(_ other: ReportKey) -> Bool {
        device == other.device ? report.precedes(other.report) : device.precedes(other.device)
    }
}

extension Identifier {
    fileprivate func precedes(_ other: Identifier) -> Bool {
        for index in 0..<min(count, other.count) where self[index] != other[index] { return self[index] < other[index] }
        return count < other.count
    }
}
