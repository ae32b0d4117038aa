import Alerting
import Clinical
import Documents
import Formats
import Foundation
import Registry
import Testing

@testable import HomewardDaemon
@testable import PostgresStore

/// A change of a plan is checked as `enrol` checks it, and refuses what that only notes of entries without a file.
@Suite struct PlanEditingTests {
    private static let packs = BuiltInPacks.library()
    private static let patient = Identifier("P0001")!
    private static let key = RegistryKey(entity: .patient, code: "P0001")

    private static func base(_ own: [String: FieldValue] = [:]) -> RegistryChange.Base {
        var fields: [RegistryKey: [String: FieldValue]] = [
            RegistryKey(entity: .site, code: "north"): ["name": .string("North")],
            RegistryKey(entity: .careManager, code: "cm-01"): [
                "site": .string("north"), "webhook": .string("http://127.0.0.1:9/hook"),
            ],
            RegistryKey(entity: .careManager, code: "cm-02"): ["site": .string("north")],
        ]
        fields[key] = ["site": .string("north"), "key_worker": .string("cm-01")].merging(own) { $1 }
        let registry = RegistryBuilder(packs: packs).build(
            fields.sorted { $0.key < $1.key }.map { RegistryEntry(key: $0.key, fields: $0.value) }
        ).registry
        return RegistryChange.Base(
            viewer: Viewer(
                careManager: Identifier("cm-01")!, role: .careManager, site: Identifier("north")!, siteName: "North",
                timeZone: "UTC"), now: Instant(microseconds: 1_795_421_730_000_000), fields: fields, registry: registry)
    }

    private func verdict(
        _ field: PlanField, _ part: PlanRequest.Part, _ value: FieldValue, own: [String: FieldValue] = [:],
        seen: FieldValue? = nil
    ) -> PlanEditing.Verdict {
        let base = Self.base(own)
        let seen = (seen ?? base.fields[Self.key]?[field.rawValue] ?? .null).fingerprint
        return PlanEditing(
            request: PlanRequest(
                form: FormID(), patient: Self.patient, field: field, part: part, value: value, seen: seen, reason: "r"),
            packs: Self.packs, served: ServedChannels()
        ).verdict(on: base)
    }

    private static func limit(_ fields: [String: FieldValue]) -> FieldValue {
        .object(["kind": .string("spo2"), "by": .string("cm-01"), "reason": .string("r")].merging(fields) { $1 })
    }

    private func written(_ verdict: PlanEditing.Verdict, _ field: String) -> FieldValue? {
        if case .write(let changes) = verdict { changes[Self.key]?[field] } else { nil }
    }

    private func faults(_ verdict: PlanEditing.Verdict) -> [PlanFault] {
        if case .refused(let faults) = verdict { faults } else { [] }
    }

