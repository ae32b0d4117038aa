import Alerting
import Clinical
import Registry

/// What a person typed into one of the forms of a plan, as the registry would have it. It checks no more than form: what it
/// means is checked where it is written, as `enrol` does.
struct PlanForm {
    let patient: Identifier
    let form: WebForm

    var field: PlanField? { form["what"].flatMap(PlanField.init(rawValue:)) }

    var part: PlanRequest.Part? {
        switch form["part"] {
        case "whole": .whole
        case "new": .newItem
        case let text?: Int(text).flatMap { $0 >= 0 ? .item($0) : nil }
        case nil: nil
        }
    }

    /// Nil for what none of our forms sends.
    var request: PlanRequest? {
        guard let field, let part, let id = form["id"].flatMap({ FormID($0) }), let seen = form["seen"] else {
            return nil
        }
        let isListed = field == .limits || field == .schedule
        guard isListed != (part == .whole) else { return nil }
        return PlanRequest(
            form: id, patient: patient, field: field, part: part, value: form["do"] == "remove" ? .null : value(field),
            seen: seen, reason: form["reason"] ?? "")
    }

    /// What is missing whatever the rest says.
    var faults: [PlanFault] {
        var faults: [PlanFault] = []
        let reason = form["reason"] ?? ""
        if reason.isEmpty { faults.append(PlanFault(key: "reason", words: "say why")) }
        if reason.utf8.count > LeadResponder.longestNote {
            faults.append(PlanFault(key: "reason", words: "is too long"))
        }
        if field == .limits, form["do"] != "remove", form["by"] == nil {
            faults.append(PlanFault(key: "by", words: "say who decided it"))
        }
        return faults
    }

    private func value(_ field: PlanField) -> FieldValue {
        switch field {
        case .limits: limit
        case .schedule: slot
        case .conditions: chosen("pack-")
        case .keyWorker: form["key_worker"].map { .string($0) } ?? .null
        case .risk: form["risk"].map { .string($0) } ?? .null
        case .targets: targets
        case .baselines: baselines
        }
    }

    /// A number as a number; what is none stays as it was typed, and is refused with those words.
    private func number(_ name: String) -> FieldValue? {
        form[name].map { text in
            guard let number = Double(text), number.isFinite, text.utf8.allSatisfy({ "0123456789.-".utf8.contains($0) })
            else { return .string(text) }
            return .number(number)
        }
    }

    private var limit: FieldValue {
        var fields: [String: FieldValue] = [:]
        for name in ["kind", "unit", "by", "reason"] { if let text = form[name] { fields[name] = .string(text) } }
        for key in LimitKey.allCases {
            fields[key.field(isInclusive: form["\(key.rawValue)-at"] != nil)] = number(key.rawValue)
        }
        if form["red-off"] != nil { fields["red"] = .string("off") }
        if let until = form["until"] { fields["until"] = .string(until) }
        return .object(fields)
    }

    private var slot: FieldValue {
        var fields = ["kinds": chosen("kind-"), "days": chosen("day-")]
        for name in ["due", "early", "grace"] { if let text = form[name] { fields[name] = .string(text) } }
        return .object(fields)
    }

    /// The names of the boxes that were ticked, in their own order.
    private func chosen(_ prefix: String) -> FieldValue {
        let names =
            switch prefix {
            case "kind-": Kind.allCases.map(\.code)
            case "day-": Weekday.allCases.map(\.rawValue)
            default: form.names.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count)) }.sorted()
            }
        return .array(names.filter { form[prefix + $0] != nil }.map { .string($0) })
    }

    private var targets: FieldValue {
        var fields: [String: FieldValue] = [:]
        if form["inr-low"] != nil || form["inr-high"] != nil {
            fields["inr"] = .array([number("inr-low"), number("inr-high")].compactMap { $0 })
        }
        fields["dry_weight"] = number("dry_weight")
        return fields.isEmpty ? .null : .object(fields)
    }

    private var baselines: FieldValue {
        var fields: [String: FieldValue] = [:]
        for kind in Kind.allCases { fields[kind.code] = number("base-\(kind.code)") }
        return fields.isEmpty ? .null : .object(fields)
    }
}
