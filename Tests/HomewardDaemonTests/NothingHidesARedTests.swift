import Alerting
import Clinical
import Documents
import Registry
import TestSupport
import Testing

@testable import Ingestion

/// Clinical facts, section 4, "Nothing may delay or hide a red": its lines, each with a test of its name, under the
/// shipped packs and from the bytes of a report to the messages that leave. Line 9, our own clock, is not here: the
/// daemon doesn't watch it yet.
@Suite struct NothingHidesARedTests {
    private let monday = ShippedWard.monday

    @Test func `1. suspect is a mark: a red that may be false is a red at once and says so`() throws {
        var ward = ShippedWard()
        // 84 over 78 happens in shock, and with a loose cuff.
        let outcome = try ward.take("a", ShippedWard.reading(.systolic, 84), ShippedWard.reading(.diastolic, 78))
        #expect(ward.open == ["systolic-low": .red])
        #expect(outcome?.repeatAfterMinutes == 30)
        #expect(ward.alert("systolic-low")?.summary.contains("; suspect (") == true)
        #expect(ward.alert("systolic-low")?.summary.contains("repeat asked") == true)
        #expect(ward.store.rows.reports.first?.readings.allSatisfy(\.isSuspect) == true)
        // What is suspect and in range is no reason to end an alert.
        var amber = ShippedWard()
        try amber.take("a", ShippedWard.reading(.spo2, 94))
        try amber.take("b", ShippedWard.reading(.spo2, 98, flags: "low-perfusion"), at: monday + .minutes(5))
        #expect(amber.open == ["spo2-low": .amber])
        try amber.take("c", ShippedWard.reading(.spo2, 98), at: monday + .minutes(10))
        #expect(amber.open.isEmpty)
    }

    @Test(
        arguments: [
            (Interval.minutes(6), RefusalReason.clockFuture), (.days(-31), .tooOld), (.days(-21), .unpaired),
            (.minutes(-1), .conflict),
        ])
    func `2. a refusal never silences a red`(shift: Interval, reason: RefusalReason) throws {
        var ward = ShippedWard()
        if reason == .conflict { try ward.take("a", ShippedWard.reading(.spo2, 97), at: monday + shift) }
        let outcome = try ward.take(
            "a", ShippedWard.reading(.spo2, 88), at: monday + shift, receivedAt: monday + .seconds(2))
        #expect(outcome?.disposition == .quarantined(reason))
        #expect(ward.open == ["unverified-red": .red])
        #expect(ward.store.rows.outbox.map(\.recipient.description) == ["cm-01"])
        let summary = try #require(ward.alert("unverified-red")?.summary)
        #expect(summary.contains("SpO2 88 %") && summary.contains(reason.rawValue))
        #expect(summary.contains("received on Mon 23 Nov at 08:15"))
    }

    @Test func `2. where the key worker can't be reached, team leads get the unverified red`() throws {
        var ward = ShippedWard()
        ward.store.currentRegistry.careManagers[Identifier("cm-01")!]?.webhook = nil
        try ward.take(
            "a", ShippedWard.reading(.spo2, 88), at: monday + .hours(1), receivedAt: monday)
        #expect(ward.store.rows.outbox.map(\.recipient.description) == ["lead"])
    }

    @Test func `2. a refused reading hides no red beside it and asks for a repeat`() throws {
        var ward = ShippedWard()
        let outcome = try ward.take("a", ShippedWard.reading(.weight, 900), ShippedWard.reading(.spo2, 88))
        #expect(outcome?.disposition == .stored && outcome?.refused.map(\.reason) == [.implausible])
        #expect(outcome?.repeatAfterMinutes == 30)
        #expect(ward.open == ["spo2-low": .red])
    }

