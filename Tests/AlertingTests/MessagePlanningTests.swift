import Alerting
import Clinical
import Registry
import Testing

@Suite struct MessagePlanningTests {
    private static let north = Identifier("north")!
    /// Monday 23 November 2026, 08:15:30 in London: the site opened at 8.
    private static let monday = Instant(microseconds: 1_795_421_730_000_000)
    private static let hours = [
        north: OfficeHours(
            Site(
                code: north, name: "North",
                hours: [OpeningHours(days: [.monday, .tuesday], opens: 8 * 60, closes: 18 * 60)]))
    ]
    private let planning = MessagePlanning(hours: hours)

    private func entry(
        _ number: UInt64, of patient: Int = 1, _ severity: Severity = .amber, since: Instant = monday,
        subject: Subject? = nil, hold: WaitingEntry.Hold? = nil
    ) -> WaitingEntry {
        WaitingEntry(
            key: "k\(number)", alert: AlertID(high: 1, low: number),
            subject: subject ?? .patient(Identifier("P\(patient)")!), site: Self.north, rule: "r", severity: severity,
            since: since, hold: hold)
    }

    @Test func `an amber waits a minute for more, and a minute's ambers of a patient are one message`() {
        let first = entry(1)
        let second = entry(2, since: Self.monday + .seconds(59))
        let plan = planning.plan([first], sent: [], at: Self.monday)
        #expect(plan.messages.isEmpty)
        #expect(plan.held.map(\.hold) == [.init(kind: .merge, until: Self.monday + .seconds(60))])
        #expect(plan.ledger.map(\.kind) == [.merge])
        #expect(plan.ledger.map(\.until) == [Self.monday + .seconds(60)])
        let left = planning.plan([first, second], sent: [], at: Self.monday + .seconds(60))
        #expect(left.messages.map { $0.entries.map(\.key) } == [["k1", "k2"]])
        #expect(left.messages[0].key?.hasPrefix("patient-") == true)
        #expect(left.ledger.map(\.message) == [left.messages[0].key, left.messages[0].key])
        // Alone it is told as ever.
        let alone = planning.plan([first], sent: [], at: Self.monday + .seconds(60))
        #expect(alone.messages.map(\.key) == [nil])
        #expect(alone.ledger.isEmpty)
    }

    @Test func `two patients are two messages, three are one digest`() {
        let due = Self.monday + .seconds(60)
        let two = planning.plan([entry(1), entry(2, of: 2)], sent: [], at: due)
        #expect(two.messages.map(\.key) == [nil, nil])
        // Whoever has not waited out his minute goes along.
        let late = entry(3, of: 3, since: Self.monday + .seconds(50))
        let three = planning.plan([entry(1), entry(2, of: 2), late], sent: [], at: due)
        #expect(three.messages.map { $0.entries.map(\.key) } == [["k1", "k2", "k3"]])
        #expect(three.messages[0].key?.hasPrefix("digest-") == true)
        #expect(three.ledger.map(\.kind) == [.limit, .limit, .limit])
    }

    @Test func `a limit delays and merges`() {
        let due = Self.monday + .seconds(60)
        let sent = [due - .minutes(9), due - .minutes(2)]
        let waits = planning.plan([entry(1)], sent: sent, at: due)
        #expect(waits.messages.isEmpty)
        #expect(waits.held.map(\.hold) == [.init(kind: .limit, until: due + .minutes(1))])
        let held = waits.held + [entry(2, of: 2, since: due), entry(3, of: 3, since: due)]
        let one = planning.plan(held, sent: sent, at: due + .minutes(1))
        #expect(one.messages.map(\.entries.count) == [3])
        // What the clock has not reached yet was never sent.
        let back = planning.plan([entry(1)], sent: [due + .hours(1), due + .hours(2)], at: due)
        #expect(back.messages.count == 1)
    }

