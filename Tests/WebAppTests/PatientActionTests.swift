import Alerting
import Clinical
import HTTPTypes
import HummingbirdTesting
import NIOCore
import Registry
import Synchronization
import Testing

@testable import WebApp

/// What is done about patients on their page: each form reaches the desk as what it says, once.
@Suite struct PatientActionTests {
    private let once = "once=000102030405060708090a0b0c0d0e0f&form=\(formToken)&"
    private let path = "/patients/P0001/"

    private func sent(_ what: String, _ form: String) async throws -> (PatientAction?, TestResponse) {
        let desk = MemoryDesk()
        let answer = try await ask(desk, path + what, .post, form: once + form)
        return (desk.state.withLock { $0.actions.first }, answer)
    }

    @Test func eachFormIsWhatItSays() async throws {
        let day = try #require(CalendarDate(year: 2026, month: 12, day: 24))
        let dev = MemoryDesk.identifier("dev-2")
        let wanted: [(String, String, PatientAction)] = [
            ("calls", "outcome=no-answer&note=twice", .call(.noAnswer, note: "twice")),
            ("reviews", "", .review(note: nil)),
            ("follow-ups", "due=2026-11-24T09%3A00&note=weight", .followUp(due: "2026-11-24T09:00", note: "weight")),
            (
                "follow-ups-done", "of=00000000000000050000000000000006",
                .followedUp(FormID(high: 5, low: 6), note: nil)
            ),
            (
                "readings",
                "source=carer&at=2026-11-23T08%3A10&value-spo2=84&unit-spo2=%25&value-consciousness=V&value-pulse=",
                .typeIn(
                    TypedReadings(
                        source: .carer, takenAt: "2026-11-23T08:10",
                        values: [
                            .init(kind: .spo2, text: "84", unit: "%"),
                            .init(kind: .consciousness, text: "V", unit: nil),
                        ]))
            ),
            (
                "pauses", "from=2026-12-24&until=2026-12-24&reason=away", .pause(from: day, until: day, reason: "away")
            ),
            (
                "pauses-end", "pause=2026-12-24%2F2026-12-24&reason=back",
                .endPause(from: day, until: day, reason: "back")
            ),
            ("discharge", "because=died&reason=daughter+rang&sure=yes", .discharge(.died, reason: "daughter rang")),
            ("take-back", "reason=mixed+up", .takeBack(reason: "mixed up")),
            (
                "readers", "old=dev-1&new=dev-2&reason=broken",
                .replaceReader(
                    old: MemoryDesk.identifier("dev-1"), new: dev, isNewHere: false, reason: "broken")
            ),
            (
                "readers", "old=&new=dev-2&new-here=dev-2&reason=first",
                .replaceReader(old: nil, new: dev, isNewHere: true, reason: "first")
            ),
            (
                "readers", "old=&new=dev-2&new-here=dev-3&reason=first",
                .replaceReader(old: nil, new: dev, isNewHere: false, reason: "first")
            ),
        ]
        for (what, form, action) in wanted {
            let (done, answer) = try await sent(what, form)
            #expect(done == action, "\(what)")
            #expect(answer.status == .seeOther && answer.headers[.location] == "/patients/P0001?done=\(what)")
            let page = try await ask(MemoryDesk(), "/patients/P0001?done=\(what)").text
            #expect(page.contains(#"class="notice""#), "\(what) says that it is done")
        }
    }

    @Test(arguments: [
        ("calls", "outcome=maybe"), ("calls", ""), ("follow-ups", "due=2026-02-30T09%3A00&note=x"),
        ("follow-ups", "due=2026-11-24T24%3A00&note=x"), ("follow-ups", "due=2026-11-24T09%3A00"),
        ("follow-ups-done", "of=1"), ("readings", "source=patient"), ("readings", "source=neighbour&value-spo2=84"),
        ("readings", "source=patient&value-spo2=84&unit-spo2=kg"), ("readings", "source=patient&value-consciousness=Q"),
        ("readings", "source=patient&at=yesterday&value-spo2=84&unit-spo2=%25"),
        ("readings", "source=patient&value-spo2=1234567890123"), ("pauses", "from=2026-12-24&reason=x"),
        ("pauses", "from=2026-12-24&until=2026-12-24"), ("pauses-end", "pause=2026-12-24&reason=x"),
        ("pauses-end", "pause=2026-12-24%2F2026-12-24"), ("pauses-end", "reason=x"),
        ("discharge", "because=died&reason=x"),
        ("discharge", "because=moved&reason=x&sure=yes"), ("discharge", "because=died&sure=yes"), ("take-back", ""),
        ("readers", "new=dev+2&reason=x"), ("readers", "new=dev-2"), ("readers", "old=%2F&new=dev-2&reason=x"),
        ("reviews", "note=" + String(repeating: "x", count: 1001)),
    ])
    func whatMakesNoSenseDoesNothingAndIsKept(what: String, form: String) async throws {
        let (done, answer) = try await sent(what, form)
        #expect(done == nil)
        #expect(answer.status == .unprocessableContent)
        #expect(answer.text.contains("Not done: "))
    }

