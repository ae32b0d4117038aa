import Clinical

/// An entry of a pack's `rules`. Each level is a mapping with exactly one of the keys of `Condition`, which says what is
/// looked for.
enum RuleDocument {
    /// The key that says what a level looks for.
    enum Condition: String, CaseIterable {
        case rise
        case fall
        case aboveOwn = "above_own"
        case belowOwn = "below_own"
        case mean
        case count
        case answers
        case news2
        case reading
    }

    static func value(advice: [String: Advice]) -> DocumentValue<Rule> {
        .record { reader in
            let name = reader.required("name", name)
            let margin = reader.optional("clear_margin", .number(in: 0...1000)) ?? 0
            let worseBy = reader.optional("worse_by", .number(in: 0...1000))
            let defaults = LimitDefaults(
                unit: nil, source: reader.optional("source", .text),
                isProposal: reader.optional("proposal", .boolean) ?? false, advice: advice)
            var placed: [PackCoverage.Placed<RuleLevel>] = []
            for severity in [Severity.red, .amber] {
                placed += reader.optional(severity.rawValue, self.levels(severity, defaults)) ?? []
            }
            if reader["red"] == nil, reader["amber"] == nil { reader.report("has neither red nor amber") }
            let levels = placed.map(\.value)
            checkOrder(levels, reader)
            PackCoverage.check(placed, rule: name ?? "it", reader.context)
            return name.map { Rule(name: $0, levels: levels, clearMargin: margin, worseBy: worseBy) }
        }
    }

