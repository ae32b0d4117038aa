import Clinical
import Ingestion
import PostgresStore
import TestSupport
import Testing

extension PostgresStoreSuite {
    /// What the schema itself refuses, whoever writes.
    @Suite struct ConstraintTests {
        @Test func pairingsOfOneDeviceMayNotOverlap() throws {
            let database = try TestDatabase()
            func pair(_ device: Int, _ patient: Int, _ period: String) throws {
                try database.query(
                    "INSERT INTO homeward.pairing (device, patient, period, version) VALUES (\(device), \(patient), '\(period)', 1)"
                )
            }
            try pair(1, 1, "[2026-01-01, 2026-06-30)")
            try pair(1, 2, "[2026-06-30,)")
            try pair(2, 1, "[2026-01-01, 2026-06-30)")
            for period in ["[2026-06-29, 2026-07-02)", "[2027-01-01,)", "[2025-01-01, 2026-01-02)"] {
                let failure = #expect(throws: PrivatePostgres.Failure.self) { try pair(1, 3, period) }
                #expect(failure?.description.contains("pairing_no_overlap") == true)
            }
            for period in ["empty", "(,2020-01-01)"] {
                #expect(throws: PrivatePostgres.Failure.self) { try pair(3, 3, period) }
            }
            // A retired pairing makes room.
            try database.query("UPDATE homeward.pairing SET retired_version = 2 WHERE device = 1")
            try pair(1, 3, "[2026-01-01,)")
        }

        @Test func viewsHaveTheContractsColumns() throws {
            let database = try TestDatabase()
            let columns = try database.query(
                """
                SELECT table_name, string_agg(column_name || ':' || udt_name, ' ' ORDER BY ordinal_position)
                FROM information_schema.columns
                WHERE table_schema = 'homeward' AND table_name LIKE 'v\\_%' GROUP BY 1 ORDER BY 1
                """)
            #expect(
                columns == [
                    [
                        "v_alert",
                        "alert_id:text site:text patient:text device:text class:text rule:text severity:text "
                            + "state:text late:bool raised_at:timestamptz acknowledged_at:timestamptz "
                            + "acknowledged_by:text resolved_at:timestamptz resolved_by:text escalation_level:int4 "
                            + "summary:text",
                    ],
                    [
                        "v_answer",
                        "report_id:text site:text device:text patient:text question:text value:text "
                            + "taken_at:timestamptz received_at:timestamptz",
                    ],
                    [
                        "v_delivery",
                        "alert_id:text channel:text recipient:text state:text attempts:int4 last_error:text "
                            + "sent_at:timestamptz",
                    ],
                    [
                        "v_quarantine",
                        "site:text device:text report_id:text reason:text detail:text topic:text payload:bytea "
                            + "received_at:timestamptz times_seen:int4",
                    ],
                    [
                        "v_reading",
                        "report_id:text site:text device:text patient:text kind:text value:float8 code:text unit:text "
                            + "value_sent:float8 unit_sent:text taken_at:timestamptz received_at:timestamptz "
                            + "status:text flags:_text",
                    ],
                    [
                        "v_report",
                        "report_id:text site:text device:text patient:text taken_at:timestamptz "
                            + "received_at:timestamptz seq:int8 raw:bytea",
                    ],
                ])
        }
    }
}
