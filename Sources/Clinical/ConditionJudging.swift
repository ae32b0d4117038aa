/// One level of a rule over one timeline.
///
/// Whatever it looks for, it looks on both sides of the report: an older reading that comes late makes a newer one what
/// it would have been, so that the order of arrival does not decide.
struct ConditionJudging {
    let timeline: Timeline
    let level: RuleLevel
    let score: NEWS2Score?

    /// What binary fractions lose: 82.2 - 80.2 is a hair under 2.
    private static let noise = 1e-6

    /// Nil where what the condition needs is not there.
    func judge(margin: Double) -> RuleResult? {
        switch level.condition {
        case .change(let kind, let direction, let limit, let within):
            change(kind, direction, limit, within, margin)
        case .difference(let kind, let direction, let limit, let own):
            difference(kind, direction, limit, own, margin)
        case .mean(let kind, let side, let limit, let window): mean(kind, side, limit, window, margin)
        case .count(let sign, let least, let last, let within): count(sign, least, last, within, margin)
        case .answers(let questions, let least, let days): answers(questions, least, days)
        case .news2(let measure, let least): news2(measure, least, margin)
        case .beyond(let kind, let side, let limit): beyond(kind, side, limit, margin)
        }
    }

    // MARK: - Single readings and pairs of them

    private func anchors(_ kind: Kind) -> [PastReading] {
        timeline.anchors(kind, beside: level.companion?.within)
    }

    /// The worst of several candidates; nil of none. A companion is asked for at the candidate's time.
    private func worst(_ candidates: [Candidate], by limit: Double, margin: Double) -> RuleResult? {
        guard let first = candidates.min(by: Candidate.isWorse) else { return nil }
        var evidence = RuleEvidence()
        let isBeyond = { (candidate: Candidate, margin: Double) in candidate.measure >= limit - margin - Self.noise }
        let beyond = candidates.filter { isBeyond($0, 0) }
        // Without a companion the worst is it, and the rest need no order.
        let sorted = level.companion == nil ? (beyond.isEmpty ? [] : [first]) : beyond.sorted(by: Candidate.isWorse)
        for candidate in sorted {
            guard let companions = companions(at: candidate.at) else { continue }
            evidence = companions
            evidence.measure = candidate.measure
            evidence.reference = candidate.reference
            evidence.readings = (candidate.readings + companions.readings).sorted { $0.takenAt < $1.takenAt }
            return RuleResult(isMet: true, isClear: false, evidence: evidence)
        }
        evidence.measure = first.measure
        evidence.reference = first.reference
        evidence.readings = first.readings
        return RuleResult(isMet: false, isClear: hasOwnReading && !isBeyond(first, margin), evidence: evidence)
    }

    /// Only a report that measured it again can say that it is back in range.
    private var hasOwnReading: Bool {
        let kinds = level.condition.kinds
        return timeline.report.readings.contains { kinds.contains($0.kind) }
    }

    private struct Candidate {
        var measure: Double
        var reference: Double?
        var readings: [PastReading]
        /// When it came to be so.
        var at: Instant

        /// A total order: two of one measure by when they were.
        static func isWorse(_ left: Candidate, _ right: Candidate) -> Bool {
            if left.measure != right.measure { return left.measure > right.measure }
            return left.readings.map(\.takenAt).lexicographicallyPrecedes(right.readings.map(\.takenAt))
        }
    }

    private func change(
        _ kind: Kind, _ direction: Direction, _ limit: Double, _ within: Interval, _ margin: Double
    ) -> RuleResult? {
        let sign = direction == .rise ? 1.0 : -1.0
        var candidates: [Candidate] = []
        for anchor in anchors(kind) {
            let line = timeline.readings(of: kind, within: within, of: anchor.takenAt)
            // The anchor's own worst stands for it, unless a companion may be beside another. What somebody else may
            // have weighed is no measure for what comes after it.
            var worst: (measure: Double, other: Int)?
            for place in line.indices where line[place].takenAt != anchor.takenAt {
                let isOlder = line[place].takenAt < anchor.takenAt
                if isOlder ? line[place].isSuspect : anchor.isSuspect { continue }
                let measure = sign * (isOlder ? anchor.value - line[place].value : line[place].value - anchor.value)
                if level.companion != nil { candidates.append(pair(anchor, line[place], measure)) }
                if worst.map({ measure > $0.measure }) ?? true { worst = (measure, place) }
            }
            guard level.companion == nil, let worst else { continue }
            candidates.append(pair(anchor, line[worst.other], worst.measure))
        }
        let anchors = anchors(kind)
        if candidates.isEmpty, !anchors.isEmpty {
            // One reading alone says nothing, neither that it changed nor that it did not.
            var evidence = RuleEvidence()
            evidence.readings = anchors
            return RuleResult(isMet: false, isClear: false, evidence: evidence)
        }
        return worst(candidates, by: limit, margin: margin)
    }

