import Alerting
import Clinical
import Formats
import Registry
import Testing

@testable import Ingestion

/// Outages of a gateway and of Homeward itself: who is told, and whose missed readings wait.
@Suite struct SightTests {
    private static let now = Bench.now
    /// Mon 23 Nov 2026, 13:00 in London, when the window of 09:00 closes.
    private static let closes = Instant(microseconds: 1_795_438_800_000_000)

    private static func device(_ number: Int) -> Identifier { Identifier("dev-000\(number)")! }
    private static func patient(_ number: Int) -> Identifier { Identifier("P000\(number)")! }

    // MARK: - Crowds

    /// Minutes for which each of a site's readers has been offline, how many it has, and since when that is an outage.
    @Test(
        arguments: [
            // Five of eight within ten minutes.
            ([20, 21, 24, 26, 30], 8, 30),
            // The same spread over more than ten.
            ([20, 22, 24, 26, 31], 8, nil),
            // Half is not over half, and four are few.
            ([20, 20, 20, 20, 20], 10, nil),
            ([20, 20, 20, 20], 4, nil),
            // One that was off before belongs to what is hidden, not to when it began.
            ([20, 20, 20, 20, 20, 200], 8, 20),
            // Long gone, one after the other: an outage of the site as before.
            ([241, 300, 400, 500, 600], 8, 600),
            ([239, 300, 400, 500, 600], 8, nil),
        ] as [([Int64], Int, Int64?)])
    func readersThatGoTogetherAreOneOutage(minutes: [Int64], known: Int, since: Int64?) {
        var silent = SilentReaders()
        silent.offline = minutes.enumerated().map {
            .init(device: Self.device($0), site: Bench.north, since: Self.now - .minutes($1))
        }
        silent.known = [Bench.north: known]
        let crowd = silent.crowds(at: Self.now)[Bench.north]
        #expect(crowd?.since == since.map { Self.now - .minutes($0) })
        #expect(crowd.map(\.devices.count) == (since == nil ? nil : minutes.count))
        let findings = silent.findings(at: Self.now)
        #expect(findings.filter { $0.rule == SilentReaders.siteRule }.count == (since == nil ? 0 : 1))
        // Alone each is told of after the grace.
        let alone = since == nil ? minutes.count { $0 >= 240 } : 0
        #expect(findings.filter { $0.rule == SilentReaders.deviceRule }.count == alone)
    }

    @Test func careTeamsAreToldOnceAndOfTheEnd() {
        var cutOff = CutOff()
        let crowd = SilentReaders.Crowd(since: Self.now, devices: [Self.device(1)])
        let south = Identifier("south")!
        cutOff.note([Bench.north: crowd], now: 0)
        #expect(cutOff.devices(now: 1) == [Self.device(1)], "what an earlier life left hides, and is not told")
        let first = cutOff.take([Bench.north: crowd], now: 2)
        #expect(first.isFirst && Array(first.hidden.keys) == [Bench.north])
        #expect(cutOff.take([Bench.north: crowd], now: 3).hidden.isEmpty)
        let both = cutOff.take([Bench.north: crowd, south: crowd], now: 4)
        #expect(Array(both.hidden.keys) == [south] && both.back.isEmpty)
        let back = cutOff.take([:], now: 5)
        #expect(back.back == [Bench.north, south])
        // Its readers are given time to come back.
        let pause = CutOff.pause.microseconds * 1000
        #expect(cutOff.devices(now: 4 + pause - 1) == [Self.device(1)])
        #expect(cutOff.devices(now: 4 + pause).isEmpty)
    }

    // MARK: - Missed readings

    /// Patients 1 to `patients`, each with the reader of his number; 2 is of high risk.
    private func bench(patients: Int = 3) throws -> Bench {
        var bench = Bench()
        let slot = ScheduleSlot(
            kinds: [.spo2], due: 540, days: Set(Weekday.allCases), early: .hours(2), grace: .hours(4))
        for number in 1...patients {
            let patient = Patient(
                code: Self.patient(number), site: Bench.north, keyWorker: Identifier("cm-01"),
                profile: PatientProfile(highRisk: number == 2), schedule: [slot])
            bench.store.currentRegistry.patients[patient.code] = patient
            bench.store.currentRegistry.devices[Self.device(number)] = Device(
                code: Self.device(number), site: Bench.north,
                pairings: [Pairing(patient: patient.code, from: Self.now - .days(20))])
        }
        bench.store.currentRegistry.version += 1
        while try bench.processor.scheduleDueReadings(in: bench.store, by: Self.closes - .hours(6)) {}
        return bench
    }

