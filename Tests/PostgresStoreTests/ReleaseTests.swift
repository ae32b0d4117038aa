import Alerting
import CLinux
import Clinical
import Formats
import Foundation
import Instruments
import Logging
import PostgresStore
import Registry
import TestSupport
import Testing

@testable import Ingestion

extension PostgresStoreSuite {
    /// Held reports that a lead releases through the daemon's own commit.
    @Suite struct ReleaseTests {
        /// The commit thread's stage, without a ring: what it does between batches.
        private final class Instance {
            let instruments = PipelineInstruments(
                .init(
                    reasons: RefusalReason.allCases.map(\.rawValue), alertClasses: AlertClass.allCases.map(\.rawValue),
                    severities: Severity.allCases.map(\.rawValue), channels: Channel.allCases.map(\.rawValue)))
            let control = CommitControl()
            private var stage: CommitStage

            init(_ ward: LeadWard) {
                let store = PostgresCommitStore(ward.database.configuration) { LeadWard.packs }
                stage = CommitStage(
                    processor: BatchProcessor(packs: LeadWard.packs), store: store, instruments: instruments,
                    control: control, logger: Logger(label: "test"))
            }

            /// Until nothing waits.
            func takeReleases(_ ward: LeadWard) throws -> Bool {
                try eventually {
                    stage.nextReleases = 0
                    stage.betweenBatches()
                    return try ward.database.value(
                        "SELECT count(*) FROM homeward.quarantine_release WHERE done_at IS NULL") == "0"
                }
            }

            var counts: PipelineInstruments.ReportCounts { instruments.reportCounts }
        }

        private static func payload(_ id: String, takenAt: Instant, spo2: Int = 97) -> String {
            "{\"id\":\"\(id)\",\"taken_at\":\"\(RFC3339.format(takenAt))\",\"readings\":"
                + "[{\"kind\":\"spo2\",\"value\":\(spo2),\"unit\":\"%\"}]}"
        }

        private let now = Instant(microseconds: linux_wall_clock_microseconds())

        @Test func aMendedPairingLetsTheReportIn() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let lead = try ward.signIn("lead-01")
            let instance = Instance(ward)
            let takenAt = now - .days(2)
            let id = try ward.hold(
                "unpaired", Self.payload("r1", takenAt: takenAt, spo2: 80), device: "dev-0002")
            guard case .seen(nil) = try reader.release(id, note: "hers", lead),
                case .seen(.requestedAlready) = try reader.release(id, note: "hers", lead)
            else {
                Issue.record("asked twice")
                return
            }
            #expect(try instance.takeReleases(ward))
            let outcome = "SELECT outcome, reason FROM homeward.quarantine_release ORDER BY id"
            #expect(try ward.database.query(outcome) == [["quarantined", "unpaired"]])
            #expect(instance.counts.received == 1 && instance.counts.inFlight == 0)

