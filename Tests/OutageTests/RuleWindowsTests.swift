import Alerting
import Clinical
import Documents
import Formats
import Registry
import TestSupport
import Testing

@testable import Ingestion
@testable import Outage

/// What the memory holds of the readings and answers that rules look back at: the shipped packs, over days.
@Suite struct RuleWindowsTests {
    private static let packs = BuiltInPacks.library()
    private static let patient = Identifier("P0")!

    private static func registry() -> Registry {
        var registry = Ward.registry(devices: 1)
        registry.patients[patient]?.profile.conditions = ["copd", "heart-failure", "hypertension"]
        return registry
    }

    private static func processor(inOutage: Bool) -> BatchProcessor {
        var options = BatchProcessor.Options()
        options.judgesUnknownReaders = inOutage
        return BatchProcessor(packs: packs, options: options)
    }

    private static func message(
        _ id: String, readings: [(String, String, String)] = [], answers: [String] = [], at instant: Instant,
        receivedAt: Instant? = nil
    ) -> Message {
        var writer = JSONWriter()
        writer.value(instant)
        let readings = readings.map { kind, value, unit in
            "{\"kind\":\"\(kind)\",\"value\":\(value)" + (unit.isEmpty ? "}" : ",\"unit\":\"\(unit)\"}")
        }
        let answers = answers.map { "{\"question\":\"\($0)\",\"value\":true}" }
        let payload =
            "{\"id\":\"\(id)\",\"taken_at\":\(writer.text),\"readings\":[\(readings.joined(separator: ","))],"
            + "\"answers\":[\(answers.joined(separator: ","))]}"
        return Message(
            topic: Array("homeward/v1/north/dev-0/report".utf8), payload: Array(payload.utf8),
            receivedAt: receivedAt ?? instant + .seconds(2))
    }

    private static func weight(_ id: String, _ value: String, at instant: Instant) -> Message {
        message(id, readings: [("weight", value, "kg")], at: instant)
    }

    /// A patient's next ten days: some of it late, some of it far out.
    private static func diary(seed: UInt64) -> [Message] {
        var random = SplitMix64(seed: seed)
        var weight = 80.0
        return (0..<140).map { place in
            let receivedAt = Ward.now + .minutes(Int64(place) * 103)
            let late = Int.random(in: 0..<8, using: &random) == 0 ? Interval.hours(20) : .seconds(2)
            let (id, at) = ("r\(place)", receivedAt - late)
            switch Int.random(in: 0..<6, using: &random) {
            case 0:
                weight += Double(Int.random(in: -5...8, using: &random)) / 10
                return message(id, readings: [("weight", "\(weight)", "kg")], at: at, receivedAt: receivedAt)
            case 1, 2:
                let systolic = Int.random(in: 120...174, using: &random)
                return message(
                    id, readings: [("systolic", "\(systolic)", "mm[Hg]"), ("diastolic", "84", "mm[Hg]")], at: at,
                    receivedAt: receivedAt)
            case 3:
                let asked = ["more-breathless", "sputum-colour", "sputum-volume", "tired", "more-swelling"]
                let answers = asked.filter { _ in Bool.random(using: &random) }
                return message(id, answers: answers.isEmpty ? ["tired"] : answers, at: at, receivedAt: receivedAt)
            case 4:
                return message(
                    id,
                    readings: [
                        ("respiratory-rate", "22", "/min"), ("oxygen", "2", "L/min"), ("temperature", "36", "Cel"),
                        ("consciousness", Bool.random(using: &random) ? "\"A\"" : "\"C\"", ""),
                    ], at: at, receivedAt: receivedAt)
            default:
                return message(
                    id,
                    readings: [("spo2", "93", "%"), ("pulse", "100", "/min"), ("systolic", "130", "mm[Hg]")], at: at,
                    receivedAt: receivedAt)
            }
        }
    }

    private func words(_ episodes: [Episode]) -> [String] {
        episodes.map { "\($0.rule) \($0.severity) \($0.state) \($0.revision) \($0.summary)" }.sorted()
    }

