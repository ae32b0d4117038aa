import Alerting
import Clinical
import HTTPTypes
import HummingbirdTesting
import Registry
import Synchronization
import Testing

@testable import WebApp

/// What leads say of a held report's reader, and of packs.
@Suite struct LeadFormTests {
    private static let once = "once=000102030405060708090a0b0c0d0e0f&form=\(formToken)&"
    private static let hash = String(repeating: "01", count: 32)

    // MARK: A reader that was nobody's

    @Test func aHeldReportsReaderIsPaired() async throws {
        let desk = leadDesk()
        #expect(!(try await ask(desk, "/quarantine/7").text.contains("Fix the pairing")), "it is retained")
        for reason in [RefusalReason.unpaired, .unknownDevice] {
            desk.state.withLock { $0.reason = reason }
            let page = try await ask(desk, "/quarantine/7").text
            #expect(page.contains("Fix the pairing") && page.contains(#"value="2026-11-22T08:15""#))
        }
        let form = Self.once + "do=pair&patient=P0001&from=2026-11-22T08%3A15&reason=asked"
        let answer = try await ask(desk, "/quarantine/7", form: form)
        #expect(answer.headers[.location] == "/quarantine/7?done=paired")
        let request = try #require(desk.state.withLock { $0.pairings.first })
        #expect(request.quarantined == 7 && request.patient.description == "P0001")
        #expect(request.from == "2026-11-22T08:15" && request.reason == "asked")
        #expect(try await ask(desk, "/quarantine/7?done=paired").text.contains("Now release the report"))
        desk.state.withLock { $0.pairingOutcome = .refused("dev-1 was P0002's then, and pairings may not overlap") }
        let refused = try await ask(desk, "/quarantine/7", form: form)
        #expect(refused.status == .conflict && refused.text.contains("pairings may not overlap"))
        #expect(refused.text.contains(#"value="asked""#), "what was typed stays")
        #expect(desk.state.withLock { $0.releases.isEmpty })
    }

    @Test(arguments: [
        ("patient=P0001&from=2026-11-22T08%3A15", 422), ("patient=P0001&reason=x", 422),
        ("patient=P0001&from=yesterday&reason=x", 422), ("from=2026-11-22T08%3A15&reason=x", 422),
        ("patient=P0099&from=2026-11-22T08%3A15&reason=x", 422),
    ])
    func aPairingThatSaysTooLittlePairsNothing(form: String, status: Int) async throws {
        let desk = leadDesk()
        desk.state.withLock { $0.reason = .unpaired }
        let answer = try await ask(desk, "/quarantine/7", form: Self.once + "do=pair&" + form)
        #expect(answer.status.code == status && answer.text.contains("Not done: "))
        #expect(desk.state.withLock { $0.pairings.isEmpty })
    }

    @Test func nobodyElsePairs() async throws {
        for role in [CareManager.Role.careManager, .readOnly] {
            let desk = leadDesk(role)
            let form = Self.once + "do=pair&patient=P0001&from=2026-11-22T08%3A15&reason=x"
            #expect(try await ask(desk, "/quarantine/7", form: form).status == .notFound)
            #expect(desk.state.withLock { $0.pairings.isEmpty })
        }
        let desk = leadDesk()
        #expect(try await ask(desk, "/quarantine/7", form: "do=pair&patient=P0001").status == .forbidden)
    }

    // MARK: Packs

    @Test(arguments: [
        ApprovalRefusal.notConfigured, .approvedAlready, .notInForce, .notYetInForce,
    ])
    func whatCameOfAnApprovalIsSaid(refusal: ApprovalRefusal) async throws {
        let desk = leadDesk(.administrator)
        desk.state.withLock { $0.approvalRefusal = refusal }
        let answer = try await ask(desk, "/packs/copd", form: "hash=\(Self.hash)&note=x&form=\(formToken)")
        #expect(answer.status == .conflict)
        let start = refusal.isApproved ? "Approved, but " : "Not done: "
        #expect(answer.text.contains(start + refusal.rawValue))
    }

    @Test func aPackWhoseFileIsMissingIsRetiredWithAReason() async throws {
        let desk = leadDesk(.administrator)
        let page = try await ask(desk, "/packs").text
        #expect(page.contains("approved, file missing") && page.contains("Why it is retired"))
        #expect(!(try await ask(leadDesk(.careManager), "/packs").text.contains("Why it is retired")))
        #expect(
            try await ask(desk, "/packs/gone", form: "do=retire&form=\(formToken)").status == .unprocessableContent)
        #expect(
            try await ask(desk, "/packs/copd", form: "do=retire&reason=x&form=\(formToken)").status == .notFound)
        let form = "do=retire&reason=nobody+uses+it&form=\(formToken)"
        #expect(try await ask(desk, "/packs/gone", form: form).headers[.location] == "/packs?done=retired")
        #expect(desk.state.withLock { $0.retirements } == ["gone nobody uses it"])
        #expect(try await ask(desk, "/packs?done=retired").text.contains("stay open until somebody deals with them"))
        for (refusal, words) in [
            (RetirementRefusal.named(3), "Not done: 3 patients&#39; plans name it"),
            (.named(1), "Not done: one patient&#39;s plan names it"),
            (.configured, "Not done: the configuration has it"),
            (.notApproved, "Not done: nothing of it is approved"), (.notYet, "Retired, but still in force"),
        ] {
            desk.state.withLock { $0.retirementRefusal = refusal }
            let answer = try await ask(desk, "/packs/gone", form: form)
            #expect(answer.status == .conflict && answer.text.contains(words), "\(words)")
        }
    }
}
