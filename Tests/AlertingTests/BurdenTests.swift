import Clinical
import Registry
import Testing

@testable import Alerting

/// Figures of the burden report, against tables that were worked out by hand.
@Suite struct BurdenTests {
    private static let start = Instant(microseconds: 1_795_392_000_000_000)
    private static let north = Identifier("north")!

    private func alert(
        _ rule: String = "spo2-low", _ severity: Severity = .red, at minute: Int64, answered: Int64? = nil,
        by who: String = "cm-01", ended: Int64? = nil, _ ending: BurdenAlert.Ending? = nil,
        alertClass: AlertClass = .clinical, isListed: Bool = false
    ) -> BurdenAlert {
        let raised = Self.start + .minutes(minute)
        return BurdenAlert(
            rule: rule, alertClass: alertClass, severity: severity, site: Self.north, raisedAt: raised,
            answeredAt: answered.map { raised + .minutes($0) }, answeredBy: answered == nil ? nil : who,
            endedAt: ended.map { raised + .minutes($0) }, ending: ending, isListed: isListed)
    }

    private func burden(
        _ alerts: [BurdenAlert], days: Int64 = 7, enrolled: [Instant] = [start], told: [String: Int] = [:]
    ) -> Burden {
        Burden(of: alerts, since: Self.start, until: Self.start + .days(days), enrolled: enrolled, told: told)
    }

    @Test func nothingHappened() {
        let burden = burden([], enrolled: [])
        #expect(burden.clinical == Burden.Figures())
        #expect(burden.patients == 0 && burden.patientWeeks == 0)
        #expect(burden.rules.isEmpty && burden.careManagers.isEmpty && burden.floods.isEmpty)
    }

    /// Two patients for the whole fortnight, one for its second half, one who came after it: 2 + 2 + 1 weeks.
    @Test func patientWeeksCountFromEnrolment() {
        let enrolled = [
            Self.start - .days(100), Self.start, Self.start + .days(7), Self.start + .days(14), Self.start + .days(20),
        ]
        let burden = burden((0..<10).map { alert(at: $0 * 60) }, days: 14, enrolled: enrolled)
        #expect(burden.patients == 3)
        #expect(burden.patientWeeks == 5)
        #expect(burden.clinical.perPatientWeek == 2)
    }

    @Test func sharesAndTimesOfFourAlerts() throws {
        let burden = burden(
            [
                alert(at: 0, answered: 2, ended: 10, .resolved(by: "cm-01", hasNote: true)),
                alert(at: 60, answered: 4, by: "cm-02", ended: 30, .resolved(by: "cm-02", hasNote: false)),
                alert("pulse-high", .amber, at: 120, ended: 50, .cleared),
                alert("pulse-high", .amber, at: 180, answered: 12),
            ], told: ["cm-01": 4, "lead": 1])
        let all = burden.clinical
        #expect((all.alerts, all.red, all.amber) == (4, 2, 2))
        #expect(all.perPatientWeek == 4)
        #expect(all.acknowledgedShare == 0.75)
        #expect(all.resolvedWithActionShare == 0.25)
        #expect(all.autoClearedShare == 0.25)
        // Answered after 2, 4 and 12 min: the median is 4; p95 lies at place 1.9, between 4 and 12.
        #expect(all.acknowledgeMedian == 240)
        #expect(abs(try #require(all.acknowledgeP95) - (240 + 0.9 * 480)) < 1e-6)
        // Ended after 10, 30 and 50 min.
        #expect(all.resolveMedian == 1800)
        #expect(abs(try #require(all.resolveP95) - (1800 + 0.9 * 1200)) < 1e-6)
        #expect(burden.rules.map(\.rule) == ["pulse-high", "spo2-low"])
        #expect(burden.rules[1].figures.acknowledgedShare == 1)
        #expect(burden.rules[0].figures.resolvedWithActionShare == 0)
        #expect(
            burden.careManagers == [
                .init(careManager: "cm-01", told: 4, toldPerWeek: 4, answered: 2),
                .init(careManager: "cm-02", told: 0, toldPerWeek: 0, answered: 1),
                .init(careManager: "lead", told: 1, toldPerWeek: 1, answered: 0),
            ])
        #expect(burden.technical == Burden.Figures(perPatientWeek: 0))
    }

    @Test(arguments: [
        ([5.0], 0.5, 5.0), ([1, 2], 0.5, 1.5), ([1, 2, 3, 4], 0.5, 2.5), ([1, 2, 3, 4, 5], 0.95, 4.8),
        ([1, 2, 3], 1, 3), ([1, 2, 3], 0, 1),
    ])
    func percentiles(values: [Double], share: Double, expected: Double) throws {
        #expect(abs(try #require(Burden.percentile(share, of: values)) - expected) < 1e-9)
        #expect(Burden.percentile(share, of: []) == nil)
    }

    /// So many in each minute from 0 on; how many minutes are flooded.
    @Test(
        arguments: [
            // Nine are no flood, however close.
            ([9], 0),
            // Ten at once: each of the ten minutes that end with minute 0 to 9 has all of them.
            ([10], 10),
            // One a minute: only in minute 9 have all ten been raised within ten.
            ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 1),
            // The tenth a minute later: never ten within ten minutes.
            ([1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 1], 0),
            // One a minute for a quarter of an hour: minutes 9 to 14.
            ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1], 6),
            // Two that overlap: minutes 0 to 9 and 5 to 14.
            ([10, 0, 0, 0, 0, 12], 15),
        ] as [([Int], Int)])
    func floods(perMinute: [Int], expected: Int) {
        let alerts = perMinute.enumerated().flatMap { minute, count in
            (0..<count).map { _ in alert(at: Int64(minute)) }
        }
        let burden = burden(alerts)
        #expect(burden.floods == [.init(site: Self.north, minutes: expected)])
    }

    @Test func whatIsTechnicalOrToldInOneListFloodsNobody() {
        let technical = (0..<20).map { _ in alert("battery-low", .amber, at: 0, alertClass: .technical) }
        let listed = (0..<20).map { _ in alert("missed-reading", .amber, at: 0, isListed: true) }
        let burden = burden(technical + listed + [alert("missed-readings", .amber, at: 0)])
        #expect(burden.floods == [.init(site: Self.north, minutes: 0)])
        #expect(burden.technical.alerts == 20)
        #expect(burden.clinical.alerts == 21)
    }
}
