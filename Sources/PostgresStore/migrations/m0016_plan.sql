-- What those who lead a team do at the page: release what is held in quarantine, approve packs, and say who besides the
-- team may see a patient.

-- A request to have a quarantined report judged again. The daemon's commit takes it, so that it survives a restart, and
-- ends it in the transaction that stores the report. A quarantined report may be archived before its releases.
CREATE TABLE homeward.quarantine_release (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    quarantine bigint NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text COLLATE "C" NOT NULL,
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 4000),
    done_at timestamptz,
    outcome text CHECK (outcome IN ('stored', 'duplicate', 'quarantined')),
    -- Why it was refused again.
    reason text,
    CHECK ((done_at IS NULL) = (outcome IS NULL)),
    CHECK (reason IS NULL OR outcome = 'quarantined')
);
-- One at a time, and none after one that stored it.
CREATE UNIQUE INDEX quarantine_release_waiting ON homeward.quarantine_release (quarantine)
    WHERE done_at IS NULL OR outcome IN ('stored', 'duplicate');
CREATE INDEX quarantine_release_due ON homeward.quarantine_release (id) WHERE done_at IS NULL;
CREATE INDEX quarantine_release_quarantine ON homeward.quarantine_release (quarantine);

-- Packs as they were met, and who approved which. The last approved stays in force while a changed one is not approved.
CREATE TABLE homeward.pack_content (
    pack text COLLATE "C" NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    -- Of the configuration with which the daemon last started or reloaded.
    configured boolean NOT NULL,
    content bytea NOT NULL CHECK (sha256(content) = hash),
    PRIMARY KEY (pack, hash)
);
CREATE TABLE homeward.pack_approval (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pack text COLLATE "C" NOT NULL,
    hash bytea NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    approved_by text COLLATE "C" NOT NULL,
    note text NOT NULL CHECK (length(note) BETWEEN 1 AND 4000),
    FOREIGN KEY (pack, hash) REFERENCES homeward.pack_content
);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.pack_approval
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
-- Ends an approval: of an approved pack whose file is gone the rules end only when a person says so. Approved anew it is in
-- force again.
CREATE TABLE homeward.pack_retirement (
    approval bigint PRIMARY KEY REFERENCES homeward.pack_approval,
    retired_at timestamptz NOT NULL DEFAULT now(),
    retired_by text COLLATE "C" NOT NULL,
    reason text NOT NULL CHECK (length(reason) BETWEEN 1 AND 4000)
);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.pack_retirement
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- The information-sharing record: professionals who may look at a patient though they are not of the team.
CREATE TABLE homeward.information_sharing (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    patient text COLLATE "C" NOT NULL,
    care_manager text COLLATE "C" NOT NULL,
    since timestamptz NOT NULL DEFAULT now(),
    added_by text COLLATE "C" NOT NULL,
    -- On whose word: the patient's own, or that of whoever may speak for the patient.
    word text NOT NULL CHECK (length(word) BETWEEN 1 AND 1000),
    ended_at timestamptz,
    ended_by text COLLATE "C",
    end_reason text CHECK (length(end_reason) BETWEEN 1 AND 1000),
    CHECK ((ended_at IS NULL) = (ended_by IS NULL) AND (ended_at IS NULL) = (end_reason IS NULL))
);
CREATE UNIQUE INDEX information_sharing_current ON homeward.information_sharing (care_manager, patient)
    WHERE ended_at IS NULL;
CREATE INDEX information_sharing_patient ON homeward.information_sharing (patient);

-- What is looked at grows with the page.
ALTER TABLE homeward.read_audit DROP CONSTRAINT IF EXISTS read_audit_what_check;
ALTER TABLE homeward.read_audit ADD CONSTRAINT read_audit_what_check CHECK (what ~ '^[a-z][a-z-]{0,31}$');
CREATE INDEX read_audit_care_manager ON homeward.read_audit (care_manager, at);

-- The patients whom the viewer, who is not of their team, was selected for.
CREATE FUNCTION homeward.web_selected() RETURNS SETOF text
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.patient::text FROM homeward.information_sharing s
    JOIN homeward.web_viewer() v ON v.care_manager = s.care_manager
    WHERE s.ended_at IS NULL
$$;
REVOKE EXECUTE ON FUNCTION homeward.web_selected FROM PUBLIC;

