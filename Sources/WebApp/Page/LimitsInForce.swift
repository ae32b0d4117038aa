import Clinical

/// The limits that judge, as a table: those of the patient's age, and beside a limit that asks for oxygen that it does.
enum LimitsInForce {
    static func table(_ plan: Plan, at instant: Instant) -> HTML {
        let kinds = Kind.allCases.filter { kind in
            Side.allCases.contains { !plan.limits(kind, $0, at: instant).isEmpty }
        }
        return Facts.table("Limits in force", ["Kind", "Red low", "Amber low", "Amber high", "Red high"]) {
            for kind in kinds {
                element("tr") {
                    element("th", .scope("row")) { kind.name }
                    for (side, severity) in [(Side.low, Severity.red), (.low, .amber), (.high, .amber), (.high, .red)] {
                        element("td") { words(plan, kind, side, severity, at: instant) }
                    }
                }
            }
        }
    }

    /// `< 88, ≥ 97 on oxygen`
    static func words(_ plan: Plan, _ kind: Kind, _ side: Side, _ severity: Severity, at instant: Instant) -> String {
        plan.limits(kind, side, at: instant).filter { $0.limit.threshold.severity == severity }.map { found in
            let limit = found.limit.threshold.limit
            let sign = side == .low ? (limit.inclusive ? "≤" : "<") : (limit.inclusive ? "≥" : ">")
            let holds =
                switch found.holds {
                case .always: ""
                case .onOxygen: " on oxygen"
                case .notOnOxygen: " without oxygen"
                }
            return "\(sign) \(Signs.number(limit.value, kind))\(holds)"
        }.joined(separator: ", ")
    }
}
