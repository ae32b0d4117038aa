import Alerting
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
    /// What was typed in goes through the daemon's own commit.
    @Suite struct TypedReportTests {
        /// The commit thread's stage, without a ring: what it does between batches.
        private final class Instance {
            private var stage: CommitStage

            init(_ ward: LeadWard) {
                let store = PostgresCommitStore(ward.database.configuration) { LeadWard.packs }
                let instruments = PipelineInstruments(
                    .init(
                        reasons: RefusalReason.allCases.map(\.rawValue),
                        alertClasses: AlertClass.allCases.map(\.rawValue),
                        severities: Severity.allCases.map(\.rawValue), channels: Channel.allCases.map(\.rawValue)))
                stage = CommitStage(
                    processor: BatchProcessor(packs: LeadWard.packs), store: store, instruments: instruments,
                    control: CommitControl(), logger: Logger(label: "test"))
            }

            func turn() {
                stage.nextTyped = 0
                _ = stage.takeTypedReports()
            }
        }

        private static let voice = """
            devices:
              - { code: typed-P0001, site: north, can_ask: false, pairings: [ { patient: P0001, from: 2020-01-01T00:00:00Z } ] }
            """

        private func type(_ ids: [String], _ ward: LeadWard) throws {
            let taken = RFC3339.format(Instant(microseconds: Int64(Date.now.timeIntervalSince1970) * 1_000_000))
            for (place, id) in ids.enumerated() {
                try ward.database.query(
                    """
                    INSERT INTO homeward.typed_report (id, entered_at, site, patient, device, care_manager, source, payload)
                    VALUES (gen_random_uuid(), now() + \(place) * interval '1 millisecond', 'north', 'P0001', 'typed-P0001',
                        'cm-01', 'patient', convert_to('{"id":"\(id)","taken_at":"\(taken)","readings":\
                    [{"kind":"pulse","value":71,"unit":"/min"}]}', 'UTF8'))
                    """)
            }
        }

        /// The stage knows the registry of before: the reader that stands for the patient came with the report.
        @Test func aNewVoiceIsKnownAtOnce() throws {
            let ward = try LeadWard()
            let instance = Instance(ward)
            instance.turn()
            try type(["first"], ward)
            instance.turn()
            let outcomes = "SELECT outcome, reason FROM homeward.typed_report ORDER BY entered_at, id"
            #expect(try ward.database.query(outcomes) == [["quarantined", "unknown-device"]], "nobody's voice yet")
            try ward.enrol(Self.voice)
            try type(["second"], ward)
            instance.turn()
            #expect(
                try ward.database.query(outcomes) == [["quarantined", "unknown-device"], ["stored", nil]])
            #expect(
                try ward.database.query("SELECT report_id, patient FROM homeward.v_report") == [["second", "P0001"]])
        }

        /// A row that PostgreSQL will not have is held alone.
        @Test func aPoisonedReportTakesNoOtherWithIt() throws {
            let ward = try LeadWard()
            try ward.enrol(Self.voice)
            try ward.database.query(
                """
                CREATE FUNCTION homeward.poison() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN RAISE EXCEPTION 'poisoned' USING ERRCODE = '22023'; END $$;
                CREATE TRIGGER poison BEFORE INSERT ON homeward.report FOR EACH ROW WHEN (NEW.report_id = 'poison')
                    EXECUTE FUNCTION homeward.poison()
                """)
            let instance = Instance(ward)
            try type(["poison", "good"], ward)
            #expect(
                try eventually {
                    instance.turn()
                    return try ward.database.value(
                        "SELECT count(*) FROM homeward.typed_report WHERE taken_in_at IS NULL") == "0"
                })
            #expect(
                try ward.database.query("SELECT outcome, reason FROM homeward.typed_report ORDER BY entered_at")
                    == [["quarantined", "unstorable"], ["stored", nil]])
            #expect(try ward.database.query("SELECT report_id FROM homeward.v_report") == [["good"]])
        }
    }
}
