import Alerting
import Clinical
import Registry

/// Everything about one patient that somebody needs who is about to telephone.
struct PatientPage {
    static let spans = [7, 30, 90]

    let file: PatientFile
    let form: String
    /// What has just been done, or why it was not.
    let notice: Notice?
    /// What was typed and refused, so that nobody types it twice.
    let again: WebForm?
    private let time: PageTime

    init(_ file: PatientFile, form: String, notice: Notice?, again: WebForm? = nil) {
        self.again = again
        self.file = file
        self.form = form
        self.notice = notice
        time = PageTime(now: file.at, timeZone: file.patient.profile.timeZone)
    }

    private var patient: Patient { file.patient }
    private var code: String { patient.code.description }
    private var name: String { patient.details.name ?? code }

    var page: HTML {
        PageFrame.page(name, viewer: file.viewer, form: form) {
            PatientHeading(file: file, time: time).part
            if let notice {
                element("p", .class(notice.isBad ? "notice bad" : "notice"), .role(notice.isBad ? "alert" : "status")) {
                    notice.told(time, file.team)
                }
            }
            // One below the other where it is narrow: whom to ring before the charts.
            element("div", .class("columns patient")) {
                element("div", .class("first")) {
                    alerts
                    PatientForms(file: file, form: form, again: again, time: time).part
                    history.waiting
                }
                element("aside") {
                    contact
                    NEWS2Card(file: file, time: time).part
                    plan
                    devices
                    answers
                    history.done
                }
                element("div", .class("second")) {
                    charts
                    readings
                }
            }
        }
    }

    private var history: PatientHistory { PatientHistory(file: file, form: form, time: time) }

    private var alerts: HTML {
        let shown = file.alerts.filter { $0.episode.state != .resolved || $0.episode.acknowledgedAt == nil }
        let past = file.alerts.filter { $0.episode.state == .resolved && $0.episode.acknowledgedAt != nil }
        return element("section") {
            element("h2") { "Alerts" }
            if shown.isEmpty { element("p", .class("empty")) { "None to deal with." } }
            for alert in shown { part(alert) }
            if !past.isEmpty {
                element("details") {
                    element("summary") { "\(past.count) resolved in \(file.days) days" }
                    for alert in past { part(alert) }
                }
            }
        }
    }

    private func part(_ alert: AlertFile) -> HTML {
        AlertPart(file: alert, viewer: file.viewer, form: form, time: time, team: file.team).part
    }

    // MARK: Charts and readings

    private var charts: HTML {
        let start = file.at - .days(Int64(file.days))
        let byKind = Dictionary(grouping: file.readings, by: \.kind)
        let alerts = file.alerts.map { (episode: $0.episode, kinds: AlertInputs.kinds(of: $0)) }
        let marks = Dictionary(
            uniqueKeysWithValues: byKind.keys.map { kind in
                (kind, alerts.filter { isAbout($0.episode, $0.kinds, kind) }.map { mark($0.episode) })
            })
        // What there are alerts of comes first.
        let kinds = byKind.keys.filter { !$0.isCoded }.map {
            (kind: $0, isCalm: marks[$0, default: []].isEmpty ? 1 : 0)
        }
        .sorted { ($0.isCalm, $0.kind.rawValue) < ($1.isCalm, $1.kind.rawValue) }.map(\.kind)
        return element("section") {
            element("div", .class("bar")) {
                element("h2") { "Charts" }
                element("nav", .class("spans"), .aria(.label, "How far back")) {
                    for days in Self.spans {
                        element(
                            "a", .href(Place("patients", code, query: [("days", "\(days)")])),
                            days == file.days ? .aria(.current, "true") : nil
                        ) { "\(days) days" }
                    }
                }
            }
            if kinds.isEmpty { element("p", .class("empty")) { "No readings in \(file.days) days." } }
            if let from = file.readingsFrom {
                element("p", .class("notice bad"), .role("status")) {
                    "Not all readings are shown: those taken before \(time.short(from)) are left out, there are too many."
                }
            }
            for kind in kinds {
                Chart(
                    kind: kind, readings: byKind[kind] ?? [],
                    spans: BandSpans.of(
                        kind, file.pastPlans, now: file.plan, file.readings, from: start, until: file.at),
                    marks: marks[kind, default: []], start: start, time: time
                ).part
            }
            if !kinds.isEmpty { legend }
        }
    }