    private func fire(
        _ bench: inout Bench, at instant: Instant, hidden: Set<Int>, _ reach: MissedReach = .all
    ) throws -> [Identifier] {
        let report = try bench.processor.fireDueReadings(
            of: bench.store, by: instant, reach: reach, cutOff: Set(hidden.map(Self.device)))
        return (report?.notifying ?? []).compactMap { change in
            if case .patient(let code) = change.episode.subject { code } else { nil }
        }.sorted { $0.description < $1.description }
    }

    @Test func whomAGatewayHidesIsDeferredAndNotCancelled() throws {
        var bench = try bench()
        #expect(try fire(&bench, at: Self.closes, hidden: [1, 2]) == [Self.patient(3)])
        #expect(try fire(&bench, at: Self.closes + .minutes(29), hidden: [1, 2]).isEmpty)
        // A registry that changes meanwhile cancels nothing.
        bench.store.currentRegistry.version += 1
        while try bench.processor.scheduleDueReadings(in: bench.store, by: Self.closes + .minutes(40)) {}
        for half in 1...7 {
            #expect(try fire(&bench, at: Self.closes + .minutes(30 * Int64(half)), hidden: [1, 2]).isEmpty)
        }
        // High risk is never deferred for longer than 4 h.
        #expect(try fire(&bench, at: Self.closes + .hours(4), hidden: [1, 2]) == [Self.patient(2)])
        #expect(try fire(&bench, at: Self.closes + .hours(6), hidden: [1, 2]).isEmpty)
        // The gateway is back.
        #expect(try fire(&bench, at: Self.closes + .hours(7), hidden: []) == [Self.patient(1)])
        let dues = try bench.store.everyTimer(DueReadingTimer.kind)
        #expect(dues.map(\.due) == Array(repeating: Self.closes + .days(1), count: 3))
        #expect(!dues.contains { DueReadingTimer($0)?.deferredFrom != nil })
    }

