import Alerting
import Clinical
import Foundation
import HTTPTypes
import Hummingbird
import HummingbirdTesting
import NIOCore
import Registry
import Synchronization
import Testing

@testable import WebApp

private let pages = [
    "/service", "/quarantine/7", "/patients/P0001/plan", "/patients/P0001/sharing", "/patients/P0001/data.csv",
    "/packs",
    "/audit",
]

/// One request to a desk of leads, by default of a lead who is signed in.
@discardableResult
func ask(
    _ desk: MemoryLeadDesk, _ path: String, form: String? = nil, cookie: String = "07", fetchSite: String? = nil
) async throws -> TestResponse {
    var headers: HTTPFields = [
        .accept: "text/html", .cookie: "homeward=" + String(repeating: cookie, count: 32),
    ]
    if form != nil { headers[.contentType] = "application/x-www-form-urlencoded" }
    if let fetchSite { headers[PageResponder.fetchSite] = fetchSite }
    let sent = headers
    let server = WebServer.servers(
        http: .init(host: "127.0.0.1", port: 0), page: testPage, desk: desk.desk, leads: desk,
        publicURL: "http://localhost", readiness: { Readiness(broker: true, database: true) }, logger: testLogger)[0]
    return try await server.application().test(.router) { client in
        try await client.execute(
            uri: path, method: form == nil ? .get : .post, headers: sent, body: form.map { ByteBuffer(string: $0) }
        ) { $0 }
    }
}

func leadDesk(_ role: CareManager.Role = .teamLead, text: String = "x") -> MemoryLeadDesk {
    let desk = MemoryDesk()
    desk.state.withLock { state in
        state.viewer = MemoryDesk.viewer(role, text: text)
        state.text = text
    }
    return MemoryLeadDesk(desk)
}

/// What leads and those who change plans see and do.
@Suite struct LeadPageTests {
    // MARK: Rights

    @Test(arguments: pages)
    func nothingIsShownToNobody(path: String) async throws {
        let answer = try await ask(leadDesk(), path, cookie: "09")
        #expect([.seeOther, .unauthorized].contains(answer.status))
        #expect(!answer.text.contains("P0001") || answer.status == .seeOther)
    }

