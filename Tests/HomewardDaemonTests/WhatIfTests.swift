import Alerting
import Clinical
import Documents
import Formats
import Foundation
import PostgresStore
import Registry
import TestSupport
import Testing

@testable import HomewardDaemon
@testable import Ingestion

/// What is stored, judged again: by the same packs and limits it gives what the daemon raised, by others what it would
/// have raised. The reports go through the daemon's own commit into a real database.
@Suite struct WhatIfTests {
    private static let packs = BuiltInPacks.library()
    private static let yaml = """
        sites:
          - { code: north, name: North Practice, timezone: UTC }
        care_managers:
          - { code: cm-01, site: north, webhook: "http://127.0.0.1:9/hook" }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [copd, heart-failure, diabetes, hypertension] }
          - { code: P0002, site: north, key_worker: cm-01 }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
          - { code: dev-0002, site: north, pairings: [ { patient: P0002, from: 2020-01-01T00:00:00Z } ] }
        """
    private static let patient = HistoryPatient(code: Identifier("P0001")!, site: Identifier("north")!)
    /// 2026-10-01T08:00:00Z
    private static let start = Instant(microseconds: 1_790_841_600_000_000)

    private struct Live {
        let cluster: PrivatePostgres
        let name: String
        let configuration: DatabaseConfiguration
        private let store: PostgresCommitStore
        private var processor = BatchProcessor(packs: WhatIfTests.packs)

        init() throws {
            cluster = try PrivatePostgres.shared()
            name = try cluster.createDatabase()
            configuration = DatabaseConfiguration(url: cluster.url(database: name), deadline: .seconds(30))
            _ = try Migrator.migrate(configuration)
            let registryStore = RegistryStore(configuration)
            let files = try RegistryFile.parse(Array(WhatIfTests.yaml.utf8), file: "ward.yaml")
            let stored = try registryStore.read()
            let plan = EnrolmentPlan(files: files, stored: stored.fields)
            _ = try registryStore.apply(
                RegistryUpdate(
                    base: stored, changes: plan.changes, loaded: plan.loaded,
                    registry: RegistryBuilder(packs: WhatIfTests.packs).build(files).registry, source: "enrol",
                    actor: "root"))
            store = PostgresCommitStore(configuration) { WhatIfTests.packs }
        }

        mutating func take(_ readings: String, _ id: String, at: Instant, device: String = "dev-0001") throws {
            let payload =
                "{\"id\":\"\(id)\",\"taken_at\":\"\(RFC3339.format(at))\",\"readings\":[\(readings)]}"
            let message = Message(
                topic: Array("homeward/v1/north/\(device)/report".utf8), payload: Array(payload.utf8),
                receivedAt: at + .seconds(2))
            var decoding = DecodeStage()
            var decoded = Decoded()
            decoding.decode(message, into: &decoded)
            var batch = [Candidate(message: message, decoded: decoded)]
            let isCommitted = try eventually {
                do throws(StoreFailure) {
                    _ = try processor.commit(&batch, to: store)
                    return true
                } catch {
                    guard error.kind == .transient else { throw error }
                    return false
                }
            }
            #expect(isCommitted)
        }

        /// As a person does at the page.
        func act(_ state: AlertState, on rule: String, at: Instant) throws {
            let time = "'\(RFC3339.format(at))'::timestamptz"
            let columns =
                state == .resolved
                ? "resolved_at = \(time), resolved_by = 'cm-01'"
                : "acknowledged_at = \(time), acknowledged_by = 'cm-01', worst_acknowledged = worst"
            let transition = state == .resolved ? "resolved" : "acknowledged"
            _ = try cluster.query(
                """
                WITH changed AS (
                    UPDATE homeward.alert SET state = '\(state.rawValue)', revision = revision + 1, \(columns)
                    WHERE rule = '\(rule)' AND state <> 'resolved' RETURNING id, revision, severity)
                INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, actor, summary, explanation)
                SELECT id, revision, '\(transition)', severity, \(time), 'cm-01', '', '{}' FROM changed
                """, database: name)
        }

        func replay(
            packs: PackLibrary = WhatIfTests.packs, changes: String? = nil, since: Instant
        ) throws -> (comparisons: [AlertComparison], summary: WhatIfSummary) {
            let files = try changes.map { try RegistryFile.parse(Array($0.utf8), file: "changed.yaml") } ?? []
            let stored = try RegistryStore(configuration).read()
            let outcome = RegistryBuilder(packs: packs).build(
                EnrolmentPlan.merged(files: files, stored: stored.fields))
            #expect(outcome.problems.isEmpty)
            let history = StoredHistory(configuration)
            let end = since + .days(60)
            let from = since - PatientReplay.lookBack
            var replay = PatientReplay(
                WhatIfTests.patient, packs: packs, registry: outcome.registry,
                past: try history.alerts(of: WhatIfTests.patient.code, from: from, until: end), since: since)
            var last: StoredMessage?
            repeat {
                let page = try history.reports(of: WhatIfTests.patient, from: from, until: end, after: last)
                last = page.last
                for stored in page { try replay.take(stored) }
            } while last != nil
            replay.end()
            var summary = WhatIfSummary(since: since, until: since + .days(14))
            summary.add(replay.comparisons(), of: replay)
            return (replay.comparisons(), summary)
        }
    }

