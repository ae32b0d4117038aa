import Alerting
import Clinical
import Documents
import Foundation
import Outage
import PostgresStore
import Registry
import TestSupport
import Testing

@testable import Ingestion

/// An enrolled ward whose reports go through the daemon's own commit, with the shipped packs.
private struct LiveWard {
    static let packs = BuiltInPacks.library()
    static let yaml = """
        sites:
          - { code: north, name: North Practice, timezone: UTC }
        care_managers:
          - { code: cm-01, site: north, webhook: "http://127.0.0.1:9/hook" }
          - { code: reader, site: north, webhook: "http://127.0.0.1:9/hook", role: read-only }
        patients:
          - { code: P0001, site: north, key_worker: cm-01, conditions: [heart-failure, diabetes] }
        devices:
          - { code: dev-0001, site: north, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
        """

    let database: TestDatabase
    let store: PostgresCommitStore
    private var processor = BatchProcessor(packs: LiveWard.packs)

    init() throws {
        database = try TestDatabase(devices: 0)
        store = PostgresCommitStore(database.configuration) { LiveWard.packs }
        try enrol(Self.yaml)
    }

    func enrol(_ yaml: String) throws {
        let registryStore = RegistryStore(database.configuration)
        let files = try RegistryFile.parse(Array(yaml.utf8), file: "ward.yaml")
        let stored = try registryStore.read()
        let plan = EnrolmentPlan(files: files, stored: stored.fields)
        let outcome = RegistryBuilder(packs: Self.packs).build(
            EnrolmentPlan.merged(files: files, stored: stored.fields))
        #expect(outcome.problems.isEmpty)
        _ = try registryStore.apply(
            RegistryUpdate(
                base: stored, changes: plan.changes, loaded: plan.loaded, registry: outcome.registry, source: "enrol",
                actor: "root"))
    }

    /// Taken and received so many minutes after the morning.
    mutating func take(
        _ id: String, _ readings: (kind: String, value: Double, unit: String)..., minute: Int64,
        hoursLate: Int64 = 0, into other: (any CommitStore)? = nil
    ) throws {
        let at = morning + .minutes(minute)
        let sent = readings.map { "{\"kind\":\"\($0.kind)\",\"value\":\($0.value),\"unit\":\"\($0.unit)\"}" }
        let formatter = ISO8601DateFormatter()
        let text = formatter.string(from: Date(timeIntervalSince1970: Double(at.microseconds) / 1_000_000))
        let payload =
            "{\"id\":\"\(id)\",\"taken_at\":\"\(text)\",\"readings\":[\(sent.joined(separator: ","))]}"
        let message = Message(
            topic: Array("homeward/v1/north/dev-0001/report".utf8), payload: Array(payload.utf8),
            receivedAt: at + .hours(hoursLate))
        var decoding = DecodeStage()
        var decoded = Decoded()
        decoding.decode(message, into: &decoded)
        var batch = [Candidate(message: message, decoded: decoded)]
        let isCommitted = try eventually {
            do throws(StoreFailure) {
                _ = try processor.commit(&batch, to: other ?? store)
                return true
            } catch {
                guard error.kind == .transient else { throw error }
                return false
            }
        }
        #expect(isCommitted)
        #expect(batch[0].outcome.disposition == .stored)
    }

    func correct(
        _ id: String, _ reading: Int = 0, by: String = "cm-01", reason: String = "another person on it"
    ) throws -> ReadingCorrections.Outcome {
        try Self.correct(database.configuration, id, reading, by: by, reason: reason)
    }

    static func correct(
        _ configuration: DatabaseConfiguration, _ id: String, _ reading: Int = 0, by: String = "cm-01",
        reason: String = "another person on it"
    ) throws -> ReadingCorrections.Outcome {
        try ReadingCorrections(configuration, packs: Self.packs).mark(
            ReadingCorrections.Request(
                site: code("north"), key: key(1, id), reading: reading, by: code(by), actor: "root", reason: reason))
    }

