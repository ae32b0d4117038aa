-- Readings that a person marked entered in error. A reading is never changed: what is said of it stands here, once, and is
-- joined by the view.
CREATE TABLE homeward.reading_correction (
    device integer NOT NULL REFERENCES homeward.device,
    report_id text COLLATE "C" NOT NULL,
    place smallint NOT NULL,
    patient integer NOT NULL REFERENCES homeward.patient,
    -- The reading's own.
    taken_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    corrected_at timestamptz NOT NULL DEFAULT now(),
    -- The care manager whose word it is, and who was signed in at the page or the terminal.
    corrected_by text NOT NULL CHECK (corrected_by <> ''),
    actor text NOT NULL CHECK (actor <> ''),
    reason text NOT NULL CHECK (reason <> ''),
    PRIMARY KEY (device, report_id, place)
);
CREATE INDEX reading_correction_patient ON homeward.reading_correction (patient, taken_at);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.reading_correction
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- A patient's alerts, resolved ones too: what a correction looks through, and a replay of what was stored.
CREATE INDEX alert_of_subject ON homeward.alert (subject_type, subject, raised_at);

CREATE OR REPLACE VIEW homeward.v_reading WITH (security_invoker = true) AS
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
    CASE WHEN c.device IS NOT NULL THEN 'entered-in-error'
        WHEN r.suspicions IS NULL THEN 'accepted' ELSE 'suspect' END AS status,
    homeward.flag_names(r.flags, r.other_flags) AS flags
FROM homeward.reading r
JOIN homeward.site s ON s.id = r.site
JOIN homeward.device d ON d.id = r.device
JOIN homeward.patient p ON p.id = r.patient
JOIN homeward.kind k ON k.id = r.kind
LEFT JOIN homeward.unit canonical ON canonical.id = k.unit
LEFT JOIN homeward.unit sent ON sent.id = r.unit_sent
LEFT JOIN homeward.reading_correction c
    ON c.device = r.device AND c.report_id = r.report_id AND c.place = r.place;

-- What was granted before stays granted, whichever migrations said so last; this adds to it.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_corrections;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_corrections();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT INSERT ON homeward.reading_correction TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT INSERT ON homeward.reading_correction TO homeward_web;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_read') THEN
        GRANT SELECT ON homeward.reading_correction TO homeward_read;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
