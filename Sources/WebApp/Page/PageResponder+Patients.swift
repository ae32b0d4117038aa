import Alerting
import Clinical
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Registry

/// What is done about patients, and about many alerts at once.
extension PageResponder {
    func patientAction(
        _ patientCode: String, _ what: String, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let code = Identifier(patientCode), PatientActionForm.names.contains(what) else { return notThere }
        let action: PatientAction
        let once: FormID
        do throws(PatientActionForm.Fault) {
            (action, once) = try PatientActionForm.action(what, form)
        } catch {
            return try await again(code, form, request, session, error.words, .unprocessableContent)
        }
        let sight = try await desk.perform(action, of: code, form: once, session)
        guard let outcome = seen(sight) else { return missing(sight, request) }
        switch outcome {
        case .done: return redirect(Place("patients", code.description, query: [("done", what)]))
        case .doneBefore: return redirect(Place("patients", code.description, query: [("done", "before")]))
        case .waiting: return redirect(Place("patients", code.description, query: [("done", "\(what)-wait")]))
        case .refused(let words): return try await again(code, form, request, session, words, .conflict)
        }
    }

    /// The page again, with what was typed.
    private func again(
        _ code: Identifier, _ form: WebForm, _ request: Request, _ session: SessionToken, _ words: String,
        _ status: HTTPResponse.Status
    ) async throws(CareDeskUnavailable) -> Response {
        let notice = PatientPage.Notice(words: "Not done: \(words).", isBad: true)
        return try await patient(code, nil, request, session, notice: notice, again: form, status: status)
    }

    // MARK: Alerts

    func history(
        _ id: AlertID, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        let before = form["before"].flatMap { Int32($0) }
        if form["before"] != nil, before == nil { return notThere }
        let sight = try await desk.history(of: id, before: before, session)
        guard let history = seen(sight) else { return missing(sight, request) }
        let time = PageTime(now: wallClock(), timeZone: history.viewer.timeZone)
        return html(
            AlertHistoryPage(history: history, form: SessionCookie.formToken(of: session), time: time).page)
    }

    func minor(
        _ request: Request, _ session: SessionToken, notice: PatientPage.Notice?
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.minorAlerts(session)
        guard let (viewer, episodes) = seen(sight) else { return missing(sight, request) }
        let time = PageTime(now: wallClock(), timeZone: viewer.timeZone)
        return html(
            MinorAlertsPage(
                episodes: episodes, viewer: viewer, form: SessionCookie.formToken(of: session), time: time,
                notice: notice
            ).page)
    }

    func acknowledgeMinor(
        _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        var refused = 0
        for (id, seen) in MinorAlertsPage.chosen(form) {
            let sight = try await desk.act(
                AlertRequest(alert: id, verb: .acknowledgeMinor, note: nil, seen: seen), session)
            guard let result = self.seen(sight) else { return missing(sight, request) }
            // Sent twice: it is done all the same.
            if case .failure(let refusal) = result, refusal != .alreadyAcknowledged { refused += 1 }
        }
        return redirect(Place("minor", query: [("done", refused == 0 ? "minor" : "minor-some")]))
    }
}

/// A form about a patient -> what is to be done.
enum PatientActionForm {
    /// For the person: what the form lacks.
    struct Fault: Error {
        var words: String
    }

    static let names: Set<String> = [
        "calls", "reviews", "follow-ups", "follow-ups-done", "readings", "pauses", "pauses-end", "discharge",
        "take-back", "readers",
    ]

