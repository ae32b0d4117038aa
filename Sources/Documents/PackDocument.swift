import Clinical
import Cryptography

/// YAML -> `ProtocolPack`. The form is explained in the packs' own comments under `config/protocols`.
enum PackDocument {
    /// The pack of `bytes`, or nil where something in it is wrong, which is reported at its line. `code` is what the
    /// file's name says.
    static func parse(_ bytes: [UInt8], file: String, code: String, _ problems: ProblemList) -> ProtocolPack? {
        let before = problems.refusalCount
        guard let node = YAMLDocument.parse(bytes, file: file, problems) else {
            if problems.refusalCount == before {
                problems.add(DocumentProblem(file: file, line: nil, message: "is empty: a protocol pack is expected"))
            }
            return nil
        }
        let hash = hexadecimal(sha256(bytes))
        let pack = pack(code: code, hash: hash).read(node, DocumentContext(problems))
        return problems.refusalCount == before ? pack : nil
    }

    private static func pack(code: String, hash: String) -> DocumentValue<ProtocolPack> {
        .record { reader in
            let named = reader.required("code", .text)
            if let named, named != code { reader.report("is \"\(named)\", but the file is \(code).yaml", at: "code") }
            let title = reader.required("title", .text)
            let enabled = reader.optional("enabled", .boolean) ?? true
            let advice = reader.optional("advice", advice) ?? [:]
            let window = reader.optional("news2_window", .duration) ?? ProtocolPack.usualNEWS2Window
            if reader["news2_window"] != nil, code != PackLibrary.everybody {
                reader.report("stands only in \(PackLibrary.everybody).yaml", at: "news2_window")
            }
            if window > .hours(24) { reader.report("is 24h at most", at: "news2_window") }
            let bands = reader.required("bands", .list(of: PackCoverage.placed(band(pack: code, advice: advice))))
            let rules = reader.optional("rules", .list(of: RuleDocument.value(advice: advice))) ?? []
            for (place, rule) in rules.enumerated() where rules[..<place].contains(where: { $0.name == rule.name }) {
                reader.report("\(rule.name) stands here twice", at: "rules")
            }
            if let bands {
                let context = reader.context(of: "bands")
                PackCoverage.check(bands, isEverybody: code == PackLibrary.everybody, context)
            }
            guard let title, let bands else { return nil }
            return ProtocolPack(
                code: code, title: title, contentHash: hash, isEnabled: enabled, bands: bands.map(\.value),
                rules: rules, news2Window: window)
        }
    }

    /// Advice by code, each with its text by language.
    private static var advice: DocumentValue<[String: Advice]> {
        DocumentValue { node, context in
            let texts = DocumentValue<String>.names(of: .text)
            guard let entries = DocumentValue<[NamedValue<String>]>.names(of: texts).read(node, context) else {
                return nil
            }
            var advice: [String: Advice] = [:]
            for entry in entries {
                let texts = Dictionary(entry.value.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
                if texts["en"] == nil { context.report("\(entry.name) has no text in en", at: entry.node) }
                advice[entry.name] = Advice(code: entry.name, texts: texts)
            }
            return advice
        }
    }

    private static func band(pack: String, advice: [String: Advice]) -> DocumentValue<Band> {
        .record { reader in
            let kind = reader.required("kind", .kind)
            let side = reader.required("side", .choice(Side.self))
            let applicability = applicability(reader, kind: kind)
            let margin = reader.optional("clear_margin", .number(in: 0...1000)) ?? 0
            let worseBy = reader.optional("worse_by", .number(in: 0...1000))
            let defaults = LimitDefaults(
                unit: reader.optional("unit", .unit), source: reader.optional("source", .text),
                isProposal: reader.optional("proposal", .boolean) ?? false, advice: advice)
            guard let kind, let side else {
                // Known keys all the same: they are not what is wrong here.
                _ = reader["red"]
                _ = reader["amber"]
                return nil
            }
            if kind == .spo2, pack != PackLibrary.everybody {
                reader.report("SpO2 follows news2_scale alone: its limits stand in adult.yaml", at: "kind")
            }
            var limits: [BandLimit] = []
            for severity in [Severity.red, .amber] {
                let type = PackLimit.limits(kind: kind, side: side, severity: severity, defaults: defaults)
                limits += reader.optional(severity.rawValue, type) ?? []
            }
            if reader["red"] == nil, reader["amber"] == nil { reader.report("has neither red nor amber") }
            checkOrder(limits, side: side, reader)
            return Band(
                kind: kind, side: side, applicability: applicability, limits: limits, clearMargin: margin,
                worseBy: worseBy)
        }
    }

    private static func applicability(_ reader: MappingReader, kind: Kind?) -> Applicability {
        let ages = 0...150
        let applicability = Applicability(
            news2Scale: reader.optional("news2_scale", .integer(in: 1...2)),
            onOxygen: reader.optional("on_oxygen", .boolean) ?? false,
            ageFrom: reader.optional("age_from", .integer(in: ages)),
            ageBelow: reader.optional("age_below", .integer(in: ages)))
        if let kind, kind != .spo2 {
            for key in ["news2_scale", "on_oxygen"] where reader[key] != nil {
                reader.report("only SpO2 has it", at: key)
            }
        } else if kind == .spo2, applicability.news2Scale == nil {
            reader.report("a limit of SpO2 must say for which news2_scale it holds")
        }
        if let from = applicability.ageFrom, let below = applicability.ageBelow, from >= below {
            reader.report("nobody is \(from) or more and below \(below)", at: "age_below")
        }
        return applicability
    }

    /// Red lies beyond amber, where both are counted from the same thing.
    private static func checkOrder(_ limits: [BandLimit], side: Side, _ reader: MappingReader) {
        for red in limits where red.threshold.severity == .red && red.threshold.occurrences == 1 {
            for amber in limits where amber.threshold.severity == .amber && amber.threshold.occurrences == 1 {
                guard red.reference == amber.reference else { continue }
                let (redLimit, amberLimit) = (red.threshold.limit, amber.threshold.limit)
                let difference =
                    side == .low ? redLimit.value - amberLimit.value : amberLimit.value - redLimit.value
                if difference > 0 || (difference == 0 && redLimit.inclusive && !amberLimit.inclusive) {
                    reader.report("is inverted: red must lie beyond amber", at: "red")
                }
            }
        }
    }
}

/// What a band says for each limit that says nothing itself.
struct LimitDefaults {
    var unit: UCUMUnit?
    var source: String?
    var isProposal: Bool
    /// The pack's, by code.
    var advice: [String: Advice]

