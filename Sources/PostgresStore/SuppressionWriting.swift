internal import Alerting
internal import Clinical

/// The ledger of what was not told at once and alone, in whatever transaction.
enum SuppressionWriting {
    typealias Call = (statement: Statement, parameters: PostgresParameters)

    private static let insert = Statement(
        name: "insert_suppressions",
        sql: """
            INSERT INTO homeward.suppression (kind, alert, patient, reason, actor, until, delivery_key, recipient,
                channel, message)
            SELECT s.kind, s.alert, s.patient, s.reason, s.actor, s.until, s.delivery_key, o.recipient, o.channel,
                s.message
            FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                    $8::text[]) WITH ORDINALITY
                AS s (kind, alert, patient, reason, actor, until, delivery_key, message, place)
            LEFT JOIN homeward.outbox o ON o.delivery_key = s.delivery_key
            ORDER BY s.place
            """)

    // A pause that the entry's version before had too is not a new one. It ends with its last day, where the patient is, or
    // when somebody ended it, which is a row of its own.
    private static let insertPauses = Statement(
        name: "insert_pauses",
        sql: """
            INSERT INTO homeward.suppression (kind, patient, reason, actor, until)
            SELECT 'pause', e.code, CASE WHEN p.value ->> 'ended' IS NULL THEN '' ELSE 'ended early, ' END
                    || 'from ' || (p.value ->> 'from') || coalesce(': ' || (p.value ->> 'reason'), ''),
                e.actor,
                coalesce((p.value ->> 'ended')::timestamptz,
                    ((p.value ->> 'until')::date + 1)::timestamp AT TIME ZONE coalesce(
                        e.fields ->> 'timezone', s.fields ->> 'timezone', 'Europe/London'))
            FROM homeward.registry_entry e
            CROSS JOIN LATERAL jsonb_array_elements(
                CASE jsonb_typeof(e.fields -> 'pauses') WHEN 'array' THEN e.fields -> 'pauses' ELSE '[]' END) p
            LEFT JOIN homeward.registry_current s ON s.entity = 'site' AND s.code = e.fields ->> 'site'
            LEFT JOIN LATERAL (
                SELECT fields -> 'pauses' AS pauses FROM homeward.registry_entry
                WHERE entity = 'patient' AND code = e.code AND version < e.version ORDER BY version DESC LIMIT 1
            ) b ON true
            WHERE e.entity = 'patient' AND e.version = $1::int8 AND e.code = ANY ($2::text[])
                AND NOT EXISTS (
                    SELECT FROM jsonb_array_elements(
                        CASE jsonb_typeof(b.pauses) WHEN 'array' THEN b.pauses ELSE '[]' END) q
                    WHERE q.value = p.value)
            """)

    static func call(_ suppressions: [Suppression]) -> Call {
        var parameters = PostgresParameters()
        parameters.addTexts(of: suppressions) { $0.kind.rawValue }
        parameters.addArray(.uuid, of: suppressions) { suppression, parameters in
            guard let alert = suppression.alert else { return false }
            parameters.write((alert.high, alert.low))
            return true
        }
        parameters.addTexts(of: suppressions) { $0.patient?.description }
        parameters.addTexts(of: suppressions) { Quarantining.storable($0.reason) }
        parameters.addTexts(of: suppressions) { Quarantining.storable($0.actor) }
        parameters.addInstants(of: suppressions) { $0.until }
        parameters.addTexts(of: suppressions) { $0.delivery }
        parameters.addTexts(of: suppressions) { $0.message }
        return (insert, parameters)
    }

    /// The pauses that these patients' entries of that version have and those before had not.
    static func pauses(of patients: [String], version: Int64) -> Call {
        var parameters = PostgresParameters()
        parameters.add(version)
        parameters.addTexts(of: patients) { $0 }
        return (insertPauses, parameters)
    }
}
