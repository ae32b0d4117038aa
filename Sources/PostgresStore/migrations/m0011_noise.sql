-- What keeps messages from being too many: several alerts in one message, messages that wait, and a ledger of it.
ALTER TABLE homeward.outbox
    -- When a message that is no red's was let go; a red's and a program's (webhook, mqtt) never waits for it.
    ADD COLUMN released_at timestamptz,
    -- The key of the message of several alerts that it is part of.
    ADD COLUMN message text COLLATE "C",
    -- For what it waits until next_attempt_at.
    ADD COLUMN held_for text CHECK (held_for IN ('merge', 'digest', 'limit')),
    ADD CHECK (message IS NULL OR released_at IS NOT NULL),
    ADD CHECK (NOT urgent OR (message IS NULL AND held_for IS NULL));
-- What was on its way already.
UPDATE homeward.outbox SET released_at = now() WHERE state = 'pending';
CREATE INDEX outbox_waiting ON homeward.outbox (channel, recipient, next_attempt_at)
    WHERE state = 'pending' AND released_at IS NULL AND NOT urgent AND channel IN ('email', 'sms');
CREATE INDEX outbox_released ON homeward.outbox (channel, recipient, released_at) WHERE released_at IS NOT NULL;
CREATE INDEX outbox_message ON homeward.outbox (message) WHERE message IS NOT NULL;

-- Each merging, digest, limit, shelving and pause. A message that waited and then left with others has two rows.
CREATE TABLE homeward.suppression (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    kind text NOT NULL CHECK (kind IN ('merge', 'digest', 'limit', 'shelving', 'pause')),
    alert uuid REFERENCES homeward.alert,
    patient text COLLATE "C",
    reason text NOT NULL,
    actor text NOT NULL,
    until timestamptz,
    delivery_key text COLLATE "C",
    recipient text,
    channel text,
    message text COLLATE "C",
    CHECK ((kind = 'pause') = (alert IS NULL)),
    CHECK ((kind = 'pause') = (patient IS NOT NULL))
);
CREATE INDEX suppression_alert ON homeward.suppression (alert);
CREATE INDEX suppression_patient ON homeward.suppression (patient) WHERE patient IS NOT NULL;
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.suppression
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- What is followed looks for alerts that have ended lately.
CREATE INDEX alert_resolved ON homeward.alert (resolved_at) WHERE state = 'resolved';

-- As before, whatever that was, and the ledger.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_noise;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_noise();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT ON homeward.suppression TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT SELECT, INSERT ON homeward.suppression TO homeward_web;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_read') THEN
        GRANT SELECT ON homeward.suppression TO homeward_read;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