    /// A code of `advice`.
    var named: DocumentValue<Advice> {
        DocumentValue(expected: "a code under the pack's advice") { [advice] content in
            if case .string(let code, _) = content { advice[code] } else { nil }
        }
    }
}

/// One entry of `red` or `amber`.
enum PackLimit {
    /// A single limit, or a list of them.
    static func limits(
        kind: Kind, side: Side, severity: Severity, defaults: LimitDefaults
    ) -> DocumentValue<[BandLimit]> {
        let single = limit(kind: kind, side: side, severity: severity, defaults: defaults)
        return DocumentValue { node, context in
            if case .list = node.content { return DocumentValue.list(of: single).read(node, context) }
            return single.read(node, context).map { [$0] }
        }
    }

    private static func limit(
        kind: Kind, side: Side, severity: Severity, defaults: LimitDefaults
    ) -> DocumentValue<BandLimit> {
        .record { reader in
            let immediate = reader.optional("immediate", .boolean) ?? false
            let times = reader.optional("times", .integer(in: 1...10)) ?? 1
            let within = reader.optional("within", .duration)
            let repeatAfter = reader.optional("repeat_after", repeatSpan)
            let advice = reader.optional("advice", defaults.named)
            let reference = reference(reader, kind: kind)
            let source = reader.optional("source", .text) ?? defaults.source
            let isProposal = reader.optional("proposal", .boolean) ?? defaults.isProposal
            let limit = number(reader, kind: kind, side: side, reference: reference, unit: defaults.unit)
            if source == nil { reader.report("has no source: name it here or beside the band") }
            if times > 1, within == nil { reader.report("times wants within: the span of those readings") }
            if times == 1, within != nil { reader.report("means nothing without times", at: "within") }
            if repeatAfter != nil, severity != .red || times != 2 {
                reader.report("stands beside a red limit with times: 2", at: "repeat_after")
            }
            if immediate, severity != .red || times > 1 {
                reader.report("only a red limit of a single reading can be immediate", at: "immediate")
            }
            guard let limit, let source else { return nil }
            let threshold = Threshold(
                severity: severity, limit: limit, immediate: immediate, occurrences: times,
                within: within ?? .hours(24), repeatAfter: repeatAfter)
            return BandLimit(
                threshold: threshold, reference: reference, source: source, isProposal: isProposal, advice: advice)
        }
    }