    private var legend: HTML {
        element("p", .class("small")) {
            "Bands are the patient's limits as they were at each time, by the packs in force then. A disc is a reading, a "
            "larger ring one that came late, a diamond one that was typed in, an open square a suspect one, a cross "
            "one entered in error; a triangle on a line is an alert. Where there are more readings than there is "
            "room, the lowest and the highest of each kind of point stand for the others."
            if let until = end(of: .notApproved) { " Until \(time.short(until)) the limits were not approved here." }
            if let until = end(of: .notKnown) {
                " Until \(time.short(until)) it is not known for certain which packs were in force: bands from before are "
                "by those known first, or by those of now."
            }
            if let from = file.limitsFrom {
                " The limits changed too often to show all: there are no bands before \(time.short(from))."
            }
        }
    }

    /// When limits of that standing last gave way to others.
    private func end(of standing: PastPlan.Packs) -> Instant? {
        guard let last = file.pastPlans.lastIndex(where: { $0.packs == standing }) else { return nil }
        return last + 1 < file.pastPlans.count ? file.pastPlans[last + 1].from : file.at
    }

    private func mark(_ episode: Episode) -> Chart.Mark {
        Chart.Mark(
            at: episode.raisedAt, severity: episode.severity,
            words: "\(episode.severity.rawValue), \(time.short(episode.raisedAt)): \(episode.summary)")
    }

    /// By its rule's name, or by what its explanation says it was judged from.
    private func isAbout(_ episode: Episode, _ kinds: Set<Kind>, _ kind: Kind) -> Bool {
        episode.rule.hasPrefix(kind.code + "-") || kinds.contains(kind)
    }

    private var readings: HTML {
        let latest = file.readings.reversed().prefix(60)
        return element("section") {
            element("details", .class("card")) {
                element("summary") { latest.count == 1 ? "The last reading" : "The last \(latest.count) readings" }
                element("table", .class("readings")) {
                    element("thead") {
                        element("tr") {
                            for head in ["Taken", "Kind", "Value", "As sent", "Remarks"] {
                                element("th", .scope("col")) { head }
                            }
                        }
                    }
                    element("tbody") { for reading in latest { line(reading) } }
                }
            }
        }
    }

    private func line(_ reading: ChartReading) -> HTML {
        element("tr", .class(reading.correction == nil ? "reading" : "reading wrong")) {
            element("td") { time.short(reading.takenAt) }
            element("td") { reading.kind.name }
            element("td") {
                reading.code ?? Signs.number(reading.value, reading.kind)
                if let unit = reading.kind.canonicalUnit?.words { " \(unit)" }
            }
            element("td") {
                if reading.code == nil { "\(Signs.sent(reading.valueSent)) \(reading.unitSent ?? "")" }
            }
            element("td") {
                if reading.isSuspect { element("span", .class("tag")) { "Suspect" } }
                if reading.isLate { element("span", .class("tag plain")) { "Late" } }
                if let typed = reading.typed {
                    element("span", .class("tag plain")) { "Typed in" }
                    element("bdi") { typed }
                }
                if let correction = reading.correction {
                    element("span") { "Entered in error (\(correction))" }
                } else if file.viewer.mayAct {
                    correctionForm(reading)
                }
            }
        }
    }

    private func correctionForm(_ reading: ChartReading) -> HTML {
        let id = "reason-\(reading.key.device)-\(reading.key.report)-\(reading.place)"
        return element("details", .class("act")) {
            element("summary") { "Entered in error" }
            element("form", .method("post"), .action(Place("patients", code, "corrections"))) {
                PageFrame.formToken(form)
                element("input", .type("hidden"), .name("device"), .value(reading.key.device.description))
                element("input", .type("hidden"), .name("report"), .value(reading.key.report.description))
                element("input", .type("hidden"), .name("reading"), .value("\(reading.place)"))
                element("label", .for(id)) { "Why" }
                element("input", .type("text"), .id(id), .name("reason"), .maxlength(500), .required)
                element("button", .type("submit")) { "Mark it" }
            }
        }
    }

