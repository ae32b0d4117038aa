-- What other programs may read. Columns and types are the outside contract's.
CREATE FUNCTION homeward.flag_names(flags smallint, others text[]) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN flags & 1 <> 0 THEN 'movement' END,
        CASE WHEN flags & 2 <> 0 THEN 'irregular-pulse' END,
        CASE WHEN flags & 4 <> 0 THEN 'low-perfusion' END,
        CASE WHEN flags & 8 <> 0 THEN 'control-solution' END,
        CASE WHEN flags & 16 <> 0 THEN 'out-of-range-high' END,
        CASE WHEN flags & 32 <> 0 THEN 'out-of-range-low' END,
        CASE WHEN flags & 64 <> 0 THEN 'clock-corrected' END
    ], NULL) || coalesce(others, '{}')
$$;

CREATE VIEW homeward.v_reading WITH (security_invoker = true) AS
SELECT
    r.report_id::text AS report_id,
    s.code::text AS site,
    d.code::text AS device,
    p.code::text AS patient,
    k.code AS kind,
    CASE WHEN r.code IS NULL THEN r.value END AS value,
    r.code,
    canonical.code AS unit,
    CASE WHEN r.code IS NULL THEN r.value_sent END AS value_sent,
    sent.code AS unit_sent,
    r.taken_at,
    r.received_at,
    CASE WHEN r.suspicions IS NULL THEN 'accepted' ELSE 'suspect' END AS status,
    homeward.flag_names(r.flags, r.other_flags) AS flags
FROM homeward.reading r
JOIN homeward.site s ON s.id = r.site
JOIN homeward.device d ON d.id = r.device
JOIN homeward.patient p ON p.id = r.patient
JOIN homeward.kind k ON k.id = r.kind
LEFT JOIN homeward.unit canonical ON canonical.id = k.unit
LEFT JOIN homeward.unit sent ON sent.id = r.unit_sent;

CREATE VIEW homeward.v_report WITH (security_invoker = true) AS
SELECT
    r.report_id::text AS report_id,
    s.code::text AS site,
    d.code::text AS device,
    p.code::text AS patient,
    r.taken_at,
    r.received_at,
    r.seq,
    r.raw
FROM homeward.report r
JOIN homeward.site s ON s.id = r.site
JOIN homeward.device d ON d.id = r.device
JOIN homeward.patient p ON p.id = r.patient;

CREATE VIEW homeward.v_answer WITH (security_invoker = true) AS
SELECT
    a.report_id::text AS report_id,
    s.code::text AS site,
    d.code::text AS device,
    p.code::text AS patient,
    a.question,
    a.value,
    a.taken_at,
    a.received_at
FROM homeward.answer a
JOIN homeward.site s ON s.id = a.site
JOIN homeward.device d ON d.id = a.device
JOIN homeward.patient p ON p.id = a.patient;

CREATE VIEW homeward.v_quarantine WITH (security_invoker = true) AS
SELECT site, device, report_id, reason, detail, topic, payload, received_at, times_seen
FROM homeward.quarantine;

CREATE VIEW homeward.v_alert WITH (security_invoker = true) AS
SELECT
    id::text AS alert_id,
    site,
    CASE WHEN subject_type = 'patient' THEN subject::text END AS patient,
    device,
    class,
    rule,
    severity,
    state,
    late,
    raised_at,
    acknowledged_at,
    acknowledged_by,
    resolved_at,
    resolved_by,
    escalation_level,
    summary
FROM homeward.alert;

CREATE VIEW homeward.v_delivery WITH (security_invoker = true) AS
SELECT alert::text AS alert_id, channel, recipient, state, attempts, last_error, sent_at
FROM homeward.outbox;
