import Alerting
import Clinical
import Formats
import Registry
import Testing

@testable import Ingestion

/// Technical alerts about readers and our own clock.
@Suite struct ReaderWatchTests {
    private let now = Bench.now

    private func report(_ id: String, battery: Int? = nil, sent: Interval? = nil, device: Int = 1) -> Message {
        var extra = battery.map { ",\"battery\":\($0)" } ?? ""
        if let sent { extra += ",\"sent_at\":\"\(RFC3339.format(now + sent))\"" }
        return Bench.message(
            Bench.payload(id: id, takenAt: now + (sent ?? Interval(microseconds: 0)), extra: extra),
            topic: "homeward/v1/north/dev-000\(device)/report")
    }

    private func status(_ members: String, retained: Bool = false) -> Message {
        Bench.message(
            "{\"state\":\"online\"\(members)}", topic: "homeward/v1/north/dev-0001/status", retained: retained)
    }

    @Test func `a low battery is one alert until it is charged`() throws {
        var bench = Bench()
        try bench.commit(report("a", battery: 15))
        #expect(bench.open(.technical).isEmpty)
        try bench.commit(report("b", battery: 14))
        #expect(bench.open(.technical) == ["battery-low": .amber])
        // Said again, and not yet good: nothing is written.
        let events = bench.store.rows.episodes.count
        try bench.commit(report("c", battery: 9), report("d", battery: 19))
        try bench.commit(status(",\"battery\":3"))
        #expect(bench.store.rows.episodes.count == events)
        try bench.commit(status(",\"battery\":90", retained: true))
        #expect(bench.open(.technical) == ["battery-low": .amber], "a retained status may be of any age")
        try bench.commit(status(",\"battery\":20"))
        #expect(bench.open(.technical).isEmpty)
        #expect(bench.store.rows.outbox.isEmpty, "no administrator, nobody to tell")
        #expect(bench.store.rows.episodes.first?.events.first?.explanation.contains("\"battery\":14") == true)
    }

    @Test(
        arguments: [
            (.seconds(120), .right), (.seconds(121), .ahead(.seconds(121))), (.seconds(-120), .right),
            (.seconds(-121), .nothing), (.days(-1), .nothing),
        ] as [(Interval, ReaderWatch.ClockWord)])
    func whatATimeProves(offset: Interval, word: ReaderWatch.ClockWord) {
        #expect(ReaderWatch.clockWord(said: now + offset, receivedAt: now) == word)
        #expect(ReaderWatch.clockWord(said: nil, receivedAt: now) == .nothing)
    }

    @Test func `a reader's clock that runs ahead is an alert until it agrees`() throws {
        var bench = Bench()
        try bench.commit(report("a", sent: .minutes(10)))
        #expect(bench.open(.technical) == ["clock-offset": .amber])
        // It may have waited for ten minutes.
        try bench.commit(report("b", sent: .minutes(-10)))
        #expect(bench.open(.technical) == ["clock-offset": .amber])
        try bench.commit(status(",\"now\":\"\(RFC3339.format(now))\"", retained: true))
        #expect(bench.open(.technical) == ["clock-offset": .amber])
        try bench.commit(report("c", sent: .seconds(-3)))
        #expect(bench.open(.technical).isEmpty)
        try bench.commit(Bench.message(Bench.payload(id: "d", takenAt: now + .minutes(6))))
        #expect(bench.open(.technical) == ["clock-offset": .amber], "refused as clock-future")
    }

