import Alerting
import Clinical
import Registry
import Testing

@testable import Ingestion
@testable import Outage

@Suite struct OutageStoreTests {
    private func store(devices: Int = 2) -> OutageStore {
        let store = OutageStore()
        store.use(Ward.registry(devices: devices))
        return store
    }

    @Test func `a red is raised once, however often its report comes`() throws {
        let store = store()
        var processor = Ward.processor(inOutage: true)
        let red = Ward.message("a", "spo2", 90)
        #expect(try processor.take([red], store).notifying.map(\.episode.severity) == [.red])
        let again = try processor.take([red, red], store)
        #expect(again.notifying.isEmpty)
        #expect(again.duplicate == 2)
        #expect(store.everyOpenEpisode().map(\.revision) == [1])
    }

    @Test func `an alert that PostgreSQL has open is joined, one that it has ended is not`() throws {
        let store = store()
        let ledger = MemoryStore(registry: Ward.registry())
        var processor = Ward.processor(inOutage: false)
        var inOutage = Ward.processor(inOutage: true)
        store.note(try processor.take([Ward.message("a", "spo2", 90)], ledger).memory)
        #expect(try inOutage.take([Ward.message("b", "spo2", 90)], store).notifying.isEmpty)
        store.endOutage()
        #expect(store.everyOpenEpisode().map(\.revision) == [1])
        store.replaceOpenEpisodes([])
        inOutage.forgetStoreState()
        #expect(try inOutage.take([Ward.message("c", "spo2", 90)], store).notifying.count == 1)
    }

    @Test func `what is drained says nothing of the state that later reports are judged in`() throws {
        let store = store()
        var inOutage = Ward.processor(inOutage: true)
        let spooled = [Ward.message("a", "spo2", 93), Ward.message("b", "spo2", 90, at: Ward.now + .seconds(1))]
        for message in spooled { _ = try inOutage.take([message], store) }
        var processor = Ward.processor(inOutage: false)
        store.note(try processor.take([spooled[0]], MemoryStore(registry: Ward.registry())).memory)
        // The amber was drained; the red is told, and is not told again.
        let later = Ward.message("c", "spo2", 90, at: Ward.now + .seconds(2))
        #expect(try inOutage.take([later], store).notifying.isEmpty)
        store.endOutage()
        #expect(store.everyOpenEpisode().map(\.severity) == [.amber])
    }

    @Test(arguments: [false, true])
    func `a second reading confirms the first, also over a restart`(restarts: Bool) throws {
        var store = store()
        let ledger = MemoryStore(registry: Ward.registry())
        var processor = Ward.processor(inOutage: false)
        store.note(try processor.take([Ward.message("a", "systolic", 180)], ledger).memory)
        store.note(try processor.take([Ward.message("x", device: 1, "systolic", 120)], ledger).memory)
        let state = store.makeState(at: Ward.now)
        // Only of the patient for whom a rule looks back.
        #expect(state.windows.keys.map(\.description) == ["P0"])
        if restarts {
            let scratch = try Scratch()
            try SnapshotDirectory(path: scratch.path).write(state)
            store = self.store()
            store.restore(try #require(try SnapshotDirectory(path: scratch.path).readState()))
        }
        var inOutage = Ward.processor(inOutage: true)
        let second = Ward.message("b", "systolic", 181, at: Ward.now + .hours(2))
        #expect(try inOutage.take([second], store).notifying.map(\.episode.rule) == ["systolic-high"])
    }

    @Test func `a reading in range between breaks the row, and first readings of an outage count`() throws {
        let store = store()
        var processor = Ward.processor(inOutage: true)
        for (number, value) in [180.0, 120, 180].enumerated() {
            let message = Ward.message("r\(number)", "systolic", value, at: Ward.now + .hours(Int64(number)))
            #expect(try processor.take([message], store).notifying.isEmpty)
        }
        let fourth = Ward.message("r3", "systolic", 180, at: Ward.now + .hours(3))
        #expect(try processor.take([fourth], store).notifying.count == 1)
    }

    @Test func `windows are forgotten when no rule will look back at them`() throws {
        let store = store()
        var processor = Ward.processor(inOutage: true)
        _ = try processor.take([Ward.message("a", "systolic", 180)], store)
        #expect(store.makeState(at: Ward.now + .days(9)).windows.count == 1)
        #expect(store.makeState(at: Ward.now + .days(9) + .hours(1)).windows.isEmpty)
    }

    @Test func `a patient who is not known is judged by the adult pack, and the alert says so`() throws {
        let store = store()
        var processor = Ward.processor(inOutage: true)
        let unknown = Ward.message("a", device: 9, "spo2", 90)
        let change = try #require(try processor.take([unknown], store).notifying.first)
        #expect(change.episode.subject == .device(Identifier("dev-9")!))
        #expect(change.episode.rule == "unverified-red")
        #expect(
            change.episode.summary.hasSuffix(
                "; the patient is not known here and was judged by the default adult pack."))
        let told = Route(registry: Ward.registry()).outageNotices(for: [change]).map(\.job.entry.recipient.description)
        #expect(told == ["lead"])
        // In range, or with PostgreSQL there: nothing clinical.
        #expect(try processor.take([Ward.message("b", device: 9, "spo2", 97)], store).notifying.isEmpty)
        var ordinary = Ward.processor(inOutage: false)
        let changes = try ordinary.take([unknown], MemoryStore(registry: Ward.registry())).notifying
        #expect(changes.map(\.episode.alertClass) == [.technical])
    }

    @Test func `a transaction that was rolled back never was`() throws {
        let store = store()
        let key = ReportKey(device: Identifier("dev-0")!, report: Identifier("a")!)
        let claim = KeyClaim(key: key, digestHigh: 1, digestLow: 2, insert: true)
        for isCommitted in [false, true] {
            _ = store.begin()
            #expect(store.claim([claim]) == [.new])
            if isCommitted { store.commit() } else { store.rollback() }
        }
        _ = store.begin()
        var other = claim
        other.digestLow = 3
        #expect(store.claim([claim, other]) == [.duplicate, .conflict])
    }

    @Test func `of keys the oldest half is forgotten`() {
        var keys = RecentKeys(mostOfHalf: 10)
        let claims = (0..<30).map { number in
            KeyClaim(
                key: ReportKey(device: Identifier("d")!, report: Identifier("r\(number)")!), digestHigh: 0,
                digestLow: 0,
                insert: true)
        }
        for claim in claims { keys.insert(claim) }
        #expect(claims.suffix(20).allSatisfy { keys.verdict($0) == .duplicate })
        #expect(claims.prefix(10).allSatisfy { keys.verdict($0) == .new })
    }
}
