import Alerting
import Clinical
import Ingestion
import Registry
import Testing

@Suite struct MemoryStoreTests {
    private static let key = Identifier("r", grammar: .report).flatMap { report in
        Identifier("d").map { ReportKey(device: $0, report: report) }
    }

    private static func batch(_ severity: Severity, _ state: AlertState, _ subject: Subject) -> CommitBatch {
        let now = Instant(microseconds: 0)
        var batch = CommitBatch()
        let episode = Episode(
            id: AlertID(high: 1, low: 2), subject: subject, site: nil, device: nil, rule: "spo2-low",
            alertClass: .clinical,
            severity: severity, state: state, raisedAt: now, summary: "")
        batch.episodes = [EpisodeChange(episode: episode, isNew: true, events: [])]
        return batch
    }

    @Test func `what was not committed was never there`() throws {
        let key = try #require(Self.key)
        let store = MemoryStore(keepsRows: true)
        let claim = KeyClaim(key: key, digestHigh: 1, digestLow: 2, insert: true)
        for isCommitted in [false, true] {
            _ = try store.begin()
            #expect(try store.claim([claim, claim]) == [.new, .duplicate])
            try store.write(Self.batch(.amber, .open, .instance))
            if isCommitted { try store.commit() } else { store.rollback() }
            #expect(store.openEpisodes.count == (isCommitted ? 1 : 0))
            #expect(store.rows.episodes.count == (isCommitted ? 1 : 0))
        }
        _ = try store.begin()
        var other = claim
        other.digestLow = 3
        #expect(try store.claim([claim, other]) == [.duplicate, .conflict])
    }

    @Test func `a resolved alert is open no more`() throws {
        let store = MemoryStore()
        for (state, count) in [(AlertState.open, 1), (.acknowledged, 1), (.resolved, 0)] {
            _ = try store.begin()
            try store.write(Self.batch(.red, state, .instance))
            try store.commit()
            #expect(store.openEpisodes.count == count)
            #expect(try store.openEpisodes(of: [.instance]).count == count)
            #expect(try store.subjectsWithOpenEpisodes().count == count)
        }
    }
}
