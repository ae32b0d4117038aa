import Alerting
import Clinical
import Formats
import Registry
import RingBuffer

@testable import Ingestion

/// A small ward on the bench: one decode stage, one processor, a store in memory. Packs are the test's own.
struct Bench {
    static let now = Instant(microseconds: 1_795_421_732_000_000)
    static let north = Identifier("north")!
    static let patient = Identifier("P0001")!
    static let device = Identifier("dev-0001")!

    var decoding = DecodeStage()
    var processor = BatchProcessor(packs: Bench.packs)
    let store = MemoryStore(registry: Bench.registry(), keepsRows: true)

    static let packs = PackLibrary([
        ProtocolPack(
            code: "adult", title: "Test adult", contentHash: "00",
            bands: [
                Band(
                    kind: .spo2, side: .low,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 92, inclusive: true), immediate: true),
                            source: "test"),
                        BandLimit(
                            threshold: Threshold(severity: .amber, limit: Limit(value: 94, inclusive: true)),
                            source: "test"),
                    ], worseBy: 2),
                Band(
                    kind: .systolic, side: .high,
                    limits: [
                        BandLimit(
                            threshold: Threshold(
                                severity: .red, limit: Limit(value: 170, inclusive: false), occurrences: 2),
                            source: "test")
                    ]),
            ])
    ])

    static func registry(version: Int64 = 1) -> Registry {
        Registry(
            version: version, sites: [north: Site(code: north, name: "North")],
            careManagers: [
                Identifier("cm-01")!: CareManager(
                    code: Identifier("cm-01")!, site: north, webhook: "http://127.0.0.1:1/hook")
            ],
            patients: [patient: Patient(code: patient, site: north, keyWorker: Identifier("cm-01"))],
            devices: [
                device: Device(
                    code: device, site: north,
                    pairings: [
                        Pairing(patient: patient, from: now - .days(20), until: now + .days(20))
                    ])
            ])
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
