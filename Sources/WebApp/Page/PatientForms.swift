import Alerting
import Clinical
import Registry

/// What can be done about a patient: each a form that is sent once, however often it is sent.
struct PatientForms {
    let file: PatientFile
    let form: String
    /// What was typed before and refused.
    let again: WebForm?
    let time: PageTime

    private var patient: Patient { file.patient }
    private var code: String { patient.code.description }
    private var siteTime: PageTime { PageTime(now: file.at, timeZone: file.viewer.timeZone) }
    private var isOver: Bool { patient.discharge != nil }

    /// Nothing for those who may only look.
    @HTMLBuilder var part: HTML {
        if file.viewer.mayAct {
            element("section", .class("card"), .id("do")) {
                element("h2") { "Do" }
                element("div", .class("actions")) {
                    call
                    if !isOver { typeIn }
                    review
                    followUp
                    if !isOver {
                        replaceReader
                        pause
                        endPause
                    }
                    end
                }
            }
        }
    }

    /// A form behind a summary; open when it comes back with what was refused.
    private func act(
        _ words: String, _ path: String, _ button: String, @HTMLBuilder _ content: () -> HTML
    ) -> HTML {
        element("details", .class("act"), .id("do-\(path)"), again?["what"] == path ? .open : nil) {
            element("summary") { words }
            Self.post(Place("patients", code, path), form: form) {
                element("input", .type("hidden"), .name("what"), .value(path))
                content()
                element("button", .type("submit"), .class("primary")) { button }
            }
        }
    }

    /// With a number of its own: sent twice it does one thing.
    static func post(_ place: Place, form: String, @HTMLBuilder _ content: () -> HTML) -> HTML {
        element("form", .method("post"), .action(place)) {
            PageFrame.formToken(form)
            element("input", .type("hidden"), .name("once"), .value(FormID().description))
            content()
        }
    }

    private func kept(_ path: String, _ name: String) -> String { again?["what"] == path ? again?[name] ?? "" : "" }

    private func isKept(_ path: String, _ name: String, _ value: String) -> Bool {
        again?["what"] == path && (again?[name] ?? "") == value
    }

    private func field(
        _ path: String, _ name: String, _ words: String, type: StaticString = "text", value: String? = nil,
        isRequired: Bool = true, length: Int = 500
    ) -> HTML {
        let id = "\(path)-\(name)"
        let before = kept(path, name)
        return .all([
            element("label", .for(id)) { words },
            element(
                "input", .type(type), .id(id), .name(name), .maxlength(length),
                .value(before.isEmpty ? value ?? "" : before), isRequired ? .required : nil),
        ])
    }

    private func note(_ path: String, _ words: String, isRequired: Bool) -> HTML {
        let id = "\(path)-note"
        return .all([
            element("label", .for(id)) { words },
            element(
                "textarea", .id(id), .name("note"), .rows(2), .maxlength(1000), isRequired ? .required : nil
            ) { kept(path, "note") },
        ])
    }

    private func choice(_ path: String, _ name: String, _ words: String, _ options: [(String, String)]) -> HTML {
        let id = "\(path)-\(name)"
        return .all([
            element("label", .for(id)) { words },
            element("select", .id(id), .name(name), .required) {
                for (value, words) in options {
                    element("option", .value(value), .selected(isKept(path, name, value))) { words }
                }
            },
        ])
    }

    // MARK: The forms

    private var call: HTML {
        act("Log a call", "calls", "Log it") {
            choice(
                "calls", "outcome", "What came of it",
                [
                    ("reached", "Reached"), ("no-answer", "No answer"), ("left-message", "Left a message"),
                ])
            note("calls", "Note", isRequired: false)
        }
    }

    static let typed: [Kind] = [
        .systolic, .diastolic, .pulse, .spo2, .oxygen, .respiratoryRate, .temperature, .consciousness, .weight,
        .glucose, .ketones, .peakFlow, .fev1, .inr, .catScore,
    ]

    private var typeIn: HTML {
        act("Type in a reading", "readings", "Type it in") {
            element("p", .class("small")) {
                "As it was told. It is checked and judged as a reader's is: a red raises the alert."
            }
            choice(
                "readings", "source", "Whose word it is",
                [
                    ("patient", "The patient's"), ("carer", "A carer's or relative's"),
                    ("professional", "A professional's"),
                ])
            field(
                "readings", "at", "When it was taken (left empty: now)", type: "datetime-local", isRequired: false,
                length: 32)
            element("div", .class("values")) { for kind in Self.typed { value(kind) } }
        }
    }

