-- Each attempt to tell somebody of an alert, as it ended. An attempt that died with the daemon has no row: the next one
-- has the next number.
CREATE TABLE homeward.delivery_attempt (
    delivery_key text COLLATE "C" NOT NULL REFERENCES homeward.outbox,
    attempt integer NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL CHECK (outcome IN ('sent', 'retry', 'failed')),
    -- Of a channel that is dead: whoever it was meant for counts as not told.
    dead boolean NOT NULL,
    error text,
    PRIMARY KEY (delivery_key, attempt),
    CHECK ((outcome = 'sent') = (error IS NULL))
);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.delivery_attempt
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- As before, whatever that was, and the attempts.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_attempts;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_attempts();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT ON homeward.delivery_attempt TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT SELECT ON homeward.delivery_attempt TO homeward_web;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_read') THEN
        GRANT SELECT ON homeward.delivery_attempt TO homeward_read;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