    private static func reading(_ kind: String, _ value: Double, _ unit: String) -> String {
        "{\"kind\":\"\(kind)\",\"value\":\((value * 10).rounded() / 10),\"unit\":\"\(unit)\"}"
    }

    /// Three weeks, three times a day, in and out of every limit, with people who answer some of it.
    private static func fill(_ live: inout Live, seed: UInt64) throws {
        var state = seed
        func draw(_ range: ClosedRange<Double>) -> Double {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return range.lowerBound + (range.upperBound - range.lowerBound) * Double(state >> 33) / Double(1 << 31)
        }
        for slot in 0..<63 {
            let at = start + .hours(Int64(slot) * 8)
            var readings = [
                reading("systolic", draw(95...190), "mm[Hg]"), reading("diastolic", draw(60...90), "mm[Hg]"),
                reading("pulse", draw(45...125), "/min"), reading("glucose", draw(2.5...16), "mmol/L"),
            ]
            if slot % 3 == 0 { readings.append(reading("weight", draw(78...82), "kg")) }
            if slot % 2 == 0 { readings.append(reading("spo2", draw(89...99).rounded(), "%")) }
            try live.take(readings.joined(separator: ","), "r\(slot)", at: at)
            if slot % 7 == 3 { try live.act(.acknowledged, on: "spo2-low", at: at + .hours(1)) }
            if slot % 7 == 5 { try live.act(.resolved, on: "spo2-low", at: at + .hours(1)) }
            if slot % 11 == 9 { try live.act(.resolved, on: "glucose-low", at: at + .hours(2)) }
            if slot % 5 == 4 { try live.act(.acknowledged, on: "systolic-high", at: at + .minutes(30)) }
        }
    }

    @Test(arguments: [1, 7, 2026] as [UInt64])
    func `the same packs and limits give what the daemon raised`(seed: UInt64) throws {
        var live = try Live()
        try Self.fill(&live, seed: seed)
        for days in [0, 9] as [Int64] {
            let since = Self.start + .days(days)
            let (comparisons, summary) = try live.replay(since: since)
            let stored = try live.cluster.query(
                """
                SELECT count(*), count(*) FILTER (WHERE severity = 'red') FROM homeward.v_alert
                WHERE patient = 'P0001' AND class = 'clinical' AND raised_at >= '\(RFC3339.format(since))'
                """, database: live.name)
            #expect(comparisons.count > 5, "seed \(seed)")
            #expect(stored[0][0] == "\(comparisons.count)", "seed \(seed)")
            #expect(stored[0][1] == "\(summary.were[.red])")
            let different = comparisons.filter { $0.sort != .same }
            #expect(different.isEmpty, "seed \(seed) since day \(days): \(different)")
            #expect(comparisons.allSatisfy { $0.was?.id == $0.wouldBe?.id })
            #expect(summary.were == summary.wouldBe)
        }
    }

    @Test func `another limit says what would be raised no more, anew, and otherwise`() throws {
        var live = try Live()
        for (day, value) in [(0, 93.0), (1, 97), (2, 91), (3, 97), (4, 95), (5, 97)] as [(Int64, Double)] {
            try live.take(Self.reading("spo2", value, "%"), "r\(day)", at: Self.start + .days(day))
        }
        try live.act(.resolved, on: "spo2-low", at: Self.start + .days(2) + .hours(2))
        let wider = """
            patients:
              - code: P0001
                site: north
                limits: [ { kind: spo2, red_below: 88, amber_below: 92, by: cm-01, reason: prescribed 88-92 } ]
            """
        let (found, summary) = try live.replay(changes: wider, since: Self.start)
        #expect(found.map(\.sort) == [.noLongerRaised, .otherSeverity], "\(found)")
        #expect(found.last?.was?.severity == .red && found.last?.wouldBe?.severity == .amber)
        #expect(summary.were[.red] == 1 && summary.were[.amber] == 1)
        #expect(summary.wouldBe[.red] == 0 && summary.wouldBe[.amber] == 1)
        #expect(summary.patientWeeks > 1.99 && summary.patientWeeks <= 2)
        #expect(summary.perPatientWeek(summary.were[.red]).map { ($0 * 100).rounded() } == 50)
        let tighter = wider.replacing("red_below: 88, amber_below: 92", with: "red_below: 90, amber_below: 96")
        let (more, _) = try live.replay(changes: tighter, since: Self.start)
        #expect(more.map(\.sort) == [.same, .otherSeverity, .newlyRaised], "\(more)")
    }