    /// Red, not worse by the step, worse by the step.
    @Test(
        arguments: [
            (Kind.spo2, "spo2-low", [91, 90, 89]), (.pulse, "pulse-high", [140, 149, 150]),
            (.pulse, "pulse-low", [38, 29, 28]), (.systolic, "systolic-low", [88, 79, 78]),
            (.systolic, "systolic-high", [222, 231, 232]), (.glucose, "glucose-low", [2.9, 2.5, 2.4]),
            (.glucose, "glucose-low", [2.3, 1.9, 1.8]), (.glucose, "glucose-high", [20.1, 20.5, 20.6]),
            (.glucose, "glucose-high", [31.8, 32.2, 32.3]),
        ] as [(Kind, String, [Double])])
    func `3. worse inside red speaks again, from the first step`(kind: Kind, rule: String, values: [Double]) throws {
        var ward = ShippedWard(PatientProfile(conditions: kind == .glucose ? ["diabetes"] : []))
        for (place, value) in values.enumerated() {
            try ward.take(
                "r\(place)", ShippedWard.reading(kind, value), at: monday + .minutes(Int64(place) * 5))
            let isTold = place != 1
            #expect(ward.alert(rule)?.state == (isTold ? .open : .acknowledged), "\(value)")
            #expect(ward.store.rows.outbox.count == [1, 1, 2][place], "\(value)")
            if place == 0 { ward.acknowledge(rule, at: monday + .minutes(1)) }
        }
        #expect(ward.store.rows.outbox.map(\.step) == [0, 0])
        #expect(Set(ward.store.rows.outbox.map(\.alert)).count == 1)
    }

    @Test func `3. any red over 60 minutes after the acknowledgement speaks again`() throws {
        for (minutes, count) in [(61, 1), (62, 2)] as [(Int64, Int)] {
            var ward = ShippedWard()
            try ward.take("a", ShippedWard.reading(.spo2, 90))
            ward.acknowledge("spo2-low", at: monday + .minutes(1))
            let at = monday + .minutes(minutes)
            try ward.take("b", ShippedWard.reading(.spo2, 91), at: at, receivedAt: at)
            #expect(ward.store.rows.outbox.count == count)
        }
    }

    /// What the rules say; whether somebody keeps the time of the repeat is the commit's business.
    @Test func `4. a red that waits for its confirmation is amber, and where nobody can be asked it is red`() throws {
        let plan = Plan(profile: PatientProfile(conditions: ["hypertension"]), packs: ShippedWard.library)
        func report(_ id: String, _ systolic: Double, minute: Int64) -> JudgedReport {
            let at = monday + .minutes(minute)
            return JudgedReport(
                key: ReportKey(device: Identifier("dev-0001")!, report: Identifier(id)!), takenAt: at,
                receivedAt: at,
                readings: [
                    Reading(
                        index: 0, kind: .systolic, value: systolic, sentValue: systolic,
                        sentUnit: .millimetresOfMercury)
                ])
        }
        let first = report("a", 178, minute: 0)
        let waiting = judge(first, plan: plan)
        #expect(waiting.assessments.compactMap(\.level) == [.amber] && waiting.repeatAfter == .minutes(30))
        #expect(judge(first, plan: plan, mayHold: false).assessments.compactMap(\.level) == [.red])
        var history = PatientHistory()
        history.add(first)
        let normal = judge(report("b", 150, minute: 20), plan: plan, history: history)
        let said = try #require(normal.assessments.first { $0.unconfirmed != nil })
        let words = Sentence.summary(of: said, takenAt: monday, receivedAt: monday, timeZone: "Europe/London")
        #expect(words.contains("not confirmed, 178 mmHg then 150 mmHg"))
        let again = judge(report("b", 175, minute: 20), plan: plan, history: history)
        #expect(again.assessments.compactMap(\.level) == [.red])
        // ‡: never held, whoever can ask.
        #expect(judge(report("a", 220, minute: 0), plan: plan).assessments.contains { $0.level == .red })
    }

