-- What somebody looked for, and whom they were refused, are looks too.

ALTER TABLE homeward.read_audit ADD COLUMN detail text CHECK (length(detail) BETWEEN 1 AND 200);

-- Of whoever is signed in. What the page asks for by itself is noted once in ten minutes, as the worklist is.
CREATE FUNCTION homeward.note_search(words text, by_itself boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO homeward.read_audit (care_manager, site, what, detail)
    SELECT v.care_manager, v.site, 'search', left(words, 200) FROM homeward.web_viewer() v
    WHERE words <> '' AND NOT (by_itself AND EXISTS (
        SELECT FROM homeward.read_audit a
        WHERE a.care_manager = v.care_manager AND a.at > now() - interval '10 minutes' AND a.what = 'search'
            AND a.detail = left(words, 200)));
END $$;
REVOKE EXECUTE ON FUNCTION homeward.note_search FROM PUBLIC;

-- A patient by that code is not there for whoever is signed in. Their own site is told what was asked for, and not whether
-- there is such a patient elsewhere; the patient's site is told who asked. Asking on is one refusal a minute.
CREATE FUNCTION homeward.note_refusal(asked text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO homeward.read_audit (care_manager, site, patient, what, detail)
    SELECT v.care_manager, told.site, told.patient, 'refused-patient', left(asked, 200)
    FROM homeward.web_viewer() v
    CROSS JOIN LATERAL (
        SELECT v.site, (
            SELECT p.code::text FROM homeward.patient p WHERE p.code = asked AND p.site = v.site_id) AS patient
        UNION ALL
        SELECT s.code::text, p.code::text
        FROM homeward.patient p JOIN homeward.site s ON s.id = p.site
        WHERE p.code = asked AND p.site <> v.site_id
    ) told
    WHERE asked <> '' AND NOT EXISTS (
        SELECT FROM homeward.read_audit a
        WHERE a.care_manager = v.care_manager AND a.at > now() - interval '1 minute' AND a.what = 'refused-patient'
            AND a.detail = left(asked, 200));
END $$;
REVOKE EXECUTE ON FUNCTION homeward.note_refusal FROM PUBLIC;

-- As before, whatever that was, and the above.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_words;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_words();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT EXECUTE ON FUNCTION homeward.note_search, homeward.note_refusal TO homeward_web;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
