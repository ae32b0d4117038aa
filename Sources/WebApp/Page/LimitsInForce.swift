import Clinical

/// The limits that judge, as a table.
enum LimitsInForce {
    static func table(_ plan: Plan) -> HTML {
        let kinds = Kind.allCases.filter { kind in Side.allCases.contains { !plan.limits(kind, $0).isEmpty } }
        return Facts.table("Limits in force", ["Kind", "Red low", "Amber low", "Amber high", "Red high"]) {
            for kind in kinds {
                element("tr") {
                    element("th", .scope("row")) { kind.name }
                    cell(plan, kind, .low, .red)
                    cell(plan, kind, .low, .amber)
                    cell(plan, kind, .high, .amber)
                    cell(plan, kind, .high, .red)
                }
            }
        }
    }

    private static func cell(_ plan: Plan, _ kind: Kind, _ side: Side, _ severity: Severity) -> HTML {
        element("td") {
            plan.limits(kind, side).filter { $0.threshold.severity == severity }.map { found in
                let limit = found.threshold.limit
                let sign = side == .low ? (limit.inclusive ? "≤" : "<") : (limit.inclusive ? "≥" : ">")
                return "\(sign) \(Signs.number(limit.value, kind))"
            }.joined(separator: ", ")
        }
    }
}
