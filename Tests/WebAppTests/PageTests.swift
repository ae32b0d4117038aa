import Alerting
import Clinical
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import Instruments
import NIOCore
import Registry
import Synchronization
import Testing

@testable import WebApp

let signedInCookie = "homeward=" + String(repeating: "07", count: 32)
let formToken = SessionCookie.formToken(of: MemoryDesk.session)

func pageServer(_ desk: MemoryDesk, publicURL: String = "http://localhost") -> WebServer {
    WebServer.servers(
        http: .init(host: "127.0.0.1", port: 0), page: testPage, desk: desk, publicURL: publicURL,
        readiness: { Readiness(broker: true, database: true) }, logger: testLogger)[0]
}

/// One request, by default of somebody who is signed in.
@discardableResult
func ask(
    _ desk: MemoryDesk, _ path: String, _ method: HTTPRequest.Method = .get, form: String? = nil,
    headers extra: HTTPFields = [:], cookie value: String? = signedInCookie, publicURL: String = "http://localhost"
) async throws -> TestResponse {
    var headers: HTTPFields = [.accept: "text/html"]
    if let value { headers[.cookie] = value }
    if form != nil { headers[.contentType] = "application/x-www-form-urlencoded" }
    for field in extra { headers[field.name] = field.value }
    let sent = headers
    return try await pageServer(desk, publicURL: publicURL).application().test(.router) { client in
        try await client.execute(uri: path, method: method, headers: sent, body: form.map { ByteBuffer(string: $0) }) {
            $0
        }
    }
}

extension TestResponse {
    var text: String { String(buffer: body) }
}

let alertPath = "/alerts/00000000-0000-0001-0000-000000000002"

@Suite struct PageTests {
    // MARK: Signing in

    @Test(arguments: ["/", "/patients/P0001", "/events", alertPath, "/nothing"])
    func nothingIsShownToNobody(path: String) async throws {
        for value in [nil, "homeward=", "homeward=zz", "other=1", "homeward=" + String(repeating: "09", count: 32)] {
            let answer = try await ask(MemoryDesk(), path, cookie: value)
            #expect([.seeOther, .unauthorized].contains(answer.status), "\(path) \(value ?? "-") \(answer.status)")
            #expect(!answer.text.contains("P0001") || answer.text.contains("sign-in?next"))
            #expect(answer.headers[.location]?.hasPrefix("/sign-in") ?? true)
        }
    }

    @Test func aProgramIsToldToSignIn() async throws {
        let answer = try await ask(MemoryDesk(), "/", headers: [.accept: "application/json"], cookie: nil)
        #expect(answer.status == .unauthorized)
        #expect(answer.headers[.wwwAuthenticate] != nil)
    }

    @Test func signingInSetsACookieThatNoScriptReads() async throws {
        let desk = MemoryDesk()
        let page = try await ask(desk, "/sign-in?next=/patients/P0001", cookie: nil)
        #expect(page.text.contains(#"value="/patients/P0001""#))
        let form = "code=cm-01&password=right&digits=123+456&next=%2Fpatients%2FP0001"
        let answer = try await ask(desk, "/sign-in", .post, form: form, cookie: nil)
        #expect(answer.status == .seeOther)
        #expect(answer.headers[.location] == "/patients/P0001")
        #expect(answer.headers[.setCookie] == "\(signedInCookie); Path=/; HttpOnly; SameSite=Strict")
        #expect(desk.state.withLock { $0.attempts.first?.oneTimeCode } == "123456")
        let secure = try await ask(desk, "/sign-in", .post, form: form, cookie: nil, publicURL: "https://care.example")
        #expect(secure.headers[.setCookie]?.hasPrefix("__Host-homeward=") == true)
        #expect(secure.headers[.setCookie]?.hasSuffix("; Secure") == true)
        #expect(secure.headers[.strictTransportSecurity] != nil)
    }

    @Test func aRefusalSaysNothingOfItsReason() async throws {
        for name in ["cm-01", "nobody"] {
            let answer = try await ask(
                MemoryDesk(), "/sign-in", .post, form: "code=\(name)&password=wrong&digits=1", cookie: nil)
            #expect(answer.status == .forbidden)
            #expect(answer.headers[.setCookie] == nil)
            #expect(answer.text.contains("Not signed in.") && !answer.text.contains(name))
        }
    }

