-- A look at one patient asks for that patient's rows, not for those of the whole site. Nothing else changes: what the page
-- may see is what it was.

CREATE INDEX pairing_patient ON homeward.pairing (patient);
CREATE INDEX pairing_device ON homeward.pairing (device);

-- As before, but in a language that keeps its plan: each policy asks for the viewer, so a statement does ten times over.
CREATE OR REPLACE FUNCTION homeward.web_viewer()
RETURNS TABLE (care_manager text, role text, site text, site_id integer)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 1 SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
        SELECT a.care_manager::text, coalesce(e.fields ->> 'role', 'care-manager'), s.code::text, s.id
        FROM homeward.web_session w
        JOIN homeward.web_account a ON a.care_manager = w.care_manager AND a.disabled_at IS NULL
        JOIN homeward.care_manager c ON c.code = a.care_manager
        JOIN homeward.site s ON s.id = c.site
        CROSS JOIN LATERAL (
            SELECT fields FROM homeward.registry_entry
            WHERE entity = 'care-manager' AND code = a.care_manager
            ORDER BY version DESC LIMIT 1
        ) e
        WHERE w.token_hash = decode(current_setting('homeward.session', true), 'hex') AND w.ended_at IS NULL
            AND w.expires_at > now() AND w.idle_until > now();
END $$;

-- After `make_policies` and `make_plan_policies`, over what those made. EXISTS leaves the choice to the planner: an index
-- for one row, a hash of all for many; `IN` was always the hash.
CREATE FUNCTION homeward.make_look_policies() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    site_id constant text := '(SELECT site_id FROM homeward.web_viewer())';
    site constant text := '(SELECT site FROM homeward.web_viewer())';
    viewer constant text := '(SELECT care_manager FROM homeward.web_viewer())';
    is_team constant text := '(SELECT role FROM homeward.web_viewer()) <> ''read-only''';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        RETURN;
    END IF;
    ALTER POLICY homeward_web_select ON homeward.pairing
        USING (EXISTS (SELECT FROM homeward.patient p WHERE p.id = pairing.patient));
    ALTER POLICY homeward_web_select ON homeward.device_status
        USING (EXISTS (SELECT FROM homeward.device d WHERE d.id = device_status.device));
    ALTER POLICY homeward_web_select ON homeward.reading_correction
        USING (EXISTS (SELECT FROM homeward.patient p WHERE p.id = reading_correction.patient));
    EXECUTE format(
        'ALTER POLICY homeward_web_select ON homeward.device USING (site = %s AND (%s OR EXISTS ('
        'SELECT FROM homeward.pairing h WHERE h.device = device.id)))', site_id, is_team);
    EXECUTE format(
        'ALTER POLICY homeward_web_insert ON homeward.read_audit WITH CHECK (site = %s AND care_manager = %s '
        'AND (patient IS NULL OR EXISTS (SELECT FROM homeward.patient p WHERE p.code = read_audit.patient)))',
        site, viewer);
END $$;
REVOKE EXECUTE ON FUNCTION homeward.make_look_policies FROM PUBLIC;

-- As before, whatever that was, and the above.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_looks;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_looks();
    PERFORM homeward.make_look_policies();
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
