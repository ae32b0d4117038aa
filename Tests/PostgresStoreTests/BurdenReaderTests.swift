import Alerting
import Clinical
import PostgresStore
import TestSupport
import Testing

@testable import Ingestion

extension PostgresStoreSuite {
    /// What the burden report reads of alerts that lived.
    @Suite struct BurdenReaderTests {
        private func open(
            _ number: UInt64, _ severity: Severity, in database: TestDatabase, explanation: String = "{}",
            site: String = "north", rule: String = "spo2-low"
        ) throws -> Episode {
            var opened = episode(number, subject: .patient(code("P000\(number)")), rule: rule, severity: severity)
            opened.site = code(site)
            var event = event(opened)
            event.explanation = explanation
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: opened, isNew: true, events: [event])]
            batch.outbox = ["cm-01", "lead"].prefix(number == 1 ? 2 : 1).map {
                OutboxEntry(alert: opened.id, revision: 1, step: 0, channel: .webhook, recipient: code($0))
            }
            _ = try database.store().store([], batch)
            return opened
        }

        @Test func alertsAreReadAsTheyEnded() throws {
            let database = try TestDatabase()
            let desk = AlertDesk(database.configuration)
            let worker = AlertActor(account: "root", careManager: code("cm-01"))
            func act(_ action: AlertAction, on episode: Episode, note: String?, after minutes: Int64) throws {
                let result = try desk.act(
                    action, on: episode.id, by: worker, note: note, seen: nil, at: morning + .minutes(minutes))
                #expect(throws: Never.self) { try result?.get() }
            }
            let noted = try open(1, .red, in: database)
            try act(.acknowledge, on: noted, note: nil, after: 3)
            try act(.resolve, on: noted, note: "rang her", after: 20)
            // Without a word, and nobody had acknowledged it before.
            let silent = try open(2, .amber, in: database)
            try act(.resolve, on: silent, note: nil, after: 7)
            // Back in range.
            var cleared = try open(
                3, .amber, in: database, explanation: #"{"told_with":"missed-readings of site north"}"#)
            cleared.state = .resolved
            cleared.revision = 2
            cleared.latestTakenAt = morning + .hours(1)
            var batch = CommitBatch()
            var back = event(cleared, .backInRange)
            back.at = morning + .hours(1)
            batch.episodes = [EpisodeChange(episode: cleared, isNew: false, events: [back])]
            _ = try database.store().store([], batch)
            _ = try open(4, .red, in: database, site: "south", rule: "pulse-high")

            let reader = BurdenReader(database.configuration)
            let found = try reader.read(since: morning, until: morning + .seconds(1), site: nil)
            #expect(found.alerts.count == 4)
            let byRule = found.alerts.sorted { ($0.rule, $0.severity) < ($1.rule, $1.severity) }
            #expect(byRule.map(\.rule) == ["pulse-high", "spo2-low", "spo2-low", "spo2-low"])
            #expect(byRule[0].answeredAt == nil && byRule[0].ending == nil && byRule[0].site == code("south"))
            let ended = Set(found.alerts.compactMap(\.ending))
            #expect(
                ended == [.cleared, .resolved(by: "cm-01", hasNote: true), .resolved(by: "cm-01", hasNote: false)])
            func one(_ ending: BurdenAlert.Ending) -> BurdenAlert? { found.alerts.first { $0.ending == ending } }
            #expect(one(.resolved(by: "cm-01", hasNote: true))?.answeredAt == morning + .minutes(3))
            #expect(one(.resolved(by: "cm-01", hasNote: true))?.endedAt == morning + .minutes(20))
            #expect(one(.resolved(by: "cm-01", hasNote: true))?.severity == .red)
            #expect(one(.resolved(by: "cm-01", hasNote: false))?.answeredAt == morning + .minutes(7))
            #expect(one(.resolved(by: "cm-01", hasNote: false))?.answeredBy == "cm-01")
            #expect(one(.cleared)?.endedAt == morning + .hours(1))
            #expect(one(.cleared)?.answeredAt == nil && one(.cleared)?.isListed == true)
            #expect(found.alerts.count(where: \.isListed) == 1)
            #expect(found.told == ["cm-01": 4, "lead": 1])

            let north = try reader.read(since: morning, until: morning + .seconds(1), site: code("north"))
            #expect(north.alerts.count == 3 && north.told == ["cm-01": 3, "lead": 1])
            // `until` is not included.
            #expect(try reader.read(since: morning - .hours(1), until: morning, site: nil).alerts.isEmpty)
        }

        @Test func patientsCountFromTheirFirstEntry() throws {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.registry_entry (entity, code, version, valid_from, fields, source, actor) VALUES
                    ('site', 'north', 1, '2026-01-01T00:00:00Z', '{"timezone":"Europe/London"}', 'test', 'test'),
                    ('site', 'south', 1, '2026-01-01T00:00:00Z', '{}', 'test', 'test'),
                    ('patient', 'P0001', 1, '2026-01-01T00:00:00Z', '{}', 'test', 'test'),
                    ('patient', 'P0001', 2, '2026-02-01T00:00:00Z', '{}', 'test', 'test'),
                    ('patient', 'P0002', 2, '2026-02-01T00:00:00Z', '{}', 'test', 'test');
                INSERT INTO homeward.site (code) VALUES ('south');
                UPDATE homeward.patient SET site = (SELECT id FROM homeward.site WHERE code = 'south')
                WHERE code = 'P0002'
                """)
            let reader = BurdenReader(database.configuration)
            let january = Instant(microseconds: 1_767_225_600_000_000)
            let february = january + .days(31)
            let all = try reader.read(since: january, until: morning, site: nil)
            #expect(all.enrolled.sorted() == [january, february])
            #expect(try reader.read(since: january, until: morning, site: code("south")).enrolled == [february])
            #expect(try reader.timeZone(of: code("north")) == "Europe/London")
            #expect(try reader.timeZone(of: code("south")) == "")
            #expect(try reader.timeZone(of: code("west")) == nil)
            #expect(try reader.timeZone(of: nil) == "Europe/London")
        }
    }
}
