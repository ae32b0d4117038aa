import Clinical
import Registry

/// An entry of `escalation`.
enum EscalationDocument {
    static func value(_ links: RegistryLinks) -> DocumentValue<EscalationPath> {
        .record { reader in
            let site = reader.required("site", links.reference(to: .site))
            let alertClass = reader.required("class", .choice(EscalationPath.AlertClass.self))
            let severity = reader.required("severity", .choice(Severity.self))
            let when = reader.optional("when", .choice(EscalationPath.When.self)) ?? .always
            let steps = reader.required("steps", .list(of: step(links)))
            if reader.isEmptyList("steps") { reader.report("is empty: nobody would be told", at: "steps") }
            for (earlier, later) in zip(steps ?? [], (steps ?? []).dropFirst()) where later.after < earlier.after {
                reader.report("must stand in the order of after", at: "steps")
                break
            }
            guard let site, let alertClass, let severity, let steps else { return nil }
            return EscalationPath(site: site, alertClass: alertClass, severity: severity, when: when, steps: steps)
        }
    }

    private static func step(_ links: RegistryLinks) -> DocumentValue<EscalationStep> {
        .record { reader in
            let recipient = reader.required("to", recipient(links))
            let after = reader.required("after", .duration)
            guard let recipient, let after else { return nil }
            return EscalationStep(to: recipient, after: after)
        }
    }

    /// `key-worker`, `team-lead` or a care manager's code.
    private static func recipient(_ links: RegistryLinks) -> DocumentValue<EscalationStep.Recipient> {
        DocumentValue { node, context in
            switch node.content {
            case .string("key-worker", _): return .keyWorker
            case .string("team-lead", _): return .teamLead
            default: return links.reference(to: .careManager).read(node, context).map { .careManager($0) }
            }
        }
    }
}
