import Alerting
import Clinical
import Registry

/// A patient's plan with a form for each part of it, and every version that there was.
struct PlanPage {
    let file: PlanFile
    let form: String
    let notice: PatientPage.Notice?
    /// What was refused just now, as it was typed.
    let typed: Typed?
    private let time: PageTime

    struct Typed {
        var field: PlanField
        var part: PlanRequest.Part
        var form: WebForm
        var faults: [PlanFault]
    }

    init(_ file: PlanFile, form: String, notice: PatientPage.Notice? = nil, typed: Typed? = nil) {
        self.file = file
        self.form = form
        self.notice = notice
        self.typed = typed
        time = PageTime(now: file.at, timeZone: file.timeZone)
    }

    private var code: String { file.patient.description }
    private var mayChange: Bool { file.viewer.mayAct }

    var page: HTML {
        PageFrame.page("Plan of \(file.name ?? code)", viewer: file.viewer, form: form) {
            element("p", .class("small")) {
                element("a", .href(Place("patients", code))) {
                    "Back to "
                    element("bdi") { file.name ?? code }
                }
            }
            element("h1") { "Plan" }
            if let notice { notice.part }
            element("div", .class("columns")) {
                element("div") {
                    limits
                    schedule
                    others
                }
                element("aside") {
                    pauses
                    PlanVersions(versions: file.versions, time: time).part
                }
            }
        }
    }

    // MARK: Limits

    private func items(_ field: PlanField) -> [[String: FieldValue]] {
        guard case .array(let list)? = file.fields[field.rawValue] else { return [] }
        return list.map { if case .object(let fields) = $0 { fields } else { [:] } }
    }

    private var limits: HTML {
        let own = items(.limits)
        return element("section", .class("card"), .id("limits")) {
            element("h2") { "Own limits" }
            element("p", .class("small")) {
                "They stand over those of the packs; what they do not name stays the packs'."
            }
            if own.isEmpty { element("p", .class("empty")) { "None: the packs' limits judge." } }
            for (place, limit) in own.enumerated() {
                element("div", .class("item")) {
                    element("p") { element("bdi") { PlanWords.line("limits", .object(limit)) } }
                    if mayChange {
                        change(.limits, .item(place), "Change") {
                            limitFields(limit, PlanInputs(self, .limits, .item(place)))
                        }
                        removal(.limits, place)
                    }
                }
            }
            if mayChange {
                change(.limits, .newItem, "Set a limit") { limitFields([:], PlanInputs(self, .limits, .newItem)) }
            }
            element("details") {
                element("summary") { "Limits in force" }
                LimitsInForce.table(file.plan, at: file.at)
            }
        }
    }

    @HTMLBuilder private func limitFields(_ limit: [String: FieldValue], _ inputs: PlanInputs) -> HTML {
        inputs.choice(
            "kind", "Kind", Kind.allCases.filter { !$0.isCoded }.map { ($0.code, $0.name) }, limit["kind"])
        element("div", .class("grid-of-four")) {
            for key in LimitKey.allCases {
                let isInclusive = limit[key.field(isInclusive: true)] != nil
                element("div") {
                    inputs.text(
                        key.rawValue, PlanWords.label(key.rawValue), limit[key.field(isInclusive: isInclusive)],
                        .decimal,
                        alias: key.field(isInclusive: true))
                    inputs.box("\(key.rawValue)-at", "the number itself too", isInclusive)
                }
            }
        }
        inputs.choice(
            "unit", "Unit", [("", "the kind's own")] + UCUMUnit.allCases.map { ($0.code, $0.words) }, limit["unit"])
        inputs.box("red-off", "No red for this kind", limit["red"] == .string("off"))
        inputs.date("until", "until (needed with it)", limit["until"])
        inputs.text("by", "Decided by", limit["by"] ?? .string(file.viewer.careManager.description), .plain)
    }

    // MARK: Schedule

    private var schedule: HTML {
        let slots = items(.schedule)
        return element("section", .class("card"), .id("schedule")) {
            element("h2") { "When readings are due" }
            if slots.isEmpty { element("p", .class("empty")) { "Nothing is due." } }
            for (place, slot) in slots.enumerated() {
                element("div", .class("item")) {
                    element("p") { element("bdi") { PlanWords.line("schedule", .object(slot)) } }
                    if mayChange {
                        change(.schedule, .item(place), "Change") {
                            slotFields(slot, PlanInputs(self, .schedule, .item(place)))
                        }
                        removal(.schedule, place)
                    }
                }
            }
            if mayChange {
                change(.schedule, .newItem, "Add a time") { slotFields([:], PlanInputs(self, .schedule, .newItem)) }
            }
        }
    }

    @HTMLBuilder private func slotFields(_ slot: [String: FieldValue], _ inputs: PlanInputs) -> HTML {
        inputs.boxes(
            "kind-", "Kinds", Kind.allCases.map { ($0.code, $0.name) }, Self.texts(slot["kinds"]), key: "kinds")
        inputs.boxes(
            "day-", "Days", Weekday.allCases.map { ($0.rawValue, PlanWords.label($0.rawValue)) },
            slot["days"] == nil ? Weekday.allCases.map(\.rawValue) : Self.texts(slot["days"]), key: "days")
        inputs.clock("due", "Due at", slot["due"])
        inputs.text("early", "So early it may come, such as 2h", slot["early"], .plain)
        inputs.text("grace", "So late it may come, such as 4h", slot["grace"], .plain)
    }

    private static func texts(_ value: FieldValue?) -> [String] {
        guard case .array(let items)? = value else { return [] }
        return items.map(PlanWords.words)
    }

    // MARK: Conditions, key worker, risk, targets, baselines