    @Test func `5. a red leaves alone and at once, out of hours and in a crowd`() throws {
        let night = monday - .days(1) - .hours(5)
        var ward = ShippedWard(patients: 12)
        ward.store.currentRegistry.sites[SmallWard.north]?.hours = [
            OpeningHours(days: [.monday, .tuesday, .wednesday, .thursday, .friday], opens: 480, closes: 1080)
        ]
        try ward.take(
            (1...12).map { patient in
                ShippedWard.Entry(
                    id: "a", takenAt: night, patient: patient, readings: [ShippedWard.reading(.spo2, 88)])
            })
        // One message each, by its own alert: no list, no digest, nothing kept for Monday.
        #expect(ward.store.rows.outbox.count == 12)
        #expect(Set(ward.store.rows.outbox.map(\.alert)).count == 12)
        #expect(Set(ward.store.rows.outbox.map(\.step)) == [0])
        #expect(ward.told == Array(repeating: "spo2-low red", count: 12))
    }

    @Test func `6. no red closes itself, and an amber that clears leaves its history`() throws {
        var ward = ShippedWard()
        try ward.take("a", ShippedWard.reading(.spo2, 90), ShippedWard.reading(.temperature, 39.2))
        #expect(ward.open == ["spo2-low": .red, "temperature-high": .amber])
        for place in 1...5 as ClosedRange<Int64> {
            try ward.take(
                "r\(place)", ShippedWard.reading(.spo2, 98), ShippedWard.reading(.temperature, 37),
                at: monday + .hours(place))
        }
        #expect(ward.open == ["spo2-low": .red])
        let ended = try #require(ward.store.rows.episodes.last { $0.episode.rule == "temperature-high" })
        #expect(ended.episode.state == .resolved && ended.episode.acknowledgedAt == nil)
        #expect(ended.events.last?.transition == .backInRange)
    }

    /// What the rules themselves lack. Whether a patient is green is the triage state's business.
    @Test func `7. green must be earned: a rule that lacks what it needs says which`() {
        func lacking(_ conditions: [String]) -> [String] {
            Plan(profile: PatientProfile(conditions: conditions), packs: ShippedWard.library).lacking
                .map(\.description)
        }
        #expect(lacking(["asthma"]) == ["Peak flow has no baseline"])
        #expect(lacking(["anticoagulation"]) == ["the protocol pack anticoagulation is not enabled"])
        #expect(lacking(["copd", "heart-failure", "hypertension", "diabetes"]) == [])
        var library = ShippedWard.library.packs
        for place in library.indices { library[place].isEnabled = true }
        let plan = Plan(profile: PatientProfile(conditions: ["anticoagulation"]), packs: PackLibrary(library))
        #expect(plan.lacking.map(\.description) == ["INR has no target"])
    }

    @Test func `8. a late red is clinical: judged for a day, then one amber for the key worker`() throws {
        let judged = ["spo2-low": Severity.red, "pulse-high": .red]
        let rows: [(Int64, [String: Severity])] = [(2, judged), (24, judged), (25, ["late-red": .amber])]
        for (hours, expected) in rows {
            var ward = ShippedWard()
            try ward.take(
                "a", ShippedWard.reading(.spo2, 88), ShippedWard.reading(.pulse, 140),
                at: monday, receivedAt: monday + .hours(hours))
            #expect(ward.open == expected, "\(hours) h")
            #expect(ward.store.openEpisodes.allSatisfy { $0.late && $0.alertClass == .clinical }, "\(hours) h")
            #expect(ward.store.rows.outbox.allSatisfy { $0.recipient.description == "cm-01" })
            // It is stored all the same: trends and means have it.
            #expect(ward.store.rows.reports.count == 1)
        }
    }

    /// A late normal reading says nothing of now.
    @Test func `8. what comes late never clears a newer state`() throws {
        var ward = ShippedWard()
        try ward.take("a", ShippedWard.reading(.spo2, 94))
        try ward.take("b", ShippedWard.reading(.spo2, 98), at: monday - .hours(3), receivedAt: monday + .minutes(5))
        #expect(ward.open == ["spo2-low": .amber])
    }
}