    func changes(_ outcome: ReadingCorrections.Outcome) throws -> [EpisodeChange] {
        guard case .marked(_, _, _, let alerts) = outcome else {
            Issue.record("\(outcome)")
            return []
        }
        return alerts
    }

    /// Rule, severity, state.
    func alerts() throws -> [[String?]] {
        try database.query("SELECT rule, severity, state FROM homeward.v_alert ORDER BY raised_at, rule")
    }
}

extension PostgresStoreSuite {
    @Suite struct ReadingCorrectionTests {
        @Test func `an amber that nothing else caused ends, and says by whom and why`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 3.5, "mmol/L"), minute: 0)
            #expect(try ward.alerts() == [["glucose-low", "amber", "open"]])
            let changes = try ward.changes(ward.correct("g1"))
            #expect(changes.count == 1)
            #expect(try ward.alerts() == [["glucose-low", "amber", "resolved"]])
            let row = try #require(try AlertReader(ward.database.configuration).alerts(AlertFilter(states: [])).first)
            #expect(
                row.episode.summary.contains("marked entered in error by cm-01 because another person on it"),
                "\(row.episode.summary)")
            #expect(row.episode.summary.contains("3.5 mmol/L"))
            #expect(row.resolvedBy == "cm-01")
            let events = try AlertReader(ward.database.configuration).events(of: row.episode.id)
            #expect(events.map(\.transition) == [.opened, .enteredInError])
            #expect(events.last?.actor == "cm-01")
            #expect(events.last?.explanation.contains("\"account\": \"root\"") == true)
            #expect(events.last?.report == key(1, "g1"))
            let readings = try ward.database.query("SELECT status, value FROM homeward.v_reading")
            #expect(readings == [["entered-in-error", "3.5"]])
        }

        @Test func `a red never closes itself, and the next red speaks again`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 2.0, "mmol/L"), minute: 0)
            let change = try #require(try ward.changes(ward.correct("g1")).first)
            #expect(try ward.alerts() == [["glucose-low", "red", "open"]])
            #expect(change.episode.summary.contains("stays open until a person resolves it"))
            #expect(change.episode.worst == Episode.voided)
            try ward.take("g2", ("glucose", 2.9, "mmol/L"), minute: 5)
            let id = change.episode.id
            let events = try AlertReader(ward.database.configuration).events(of: id)
            #expect(events.map(\.transition) == [.opened, .enteredInError, .reopened])
            #expect(try ward.database.value("SELECT worst FROM homeward.alert") == "-2.9")
            #expect(try ward.database.value("SELECT count(*) FROM homeward.outbox WHERE revision = 3") == "1")
        }

        @Test func `a red of which only an amber is left says so`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 3.5, "mmol/L"), minute: 0)
            try ward.take("g2", ("glucose", 2.0, "mmol/L"), minute: 10)
            let change = try #require(try ward.changes(ward.correct("g2")).first)
            #expect(try ward.alerts() == [["glucose-low", "red", "open"]])
            #expect(change.episode.summary.contains("what is left would only make an alert of amber"))
            // The other one too: now nothing is left, of either.
            let second = try #require(try ward.changes(ward.correct("g1")).first)
            #expect(second.episode.summary.contains("nothing else caused this alert, which stays open"))
        }

        @Test func `an alert that another reading causes goes on`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 2.0, "mmol/L"), minute: 0)
            try ward.take("g2", ("glucose", 2.5, "mmol/L"), minute: 10)
            let change = try #require(try ward.changes(ward.correct("g1")).first)
            #expect(change.episode.summary.contains("other readings still cause this alert"))
            #expect(change.episode.worst == -2.5)
        }

        @Test func `a gain that was measured from a wrong weight is judged again`() throws {
            var ward = try LiveWard()
            let day: Int64 = 1440
            try ward.take("w1", ("weight", 80, "kg"), minute: 0)
            try ward.take("w2", ("weight", 77.9, "kg"), minute: day)
            try ward.take("w3", ("weight", 80.2, "kg"), minute: 2 * day)
            let before = try ward.alerts().filter { $0[2] == "open" }
            #expect(!before.isEmpty)
            let changes = try ward.changes(ward.correct("w2"))
            #expect(changes.contains { $0.events.last?.transition == .enteredInError })
            var after = try ward.alerts()
            #expect(after.allSatisfy { $0[2] == "resolved" }, "\(after)")
            // No later gain is measured from it either.
            try ward.take("w4", ("weight", 80.1, "kg"), minute: 3 * day)
            after = try ward.alerts()
            #expect(after.allSatisfy { $0[2] == "resolved" }, "\(after)")
        }

        @Test func `what was being judged by it meanwhile is annotated too`() throws {
            var ward = try LiveWard()
            try ward.take("w1", ("weight", 79.5, "kg"), minute: 0)
            try ward.take("w2", ("weight", 78.4, "kg"), minute: 60)
            #expect(try ward.alerts().isEmpty)
            // This batch has read the history, and has yet to write, when the reading is marked.
            let database = ward.database
            let configuration = database.configuration
            var running: Running<ReadingCorrections.Outcome>?
            let store = InterruptedStore(ward.store) {
                running = Running { try LiveWard.correct(configuration, "w2") }
                let isMarked = try? eventually {
                    try database.value("SELECT count(*) FROM homeward.reading_correction") == "1"
                }
                #expect(isMarked == true)
            }
            try ward.take("w3", ("weight", 80.1, "kg"), minute: 120, into: store)
            let changes = try ward.changes(try #require(running).value())
            #expect(changes.map(\.events.last?.transition) == [.enteredInError])
            let alerts = try ward.alerts()
            #expect(alerts.map { $0[2] } == ["resolved"], "\(alerts)")
        }

        @Test func `an alert that it ended says so, and stays ended`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 3.5, "mmol/L"), minute: 0)
            try ward.take("g2", ("glucose", 6.0, "mmol/L"), ("pulse", 70, "/min"), minute: 30)
            #expect(try ward.alerts() == [["glucose-low", "amber", "resolved"]])
            // The other reading of that report has nothing to do with it.
            #expect(try ward.changes(ward.correct("g2", 1)).isEmpty)
            let change = try #require(try ward.changes(ward.correct("g2", 0)).first)
            #expect(change.episode.summary.contains("The reading that ended it was marked entered in error by cm-01"))
            #expect(try ward.alerts() == [["glucose-low", "amber", "resolved"]])
            #expect(try ward.database.value("SELECT resolved_by FROM homeward.v_alert") == "homeward")
        }

        @Test func `a late red is judged again too`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 2.0, "mmol/L"), minute: 0, hoursLate: 30)
            #expect(try ward.alerts() == [["late-red", "amber", "open"]])
            _ = try ward.correct("g1")
            #expect(try ward.alerts() == [["late-red", "amber", "resolved"]])
        }

        @Test func `limits that changed since don't make an alert a different one`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 3.5, "mmol/L"), minute: 0)
            try ward.take("g2", ("glucose", 3.6, "mmol/L"), ("pulse", 70, "/min"), minute: 10)
            try ward.enrol(
                """
                patients:
                  - code: P0001
                    site: north
                    limits: [ { kind: glucose, amber_below: 3.2, red_below: 3.0, by: cm-01, reason: agreed } ]
                """)
            // By today's limits neither caused anything; by those of then both did.
            #expect(try ward.changes(ward.correct("g2", 1)).isEmpty)
            let first = try #require(try ward.changes(ward.correct("g1")).first)
            #expect(first.episode.summary.contains("other readings still cause this alert"))
            _ = try ward.correct("g2")
            #expect(try ward.alerts() == [["glucose-low", "amber", "resolved"]])
        }

        @Test func `marking again changes nothing, and what does not exist is told`() throws {
            var ward = try LiveWard()
            try ward.take("g1", ("glucose", 3.5, "mmol/L"), minute: 0)
            _ = try ward.correct("g1")
            guard case .marked(let correction, let isNew, _, let alerts) = try ward.correct("g1", reason: "no reason")
            else {
                Issue.record("not marked")
                return
            }
            #expect(!isNew && alerts.isEmpty && correction.reason == "another person on it")
            #expect(try ward.database.value("SELECT count(*) FROM homeward.reading_correction") == "1")
            for (id, reading) in [("g1", 1), ("g9", 0), ("g1", -1), ("g1", 99_999)] {
                guard case .noSuchReading = try ward.correct(id, reading) else {
                    Issue.record("\(id) \(reading)")
                    continue
                }
            }
            for by in ["cm-99", "reader"] {
                guard case .noSuchCareManager = try ward.correct("g1", by: by) else {
                    Issue.record("\(by)")
                    continue
                }
            }
        }

        @Test func `rules look back at it no more, in the database and in the memory of an outage`() throws {
            var ward = try LiveWard()
            try ward.take("w1", ("weight", 80, "kg"), minute: 0)
            try ward.take("w2", ("weight", 81, "kg"), minute: 1440)
            _ = try ward.correct("w1")
            let need = HistoryNeed(kinds: [.weight], since: morning - .days(1))
            let patient = code("P0001")
            _ = try ward.store.begin()
            let history = try ward.store.history(of: [patient: need])
            let corrected = try ward.store.enteredInError(since: morning - .days(1))
            ward.store.rollback()
            #expect(history[patient]?.readings.map(\.value) == [81])
            #expect(corrected == [key(1, "w1"): [0]])
            #expect(try ward.store.enteredInErrorAlone(since: morning + .days(1)).isEmpty)
        }
    }
}