    /// How long a patient has to measure again: whole minutes, as the receipt says it.
    private static var repeatSpan: DocumentValue<Interval> {
        DocumentValue<Interval>.duration.mapping(expected: "1m to 24h") { span in
            span >= .minutes(1) && span <= .hours(24) && span.microseconds % 60_000_000 == 0 ? span : nil
        }
    }

    private enum Baseline: String, CaseIterable { case baseline }
    private enum Target: String, CaseIterable { case target }

    private static func reference(_ reader: MappingReader, kind: Kind) -> LimitReference {
        let percent = reader.optional("percent_of", .choice(Baseline.self))
        let offset = reader.optional("offset_from", .choice(Target.self))
        if percent != nil, offset != nil { reader.report("percent_of and offset_from exclude each other") }
        if percent != nil, kind == .glucose || kind.isCoded {
            reader.report("\(kind.code) has no baseline to take per cent of", at: "percent_of")
        }
        if offset != nil, kind != .inr { reader.report("only inr has a target", at: "offset_from") }
        if percent != nil { return .percentOfBaseline }
        return offset != nil ? .offsetFromTarget : .absolute
    }

    static func number(
        _ reader: MappingReader, kind: Kind, side: Side, reference: LimitReference, unit: UCUMUnit?
    ) -> Limit? {
        let keys = side == .low ? ["below", "at_or_below"] : ["above", "at_or_above"]
        let wrong = side == .low ? ["above", "at_or_above"] : ["below", "at_or_below"]
        for key in wrong where reader[key] != nil {
            reader.report("a \(side.rawValue) side has \(keys[0]) or \(keys[1])", at: key)
            return nil
        }
        let given = keys.filter { reader[$0] != nil }
        guard given.count == 1, let key = given.first else {
            reader.report("must have either \(keys[0]) or \(keys[1])")
            return nil
        }
        let type = limitValue(kind: kind, reference: reference, unit: unit, inclusive: key == keys[1])
        return reader.optional(key, type)
    }

    private static func limitValue(
        kind: Kind, reference: LimitReference, unit: UCUMUnit?, inclusive: Bool
    ) -> DocumentValue<Limit> {
        switch reference {
        case .percentOfBaseline: return .limit(in: 1...1000, inclusive)
        case .offsetFromTarget: return .limit(in: -20...20, inclusive)
        case .absolute: break
        }
        if kind.isCoded {
            return DocumentValue(expected: "one of " + kind.codes.joined(separator: ", ")) { content in
                guard case .string(let code, _) = content, let rank = kind.codes.firstIndex(of: code) else {
                    return nil
                }
                return Limit(value: Double(rank), inclusive: inclusive)
            }
        }
        if kind == .glucose { return glucosePair(inclusive) }
        return DocumentValue { node, context in
            guard let number = DocumentValue<Double>.number.read(node, context) else { return nil }
            guard let value = unit.map({ kind.canonical(number, sentIn: $0) }) ?? number else {
                context.report("\(kind.code) is not measured in \(unit?.code ?? "")", at: node)
                return nil
            }
            let range = kind.plausibility.refusedOutside
            guard range.contains(value) else {
                let ends = "\(DocumentNode.text(of: range.lowerBound)) to \(DocumentNode.text(of: range.upperBound))"
                context.report(
                    "no reading of \(kind.code) gets there: it is \(ends) \(kind.canonicalUnit?.code ?? "")", at: node)
                return nil
            }
            return Limit(value: value, inclusive: inclusive)
        }
    }

    /// `{ mmol/L: 3.9, mg/dL: 70 }`: both, and they must mean the same but for rounding.
    private static func glucosePair(_ inclusive: Bool) -> DocumentValue<Limit> {
        .record { reader in
            let range = Kind.glucose.plausibility.refusedOutside
            let millimoles = reader.required("mmol/L", .number(in: range))
            let milligrams = reader.required("mg/dL", .number(in: 10...1000))
            guard let millimoles, let milligrams else { return nil }
            let expected = Kind.glucose.value(millimoles, in: .milligramsPerDecilitre) ?? 0
            if abs(expected - milligrams) > 0.02 * expected {
                reader.report("\(DocumentNode.text(of: millimoles)) mmol/L is about \(Int(expected.rounded())) mg/dL")
                return nil
            }
            return Limit(value: millimoles, milligramsPerDecilitre: milligrams, inclusive: inclusive)
        }
    }
}

extension DocumentValue where Value == Limit {
    fileprivate static func limit(in range: ClosedRange<Double>, _ inclusive: Bool) -> DocumentValue {
        DocumentValue { node, context in
            DocumentValue<Double>.number(in: range).read(node, context).map { Limit(value: $0, inclusive: inclusive) }
        }
    }
}
