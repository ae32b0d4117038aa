import Alerting
import Clinical
import HTTPTypes
import Hummingbird
import HummingbirdCore
import Instruments
import Logging
import NIOCore
import Synchronization

/// Answers everything that people ask for: signs them in, shows them what the desk lets them see, and takes what they do.
///
/// It holds nothing of its own but the count of open event streams and of attempts to sign in: sessions, rights and data
/// are the desk's.
struct PageResponder: Sendable {
    let desk: any CareDesk
    var leads: (any LeadDesk)?
    let cookie: SessionCookie
    /// `https://host:port`, from where forms may come besides the host that the request names.
    let origin: String
    let logger: Logger
    let streams = StreamCount()
    let limit = SignInLimit()
    private let complaints = RepeatedWords()

    /// A form is short; what says to be longer is refused unread.
    static let formLimit = 16 * 1024
    private static let noForm = "no form, or one that is too long"
    private static let formTime = Duration.seconds(10)

    func respond(to request: Request, context: WebContext) async throws -> Response {
        var response = await answer(to: request, context)
        // What is left of its body is not waited for.
        if response.status == .methodNotAllowed || request.method == .post && response.status.code >= 400 {
            response.headers[.connection] = "close"
            let body = response.body
            let channel = context.channel
            response.body = ResponseBody { writer in
                try await body.write(writer)
                channel.close(promise: nil)
            }
        }
        return response
    }

    private func answer(to request: Request, _ context: WebContext) async -> Response {
        let parts = request.uri.path.split(separator: "/", omittingEmptySubsequences: true).map(String.init)
        do throws(CareDeskUnavailable) {
            switch (request.method, parts.first, parts.count) {
            case (.get, "assets", 2): return asset(parts[1])
            case (.head, "assets", 2): return asset(parts[1]).createHeadResponse()
            case (.get, "sign-in", 1): return signInPage(request)
            case (.post, "sign-in", 1):
                return try await signIn(request, from: SourceAddress.of(request, context.channel))
            case (.get, _, _), (.post, _, _):
                guard let session = cookie.session(in: request.headers) else {
                    if request.method == .post, isOurs(request), let form = await form(of: request) {
                        return nothingSaved(form, parts)
                    }
                    return signedOut(request)
                }
                if request.method == .post { return try await post(parts, request, session) }
                return try await get(parts, request, session)
            default:
                var answer = text(.methodNotAllowed, "GET or POST only")
                answer.headers[.allow] = "GET, POST"
                return answer
            }
        } catch {
            if case .misconfigured(let what) = error, let count = complaints.take(what) {
                logger.error("the page can't be served", metadata: ["cause": "\(what)", "count": "\(count)"])
            }
            var answer = html(
                PageFrame.message(
                    "Not now", "Homeward can't answer at the moment: \(words(error)). Alerts are still sent.",
                    isRetried: request.method == .get),
                status: .serviceUnavailable)
            answer.headers[.retryAfter] = "5"
            return answer
        }
    }

    private func words(_ unavailable: CareDeskUnavailable) -> String {
        if case .misconfigured = unavailable {
            "it is not set up for this; its log says why"
        } else {
            unavailable.description
        }
    }

    // MARK: Looking

