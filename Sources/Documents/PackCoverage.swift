import Clinical

/// Whether the bands of one kind and side, and the levels of one rule, fit together: where there are several, every age
/// and NEWS2 scale is judged once, none twice and none by nothing.
enum PackCoverage {
    /// A band or level with the line where it stands.
    struct Placed<Value> {
        var value: Value
        var node: DocumentNode
    }

    /// Adds the node to what `type` reads.
    static func placed<Value>(_ type: DocumentValue<Value>) -> DocumentValue<Placed<Value>> {
        DocumentValue { node, context in
            type.read(node, context).map { Placed(value: $0, node: node) }
        }
    }

    static func check(_ bands: [Placed<Band>], isEverybody: Bool, _ context: DocumentContext) {
        var groups: [String: [Placed<Band>]] = [:]
        var order: [String] = []
        for band in bands {
            let rule = Band.rule(band.value.kind, band.value.side)
            if groups[rule] == nil { order.append(rule) }
            groups[rule, default: []].append(band)
        }
        for rule in order {
            let group = groups[rule] ?? []
            for scale in Set(group.map(\.value.applicability.news2Scale)).sorted(by: { $0 ?? 0 < $1 ?? 0 }) {
                for onOxygen in [false, true] {
                    let spans = group.filter {
                        $0.value.applicability.news2Scale == scale && $0.value.applicability.onOxygen == onOxygen
                    }.map { AgeSpan($0.value.applicability, $0.node) }
                    check(spans, rule, context)
                }
            }
            guard let first = group.first, isEverybody, first.value.kind == .spo2, first.value.side == .low else {
                continue
            }
            for scale in [1, 2] where !group.contains(where: { $0.value.applicability.news2Scale == scale }) {
                context.report("\(rule) has nothing for news2_scale \(scale)", at: first.node)
            }
        }
    }

    /// Levels that look for the same and differ by age alone.
    static func check(_ levels: [Placed<RuleLevel>], rule: String, _ context: DocumentContext) {
        var groups: [RuleCondition.Subject: [AgeSpan]] = [:]
        for level in levels where level.value.companion == nil {
            let subject = level.value.condition.subject(level.value.severity)
            groups[subject, default: []].append(AgeSpan(level.value.applicability, level.node))
        }
        for group in groups.values where group.contains(where: { !$0.isEveryAge }) { check(group, rule, context) }
    }

    private struct AgeSpan {
        var from: Int
        var below: Int
        var node: DocumentNode
        var isEveryAge: Bool

        init(_ applicability: Applicability, _ node: DocumentNode) {
            from = applicability.ageFrom ?? 0
            below = applicability.ageBelow ?? PackCoverage.oldest
            isEveryAge = applicability.ageFrom == nil && applicability.ageBelow == nil
            self.node = node
        }
    }

    private static let oldest = 151
    /// Packs are for adults: what begins at 16 or 18 leaves no gap below.
    private static let adult = 18

    private static func check(_ spans: [AgeSpan], _ rule: String, _ context: DocumentContext) {
        let sorted = spans.sorted { ($0.from, $0.below) < ($1.from, $1.below) }
        // One alone may be meant for those ages only: beside it `adult`'s hold.
        guard var last = sorted.first, sorted.count > 1 else { return }
        if last.from > adult {
            context.report("\(rule) leaves a gap: nothing holds below the age of \(last.from)", at: last.node)
        }
        for span in sorted.dropFirst() {
            if span.from == last.from, span.below == last.below {
                context.report("\(rule) stands here twice", at: span.node)
            } else if span.from < last.below {
                context.report("\(rule) overlaps: two hold from the age of \(span.from)", at: span.node)
            } else if span.from > last.below {
                context.report(
                    "\(rule) leaves a gap: nothing holds from \(last.below) to \(span.from - 1)", at: span.node)
            }
            if span.below > last.below { last = span }
        }
        if last.below < oldest {
            context.report("\(rule) leaves a gap: nothing holds from the age of \(last.below)", at: last.node)
        }
    }
}

extension RuleCondition {
    /// What a condition looks at, its number left out.
    struct Subject: Hashable {
        var severity: Severity
        var name: String
        var kind: Kind?
        var span: Interval?
    }

    func subject(_ severity: Severity) -> Subject {
        switch self {
        case .change(let kind, let direction, _, let within):
            Subject(severity: severity, name: direction.rawValue, kind: kind, span: within)
        case .difference(let kind, let direction, _, let own):
            Subject(severity: severity, name: "\(direction.rawValue) \(own.measure.rawValue)", kind: kind)
        case .mean(let kind, let side, _, _): Subject(severity: severity, name: "mean \(side.rawValue)", kind: kind)
        case .count(let sign, _, _, let within): Subject(severity: severity, name: "count \(sign)", span: within)
        case .answers(let questions, _, let days): Subject(severity: severity, name: "answers \(questions) \(days)")
        case .news2(let measure, _): Subject(severity: severity, name: "news2 \(measure.rawValue)")
        case .beyond(let kind, let side, _): Subject(severity: severity, name: "reading \(side.rawValue)", kind: kind)
        }
    }
}
