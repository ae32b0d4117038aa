import Alerting
import Clinical
import Formats
import Registry
import RingBuffer
import TestSupport

@testable import Ingestion

/// A small ward on the bench: one decode stage, one processor, a store in memory. Packs are the test's own.
struct Bench {
    static let now = SmallWard.now
    static let north = SmallWard.north
    static let patient = Identifier("P0001")!
    static let device = Identifier("dev-0001")!

    var decoding = DecodeStage()
    var processor = BatchProcessor(packs: Bench.packs)
    let store = MemoryStore(registry: Bench.registry(), keepsRows: true)

    static let packs = SmallWard.packs

    static func registry(version: Int64 = 1) -> Registry {
        SmallWard.registry(
            version: version, readers: [("P0001", "dev-0001")], hasLead: false, pairedUntil: now + .days(20))
    }

    static func message(
        _ payload: String, topic: String = "homeward/v1/north/dev-0001/report", retained: Bool = false,
        receivedAt: Instant = now
    ) -> Message {
        Message(topic: Array(topic.utf8), payload: Array(payload.utf8), retained: retained, receivedAt: receivedAt)
    }

    static func payload(
        id: String, takenAt: Instant = now, seq: Int? = nil, readings: String = reading("spo2", 97, "%"),
        answers: String = "", extra: String = ""
    ) -> String {
        let sequence = seq.map { ",\"seq\":\($0)" } ?? ""
        return "{\"id\":\"\(id)\",\"taken_at\":\"\(RFC3339.format(takenAt))\"\(sequence)\(extra),"
            + "\"readings\":[\(readings)],\"answers\":[\(answers)]}"
    }

    static func reading(_ kind: String, _ value: Double, _ unit: String) -> String {
        "{\"kind\":\"\(kind)\",\"value\":\(value),\"unit\":\"\(unit)\"}"
    }

    func candidate(_ message: Message) -> Candidate {
        var stage = decoding
        var decoded = Decoded()
        stage.decode(message, into: &decoded)
        return Candidate(message: message, decoded: decoded, admission: .unreadable(.malformed, detail: ""))
    }

    /// One transaction of these messages.
    @discardableResult
    mutating func commit(_ messages: Message...) throws(StoreFailure) -> [Outcome.Disposition] {
        var batch = messages.map(candidate)
        _ = try processor.commit(&batch, to: store)
        return batch.map(\.outcome.disposition)
    }

    /// Clinical ones.
    var open: [String: Severity] { open(.clinical) }

    func open(_ alertClass: AlertClass) -> [String: Severity] {
        Dictionary(
            store.openEpisodes.filter { $0.alertClass == alertClass }.map { ($0.rule, $0.severity) },
            uniquingKeysWith: max)
    }
}