    private func get(
        _ parts: [String], _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let form = WebForm(String(request.uri.query ?? "")) else { return notThere }
        let token = SessionCookie.formToken(of: session)
        switch (parts.first, parts.count) {
        case (nil, 0):
            let isPart = form["part"] != nil
            if let words = WorklistFilter(form).search {
                try await desk.searched(words, isActivity: form["auto"] == nil, session)
            }
            let sight = try await desk.worklist(session, isActivity: form["auto"] == nil)
            guard let list = seen(sight) else { return missing(sight, request, isPart: isPart) }
            let page = WorklistPage(list, WorklistFilter(form), form: token, notice: notice(form))
            if form["part"] == "reds" { return html(page.redsAlone, isDocument: false) }
            return isPart ? html(page.part, isDocument: false) : html(page.page)
        case ("patients", 2):
            guard let code = Identifier(parts[1]) else { return notThere }
            return try await patient(code, form, request, session, notice: notice(form))
        case ("alerts", 2):
            guard let id = AlertID(parts[1]) else { return notThere }
            return try await alert(id, request, session, notice: notice(form))
        case ("alerts", 3) where parts[2] == "history":
            guard let id = AlertID(parts[1]) else { return notThere }
            return try await history(id, form, request, session)
        case ("minor", 1): return try await minor(request, session, notice: notice(form))
        case ("events", 1): return try await events(session)
        case ("touch", 1):
            let isThere = try await desk.viewer(of: session, isActivity: true) != nil
            return isThere ? text(.ok, "signed in") : text(.unauthorized, "signed out")
        default:
            if let leads,
                let answer = try await LeadResponder(desk: leads, pages: self).get(parts, form, request, session)
            {
                return answer
            }
            guard try await desk.viewer(of: session, isActivity: false) != nil else { return signedOut(request) }
            return notThere
        }
    }

    func patient(
        _ code: Identifier, _ form: WebForm?, _ request: Request, _ session: SessionToken,
        notice: PatientPage.Notice?, again: WebForm? = nil, status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        let asked = form?["days"].flatMap { Int($0) } ?? 30
        let days = PatientPage.spans.contains(asked) ? asked : 30
        let sight = try await desk.patient(code, days: days, session)
        guard let file = seen(sight) else { return missing(sight, request) }
        let page = PatientPage(file, form: SessionCookie.formToken(of: session), notice: notice, again: again)
        return html(page.page, status: status)
    }

    /// Of a patient: on the patient's page.
    private func alert(
        _ id: AlertID, _ request: Request, _ session: SessionToken, notice: PatientPage.Notice?,
        status: HTTPResponse.Status = .ok
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.alert(id, session)
        guard let (viewer, file) = seen(sight) else { return missing(sight, request) }
        if case .patient(let code) = file.episode.subject, notice == nil {
            return redirect(Place("patients", code.description, fragment: "alert-\(file.episode.id)"))
        }
        if case .patient(let code) = file.episode.subject {
            return try await patient(code, nil, request, session, notice: notice, status: status)
        }
        let token = SessionCookie.formToken(of: session)
        let now = max(file.events.map(\.at).max() ?? file.episode.raisedAt, wallClock())
        let time = PageTime(now: now, timeZone: viewer.timeZone)
        let page = PageFrame.page(AlertPart.subject(file.episode), viewer: viewer, form: token) {
            element("h1") { AlertPart.subject(file.episode) }
            if let notice {
                element("p", .class(notice.isBad ? "notice bad" : "notice"), .role("alert")) {
                    notice.told(time, [:])
                }
            }
            AlertPart(file: file, viewer: viewer, form: token, time: time, team: [:]).part
        }
        return html(page, status: status)
    }

    private static let done: [String: String] = [
        "acknowledge": "Acknowledged.", "take": "It is yours.", "shelve": "Shelved.", "unshelve": "Taken back.",
        "resolve": "Resolved.", "marked": "Marked as entered in error.",
        "marked-before": "It had been marked before.", "hand-over": "Handed over.", "calls": "The call is logged.",
        "reviews": "The review is signed off.", "follow-ups": "The follow-up is set.",
        "follow-ups-done": "The follow-up is done.", "readings": "Typed in, and judged.",
        "readings-wait": "Typed in; it is judged in a moment. Load the page again to see it.",
        "pauses": "Paused.", "pauses-end": "The pause is over: readings are expected again.",
        "discharge": "Their monitoring has ended.", "take-back": "They are monitored again.",
        "readers": "Done: the new reader is theirs from now on.", "before": "This had been done already.",
        "minor": "Acknowledged.",
        "minor-some": "Acknowledged, but for those that have spoken again: they are still here.",
    ]

    private func notice(_ form: WebForm) -> PatientPage.Notice? {
        form["done"].flatMap { Self.done[$0] }.map { PatientPage.Notice(words: $0, isBad: false) }
    }

    // MARK: Doing