    private var others: HTML {
        .all([
            part(.conditions, "Packs") { inputs in
                inputs.boxes("pack-", "Conditions", file.packs, Self.texts(file.fields["conditions"]), key: "")
            },
            part(.keyWorker, "Key worker") { inputs in
                inputs.choice(
                    "key_worker", "Key worker", [("", "nobody")] + file.team.map { ($0.code, $0.name) },
                    file.fields["key_worker"], key: "")
            },
            part(.risk, "Risk") { inputs in
                inputs.choice(
                    "risk", "Risk", [("standard", "standard"), ("high", "high")],
                    file.fields["risk"] ?? .string("standard"),
                    key: "")
            },
            part(.targets, "Targets") { inputs in targetFields(inputs) },
            part(.baselines, "Baselines") { inputs in baselineFields(inputs) },
        ])
    }

    private func part(_ field: PlanField, _ title: String, @HTMLBuilder _ fields: (PlanInputs) -> HTML) -> HTML {
        let standing: FieldValue = field == .risk ? .string("standard") : .null
        let lines = PlanWords.lines(field.rawValue, file.fields[field.rawValue] ?? standing).map { line in
            let name = field == .keyWorker ? file.team.first { $0.code == line }?.name : nil
            return name.map { $0 == line ? line : "\($0) (\(line))" } ?? line
        }
        return element("section", .class("card"), .id(field.rawValue)) {
            element("h2") { title }
            if lines.isEmpty { element("p", .class("empty")) { "None." } }
            for line in lines { element("p") { element("bdi") { line } } }
            if mayChange { change(field, .whole, "Change") { fields(PlanInputs(self, field, .whole)) } }
        }
    }

    @HTMLBuilder private func targetFields(_ inputs: PlanInputs) -> HTML {
        let targets = object(.targets)
        let inr = Self.values(targets["inr"])
        inputs.text("inr-low", "INR from", inr.first, .decimal, alias: "inr")
        inputs.text("inr-high", "INR to", inr.count > 1 ? inr.last : nil, .decimal)
        inputs.text("dry_weight", "Dry weight, kg", targets["dry_weight"], .decimal)
    }

    @HTMLBuilder private func baselineFields(_ inputs: PlanInputs) -> HTML {
        let baselines = object(.baselines)
        element("div", .class("grid-of-four")) {
            for kind in Kind.allCases where !kind.isCoded {
                element("div") {
                    inputs.text(
                        "base-\(kind.code)",
                        [kind.name, kind.canonicalUnit?.words ?? ""].filter { !$0.isEmpty }.joined(separator: ", "),
                        baselines[kind.code], .decimal, alias: kind.code)
                }
            }
        }
    }

    private func object(_ field: PlanField) -> [String: FieldValue] {
        if case .object(let fields)? = file.fields[field.rawValue] { fields } else { [:] }
    }

    private static func values(_ value: FieldValue?) -> [FieldValue] {
        if case .array(let items)? = value { items } else { [] }
    }

    // MARK: Forms

    private func isTyped(_ field: PlanField, _ part: PlanRequest.Part) -> Bool {
        typed.map { $0.field == field && $0.part == part } ?? false
    }

    private func change(
        _ field: PlanField, _ part: PlanRequest.Part, _ words: String, @HTMLBuilder _ fields: () -> HTML
    ) -> HTML {
        let inputs = PlanInputs(self, field, part)
        let isTyped = isTyped(field, part) && typed?.form["do"] != "remove"
        return element("details", .class("act"), isTyped ? .open : nil) {
            element("summary") { words }
            element("form", .method("post"), .action(Place("patients", code, "plan"))) {
                hidden(field, part)
                if isTyped { inputs.wholeFaults }
                fields()
                inputs.text("reason", "Why", nil, .plain, isRequired: true)
                element("button", .type("submit"), .class("primary")) { "Change the plan" }
            }
        }
    }

    private func removal(_ field: PlanField, _ place: Int) -> HTML {
        let inputs = PlanInputs(self, field, .item(place), prefix: "remove")
        let isTyped = isTyped(field, .item(place)) && typed?.form["do"] == "remove"
        return element("details", .class("act"), isTyped ? .open : nil) {
            element("summary") { "Take it away" }
            element("form", .method("post"), .action(Place("patients", code, "plan"))) {
                hidden(field, .item(place))
                element("input", .type("hidden"), .name("do"), .value("remove"))
                if isTyped { inputs.wholeFaults }
                inputs.text("reason", "Why", nil, .plain, isRequired: true)
                element("button", .type("submit")) { "Take it away" }
            }
        }
    }

    @HTMLBuilder private func hidden(_ field: PlanField, _ part: PlanRequest.Part) -> HTML {
        PageFrame.formToken(form)
        element("input", .type("hidden"), .name("what"), .value(field.rawValue))
        element("input", .type("hidden"), .name("part"), .value(Self.name(part)))
        element("input", .type("hidden"), .name("id"), .value(FormID().description))
        element("input", .type("hidden"), .name("seen"), .value(file.seen(field)))
    }

    static func name(_ part: PlanRequest.Part) -> String {
        switch part {
        case .whole: "whole"
        case .newItem: "new"
        case .item(let place): "\(place)"
        }
    }

    // MARK: Beside

    private var pauses: HTML {
        let lines = PlanWords.lines("pauses", file.fields["pauses"] ?? .null)
        return element("section", .class("card")) {
            element("h2") { "Pauses" }
            if lines.isEmpty { element("p", .class("empty")) { "None." } }
            for line in lines { element("p") { element("bdi") { line } } }
            if mayChange {
                element("p") {
                    element("a", .href(Place("patients", code, fragment: "do-pauses"))) { "Begin or end a pause" }
                }
            }
        }
    }
}
