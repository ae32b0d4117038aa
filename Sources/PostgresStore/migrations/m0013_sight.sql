-- When each instance, by its MQTT client id, was last alive: what an absence is told by after the next start.
CREATE TABLE homeward.instance_alive (
    client_id text COLLATE "C" PRIMARY KEY,
    alive_at timestamptz NOT NULL CHECK (isfinite(alive_at))
) WITH (fillfactor = 50);

-- Timers are looked for by their kind.
CREATE INDEX timer_kind_due ON homeward.timer (kind, due_at);
DROP INDEX homeward.timer_due;

-- As before, whatever that was, and the instances.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_sight;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_sight();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT, UPDATE ON homeward.instance_alive TO homeward_ingest;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