-- Of the viewer's site; each look asks for it, and the policy of registry_entry would make that slow.
CREATE FUNCTION homeward.web_site() RETURNS TABLE (name text, timezone text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.fields ->> 'name', e.fields ->> 'timezone'
    FROM homeward.web_viewer() v
    CROSS JOIN LATERAL (
        SELECT fields FROM homeward.registry_entry
        WHERE entity = 'site' AND code = v.site ORDER BY version DESC LIMIT 1
    ) e
$$;
REVOKE EXECUTE ON FUNCTION homeward.web_site FROM PUBLIC;

-- Whether a site of that code is enrolled: what came for no site of ours is an administrator's to look at.
CREATE FUNCTION homeward.is_site(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (SELECT FROM homeward.site WHERE code = wanted)
$$;
REVOKE EXECUTE ON FUNCTION homeward.is_site FROM PUBLIC;

-- Whether the viewer leads that care manager's site and that one may only look.
CREATE FUNCTION homeward.may_select(wanted text) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM homeward.web_viewer() v
        JOIN homeward.care_manager c ON c.site = v.site_id AND c.code = wanted
        CROSS JOIN LATERAL (
            SELECT fields FROM homeward.registry_entry
            WHERE entity = 'care-manager' AND code = c.code ORDER BY version DESC LIMIT 1
        ) e
        WHERE v.role IN ('team-lead', 'administrator') AND e.fields ->> 'role' = 'read-only')
$$;
REVOKE EXECUTE ON FUNCTION homeward.may_select FROM PUBLIC;

-- Whether the viewer may approve packs. They judge the patients of every site: where there are several, a lead of one may
-- not. The self-test's site counts for nothing.
CREATE FUNCTION homeward.may_approve() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT EXISTS (
        SELECT FROM homeward.web_viewer() v
        WHERE v.role = 'administrator'
            OR (v.role = 'team-lead' AND (SELECT count(*) FROM homeward.site WHERE code <> 'homeward-self') <= 1))
$$;
REVOKE EXECUTE ON FUNCTION homeward.may_approve FROM PUBLIC;

-- How many patients' plans name the pack, of whatever site; everybody's names adult.
CREATE FUNCTION homeward.pack_patients(wanted text) RETURNS bigint
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*) FROM homeward.registry_current
    WHERE entity = 'patient' AND (wanted = 'adult' OR fields -> 'conditions' ? wanted)
$$;
REVOKE EXECUTE ON FUNCTION homeward.pack_patients FROM PUBLIC;

ALTER TABLE homeward.quarantine_release ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.pack_content ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.pack_approval ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.pack_retirement ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.information_sharing ENABLE ROW LEVEL SECURITY;