    @Test func `the night's ambers wait for the hours and are one digest`() throws {
        // Tuesday's evening; the next hours begin on Monday.
        let evening = Self.monday + .hours(34)
        let opening = try #require(Self.hours[Self.north]?.opening(after: evening))
        #expect(opening == Self.monday - .seconds(15 * 60 + 30) + .hours(7 * 24))
        let night = [entry(1, since: evening), entry(2, of: 2, since: evening), entry(3, of: 3, since: evening)]
        let plan = planning.plan(night, sent: [], at: evening)
        #expect(plan.messages.isEmpty)
        #expect(plan.held.allSatisfy { $0.hold == .init(kind: .digest, until: opening) })
        #expect(plan.ledger.map(\.kind) == [.digest, .digest, .digest])
        let digest = planning.plan(plan.held, sent: [], at: opening)
        #expect(digest.messages.map(\.entries.count) == [3])
        #expect(digest.ledger.allSatisfy { $0.kind == .digest && $0.message == digest.messages[0].key })
        // One alone is a digest too: it says how many reds are open.
        let one = planning.plan([plan.held[0]], sent: [], at: opening)
        #expect(one.messages.map { $0.key?.hasPrefix("digest-") } == [true])
    }

    @Test func `what was raised in hours does not wait for the morning`() {
        let closing = Self.monday + .hours(9) + .minutes(44) + .seconds(20)
        let plan = planning.plan([entry(1, since: closing)], sent: [], at: closing + .seconds(60))
        #expect(plan.messages.map(\.key) == [nil])
    }

    @Test(arguments: [
        (Severity.red, Subject.patient(Identifier("P1")!)), (.amber, .site(Identifier("north")!)), (.amber, .instance),
    ])
    func `a red, and what may keep a red from being seen, never waits`(_ severity: Severity, _ subject: Subject) {
        let evening = Self.monday + .hours(34)
        let others = (1...9).map { entry($0, of: Int($0), since: evening) }
        let urgent = entry(10, severity, since: evening, subject: subject)
        let plan = planning.plan(
            others + [urgent], sent: Array(repeating: evening, count: 50), at: evening)
        #expect(plan.messages == [.init(key: nil, entries: [urgent])])
        #expect(!plan.ledger.contains { $0.alert == urgent.alert })
    }

    @Test func `a clock set back holds nothing for longer`() {
        let ahead = entry(1, since: Self.monday + .hours(5))
        let plan = planning.plan([ahead], sent: [], at: Self.monday)
        #expect(plan.held.map(\.hold?.until) == [Self.monday + .seconds(60)])
        #expect(planning.plan(plan.held, sent: [], at: Self.monday + .seconds(60)).messages.count == 1)
    }

    @Test func `more than a message holds is the next message`() {
        var policy = NoisePolicy()
        policy.alertsOfMessage = 4
        let entries = (1...10).map { entry($0, of: Int($0)) }
        let now = Self.monday + .seconds(60)
        let plan = MessagePlanning(policy: policy, hours: Self.hours).plan(entries, sent: [], at: now)
        #expect(plan.messages.map(\.entries.count) == [4])
        #expect(plan.held.count == 6)
        #expect(plan.held.allSatisfy { $0.hold == .init(kind: .limit, until: now) })
    }