    static func action(_ what: String, _ form: WebForm) throws(Fault) -> (PatientAction, FormID) {
        guard let once = form["once"].flatMap(FormID.init) else {
            throw Fault(words: "the form is out of date; load the page again")
        }
        let note = try text(form, "note", longest: 1000)
        switch what {
        case "calls":
            guard let outcome = form["outcome"].flatMap(CallOutcome.init(rawValue:)) else {
                throw Fault(words: "say what came of the call")
            }
            return (.call(outcome, note: note), once)
        case "reviews": return (.review(note: note), once)
        case "follow-ups":
            guard let note else { throw Fault(words: "say what the follow-up is for") }
            guard let due = form["due"], isLocalTime(due) else { throw Fault(words: "say when to come back") }
            return (.followUp(due: due, note: note), once)
        case "follow-ups-done":
            guard let of = form["of"].flatMap(FormID.init) else { throw Fault(words: "there is no such follow-up") }
            return (.followedUp(of, note: note), once)
        case "readings": return (.typeIn(try readings(form)), once)
        case "pauses":
            guard let from = date(form["from"]), let until = date(form["until"]) else {
                throw Fault(words: "say from which day until which")
            }
            return (.pause(from: from, until: until, reason: try reason(form)), once)
        case "pauses-end":
            let days = form["pause"]?.split(separator: "/", omittingEmptySubsequences: false) ?? []
            guard days.count == 2, let from = date(String(days[0])), let until = date(String(days[1])) else {
                throw Fault(words: "say which pause")
            }
            return (.endPause(from: from, until: until, reason: try reason(form)), once)
        case "discharge":
            guard let because = form["because"].flatMap(Discharge.Cause.init(rawValue:)), form["sure"] != nil else {
                throw Fault(words: "say whether they are discharged or have died, and that this patient is meant")
            }
            return (.discharge(because, reason: try reason(form)), once)
        case "take-back": return (.takeBack(reason: try reason(form)), once)
        default:
            guard let new = form["new"].flatMap({ Identifier($0) }) else {
                throw Fault(words: "the new reader's code has 1 to 64 letters, digits, - and _")
            }
            let old = try form["old"].map { text throws(Fault) in
                guard let code = Identifier(text) else { throw Fault(words: "there is no such reader") }
                return code
            }
            // Said of the code that was sent before: another one is asked about anew.
            let isNewHere = form["new-here"] == new.description
            return (.replaceReader(old: old, new: new, isNewHere: isNewHere, reason: try reason(form)), once)
        }
    }

    private static func text(_ form: WebForm, _ name: String, longest: Int) throws(Fault) -> String? {
        guard let text = form[name] else { return nil }
        guard text.unicodeScalars.count <= longest else { throw Fault(words: "\(name): at most \(longest) characters") }
        return text
    }

    private static func reason(_ form: WebForm) throws(Fault) -> String {
        guard let reason = try text(form, "reason", longest: 500) else { throw Fault(words: "say why") }
        return reason
    }

    private static func readings(_ form: WebForm) throws(Fault) -> TypedReadings {
        guard let source = form["source"].flatMap(TypedReadings.Source.init(rawValue:)) else {
            throw Fault(words: "say whose word it is")
        }
        if let at = form["at"], !isLocalTime(at) { throw Fault(words: "the time when it was taken can't be read") }
        var values: [TypedReadings.Value] = []
        for kind in PatientForms.typed {
            guard let text = try text(form, "value-\(kind.code)", longest: 12) else { continue }
            let unit = form["unit-\(kind.code)"]
            if let unit, UCUMUnit(code: unit).map({ kind.takes($0) }) != true {
                throw Fault(words: "\(kind.name): there is no such unit")
            }
            if kind.isCoded, !kind.codes.contains(text) { throw Fault(words: "\(kind.name): there is no such code") }
            values.append(TypedReadings.Value(kind: kind, text: text, unit: kind.isCoded ? nil : unit))
        }
        guard !values.isEmpty else { throw Fault(words: "type in a value") }
        return TypedReadings(source: source, takenAt: form["at"], values: values)
    }

    /// `2026-11-24`
    static func date(_ text: String?) -> CalendarDate? {
        guard let text, text.utf8.count == 10 else { return nil }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { digits($0) }
        guard parts.count == 3, let year = parts[0], let month = parts[1], let day = parts[2] else { return nil }
        return CalendarDate(year: year, month: month, day: day)
    }

    /// `2026-11-24T09:00`, of a day and an hour that there are.
    static func isLocalTime(_ text: String) -> Bool {
        let parts = text.split(separator: "T", omittingEmptySubsequences: false)
        guard parts.count == 2, date(String(parts[0])) != nil, parts[1].utf8.count == 5 else { return false }
        let clock = parts[1].split(separator: ":", omittingEmptySubsequences: false).map { digits($0) }
        guard clock.count == 2, let hour = clock[0], let minute = clock[1] else { return false }
        return (0...23).contains(hour) && (0...59).contains(minute)
    }

    private static func digits(_ text: Substring) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }
}
