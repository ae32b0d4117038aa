import Alerting
import Clinical
import HTTPTypes
import Hummingbird
import HummingbirdCore
import NIOCore

/// What leads look at and do, and whoever changes a plan: the part of the page that `LeadDesk` answers.
struct LeadResponder: Sendable {
    let desk: any LeadDesk
    let pages: PageResponder

    /// Bytes of a reason.
    static let longestNote = 2000
    /// Of `/patients/{code}/…`, the forms that are this part's.
    static let patientForms: Set<String> = ["plan", "sharing"]

    /// Nil for what is not this part's.
    func get(
        _ parts: [String], _ query: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response? {
        switch (parts.first, parts.count) {
        case ("service", 1): return try await service(query, request, session)
        case ("quarantine", 2): return try await quarantined(parts[1], query, request, session)
        case ("packs", 1): return try await packs(query, request, session)
        case ("audit", 1): return try await audit(query, request, session)
        case ("patients", 3):
            guard let code = Identifier(parts[1]) else { return nil }
            switch parts[2] {
            case "plan": return try await plan(of: code, query, request, session)
            case "sharing": return try await sharing(of: code, query, request, session)
            case "data.csv": return try await export(code, request, session)
            default: return nil
            }
        default: return nil
        }
    }

    /// The form's token has been looked at.
    func post(
        _ parts: [String], _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response? {
        switch (parts.first, parts.count) {
        case ("quarantine", 2) where form["do"] == "pair": return try await pair(parts[1], form, request, session)
        case ("quarantine", 2): return try await release(parts[1], form, request, session)
        case ("packs", 2) where form["do"] == "retire": return try await retire(parts[1], form, request, session)
        case ("packs", 2): return try await approve(parts[1], form, request, session)
        case ("patients", 3):
            guard let code = Identifier(parts[1]) else { return nil }
            switch parts[2] {
            case "plan": return try await change(PlanForm(patient: code, form: form), request, session)
            case "sharing": return try await share(code, form, request, session)
            default: return nil
            }
        default: return nil
        }
    }

    private static func done(_ query: WebForm?, _ words: [String: String]) -> PatientPage.Notice? {
        query?["done"].flatMap { words[$0] }.map { PatientPage.Notice(words: $0, isBad: false) }
    }

    private static func refusal(_ words: String) -> PatientPage.Notice {
        .init(words: "Not done: \(words).", isBad: true)
    }

    /// Nil where there is none, or one that is too long.
    private static func note(_ name: String, of form: WebForm) -> String? {
        form[name].flatMap { $0.utf8.count <= longestNote ? $0 : nil }
    }

    // MARK: Service

    private func service(
        _ query: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        let search = QuarantineSearch(
            reason: query["reason"].flatMap(RefusalReason.init(rawValue:)),
            before: query["before"].flatMap { Int64($0) })
        let sight = try await desk.service(search, session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        return pages.html(ServicePage(file: file, form: SessionCookie.formToken(of: session)).page)
    }

    private func quarantined(
        _ id: String, _ query: WebForm?, _ request: Request, _ session: SessionToken,
        notice: PatientPage.Notice? = nil, again: WebForm? = nil, status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        guard let id = Int64(id) else { return pages.notThere }
        let sight = try await desk.quarantined(id, session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        let done = Self.done(
            query,
            [
                "released": "Released: the daemon takes it in within seconds.",
                "paired": "Paired. Now release the report.",
            ])
        let page = QuarantinePage(
            file: file, form: SessionCookie.formToken(of: session), notice: notice ?? done, again: again)
        return pages.html(page.page, status: status)
    }

    private func pair(
        _ id: String, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let number = Int64(id), let once = form["once"].flatMap({ FormID($0) }) else { return pages.notThere }
        func again(_ words: String, _ status: HTTPResponse.Status) async throws(CareDeskUnavailable) -> Response {
            try await quarantined(id, nil, request, session, notice: Self.refusal(words), again: form, status: status)
        }
        guard let patient = form["patient"].flatMap({ Identifier($0) }) else {
            return try await again("say whose reader it was, by the patient's code", .unprocessableContent)
        }
        guard let from = form["from"], PatientActionForm.isLocalTime(from) else {
            return try await again("say from when it was theirs", .unprocessableContent)
        }
        guard let reason = Self.note("reason", of: form) else {
            return try await again("say how you know", .unprocessableContent)
        }
        let wanted = PairingRequest(form: once, quarantined: number, patient: patient, from: from, reason: reason)
        switch try await desk.pair(wanted, session) {
        case .signedOut: return pages.missing(DeskAnswer<PatientActionOutcome>.signedOut, request)
        case .notThere: return try await again("there is no such patient at your site", .unprocessableContent)
        case .seen(.refused(let words)): return try await again(words, .conflict)
        case .seen: return pages.redirect(Place("quarantine", id, query: [("done", "paired")]))
        }
    }

    private func release(
        _ id: String, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let number = Int64(id), form["do"] == "release" else { return pages.notThere }
        guard let note = Self.note("note", of: form) else {
            return try await quarantined(
                id, nil, request, session, notice: Self.refusal("say why"), status: .unprocessableContent)
        }
        let sight = try await desk.release(number, note: note, session)
        guard case .seen(let refusal) = sight else { return pages.missing(sight, request) }
        guard let refusal else { return pages.redirect(Place("quarantine", id, query: [("done", "released")])) }
        return try await quarantined(
            id, nil, request, session, notice: Self.refusal(refusal.rawValue), status: .conflict)
    }

    // MARK: Plans

    private func plan(
        of code: Identifier, _ query: WebForm?, _ request: Request, _ session: SessionToken,
        notice: PatientPage.Notice? = nil, typed: PlanPage.Typed? = nil, status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.plan(of: code, session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        let done = Self.done(query, ["changed": "The plan is changed. It judges every report received from now on."])
        let page = PlanPage(file, form: SessionCookie.formToken(of: session), notice: notice ?? done, typed: typed)
        return pages.html(page.page, status: status)
    }

    private func change(
        _ form: PlanForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let wanted = form.request else { return pages.notThere }
        var faults = form.faults
        if faults.isEmpty {
            let sight = try await desk.change(wanted, session)
            guard let outcome = pages.seen(sight) else { return pages.missing(sight, request) }
            switch outcome {
            case .changed:
                return pages.redirect(
                    Place("patients", wanted.patient.description, "plan", query: [("done", "changed")]))
            case .movedOn:
                let typed = PlanWords.line(wanted.field.rawValue, wanted.value)
                let words =
                    "another changed it since you looked: see the newest version, and do it again where it is still right"
                    + (typed.isEmpty ? "" : ". You had typed: \(typed)")
                return try await plan(
                    of: wanted.patient, nil, request, session, notice: Self.refusal(words), status: .conflict)
            case .refused(let found): faults = found
            }
        }
        let typed = PlanPage.Typed(field: wanted.field, part: wanted.part, form: form.form, faults: faults)
        return try await plan(
            of: wanted.patient, nil, request, session,
            notice: Self.refusal(
                "\(faults.first?.words ?? "it was refused")\(faults.count > 1 ? ", and \(faults.count - 1) more" : "")"),
            typed: typed, status: .unprocessableContent)
    }

    // MARK: Packs

    private func packs(
        _ query: WebForm?, _ request: Request, _ session: SessionToken, notice: PatientPage.Notice? = nil,
        status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.packs(session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        let done = Self.done(
            query,
            [
                "approved": "Approved, and in force from now on.",
                "retired": "Retired: its rules judge nothing that comes from now on. Alerts of them that are open stay "
                    + "open until somebody deals with them.",
            ])
        let page = PacksPage(file, form: SessionCookie.formToken(of: session), notice: notice ?? done)
        return pages.html(page.page, status: status)
    }

    private func approve(
        _ pack: String, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let hash = form["hash"].flatMap(Self.bytes), hash.count == 32 else { return pages.notThere }
        guard let note = Self.note("note", of: form) else {
            return try await packs(
                nil, request, session, notice: Self.refusal("say on what ground"), status: .unprocessableContent)
        }
        let sight = try await desk.approve(pack, hash: hash, note: note, session)
        guard case .seen(let refusal) = sight else { return pages.missing(sight, request) }
        guard let refusal else { return pages.redirect(Place("packs", query: [("done", "approved")])) }
        let notice =
            refusal.isApproved
            ? PatientPage.Notice(words: "Approved, but \(refusal.rawValue).", isBad: true)
            : Self.refusal(refusal.rawValue)
        return try await packs(nil, request, session, notice: notice, status: .conflict)
    }

    private func retire(
        _ pack: String, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let reason = Self.note("reason", of: form) else {
            return try await packs(
                nil, request, session, notice: Self.refusal("say why"), status: .unprocessableContent)
        }
        let sight = try await desk.retire(pack, reason: reason, session)
        guard case .seen(let refusal) = sight else { return pages.missing(sight, request) }
        guard let refusal else { return pages.redirect(Place("packs", query: [("done", "retired")])) }
        let notice =
            refusal == .notYet
            ? PatientPage.Notice(words: "Retired, but \(refusal.words).", isBad: true) : Self.refusal(refusal.words)
        return try await packs(nil, request, session, notice: notice, status: .conflict)
    }

    private static func bytes(of text: String) -> [UInt8]? {
        let digits = text.utf8.map { WebForm.digit($0) }
        guard digits.count.isMultiple(of: 2), !digits.contains(nil) else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map { (digits[$0] ?? 0) << 4 | (digits[$0 + 1] ?? 0) }
    }

    // MARK: Who may see, and who looked

    private func sharing(
        of code: Identifier, _ query: WebForm?, _ request: Request, _ session: SessionToken,
        notice: PatientPage.Notice? = nil, status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.sharing(of: code, session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        let done = Self.done(
            query,
            ["added": "Selected: this patient can be seen from now on.", "ended": "Ended: nothing is seen any more."])
        let page = SharingPage(file, form: SessionCookie.formToken(of: session), notice: notice ?? done)
        return pages.html(page.page, status: status)
    }

    private func share(
        _ code: Identifier, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        let sight: DeskAnswer<Bool>
        switch form["do"] {
        case "add":
            guard let who = form["who"].flatMap({ Identifier($0) }) else { return pages.notThere }
            guard let word = Self.note("word", of: form) else { return try await unsaid(code, request, session) }
            sight = try await desk.share(code, with: who, word: word, session)
        case "end":
            guard let row = form["row"].flatMap({ Int64($0) }) else { return pages.notThere }
            guard let reason = Self.note("reason", of: form) else { return try await unsaid(code, request, session) }
            sight = try await desk.endSharing(row, of: code, reason: reason, session)
        default: return pages.notThere
        }
        guard let isDone = pages.seen(sight) else { return pages.missing(sight, request) }
        guard isDone else {
            return try await sharing(
                of: code, nil, request, session, notice: Self.refusal("it was done already, or can't be"),
                status: .conflict)
        }
        return pages.redirect(
            Place(
                "patients", code.description, "sharing",
                query: [("done", form["do"] == "add" ? "added" : "ended")]))
    }

    private func unsaid(
        _ code: Identifier, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        try await sharing(
            of: code, nil, request, session, notice: Self.refusal("say on whose word, or why"),
            status: .unprocessableContent)
    }

    private func audit(
        _ query: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        var search = AuditSearch(
            patient: query["patient"].flatMap { Identifier($0) }, careManager: query["who"].flatMap { Identifier($0) },
            from: query["from"].flatMap(Self.day), until: query["until"].flatMap(Self.day))
        search.before = query["before"].flatMap { Int64($0) }
        // What can't be searched for finds nobody, rather than everybody.
        guard
            [
                query["patient"] == nil || search.patient != nil, query["who"] == nil || search.careManager != nil,
                query["from"] == nil || search.from != nil, query["until"] == nil || search.until != nil,
                query["before"] == nil || search.before != nil,
            ].allSatisfy({ $0 })
        else { return pages.notThere }
        let sight = try await desk.searchAudit(search, session)
        guard let file = pages.seen(sight) else { return pages.missing(sight, request) }
        return pages.html(AuditPage(file, search, form: SessionCookie.formToken(of: session)).page)
    }

    /// `2026-11-23`, as browsers send a date.
    private static func day(_ text: String) -> CalendarDate? {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
        guard parts.count == 3, text.utf8.count == 10, let year = parts[0], let month = parts[1], let day = parts[2]
        else { return nil }
        return CalendarDate(year: year, month: month, day: day)
    }

    // MARK: A patient's own data

    /// Streamed: a long record is never whole in memory. Where the database goes away meanwhile the download breaks off, and
    /// a browser says so.
    private func export(
        _ code: Identifier, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.export(code, after: nil, session)
        guard let first = pages.seen(sight) else { return pages.missing(sight, request) }
        var headers = pages.headers("text/csv; charset=utf-8")
        headers[.contentDisposition] = "attachment; filename=\"\(code).csv\""
        let body = ResponseBody { [desk] writer in
            try await writer.write(ByteBuffer(string: first.lines))
            var next = first.next
            while let place = next {
                guard case .seen(let part) = try await desk.export(code, after: place, session) else {
                    throw ExportEnded()
                }
                if !part.lines.isEmpty { try await writer.write(ByteBuffer(string: part.lines)) }
                next = part.next
            }
            try await writer.finish(nil)
        }
        return Response(status: .ok, headers: headers, body: body)
    }

    /// The session ended, or the patient is no longer theirs to see.
    private struct ExportEnded: Error {}
}
