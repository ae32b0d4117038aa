-- An alert that was told of while the database was away, under the id that it had then, and turned out to be part of an
-- older one.
CREATE TABLE homeward.alert_alias (
    alias uuid PRIMARY KEY,
    alert_id uuid NOT NULL REFERENCES homeward.alert,
    CHECK (alias <> alert_id)
);
CREATE INDEX alert_alias_alert ON homeward.alert_alias (alert_id);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.alert_alias
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- As before, and the aliases.
CREATE OR REPLACE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT USAGE ON SCHEMA homeward TO homeward_ingest;
        GRANT SELECT ON ALL TABLES IN SCHEMA homeward TO homeward_ingest;
        GRANT INSERT ON homeward.report_key, homeward.report, homeward.reading, homeward.answer, homeward.quarantine,
            homeward.alert, homeward.alert_event, homeward.outbox, homeward.timer, homeward.device_status,
            homeward.device_sequence, homeward.registry_entry, homeward.site, homeward.patient, homeward.device,
            homeward.care_manager, homeward.pairing, homeward.alert_alias TO homeward_ingest;
        GRANT UPDATE ON homeward.alert, homeward.outbox, homeward.timer, homeward.device_status,
            homeward.device_sequence, homeward.registry_version TO homeward_ingest;
        GRANT UPDATE (times_seen, last_received_at) ON homeward.quarantine TO homeward_ingest;
        GRANT UPDATE (retired_version) ON homeward.pairing TO homeward_ingest;
        GRANT UPDATE (site) ON homeward.patient, homeward.device, homeward.care_manager TO homeward_ingest;
        GRANT DELETE ON homeward.timer TO homeward_ingest;
        GRANT EXECUTE ON FUNCTION homeward.make_partitions TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT USAGE ON SCHEMA homeward TO homeward_web;
        GRANT SELECT ON ALL TABLES IN SCHEMA homeward TO homeward_web;
        GRANT INSERT ON homeward.alert_event, homeward.timer, homeward.registry_entry, homeward.pairing
            TO homeward_web;
        GRANT UPDATE ON homeward.alert, homeward.timer, homeward.registry_version TO homeward_web;
        GRANT UPDATE (retired_version) ON homeward.pairing TO homeward_web;
        GRANT DELETE ON homeward.timer TO homeward_web;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_read') THEN
        GRANT USAGE ON SCHEMA homeward TO homeward_read;
        GRANT SELECT ON homeward.v_reading, homeward.v_report, homeward.v_answer, homeward.v_quarantine,
            homeward.v_alert, homeward.v_delivery, homeward.report, homeward.reading, homeward.answer,
            homeward.quarantine, homeward.alert, homeward.outbox, homeward.site, homeward.patient, homeward.device,
            homeward.kind, homeward.unit TO homeward_read;
    END IF;
END $$;
