import Alerting
import Clinical
import Documents
import PostgresStore
import Registry

/// A change of one field of a patient's plan, worked out and checked against the entries that it stands among. Pure.
struct PlanEditing {
    let request: PlanRequest
    let packs: PackLibrary
    let served: ServedChannels

    enum Verdict {
        case write([RegistryKey: [String: FieldValue]])
        case refused([PlanFault])
        case movedOn
    }

    private var key: RegistryKey { RegistryKey(entity: .patient, code: request.patient.description) }

    func verdict(on base: RegistryChange.Base) -> Verdict {
        let before = base.fields[key]?[request.field.rawValue] ?? .null
        guard before.fingerprint == request.seen else { return .movedOn }
        guard let after = value(replacing: before) else { return .movedOn }
        let changes = [key: [request.field.rawValue: after]]
        let faults = faults(of: changes, base)
        return faults.isEmpty ? .write(changes) : .refused(faults)
    }

    /// Nil for an item that is not there.
    private func value(replacing before: FieldValue) -> FieldValue? {
        if request.part == .whole { return request.value }
        var items: [FieldValue] = []
        if case .array(let list) = before { items = list }
        switch request.part {
        case .newItem: items.append(request.value)
        case .item(let place):
            guard items.indices.contains(place) else { return nil }
            if request.value == .null { items.remove(at: place) } else { items[place] = request.value }
        case .whole: break
        }
        return .array(items)
    }

    /// What `enrol` would refuse of this entry, and what it only tells of entries that it does not load: a plan that is
    /// inverted, or loses a red.
    private func faults(of changes: [RegistryKey: [String: FieldValue]], _ base: RegistryChange.Base) -> [PlanFault] {
        let before = build(base.fields)
        let after = build(base.fields.merging(changes) { old, new in old.merging(new) { _, new in new } })
        var faults = after.problems.filter { $0.file == key.description }.map { fault($0.message) }
        if let profile = after.registry.patients[request.patient]?.profile {
            let old =
                before.registry.patients[request.patient].map { Plan.problems(of: $0.profile, packs: packs) } ?? []
            faults += Plan.problems(of: profile, packs: packs).filter { !old.contains($0) }.map {
                PlanFault(key: "", words: $0.description)
            }
        }
        let known = Set(before.uncovered.map(\.patient))
        faults += after.uncovered.filter { !known.contains($0.patient) }.map {
            PlanFault(key: "", words: $0.problem.message)
        }
        return faults
    }

    private func build(_ fields: [RegistryKey: [String: FieldValue]]) -> RegistryBuilder.Outcome {
        RegistryBuilder(packs: packs, served: served).build(
            fields.sorted { $0.key < $1.key }.map { RegistryEntry(key: $0.key, fields: $0.value) })
    }

    /// `limits.red_below: expected a number` as the words beside `red_below`.
    private func fault(_ message: String) -> PlanFault {
        let name = request.field.rawValue
        guard message.hasPrefix(name) else { return PlanFault(key: "", words: message) }
        let rest = message.dropFirst(name.count)
        guard let colon = rest.firstRange(of: ": ") else { return PlanFault(key: "", words: message) }
        let path = rest[..<colon.lowerBound].drop { $0 == "." }
        return PlanFault(key: String(path), words: String(rest[colon.upperBound...]))
    }
}
