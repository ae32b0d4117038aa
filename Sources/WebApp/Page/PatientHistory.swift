import Alerting
import Clinical
import Formats
import Registry

/// What was done about a patient, what is to be done, and what was typed in.
struct PatientHistory {
    let file: PatientFile
    let form: String
    let time: PageTime

    /// What waits: before everything else on the page but the alerts.
    @HTMLBuilder var waiting: HTML {
        if !file.followUps.isEmpty || !file.typed.isEmpty {
            element("section", .class("card")) {
                element("h2") { "To come back to" }
                element("ul", .class("plain")) {
                    for followUp in file.followUps { line(followUp) }
                    for typed in file.typed { line(typed) }
                }
            }
        }
    }

    private func line(_ followUp: FollowUp) -> HTML {
        element("li") {
            if followUp.due <= file.at { element("span", .class("tag")) { "Due" } }
            "\(time.short(followUp.due)): "
            element("bdi") { followUp.note }
            element("span", .class("small")) { " set by \(name(followUp.setBy)) " }
            if file.viewer.mayAct {
                PatientForms.post(Place("patients", file.patient.code.description, "follow-ups-done"), form: form) {
                    element("input", .type("hidden"), .name("of"), .value(followUp.id.description))
                    element("button", .type("submit"), .class("quiet")) { "Done" }
                }
            }
        }
    }

    private func line(_ typed: TypedReport) -> HTML {
        element("li") {
            element("span", .class("tag")) { typed.outcome == nil ? "Waits" : "Refused" }
            "Typed in \(time.short(typed.enteredAt)) by \(name(typed.careManager)): "
            element("bdi") { typed.reason ?? "not judged yet" }
        }
    }

    var done: HTML {
        element("section", .class("card")) {
            element("h2") { "What was done" }
            if file.events.isEmpty { element("p", .class("empty")) { "Nothing in \(file.days) days." } }
            element("ol", .class("events")) {
                for event in file.events {
                    element("li") {
                        element("span", .class("small")) { "\(time.short(event.at)) " }
                        element("strong") { Self.words(event) }
                        " by \(name(event.careManager))"
                        if let note = event.note {
                            ": "
                            element("bdi") { note }
                        }
                    }
                }
            }
        }
    }

    private func name(_ code: String) -> String { Identifier(code).flatMap { file.team[$0] } ?? code }

    /// `Call: no answer`, `Replace reader: dev-0001, dev-0002`.
    static func words(_ event: PatientEvent) -> String {
        let kind = event.kind.replacing("-", with: " ")
        let title = kind.prefix(1).uppercased() + kind.dropFirst()
        let values = members(event.detail).filter { $0.name != "follow_up" }.map { _, value in
            // A code or a day is left as it is.
            let isWord = !value.contains(where: \.isNumber)
            return isWord ? value.replacing("-", with: " ") : event.kind == "follow-up" ? spaced(value) : value
        }
        return values.isEmpty ? title : "\(title): \(values.joined(separator: ", "))"
    }

    /// `2026-11-24 09:00`
    private static func spaced(_ localTime: String) -> String {
        localTime.replacing("T", with: " ", maxReplacements: 1)
    }

    private static func members(_ json: String) -> [(name: String, value: String)] {
        let bytes = Array(json.utf8)
        do throws(JSONFault) {
            guard case .object(let members) = try JSONReader.value(bytes.span, maximumDepth: 4) else { return [] }
            return members.compactMap { name, value in
                if case .string(let text) = value { (name, text) } else { nil }
            }
        } catch {
            return []
        }
    }
}

/// The parts of the National Early Warning Score, from the newest readings that belong together.
struct NEWS2Card {
    let file: PatientFile
    let time: PageTime

    @HTMLBuilder var part: HTML {
        if let (score, at, readings) = score {
            let isSuspect = score.parts.contains { readings[$0.parameter]?.isSuspect ?? false }
            element("section", .class("card")) {
                element("h2") { "NEWS2" }
                element("p") {
                    if let total = score.total {
                        element("strong") { "\(total)" }
                        " (scale \(score.scale)), \(time.short(at))"
                        if isSuspect { element("span", .class("tag")) { "Counts a suspect reading" } }
                        if score.highestSingle == 3 { element("span", .class("tag")) { "A single 3" } }
                    } else {
                        element("strong") { "No score" }
                        " at \(time.short(at)): incomplete, without "
                        score.missing.map { $0.kind.name }.joined(separator: ", ")
                        ". A part of it says nothing about the rest."
                    }
                }
                element("table", .class("limits")) {
                    element("thead") {
                        element("tr") {
                            for head in ["Parameter", "Value", "Points"] { element("th", .scope("col")) { head } }
                        }
                    }
                    element("tbody") {
                        for part in score.parts {
                            element("tr") {
                                element("th", .scope("row")) { part.parameter.kind.name }
                                element("td") {
                                    value(part)
                                    if readings[part.parameter]?.isSuspect ?? false {
                                        element("span", .class("tag")) { "Suspect" }
                                    }
                                }
                                element("td") { part.score.map { "\($0)" } ?? "?" }
                            }
                        }
                    }
                }
            }
        }
    }

    private func value(_ part: NEWS2Part) -> String {
        let kind = part.parameter.kind
        guard kind.isCoded else { return Signs.number(part.value, kind) }
        let place = Int(exactly: part.value) ?? 0
        return kind.codes.indices.contains(place) ? kind.codes[place] : "?"
    }

    /// The newest of each parameter within the plan's window before the newest of all.
    private var score: (NEWS2Score, Instant, [NEWS2Parameter: ChartReading])? {
        let parts = file.readings.filter { $0.correction == nil && NEWS2Parameter(kind: $0.kind) != nil }
        guard let newest = parts.map(\.takenAt).max() else { return nil }
        var values: [NEWS2Parameter: Double] = [:]
        var counted: [NEWS2Parameter: ChartReading] = [:]
        for reading in parts where reading.takenAt >= newest - file.plan.news2Window {
            guard let parameter = NEWS2Parameter(kind: reading.kind) else { continue }
            // Oldest first: the newest stays.
            counted[parameter] = reading
            if let code = reading.code {
                values[parameter] = reading.kind.codes.firstIndex(of: code).map { Double($0) }
            } else {
                values[parameter] = reading.value
            }
        }
        guard !values.isEmpty else { return nil }
        return (
            NEWS2Score(scale: file.plan.news2Scale, scaleBy: file.plan.news2ScaleBy, values: values), newest, counted
        )
    }
}