    @HTMLBuilder private func value(_ kind: Kind) -> HTML {
        let (name, unit) = ("value-\(kind.code)", "unit-\(kind.code)")
        element("label", .for(name)) { kind.name }
        element("span") {
            if kind.isCoded {
                element("select", .id(name), .name(name)) {
                    element("option", .value("")) { "–" }
                    for code in kind.codes {
                        element("option", .value(code), .selected(kept("readings", name) == code)) { code }
                    }
                }
            } else {
                element(
                    "input", .type("text"), .inputmode("decimal"), .id(name), .name(name), .maxlength(12),
                    .value(kept("readings", name)), .autocomplete("off"))
                if let canonical = kind.canonicalUnit {
                    // Of two that people write alike, the canonical one.
                    let others = kind.otherUnits.filter { $0.words != canonical.words }
                    if others.isEmpty {
                        element("input", .type("hidden"), .name(unit), .value(canonical.code))
                        " \(canonical.words)"
                    } else {
                        element("select", .name(unit), .aria(.label, "Unit of \(kind.name)")) {
                            for other in [canonical] + others {
                                element("option", .value(other.code), .selected(kept("readings", unit) == other.code)) {
                                    other.words
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private var review: HTML {
        act("Sign off the daily review", "reviews", "Sign it off") { note("reviews", "Note", isRequired: false) }
    }

    private var followUp: HTML {
        act("Set a follow-up", "follow-ups", "Set it") {
            field(
                "follow-ups", "due", "When, by the site's clock", type: "datetime-local",
                value: siteTime.tomorrowMorning, length: 32)
            note("follow-ups", "What for", isRequired: true)
        }
    }

    private var replaceReader: HTML {
        let own = file.devices.filter { device in
            !TypedReader.isTyped(device.code) && (device.until.map { $0 > file.at } ?? true)
        }
        return act(own.isEmpty ? "Give a reader" : "Replace a reader", "readers", "Do it now") {
            if !own.isEmpty {
                choice(
                    "readers", "old", "The old one, which is theirs until now",
                    own.map { ($0.code.description, $0.code.description) } + [("", "none: a further one is given")])
            }
            field("readers", "new", "The new one's code", length: 64)
            let typed = kept("readers", "new")
            if !typed.isEmpty {
                element("label", .class("choice")) {
                    element("input", .type("checkbox"), .name("new-here"), .value(typed))
                    " "
                    element("bdi") { typed }
                    " is right, and new here"
                }
            }
            field("readers", "reason", "Why")
        }
    }

    private var pause: HTML {
        act("Pause", "pauses", "Pause") {
            element("p", .class("small")) { "No reading is expected on these days; what comes is judged all the same." }
            field("pauses", "from", "From", type: "date", value: time.isoDay(file.at), length: 10)
            field("pauses", "until", "Until, that day too", type: "date", length: 10)
            field("pauses", "reason", "Why")
        }
    }

    @HTMLBuilder private var endPause: HTML {
        let left = patient.pausesLeft(at: file.at)
        if !left.isEmpty {
            act("End the pause", "pauses-end", "Expect readings again") {
                element("p", .class("small")) {
                    "From now on what the schedule asks for is due again; a window that is open already is not."
                }
                choice(
                    "pauses-end", "pause", "Which one",
                    left.map { ("\($0.from)/\($0.until)", PlanWords.words($0)) })
                field("pauses-end", "reason", "Why")
            }
        }
    }

    @HTMLBuilder private var end: HTML {
        if isOver {
            act("Take the discharge back", "take-back", "They are monitored") {
                element("p", .class("small")) { "The schedule and the reader are not brought back: give both anew." }
                field("take-back", "reason", "Why")
            }
        } else {
            act("Discharge or death", "discharge", "End the monitoring") {
                element("p", .class("small")) {
                    "Ends the schedule and the pairings now: no reading is expected, and what their readers send from now "
                    "on is nobody's. Open alerts stay until somebody deals with them."
                }
                choice(
                    "discharge", "because", "They", [("discharged", "are discharged"), ("died", "have died")])
                field("discharge", "reason", "Why, or how it is known")
                element("label", .class("choice")) {
                    element("input", .type("checkbox"), .name("sure"), .value("yes"), .required)
                    " I mean this patient"
                }
            }
        }
    }
}