    @Test func `what a timer made worse is as bad as it was`() throws {
        var live = try Live()
        try live.take(Self.reading("spo2", 93, "%"), "r0", at: Self.start)
        _ = try live.cluster.query(
            """
            WITH changed AS (
                UPDATE homeward.alert SET severity = 'red', revision = revision + 1 RETURNING id, revision, severity)
            INSERT INTO homeward.alert_event (alert, revision, transition, severity, at, actor, summary, explanation)
            SELECT id, revision, 'worsened', severity, '2026-10-01T08:30:00Z', 'homeward', '', '{}' FROM changed
            """, database: live.name)
        let (found, summary) = try live.replay(since: Self.start)
        #expect(found.map(\.sort) == [.same] && summary.wouldBe[.red] == 1)
    }

    @Test func `an alert that no stored report raised is left out of what is counted`() throws {
        var live = try Live()
        try live.take(Self.reading("spo2", 97, "%"), "r0", at: Self.start)
        _ = try live.cluster.query(
            """
            INSERT INTO homeward.alert (id, subject_type, subject, site, rule, class, severity, state, late, raised_at,
                escalation_level, summary, revision)
            VALUES (gen_random_uuid(), 'patient', 'P0001', 'north', 'missed-reading', 'clinical', 'amber', 'open', false,
                '2026-10-02T08:00:00Z', 0, 'Nothing came.', 1)
            """, database: live.name)
        let (found, summary) = try live.replay(since: Self.start)
        #expect(found.map(\.sort) == [.notReplayed])
        #expect(summary.were[.amber] == 0 && summary.wouldBe[.amber] == 0)
    }

    @Test func `only what was raised since is counted, with what was open before`() throws {
        var live = try Live()
        try live.take(Self.reading("spo2", 90, "%"), "r0", at: Self.start)
        // Forty days later it is open still: nothing is raised anew, neither then nor now.
        try live.take(Self.reading("spo2", 90, "%"), "r1", at: Self.start + .days(40))
        let (found, summary) = try live.replay(since: Self.start + .days(39))
        #expect(found.isEmpty)
        #expect(summary.reports == 1)
    }

    @Test func `a reading entered in error is left out, and its alert is told apart`() throws {
        var live = try Live()
        try live.take(Self.reading("glucose", 3.5, "mmol/L"), "r0", at: Self.start)
        let key = ReportKey(device: Identifier("dev-0001")!, report: Identifier("r0")!)
        _ = try ReadingCorrections(live.configuration, packs: Self.packs).mark(
            ReadingCorrections.Request(
                site: Identifier("north")!, key: key, reading: 0, by: Identifier("cm-01")!, actor: "root",
                reason: "control solution"))
        let (found, summary) = try live.replay(since: Self.start)
        #expect(found.map(\.sort) == [.enteredInError])
        #expect(summary.refused == 0)
    }

    @Test func `history comes in pages, in the order of receipt`() throws {
        var live = try Live()
        for number in 0..<5 {
            try live.take(
                Self.reading("spo2", 97, "%"), "r\(number)", at: Self.start + .minutes(Int64(5 - number)),
                device: number == 4 ? "dev-0002" : "dev-0001")
        }
        let history = StoredHistory(live.configuration)
        #expect(try history.patients(nil, site: Identifier("north")).map(\.code.description) == ["P0001", "P0002"])
        let all = try history.reports(of: Self.patient, from: Self.start, until: Self.start + .days(1), after: nil)
        #expect(all.map(\.key.report.description) == ["r3", "r2", "r1", "r0"])
        let rest = try history.reports(
            of: Self.patient, from: Self.start, until: Self.start + .days(1), after: all[1])
        #expect(rest.map(\.key.report.description) == ["r1", "r0"])
        #expect(rest.last?.raw == all.last?.raw)
    }

    @Test(
        arguments: [
            ("2026-03-29", "Europe/London", "2026-03-29T00:00:00Z"),
            ("2026-03-30", "Europe/London", "2026-03-29T23:00:00Z"),
            ("2026-03-30T10:00:00+01:00", "UTC", "2026-03-30T09:00:00Z"), ("2026-02-30", "UTC", nil),
            ("yesterday", "UTC", nil), ("", "UTC", nil),
        ] as [(String, String, String?)])
    func `since is a day where the patients are, or a time`(text: String, zone: String, expected: String?) {
        #expect(WhatIf.instant(text, timeZone: zone).map(RFC3339.format) == expected)
    }
}
