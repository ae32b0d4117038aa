import Alerting
import Clinical
import Foundation
import Registry
import TestSupport

@testable import Ingestion
@testable import Outage

/// A directory of the test's own, gone at its end.
final class Scratch {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "outage-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    var journal: String { path + "/outage.journal" }

    func bytes(_ name: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(filePath: path + "/" + name))) }

    func write(_ bytes: [UInt8], _ name: String) throws {
        try Data(bytes).write(to: URL(filePath: path + "/" + name))
    }
}

/// A small ward: two patients, a key worker and a team lead.
enum Ward {
    static let now = SmallWard.now
    static let north = SmallWard.north

    static let packs = SmallWard.packs

    static func registry(version: Int64 = 1, devices: Int = 2) -> Registry {
        SmallWard.registry(version: version, readers: (0..<devices).map { ("P\($0)", "dev-\($0)") })
    }

    static func message(
        _ id: String, device: Int = 0, _ kind: String, _ value: Double, at instant: Instant = now
    ) -> Message {
        let unit = kind == "spo2" ? "%" : "mm[Hg]"
        let taken = Date(timeIntervalSince1970: Double(instant.microseconds) / 1e6).formatted(.iso8601)
        let payload =
            "{\"id\":\"\(id)\",\"taken_at\":\"\(taken)\",\"readings\":[{\"kind\":\"\(kind)\",\"value\":\(value),"
            + "\"unit\":\"\(unit)\"}]}"
        return Message(
            topic: Array("homeward/v1/north/dev-\(device)/report".utf8), payload: Array(payload.utf8),
            receivedAt: instant)
    }

    static func processor(inOutage: Bool) -> BatchProcessor {
        var options = BatchProcessor.Options()
        options.judgesUnknownReaders = inOutage
        options.holdsReds = !inOutage
        return BatchProcessor(packs: packs, options: options)
    }
}

extension BatchProcessor {
    /// One transaction of these messages.
    mutating func take(
        _ messages: [Message], _ store: any CommitStore, recording ledger: (any OutageLedger)? = nil
    ) throws(StoreFailure) -> Report {
        var decoding = DecodeStage()
        var batch: [Candidate] = []
        for message in messages {
            var decoded = Decoded()
            decoding.decode(message, into: &decoded)
            batch.append(
                Candidate(message: message, decoded: decoded, admission: .unreadable(.malformed, detail: "")))
        }
        return try commit(&batch, to: store, recording: ledger)
    }
}

func notice(
    _ number: UInt64 = 1, to recipient: String = "cm-01", revision: Int32 = 1, severity: Severity = .red,
    at instant: Instant = Ward.now
) -> OutageNotice {
    let episode = Episode(
        id: AlertID(high: 7, low: number), subject: .patient(Identifier("P\(number)")!), site: Ward.north,
        device: Identifier("dev-\(number)"), rule: "spo2-low", alertClass: .clinical, severity: severity,
        raisedAt: Ward.now, summary: "SpO2 90 %\nat 08:15 \u{1F600}", worst: -90.5, latestTakenAt: Ward.now,
        revision: revision)
    let entry = OutboxEntry(
        alert: episode.id, revision: revision, step: 0, channel: .webhook, recipient: Identifier(recipient)!)
    return OutageNotice(
        job: DeliveryJob(entry: entry, attempt: 1, address: "http://127.0.0.1:1/\(recipient)", episode: episode),
        at: instant)
}
