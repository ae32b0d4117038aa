import Alerting
import Clinical
import Formats
import Registry
import Testing

@testable import Ingestion

@Suite struct BatchProcessorTests {
    @Test func `a report is stored once, whatever comes again`() throws {
        var bench = Bench()
        let report = Bench.message(Bench.payload(id: "a"))
        #expect(try bench.commit(report) == [.stored])
        #expect(try bench.commit(report, report) == [.duplicate, .duplicate])
        #expect(try bench.commit(Bench.message(Bench.payload(id: "b")), report) == [.stored, .duplicate])
        #expect(bench.store.rows.reports.count == 2)
    }

    @Test func `twins of one batch are one report`() throws {
        var bench = Bench()
        let report = Bench.message(Bench.payload(id: "a"))
        #expect(try bench.commit(report, report) == [.stored, .duplicate])
    }

    @Test func `another content under a stored id is a conflict, and the first stands`() throws {
        var bench = Bench()
        try bench.commit(Bench.message(Bench.payload(id: "a")))
        let other = Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 95, "%")))
        #expect(try bench.commit(other) == [.quarantined(.conflict)])
        #expect(bench.store.rows.reports.count == 1)
    }

    @Test func `conflicting twins never share a transaction`() {
        let bench = Bench()
        let one = bench.candidate(Bench.message(Bench.payload(id: "a")))
        let other = bench.candidate(
            Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 95, "%"))))
        #expect(CommitStage.prefixWithoutConflictingTwins([one, one, other, one]) == 2)
        #expect(CommitStage.prefixWithoutConflictingTwins([one, one]) == 2)
    }

    @Test func `each fault of a report has its reason, in the contract's order`() throws {
        var bench = Bench()
        let now = Bench.now
        func refusal(_ message: Message) throws -> Outcome.Disposition? { try bench.commit(message).first }
        let rows: [(Message, RefusalReason)] = [
            (Bench.message("{}", topic: "homeward/v1/no rth/dev/report"), .badTopic),
            (Bench.message("rubbish"), .malformed),
            (Bench.message("{\"id\":\"e\",\"taken_at\":\"2026-11-23T08:15:30Z\"}"), .empty),
            (Bench.message(Bench.payload(id: "r"), retained: true), .retained),
            (Bench.message(Bench.payload(id: "r"), topic: "homeward/v1/north/other/report"), .unknownDevice),
            (Bench.message(Bench.payload(id: "r"), topic: "homeward/v1/south/dev-0001/report"), .unknownDevice),
            (Bench.message(Bench.payload(id: "r", takenAt: now + .minutes(6))), .clockFuture),
            (Bench.message(Bench.payload(id: "r", takenAt: now - .days(31))), .tooOld),
            (Bench.message(Bench.payload(id: "r", takenAt: now - .days(21))), .unpaired),
            (Bench.message(Bench.payload(id: "r", readings: Bench.reading("mood", 1, "1"))), .unknownKind),
            (Bench.message(Bench.payload(id: "r", readings: Bench.reading("weight", 900, "kg"))), .implausible),
        ]
        for (message, reason) in rows { #expect(try refusal(message) == .quarantined(reason)) }
        #expect(bench.store.rows.quarantined.map(\.reason) == rows.map(\.1))
        // None of them is remembered: the same id is judged afresh.
        #expect(try refusal(Bench.message(Bench.payload(id: "r"))) == .stored)
    }

    @Test func `a payload over 64 KiB says its length and hash`() throws {
        var bench = Bench()
        var message = Bench.message(String(repeating: "x", count: 10))
        message.fullLength = 70_000
        message.digest = [0xab, 0xcd]
        #expect(try bench.commit(message) == [.quarantined(.tooLarge)])
        #expect(bench.store.rows.quarantined[0].detail == "{\"length\":70000,\"sha256\":\"abcd\"}")
    }

    @Test func `a flagged copy of a stored report is a duplicate, whatever its date`() throws {
        var bench = Bench()
        let payload = Bench.payload(id: "a")
        try bench.commit(Bench.message(payload))
        let late = Bench.message(payload, retained: true, receivedAt: Bench.now + .days(60))
        #expect(try bench.commit(late) == [.duplicate])
    }

    @Test func `a bad weight never hides a red SpO2`() throws {
        var bench = Bench()
        let readings = Bench.reading("spo2", 90, "%") + "," + Bench.reading("weight", 900, "kg")
        var batch = [bench.candidate(Bench.message(Bench.payload(id: "a", readings: readings)))]
        let report = try bench.processor.commit(&batch, to: bench.store)
        #expect(batch[0].outcome.disposition == .stored)
        #expect(batch[0].outcome.refused == [RefusedReading(index: 1, kind: "weight", reason: .implausible)])
        #expect(batch[0].outcome.repeatAfterMinutes == 30)
        #expect(report.readingsRefused == [.implausible: 1])
        #expect(report.quarantined.isEmpty)
        #expect(bench.open == ["spo2-low": .red])
        #expect(bench.store.rows.quarantined.map(\.reading) == [1])
        #expect(bench.store.rows.outbox.map(\.recipient.description) == ["cm-01"])
        #expect(bench.store.rows.episodes[0].episode.summary.contains("SpO2 90 %"))
    }

    @Test(arguments: [
        (Interval.minutes(6), Bench.device, RefusalReason.clockFuture), (.days(-31), Bench.device, .tooOld),
        (.days(-21), Bench.device, .unpaired),
    ])
    func `a refusal never silences a red`(row: (Interval, Identifier, RefusalReason)) throws {
        var bench = Bench()
        let payload = Bench.payload(
            id: "a", takenAt: Bench.now + row.0, readings: Bench.reading("spo2", 80, "%"))
        #expect(try bench.commit(Bench.message(payload)) == [.quarantined(row.2)])
        #expect(bench.open == ["unverified-red": .red])
        #expect(bench.store.rows.outbox.count == 1)
    }

    @Test func `a conflict that holds a red raises it, a harmless one nothing`() throws {
        var bench = Bench()
        try bench.commit(Bench.message(Bench.payload(id: "a")))
        try bench.commit(Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 96, "%"))))
        #expect(bench.open.isEmpty)
        try bench.commit(Bench.message(Bench.payload(id: "a", readings: Bench.reading("spo2", 80, "%"))))
        #expect(bench.open == ["unverified-red": .red])
    }

    @Test func `a redelivered report never confirms its own red`() throws {
        var bench = Bench()
        let first = Bench.message(Bench.payload(id: "a", readings: Bench.reading("systolic", 180, "mm[Hg]")))
        try bench.commit(first)
        try bench.commit(first)
        #expect(bench.open.isEmpty)
        try bench.commit(
            Bench.message(
                Bench.payload(
                    id: "b", takenAt: Bench.now + .minutes(1), readings: Bench.reading("systolic", 181, "mm[Hg]"))))
        #expect(bench.open == ["systolic-high": .red])
    }

    @Test func `two readings of one batch confirm each other as two batches do`() throws {
        var bench = Bench()
        func report(_ id: String, _ minute: Int64) -> Message {
            Bench.message(
                Bench.payload(
                    id: id, takenAt: Bench.now - .minutes(10 - minute),
                    readings: Bench.reading("systolic", 180, "mm[Hg]")))
        }
        // Arrived the other way round.
        try bench.commit(report("b", 5), report("a", 1))
        #expect(bench.open == ["systolic-high": .red])
    }

    @Test func `an amber ends back in range, within a batch too`() throws {
        var bench = Bench()
        func report(_ id: String, _ minute: Int64, _ value: Double) -> Message {
            Bench.message(
                Bench.payload(
                    id: id, takenAt: Bench.now - .minutes(10 - minute), readings: Bench.reading("spo2", value, "%")))
        }
        try bench.commit(report("a", 1, 94))
        #expect(bench.open == ["spo2-low": .amber])
        try bench.commit(report("b", 2, 97))
        #expect(bench.open.isEmpty)
        try bench.commit(report("c", 3, 94), report("d", 4, 97))
        #expect(bench.open.isEmpty)
        #expect(bench.store.rows.episodes.count == 3)
    }

    @Test func `late is judged and says so; after a day only late-red is left`() throws {
        var bench = Bench()
        func report(_ id: String, _ age: Interval) -> Message {
            Bench.message(
                Bench.payload(id: id, takenAt: Bench.now - age, readings: Bench.reading("spo2", 80, "%")))
        }
        try bench.commit(report("a", .hours(2)))
        #expect(bench.store.openEpisodes.map(\.late) == [true])
        var other = Bench()
        try other.commit(report("a", .hours(25)))
        #expect(other.open == ["late-red": .amber])
    }

    @Test func `a hole in seq is a technical alert that ends when the missing report comes`() throws {
        var bench = Bench()
        func report(_ seq: Int) -> Message { Bench.message(Bench.payload(id: "r\(seq)", seq: seq)) }
        try bench.commit(report(1), report(2))
        try bench.commit(report(5))
        #expect(bench.open(.technical) == ["sequence-gap": .amber])
        #expect(bench.store.openEpisodes[0].alertClass == .technical)
        #expect(bench.store.openEpisodes[0].summary.contains("reports 3 to 4"))
        try bench.commit(report(4))
        #expect(bench.open(.technical) == ["sequence-gap": .amber])
        try bench.commit(report(3))
        #expect(bench.open(.technical).isEmpty)
    }

    @Test func `a reader's sequence is remembered over a lost connection`() throws {
        var bench = Bench()
        try bench.commit(Bench.message(Bench.payload(id: "r1", seq: 1)))
        bench.processor.forgetStoreState()
        try bench.commit(Bench.message(Bench.payload(id: "r3", seq: 3)))
        #expect(bench.open(.technical) == ["sequence-gap": .amber])
    }

    @Test func `an unknown question is stored and raises a technical alert`() throws {
        var bench = Bench()
        let payload = Bench.payload(
            id: "a", readings: "", answers: "{\"question\":\"favourite-colour\",\"value\":\"blue\"}")
        #expect(try bench.commit(Bench.message(payload)) == [.stored])
        #expect(bench.open(.technical) == ["unknown-question": .info])
        #expect(bench.store.rows.reports[0].answers.count == 1)
    }

    @Test func `a fast clock is corrected and flagged`() throws {
        var bench = Bench()
        let ahead = Bench.now + .minutes(10)
        let payload = Bench.payload(
            id: "a", takenAt: ahead, extra: ",\"sent_at\":\"\(RFC3339.format(ahead + .minutes(1)))\"")
        #expect(try bench.commit(Bench.message(payload)) == [.stored])
        let report = bench.store.rows.reports[0]
        #expect(report.takenAt == Bench.now - .minutes(1))
        #expect(report.readings.allSatisfy { $0.flags.contains(.clockCorrected) })
    }

    @Test func `what the registry changed is in force for the next batch`() throws {
        var bench = Bench()
        let stranger = Bench.message(Bench.payload(id: "a"), topic: "homeward/v1/north/dev-0002/report")
        #expect(try bench.commit(stranger) == [.quarantined(.unknownDevice)])
        var registry = Bench.registry(version: 2)
        let code = Identifier("dev-0002")!
        registry.devices[code] = Device(
            code: code, site: Bench.north,
            pairings: [Pairing(patient: Bench.patient, from: Bench.now - .days(1))])
        bench.store.currentRegistry = registry
        #expect(try bench.commit(stranger) == [.stored])
    }

    @Test func `statuses are kept, and a stranger's is quarantined without counting as a report`() throws {
        var bench = Bench()
        let status = "{\"state\":\"online\",\"battery\":87}"
        var batch = [
            bench.candidate(Bench.message(status, topic: "homeward/v1/north/dev-0001/status", retained: true)),
            bench.candidate(Bench.message(status, topic: "homeward/v1/north/nobody/status")),
            bench.candidate(Bench.message("{", topic: "homeward/v1/north/dev-0001/status")),
        ]
        let report = try bench.processor.commit(&batch, to: bench.store)
        #expect(bench.store.rows.statuses.map(\.battery) == [87])
        #expect(report.statusesRefused == [.unknownDevice: 1, .malformed: 1])
        #expect(report.quarantined.isEmpty)
    }
}