    @Test func itemsAreAddedChangedAndTakenAway() {
        let first = Self.limit(["red_below": .number(85), "amber_below": .number(88)])
        let second = Self.limit(["kind": .string("pulse"), "amber_above": .number(110)])
        let changed = Self.limit(["red_below": .number(84), "amber_below": .number(88)])
        #expect(written(verdict(.limits, .newItem, first), "limits") == .array([first]))
        let own = ["limits": FieldValue.array([first, second])]
        #expect(written(verdict(.limits, .item(0), changed, own: own), "limits") == .array([changed, second]))
        #expect(written(verdict(.limits, .item(0), .null, own: own), "limits") == .array([second]))
        guard case .movedOn = verdict(.limits, .item(2), changed, own: own) else {
            Issue.record("there is no such item")
            return
        }
        #expect(
            written(verdict(.conditions, .whole, .array([.string("copd")])), "conditions") == .array([.string("copd")]))
    }

    @Test func whatAnotherChangedMeanwhileIsNotOverwritten() {
        let mine = Self.limit(["red_below": .number(84)])
        let theirs = FieldValue.array([Self.limit(["red_below": .number(86)])])
        guard case .movedOn = verdict(.limits, .newItem, mine, own: ["limits": theirs], seen: .null) else {
            Issue.record("overwritten")
            return
        }
        // Another field is no hindrance.
        #expect(written(verdict(.limits, .newItem, mine, own: ["risk": .string("high")]), "limits") == .array([mine]))
    }

    /// What is wrong, and the key beside which it stands.
    @Test(
        arguments: [
            ("inverted", ["red_below": .number(92), "amber_below": .number(88)], ""),
            ("no number", ["red_below": .string("low")], "red_below"),
            ("not plausible", ["red_below": .number(900)], "red_below"),
            ("off without until", ["red": .string("off")], "red"),
            ("no limit", [:], ""),
            ("a code", ["kind": .string("consciousness"), "red_below": .number(1)], "kind"),
            ("no kind", ["kind": .string("spo3"), "red_below": .number(1)], "kind"),
            ("another unit", ["unit": .string("kg"), "red_below": .number(85)], "unit"),
        ] as [(String, [String: FieldValue], String)])
    func aBadLimitIsRefused(name: String, fields: [String: FieldValue], key: String) {
        let faults = faults(verdict(.limits, .newItem, Self.limit(fields)))
        #expect(faults.contains { $0.key == key && !$0.words.isEmpty }, "\(name): \(faults)")
    }

    /// Against the packs' limits `enrol` only tells of what no file has: here it refuses.
    @Test func aPlanThatIsInvertedAgainstThePacksIsRefused() {
        // Amber below what the pack calls red, so that its red would be lost or inverted; or a low beyond a high.
        let lost = faults(verdict(.limits, .newItem, Self.limit(["amber_below": .number(60)])))
        #expect(!lost.isEmpty)
        let crossed = faults(
            verdict(
                .limits, .newItem, Self.limit(["kind": .string("systolic"), "amber_below": .number(240)])))
        #expect(!crossed.isEmpty)
    }

    @Test func offNeedsByReasonAndUntil() {
        let whole = Self.limit(["red": .string("off"), "until": .string("2026-12-31")])
        #expect(written(verdict(.limits, .newItem, whole), "limits") != nil)
    }

    @Test func nobodyIsLeftWithoutAnybodyToTell() {
        #expect(!faults(verdict(.keyWorker, .whole, .string("cm-02"))).isEmpty, "no channel")
        #expect(!faults(verdict(.keyWorker, .whole, .null)).isEmpty)
        #expect(!faults(verdict(.keyWorker, .whole, .string("nobody"))).isEmpty)
        // Who was uncovered before may still be changed.
        let uncovered = ["key_worker": FieldValue.string("cm-02")]
        #expect(written(verdict(.risk, .whole, .string("high"), own: uncovered), "risk") == .string("high"))
    }

    @Test func otherFieldsAreChecked() {
        #expect(!faults(verdict(.conditions, .whole, .array([.string("plague")]))).isEmpty)
        #expect(!faults(verdict(.risk, .whole, .string("grave"))).isEmpty)
        #expect(!faults(verdict(.targets, .whole, .object(["inr": .array([.number(3), .number(2)])]))).isEmpty)
        #expect(!faults(verdict(.baselines, .whole, .object(["spo2": .number(900)]))).isEmpty)
        let slot = FieldValue.object(["kinds": .array([.string("spo2")]), "due": .string("25:00")])
        #expect(faults(verdict(.schedule, .newItem, slot)).contains { $0.key == "due" })
        let good = FieldValue.object([
            "kinds": .array([.string("spo2")]), "due": .string("09:00"), "days": .array([.string("mon")]),
            "early": .string("2h"), "grace": .string("4h"),
        ])
        #expect(written(verdict(.schedule, .newItem, good), "schedule") == .array([good]))
    }

    @Test func aPauseLastsNinetyDaysAtMost() throws {
        let base = Self.base()
        let first = try #require(CalendarDate(year: 2026, month: 11, day: 24))
        let last = try #require(CalendarDate(year: 2027, month: 2, day: 21))
        let late = try #require(CalendarDate(year: 2027, month: 2, day: 22))
        #expect(try !base.pausing(Self.patient, from: first, until: last, "away").isEmpty)
        #expect(throws: RegistryChange.Refusal.self) {
            try base.pausing(Self.patient, from: first, until: late, "away")
        }
    }

    @Test func aPauseIsEndedAsItWasSeen() throws {
        func day(_ month: Int, _ day: Int) throws -> CalendarDate {
            try #require(CalendarDate(year: 2026, month: month, day: day))
        }
        func pause(_ from: String, _ until: String, _ more: [String: FieldValue] = [:]) -> FieldValue {
            .object(["from": .string(from), "until": .string(until), "reason": .string("away")].merging(more) { $1 })
        }
        let (now, over, later) = (
            pause("2026-11-20", "2026-11-30"), pause("2026-11-01", "2026-11-22"), pause("2026-12-20", "2026-12-31")
        )
        let base = Self.base(["pauses": .array([over, now, later])])
        func ended(_ from: CalendarDate, _ until: CalendarDate) throws -> FieldValue? {
            try base.endingPause(Self.patient, from: from, until: until)[Self.key]?["pauses"]
        }
        let wanted = pause("2026-11-20", "2026-11-30", ["ended": .string("2026-11-23T08:15:30Z")])
        #expect(try ended(day(11, 20), day(11, 30)) == .array([over, wanted, later]))
        #expect(try ended(day(12, 20), day(12, 31)) == .array([over, now]), "one that has not begun is taken away")
        for (from, until) in [(try day(11, 1), try day(11, 22)), (try day(11, 20), try day(12, 1))] {
            #expect(throws: RegistryChange.Refusal.self) { try ended(from, until) }
        }
        let twice = Self.base(["pauses": .array([wanted])])
        #expect(throws: RegistryChange.Refusal.self) {
            try twice.endingPause(Self.patient, from: day(11, 20), until: day(11, 30))
        }
    }

    @Test func aPairingBeginsWithTheSecond() throws {
        var base = Self.base()
        base.now = Instant(microseconds: base.now.microseconds + 123_456)
        let device = try #require(Identifier("dev-1"))
        let edit = try base.replacing(nil, with: device, of: Self.patient, isNewHere: true)
        #expect(
            edit[RegistryKey(entity: .device, code: "dev-1")]?["pairings"]
                == .array([.object(["patient": .string("P0001"), "from": .string("2026-11-23T08:15:30Z")])]))
    }

    @Test func aReaderThatNobodyKnowsIsAskedAbout() throws {
        let base = Self.base()
        let slip = try #require(Identifier("dev-0O01"))
        let refusal = #expect(throws: RegistryChange.Refusal.self) {
            try base.replacing(nil, with: slip, of: Self.patient, isNewHere: false)
        }
        #expect(refusal?.words.contains("dev-0O01 is new here") == true)
        #expect(try base.replacing(nil, with: slip, of: Self.patient, isNewHere: true).count == 1)
    }

    // MARK: Pairings

    @Test func aReaderThatWasNobodysIsPairedWithoutOverlap() throws {
        var base = Self.base()
        let device = try #require(Identifier("dev-1"))
        let other = try #require(Identifier("P0002"))
        let (early, late) = (base.now - .days(5), base.now - .days(2))
        let key = RegistryKey(entity: .device, code: "dev-1")
        func pairings(_ from: Instant) throws -> [FieldValue] {
            let edit = try base.pairing(device, with: Self.patient, from: from)
            guard case .array(let list)? = edit[key]?["pairings"] else { return [] }
            return list
        }
        #expect(try pairings(early).count == 1, "a reader that nobody knew")
        base.registry.devices[device] = Device(
            code: device, site: try #require(Identifier("north")), pairings: [Pairing(patient: other, from: late)])
        let own = FieldValue.object([
            "patient": .string("P0001"), "from": .string(RFC3339.format(early)), "until": .string(RFC3339.format(late)),
        ])
        #expect(try pairings(early).first == own, "until it is somebody's next")
        #expect(try pairings(early).count == 2)
        for from in [late, base.now, base.now + .hours(1), base.now - .days(32)] {
            #expect(throws: RegistryChange.Refusal.self) { try pairings(from) }
        }
        do throws(RegistryChange.Refusal) {
            _ = try base.pairing(device, with: Self.patient, from: late)
        } catch {
            #expect(error.words.contains("P0002's then") && error.words.contains("may not overlap"))
        }
        let typed = try #require(TypedReader.code(of: Self.patient))
        #expect(throws: RegistryChange.Refusal.self) { try base.pairing(typed, with: Self.patient, from: early) }
        base.registry.devices[device]?.site = try #require(Identifier("south"))
        #expect(throws: RegistryChange.Refusal.self) { try pairings(early) }
    }
}
