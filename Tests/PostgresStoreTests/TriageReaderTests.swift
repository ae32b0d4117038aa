import Alerting
import Clinical
import Documents
import Foundation
import Ingestion
import PostgresStore
import Registry
import TestSupport
import Testing

extension PostgresStoreSuite {
    @Suite struct TriageReaderTests {
        private let now = Instant(microseconds: Int64(Date.now.timeIntervalSince1970 * 1_000_000))

        private func reading(_ kind: Kind, _ value: Double, suspect: Bool = false) -> Reading {
            Reading(
                index: 0, kind: kind, value: value, sentValue: value, sentUnit: kind.canonicalUnit,
                suspicions: suspect ? [.unusualValue] : [])
        }

        /// Whole microseconds as the server keeps them.
        private func isClose(_ left: Instant?, _ right: Instant) -> Bool {
            left.map { abs(($0 - right).seconds) < 0.001 } ?? false
        }

        @Test func `the newest readings of some are read again, and those of others stay`() throws {
            let database = try TestDatabase()
            let store = database.store()
            try store.store([
                report(key(1, "a"), readings: [reading(.spo2, 97)], receivedAt: now - .hours(5)),
                report(key(2, "b"), readings: [reading(.spo2, 97)], receivedAt: now - .hours(5)),
            ])
            let reader = TriageReader(database.configuration)
            var snapshot = try reader.read().snapshot
            try store.store([
                report(key(1, "c"), readings: [reading(.spo2, 88)], receivedAt: now - .hours(1)),
                report(key(2, "d"), readings: [reading(.spo2, 88)], receivedAt: now - .hours(1)),
            ])
            try reader.readLatest(of: [code("P0001")], &snapshot)
            let taken = ["P0001", "P0002"].map { snapshot.latest[code($0)]?[.spo2]?.takenAt }
            #expect(isClose(taken[0], now - .hours(1) - .seconds(2)))
            #expect(isClose(taken[1], now - .hours(5) - .seconds(2)))
        }

        @Test func `each patient's newest reading of a kind, open alerts and refusals are found`() throws {
            let database = try TestDatabase()
            let store = database.store()
            try store.store([
                report(key(1, "a"), readings: [reading(.spo2, 97)], receivedAt: now - .hours(5)),
                report(
                    key(1, "b"), readings: [reading(.spo2, 96, suspect: true), reading(.weight, 80)],
                    receivedAt: now - .hours(2)),
                report(key(2, "c"), readings: [reading(.pulse, 70)], receivedAt: now - .days(3)),
                report(key(3, "d"), readings: [reading(.pulse, 70)], receivedAt: now - .days(60)),
            ])
            var resolved = episode(3)
            resolved.state = .resolved
            var clock = episode(4, subject: .device(code("dev-0001")), rule: "clock-offset", severity: .amber)
            var battery = episode(5, subject: .device(code("dev-0001")), rule: "battery-low", severity: .amber)
            (clock.alertClass, battery.alertClass) = (.technical, .technical)
            var batch = CommitBatch()
            batch.episodes = [episode(2), resolved, clock, battery].enumerated().map { place, episode in
                var episode = episode
                if place == 1 { episode.rule = "pulse-high" }
                return EpisodeChange(episode: episode, isNew: true, events: [])
            }
            batch.quarantined = [
                refusal(.implausible, detail: #"{"reading":1,"kind":"weight","reason":"implausible"}"#, reading: 1),
                refusal(.malformed), refusal(.malformed, topic: "homeward/v1/north/dev-0001/status"),
            ]
            for place in batch.quarantined.indices { batch.quarantined[place].receivedAt = now - .hours(1) }
            _ = try store.store([], batch)
            try database.query(
                """
                INSERT INTO homeward.pairing (device, patient, period, version)
                SELECT d.id, d.id, tstzrange('2020-01-01', NULL), 1 FROM homeward.device d
                """)
            let stored = try TriageReader(database.configuration).read()
            let first = try #require(stored.snapshot.latest[code("P0001")])
            #expect(Set(first.keys) == [.spo2, .weight])
            #expect(first[.spo2]?.isSuspect == true)
            #expect(isClose(first[.spo2]?.receivedAt, now - .hours(2)))
            #expect(isClose(first[.weight]?.takenAt, now - .hours(2) - .seconds(2)))
            #expect(stored.snapshot.latest[code("P0002")]?.keys.first == .pulse)
            #expect(stored.snapshot.latest[code("P0003")] == nil, "over a month ago")
            #expect(
                Set(stored.snapshot.alerts.map { "\($0.subject.text) \($0.alert.rule)" }) == [
                    "patient P0001 spo2-low", "device dev-0001 clock-offset",
                ])
            let refusals = try #require(stored.snapshot.refusals[code("P0001")])
            #expect(Set(refusals.map { "\($0.kind ?? "-") \($0.reason)" }) == ["weight implausible", "- malformed"])
            #expect(abs((stored.snapshot.at - now).seconds) < 60)
            let none = try TriageReader(database.configuration).read(site: code("south"))
            #expect(none.snapshot.latest.isEmpty && none.snapshot.refusals.isEmpty && none.snapshot.alerts.isEmpty)
        }