    private func post(
        _ parts: [String], _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard let form = await form(of: request) else { return text(.badRequest, Self.noForm) }
        guard isOurs(request) else { return notOurs }
        let answer = try await done(parts, form, request, session)
        return answer.status == .unauthorized ? nothingSaved(form, parts) : answer
    }

    private var notOurs: Response {
        html(
            PageFrame.message("Not done", "This form is out of date, or does not come from this page. Try again."),
            status: .forbidden)
    }

    private func done(
        _ parts: [String], _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        guard SessionCookie.isFormToken(form["form"], of: session) else { return notOurs }
        switch (parts.first, parts.count) {
        case ("sign-out", 1):
            try await desk.signOut(session, everywhere: form["everywhere"] != nil)
            var answer = redirect(Place("sign-in"))
            answer.headers[.setCookie] = cookie.clearing
            return answer
        case ("alerts", 2):
            guard let id = AlertID(parts[1]), let wanted = Self.request(id, form) else { return notThere }
            return try await act(wanted, form, request, session)
        case ("minor", 1): return try await acknowledgeMinor(form, request, session)
        case ("patients", 3) where parts[2] != "corrections" && !LeadResponder.patientForms.contains(parts[2]):
            return try await patientAction(parts[1], parts[2], form, request, session)
        case ("patients", 3) where parts[2] == "corrections":
            guard let code = Identifier(parts[1]), let device = form["device"].flatMap({ Identifier($0) }),
                let report = form["report"].flatMap({ Identifier($0, grammar: .report) }),
                let place = form["reading"].flatMap({ Int($0) }), let reason = form["reason"], reason.utf8.count <= 2000
            else { return notThere }
            let wanted = CorrectionRequest(
                patient: code, key: ReportKey(device: device, report: report), place: place, reason: reason)
            let sight = try await desk.markInError(wanted, session)
            guard let isNew = seen(sight) else { return missing(sight, request) }
            return redirect(
                Place("patients", code.description, query: [("done", isNew ? "marked" : "marked-before")]))
        default:
            if let leads {
                return try await LeadResponder(desk: leads, pages: self).post(parts, form, request, session) ?? notThere
            }
            return notThere
        }
    }

    private func act(
        _ wanted: AlertRequest, _ form: WebForm, _ request: Request, _ session: SessionToken
    ) async throws(CareDeskUnavailable) -> Response {
        let sight = try await desk.act(wanted, session)
        guard let result = seen(sight) else { return missing(sight, request) }
        switch result {
        case .success(let episode):
            let verb = form["do"] ?? ""
            if let back = form.exactly("back").flatMap({ WebForm($0) }) {
                return redirect(Place(query: WorklistFilter(back).query + [("done", verb)]))
            }
            guard case .patient(let code) = episode.subject else {
                return redirect(Place("alerts", episode.id.description, query: [("done", verb)]))
            }
            return redirect(
                Place(
                    "patients", code.description, query: [("done", verb)],
                    fragment: episode.state == .resolved ? "content" : "alert-\(episode.id)"))
        case .failure(let refusal):
            let notice = PatientPage.Notice(refusal)
            return try await alert(wanted.alert, request, session, notice: notice, status: .conflict)
        }
    }

    private static func request(_ alert: AlertID, _ form: WebForm) -> AlertRequest? {
        guard let seen = form["seen"].flatMap({ Int32($0) }) else { return nil }
        let note = form["note"]
        guard (note?.utf8.count ?? 0) <= 4000 else { return nil }
        let verb: AlertRequest.Verb
        switch form["do"] {
        case "acknowledge": verb = .acknowledge
        case "take": verb = .take
        case "hand-over":
            guard let to = form["to"].flatMap({ Identifier($0) }) else { return nil }
            verb = .handOver(to)
        case "unshelve": verb = .unshelve
        case "resolve": verb = .resolve
        case "shelve":
            guard let hours = form["hours"].flatMap({ Int64($0) }), (1...72).contains(hours) else { return nil }
            verb = .shelve(.hours(hours))
        default: return nil
        }
        return AlertRequest(alert: alert, verb: verb, note: note, seen: seen)
    }

    // MARK: Signing in

