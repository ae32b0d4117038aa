import Alerting
import Clinical
import Foundation
import Testing

@testable import Outage

@Suite struct OutageDeliveriesTests {
    @Test func `reds are claimed first, each once, under their own key`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice(1, severity: .amber), notice(2), notice(2, to: "lead")])
        try deliveries.add([notice(2)])
        #expect(deliveries.alerts == [notice(1).job.episode.id, notice(2).job.episode.id])
        let jobs = deliveries.claim(limit: 2, lease: .hours(1)) + deliveries.claim(limit: 9, lease: .hours(1))
        #expect(Set(jobs.prefix(2)) == [notice(2).job, notice(2, to: "lead").job])
        #expect(jobs.dropFirst(2) == [notice(1, severity: .amber).job])
        #expect(deliveries.claim(limit: 9, lease: .hours(1)).isEmpty)
    }

    @Test func `a lease that ran out is claimed again, and what was sent was sent`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice()])
        let first = try #require(deliveries.claim(limit: 1, lease: .seconds(0)).first)
        let second = try #require(deliveries.claim(limit: 1, lease: .hours(1)).first)
        #expect(second.attempt == 2)
        deliveries.record(.failed(error: "too late"), of: first)
        deliveries.record(.sent(at: Ward.now), of: first)
        deliveries.record(.failed(error: "second"), of: second)
        let made = deliveries.deliveries(of: first.entry.alert)
        #expect(made.map(\.state) == [.sent(at: Ward.now)])
    }

    @Test func `a retry waits for its time`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice(1), notice(2)])
        for job in deliveries.claim(limit: 9, lease: .hours(1)) {
            let isFirst = job.entry.key == notice(1).job.entry.key
            deliveries.record(.retry(after: isFirst ? .seconds(0) : .days(36_500), error: "500"), of: job)
        }
        #expect(deliveries.claim(limit: 9, lease: .hours(1)).map(\.entry.key) == [notice(1).job.entry.key])
        // After a restart everything that waits is due.
        let again = try OutageDeliveries(directory: scratch.path)
        #expect(again.claim(limit: 9, lease: .hours(1)).map(\.attempt) == [2, 2])
    }

    @Test func `what is held is sent by nobody, and by PostgreSQL once it was handed over`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice()])
        let alert = notice().job.episode.id
        #expect(deliveries.deliveries(of: alert).map(\.state) == [.pending])
        #expect(deliveries.claim(limit: 9, lease: .hours(1)).isEmpty)
        deliveries.release()
        #expect(deliveries.claim(limit: 9, lease: .seconds(0)).count == 1)
        _ = deliveries.deliveries(of: alert)
        deliveries.handOver([AlertAlias(alias: alert, alert: alert)], recorded: [])
        #expect(deliveries.claim(limit: 9, lease: .hours(1)).isEmpty)
        #expect(deliveries.deliveries(of: alert).map(\.state) == [.handedOver(to: alert)])
        #expect(deliveries.contains(alert))
        #expect(deliveries.unrecorded.isEmpty)
        // Told again, by a later transition: that is not recorded yet.
        try deliveries.add([notice(revision: 2)])
        #expect(deliveries.unrecorded == [notice(revision: 2)])
        var book = OutageBook()
        for record in DeliveryJournal.parse(try scratch.bytes("outage.journal")).found.records { book.apply(record) }
        var again = OutageBook()
        for record in book.records { again.apply(record) }
        #expect(
            again.hold(alert, now: 0).map(\.state) == [.handedOver(to: alert), .pending])
        #expect(again.records == book.records)
    }

    @Test(arguments: [false, true])
    func `what comes of an attempt that was under way is told later`(endsBeforeHandOver: Bool) throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice()])
        let alert = notice().job.episode.id
        let job = try #require(deliveries.claim(limit: 1, lease: .minutes(1)).first)
        #expect(deliveries.deliveries(of: alert).map(\.state) == [.underWay(lease: .minutes(1))])
        if endsBeforeHandOver { deliveries.record(.sent(at: Ward.now), of: job) }
        deliveries.handOver([AlertAlias(alias: alert, alert: alert)], recorded: [])
        #expect(deliveries.hasLateOutcomes == endsBeforeHandOver)
        deliveries.endOutage()
        #expect(deliveries.contains(alert))
        if !endsBeforeHandOver { deliveries.record(.sent(at: Ward.now), of: job) }
        let late = LateOutcome(key: job.entry.key, attempt: 1, outcome: .sent(at: Ward.now))
        #expect(deliveries.lateOutcomes == [late])
        // A crash forgets none of it, nor does a journal that is written anew.
        let again = try OutageDeliveries(directory: scratch.path)
        #expect(again.lateOutcomes == [late])
        #expect(again.claim(limit: 9, lease: .hours(1)).isEmpty)
        again.handOver([], recorded: [late])
        again.endOutage()
        #expect(again.isEmpty)
        #expect(try scratch.bytes("outage.journal").isEmpty)
        #expect(try OutageDeliveries(directory: scratch.path).isEmpty)
    }

    @Test func `what was recorded before the attempt ended is not told twice`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice()])
        let alert = notice().job.episode.id
        let job = try #require(deliveries.claim(limit: 1, lease: .minutes(1)).first)
        deliveries.record(.sent(at: Ward.now), of: job)
        #expect(deliveries.deliveries(of: alert).map(\.state) == [.sent(at: Ward.now)])
        deliveries.handOver([AlertAlias(alias: alert, alert: alert)], recorded: [])
        #expect(!deliveries.hasLateOutcomes)
        deliveries.endOutage()
        #expect(deliveries.isEmpty)
    }

    @Test func `the red of a rule is found, and the newest words of each alert`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        try deliveries.add([notice(1, revision: 2), notice(1, revision: 4), notice(2, severity: .amber)])
        let subject = notice(1).job.episode.subject
        #expect(deliveries.redAlert(of: subject, rule: "spo2-low") == notice(1).job.episode.id)
        #expect(deliveries.redAlert(of: subject, rule: "pulse-high") == nil)
        #expect(deliveries.redAlert(of: notice(2).job.episode.subject, rule: "spo2-low") == nil)
        #expect(deliveries.openEpisodes.map(\.revision) == [4, 1])
        #expect(deliveries.unrecorded == [notice(1, revision: 4), notice(2, severity: .amber)])
    }

    @Test func `a wait ends when something is added`() throws {
        let scratch = try Scratch()
        let deliveries = try OutageDeliveries(directory: scratch.path)
        let waiter = Thread { deliveries.waitForWork(milliseconds: 3_600_000) }
        waiter.start()
        try deliveries.add([notice()])
        let deadline = Date(timeIntervalSinceNow: 30)
        while !waiter.isFinished, Date() < deadline { Thread.sleep(forTimeInterval: 0.002) }
        #expect(waiter.isFinished)
    }

    // MARK: - The journal

    private static let records: [DeliveryJournal.Record] = [
        .added(notice(1)), .added(notice(1, to: "lead")),
        .ended(key: notice(1).job.entry.key, attempt: 1, .retry(after: .minutes(2), error: "500 \"no\"")),
        .ended(key: notice(1).job.entry.key, attempt: 2, .sent(at: Ward.now)),
        .ended(key: notice(1, to: "lead").job.entry.key, attempt: 1, .failed(error: "redirect")),
        .handedOver([AlertAlias(alias: notice(1).job.episode.id, alert: notice(2).job.episode.id)]),
        .settled([LateOutcome(key: "k", attempt: 1, outcome: .failed(error: "x"))]),
    ]

    @Test func `a journal cut at any byte gives the records that are whole`() throws {
        let lines = Self.records.map { DeliveryJournal.lines([$0]) }
        let bytes = lines.flatMap(\.self)
        let scratch = try Scratch()
        for cut in 0...bytes.count {
            try scratch.write(Array(bytes.prefix(cut)), "outage.journal")
            var journal = DeliveryJournal(directory: scratch.path)
            let found = try journal.open()
            var whole = 0
            var count = 0
            while count < lines.count, whole + lines[count].count <= cut {
                whole += lines[count].count
                count += 1
            }
            #expect(found.records == Array(Self.records.prefix(count)))
            #expect(found.damaged == 0)
            // Cut, so that what comes next begins a line.
            try journal.append([Self.records[0]])
            #expect(
                DeliveryJournal.parse(try scratch.bytes("outage.journal")).found.records
                    == Array(Self.records.prefix(count)) + [Self.records[0]])
        }
    }

    @Test func `a damaged line is left out, counted, and kept aside`() throws {
        let scratch = try Scratch()
        var bytes = DeliveryJournal.lines(Self.records)
        bytes[40] ^= 1
        try scratch.write(bytes, "outage.journal")
        let deliveries = try OutageDeliveries(directory: scratch.path)
        #expect(deliveries.damagedRecords == 1)
        #expect(try scratch.bytes("outage.journal.corrupt") == bytes)
    }

    @Test func `a journal that can't be written stops no message, and is whole again later`() throws {
        let scratch = try Scratch()
        let directory = scratch.path + "/later"
        let deliveries = try OutageDeliveries(journal: DeliveryJournal(directory: directory), found: .init())
        #expect(throws: OutageFault.self) { try deliveries.add([notice(1)]) }
        #expect(deliveries.claim(limit: 9, lease: .hours(1)).count == 1)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        try deliveries.add([notice(1)])
        #expect(try OutageDeliveries(directory: directory).alerts == [notice(1).job.episode.id])
    }
}