    private func pair(_ anchor: PastReading, _ other: PastReading, _ measure: Double) -> Candidate {
        let (older, newer) = other.takenAt < anchor.takenAt ? (other, anchor) : (anchor, other)
        return Candidate(measure: measure, readings: [older, newer], at: newer.takenAt)
    }

    private func difference(
        _ kind: Kind, _ direction: Direction, _ limit: Double, _ own: OwnMeasure, _ margin: Double
    ) -> RuleResult? {
        guard let reference = timeline.plan.ownMeasure(own.measure, of: kind) else { return nil }
        let sign = direction == .rise ? 1.0 : -1.0
        let ceiling = own.onlyBelow[timeline.plan.news2Scale]
        let candidates = anchors(kind).map { anchor in
            let value = kind.chartResolution?.rounded(anchor.value) ?? anchor.value
            let counts = ceiling.map { value < $0 } ?? true
            let measure = sign * (value - reference)
            return Candidate(
                measure: counts ? measure : min(measure, 0), reference: reference, readings: [anchor],
                at: anchor.takenAt)
        }
        return worst(candidates, by: limit, margin: margin)
    }

    private func beyond(_ kind: Kind, _ side: Side, _ limit: Limit, _ margin: Double) -> RuleResult? {
        let anchors = anchors(kind)
        guard !anchors.isEmpty else { return nil }
        for anchor in anchors where Measured(anchor).isBeyond(limit, on: side) {
            guard var evidence = companions(at: anchor.takenAt) else { continue }
            evidence.measure = Measured(anchor).worseness(on: side)
            evidence.readings = (evidence.readings + [anchor]).sorted { $0.takenAt < $1.takenAt }
            return RuleResult(isMet: true, isClear: false, evidence: evidence)
        }
        var evidence = RuleEvidence()
        evidence.readings = anchors
        let isClear = !anchors.contains { Measured($0).isBeyond(limit, on: side, margin: margin) }
        return RuleResult(
            isMet: false, isClear: hasOwnReading && (isClear || level.companion != nil), evidence: evidence)
    }

    /// What stands beside it; nil where a companion is asked for and is not there.
    private func companions(at instant: Instant) -> RuleEvidence? {
        var evidence = RuleEvidence()
        guard let companion = level.companion else { return evidence }
        switch companion.sign {
        case .answers(let questions):
            evidence.answers = timeline.answers.filter {
                questions.contains($0.question) && $0.value.isYes
                    && timeline.isWithin(companion.within, $0.takenAt, instant)
            }
            return evidence.answers.isEmpty ? nil : evidence
        case .beyond(let kind, let side, let limit):
            evidence.readings = timeline.readings(of: kind, within: companion.within, of: instant).filter {
                Measured($0).isBeyond(limit, on: side)
            }
            return evidence.readings.isEmpty ? nil : evidence
        }
    }

    // MARK: - Means

    private func mean(
        _ kind: Kind, _ side: Side, _ limit: Limit, _ window: MeanWindow, _ margin: Double
    ) -> RuleResult? {
        // A day more on either side than the window has, for the hours by which a local day may differ.
        let all = timeline.readings(of: kind, within: .days(Int64(window.days) + 1), of: timeline.report.takenAt)
            .filter { !Measured($0).isBeyondMeter }
        guard all.contains(where: timeline.isOwn) else { return nil }
        let today = timeline.day(timeline.report.takenAt)
        let span = Int64(window.days) - 1
        // The newest day whose window still holds this report.
        let days = timeline.days(all)
        guard let last = days.filter({ $0 >= today && $0 <= today + span }).max() else { return nil }
        let inWindow = zip(all, days).filter { $0.1 >= last - span && $0.1 <= last }
        let counted = Set(inWindow.map(\.1)).sorted().dropFirst(window.daysLeftOut)
        guard let first = counted.first else { return nil }
        let meant = inWindow.filter { $0.1 >= first }.map(\.0)
        guard meant.count >= window.minimumReadings, let newest = meant.last else { return nil }
        let mean = meant.reduce(0) { $0 + $1.value } / Double(meant.count)
        var evidence = RuleEvidence()
        evidence.measure = side == .high ? mean : -mean
        evidence.readings = [newest]
        evidence.readingsMeant = meant.count
        evidence.daysMeant = counted.count
        let inside = side == .high ? -margin : margin
        return RuleResult(
            isMet: isBeyond(mean, limit, side, moved: 0), isClear: !isBeyond(mean, limit, side, moved: inside),
            evidence: evidence)
    }