    @Test func whatWasTypedIsThereAgain() async throws {
        let desk = MemoryDesk()
        desk.state.withLock { $0.actionOutcome = .refused("SpO2 8 % is refused: implausible") }
        let answer = try await ask(
            desk, path + "readings", .post,
            form: once + "what=readings&source=carer&value-spo2=8&unit-spo2=%25&value-pulse=%3Cb%3E&unit-pulse=%2Fmin")
        #expect(answer.status == .conflict)
        #expect(answer.text.contains("Not done: SpO2 8 % is refused: implausible."))
        #expect(answer.text.contains(#"name="value-spo2" maxlength="12" value="8""#))
        #expect(answer.text.contains("&lt;b&gt;") && !answer.text.contains("<b>"))
        #expect(answer.text.contains(#"<option value="carer" selected>"#))
    }

    @Test func aReaderThatIsNewIsAskedAboutOnceMore() async throws {
        let desk = MemoryDesk()
        #expect(try await ask(desk, "/patients/P0001").text.contains("new-here") == false)
        desk.state.withLock { $0.actionOutcome = .refused("the reader dev-2 is new here") }
        let form = once + "what=readers&old=dev-1&new=dev-2&reason=broken"
        let answer = try await ask(desk, path + "readers", .post, form: form)
        #expect(answer.text.contains(#"name="new-here" value="dev-2""#))
    }

    @Test func aFormThatIsSentTwiceDoesOneThing() async throws {
        let desk = MemoryDesk()
        let form = once + "outcome=reached"
        #expect(try await ask(desk, path + "calls", .post, form: form).headers[.location]?.hasSuffix("calls") == true)
        #expect(try await ask(desk, path + "calls", .post, form: form).headers[.location]?.hasSuffix("before") == true)
        #expect(desk.state.withLock { $0.actions.count } == 1)
    }

    @Test func nobodyElseActs() async throws {
        let desk = MemoryDesk()
        for form in ["outcome=reached", "form=x&outcome=reached"] {
            #expect(try await ask(desk, path + "calls", .post, form: form).status == .forbidden)
        }
        #expect(try await ask(desk, "/patients/P0099/calls", .post, form: once + "outcome=reached").status == .notFound)
        #expect(try await ask(desk, path + "nothing", .post, form: once).status == .notFound)
        let late = try await ask(desk, path + "calls", .post, form: "form=\(formToken)&outcome=reached")
        #expect(late.status == .unprocessableContent, "a form without a number")
        desk.state.withLock { $0.viewer = MemoryDesk.viewer(.readOnly) }
        #expect(try await ask(desk, path + "calls", .post, form: once + "outcome=reached").status == .notFound)
        #expect(desk.state.withLock { $0.actions.isEmpty })
    }

    @Test func everyFormHasANumberOfItsOwn() async throws {
        let page = try await ask(MemoryDesk(), "/patients/P0001").text
        let numbers = page.matches(of: /name="once" value="([0-9a-f]{32})"/).map { String($0.1) }
        #expect(numbers.count >= 8 && Set(numbers).count == numbers.count)
    }

    // MARK: Many alerts

    @Test func onlyMinorAlertsAreAcknowledgedTogether() async throws {
        let desk = MemoryDesk()
        let page = try await ask(desk, "/minor").text
        #expect(page.contains(#"value="00000000-0000-0001-0000-000000000002 3""#))
        let form = "form=\(formToken)&a0=00000000-0000-0001-0000-000000000002+3&a7=nonsense"
        #expect(try await ask(desk, "/minor", .post, form: form).headers[.location] == "/minor?done=minor")
        let acts = desk.state.withLock { $0.acts }
        #expect(acts.map(\.verb) == [.acknowledgeMinor] && acts.map(\.seen) == [3])
        desk.state.withLock { $0.refusal = .notMinor }
        #expect(try await ask(desk, "/minor", .post, form: form).headers[.location] == "/minor?done=minor-some")
    }

    @Test func anAlertIsHandedOver() async throws {
        let desk = MemoryDesk()
        let form = "form=\(formToken)&do=hand-over&seen=3&to=cm-02&note=off+at+two"
        let answer = try await ask(desk, alertPath, .post, form: form)
        #expect(answer.headers[.location]?.hasPrefix("/patients/P0001?done=hand-over") == true)
        #expect(desk.state.withLock { $0.acts.first?.verb } == .handOver(MemoryDesk.identifier("cm-02")))
        let toNobody = form.replacing("to=cm-02", with: "to=")
        #expect(try await ask(desk, alertPath, .post, form: toNobody).status == .notFound)
    }

    @Test func aLongHistoryHasOlderParts() async throws {
        let page = try await ask(MemoryDesk(), alertPath + "/history").text
        #expect(page.contains("/history?before=3"))
        #expect(!(try await ask(MemoryDesk(), alertPath + "/history?before=3")).text.contains("?before="))
        #expect(try await ask(MemoryDesk(), alertPath + "/history?before=x").status == .notFound)
    }
}
