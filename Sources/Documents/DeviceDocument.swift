import Clinical
import Formats
import Registry

/// An entry of `devices`.
enum DeviceDocument {
    static func value(code: Identifier, _ links: RegistryLinks) -> DocumentValue<Device> {
        .record { reader in
            let site = reader.required("site", links.reference(to: .site))
            let pairings = reader.optional("pairings", pairings(of: site, links)) ?? []
            let canAsk = reader.optional("can_ask", .boolean) ?? true
            guard let site else { return nil }
            return Device(code: code, site: site, pairings: pairings, canAsk: canAsk)
        }
    }

    /// In order of `from`, whatever the order in the document.
    private static func pairings(of site: Identifier?, _ links: RegistryLinks) -> DocumentValue<[Pairing]> {
        DocumentValue { node, context in
            let placed = DocumentValue<(pairing: Pairing, node: DocumentNode)> { node, context in
                pairing(of: site, links).read(node, context).map { ($0, node) }
            }
            guard let pairings = DocumentValue.list(of: placed).read(node, context) else { return nil }
            let ordered = pairings.sorted { $0.pairing.from < $1.pairing.from }
            for (earlier, later) in zip(ordered, ordered.dropFirst()) {
                guard let until = earlier.pairing.until else {
                    context.report(
                        "the pairing from \(RFC3339.format(earlier.pairing.from)) has no until, but another follows it",
                        at: later.node)
                    continue
                }
                if later.pairing.from < until {
                    let words =
                        earlier.pairing.patient == later.pairing.patient
                        ? "overlaps the one" : "gives the device to two patients at once: it overlaps the one"
                    context.report(
                        "\(words) from \(RFC3339.format(earlier.pairing.from)) until \(RFC3339.format(until))",
                        at: later.node)
                }
            }
            return ordered.map(\.pairing)
        }
    }

    private static func pairing(of site: Identifier?, _ links: RegistryLinks) -> DocumentValue<Pairing> {
        .record { reader in
            let patient = reader.required("patient", links.reference(to: .patient))
            let from = reader.required("from", .instant)
            let until = reader.optional("until", .instant)
            if let from, let until, until <= from { reader.report("is not after from", at: "until") }
            if let patient, let site {
                links.later { registry in
                    guard let theirs = registry.patients[patient]?.site, theirs != site else { return }
                    reader.report("\(patient) is of site \(theirs), the device of \(site)", at: "patient")
                }
            }
            guard let patient, let from else { return nil }
            return Pairing(patient: patient, from: from, until: until)
        }
    }
}
