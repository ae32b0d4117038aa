/// Resolves packs, own limits and baselines into a plan's sides, and finds what contradicts itself on the way.
struct PlanCompiler {
    let profile: PatientProfile
    let packs: PackLibrary
    var sides = Array(repeating: ResolvedSide(), count: (Int(lastKind) + 1) * 2)
    var rules: [ResolvedRule] = []
    var redOffBefore: [Kind: Instant] = [:]
    var problems: [PlanProblem] = []
    var lacking: [PlanLack] = []

    /// What stands for a pack where a limit is the patient's own.
    private static let own = "own-limit"
    private static let lastKind = Kind.allCases.map(\.rawValue).max() ?? 0

    init(profile: PatientProfile, packs: PackLibrary) {
        self.profile = profile
        self.packs = packs
    }

    static func place(_ kind: Kind, _ side: Side) -> Int { Int(kind.rawValue) * 2 + (side == .low ? 0 : 1) }

    mutating func compile() {
        let conditions = conditionPacks()
        for kind in Kind.allCases {
            for side in Side.allCases {
                let place = Self.place(kind, side)
                sides[place] = resolve(kind, side, conditions: conditions)
                let all = sides[place].preferred + sides[place].fallback
                sides[place].isConditional = all.contains {
                    $0.applicability.onOxygen || $0.applicability.ageFrom != nil || $0.applicability.ageBelow != nil
                }
            }
            checkOrder(kind)
        }
        resolveRules(conditions)
        for limit in profile.limits {
            guard let date = limit.redOffUntil else { continue }
            if (limit.by ?? "").isEmpty || (limit.reason ?? "").isEmpty {
                problems.append(.redOffUnexplained(limit.kind))
                continue
            }
            redOffBefore[limit.kind] = LocalTime.end(of: date, timeZone: profile.timeZone)
        }
    }

    private mutating func conditionPacks() -> [ProtocolPack] {
        var found: [ProtocolPack] = []
        for code in Set(profile.conditions).sorted() where code != PackLibrary.everybody {
            guard let pack = packs[code] else {
                problems.append(.unknownPack(code))
                continue
            }
            if pack.isEnabled {
                found.append(pack)
            } else {
                lacking.append(.packDisabled(code))
            }
        }
        return found
    }

    private mutating func resolve(_ kind: Kind, _ side: Side, conditions: [ProtocolPack]) -> ResolvedSide {
        var resolved = ResolvedSide()
        let lackingBefore = lacking
        if kind != .spo2 {
            for pack in conditions { resolved.preferred += bands(of: pack, kind, side) }
        }
        if let adult = packs[PackLibrary.everybody], adult.isEnabled {
            resolved.fallback = bands(of: adult, kind, side)
        }
        if let own = ownLimit(kind, side) {
            lacking = lackingBefore
            let replaced = (resolved.preferred + resolved.fallback).first
            let band = ResolvedBand(
                thresholds: mostSevereFirst(own, side), applicability: Applicability(),
                clearMargin: replaced?.clearMargin ?? 0, worseBy: replaced?.worseBy, pack: Self.own, packHash: "")
            // Switching a red off needs by, reason and an end: leaving it out is not enough.
            let namesRed = own.contains { $0.threshold.severity == .red }
            let standing = resolved.preferred.isEmpty ? resolved.fallback : resolved.preferred
            return ResolvedSide(preferred: [band] + (namesRed ? [] : standing.compactMap(\.onlyReds)))
        }
        // A meter's LO or HI of glucose is red at once by the outside contract, in whatever plan, limits or none.
        if kind == .glucose, resolved.preferred.isEmpty, resolved.fallback.isEmpty {
            let hash = packs[PackLibrary.everybody]?.contentHash ?? ""
            resolved.fallback = [
                ResolvedBand(
                    thresholds: [], applicability: Applicability(), clearMargin: 0, worseBy: nil,
                    pack: PackLibrary.everybody, packHash: hash)
            ]
        }
        return resolved
    }