    @Test func whatCameMeanwhileIsNotMissed() throws {
        var bench = try bench()
        #expect(try fire(&bench, at: Self.closes, hidden: [1, 2, 3]).isEmpty)
        try bench.commit(
            Bench.message(
                Bench.payload(id: "kept", takenAt: Self.closes - .hours(3)), receivedAt: Self.closes + .hours(1)))
        #expect(
            try fire(&bench, at: Self.closes + .hours(2), hidden: []) == [Self.patient(2), Self.patient(3)],
            "P0001's reader had kept its report")
    }

    @Test func whileABacklogIsUnreadDeferredHighRiskIsToldAfterFourHoursToo() throws {
        var bench = try bench()
        #expect(try fire(&bench, at: Self.closes, hidden: [1, 2, 3]).isEmpty)
        #expect(try fire(&bench, at: Self.closes + .hours(3), hidden: [], .overdueHighRisk).isEmpty)
        #expect(try fire(&bench, at: Self.closes + .hours(4), hidden: [], .overdueHighRisk) == [Self.patient(2)])
    }

    @Test func whoHasAnotherReaderIsNotHidden() throws {
        var bench = try bench()
        bench.store.currentRegistry.devices[Self.device(9)] = Device(
            code: Self.device(9), site: Bench.north,
            pairings: [Pairing(patient: Self.patient(1), from: Self.now - .days(2))])
        bench.store.currentRegistry.version += 1
        let registry = bench.store.currentRegistry
        #expect(
            registry.patients(cutOffBy: [Self.device(1), Self.device(2)], at: Self.now) == [Self.patient(2)])
        #expect(registry.patients(cutOffBy: [], at: Self.now).isEmpty)
        #expect(try fire(&bench, at: Self.closes, hidden: [1, 2]) == [Self.patient(1), Self.patient(3)])
    }

    @Test func ofMoreThanOneTransactionTakesThereAreListsAndNoStorm() throws {
        var bench = try bench(patients: 9)
        var messages = 0
        for _ in 0..<3 {
            _ = try bench.processor.fireDueReadings(of: bench.store, by: Self.closes, reach: .all, limit: 3)
            messages = bench.store.rows.outbox.count
        }
        #expect(bench.store.openEpisodes.count { $0.rule == Schedule.missedReadingRule } == 9)
        #expect(messages == 3)
    }

    // MARK: - Who is told

    @Test func anAbsenceOfHomewardNamesWhomItHid() throws {
        var bench = try bench()
        _ = try fire(&bench, at: Self.closes - .hours(5), hidden: [])
        let findings = bench.processor.findingsOfAbsence(
            (Self.closes - .minutes(47))...Self.closes, at: Self.closes + .seconds(3))
        #expect(findings.map(\.subject) == [.instance, .site(Bench.north)])
        #expect(findings.map(\.rule) == ["homeward-away", Schedule.unseenRule])
        #expect(findings.map(\.alertClass) == [.technical, .clinical])
        #expect(findings[0].summary.hasPrefix("Homeward was down for 47 min"))
        #expect(
            findings[1].summary.hasPrefix(
                "Homeward was down from 12:13 to 13:00: 3 patients could not be seen, of high risk P0002."))
        // The same as the broker's ends it.
        let ended = bench.processor.findingsOfSight(at: Self.closes + .hours(1))
        #expect(Set(ended.map(\.rule)).isSuperset(of: findings.map(\.rule)))
        let long = bench.processor.findingsOfAbsence((Self.closes - .days(2))...Self.closes, at: Self.closes)
        #expect(long[0].summary.hasPrefix("Homeward was down for 48 h"))
        #expect(long[1].summary.hasPrefix("Homeward was down from 13:00 on Sat 21 Nov to 13:00:"))
    }

    @Test func aCrowdIsToldToTheCareTeamOfItsPatients() throws {
        var bench = try bench()
        _ = try fire(&bench, at: Self.closes - .hours(5), hidden: [])
        let crowd = SilentReaders.Crowd(
            since: Self.closes - .minutes(20), devices: [Self.device(1), Self.device(2), Identifier("spare")!])
        let finding = try #require(bench.processor.findingOfCrowd(crowd, of: Bench.north, at: Self.closes))
        #expect(finding.rule == Schedule.cutOffRule && finding.alertClass == .clinical)
        #expect(
            finding.summary.hasPrefix(
                "3 readers have been offline since 12:40: 2 patients can't be seen, of high risk P0002."))
        let nobodys = SilentReaders.Crowd(since: Self.closes, devices: [Identifier("spare")!])
        #expect(bench.processor.findingOfCrowd(nobodys, of: Bench.north, at: Self.closes) == nil)
    }

    @Test(
        arguments: [(nil, false), (-1, false), (0, false), (299, false), (300, true), (864_000, true)]
            as [(Int64?, Bool)])
    func anAbsenceIsToldFromFiveMinutesOn(seconds: Int64?, isTold: Bool) {
        let absence = Sight.absence(lastAlive: seconds.map { Self.now - .seconds($0) }, started: Self.now)
        #expect((absence != nil) == isTold)
        if let seconds, isTold { #expect(absence == (Self.now - .seconds(seconds))...Self.now) }
    }

    @Test func nobodyIsCalledMissingBeforeTheFirstLook() {
        #expect(!CommitControl().isSightAwaited)
        let control = CommitControl(awaitsSight: true)
        #expect(control.isSightAwaited)
        control.noteBroker(isConnected: true)
        let absence = (Self.now - .hours(1))...Self.now
        control.noteSight(Sight(absence: absence, mayBePast: true))
        #expect(!control.isSightAwaited)
        // A later look does not hide the absence that nobody has taken yet.
        control.noteSight(Sight())
        #expect(control.takeSight() == Sight(absence: absence))
        #expect(control.takeSight() == nil)
        // Readers that could not reach the broker meanwhile have half an hour.
        let second: Int64 = 1_000_000_000
        var link = BrokerLink(at: 0)
        link.note(isConnected: true, at: second)
        link.noteAbsence(at: 2 * second)
        #expect(link.reach(idleAt: 100 * second, now: 200 * second) == nil)
        #expect(link.reach(idleAt: 1801 * second, now: 1802 * second) == .all)
    }
}