-- After `make_policies`, over what that made: who may only look sees the patients that they were selected for.
CREATE FUNCTION homeward.make_plan_policies() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted record;
    site_id constant text := '(SELECT site_id FROM homeward.web_viewer())';
    site constant text := '(SELECT site FROM homeward.web_viewer())';
    viewer constant text := '(SELECT care_manager FROM homeward.web_viewer())';
    is_team constant text := '(SELECT role FROM homeward.web_viewer()) <> ''read-only''';
    leads constant text := '(SELECT role FROM homeward.web_viewer()) IN (''team-lead'', ''administrator'')';
    patients constant text := '(SELECT id FROM homeward.patient)';
    codes constant text := '(SELECT code FROM homeward.patient)';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        RETURN;
    END IF;
    FOR wanted IN
        SELECT * FROM (VALUES
            ('patient', 'select', format('site = %s AND (%s OR code IN (SELECT homeward.web_selected()))', site_id, is_team),
                NULL),
            ('device', 'select',
                format('site = %s AND (%s OR id IN (SELECT device FROM homeward.pairing))', site_id, is_team), NULL),
            ('report', 'select', format('site = %s AND (%s OR patient IN %s)', site_id, is_team, patients), NULL),
            ('reading', 'select', format('site = %s AND (%s OR patient IN %s)', site_id, is_team, patients), NULL),
            ('answer', 'select', format('site = %s AND (%s OR patient IN %s)', site_id, is_team, patients), NULL),
            ('alert', 'select', format(
                'site = %s AND (%s OR (subject_type = ''patient'' AND subject IN %s))', site, is_team, codes), NULL),
            ('registry_entry', 'select', format(
                '((entity = ''site'' AND code = %1$s) OR fields ->> ''site'' = %1$s) AND (%2$s '
                'OR entity IN (''site'', ''care-manager'') OR (entity = ''patient'' AND code IN %3$s) '
                'OR (entity = ''device'' AND code IN (SELECT code FROM homeward.device)))', site, is_team, codes), NULL),
            ('quarantine', 'select', format(
                '(site = %1$s AND %2$s) OR ((SELECT role FROM homeward.web_viewer()) = ''administrator'' '
                'AND (site IS NULL OR NOT homeward.is_site(site)))', site, is_team), NULL),
            ('quarantine_release', 'select',
                'EXISTS (SELECT FROM homeward.quarantine q WHERE q.id = quarantine_release.quarantine)', NULL),
            -- A whole report whose bytes were kept; see `RefusalReason.release`.
            ('quarantine_release', 'insert', NULL, format(
                '%s AND requested_by = %s AND done_at IS NULL AND EXISTS (SELECT FROM homeward.quarantine q '
                'WHERE q.id = quarantine_release.quarantine AND q.place IS NULL AND length(q.payload) > 0 '
                'AND q.topic NOT LIKE ''%%/status'' AND q.reason IN (''retained'', ''clock-future'', ''too-old'', '
                '''unknown-device'', ''unpaired'', ''crashed'', ''unstorable''))', leads, viewer)),
            ('delivery_attempt', 'select',
                'EXISTS (SELECT FROM homeward.outbox o WHERE o.delivery_key = delivery_attempt.delivery_key)', NULL),
            ('pack_content', 'select', 'EXISTS (SELECT FROM homeward.web_viewer())', NULL),
            ('pack_approval', 'select', 'EXISTS (SELECT FROM homeward.web_viewer())', NULL),
            ('pack_approval', 'insert', NULL, format('homeward.may_approve() AND approved_by = %s', viewer)),
            ('pack_retirement', 'select', 'EXISTS (SELECT FROM homeward.web_viewer())', NULL),
            ('pack_retirement', 'insert', NULL, format(
                'homeward.may_approve() AND retired_by = %s AND EXISTS (SELECT FROM homeward.pack_approval a '
                'WHERE a.id = approval AND homeward.pack_patients(a.pack) = 0 AND NOT EXISTS ('
                'SELECT FROM homeward.pack_content c WHERE c.pack = a.pack AND c.configured))', viewer)),
            ('information_sharing', 'select', format('patient IN %s', codes), NULL),
            ('information_sharing', 'insert', NULL, format(
                '%s AND added_by = %s AND ended_at IS NULL AND patient IN %s AND homeward.may_select(care_manager)', leads,
                viewer, codes)),
            ('information_sharing', 'update', format('%s AND ended_at IS NULL AND patient IN %s', leads, codes),
                format('%s AND ended_by = %s AND patient IN %s', leads, viewer, codes))
        ) AS list (relation, command, using_clause, check_clause)
    LOOP
        IF EXISTS (
            SELECT FROM pg_policies p WHERE p.schemaname = 'homeward' AND p.tablename = wanted.relation
                AND p.policyname = 'homeward_web_' || wanted.command)
        THEN
            EXECUTE format('ALTER POLICY %I ON homeward.%I', 'homeward_web_' || wanted.command, wanted.relation)
                || coalesce(' USING (' || wanted.using_clause || ')', '')
                || coalesce(' WITH CHECK (' || wanted.check_clause || ')', '');
        ELSE
            EXECUTE format('CREATE POLICY %I ON homeward.%I FOR %s TO homeward_web',
                    'homeward_web_' || wanted.command, wanted.relation, wanted.command)
                || coalesce(' USING (' || wanted.using_clause || ')', '')
                || coalesce(' WITH CHECK (' || wanted.check_clause || ')', '');
        END IF;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.make_plan_policies FROM PUBLIC;

-- As before, whatever that was, and the above.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_plan;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_plan();
    PERFORM homeward.make_plan_policies();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT ON homeward.quarantine_release, homeward.pack_content, homeward.pack_approval,
            homeward.pack_retirement, homeward.information_sharing TO homeward_ingest;
        GRANT UPDATE (done_at, outcome, reason) ON homeward.quarantine_release TO homeward_ingest;
        GRANT UPDATE (configured) ON homeward.pack_content TO homeward_ingest;
        GRANT EXECUTE ON FUNCTION homeward.web_selected, homeward.web_site, homeward.is_site, homeward.may_select,
            homeward.may_approve, homeward.pack_patients TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT SELECT ON homeward.quarantine_release, homeward.pack_content, homeward.pack_approval,
            homeward.pack_retirement, homeward.information_sharing, homeward.delivery_attempt TO homeward_web;
        GRANT INSERT (quarantine, requested_by, note) ON homeward.quarantine_release TO homeward_web;
        GRANT INSERT (pack, hash, approved_by, note) ON homeward.pack_approval TO homeward_web;
        GRANT INSERT (approval, retired_by, reason) ON homeward.pack_retirement TO homeward_web;
        GRANT INSERT (patient, care_manager, added_by, word) ON homeward.information_sharing TO homeward_web;
        GRANT UPDATE (ended_at, ended_by, end_reason) ON homeward.information_sharing TO homeward_web;
        GRANT EXECUTE ON FUNCTION homeward.web_selected, homeward.web_site, homeward.is_site, homeward.may_select,
            homeward.may_approve, homeward.pack_patients TO homeward_web;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
