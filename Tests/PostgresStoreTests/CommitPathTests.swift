import Alerting
import Clinical
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// The commit path end to end: what is written is what the views of the outside contract show.
    @Suite struct CommitPathTests {
        @Test func aReportIsReadBackColumnForColumn() throws {
            let database = try TestDatabase()
            var readings = [
                Reading(
                    index: 0, kind: .glucose, value: 3.885, sentValue: 70, sentUnit: .milligramsPerDecilitre,
                    flags: [.movement, .outOfRangeLow], otherFlags: ["own, \"flag\""],
                    suspicions: [.unusualValue, .deviceFlag])
            ]
            readings.append(
                Reading(index: 3, kind: .consciousness, value: 2, code: "V", sentValue: 2, sentUnit: nil))
            readings.append(Reading(index: 4, kind: .inr, value: 2.5, sentValue: 2.5, sentUnit: nil))
            let answers = [
                SentAnswer(question: .known(.breathlessAtRest), value: .boolean(true)),
                SentAnswer(question: .unknown("pillows"), value: .number(3)),
                SentAnswer(question: .unknown("pain"), value: .number(0.1)),
                SentAnswer(question: .unknown("note"), value: .text("été 😀")),
            ]
            try database.store().store([report(key(), readings: readings, answers: answers, clockCorrected: true)])
            #expect(
                try database.query("SET timezone = 'UTC'; SELECT * FROM homeward.v_reading ORDER BY kind") == [
                    [
                        "d41f-000123", "north", "dev-0001", "P0001", "consciousness", nil, "V", nil, nil, nil,
                        "2026-11-23 08:15:28+00", "2026-11-23 08:15:30+00", "accepted", "{clock-corrected}",
                    ],
                    [
                        "d41f-000123", "north", "dev-0001", "P0001", "glucose", "3.885", nil, "mmol/L", "70", "mg/dL",
                        "2026-11-23 08:15:28+00", "2026-11-23 08:15:30+00", "suspect",
                        #"{movement,out-of-range-low,clock-corrected,"own, \"flag\""}"#,
                    ],
                    [
                        "d41f-000123", "north", "dev-0001", "P0001", "inr", "2.5", nil, "{INR}", "2.5", nil,
                        "2026-11-23 08:15:28+00", "2026-11-23 08:15:30+00", "accepted", "{clock-corrected}",
                    ],
                ])
            #expect(
                try database.query("SET timezone = 'UTC'; SELECT * FROM homeward.v_report") == [
                    [
                        "d41f-000123", "north", "dev-0001", "P0001", "2026-11-23 08:15:28+00", "2026-11-23 08:15:30+00",
                        "123", "\\x7b226964223a22643431662d303030313233227d",
                    ]
                ])
            #expect(
                try database.query("SELECT question, value FROM homeward.v_answer ORDER BY question COLLATE \"C\"") == [
                    ["breathless-at-rest", "true"], ["note", "été 😀"], ["pain", "0.1"], ["pillows", "3"],
                ])
            #expect(try database.value("SELECT battery FROM homeward.report") == "87")
        }

        @Test func alertsDeliveriesAndEventsAreReadBack() throws {
            let database = try TestDatabase()
            let store = database.store()
            var batch = CommitBatch()
            var alert = episode()
            batch.episodes = [EpisodeChange(episode: alert, isNew: true, events: [event(alert)])]
            batch.outbox = [
                OutboxEntry(alert: alert.id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            _ = try store.store([], batch)
            #expect(
                try database.query("SET timezone = 'UTC'; SELECT * FROM homeward.v_alert") == [
                    [
                        "00000000-0000-0007-0000-000000000001", "north", "P0001", "dev-0001", "clinical", "spo2-low",
                        "red", "open", "f", "2026-11-23 08:15:30+00", nil, nil, nil, nil, "0", "SpO2 90 % at 08:15",
                    ]
                ])
            #expect(
                try database.query("SELECT * FROM homeward.v_delivery") == [
                    [alert.id.description, "webhook", "cm-01", "pending", "0", nil, nil]
                ])
            // Acknowledged, then resolved by another: who and when stay with the alert.
            alert.state = .acknowledged
            alert.acknowledgedAt = morning
            alert.worstAcknowledged = -90
            alert.revision = 2
            batch = CommitBatch()
            batch.episodes = [
                EpisodeChange(episode: alert, isNew: false, events: [event(alert, .acknowledged, actor: "cm-01")])
            ]
            _ = try store.store([], batch)
            _ = try store.begin()
            #expect(try store.openEpisodes(of: [.patient(code("P0001")), .instance]) == [alert])
            #expect(try store.subjectsWithOpenEpisodes() == [.patient(code("P0001"))])
            alert.state = .resolved
            alert.revision = 3
            batch.episodes = [
                EpisodeChange(episode: alert, isNew: false, events: [event(alert, .resolved, actor: "cm-02")])
            ]
            try store.write(batch)
            try store.commit()
            #expect(
                try database.query(
                    "SELECT state, acknowledged_by, resolved_by, resolved_at = acknowledged_at FROM homeward.v_alert")
                    == [["resolved", "cm-01", "cm-02", "t"]])
            #expect(
                try database.query("SELECT transition, actor FROM homeward.alert_event ORDER BY revision") == [
                    ["opened", "homeward"], ["acknowledged", "cm-01"], ["resolved", "cm-02"],
                ])
            _ = try store.begin()
            #expect(try store.openEpisodes(of: [.patient(code("P0001"))]).isEmpty)
            #expect(try store.subjectsWithOpenEpisodes().isEmpty)
        }

        @Test func raisingTheSameAlertAgainChangesNothing() throws {
            let database = try TestDatabase()
            let store = database.store()
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: episode(), isNew: true, events: [event(episode())])]
            batch.outbox = [
                OutboxEntry(alert: episode().id, revision: 1, step: 0, channel: .webhook, recipient: code("cm-01"))
            ]
            _ = try store.store([], batch)
            _ = try store.store([], batch)
            #expect(
                try database.query(
                    """
                    SELECT (SELECT count(*) FROM homeward.alert), (SELECT count(*) FROM homeward.alert_event),
                        (SELECT count(*) FROM homeward.outbox)
                    """) == [["1", "1", "1"]])
        }

        @Test func aSecondOpenAlertOfSubjectAndRuleIsTransient() throws {
            let database = try TestDatabase()
            let store = database.store()
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: episode(1), isNew: true, events: [])]
            _ = try store.store([], batch)
            batch.episodes = [EpisodeChange(episode: episode(2), isNew: true, events: [])]
            let failure = #expect(throws: StoreFailure.self) { _ = try store.store([], batch) }
            #expect(failure?.kind == .transient)
            #expect(failure?.sqlState == "23505")
            // Another rule is another alert.
            batch.episodes = [EpisodeChange(episode: episode(2, rule: "spo2-high"), isNew: true, events: [])]
            _ = try store.store([], batch)
            #expect(try database.value("SELECT count(*) FROM homeward.v_alert") == "2")
        }

        @Test func quarantineCountsTheSameAgain() throws {
            let database = try TestDatabase()
            let store = database.store()
            var batch = CommitBatch()
            batch.quarantined = [
                refusal(), refusal(), refusal(payload: [1]), refusal(.empty), refusal(reading: 0), refusal(reading: 1),
                refusal(topic: "nul\0 and \\"),
                refusal(.tooLarge, detail: "sha a"), refusal(.tooLarge, detail: "sha b"),
            ]
            _ = try store.store([], batch)
            batch.quarantined = [refusal()]
            _ = try store.store([], batch)
            #expect(
                try database.query(
                    """
                    SELECT reason, topic, payload, times_seen FROM homeward.v_quarantine
                    ORDER BY times_seen DESC, reason, topic COLLATE "C", payload
                    """) == [
                        ["malformed", "homeward/v1/north/dev-0001/report", "\\xff007b", "3"],
                        ["empty", "homeward/v1/north/dev-0001/report", "\\xff007b", "1"],
                        ["malformed", "homeward/v1/north/dev-0001/report", "\\x01", "1"],
                        ["malformed", "homeward/v1/north/dev-0001/report", "\\xff007b", "1"],
                        ["malformed", "homeward/v1/north/dev-0001/report", "\\xff007b", "1"],
                        ["malformed", "nul\\x00 and \\x5c", "\\xff007b", "1"],
                        ["too-large", "homeward/v1/north/dev-0001/report", "\\xff007b", "1"],
                        ["too-large", "homeward/v1/north/dev-0001/report", "\\xff007b", "1"],
                    ])
        }

        @Test func everyQuarantineRowCanBeKept() throws {
            let database = try TestDatabase()
            var batch = CommitBatch()
            batch.quarantined = RefusalReason.allCases.map { reason in
                QuarantinedReport(
                    reason: reason, detail: "NUL \0 in the detail", site: nil, device: nil, reportID: nil,
                    topic: [0xff, 0xfe, 0], payload: [], receivedAt: Instant(microseconds: .max), reading: nil)
            }
            _ = try database.store().store([], batch)
            #expect(
                try database.value("SELECT count(*) FROM homeward.v_quarantine WHERE device IS NULL AND topic <> ''")
                    == "\(RefusalReason.allCases.count)")
        }

        @Test func statusesAndSequencesAreTheNewest() throws {
            let database = try TestDatabase()
            let store = database.store()
            var batch = CommitBatch()
            let device = code("dev-0001")
            batch.statuses = [
                DeviceStatusRow(device: device, online: true, battery: 50, firmware: "2.1\0", receivedAt: morning),
                DeviceStatusRow(
                    device: device, online: false, battery: nil, firmware: nil, receivedAt: morning + .seconds(1)),
                DeviceStatusRow(device: code("nobody"), online: true, battery: 5, firmware: nil, receivedAt: morning),
            ]
            let sequences = [
                DeviceSequence(device: device, highest: 9, missing: [1...3, 5...5]),
                DeviceSequence(device: code("dev-0002"), highest: .max),
            ]
            batch.sequences = sequences
            _ = try store.store([], batch)
            // An older status that comes late changes nothing.
            batch = CommitBatch()
            batch.statuses = [
                DeviceStatusRow(
                    device: device, online: true, battery: 1, firmware: nil, receivedAt: morning - .seconds(9))
            ]
            _ = try store.store([], batch)
            #expect(
                try database.query("SELECT device, online, battery FROM homeward.device_status") == [["1", "f", nil]])
            _ = try store.begin()
            let read = try store.sequences(of: [device, code("dev-0002"), code("dev-0003"), code("nobody")])
            #expect(read.sorted { $0.highest < $1.highest } == sequences)
        }

        @Test func historyComesOldestFirstAndOnlyAsAsked() throws {
            let database = try TestDatabase()
            let store = database.store()
            let times = [-3, -1, -2, -30].map { morning + .hours(Int64($0)) }
            try store.store(
                times.enumerated().map { report(key(1, "r\($0)"), receivedAt: $1) } + [report(key(2, "other"))])
            _ = try store.begin()
            let history = try store.history(of: [
                code("P0001"): HistoryNeed(kinds: [.systolic, .spo2], since: morning - .hours(24)),
                code("unknown"): HistoryNeed(kinds: [.systolic], since: morning),
            ])
            #expect(history.keys.map(\.description) == ["P0001"])
            let readings = try #require(history[code("P0001")]).readings
            #expect(readings.map(\.key.report.description) == ["r0", "r2", "r1"])
            #expect(readings.allSatisfy { $0.kind == .systolic && $0.value == 142 && $0.index == 0 })
            #expect(readings.first?.takenAt == times[0] - .seconds(2))
            #expect(readings.first?.sentUnit == .millimetresOfMercury)
        }

        /// What rules beyond the bands look back at: answers by question, and whether a reading was suspect.
        @Test func answersAndMarksComeBack() throws {
            let database = try TestDatabase()
            let store = database.store()
            let answers = [
                SentAnswer(question: .known(.moreBreathless), value: .boolean(true)),
                SentAnswer(question: .known(.tired), value: .number(2)),
                SentAnswer(question: .known(.confused), value: .text("no")),
                SentAnswer(question: .unknown("pillows"), value: .number(3)),
            ]
            let weight = Reading(
                index: 0, kind: .weight, value: 99, sentValue: 99, sentUnit: .kilogram, suspicions: [.unlikelyForPerson]
            )
            try store.store([
                report(key(1, "r0"), readings: [weight], answers: answers),
                report(key(1, "old"), answers: answers, receivedAt: morning - .hours(30)),
            ])
            _ = try store.begin()
            let asked: Set<Question> = [.moreBreathless, .tired, .confused, .chestPain]
            let history = try store.history(of: [
                code("P0001"): HistoryNeed(kinds: [.weight], questions: asked, since: morning - .hours(24))
            ])
            let found = try #require(history[code("P0001")])
            #expect(found.readings.map(\.isSuspect) == [true])
            #expect(
                Set(found.answers.map { "\($0.key.report) \($0.question.rawValue) \($0.value)" }) == [
                    "r0 more-breathless boolean(true)", "r0 tired number(2.0)", "r0 confused text(\"no\")",
                ])
            #expect(found.answers.allSatisfy { $0.takenAt == found.readings.first?.takenAt })
            // Only questions: no reading is asked for.
            let answersAlone = try store.history(of: [
                code("P0001"): HistoryNeed(kinds: [], questions: [.tired], since: morning - .hours(48))
            ])
            #expect(answersAlone[code("P0001")]?.readings.isEmpty == true)
            #expect(answersAlone[code("P0001")]?.answers.map(\.key.report.description) == ["old", "r0"])
        }
    }
}