            try ward.enrol(
                """
                devices:
                  - { code: dev-0002, site: north, pairings: [ { patient: P0002, from: 2020-01-01T00:00:00Z } ] }
                """)
            guard case .seen(nil) = try reader.release(id, note: "paired now", lead) else {
                Issue.record("not released again")
                return
            }
            #expect(try instance.takeReleases(ward))
            #expect(try ward.database.query(outcome) == [["quarantined", "unpaired"], ["stored", nil]])
            #expect(
                try ward.database.value(
                    """
                    SELECT count(*) FROM homeward.v_reading r JOIN homeward.quarantine q ON q.received_at = r.received_at
                    WHERE r.patient = 'P0002' AND q.id = \(id)
                    """) == "1", "its own time of receipt")
            #expect(
                try ward.database.query("SELECT severity, rule FROM homeward.v_alert WHERE patient = 'P0002'")
                    == [["red", "spo2-low"]])
            #expect(instance.counts.received == 2 && instance.counts.stored == 1 && instance.counts.inFlight == 0)
            guard case .seen(.requestedAlready) = try reader.release(id, note: "again", lead) else {
                Issue.record("released after it was stored")
                return
            }
            #expect(
                try ward.database.query(
                    "SELECT requested_by, note FROM homeward.quarantine_release ORDER BY id")
                    == [["lead-01", "hers"], ["lead-01", "paired now"]])
        }

        @Test func theReasonThatHeldItIsWaived() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let lead = try ward.signIn("lead-01")
            let instance = Instance(ward)
            let received = now - .days(1)
            for (reason, takenAt) in [
                ("retained", received), ("clock-future", received + .days(3)), ("too-old", received - .days(40)),
            ] {
                let id = try ward.hold(
                    reason, Self.payload(reason, takenAt: takenAt),
                    receivedAt: "'\(RFC3339.format(received))'::timestamptz")
                guard case .seen(nil) = try reader.release(id, note: "asked her", lead) else {
                    Issue.record("\(reason) is not released")
                    return
                }
            }
            #expect(try instance.takeReleases(ward))
            let rows = try ward.database.query(
                """
                SELECT report_id, taken_at = received_at, taken_at < received_at - interval '39 days',
                    received_at = '\(RFC3339.format(received))'::timestamptz, 'clock-corrected' = ANY (flags)
                FROM homeward.v_reading ORDER BY report_id
                """)
            #expect(
                rows == [
                    ["clock-future", "t", "f", "t", "t"], ["retained", "t", "f", "t", "f"],
                    ["too-old", "f", "t", "t", "f"],
                ])
            #expect(instance.counts.received == 3 && instance.counts.stored == 3)
            // One that names itself by an id that is stored meanwhile, with other content, is refused for that.
            let id = try ward.hold("retained", Self.payload("retained", takenAt: received, spo2: 96))
            _ = try reader.release(id, note: "asked her", lead)
            #expect(try instance.takeReleases(ward))
            #expect(
                try ward.database.query(
                    "SELECT outcome, reason FROM homeward.quarantine_release WHERE quarantine = \(id)")
                    == [["quarantined", "conflict"]])
            #expect(instance.counts.received == 4 && instance.counts.inFlight == 0)
        }

        @Test func ofTwoInstancesOneTakesIt() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let lead = try ward.signIn("lead-01")
            for number in 0..<10 {
                let id = try ward.hold("retained", Self.payload("r\(number)", takenAt: now - .days(3)))
                _ = try reader.release(id, note: "asked her", lead)
            }
            let instances = [Instance(ward), Instance(ward)]
            let running = instances.map { instance in
                Running<Bool> { [box = Box(instance)] in try box.instance.takeReleases(ward) }
            }
            for one in running { #expect(try one.value()) }
            #expect(instances.map(\.counts.stored).reduce(0, +) == 10)
            #expect(instances.map(\.counts.received).reduce(0, +) == 10)
            #expect(try ward.database.value("SELECT count(*) FROM homeward.v_report") == "10")
        }

        /// Handed to one thread, and looked at after its end.
        private struct Box: @unchecked Sendable {
            let instance: Instance

            init(_ instance: Instance) { self.instance = instance }
        }

        @Test func onlyALeadReleasesAndOnlyWhatCanBe() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            let held = try ward.hold("retained")
            let insert = "INSERT INTO homeward.quarantine_release (quarantine, requested_by, note) VALUES "
            for name in ["cm-01", "gp-01", "lead-99", "gp-99"] {
                let session = try ward.signIn(name)
                guard case .notThere = try reader.release(held, note: "x", session),
                    case .notThere = try reader.quarantined(held, session)
                else {
                    Issue.record("\(name) may release")
                    return
                }
                #expect(throws: PrivatePostgres.Failure.self, "\(name)") {
                    try ward.ask(insert + "(\(held), '\(name)', 'x')", session)
                }
            }
            let lead = try ward.signIn("lead-01")
            #expect(throws: PrivatePostgres.Failure.self, "in another's name") {
                try ward.ask(insert + "(\(held), 'cm-01', 'x')", lead)
            }
            for (reason, place, leaf, payload) in [
                ("malformed", nil, "report", "x"), ("conflict", nil, "report", "x"),
                ("implausible", nil, "report", "x"),
                ("retained", 2, "report", "x"), ("unknown-device", nil, "status", "x"), ("retained", nil, "report", ""),
            ] as [(String, Int?, String, String)] {
                let id = try ward.hold(reason, payload, place: place, leaf: leaf)
                guard case .seen(.notReleasable) = try reader.release(id, note: "x", lead) else {
                    Issue.record("\(reason) \(leaf) is releasable")
                    return
                }
                #expect(throws: PrivatePostgres.Failure.self, "\(reason)") {
                    try ward.ask(insert + "(\(id), 'lead-01', 'x')", lead)
                }
            }
            #expect(try ward.database.value("SELECT count(*) FROM homeward.quarantine_release") == "0")
        }

        @Test func theServicePageIsOfOnesOwnSite() throws {
            let ward = try LeadWard()
            let reader = WebReader(ward.database.configuration)
            try ward.hold("malformed")
            try ward.hold("unpaired", device: "dev-0002")
            try ward.hold("unpaired", site: "south", device: "dev-0099")
            try ward.hold("bad-topic", site: nil)
            try ward.hold("unknown-device", site: "nroth")
            try ward.database.query(
                "UPDATE homeward.pairing SET period = tstzrange('2020-01-01', now() + interval '3 days')")
            func service(_ name: String, _ search: QuarantineSearch = QuarantineSearch()) throws -> ServiceFile? {
                if case .seen(let file) = try reader.service(search, try ward.signIn(name)) { file } else { nil }
            }
            let lead = try #require(try service("lead-01"))
            #expect(lead.rows.map(\.reason) == [.unpaired, .malformed])
            #expect(Set(lead.reasons.map(\.reason)) == [.unpaired, .malformed])
            #expect(lead.endings.map(\.device) == ["dev-0001"])
            #expect(try service("lead-99")?.rows.map(\.device) == ["dev-0099"])
            #expect(try service("admin-01")?.rows.map(\.reason) == [.unknownDevice, .badTopic, .unpaired, .malformed])
            #expect(try service("lead-01", QuarantineSearch(reason: .malformed))?.rows.count == 1)
            #expect(
                try service("lead-01", QuarantineSearch(before: lead.rows[0].id))?.rows.map(\.reason) == [.malformed])
            for name in ["cm-01", "gp-01"] { #expect(try service(name) == nil, "\(name)") }
            guard case .seen(let file) = try reader.quarantined(lead.rows[0].id, try ward.signIn("lead-01")) else {
                Issue.record("not there")
                return
            }
            #expect(file.payload == Array("{}".utf8) && file.isReleasable && file.isPairable)
            let hers = try ward.hold("too-old", "{\"taken_at\":\"2026-11-01T08:00:00Z\"}")
            guard case .seen(let other) = try reader.quarantined(hers, try ward.signIn("lead-01")),
                case .notThere = try reader.quarantined(hers, try ward.signIn("cm-01")),
                case .notThere = try reader.quarantined(hers, try ward.signIn("lead-99"))
            else {
                Issue.record("there for others, or not for who leads")
                return
            }
            #expect(other.takenAt.map(RFC3339.format) == "2026-11-01T08:00:00Z" && !other.isPairable)
            // Whoever's reader it was; nobody's where it was nobody's.
            #expect(
                try ward.database.query(
                    "SELECT care_manager, patient FROM homeward.read_audit WHERE what = 'quarantine' ORDER BY id")
                    == [["lead-01", nil], ["lead-01", "P0001"]])
            #expect(
                try ward.database.value(
                    "SELECT count(*) FROM homeward.read_audit WHERE what IN ('service', 'quarantine')")
                    == "7")
        }
    }
}
