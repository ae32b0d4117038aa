import Alerting
import Clinical
import Registry
import Testing

@testable import HomewardDaemon

@Suite struct CoverageWatchTests {
    private let north = Identifier("north")!
    private let now = Instant(microseconds: 1_795_421_730_000_000)

    private func hole(_ site: String, after hours: Int64, why: String = "there is no team-lead") -> CoverageHole {
        CoverageHole(
            site: Identifier(site)!, patients: [Identifier("P1")!], alertClass: .clinical, severity: .red,
            from: now + .hours(hours), until: now + .hours(hours + 1), why: why)
    }

    @Test func aHoleIsToldOnceAndEndsByItself() {
        var told = CoverageWatch.Told()
        func findings(_ holes: [CoverageHole], open: Set<Identifier> = []) -> [String] {
            told.findings(holes, open: open, registry: Registry(), at: now, limit: 50).map {
                "\($0.site.map { "\($0)" } ?? "-") \($0.verdict == .inRange ? "ends" : "begins")"
            }
        }
        #expect(findings([]) == [])
        #expect(findings([hole("north", after: 3), hole("north", after: 30)]) == ["north begins"])
        // On its way, then open.
        #expect(findings([hole("north", after: 3)]) == [])
        #expect(findings([hole("north", after: 3)], open: [north]) == [])
        // A person resolved it: the same is not said again, another one is.
        #expect(findings([hole("north", after: 3)]) == [])
        #expect(findings([hole("north", after: 3, why: "cm-01 is away")]) == ["north begins"])
        #expect(findings([], open: [north]) == ["north ends"])
        #expect(findings([hole("north", after: 3, why: "cm-01 is away")]) == ["north begins"])
        // What has begun begins with each look.
        #expect(findings([hole("south", after: -1)]) == ["south begins"])
        #expect(findings([hole("south", after: 0)]) == [])
    }

    @Test func aCrowdOfSitesComesInParts() {
        var told = CoverageWatch.Told()
        let holes = (0..<7).map { hole("site-\($0)", after: 1) }
        var counts: [Int] = []
        for _ in 0..<4 {
            counts.append(told.findings(holes, open: [], registry: Registry(), at: now, limit: 3).count)
        }
        #expect(counts == [3, 3, 1, 0])
    }
}