    /// The last entry that names the side stands. An own red is immediate unless it asks for several readings: who
    /// set it asked for no confirmation.
    private func ownLimit(_ kind: Kind, _ side: Side) -> [ResolvedThreshold]? {
        let entries = profile.limits.filter { $0.kind == kind && (side == .low ? $0.low : $0.high) != nil }
        guard let entry = entries.last, let thresholds = side == .low ? entry.low : entry.high else { return nil }
        return thresholds.map { threshold in
            var threshold = threshold
            if threshold.severity == .red, threshold.occurrences <= 1 { threshold.immediate = true }
            if kind == .glucose, threshold.limit.milligramsPerDecilitre == nil {
                threshold.limit = .glucose(
                    millimolesPerLitre: threshold.limit.value, inclusive: threshold.limit.inclusive)
            }
            let source = entry.by.map { "set by \($0)" } ?? "the patient's own"
            return ResolvedThreshold(limit: BandLimit(threshold: threshold, source: source), basis: nil)
        }
    }

    private mutating func bands(of pack: ProtocolPack, _ kind: Kind, _ side: Side) -> [ResolvedBand] {
        var resolved: [ResolvedBand] = []
        for band in pack.bands where band.kind == kind && band.side == side {
            if let scale = band.applicability.news2Scale, scale != profile.news2Scale { continue }
            var thresholds: [ResolvedThreshold] = []
            for limit in band.limits {
                if let threshold = absolute(limit, of: band) { thresholds.append(threshold) }
            }
            if thresholds.isEmpty { continue }
            resolved.append(
                ResolvedBand(
                    thresholds: mostSevereFirst(thresholds, side), applicability: band.applicability,
                    clearMargin: band.clearMargin, worseBy: band.worseBy, pack: pack.code,
                    packHash: pack.contentHash))
        }
        return resolved
    }

    /// The limit with its number counted out for this patient; nil when what it is counted from is missing.
    private mutating func absolute(_ limit: BandLimit, of band: Band) -> ResolvedThreshold? {
        var limit = limit
        let number = limit.threshold.limit.value
        var basis: String?
        switch limit.reference {
        case .absolute:
            if band.kind == .glucose, band.side == .low, limit.threshold.severity == .amber,
                let chosen = profile.siteGlucoseLow
            {
                limit.threshold.limit = .glucose(
                    millimolesPerLitre: chosen, inclusive: limit.threshold.limit.inclusive)
                basis = "the site's choice"
            }
        case .percentOfBaseline:
            guard let baseline = profile.baselines[band.kind] else {
                lack(.baseline(band.kind))
                return nil
            }
            limit.threshold.limit.value = baseline * number / 100
            let own = band.kind == .peakFlow || band.kind == .fev1 ? "personal best" : "baseline"
            let unit = band.kind.canonicalUnit.map { " " + $0.words } ?? ""
            basis = "\(Sentence.number(number)) % of \(own) \(Sentence.number(baseline))\(unit)"
        case .offsetFromTarget:
            guard band.kind == .inr, let target = profile.inrTarget else {
                lack(.target(band.kind))
                return nil
            }
            let end = band.side == .low ? target.lowerBound : target.upperBound
            limit.threshold.limit.value = end + number
            basis = "target \(Sentence.number(target.lowerBound)) to \(Sentence.number(target.upperBound))"
        }
        return ResolvedThreshold(limit: limit, basis: basis)
    }

    private mutating func lack(_ reason: PlanLack) {
        if !lacking.contains(reason) { lacking.append(reason) }
    }

    /// A condition pack's rule replaces `adult`'s of the same name; of two condition packs both are judged, and the more
    /// severe result wins.
    private mutating func resolveRules(_ conditions: [ProtocolPack]) {
        let named = Set(conditions.flatMap(\.rules).map(\.name))
        var packsInForce = conditions
        if var adult = packs[PackLibrary.everybody], adult.isEnabled {
            adult.rules.removeAll { named.contains($0.name) }
            packsInForce.insert(adult, at: 0)
        }
        for pack in packsInForce {
            for var rule in pack.rules {
                rule.levels = rule.levels.filter { has($0) }
                if rule.levels.isEmpty { continue }
                rules.append(ResolvedRule(rule, pack: pack.code, packHash: pack.contentHash))
            }
        }
    }