    @Test func whoDoesNotLeadHasNoServicePage() async throws {
        for role in [CareManager.Role.careManager, .readOnly] {
            for path in ["/service", "/quarantine/7", "/audit"] {
                #expect(try await ask(leadDesk(role), path).status == .notFound, "\(role) \(path)")
            }
            for (path, form) in [
                ("/quarantine/7", "do=release&note=x"),
                ("/packs/copd", "note=x&hash=" + String(repeating: "01", count: 32)),
                ("/patients/P0001/sharing", "do=add&who=gp-03&word=x"),
            ] {
                let desk = leadDesk(role)
                #expect(
                    try await ask(desk, path, form: form + "&form=\(formToken)").status == .notFound, "\(role) \(path)")
                #expect(desk.state.withLock { $0.releases.isEmpty && $0.approvals.isEmpty && $0.shared.isEmpty })
            }
        }
        #expect(try await ask(leadDesk(.readOnly), "/patients/P0001/data.csv").status == .notFound)
        for path in ["/patients/P0099/plan", "/patients/P0099/sharing", "/patients/P0099/data.csv", "/quarantine/8"] {
            #expect(try await ask(leadDesk(), path).status == .notFound, "\(path)")
        }
    }

    @Test func whoMayOnlyLookHasNoForms() async throws {
        for path in ["/patients/P0001/plan", "/patients/P0001/sharing", "/packs"] {
            let page = try await ask(leadDesk(.readOnly), path).text
            #expect(page.components(separatedBy: "<form").count == 2, "\(path): signing out alone")
        }
    }

    @Test func aFormOfAnotherPageIsRefused() async throws {
        let desk = leadDesk()
        for path in ["/quarantine/7", "/packs/copd", "/patients/P0001/plan", "/patients/P0001/sharing"] {
            for (form, site) in [("form=00", nil), ("form=\(formToken)", "cross-site")] as [(String, String?)] {
                let answer = try await ask(
                    desk, path, form: "do=release&note=x&what=risk&" + form, fetchSite: site)
                #expect(answer.status == .forbidden, "\(path) \(form)")
            }
        }
        #expect(desk.state.withLock { $0.releases.isEmpty && $0.changes.isEmpty })
    }

    // MARK: Service

    @Test func aHeldReportIsReleasedWithAReason() async throws {
        let desk = leadDesk()
        let page = try await ask(desk, "/quarantine/7").text
        #expect(page.contains("Hexadecimal") && page.contains("7b 78 7d ff 00") && page.contains(#"name="note""#))
        #expect(
            try await ask(desk, "/quarantine/7", form: "do=release&form=\(formToken)").status == .unprocessableContent)
        let answer = try await ask(desk, "/quarantine/7", form: "do=release&note=asked+her&form=\(formToken)")
        #expect(answer.status == .seeOther && answer.headers[.location] == "/quarantine/7?done=released")
        #expect(desk.state.withLock { $0.releases.map(\.note) } == ["asked her"])
        desk.state.withLock { $0.releaseRefusal = .requestedAlready }
        let again = try await ask(desk, "/quarantine/7", form: "do=release&note=x&form=\(formToken)")
        #expect(again.status == .conflict && again.text.contains("released already"))
    }

    @Test func bytesAreShownAsBytes() {
        #expect(QuarantinePage.hexadecimal([]) == "")
        let line = QuarantinePage.hexadecimal(Array("0123456789abcdef{".utf8)[...])
        #expect(
            line == "0000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n"
                + "0010  7b                                               {")
    }

    // MARK: Plans

    private func form(_ fields: String, _ what: String, part: String, seen: String = "s") -> String {
        "form=\(formToken)&id=\(FormID())&what=\(what)&part=\(part)&seen=\(seen)&\(fields)"
    }

    @Test func aLimitIsSentAsTheRegistryHasIt() async throws {
        let desk = leadDesk(.careManager)
        let page = try await ask(desk, "/patients/P0001/plan").text
        let seen = MemoryLeadDesk.fields("x")["limits"]!.fingerprint
        #expect(page.contains(seen) && page.contains("SpO2: red below 85, amber below or at 88"))
        let answer = try await ask(
            desk, "/patients/P0001/plan",
            form: form(
                "kind=spo2&red_below=83.5&amber_below=87&amber_below-at=yes&unit=%25&by=cm-01&reason=prescribed",
                "limits",
                part: "0", seen: seen))
        #expect(answer.status == .seeOther && answer.headers[.location] == "/patients/P0001/plan?done=changed")
        let request = try #require(desk.state.withLock { $0.changes.first })
        #expect(request.field == .limits && request.part == .item(0) && request.seen == seen)
        #expect(request.reason == "prescribed")
        #expect(
            request.value
                == .object([
                    "kind": .string("spo2"), "red_below": .number(83.5), "amber_at_or_below": .number(87),
                    "unit": .string("%"), "by": .string("cm-01"), "reason": .string("prescribed"),
                ]))
    }

    @Test func otherPartsAreSentAsTheRegistryHasThem() async throws {
        let desk = leadDesk(.careManager)
        for (fields, what, part) in [
            ("kind-spo2=yes&kind-pulse=yes&day-mon=yes&due=09%3A00&early=2h&reason=r", "schedule", "new"),
            ("pack-copd=yes&pack-asthma=yes&reason=r", "conditions", "whole"), ("reason=r", "conditions", "whole"),
            ("key_worker=cm-01&reason=r", "key_worker", "whole"), ("key_worker=&reason=r", "key_worker", "whole"),
            ("inr-low=2&inr-high=3&dry_weight=1e3&reason=r", "targets", "whole"),
            ("base-spo2=91&base-weight=&reason=r", "baselines", "whole"),
            ("do=remove&reason=r", "limits", "0"),
        ] {
            let answer = try await ask(desk, "/patients/P0001/plan", form: form(fields, what, part: part))
            #expect(answer.status == .seeOther, "\(fields)")
        }
        #expect(
            desk.state.withLock { $0.changes.map(\.value) } == [
                .object([
                    "kinds": .array([.string("pulse"), .string("spo2")]), "days": .array([.string("mon")]),
                    "due": .string("09:00"), "early": .string("2h"),
                ]), .array([.string("asthma"), .string("copd")]), .array([]), .string("cm-01"), .null,
                .object(["inr": .array([.number(2), .number(3)]), "dry_weight": .string("1e3")]),
                .object(["spo2": .number(91)]), .null,
            ])
    }

    @Test func whatIsWrongStandsBesideItsField() async throws {
        let desk = leadDesk(.careManager)
        let limit = "kind=spo2&red_below=oops&by=cm-01&reason=r"
        desk.state.withLock { $0.outcome = .refused([PlanFault(key: "red_below", words: "expected a number")]) }
        let answer = try await ask(desk, "/patients/P0001/plan", form: form(limit, "limits", part: "new"))
        #expect(answer.status == .unprocessableContent)
        #expect(answer.text.contains(#"id="set-limits-new-red_below-fault">✕ expected a number"#))
        #expect(answer.text.contains(#"aria-describedby="set-limits-new-red_below-fault""#))
        #expect(answer.text.contains(#"name="red_below" value="oops""#), "what was typed stays")
        for (fields, key) in [("kind=spo2&red_below=1&by=cm-01", "reason"), ("kind=spo2&red_below=1&reason=r", "by")] {
            let answer = try await ask(desk, "/patients/P0001/plan", form: form(fields, "limits", part: "new"))
            #expect(answer.status == .unprocessableContent)
            #expect(answer.text.contains("set-limits-new-\(key)-fault"), "\(key)")
        }
        #expect(desk.state.withLock { $0.changes.count } == 1, "the others were not sent")
        for bad in ["what=nhs_number&part=whole", "what=limits&part=whole", "what=risk&part=0", "what=limits&part=-1"] {
            let answer = try await ask(
                desk, "/patients/P0001/plan", form: "form=\(formToken)&id=\(FormID())&seen=s&reason=r&\(bad)")
            #expect(answer.status == .notFound, "\(bad)")
        }
    }

    @Test func theSecondWriterIsTold() async throws {
        let desk = leadDesk(.careManager)
        desk.state.withLock { $0.outcome = .movedOn }
        let answer = try await ask(
            desk, "/patients/P0001/plan", form: form("kind=spo2&red_below=83&by=cm-01&reason=r", "limits", part: "0"))
        #expect(answer.status == .conflict)
        #expect(answer.text.contains("another changed it since you looked"))
        #expect(answer.text.contains("You had typed: SpO2: red below 83"))
    }

    // MARK: Packs

    @Test func aPackIsApprovedByItsHash() async throws {
        let desk = leadDesk()
        let page = try await ask(desk, "/packs").text
        #expect(page.contains("✓ in force") && page.contains("not approved here") && page.contains("+ 2: b"))
        let hash = String(repeating: "01", count: 32)
        #expect(
            try await ask(desk, "/packs/copd", form: "hash=\(hash)&note=committee&form=\(formToken)").headers[.location]
                == "/packs?done=approved")
        #expect(desk.state.withLock { $0.approvals } == ["copd 1 committee"])
        for form in ["note=x", "note=x&hash=01", "note=x&hash=zz"] {
            #expect(try await ask(desk, "/packs/copd", form: form + "&form=\(formToken)").status == .notFound)
        }
        #expect(
            try await ask(desk, "/packs/copd", form: "hash=\(hash)&form=\(formToken)").status == .unprocessableContent)
    }

    @Test func everyPageSaysThatLimitsAreNotApproved() async throws {
        for path in pages.filter({ !$0.hasSuffix(".csv") }) + ["/", "/patients/P0001"] {
            for isApproved in [true, false] {
                let desk = leadDesk()
                desk.desk.state.withLock { $0.viewer?.hasApprovedLimits = isApproved }
                let page = try await ask(desk, path).text
                #expect(page.contains("Limits not approved here") == !isApproved, "\(path)")
            }
        }
    }

    // MARK: Who may see, and who looked

    @Test func aProfessionalIsSelectedOnSomebodysWord() async throws {
        let desk = leadDesk()
        for (form, status) in [
            ("do=add&who=gp-03&word=herself", HTTPResponse.Status.seeOther),
            ("do=add&who=gp-03", .unprocessableContent),
            ("do=add&who=gp-77&word=herself", .conflict), ("do=end&row=1&reason=moved", .seeOther),
            ("do=end&row=2&reason=moved", .conflict), ("do=end&row=1", .unprocessableContent), ("do=other", .notFound),
        ] {
            let answer = try await ask(desk, "/patients/P0001/sharing", form: form + "&form=\(formToken)")
            #expect(answer.status == status, "\(form)")
        }
        #expect(
            desk.state.withLock { $0.shared } == ["gp-03 herself", "gp-77 herself", "end 1 moved", "end 2 moved"])
    }

    @Test func theAuditIsSearched() async throws {
        let desk = leadDesk()
        let page = try await ask(desk, "/audit?patient=P0001&who=cm-01&from=2026-11-01&until=2026-11-23&before=99").text
        let search = try #require(desk.state.withLock { $0.searches.first })
        #expect(search.patient?.description == "P0001" && search.careManager?.description == "cm-01")
        #expect(search.from?.description == "2026-11-01" && search.until?.description == "2026-11-23")
        #expect(search.before == 99)
        #expect(
            page.contains("/audit?patient=P0001&amp;who=cm-01&amp;from=2026-11-01&amp;until=2026-11-23&amp;before=41"))
        for bad in ["patient=%3C", "who=a+b", "from=2026-02-30", "until=yesterday", "before=x"] {
            #expect(try await ask(desk, "/audit?" + bad).status == .notFound, "\(bad)")
        }
    }

    @Test func aPatientsDataComesInParts() async throws {
        let answer = try await ask(leadDesk(.careManager), "/patients/P0001/data.csv")
        #expect(answer.text == "line 1\r\nline 2\r\nline 3\r\n")
        #expect(answer.headers[.contentDisposition] == #"attachment; filename="P0001.csv""#)
        #expect(
            answer.headers[.contentType] == "text/csv; charset=utf-8" && answer.headers[.cacheControl] == "no-store")
    }

    // MARK: Escaping

    @Test func everyPageIsLockedDown() async throws {
        for path in pages {
            let answer = try await ask(leadDesk(), path)
            let policy = try #require(answer.headers[.contentSecurityPolicy])
            #expect(policy.contains("default-src 'none'") && !policy.contains("unsafe"))
            #expect(answer.headers[.cacheControl] == "no-store")
            #expect(
                !answer.text.contains("<style") && !answer.text.contains(" style=") && !answer.text.contains("<script>")
            )
        }
    }

    @Test func noTextBecomesMarkup() async throws {
        for path in pages.filter({ !$0.hasSuffix(".csv") }) {
            let plain = try #require(PageTests.skeleton(try await ask(leadDesk(text: "plain"), path).text))
            #expect(plain.count > 20)
            for text in PageTests.naughty {
                let page = try await ask(leadDesk(text: text), path).text
                #expect(PageTests.skeleton(page) == plain, "\(path): \(text.debugDescription)")
            }
        }
    }

    /// What was typed comes back into the form.
    @Test func whatWasTypedBecomesNoMarkup() async throws {
        func page(_ text: String) async throws -> [String]? {
            let desk = leadDesk(.careManager)
            desk.state.withLock { $0.outcome = .refused([PlanFault(key: "by", words: text)]) }
            let typed = Place.encoded(text.replacing("\0", with: ""))
            let fields = "kind=spo2&red_below=\(typed)&unit=\(typed)&until=\(typed)&by=\(typed)x&reason=\(typed)x"
            return PageTests.skeleton(
                try await ask(desk, "/patients/P0001/plan", form: form(fields, "limits", part: "new")).text)
        }
        let plain = try #require(try await page("plain"))
        for text in PageTests.naughty { #expect(try await page(text) == plain, "\(text.debugDescription)") }
    }
}