    /// Lower-case words with hyphens, as alerts show it.
    private static var name: DocumentValue<String> {
        DocumentValue<String>.text.mapping(expected: "a name such as weight-gain") { text in
            let words = text.split(separator: "-", omittingEmptySubsequences: false)
            let isName = words.allSatisfy { word in
                !word.isEmpty && word.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) }
            }
            return isName && text.utf8.count <= 64 && !Verdict.reservedRules.contains(text) ? text : nil
        }
    }

    private static func levels(_ severity: Severity, _ defaults: LimitDefaults) -> DocumentValue<
        [PackCoverage.Placed<RuleLevel>]
    > {
        let single = PackCoverage.placed(level(severity, defaults))
        return DocumentValue { node, context in
            if case .list = node.content { return DocumentValue.list(of: single).read(node, context) }
            return single.read(node, context).map { [$0] }
        }
    }

    private static func level(_ severity: Severity, _ defaults: LimitDefaults) -> DocumentValue<RuleLevel> {
        .record { reader in
            let immediate = reader.optional("immediate", .boolean) ?? false
            let ages = 0...150
            let applicability = Applicability(
                ageFrom: reader.optional("age_from", .integer(in: ages)),
                ageBelow: reader.optional("age_below", .integer(in: ages)))
            let source = reader.optional("source", .text) ?? defaults.source
            let isProposal = reader.optional("proposal", .boolean) ?? defaults.isProposal
            let advice = reader.optional("advice", defaults.named)
            let companion = reader.optional("with", companion)
            let condition = condition(reader)
            if source == nil { reader.report("has no source: name it here or beside the rule") }
            if immediate, severity != .red { reader.report("only a red can be immediate", at: "immediate") }
            if let from = applicability.ageFrom, let below = applicability.ageBelow, from >= below {
                reader.report("nobody is \(from) or more and below \(below)", at: "age_below")
            }
            guard let condition, let source else { return nil }
            if companion != nil {
                switch condition {
                case .change, .difference, .beyond: break
                default: reader.report("stands only beside rise, fall, above_own, below_own or reading", at: "with")
                }
            }
            return RuleLevel(
                severity: severity, condition: condition, companion: companion, immediate: immediate,
                applicability: applicability, advice: advice, source: source, isProposal: isProposal)
        }
    }

    // MARK: - Conditions

    private static func condition(_ reader: MappingReader) -> RuleCondition? {
        let given = Condition.allCases.filter { reader[$0.rawValue] != nil }
        guard given.count == 1, let condition = given.first else {
            let keys = Condition.allCases.map(\.rawValue).joined(separator: ", ")
            reader.report("must have exactly one of \(keys)")
            return nil
        }
        switch condition {
        case .rise: return change(reader, condition, .rise)
        case .fall: return change(reader, condition, .fall)
        case .aboveOwn: return difference(reader, condition, .rise)
        case .belowOwn: return difference(reader, condition, .fall)
        case .mean: return mean(reader)
        case .count: return count(reader)
        case .answers: return answers(reader)
        case .news2: return news2(reader)
        case .reading:
            guard let kind = reader.optional(condition.rawValue, .kind) else { return nil }
            return bound(reader, kind: kind).map { .beyond(kind, $0.side, $0.limit) }
        }
    }

    /// A kind that is a number, at the condition's own key.
    private static func kind(_ reader: MappingReader, _ condition: Condition) -> Kind? {
        guard let kind = reader.optional(condition.rawValue, .kind) else { return nil }
        if kind.isCoded {
            reader.report("\(kind.code) is a code and can't be counted with", at: condition.rawValue)
            return nil
        }
        return kind
    }

    private static func change(_ reader: MappingReader, _ condition: Condition, _ direction: Direction)
        -> RuleCondition?
    {
        let amount = amount(reader)
        let within = reader.required("within", span)
        guard let kind = kind(reader, condition), let amount, let within else { return nil }
        return .change(kind, direction, by: amount, within: within)
    }

    private static func difference(
        _ reader: MappingReader, _ condition: Condition, _ direction: Direction
    ) -> RuleCondition? {
        let amount = amount(reader)
        let measure = reader.required("from", .choice(OwnMeasure.Measure.self))
        let whereKnown = reader.optional("where_known", .boolean) ?? false
        let onlyBelow = reader.optional("only_below", scales) ?? [:]
        guard let kind = kind(reader, condition), let amount, let measure else { return nil }
        if measure == .dryWeight, kind != .weight { reader.report("only weight has a dry weight", at: "from") }
        if !onlyBelow.isEmpty, kind != .spo2 { reader.report("only SpO2 has NEWS2 scales", at: "only_below") }
        return .difference(
            kind, direction, by: amount, from: OwnMeasure(measure, onlyBelow: onlyBelow, whereKnown: whereKnown))
    }

    private static func mean(_ reader: MappingReader) -> RuleCondition? {
        let days = reader.required("days", .integer(in: 2...31))
        let leftOut = reader.optional("leave_out_days", .integer(in: 0...7)) ?? 0
        let minimum = reader.required("minimum_readings", .integer(in: 1...200))
        guard let kind = kind(reader, .mean) else {
            for key in limitKeys { _ = reader[key] }
            return nil
        }
        guard let bound = bound(reader, kind: kind), let days, let minimum else { return nil }
        if leftOut >= days { reader.report("leaves no day of \(days)", at: "leave_out_days") }
        return .mean(
            kind, bound.side, bound.limit, MeanWindow(days: days, daysLeftOut: leftOut, minimumReadings: minimum))
    }

    private static func count(_ reader: MappingReader) -> RuleCondition? {
        let least = reader.optional("count", .integer(in: 1...50))
        let last = reader.required("of_last", .integer(in: 1...50))
        let within = reader.required("within", span)
        let flag = reader.optional("flag", flag)
        let kinds = reader.optional("kinds", .list(of: .kind)) ?? []
        let single = reader.optional("kind", .kind)
        let sign: CountedSign
        if let flag {
            if kinds.isEmpty { reader.report("flag wants kinds: the readings that may carry it") }
            if single != nil { reader.report("stands beside kinds", at: "kind") }
            sign = .flag(flag, kinds)
        } else if let single, let bound = bound(reader, kind: single) {
            if !kinds.isEmpty { reader.report("stands beside kind", at: "kinds") }
            sign = .beyond(single, bound.side, bound.limit)
        } else {
            if reader["flag"] == nil, reader["kind"] == nil { reader.report("counts neither a flag nor a kind") }
            return nil
        }
        guard let least, let last, let within else { return nil }
        if least > last { reader.report("\(least) of \(last) can't be", at: "count") }
        return .count(sign, atLeast: least, ofLast: last, within: within)
    }

    private static func answers(_ reader: MappingReader) -> RuleCondition? {
        let questions = reader.optional("answers", .list(of: .choice(Question.self)))
        let least = reader.optional("at_least", .integer(in: 1...20)) ?? 1
        let days = reader.optional("days", .integer(in: 1...14)) ?? 1
        guard let questions else { return nil }
        if least > Set(questions).count { reader.report("there are only \(Set(questions).count)", at: "at_least") }
        return .answers(questions, atLeast: least, days: days)
    }

    private static func news2(_ reader: MappingReader) -> RuleCondition? {
        let measure = reader.optional("news2", .choice(NEWS2Measure.self))
        let least = reader.required("at_or_above", .integer(in: 1...20))
        guard let measure, let least else { return nil }
        if measure == .single, least > 3 { reader.report("one parameter scores 3 at most", at: "at_or_above") }
        return .news2(measure, atLeast: least)
    }

    // MARK: - What stands beside

    private static var companion: DocumentValue<RuleCompanion> {
        .record { reader in
            let within = reader.required("within", span)
            let questions = reader.optional("any_of", .list(of: .choice(Question.self)))
            let kind = reader.optional("reading", .kind)
            switch (questions, kind) {
            case (let questions?, nil): return within.map { RuleCompanion(.answers(questions), within: $0) }
            case (nil, let kind?):
                guard let bound = bound(reader, kind: kind), let within else { return nil }
                return RuleCompanion(.beyond(kind, bound.side, bound.limit), within: within)
            default:
                for key in limitKeys { _ = reader[key] }
                reader.report("must have either any_of or reading")
                return nil
            }
        }
    }

    // MARK: - Values

    private static let limitKeys = ["below", "at_or_below", "above", "at_or_above"]

    /// The side follows from the key.
    private static func bound(_ reader: MappingReader, kind: Kind) -> (side: Side, limit: Limit)? {
        let given = limitKeys.filter { reader[$0] != nil }
        guard given.count == 1, let key = given.first else {
            reader.report("must have exactly one of \(limitKeys.joined(separator: ", "))")
            return nil
        }
        let side: Side = key.hasSuffix("below") ? .low : .high
        return PackLimit.number(reader, kind: kind, side: side, reference: .absolute, unit: nil).map { (side, $0) }
    }

    private static func amount(_ reader: MappingReader) -> Double? {
        guard let amount = reader.required("by", .number(in: 0...1000)) else { return nil }
        if amount == 0 { reader.report("must be more than 0", at: "by") }
        return amount
    }

    /// At most 31 days: further back no rule looks.
    private static var span: DocumentValue<Interval> {
        DocumentValue<Interval>.duration.mapping(expected: "1m to 31d") { span in
            span >= .minutes(1) && span <= .days(31) ? span : nil
        }
    }

    private static var flag: DocumentValue<ReadingFlags> {
        let names = ReadingFlags.names.map(\.name)
        return DocumentValue(expected: "one of " + names.joined(separator: ", ")) { content in
            guard case .string(let text, _) = content else { return nil }
            return ReadingFlags.names.first { $0.name == text }?.flag
        }
    }

    /// `{ scale_1: 96, scale_2: 88 }`
    private static var scales: DocumentValue<[Int: Double]> {
        .record { reader in
            let range = Kind.spo2.plausibility.refusedOutside
            guard let first = reader.required("scale_1", .number(in: range)),
                let second = reader.required("scale_2", .number(in: range))
            else { return nil }
            return [1: first, 2: second]
        }
    }

    /// Of two levels that look for the same and differ only in how much, the red asks for more.
    private static func checkOrder(_ levels: [RuleLevel], _ reader: MappingReader) {
        for red in levels where red.severity == .red && red.companion == nil {
            for amber in levels where amber.severity == .amber && amber.companion == nil {
                let isInverted =
                    switch (red.condition, amber.condition) {
                    case (
                        .change(let kind, let way, let by, let span), .change(let other, let that, let least, let long)
                    ):
                        kind == other && way == that && span == long && by <= least
                    case (
                        .difference(let kind, let way, let by, let own),
                        .difference(let other, let that, let least, let its)
                    ):
                        kind == other && way == that && own.measure == its.measure && by <= least
                    case (.news2(let measure, let least), .news2(let other, let fewer)):
                        measure == other && least <= fewer
                    case (.count(let sign, let least, let last, _), .count(let other, let fewer, let those, _)):
                        sign == other && last == those && least <= fewer
                    default: false
                    }
                if isInverted { reader.report("is inverted: red must lie beyond amber", at: "red") }
            }
        }
    }
}
