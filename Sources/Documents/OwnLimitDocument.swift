import Clinical
import Registry

/// The `limits` of a patient.
enum OwnLimitDocument {
    private enum RedSwitch: String, CaseIterable { case off }

    /// All limits of one patient. The same side of one kind named by two of them is refused.
    static func list(_ links: RegistryLinks) -> DocumentValue<[OwnLimit]> {
        DocumentValue { node, context in
            let placed = DocumentValue<(OwnLimit, DocumentNode)> { node, context in
                value(links).read(node, context).map { ($0, node) }
            }
            guard let limits = DocumentValue.list(of: placed).read(node, context) else { return nil }
            for (place, (limit, node)) in limits.enumerated() {
                for (earlier, _) in limits[..<place] where earlier.kind == limit.kind {
                    let isTwice =
                        (earlier.low != nil && limit.low != nil) || (earlier.high != nil && limit.high != nil)
                        || (earlier.redOffUntil != nil && limit.redOffUntil != nil)
                    if isTwice { context.report("\(limit.kind.code) has this side twice", at: node) }
                }
            }
            return limits.map(\.0)
        }
    }

    private static func value(_ links: RegistryLinks) -> DocumentValue<OwnLimit> {
        .record { reader in
            let kind = reader.required("kind", .kind)
            let unit = reader.optional("unit", .unit)
            let low = thresholds(.low, kind: kind, unit: unit, reader)
            let high = thresholds(.high, kind: kind, unit: unit, reader)
            let by = author(reader, links)
            let reason = reader.optional("reason", .text)
            let isRedOff = reader.optional("red", .choice(RedSwitch.self)) != nil
            if !isRedOff, by == nil || reason == nil {
                let missing = [by == nil ? "by" : nil, reason == nil ? "reason" : nil].compactMap(\.self)
                reader.note("does not say who decided it and why: \(missing.joined(separator: " and ")) missing")
            }
            let until = reader.optional("until", .date)
            guard let kind else { return nil }
            if kind.isCoded {
                reader.report("\(kind.code) has no limits: it is a code", at: "kind")
                return nil
            }
            if let unit, !kind.takes(unit) { reader.report("\(kind.code) is not in \(unit.code)", at: "unit") }
            if isRedOff {
                let isComplete = by != nil && reason != nil && until != nil
                if !isComplete { reader.report("off needs by, reason and until", at: "red") }
                if (low ?? []).contains(where: { $0.severity == .red })
                    || (high ?? []).contains(where: { $0.severity == .red })
                {
                    reader.report("is off here, but the same limit names a red", at: "red")
                }
            } else if reader["until"] != nil {
                reader.report("belongs to red: off", at: "until")
            }
            let keys = Side.allCases.flatMap { limitKeys($0) } + ["red"]
            if keys.allSatisfy({ reader[$0] == nil }) { reader.report("names no limit") }
            checkOrder(low: low ?? [], high: high ?? [], reader)
            return OwnLimit(
                kind: kind, low: low, high: high, redOffUntil: isRedOff ? until : nil, by: by, reason: reason)
        }
    }

    private static func author(_ reader: MappingReader, _ links: RegistryLinks) -> String? {
        guard let by = reader.optional("by", .text) else { return nil }
        let isKnown = Identifier(by).map { links.contains(.careManager, $0) } ?? false
        if !isKnown { reader.note("there is no care manager \(DocumentNode.excerpt(of: by))", at: "by") }
        return by
    }

    private static func limitKeys(_ side: Side) -> [String] {
        let word = side == .low ? "below" : "above"
        return [Severity.red, .amber].flatMap { ["\($0.rawValue)_\(word)", "\($0.rawValue)_at_or_\(word)"] }
    }

    /// The limits of one side, red first; nil where none is named. An own red is immediate: nothing may hold it back.
    private static func thresholds(
        _ side: Side, kind: Kind?, unit: UCUMUnit?, _ reader: MappingReader
    ) -> [Threshold]? {
        let numbers = limitKeys(side).map { ($0, reader.optional($0, .number)) }
        let hasUnreadableUnit = reader["unit"] != nil && unit == nil
        guard let kind, !kind.isCoded, !hasUnreadableUnit else { return nil }
        var thresholds: [Threshold] = []
        for (key, number) in numbers {
            let isInclusive = key.contains("_at_or_")
            guard let number, let node = reader[key],
                let limit = limit(number, kind: kind, unit: unit, inclusive: isInclusive),
                PatientDocument.checkPlausible(limit.value, kind, reader.context(of: key), at: node)
            else { continue }
            let severity: Severity = key.hasPrefix("red") ? .red : .amber
            if let other = thresholds.first(where: { $0.severity == severity }), other.limit.inclusive != isInclusive {
                let first = key.replacing("_at_or_", with: "_")
                reader.report("stands beside \(first): only one of them can hold", at: key)
                continue
            }
            thresholds.append(Threshold(severity: severity, limit: limit, immediate: severity == .red))
        }
        return thresholds.isEmpty ? nil : thresholds
    }

    /// Nil for a unit that the kind does not take, which is reported once, at `unit`.
    private static func limit(_ number: Double, kind: Kind, unit: UCUMUnit?, inclusive: Bool) -> Limit? {
        if kind == .glucose {
            switch unit {
            case .milligramsPerDecilitre: return .glucose(milligramsPerDecilitre: number, inclusive: inclusive)
            case nil, .millimolesPerLitre: return .glucose(millimolesPerLitre: number, inclusive: inclusive)
            default: return nil
            }
        }
        let value = unit.map { kind.canonical(number, sentIn: $0) } ?? number
        return value.map { Limit(value: $0, inclusive: inclusive) }
    }

    /// Red lies beyond amber, and low below high. Against the packs' limits `Plan` checks.
    private static func checkOrder(low: [Threshold], high: [Threshold], _ reader: MappingReader) {
        func number(_ limits: [Threshold], _ severity: Severity) -> Double? {
            limits.first { $0.severity == severity }?.limit.value
        }
        if let red = number(low, .red), let amber = number(low, .amber), red > amber {
            reader.report("inverted: red below must not be above amber below")
        }
        if let red = number(high, .red), let amber = number(high, .amber), red < amber {
            reader.report("inverted: red above must not be below amber above")
        }
        if let top = low.map(\.limit.value).max(), let bottom = high.map(\.limit.value).min(), top > bottom {
            reader.report("inverted: a limit below lies above a limit above")
        }
    }
}