extension PostgresCommitStore {
    fileprivate func enteredInErrorAlone(since: Instant) throws -> [ReportKey: Set<Int>] {
        _ = try begin()
        defer { rollback() }
        return try enteredInError(since: since)
    }
}

/// The real store, with something that happens before it writes.
private final class InterruptedStore: CommitStore {
    private let store: PostgresCommitStore
    private var interruption: (() -> Void)?

    init(_ store: PostgresCommitStore, _ interruption: @escaping () -> Void) {
        self.store = store
        self.interruption = interruption
    }

    func limit(until deadline: Int64?) { store.limit(until: deadline) }
    func begin() throws(StoreFailure) -> Int64 { try store.begin() }
    func registry() throws(StoreFailure) -> Registry { try store.registry() }
    func claim(_ claims: [KeyClaim]) throws(StoreFailure) -> [KeyVerdict] { try store.claim(claims) }
    func openEpisodes(of subjects: [Subject]) throws(StoreFailure) -> [Episode] {
        try store.openEpisodes(of: subjects)
    }
    func everyOpenEpisode() throws(StoreFailure) -> [Episode] { try store.everyOpenEpisode() }
    func recorded(_ alerts: [AlertID]) throws(StoreFailure) -> [AlertID: AlertID] { try store.recorded(alerts) }
    func subjectsWithOpenEpisodes() throws(StoreFailure) -> Set<Subject> { try store.subjectsWithOpenEpisodes() }
    func history(of needs: [Identifier: HistoryNeed]) throws(StoreFailure) -> [Identifier: PatientHistory] {
        try store.history(of: needs)
    }
    func enteredInError(since: Instant) throws(StoreFailure) -> [ReportKey: Set<Int>] {
        try store.enteredInError(since: since)
    }
    func sequences(of devices: [Identifier]) throws(StoreFailure) -> [DeviceSequence] {
        try store.sequences(of: devices)
    }
    func dueTimers(
        _ kinds: [String], waited: Interval, by instant: Instant, limit: Int
    ) throws(StoreFailure) -> [Alerting.Timer] {
        try store.dueTimers(kinds, waited: waited, by: instant, limit: limit)
    }
    func timers(_ names: [TimerName], skippingLocked: Bool) throws(StoreFailure) -> [Alerting.Timer] {
        try store.timers(names, skippingLocked: skippingLocked)
    }
    func everyTimer(_ kind: String) throws(StoreFailure) -> [Alerting.Timer] { try store.everyTimer(kind) }
    func write(_ batch: CommitBatch) throws(StoreFailure) {
        interruption?()
        interruption = nil
        try store.write(batch)
    }
    func commit() throws(StoreFailure) { try store.commit() }
    func rollback() { store.rollback() }
}