    /// PostgreSQL goes away after some days: from then on the memory judges every report as the database would have.
    @Test(arguments: [1, 2, 3, 4, 5, 6] as [UInt64], [false, true])
    func `an outage judges as the database does`(seed: UInt64, restarts: Bool) throws {
        let diary = Self.diary(seed: seed)
        let database = MemoryStore(registry: Self.registry())
        var processor = Self.processor(inOutage: false)
        var store = OutageStore()
        store.use(Self.registry())
        let until = 60 + Int(seed) * 10
        for message in diary[..<until] { store.note(try processor.take([message], database).memory) }
        if restarts {
            let scratch = try Scratch()
            let snapshots = SnapshotDirectory(path: scratch.path)
            try snapshots.write(store.makeState(at: diary[until - 1].receivedAt))
            store = OutageStore()
            store.use(Self.registry())
            store.restore(try #require(try snapshots.readState()))
        }
        var inOutage = Self.processor(inOutage: true)
        for message in diary[until...] {
            _ = try processor.take([message], database)
            _ = try inOutage.take([message], store)
            let (there, here) = (words(try database.everyOpenEpisode()), words(store.everyOpenEpisode()))
            try #require(there == here, "seed \(seed)")
        }
        let rules = Set(try database.everyOpenEpisode().map(\.rule))
        #expect(rules.isSuperset(of: ["weight-gain"]), "seed \(seed): \(rules)")
    }

    @Test func `a weight of six days ago makes a gain with a symptom red`() throws {
        let database = MemoryStore(registry: Self.registry())
        var processor = Self.processor(inOutage: false)
        let store = OutageStore()
        store.use(Self.registry())
        store.note(try processor.take([Self.weight("a", "80", at: Ward.now)], database).memory)
        var inOutage = Self.processor(inOutage: true)
        let day = Ward.now + .days(6)
        let gain = try inOutage.take([Self.weight("b", "82.4", at: day)], store).notifying
        #expect(gain.map(\.episode.severity) == [.amber])
        let symptom = Self.message("c", answers: ["more-swelling"], at: day + .hours(20))
        let changes = try inOutage.take([symptom], store).notifying.filter { $0.episode.rule == "weight-gain" }
        #expect(changes.map(\.episode.severity) == [.red])
    }

    @Test func `what the database found is taken in where the window was opened without it`() throws {
        let database = MemoryStore(registry: Self.registry())
        var processor = Self.processor(inOutage: false)
        let store = OutageStore()
        store.use(Self.registry())
        // Stored by an earlier life, never noted.
        _ = try processor.take([Self.weight("a", "80", at: Ward.now)], database)
        var inOutage = Self.processor(inOutage: true)
        let second = Self.weight("b", "80.1", at: Ward.now + .days(1))
        _ = try inOutage.take([second], store)
        store.note(try processor.take([second], database).memory)
        let kept = store.makeState(at: Ward.now + .days(1)).windows[Self.patient]?.past.readings.map(\.value)
        #expect(kept == [80, 80.1])
    }

    @Test func `only what rules look back at is kept, and only so long`() throws {
        var registry = Self.registry()
        registry.patients[Self.patient]?.profile.conditions = ["heart-failure"]
        let database = MemoryStore(registry: registry)
        var processor = Self.processor(inOutage: false)
        let store = OutageStore()
        store.use(registry)
        for day in 0..<20 {
            let message = Self.message(
                "r\(day)", readings: [("weight", "80", "kg"), ("temperature", "36.6", "Cel")],
                answers: ["tired", "more-swelling"], at: Ward.now + .days(Int64(day)))
            store.note(try processor.take([message], database).memory)
        }
        let window = try #require(store.makeState(at: Ward.now + .days(19)).windows[Self.patient])
        #expect(Set(window.past.readings.map(\.kind)) == [.weight])
        // 7 days, one for a symptom beside the change, one because a report may come a day late.
        #expect(window.past.readings.map(\.takenAt).min() == Ward.now + .days(19 - 9))
        #expect(window.past.answers.count { $0.question == .moreSwelling } == 10)
    }

    // MARK: - Bounds

    private func report(_ place: Int, of patient: Identifier = patient, readings: Int = 1) -> StoredReport {
        let readings = (0..<readings).map {
            Reading(index: $0, kind: .weight, value: 80, sentValue: 80, sentUnit: .kilogram)
        }
        return StoredReport(
            key: ReportKey(device: Identifier("dev-0")!, report: Identifier("r\(place)", grammar: .report)!),
            site: Ward.north, patient: patient, takenAt: Ward.now + .seconds(Int64(place)), receivedAt: Ward.now,
            sequence: nil, battery: nil, raw: [], readings: readings,
            answers: [SentAnswer(question: .known(.tired), value: .boolean(true))], clockCorrected: false)
    }

    private func need(_ instant: Instant) -> HistoryNeed {
        HistoryNeed(kinds: [.weight], questions: [.tired], since: instant - .days(7))
    }

    @Test func `a reader that floods fills its own window alone`() throws {
        var windows = RuleWindows()
        windows.open(Self.patient, need(Ward.now), from: Ward.now, finding: PatientHistory())
        for place in 0..<1000 { windows.add(report(place)) }
        let past = try #require(windows.windows[Self.patient]?.past)
        #expect(past.readings.count == RuleWindows.mostReadings && past.answers.count == RuleWindows.mostAnswers)
        // The newest stay.
        #expect(past.readings.last?.takenAt == Ward.now + .seconds(999))
    }

    @Test func `windows that have not changed are not given again`() {
        var windows = RuleWindows()
        #expect(windows.takeChanged() == nil)
        windows.open(Self.patient, need(Ward.now), from: Ward.now, finding: PatientHistory())
        #expect(windows.takeChanged() == windows.windows)
        #expect(windows.takeChanged() == nil)
        windows.add(report(1))
        #expect(windows.takeChanged()?[Self.patient]?.past.readings.count == 1)
        windows.add(report(2, of: Identifier("P9")!))
        #expect(windows.takeChanged() == nil)
    }

    @Test func `beyond the bound over all patients the oldest windows go`() {
        var windows = RuleWindows(mostOfAll: 100)
        for place in 0..<200 {
            let patient = Identifier("P\(place)")!
            let report = report(place, of: patient)
            windows.open(patient, need(report.takenAt), from: report.takenAt, finding: PatientHistory())
            windows.add(report)
            let count = windows.windows.values.reduce(0) { $0 + $1.past.readings.count + $1.past.answers.count }
            #expect(count <= 100 && windows.windows[patient] != nil)
        }
        // A window opened again counts as it is, not twice.
        let again = RuleWindows(windows.windows, mostOfAll: 100)
        #expect(again.windows == windows.windows)
    }

    @Test func `a reading that was entered in error is looked back at no more`() {
        let key = ReportKey(device: Identifier("dev-0")!, report: Identifier("w1")!)
        let now = Instant(microseconds: 1_795_421_730_000_000)
        func past(_ report: String, _ value: Double, _ index: Int) -> PastReading {
            PastReading(
                key: ReportKey(device: key.device, report: Identifier(report)!), index: index, kind: .weight,
                value: value, sentValue: value, sentUnit: .kilogram, takenAt: now)
        }
        let need = HistoryNeed(kinds: [.weight], since: now - .days(3))
        var windows = RuleWindows()
        windows.open(
            Self.patient, need, from: now,
            finding: PatientHistory(readings: [past("w1", 80, 0), past("w1", 90, 1), past("w2", 81, 0)]))
        windows.forget([key: [1]])
        #expect(windows.history(of: Self.patient, need).readings.map(\.value) == [80, 81])
        windows.forget([:])
        #expect(windows.history(of: Self.patient, need).readings.count == 2)
    }
}