    private func signInPage(_ request: Request) -> Response {
        let next = WebForm(String(request.uri.query ?? ""))?["next"].flatMap(Self.ownPlace)
        return html(PageFrame.signIn(failed: false, next: next))
    }

    private func signIn(_ request: Request, from address: String) async throws(CareDeskUnavailable) -> Response {
        guard isOurs(request) else { return text(.forbidden, "sign in on this page") }
        guard limit.take(address) else {
            var answer = html(
                PageFrame.message(
                    "Too many attempts",
                    "Too many have tried to sign in from this network. Wait a minute, then try again. Whoever is signed in "
                        + "stays so."),
                status: .tooManyRequests)
            answer.headers[.retryAfter] = "60"
            return answer
        }
        guard let form = await form(of: request) else { return text(.badRequest, Self.noForm) }
        let next = form["next"].flatMap(Self.ownPlace)
        let attempt = SignInAttempt(
            careManager: form["code"] ?? "", password: Array((form.exactly("password") ?? "").utf8.prefix(1024)),
            oneTimeCode: (form["digits"] ?? "").filter { !$0.isWhitespace }, address: address)
        guard case .signedIn(let session) = try await desk.signIn(attempt) else {
            return html(PageFrame.signIn(failed: true, next: next), status: .forbidden)
        }
        limit.giveBack(address)
        var answer = redirect(Place())
        if let next { answer.headers[.location] = next }
        answer.headers[.setCookie] = cookie.setting(session)
        return answer
    }

    /// A path of this site as we write them; anything else would send people elsewhere.
    static func ownPlace(_ text: String) -> String? {
        guard text.utf8.first == UInt8(ascii: "/"), text.utf8.count < 300,
            !text.utf8.dropFirst().starts(with: "/".utf8),
            text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "\\") })
        else { return nil }
        return text
    }

    private func signedOut(_ request: Request) -> Response {
        guard request.method == .get, request.headers[.accept]?.contains("text/html") ?? false else {
            var answer = text(.unauthorized, "sign in first")
            answer.headers[.wwwAuthenticate] = "Cookie realm=\"homeward\""
            return answer
        }
        var query: [(String, String)] = []
        if request.uri.path != "/", let next = Self.ownPlace(request.uri.path) { query.append(("next", next)) }
        return redirect(Place("sign-in", query: query))
    }

    // MARK: Requests

    /// From a page of ours: what the browser says of where the request began.
    private func isOurs(_ request: Request) -> Bool {
        if let site = request.headers[Self.fetchSite], site != "same-origin", site != "none" { return false }
        guard let from = request.headers[.origin] else { return true }
        let scheme = cookie.isSecure ? "https" : "http"
        return from == origin || from == "\(scheme)://\(request.head.authority ?? "")"
    }

    /// Nil for what is no form, is too long, or does not come to its end in time.
    private func form(of request: Request) async -> WebForm? {
        guard request.headers[.contentType]?.hasPrefix("application/x-www-form-urlencoded") ?? false else { return nil }
        let body = request.body
        return await withTaskGroup(of: WebForm?.self) { tasks in
            tasks.addTask {
                do {
                    return WebForm(String(buffer: try await body.collect(upTo: Self.formLimit)))
                } catch {
                    return nil
                }
            }
            tasks.addTask {
                do { try await Task.sleep(for: Self.formTime) } catch {}
                return nil
            }
            let form = await tasks.next() ?? nil
            tasks.cancelAll()
            return form
        }
    }

    func seen<Value>(_ sight: DeskAnswer<Value>) -> Value? {
        if case .seen(let value) = sight { value } else { nil }
    }

    func missing<Value>(_ sight: DeskAnswer<Value>, _ request: Request, isPart: Bool = false) -> Response {
        if case .signedOut = sight { return isPart ? text(.unauthorized, "signed out") : signedOut(request) }
        return notThere
    }

    var notThere: Response {
        html(PageFrame.message("Not here", "There is no such page, or none for you."), status: .notFound)
    }

    static let fetchSite = HTTPField.Name(validated: "Sec-Fetch-Site")
}