    @Test(arguments: ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "/a b"])
    func nobodyIsSentElsewhere(next: String) async throws {
        let form = "code=cm-01&password=right&digits=1&next=\(Place.encoded(next))"
        let answer = try await ask(MemoryDesk(), "/sign-in", .post, form: form, cookie: nil)
        #expect(answer.headers[.location] == "/")
    }

    @Test func signingOutEndsTheSession() async throws {
        let desk = MemoryDesk()
        let answer = try await ask(desk, "/sign-out", .post, form: "form=\(formToken)")
        #expect(answer.status == .seeOther && answer.headers[.setCookie]?.contains("Max-Age=0") == true)
        try await ask(desk, "/sign-out", .post, form: "form=\(formToken)&everywhere=yes")
        #expect(desk.state.withLock { $0.signedOut } == [false, true])
    }

    // MARK: Rights and forgery

    @Test func anotherSitesPatientIsNotThere() async throws {
        for path in [
            "/patients/P0099", "/patients/..%2f..", "/alerts/00000000-0000-0001-0000-000000000009", "/alerts/x",
        ] {
            let answer = try await ask(MemoryDesk(), path)
            #expect(answer.status == .notFound, "\(path)")
        }
    }

    @Test func whoMayOnlyLookHasNoForms() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.viewer = MemoryDesk.viewer(.readOnly) }
        let page = try await ask(desk, "/patients/P0001").text
        #expect(page.components(separatedBy: "<form").count == 2, "signing out alone")
    }

    @Test func aFormOfAnotherPageIsRefused() async throws {
        let desk = MemoryDesk()
        let act = "do=acknowledge&seen=3"
        let foreign = SessionCookie.formToken(of: MemoryDesk.other)
        for form in [act, act + "&form=", act + "&form=\(foreign)", act + "&form=\(formToken)0"] {
            #expect(try await ask(desk, alertPath, .post, form: form).status == .forbidden, "\(form)")
        }
        let good = act + "&form=\(formToken)"
        for headers: HTTPFields in [
            [.origin: "https://evil.example"], [.origin: "null"], [PageResponder.fetchSite: "cross-site"],
            [PageResponder.fetchSite: "same-site"],
        ] {
            #expect(try await ask(desk, alertPath, .post, form: good, headers: headers).status == .forbidden)
        }
        #expect(desk.state.withLock { $0.acts.isEmpty })
        #expect(try await ask(desk, alertPath).status == .seeOther, "a look does nothing")
        #expect(desk.state.withLock { $0.acts.isEmpty })
        let answer = try await ask(
            desk, alertPath, .post, form: good,
            headers: [.origin: "http://localhost", PageResponder.fetchSite: "same-origin"])
        #expect(answer.status == .seeOther)
        #expect(desk.state.withLock { $0.acts.count } == 1)
    }

    @Test(arguments: [
        "", "do=acknowledge", "do=x&seen=1", "do=acknowledge&seen=99999999999", "do=shelve&seen=1&hours=0",
        "do=shelve&seen=1&hours=9999", "do=shelve&seen=1", "do=acknowledge&seen=1&seen=2", "do=%zz&seen=1",
        "do=acknowledge&seen=1&note=%00", "do=acknowledge&seen=1&note=%ff",
    ])
    func aFormThatMakesNoSenseDoesNothing(form: String) async throws {
        let desk = MemoryDesk()
        let answer = try await ask(desk, alertPath, .post, form: form + "&form=\(formToken)")
        #expect([.notFound, .badRequest].contains(answer.status), "\(answer.status)")
        #expect(desk.state.withLock { $0.acts.isEmpty })
    }

    @Test func aFormIsShort() async throws {
        let long = "form=\(formToken)&do=acknowledge&seen=1&note=" + String(repeating: "x", count: 20_000)
        #expect(
            [.contentTooLarge, .unauthorized, .badRequest].contains(
                try await ask(MemoryDesk(), alertPath, .post, form: long).status))
    }

    @Test(arguments: [HTTPRequest.Method.put, .delete, .patch, .options, .trace])
    func otherMethodsAreNotAllowed(method: HTTPRequest.Method) async throws {
        #expect(try await ask(MemoryDesk(), "/", method).status == .methodNotAllowed)
    }

    // MARK: Doing

    @Test func actionsReachTheDeskWithWhatWasSeen() async throws {
        let desk = MemoryDesk()
        for (form, location) in [
            ("do=acknowledge&seen=3", "done=acknowledge"), ("do=take&seen=3&note=ring+her", "done=take"),
            ("do=shelve&seen=4&hours=2&note=visit", "done=shelve"),
            ("do=resolve&seen=5&note=%C3%A9t%C3%A9", "done=resolve"),
        ] {
            let answer = try await ask(desk, alertPath, .post, form: form + "&form=\(formToken)")
            #expect(answer.headers[.location]?.hasPrefix("/patients/P0001?\(location)") == true)
        }
        let acts = desk.state.withLock { $0.acts }
        #expect(acts.map(\.verb) == [.acknowledge, .take, .shelve(.hours(2)), .resolve])
        #expect(acts.map(\.seen) == [3, 3, 4, 5])
        #expect(acts.map(\.note) == [nil, "ring her", "visit", "été"])
        #expect(acts.allSatisfy { $0.alert == AlertID(high: 1, low: 2) })
    }

    @Test func whatWorsenedSinceIsSaid() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.refusal = .changedSince(seen: 3, now: 5) }
        let answer = try await ask(desk, alertPath, .post, form: "do=acknowledge&seen=3&form=\(formToken)")
        #expect(answer.status == .conflict)
        #expect(answer.text.contains("it has worsened or spoken again since what you saw"))
    }

    @Test func whatIsSomebodyElsesIsSaid() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.refusal = .isOf("cm-02", since: MemoryDesk.now - .minutes(3)) }
        let answer = try await ask(desk, alertPath, .post, form: "do=take&seen=3&form=\(formToken)")
        #expect(answer.status == .conflict && answer.text.contains("Not done: it is x&#39;s since 08:12."))
    }

    @Test func anAlertIsTakenOnTheWorklist() async throws {
        let desk = MemoryDesk()
        let list = try await ask(desk, "/?state=red&q=x").text
        #expect(list.contains(#"name="back" value="state=red&amp;q=x""#) && list.contains(#"name="seen" value="4""#))
        let form = "do=take&seen=4&back=state%3Dred%26q%3Dx&form=\(formToken)"
        let answer = try await ask(desk, alertPath, .post, form: form)
        #expect(answer.headers[.location] == "/?state=red&q=x&done=take")
        #expect(desk.state.withLock { $0.acts.map(\.seen) } == [4])
        let plain = try await ask(desk, alertPath, .post, form: "do=take&seen=4&back=&form=\(formToken)")
        #expect(plain.headers[.location] == "/?done=take")
        #expect(try await ask(desk, "/?done=take").text.contains("It is yours."))
        // Somebody has it: the list says who.
        desk.state.withLock { state in
            state.holder = "cm-01"
            state.text = "Grace"
        }
        let taken = try await ask(desk, "/").text
        #expect(taken.contains("Grace, red, acknowledged by Grace") && !taken.contains(#"class="take""#))
    }

    @Test func whoMayOnlyLookTakesNothing() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.viewer = MemoryDesk.viewer(.readOnly) }
        #expect(!(try await ask(desk, "/").text.contains("I have it")))
    }

    /// Whatever the filter leaves of the list.
    @Test(arguments: ["/", "/?state=grey", "/?q=nobody", "/?page=7", "/?part=reds"])
    func everyOpenRedIsInTheListForScript(path: String) async throws {
        let text = try await ask(MemoryDesk(), path).text
        let key = "00000000-0000-0001-0000-000000000002:3"
        #expect(text.contains(#"<li data-alert="\#(key)" data-patient="P0001">x, X</li>"#))
        if path != "/?part=reds" { #expect(text.contains(#"data-title="(1 red) Worklist""#)) }
        #expect(text.contains("1 red not in this list") == !["/", "/?part=reds"].contains(path))
    }

    @Test func whatWasWrittenIsNotLostWithTheSession() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.viewer = nil }
        let form = "do=resolve&seen=3&note=%3Cb%3ERang+her&form=\(formToken)"
        for cookie in [nil, signedInCookie] {
            let answer = try await ask(desk, alertPath, .post, form: form, cookie: cookie)
            #expect(answer.status == .unauthorized && answer.text.contains("Nothing was saved"))
            #expect(answer.text.contains("&lt;b&gt;Rang her</p>") && !answer.text.contains(formToken))
            #expect(answer.text.contains("/sign-in?next=%2Falerts%2F"))
        }
        let foreign = try await ask(
            desk, alertPath, .post, form: form, headers: [.origin: "https://evil.example"], cookie: nil)
        #expect(foreign.status == .unauthorized && !foreign.text.contains("Rang her"))
        #expect(try await ask(desk, "/sign-out", .post, form: "form=x", cookie: nil).headers[.location] == "/sign-in")
    }

    @Test func whoTypesStaysSignedIn() async throws {
        let desk = MemoryDesk()
        #expect(try await ask(desk, "/touch").status == .ok)
        desk.state.withLock { $0.viewer = nil }
        #expect(try await ask(desk, "/touch").status == .unauthorized)
    }

    @Test func aPageThatCanNotBeMadeIsAskedForAgain() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.unavailable = .databaseAway }
        let retry = #"<meta http-equiv="refresh" content="15">"#
        #expect(try await ask(desk, "/").text.contains(retry))
        let post = try await ask(desk, alertPath, .post, form: "do=take&seen=3&form=\(formToken)")
        #expect(post.status == .serviceUnavailable && !post.text.contains(retry))
    }

    @Test func whomToRingStandsInTheHead() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.text = "+44 20 7946 0000" }
        let page = try await ask(desk, "/patients/P0001").text
        #expect(page.contains(#"<a href="tel:+442079460000"><bdi>+44 20 7946 0000</bdi></a>"#))
        #expect(try #require(page.range(of: "tel:")).lowerBound < (try #require(page.range(of: "<h2>"))).lowerBound)
    }

    /// The list may be older than the patient's alerts.
    @Test func theHeadOfAPatientsPageGoesByTheAlertsBelow() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.text = "spo2-low" }
        let page = try await ask(desk, "/patients/P0001").text
        #expect(page.contains("As at 08:15. SpO2 low, red, unanswered"))
    }

    @Test func aReadingIsMarked() async throws {
        let desk = MemoryDesk()
        let answer = try await ask(
            desk, "/patients/P0001/corrections", .post,
            form: "form=\(formToken)&device=dev-1&report=r1&reading=2&reason=cuff")
        #expect(answer.headers[.location] == "/patients/P0001?done=marked")
        let wanted = try #require(desk.state.withLock { $0.corrections.first })
        #expect(wanted.place == 2 && wanted.reason == "cuff" && wanted.key.report.description == "r1")
    }

    // MARK: Pages

    @Test func everyPageIsLockedDown() async throws {
        for path in ["/", "/patients/P0001", "/sign-in", "/patients/P0099", "/assets/style.css", "/assets/app.js"] {
            let answer = try await ask(MemoryDesk(), path)
            let policy = try #require(answer.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"))
            #expect(!policy.contains("unsafe"))
            #expect(answer.headers[.xContentTypeOptions] == "nosniff")
            if path.hasPrefix("/assets") { continue }
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(!answer.text.contains("<style") && !answer.text.contains(" style="))
            #expect(!answer.text.contains("<script>") && answer.text.components(separatedBy: "<script").count == 2)
        }
    }

    @Test func theListTellsAReloadFromAPersonsLook() async throws {
        let desk = MemoryDesk()
        let page = try await ask(desk, "/").text
        let part = try await ask(desk, "/?part=list&auto=1").text
        #expect(desk.state.withLock { $0.activity } == [true, false])
        #expect(page.contains("As at 08:15") && page.contains(part))
        #expect(page.contains(#"<noscript><meta http-equiv="refresh" content="60;url=/?auto=1"></noscript>"#))
    }

    @Test func filtersLeaveOut() async throws {
        for (query, isShown) in [
            ("", true), ("?who=mine", true), ("?who=nobody", false), ("?who=cm-01", true), ("?who=cm-02", false),
            ("?site=north", true), ("?site=south", false), ("?condition=copd", false), ("?state=red", true),
            ("?state=green", false),
            ("?q=p0001", true), ("?q=P0002", false), ("?page=7", false),
        ] {
            let page = try await ask(MemoryDesk(), "/" + query).text
            #expect(page.contains(#"data-state="red" data-patient="P0001""#) == isShown, "\(query)")
        }
    }

    @Test func aSuspectReadingInTheScoreIsTold() async throws {
        func page(suspect: Bool) async throws -> String {
            let desk = MemoryDesk()
            desk.state.withLock { state in
                state.readings = [
                    ChartReading(
                        key: ReportKey(device: MemoryDesk.identifier("dev-1"), report: MemoryDesk.identifier("r1")),
                        place: 0, kind: .pulse, value: 131, code: nil, valueSent: 131, unitSent: "/min",
                        takenAt: MemoryDesk.now - .hours(1), receivedAt: MemoryDesk.now - .hours(1), isSuspect: suspect,
                        correction: nil)
                ]
            }
            let page = try await ask(desk, "/patients/P0001").text
            let card = try #require(page.components(separatedBy: "<h2>NEWS2</h2>").last)
            return String(try #require(card.components(separatedBy: "</section>").first))
        }
        #expect(try await page(suspect: true).contains("131<span class=\"tag\">Suspect</span>"))
        let sound = try await page(suspect: false)
        #expect(sound.contains("131") && !sound.contains("uspect"))
    }

    @Test func aSearchIsRecorded() async throws {
        let desk = MemoryDesk()
        for query in ["", "?q=", "?q=P0001&who=mine", "?part=list&auto=1&q=ada+l"] { try await ask(desk, "/" + query) }
        #expect(desk.state.withLock { $0.searches } == ["P0001", "ada l, itself"])
    }

    @Test func whatIsAwaySaysSo() async throws {
        for fault: CareDeskUnavailable in [.databaseAway, .busy, .misconfigured("role homeward_web")] {
            let desk = MemoryDesk()
            desk.state.withLock { $0.unavailable = fault }
            let answer = try await ask(desk, "/")
            #expect(answer.status == .serviceUnavailable)
            #expect(!answer.text.contains("homeward_web"))
        }
    }

    // MARK: Escaping

    /// Texts that have broken pages, logs and parsers (in the manner of the Big List of Naughty Strings).
    static let naughty = [
        "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
        "--><svg onload=alert(1)>",
        "</title><script>alert(1)</script>", "</textarea><script>x</script>", "&lt;b&gt;", "&#x3C;script>",
        "`onclick=x`",
        "javascript:alert(1)", "data:text/html,<b>", "\u{202E}evil\u{2066}", "\u{0}\u{1}\u{8}\u{7F}",
        "a\r\nSet-Cookie: x=1",
        "]]>", "<![CDATA[x]]>", "{{7*7}}", "${7*7}", "%3Cscript%3E", "Ω≈ç√∫˜µ≤≥÷", "田中さんにあげて下さい", "👩‍👩‍👧‍👧 🏳️‍🌈",
        "Z\u{0351}\u{036B}a\u{0343}lgo", "\u{FEFF}", "\u{2028}\u{2029}", "' OR 1=1 --", "\\\"", "<", ">", "&", "\"",
        "'",
        "</", "<!--", "x=\"y\" z", String(repeating: "<", count: 500),
    ]

    /// The elements and the names of their attributes; nil where the text is not what this page's builder writes.
    static func skeleton(_ page: String) -> [String]? {
        var tags: [String] = []
        var rest = page[...]
        while let start = rest.firstIndex(of: "<") {
            guard let end = rest[start...].firstIndex(of: ">") else { return nil }
            var tag = String(rest[rest.index(after: start)..<end])
            // Values can't hold a quote.
            let parts = tag.split(separator: "\"", omittingEmptySubsequences: false)
            guard parts.count % 2 == 1 else { return nil }
            tag = parts.enumerated().filter { $0.offset.isMultiple(of: 2) }.map { String($0.element) }.joined()
            tags.append(tag)
            rest = rest[rest.index(after: end)...]
        }
        return tags
    }

    @Test func noTextBecomesMarkup() async throws {
        for (path, role) in [
            ("/", CareManager.Role.careManager), ("/patients/P0001?days=7", .careManager),
            ("/alerts/00000000-0000-0001-0000-000000000003", .careManager), ("/minor", .careManager),
            (alertPath + "/history", .careManager),
        ] {
            func page(_ text: String) async throws -> String {
                let desk = MemoryDesk()
                desk.state.withLock { state in
                    state.text = text
                    state.viewer = MemoryDesk.viewer(role, text: text)
                }
                return try await ask(desk, path).text
            }
            let plain = try #require(Self.skeleton(try await page("plain")))
            #expect(plain.count > 20)
            for text in Self.naughty {
                #expect(Self.skeleton(try await page(text)) == plain, "\(path): \(text.debugDescription)")
            }
        }
    }

    @Test func theBuilderEscapesEveryTextAndValue() {
        for text in Self.naughty {
            let page = element(
                "p", .title(text), .value(text), .href(Place(text, query: [(text, text)], fragment: text))
            ) { text }
            #expect(Self.skeleton(page.text) == ["p title= value= href=", "/p"], "\(text.debugDescription)")
            #expect(!page.text.contains("\u{0}"))
        }
        #expect(Place("a b", "ü", query: [("q", "1&2=3")]).text == "/a%20b/%C3%BC?q=1%262%3D3")
        #expect(element("br").text == "<br>")
        #expect(element("i") { "a & b" }.text == "<i>a &amp; b</i>")
    }
}
