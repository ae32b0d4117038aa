import Alerting
import Clinical
import Documents
import Formats
import Registry
import TestSupport

@testable import Ingestion

/// Patients under the shipped packs, from the bytes of a report to alerts and messages, as the daemon takes them, over
/// a store in memory. `P0001` has the profile that the test gives, and the reader `dev-0001`.
struct ShippedWard {
    /// 2026-11-23T08:15:32Z, a Monday; London is on GMT.
    static let monday = SmallWard.now
    static let library = BuiltInPacks.library()

    let store: MemoryStore
    private var processor: BatchProcessor
    private var decoding = DecodeStage()

    init(_ profile: PatientProfile = PatientProfile(), patients: Int = 1, redsEndInRange: Bool = false) {
        var registry = SmallWard.registry(
            readers: (1...patients).map { ("P\(Self.four($0))", "dev-\(Self.four($0))") })
        for code in registry.patients.keys { registry.patients[code]?.profile = profile }
        store = MemoryStore(registry: registry, keepsRows: true)
        var options = BatchProcessor.Options()
        options.redsEndInRange = redsEndInRange
        // What is tried here is what is said of patients.
        options.watchesReaders = false
        processor = BatchProcessor(packs: Self.library, options: options)
    }

    private static func four(_ number: Int) -> String { String(String(10_000 + number).dropFirst()) }

    struct Entry {
        var id: String
        var takenAt: Instant
        /// Two seconds after it was taken, unless the test says otherwise.
        var receivedAt: Instant?
        var patient = 1
        /// JSON, as the outside contract has it.
        var readings: [String] = []
        var answers: [String] = []
    }

    static func reading(_ kind: Kind, _ value: Double, _ unit: String? = nil, flags: String? = nil) -> String {
        let sent = unit ?? (kind.unitRule == .required ? kind.canonicalUnit?.code : nil)
        let words = sent.map { ",\"unit\":\"\($0)\"" } ?? ""
        let marks = flags.map { ",\"flags\":[\"\($0)\"]" } ?? ""
        return "{\"kind\":\"\(kind.code)\",\"value\":\(value)\(words)\(marks)}"
    }

    static func code(_ letter: String) -> String { "{\"kind\":\"consciousness\",\"value\":\"\(letter)\"}" }

    static func yes(_ question: String) -> String { "{\"question\":\"\(question)\",\"value\":true}" }

    static func message(_ entry: Entry) -> Message {
        let payload =
            "{\"id\":\"\(entry.id)\",\"taken_at\":\"\(RFC3339.format(entry.takenAt))\","
            + "\"readings\":[\(entry.readings.joined(separator: ","))],"
            + "\"answers\":[\(entry.answers.joined(separator: ","))]}"
        return Message(
            topic: Array("homeward/v1/north/dev-\(four(entry.patient))/report".utf8), payload: Array(payload.utf8),
            receivedAt: entry.receivedAt ?? entry.takenAt + .seconds(2))
    }

    /// One transaction.
    @discardableResult
    mutating func take(_ entries: [Entry]) throws(StoreFailure) -> [Outcome] {
        var batch = entries.map { entry in
            let message = Self.message(entry)
            var decoded = Decoded()
            decoding.decode(message, into: &decoded)
            return Candidate(message: message, decoded: decoded)
        }
        _ = try processor.commit(&batch, to: store)
        return batch.map(\.outcome)
    }

    @discardableResult
    mutating func take(
        _ id: String, _ readings: String..., answers: [String] = [], at takenAt: Instant = monday,
        receivedAt: Instant? = nil
    ) throws(StoreFailure) -> Outcome? {
        try take([
            Entry(id: id, takenAt: takenAt, receivedAt: receivedAt, readings: readings, answers: answers)
        ]).first
    }

    /// As a care manager does it.
    func acknowledge(_ rule: String, at instant: Instant) {
        for episode in store.openEpisodes where episode.rule == rule {
            store.updateEpisode(episode.id) {
                $0.state = .acknowledged
                $0.acknowledgedAt = instant
                $0.worstAcknowledged = $0.worst
            }
        }
    }

    func alert(_ rule: String) -> Episode? { store.openEpisodes.first { $0.rule == rule } }

    /// Rule and severity of every open alert.
    var open: [String: Severity] {
        Dictionary(store.openEpisodes.map { ($0.rule, $0.severity) }, uniquingKeysWith: max)
    }

    /// "spo2-low red", in the order in which people were told.
    var told: [String] {
        store.rows.episodes.flatMap { change in
            change.events.filter(\.transition.notifies).map { "\(change.episode.rule) \($0.severity.rawValue)" }
        }
    }
}