    private func isBeyond(_ value: Double, _ limit: Limit, _ side: Side, moved: Double) -> Bool {
        let bound = limit.value + moved
        if abs(value - bound) <= Self.noise { return limit.inclusive }
        return side == .low ? value < bound : value > bound
    }

    // MARK: - Counts

    private func count(
        _ sign: CountedSign, _ least: Int, _ last: Int, _ within: Interval, _ margin: Double
    ) -> RuleResult? {
        let reports = reportsAround(level.condition.kinds, atMost: last)
        guard let own = reports.firstIndex(where: { $0.contains(where: timeline.isOwn) }) else { return nil }
        var best: [PastReading] = []
        for end in own..<min(own + last, reports.count) {
            guard let newest = reports[end].first?.takenAt else { continue }
            let start = max(0, end - last + 1)
            guard start <= own else { continue }
            let signs = reports[start...end].compactMap { readings -> PastReading? in
                guard let first = readings.first, newest - first.takenAt <= within else { return nil }
                return readings.first { shows(sign, $0) }
            }
            if signs.count > best.count { best = signs }
        }
        var evidence = RuleEvidence()
        evidence.measure = Double(best.count)
        evidence.readings = best
        let isMet = best.count >= least
        return RuleResult(isMet: isMet, isClear: Double(best.count) < Double(least) - margin, evidence: evidence)
    }

    /// The report and so many others on either side of it that have readings of the kinds, report by report. What lies
    /// further away in one kind lies further away in all.
    private func reportsAround(_ kinds: [Kind], atMost last: Int) -> [[PastReading]] {
        let (at, own) = (timeline.report.takenAt, timeline.report.key)
        var near: [PastReading] = []
        for kind in Set(kinds) {
            let line = timeline.readings(of: kind)
            let middle = line.place { $0.takenAt == at ? $0.key.precedes(own) : $0.takenAt < at }
            var keys: Set<ReportKey> = []
            near += line[..<middle].reversed().prefix { keys.insert($0.key).inserted ? keys.count <= last : true }
            keys = []
            near += line[middle...].prefix { keys.insert($0.key).inserted ? keys.count <= last + 1 : true }
        }
        var reports: [[PastReading]] = []
        for reading in near.sorted(by: { $0.precedes($1) }) {
            if reports.last?.first?.key == reading.key {
                reports[reports.count - 1].append(reading)
            } else {
                reports.append([reading])
            }
        }
        return reports
    }

    private func shows(_ sign: CountedSign, _ reading: PastReading) -> Bool {
        switch sign {
        case .flag(let flag, _): reading.flags.contains(flag)
        case .beyond(_, let side, let limit): Measured(reading).isBeyond(limit, on: side)
        }
    }

    // MARK: - Answers

    private func answers(_ questions: [Question], _ least: Int, _ days: Int) -> RuleResult? {
        let asked = timeline.answers.filter { questions.contains($0.question) }
        let own = asked.filter(timeline.isOwn)
        guard !own.isEmpty else { return nil }
        var evidence = RuleEvidence()
        if days <= 1 {
            evidence.answers = own.filter(\.value.isYes)
            let yes = Set(evidence.answers.map(\.question)).count
            evidence.measure = Double(yes)
            return RuleResult(isMet: yes >= least, isClear: yes < least, evidence: evidence)
        }
        let today = timeline.day(timeline.report.takenAt)
        var byDay: [Int64: [PastAnswer]] = [:]
        for answer in asked where answer.value.isYes { byDay[timeline.day(answer.takenAt), default: []].append(answer) }
        let isBad = { (day: Int64) in Set((byDay[day] ?? []).map(\.question)).count >= least }
        let count = Int64(days)
        for first in stride(from: today - count + 1, through: today, by: 1) {
            guard (first..<first + count).allSatisfy(isBad) else { continue }
            evidence.answers = (first..<first + count).flatMap { byDay[$0] ?? [] }
            evidence.measure = Double(evidence.answers.count)
            return RuleResult(isMet: true, isClear: false, evidence: evidence)
        }
        evidence.answers = own.filter(\.value.isYes)
        return RuleResult(isMet: false, isClear: !isBad(today), evidence: evidence)
    }

    // MARK: - NEWS2

    private func news2(_ measure: NEWS2Measure, _ least: Int, _ margin: Double) -> RuleResult? {
        guard let score, let total = score.total else { return nil }
        let value = measure == .total ? total : score.highestSingle
        var evidence = RuleEvidence()
        evidence.measure = Double(total)
        evidence.score = score
        return RuleResult(isMet: value >= least, isClear: Double(value) < Double(least) - margin, evidence: evidence)
    }
}