        private func status(_ device: String, online: Bool, at instant: Instant) -> DeviceStatusRow {
            DeviceStatusRow(device: code(device), online: online, battery: 80, firmware: nil, receivedAt: instant)
        }

        @Test func `a reader is silent since it went offline, however often that is said, until it reports`() throws {
            let database = try TestDatabase()
            let store = database.store()
            // The fifth is in a drawer, the sixth was given back.
            try database.query(
                """
                INSERT INTO homeward.pairing (device, patient, period, version)
                SELECT d.id, p.id, tstzrange('2020-01-01', CASE d.code WHEN 'dev-0006' THEN now() END), 1
                FROM homeward.device d, homeward.patient p
                WHERE p.code = 'P0001' AND d.code BETWEEN 'dev-0001' AND 'dev-0006' AND d.code <> 'dev-0005'
                """)
            func say(_ rows: DeviceStatusRow...) throws {
                var batch = CommitBatch()
                batch.statuses = rows
                _ = try store.store([], batch)
            }
            try say(
                status("dev-0001", online: false, at: now - .hours(6)),
                status("dev-0002", online: false, at: now - .hours(3)),
                status("dev-0003", online: true, at: now - .hours(9)),
                status("dev-0004", online: false, at: now - .hours(6)),
                status("dev-0005", online: false, at: now - .hours(6)),
                status("dev-0006", online: false, at: now - .hours(6)))
            // The broker says a retained status again at each connect.
            try say(status("dev-0001", online: false, at: now - .seconds(1)))
            try store.store([report(key(4, "a"), receivedAt: now - .hours(1))])
            let upkeep = DatabaseUpkeep(database.configuration)
            let silent = try upkeep.silentReaders(for: .hours(4), sites: [])
            #expect(silent.offline.map(\.device) == [code("dev-0001")])
            #expect(isClose(silent.offline.first?.since, now - .hours(6)))
            #expect(silent.known == [code("north"): 4])
            #expect(try upkeep.silentReaders(for: .hours(4), sites: [code("south")]).offline.isEmpty)
            #expect(try upkeep.silentReaders(for: .hours(4), sites: [code("north")]).offline.count == 1)

            // Raised, seen as open, and over once it is online.
            var open = episode(9, subject: .device(code("dev-0001")), rule: SilentReaders.deviceRule, severity: .amber)
            open.alertClass = .technical
            var batch = CommitBatch()
            batch.episodes = [EpisodeChange(episode: open, isNew: true, events: [])]
            _ = try store.store([], batch)
            #expect(try upkeep.silentReaders(for: .hours(4), sites: []).findings(at: now).isEmpty)
            try say(status("dev-0001", online: true, at: now))
            let over = try upkeep.silentReaders(for: .hours(4), sites: []).findings(at: now)
            #expect(over.map(\.verdict) == [.inRange])
            #expect(over.map(\.subject) == [.device(code("dev-0001"))])
        }

        @Test func `a worklist of any length is listed in order`() throws {
            let database = try TestDatabase()
            try database.query(
                """
                INSERT INTO homeward.alert (id, subject_type, subject, site, rule, class, severity, state, late,
                    raised_at, escalation_level, summary, revision)
                SELECT gen_random_uuid(), 'device', 'dev-' || n, 'north', 'battery-low', 'technical',
                    (ARRAY['amber', 'info', 'red'])[1 + n % 3], 'open', false,
                    '2026-01-01'::timestamptz + (n % 7) * interval '1 minute', 0, 'low', 1
                FROM generate_series(1, 2500) n
                """)
            let reader = AlertReader(database.configuration)
            let rows = try reader.alerts()
            #expect(rows.count == 2500)
            #expect(Set(rows.map(\.episode.id)).count == 2500)
            for (earlier, later) in zip(rows, rows.dropFirst()) {
                let (left, right) = (earlier.episode, later.episode)
                #expect(left.severity >= right.severity)
                guard left.severity == right.severity else { continue }
                #expect((left.raisedAt, left.id) < (right.raisedAt, right.id))
            }
            let first = try reader.alerts(AlertFilter(limit: 1001))
            #expect(first.map(\.episode.id) == rows.prefix(1001).map(\.episode.id))
            let id = try #require(rows.last?.episode.id)
            let ids = try #require(AlertID.beginning(with: String(id.description.prefix(13))))
            #expect(try reader.alerts(AlertFilter(ids: ids)).map(\.episode.id) == [id])
        }
    }
}
