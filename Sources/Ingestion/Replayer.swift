public import Alerting
public import Clinical
import Formats
public import Registry

/// Recorded messages through decoding, validation and rules alone: the daemon's own stages over a store in memory.
/// Owned by one thread; the same messages give the same results.
public struct Replayer {
    /// What became of one message.
    public struct Taken: Sendable {
        public var decoded: Decoded
        public var outcome: Outcome
        /// Plain words or JSON; nil where the report was stored or a duplicate.
        public var detail: String?
        /// Who it is about, where that can be known.
        public var patient: Identifier?
        public var changes: [EpisodeChange]
        /// What silence made red before this message came.
        public var silences: [EpisodeChange]
        /// Nil for a report without any parameter of it, and for one that was not stored.
        public var news2: NEWS2Score?
    }

    private var decoding = DecodeStage()
    private var processor: BatchProcessor
    private let store: MemoryStore
    private let everyDeviceIsAnAdult: Bool

    /// Without a registry every device is its own adult patient under the default pack, of the topic's site.
    public init(packs: PackLibrary, registry: Registry?) {
        var options = BatchProcessor.Options()
        options.redsEndInRange = true
        options.keepsScores = true
        options.watchesReaders = false
        options.escalates = false
        processor = BatchProcessor(packs: packs, options: options)
        store = MemoryStore(registry: registry ?? Registry(), keepsRows: true)
        everyDeviceIsAnAdult = registry == nil
    }

    /// Throws only what the store in memory throws, which is nothing. `leavingOut`: places of readings that count for
    /// nothing.
    public mutating func take(
        _ message: Message, leavingOut: Set<Int> = []
    ) throws(StoreFailure) -> Taken {
        var decoded = Decoded()
        decoding.decode(message, into: &decoded)
        if !leavingOut.isEmpty { decoded.readings.readings.removeAll { leavingOut.contains($0.index) } }
        if everyDeviceIsAnAdult, let topic = decoded.topic { enrol(topic) }
        store.forgetRows()
        var silences: [EpisodeChange] = []
        while let fired = try processor.fireTimers(of: store, by: message.receivedAt) {
            silences += fired.notifying
            store.forgetRows()
        }
        var batch = [
            Candidate(
                message: message, decoded: decoded,
                admission: .unreadable(.malformed, detail: "not looked at yet"))
        ]
        let report = try processor.commit(&batch, to: store)
        let rows = store.rows
        let device = decoded.topic.flatMap { store.currentRegistry.device($0.device, at: $0.site) }
        // Only judging marks what is suspect for this person.
        if let stored = rows.reports.first { decoded.readings.readings = stored.readings }
        let isReport = decoded.fault == nil && decoded.status == nil
        return Taken(
            decoded: decoded, outcome: batch[0].outcome,
            detail: rows.quarantined.first { $0.reading == nil }?.detail,
            patient: isReport ? device?.patient(at: decoded.clock.takenAt) : nil, changes: rows.episodes,
            silences: silences,
            news2: report.scores.values.first)
    }

    /// Alerts that are open before the first message; only before it.
    public func begin(with open: [Episode]) { for episode in open { store.keep(episode) } }

    /// The reader is that patient's, and always was; from the next message on. Nothing for a reader that is known.
    public func pair(_ device: Identifier, with patient: Identifier, at site: Identifier) {
        guard store.currentRegistry.devices[device] == nil else { return }
        store.currentRegistry.devices[device] = Device(
            code: device, site: site, pairings: [Pairing(patient: patient, from: Instant(microseconds: .min))])
        store.currentRegistry.version += 1
    }

    /// The open alerts as they are now.
    public var openEpisodes: [Episode] { store.openEpisodes }

    /// What a person did to an open alert; nothing where it is not open.
    public func change(_ alert: AlertID, _ body: (inout Episode) -> Void) { store.updateEpisode(alert, body) }

    /// Rules whose reds don't end by being back in range, from the next message on: a person has them in hand.
    public mutating func stand(_ rules: Set<String>) { processor.options.standingRules = rules }

    private mutating func enrol(_ topic: HomewardTopic) {
        guard store.currentRegistry.devices[topic.device] == nil else { return }
        store.currentRegistry.sites[topic.site] =
            store.currentRegistry.sites[topic.site] ?? Site(code: topic.site, name: "\(topic.site)")
        store.currentRegistry.patients[topic.device] = Patient(code: topic.device, site: topic.site)
        pair(topic.device, with: topic.device, at: topic.site)
    }
}