    /// Whether the patient has the measure of his own that the level is counted from.
    private mutating func has(_ level: RuleLevel) -> Bool {
        guard case .difference(let kind, _, _, let own) = level.condition else { return true }
        switch own.measure {
        case .baseline:
            if profile.baselines[kind] != nil { return true }
            if !own.whereKnown { lack(.baseline(kind)) }
        case .dryWeight:
            if profile.dryWeight != nil { return true }
            if !own.whereKnown { lack(.target(kind)) }
        }
        return false
    }

    private func mostSevereFirst(_ thresholds: [ResolvedThreshold], _ side: Side) -> [ResolvedThreshold] {
        thresholds.sorted { left, right in
            let (left, right) = (left.threshold, right.threshold)
            if left.severity != right.severity { return left.severity > right.severity }
            if left.immediate != right.immediate { return left.immediate }
            if left.occurrences != right.occurrences { return left.occurrences < right.occurrences }
            // The farther one first, since it may come with advice.
            guard left.limit.value != right.limit.value else { return false }
            return (left.limit.value > right.limit.value) == (side == .high)
        }
    }

    // MARK: - Inverted results

    private mutating func checkOrder(_ kind: Kind) {
        for side in Side.allCases {
            for band in effective(kind, side) { checkSeverities(band.thresholds.map(\.threshold), kind, side) }
            checkOwnAmber(kind, side)
        }
        let lows = effective(kind, .low).flatMap(\.thresholds).map(\.threshold.limit)
        let highs = effective(kind, .high).flatMap(\.thresholds).map(\.threshold.limit)
        guard let low = lows.max(by: { ($0.value, $0.inclusive ? 1 : 0) < ($1.value, $1.inclusive ? 1 : 0) }),
            let high = highs.min(by: { ($0.value, $0.inclusive ? 0 : 1) < ($1.value, $1.inclusive ? 0 : 1) })
        else { return }
        if low.value > high.value || (low.value == high.value && (low.inclusive || high.inclusive)) {
            problems.append(
                .inverted(
                    kind,
                    "the low limit \(Sentence.number(low.value)) and the high limit \(Sentence.number(high.value))"
                        + " leave nothing in range"))
        }
    }

    /// The bands that judge wherever they apply.
    private func effective(_ kind: Kind, _ side: Side) -> [ResolvedBand] {
        let resolved = sides[Self.place(kind, side)]
        return resolved.preferred.isEmpty ? resolved.fallback : resolved.preferred
    }

    /// An own limit that names no red leaves the packs' in force: an amber beyond all of them would never be said.
    private mutating func checkOwnAmber(_ kind: Kind, _ side: Side) {
        let bands = sides[Self.place(kind, side)].preferred
        guard let own = bands.first, own.pack == Self.own, bands.count > 1,
            let amber = own.bounds.first(where: { $0.severity == .amber })?.limit
        else { return }
        let reds = bands.dropFirst().filter { band in
            let applicability = band.applicability
            return !applicability.onOxygen && applicability.ageFrom == nil && applicability.ageBelow == nil
        }.flatMap(\.bounds).filter { $0.severity == .red && $0.occurrences <= 1 }.map(\.limit)
        for red in reds {
            let difference = side == .low ? red.value - amber.value : amber.value - red.value
            guard difference > 0 || (difference == 0 && (red.inclusive || !amber.inclusive)) else { continue }
            let word = side == .low ? "below" : "above"
            problems.append(
                .inverted(
                    kind,
                    "amber \(word) \(Sentence.number(amber.value)) lies beyond the red at \(Sentence.number(red.value)) "
                        + "that stays in force; name red_\(word) too"))
            return
        }
    }

    /// Whatever is red must also lie beyond each amber of the band.
    private mutating func checkSeverities(_ thresholds: [Threshold], _ kind: Kind, _ side: Side) {
        for red in thresholds where red.severity == .red && red.occurrences <= 1 {
            for amber in thresholds where amber.severity == .amber && amber.occurrences <= 1 {
                let difference =
                    side == .low ? red.limit.value - amber.limit.value : amber.limit.value - red.limit.value
                if difference > 0 || (difference == 0 && red.limit.inclusive && !amber.limit.inclusive) {
                    problems.append(
                        .inverted(
                            kind,
                            "red at \(Sentence.number(red.limit.value)) lies inside amber at "
                                + Sentence.number(amber.limit.value)))
                }
            }
        }
    }
}
