-- The self-test of each instance: where its alert goes now, and how the last one ended.
CREATE TABLE homeward.self_test (
    -- Of the instance's synthetic patient, reader and care manager.
    code text COLLATE "C" PRIMARY KEY CHECK (code LIKE 'homeward-self-%'),
    -- Nowhere but this machine.
    sink text CHECK (sink ~ '^http://127\.0\.0\.1:[0-9]{1,5}/self-test$'),
    -- No second one is begun before that.
    running_until timestamptz,
    succeeded_at timestamptz,
    -- Since when it fails without a success; null while it does not.
    failed_at timestamptz,
    failure text,
    CHECK ((failed_at IS NULL) = (failure IS NULL))
);

-- What other programs read is about people: the synthetic site is not among it.
CREATE INDEX alert_synthetic ON homeward.alert (id) WHERE site = 'homeward-self';
DO $$
DECLARE
    name text;
    definition text;
    condition text;
BEGIN
    FOREACH name IN ARRAY ARRAY['v_reading', 'v_report', 'v_answer', 'v_alert', 'v_delivery'] LOOP
        definition := rtrim(pg_get_viewdef(format('homeward.%I', name)::regclass), '; ');
        condition := CASE name
            WHEN 'v_delivery' THEN
                'NOT EXISTS (SELECT FROM homeward.alert a WHERE a.id = o.alert_id::uuid AND a.site = ''homeward-self'')'
            ELSE 'o.site IS DISTINCT FROM ''homeward-self''' END;
        EXECUTE format('CREATE OR REPLACE VIEW homeward.%I WITH (security_invoker = true) AS '
            'SELECT o.* FROM (%s) o WHERE %s', name, definition, condition);
    END LOOP;
END $$;

-- As before, whatever that was, and the self-tests.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_self_tests;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_self_tests();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT, UPDATE ON homeward.self_test TO homeward_ingest;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