    // MARK: Beside

    private var contact: HTML {
        let details = patient.details
        return element("section", .class("card")) {
            element("h2") { "Contact" }
            facts([
                ("Telephone", details.phone ?? "not known"), ("Prefers", details.contactPreference),
                ("Next of kin", details.nextOfKin),
                ("GP practice", details.gpPractice), ("Language", details.language),
                ("NHS number", details.nhsNumber.map(Self.grouped)),
                ("Born", patient.profile.born.map(\.description)),
                ("Key worker", patient.keyWorker.map { file.team[$0] ?? $0.description } ?? "nobody"),
            ])
        }
    }

    /// 999 000 0018
    static func grouped(_ number: String) -> String {
        guard number.utf8.count == 10 else { return number }
        return "\(number.prefix(3)) \(number.dropFirst(3).prefix(3)) \(number.suffix(4))"
    }

    private func facts(_ rows: [(String, String?)]) -> HTML {
        element("dl", .class("facts")) {
            for (name, value) in rows {
                if let value {
                    element("dt") { name }
                    element("dd") { element("bdi") { value } }
                }
            }
        }
    }

    private var plan: HTML {
        element("section", .class("card")) {
            element("h2") { "Plan" }
            facts([
                (
                    "Conditions",
                    patient.profile.conditions.isEmpty
                        ? "none named" : patient.profile.conditions.joined(separator: ", ")
                ),
                ("NEWS2 scale", "\(patient.profile.news2Scale)"),
            ])
            let pauses = patient.pausesLeft(at: file.at)
            if !pauses.isEmpty {
                element("h3") { "Paused" }
                element("ul", .class("plain")) {
                    for pause in pauses { element("li") { element("bdi") { PlanWords.words(pause) } } }
                }
            }
            if !patient.schedule.isEmpty {
                element("h3") { "Due" }
                element("ul", .class("plain")) {
                    for slot in patient.schedule { element("li") { Self.words(slot) } }
                }
            }
            element("details") {
                element("summary") { "Limits in force" }
                LimitsInForce.table(file.plan, at: file.at)
            }
        }
    }

    private static func words(_ slot: ScheduleSlot) -> String {
        let days =
            slot.days.count == 7
            ? "every day" : Weekday.allCases.filter(slot.days.contains).map(\.rawValue).joined(separator: ", ")
        let minutes = slot.due % 60
        return slot.kinds.map(\.name).joined(separator: ", ")
            + " at \(slot.due / 60):\(minutes < 10 ? "0" : "")\(minutes), \(days)"
    }

    private var devices: HTML {
        element("section", .class("card")) {
            element("h2") { "Readers" }
            if file.devices.allSatisfy({ TypedReader.isTyped($0.code) }) { element("p", .class("empty")) { "None." } }
            for device in file.devices where !TypedReader.isTyped(device.code) {
                element("h3") {
                    element("bdi") { device.code.description }
                    if let until = device.until, until <= file.at { element("span", .class("tag plain")) { "Before" } }
                }
                facts([
                    ("Connection", device.isOnline.map { $0 ? "online" : "offline" } ?? "has said nothing"),
                    ("Battery", device.battery.map { "\(Int(exactly: $0.rounded()) ?? 0) %" }),
                    ("Firmware", device.firmware), ("Heard", device.heardAt.map(time.short)),
                    (
                        "Paired",
                        "since \(time.day(device.from))" + (device.until.map { " until \(time.day($0))" } ?? "")
                    ),
                ])
            }
        }
    }

    private var answers: HTML {
        guard !file.answers.isEmpty else { return .nothing }
        return element("section", .class("card")) {
            element("h2") { "Answers" }
            element("ul", .class("plain")) {
                for answer in file.answers.prefix(8) {
                    element("li") {
                        "\(time.short(answer.takenAt)): "
                        element("bdi") { answer.question.replacing("-", with: " ") }
                        ": "
                        element("bdi") {
                            answer.value == "true" ? "yes" : answer.value == "false" ? "no" : answer.value
                        }
                    }
                }
            }
        }
    }
}