    @Test func `each refusal has its alert, one for each reader`() throws {
        var bench = Bench()
        for id in ["a", "b", "c"] {
            try bench.commit(
                Bench.message("{\"id\":\"\(id)\""), report(id, device: 8),
                Bench.message(Bench.payload(id: id, takenAt: now - .days(25))))
        }
        #expect(
            bench.open(.technical) == [
                "quarantined-report": .amber, "unknown-device": .amber, "unpaired-device": .amber,
            ])
        #expect(bench.store.rows.episodes.flatMap(\.events).map(\.transition) == [.opened, .opened, .opened])
        let stranger = Subject.device(Identifier("dev-0008")!)
        #expect(Set(bench.store.openEpisodes.map(\.subject)) == [.device(Bench.device), stranger])
        // The reader works and is somebody's; what was refused must still be looked at.
        try bench.commit(report("z"))
        #expect(bench.open(.technical) == ["quarantined-report": .amber, "unknown-device": .amber])
        // It is enrolled.
        var registry = Bench.registry(version: 2)
        registry.devices[Identifier("dev-0008")!] = Device(
            code: Identifier("dev-0008")!, site: Bench.north,
            pairings: [Pairing(patient: Bench.patient, from: now - .days(1))])
        bench.store.currentRegistry = registry
        try bench.commit(report("y", device: 8))
        #expect(bench.open(.technical) == ["quarantined-report": .amber])
    }

    @Test func `rubbish can't make alerts without end`() throws {
        var bench = Bench()
        for number in 0..<60 {
            try bench.commit(Bench.message("{", topic: "homeward/v1/north/stranger-\(number)/report"))
            try bench.commit(Bench.message("{", topic: "homeward/\(number)"))
        }
        let rules = bench.store.openEpisodes.map(\.rule)
        #expect(rules.count { $0 == "unknown-device" } == UnknownReaders.mostPerHour + 1)
        #expect(rules.count { $0 == "quarantined-report" } == 1)
        #expect(bench.store.openEpisodes.allSatisfy { $0.severity == .amber })
    }

    @Test func `a replay has neither readers nor a clock to watch`() throws {
        var replayer = Replayer(packs: Bench.packs, registry: Bench.registry())
        for message in [report("a", battery: 3), Bench.message("{"), report("b", device: 9)] {
            #expect(try replayer.take(message).changes.isEmpty)
        }
    }

    @Test func `what is told of a reader goes to administrators, and no rule is two`() {
        #expect(ReaderWatch.Rule.clockOffset.rawValue == TriageSnapshot.readerClockRule)
        #expect(ServerClock.rule == TriageSnapshot.serverClockRule)
    }

    // MARK: - Our own clock

    /// A report of one of many readers, straight from the broker.
    private func live(_ device: Int, _ id: String, ahead: Interval, at: Instant) -> Message {
        var message = Bench.message(
            Bench.payload(id: id, takenAt: at + ahead), topic: "homeward/v1/north/dev-000\(device)/report",
            receivedAt: at)
        message.receivedTick = 1
        return message
    }

    private func ward() -> Bench {
        let bench = Bench()
        var registry = Bench.registry(version: 2)
        for number in 2...9 {
            let code = Identifier("dev-000\(number)")!
            registry.devices[code] = Device(
                code: code, site: Bench.north,
                pairings: [Pairing(patient: Bench.patient, from: now - .days(20), until: now + .days(20))])
        }
        bench.store.currentRegistry = registry
        return bench
    }

    @Test func `when most readers run ahead it is our clock, and nothing is refused for its time`() throws {
        var bench = ward()
        for device in 1...4 {
            #expect(
                try bench.commit(live(device, "a", ahead: .minutes(10), at: now)) == [.quarantined(.clockFuture)])
        }
        #expect(bench.open(.technical)["server-clock"] == nil)
        #expect(try bench.commit(live(5, "a", ahead: .minutes(10), at: now)) == [.stored])
        #expect(bench.open(.technical)["server-clock"] == .amber)
        #expect(bench.store.rows.reports.last?.readings.allSatisfy { $0.otherFlags == [ServerClock.flag] } == true)
        // The ones that were refused are sent again, and are judged afresh.
        #expect(try bench.commit(live(1, "a", ahead: .minutes(10), at: now + .minutes(1))) == [.stored])
        // It is set right: the others' words are over five minutes old.
        let later = now + .minutes(7)
        #expect(try bench.commit(live(6, "b", ahead: .seconds(1), at: later)) == [.stored])
        #expect(bench.open(.technical)["server-clock"] == nil)
        #expect(try bench.commit(live(7, "b", ahead: .minutes(6), at: later)) == [.quarantined(.clockFuture)])
    }

    @Test func `half of the readers are no proof, nor is the spool`() throws {
        var bench = ward()
        for device in 1...6 {
            try bench.commit(live(device, "a", ahead: device > 3 ? .minutes(10) : .seconds(0), at: now))
        }
        #expect(bench.open(.technical)["server-clock"] == nil)
        for device in 1...9 {
            var drained = live(device, "s", ahead: .minutes(10), at: now)
            drained.receivedTick = 0
            try bench.commit(drained)
        }
        #expect(bench.open(.technical)["server-clock"] == nil)
    }

    @Test func `a doubt from elsewhere is told without a report, and taken back`() throws {
        var bench = ward()
        bench.processor.clock.doubt = "PostgreSQL's clock is 60 s ahead of it"
        #expect(bench.processor.hasFindings)
        try bench.commit()
        #expect(!bench.processor.hasFindings)
        let alert = try #require(bench.store.openEpisodes.first)
        #expect(alert.rule == "server-clock" && alert.subject == .instance && alert.summary.contains("60 s ahead"))
        #expect(try bench.commit(live(1, "a", ahead: .days(2), at: now)) == [.stored])
        bench.processor.clock.doubt = nil
        #expect(bench.processor.hasFindings)
        try bench.commit()
        #expect(bench.open(.technical)["server-clock"] == nil)
    }

    @Test func `what the clocks say of each other`() {
        var watch = ServerClockWatch()
        var monotonic: Int64 = 1_000_000_000_000
        var wall = now
        func look(
            after seconds: Int64, jump: Interval = .seconds(0), database: Interval? = .seconds(0), kernel: Bool? = nil
        ) -> String? {
            monotonic += seconds * 1_000_000_000
            wall = wall + .seconds(seconds) + jump
            return watch.take(
                .init(
                    wall: wall, wallAfter: wall, monotonic: monotonic, database: database.map { wall + $0 },
                    isSynchronised: kernel))
        }
        #expect(look(after: 0) == nil)
        #expect(look(after: 2, jump: .seconds(29)) == nil)
        #expect(look(after: 2, jump: .seconds(-31)) == "it jumped by -31 s")
        #expect(look(after: 299) == "it jumped by -31 s")
        #expect(look(after: 2) == nil)
        #expect(look(after: 2, jump: .hours(1))?.contains("+3600 s") == true)
        #expect(look(after: 400) == nil)
        #expect(look(after: 2, database: .seconds(30)) == nil)
        #expect(look(after: 2, database: .seconds(31))?.contains("31 s ahead") == true)
        #expect(look(after: 2, database: nil)?.contains("31 s ahead") == true, "away, it says nothing new")
        #expect(look(after: 2, database: .seconds(-40))?.contains("40 s behind") == true)
        #expect(look(after: 2) == nil)
        // Never synchronised says nothing; no longer synchronised does.
        #expect(look(after: 2, kernel: false) == nil)
        #expect(look(after: 2, kernel: true) == nil)
        #expect(look(after: 2, kernel: false)?.contains("kernel") == true)
        #expect(look(after: 2, kernel: true) == nil)
    }

    @Test func `a slow answer of the database is no difference`() {
        var watch = ServerClockWatch()
        // Asked at 0, answered after 40 s with the time of 35 s.
        #expect(
            watch.take(
                .init(
                    wall: now, wallAfter: now + .seconds(40), monotonic: 40_000_000_000, database: now + .seconds(35)))
                == nil)
    }

    // MARK: - Silent readers

    private func silent(_ offline: Int, of known: Int, open: [Subject] = []) -> [(Subject, String, Bool)] {
        var readers = SilentReaders()
        readers.offline = (0..<offline).map {
            .init(device: Identifier("dev-\($0)")!, site: Bench.north, since: now - .hours(5))
        }
        readers.known = [Bench.north: known]
        for subject in open { readers.open[subject] = Bench.north }
        return readers.findings(at: now).map { finding in
            if case .beyond(let severity) = finding.verdict {
                #expect(severity == .amber)
                return (finding.subject, finding.rule, true)
            }
            return (finding.subject, finding.rule, false)
        }
    }

    private func dev(_ number: Int) -> Subject { .device(Identifier("dev-\(number)")!) }

    @Test func `silent readers are one alert each, and a site's crowd is one`() {
        #expect(silent(0, of: 10).isEmpty)
        #expect(silent(2, of: 10).map(\.0) == [dev(0), dev(1)])
        #expect(silent(2, of: 10, open: [dev(0), dev(1)]).isEmpty)
        #expect(silent(1, of: 10, open: [dev(0), dev(1)]).map { $0.0 } == [dev(1)])
        #expect(silent(1, of: 10, open: [dev(0), dev(1)]).map { $0.2 } == [false])
        // Four of four are few; five of ten are half; six of ten are the site's.
        #expect(silent(4, of: 4).count == 4)
        #expect(silent(5, of: 10).count == 5)
        #expect(silent(600, of: 1000).map(\.1) == ["devices-offline"])
        #expect(silent(6, of: 10, open: [.site(Bench.north)]).isEmpty)
        let back = silent(1, of: 10, open: [.site(Bench.north)])
        #expect(back.map(\.1) == ["devices-offline", "device-offline"])
        #expect(back.map(\.2) == [false, true])
    }

    // MARK: - The log

    @Test func `quarantined reports are logged once a minute with their number`() {
        var log = RefusalLog()
        #expect(log.take(now: 0).isEmpty)
        log.count(.malformed, 2)
        #expect(log.take(now: 0).map(\.count) == [2])
        log.count(.malformed, 3)
        log.count(.unpaired, 1)
        log.count(.malformed, 4)
        #expect(log.take(now: RefusalLog.interval - 1).isEmpty)
        let due = log.take(now: RefusalLog.interval)
        #expect(due.map(\.reason) == [.malformed, .unpaired])
        #expect(due.map(\.count) == [7, 1])
        #expect(log.take(now: 10 * RefusalLog.interval).isEmpty)
    }
}