    /// Whatever comes and whenever it is planned: no red waits or has company, each entry leaves in exactly one message,
    /// each wait and each joining is in the ledger, and no recipient gets more than the limit.
    @Test(arguments: 0..<60)
    func `nothing is lost and every delay is written down`(seed: UInt64) throws {
        var generator = Numbers(state: seed)
        var arriving = (1...UInt64.random(in: 1...60, using: &generator)).map { number in
            let severity: Severity = [.red, .amber, .amber, .amber, .info].randomElement(using: &generator)!
            let span = Int64.random(in: 0...[90, 3600, 4 * 86400].randomElement(using: &generator)!, using: &generator)
            return entry(
                number, of: Int.random(in: 1...8, using: &generator), severity, since: Self.monday + .seconds(span))
        }
        let reds = Set(arriving.filter { $0.severity == .red }.map(\.key))
        let all = Set(arriving.map(\.key))
        var now = Self.monday
        var waiting: [WaitingEntry] = []
        var sent: [Instant] = []
        var left: [String: Instant] = [:]
        var ledger: [Suppression] = []
        let arrivals = Dictionary(uniqueKeysWithValues: arriving.map { ($0.key, $0.since) })
        while left.count < all.count {
            waiting += arriving.filter { $0.since <= now }
            arriving.removeAll { $0.since <= now }
            let plan = planning.plan(waiting, sent: sent, at: now)
            #expect(planning.plan(waiting, sent: sent, at: now) == plan)
            ledger += plan.ledger
            for held in plan.held {
                #expect(!reds.contains(held.key))
                waiting.removeAll { $0.key == held.key }
                waiting.append(held)
            }
            for message in plan.messages {
                let keys = message.entries.map(\.key)
                if reds.isDisjoint(with: keys) {
                    sent.append(now)
                } else {
                    #expect(keys.count == 1 && message.key == nil)
                }
                if message.key != nil {
                    for key in keys { #expect(ledger.contains { $0.delivery == key && $0.message == message.key }) }
                }
                for key in keys {
                    #expect(left.updateValue(now, forKey: key) == nil)
                    if let arrived = arrivals[key], now > arrived {
                        #expect(
                            ledger.contains {
                                $0.delivery == key
                                    && ($0.until == now || message.key != nil && $0.message == message.key)
                            })
                    }
                }
                waiting.removeAll { keys.contains($0.key) }
            }
            #expect(sent.count { now - $0 < .minutes(10) } <= 2)
            // The next time something comes or is due: as the database does, by each entry's own time.
            let times = arriving.map(\.since) + waiting.compactMap(\.hold?.until)
            guard let next = times.min() else { break }
            #expect(next > now || waiting.isEmpty)
            guard next > now else { break }
            now = next
        }
        #expect(Set(left.keys) == all)
        for key in reds { #expect(left[key] == arrivals[key]) }
        #expect(!ledger.contains { reds.contains($0.delivery ?? "") })
    }
}

/// SplitMix64; the argument of a test is its seed.
private struct Numbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }
}

@Suite struct OfficeHoursTests {
    private func hours(_ spans: [OpeningHours], zone: String = "Europe/London") -> OfficeHours {
        OfficeHours(Site(code: Identifier("north")!, name: "N", timeZone: zone, hours: spans))
    }

    @Test func `hours are the wall clock's, also where it is changed`() {
        let hours = hours([OpeningHours(days: Set(Weekday.allCases), opens: 8 * 60, closes: 18 * 60)])
        // Saturday 27 March 2027, 20:00 GMT: the next morning's 8:00 is 7:00 in UTC.
        let evening = Instant(microseconds: 1_806_177_600_000_000)
        #expect(!hours.isOpen(at: evening))
        #expect(hours.opening(after: evening) == evening + .hours(11))
        #expect(hours.isOpen(at: evening + .hours(11)))
        #expect(!hours.isOpen(at: evening + .hours(11) - .seconds(1)))
    }

    @Test func `an hour that the clock skips begins after it`() {
        let hours = hours([OpeningHours(days: [.sunday], opens: 90, closes: 240)])
        let evening = Instant(microseconds: 1_806_177_600_000_000)
        let opening = hours.opening(after: evening)
        #expect(opening.map(hours.isOpen) == true)
    }

    @Test func `a site without hours, or with an unknown zone, is never waited for`() {
        let morning = Instant(microseconds: 1_795_421_730_000_000)
        #expect(hours([]).isOpen(at: morning))
        #expect(hours([]).opening(after: morning) == nil)
        let unknown = hours([OpeningHours(days: [.monday], opens: 0, closes: 1)], zone: "Nowhere/Land")
        #expect(unknown.isOpen(at: morning))
        #expect(unknown.opening(after: morning) == nil)
    }
}
