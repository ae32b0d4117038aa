import Alerting
import Registry

/// The inputs of one form of the plan: what was typed stays, and what is wrong stands beside it.
struct PlanInputs {
    enum Sort { case plain, decimal }

    private let typed: PlanPage.Typed?
    private let prefix: String

    init(_ page: PlanPage, _ field: PlanField, _ part: PlanRequest.Part, prefix: String = "set") {
        let isOurs = page.typed.map {
            $0.field == field && $0.part == part && ($0.form["do"] == "remove") == (prefix == "remove")
        }
        typed = isOurs ?? false ? page.typed : nil
        self.prefix = "\(prefix)-\(field.rawValue)-\(PlanPage.name(part))"
    }

    private func id(_ name: String) -> String { "\(prefix)-\(name)" }

    private func text(of name: String, _ value: FieldValue?) -> String {
        typed.map { $0.form.exactly(name) ?? "" } ?? PlanWords.words(value ?? .null)
    }

    private func fault(_ keys: [String]) -> PlanFault? { typed?.faults.first { keys.contains($0.key) } }

    @HTMLBuilder private func words(_ fault: PlanFault?, _ name: String) -> HTML {
        if let fault { element("p", .class("fault"), .id(id(name) + "-fault")) { "✕ \(fault.words)" } }
    }

    /// Those that belong to no input of this form, first.
    var wholeFaults: HTML {
        element("ul", .class("notice bad"), .role("alert")) {
            for fault in typed?.faults ?? [] {
                element("li") { fault.key.isEmpty ? fault.words : "\(PlanWords.label(fault.key)): \(fault.words)" }
            }
        }
    }

    func text(
        _ name: String, _ label: String, _ value: FieldValue?, _ sort: Sort, alias: String? = nil,
        isRequired: Bool = false
    ) -> HTML {
        let fault = fault([name, alias ?? name])
        return .all([
            element("label", .for(id(name))) { label },
            element(
                "input", .type("text"), .id(id(name)), .name(name), .value(text(of: name, value)), .maxlength(500),
                .autocomplete("off"), sort == .decimal ? .inputmode("decimal") : nil, isRequired ? .required : nil,
                fault == nil ? nil : .aria(.invalid, "true"),
                fault == nil ? nil : .aria(.describedby, id(name) + "-fault")),
            words(fault, name),
        ])
    }

    func date(_ name: String, _ label: String, _ value: FieldValue?) -> HTML { special(name, label, value, "date") }
    func clock(_ name: String, _ label: String, _ value: FieldValue?) -> HTML { special(name, label, value, "time") }

    private func special(_ name: String, _ label: String, _ value: FieldValue?, _ type: StaticString) -> HTML {
        let fault = fault([name])
        return .all([
            element("label", .for(id(name))) { label },
            element(
                "input", .type(type), .id(id(name)), .name(name), .value(text(of: name, value)),
                fault == nil ? nil : .aria(.invalid, "true"),
                fault == nil ? nil : .aria(.describedby, id(name) + "-fault")),
            words(fault, name),
        ])
    }

    func choice(
        _ name: String, _ label: String, _ choices: [(String, String)], _ value: FieldValue?, key: String? = nil
    ) -> HTML {
        let current = text(of: name, value)
        let fault = fault([key ?? name])
        return .all([
            element("label", .for(id(name))) { label },
            element(
                "select", .id(id(name)), .name(name), fault == nil ? nil : .aria(.invalid, "true"),
                fault == nil ? nil : .aria(.describedby, id(name) + "-fault")
            ) {
                for (code, words) in choices {
                    element("option", .value(code), .selected(code == current)) { words }
                }
            },
            words(fault, name),
        ])
    }

    func box(_ name: String, _ label: String, _ isTicked: Bool) -> HTML {
        let isOn = typed.map { $0.form[name] != nil } ?? isTicked
        let fault = name == "red-off" ? fault(["red"]) : nil
        return .all([
            element("label", .class("box")) {
                element("input", .type("checkbox"), .name(name), .value("yes"), .checked(isOn))
                " \(label)"
            },
            words(fault, name),
        ])
    }

    func boxes(
        _ prefix: String, _ legend: String, _ choices: [(String, String)], _ ticked: [String], key: String
    ) -> HTML {
        element("fieldset", .class("boxes")) {
            element("legend") { legend }
            for (code, words) in choices { box(prefix + code, words, ticked.contains(code)) }
            words(fault([key]), prefix)
        }
    }
}
