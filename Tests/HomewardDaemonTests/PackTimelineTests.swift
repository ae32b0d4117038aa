import Alerting
import Clinical
import Documents
import PostgresStore
import Registry
import Testing

@testable import HomewardDaemon

/// Which packs were in force when.
@Suite struct PackTimelineTests {
    private static let start = Instant(microseconds: 1_795_421_700_000_000)
    private static let end = start + .days(30)

    private static func day(_ number: Int64) -> Instant { start + .days(number) }

    private func records(
        seen: [(String, UInt8, Int64)], approved: [(String, UInt8, Int64, Int64?)] = []
    ) -> PackRecords {
        var records = PackRecords()
        records.contents = seen.map { .init(pack: $0.0, hash: [$0.1], seenAt: Self.day($0.2)) }
        records.approvals = approved.map {
            .init(pack: $0.0, hash: [$0.1], at: Self.day($0.2), retiredAt: $0.3.map(Self.day))
        }
        return records
    }

    /// `day hashes standing`, of each span.
    private func spans(_ records: PackRecords) -> [String] {
        PackTimeline.spans(records, from: Self.start, until: Self.end).map { span in
            let hashes = span.hashes.sorted { $0.key < $1.key }.map { "\($0.key)\($0.value[0])" }
            let days = (span.from - Self.start).microseconds / Interval.days(1).microseconds
            return "\(days) \(hashes.joined(separator: ",")) \(span.standing)"
        }
    }

    @Test func theContentApprovedLastIsInForceFromItsApproval() {
        #expect(
            spans(
                records(seen: [("a", 1, -90), ("a", 2, 5)], approved: [("a", 1, -80, nil), ("a", 2, 10, nil)]))
                == ["0 a1 approved", "10 a2 approved"], "that it was met changes nothing")
        #expect(spans(records(seen: [("a", 1, -90)], approved: [("a", 1, -80, nil)])) == ["0 a1 approved"])
    }

    @Test func beforeTheFirstApprovalWhatWasConfiguredStood() {
        #expect(
            spans(records(seen: [("a", 1, -90), ("b", 1, -90)], approved: [("a", 1, 3, nil), ("b", 1, 6, nil)])) == [
                "0 a1,b1 notApproved", "6 a1,b1 approved",
            ])
        // A pack that is configured later was not there before.
        #expect(spans(records(seen: [("a", 1, -90), ("b", 1, 4)])) == ["0 a1 notApproved", "4 a1,b1 notApproved"])
    }

    @Test func whatIsNotRecordedIsNotKnown() {
        // Two were met and none approved: a file may have been changed back.
        #expect(
            spans(records(seen: [("a", 1, -90), ("a", 2, 5)], approved: [("a", 2, 9, nil)])) == [
                "0 a1 notApproved", "5 a2 notKnown", "9 a2 approved",
            ])
        #expect(spans(records(seen: [("a", 1, 7)])) == ["0 a1 notKnown", "7 a1 notApproved"], "before any record")
        #expect(spans(PackRecords()) == ["0  notKnown"])
    }

    @Test func aRetiredPackEnds() {
        #expect(
            spans(
                records(
                    seen: [("a", 1, -90), ("b", 1, -90)], approved: [("a", 1, -80, nil), ("b", 1, -80, 8)])) == [
                    "0 a1,b1 approved", "8 a1 approved",
                ])
    }

    @Test func ofManyChangesTheLastAreTold() {
        let approvals = (0..<100).map { ("a", UInt8($0), Int64($0 - 80), Int64?.none) }
        let found = PackTimeline.spans(
            records(seen: [("a", 1, -90)], approved: approvals), from: Self.day(-85), until: Self.day(40))
        #expect(found.count == PackTimeline.longest + 1)
        #expect(found.last?.hashes == ["a": [99]])
    }

    // MARK: Plans

    @Test func plansAreByThePacksOfTheirTime() throws {
        func library(_ limit: Double) -> PackLibrary {
            let red = BandLimit(
                threshold: Threshold(severity: .red, limit: Limit(value: limit, inclusive: false)), source: "x")
            return PackLibrary([
                ProtocolPack(
                    code: "adult", title: "Adult", contentHash: "\(limit)",
                    bands: [Band(kind: .pulse, side: .low, limits: [red])])
            ])
        }
        let (site, code) = (try #require(Identifier("north")), try #require(Identifier("P0001")))
        let ward = WorklistKeeper.Ward(
            registry: Registry(sites: [site: Site(code: site, name: "North")]), packs: library(40), rows: [:],
            sorted: [], number: 1, at: Self.end)
        let patient = Patient(code: code, site: site)
        func entry(_ day: Int64, _ fields: [String: FieldValue] = [:]) -> (from: Instant, fields: [String: FieldValue])
        {
            (Self.day(day), fields.merging(["site": .string("north")]) { old, _ in old })
        }
        let own: FieldValue = .array([
            .object([
                "kind": .string("pulse"), "red_below": .number(44), "by": .string("cm-01"), "reason": .string("x"),
            ])
        ])
        let spans = [
            PastPacks.Span(from: Self.start, library: library(38), standing: .notApproved),
            PastPacks.Span(from: Self.day(10), library: library(40), standing: .approved),
        ]
        func limits(_ plans: [PastPlan]) -> [Double] {
            plans.map { $0.plan.limits(.pulse, .low, at: $0.from).first?.limit.threshold.limit.value ?? 0 }
        }
        let found = ward.plans(of: patient, [entry(-100), entry(20, ["limits": own])], spans, from: Self.start)
        #expect(limits(found.plans) == [38, 40, 44] && found.from == nil)
        #expect(found.plans.map(\.from) == [Self.start, Self.day(10), Self.day(20)])
        #expect(found.plans.map(\.packs) == [.notApproved, .approved, .approved])
        // What changes nothing of the limits is no change.
        let same = ward.plans(
            of: patient, [entry(-100), entry(3, ["name": .string("Ada")])],
            [PastPacks.Span(from: Self.start, library: library(40), standing: .approved)], from: Self.day(1))
        #expect(same.plans.count == 1)
        // Whoever is new has the first limits from the start: nothing was judged before.
        #expect(ward.plans(of: patient, [entry(5)], spans, from: Self.start).plans.first?.from == Self.start)
        let many = (0..<200).map { entry(Int64($0) - 100, $0.isMultiple(of: 2) ? [:] : ["limits": own]) }
        let cut = ward.plans(of: patient, many, [spans[1]], from: Self.day(-100))
        #expect(cut.plans.count <= WorklistKeeper.Ward.mostPlans && cut.from == cut.plans.first?.from)
    }
}
