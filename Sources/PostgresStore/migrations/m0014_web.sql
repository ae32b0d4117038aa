-- The care managers' page: who may sign in, who is signed in, who looked at what, and row-level security, so that what a
-- person may not see is not there for whatever the page asks.

CREATE TABLE homeward.web_account (
    care_manager text COLLATE "C" PRIMARY KEY CHECK (care_manager ~ '^[A-Za-z0-9_-]{1,64}$'),
    -- argon2id, as libsodium writes it, parameters and salt included.
    password_hash text NOT NULL,
    totp_secret bytea NOT NULL CHECK (length(totp_secret) >= 20),
    -- The time step of the last code that was taken: no code is taken twice (RFC 6238, section 5.2).
    totp_last_step bigint NOT NULL DEFAULT 0,
    failures integer NOT NULL DEFAULT 0,
    locked_until timestamptz,
    disabled_at timestamptz,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL
);

CREATE TABLE homeward.web_session (
    -- SHA-256 of the token in the cookie: who reads this table can't be anybody.
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    care_manager text COLLATE "C" NOT NULL REFERENCES homeward.web_account,
    created_at timestamptz NOT NULL DEFAULT now(),
    idle_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    ended_at timestamptz
);
CREATE INDEX web_session_care_manager ON homeward.web_session (care_manager) WHERE ended_at IS NULL;

-- Every look at a patient, and every sign-in.
CREATE TABLE homeward.read_audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    care_manager text COLLATE "C" NOT NULL,
    site text COLLATE "C",
    -- Null where a list was looked at.
    patient text COLLATE "C",
    what text NOT NULL CHECK (what IN ('signed-in', 'signed-out', 'refused', 'worklist', 'patient', 'alert', 'audit'))
);
CREATE INDEX read_audit_at ON homeward.read_audit (at);
CREATE INDEX read_audit_patient ON homeward.read_audit (patient, at);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.read_audit
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- Whoever is signed in with the session that the transaction names in `homeward.session` (hexadecimal): nobody, when it
-- ended, went idle, or the account is disabled or no longer in the registry.
CREATE FUNCTION homeward.web_viewer()
RETURNS TABLE (care_manager text, role text, site text, site_id integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
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
        AND w.expires_at > now() AND w.idle_until > now()
$$;
REVOKE EXECUTE ON FUNCTION homeward.web_viewer FROM PUBLIC;

-- The page looks again when an alert changed.
CREATE FUNCTION homeward.tell_page() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM pg_notify('homeward_page', '');
    RETURN NULL;
END $$;
CREATE TRIGGER page AFTER INSERT OR UPDATE ON homeward.alert
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.tell_page();

-- The owner and the ingest role are exempt; everybody else sees what a policy below shows, and nothing else.
ALTER TABLE homeward.site ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.patient ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.device ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.care_manager ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.pairing ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.registry_entry ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.report ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.reading ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.answer ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.reading_correction ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.quarantine ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.device_status ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.alert ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.alert_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.alert_alias ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.outbox ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.delivery_attempt ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.suppression ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.read_audit ENABLE ROW LEVEL SECURITY;

-- A policy needs its role, and deploy/roles.sql may be run after this: so they are made where rights are granted.
CREATE FUNCTION homeward.make_policies() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted record;
    site_id constant text := '(SELECT site_id FROM homeward.web_viewer())';
    site constant text := '(SELECT site FROM homeward.web_viewer())';
BEGIN
    FOR wanted IN
        SELECT * FROM (VALUES
            ('site', 'FOR SELECT', 'homeward_web', format('id = %s', site_id), NULL),
            ('patient', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('device', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('care_manager', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('pairing', 'FOR SELECT', 'homeward_web', 'patient IN (SELECT id FROM homeward.patient)', NULL),
            ('registry_entry', 'FOR SELECT', 'homeward_web',
                format('(entity = ''site'' AND code = %1$s) OR fields ->> ''site'' = %1$s', site), NULL),
            ('report', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('reading', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('answer', 'FOR SELECT', 'homeward_web', format('site = %s', site_id), NULL),
            ('reading_correction', 'FOR SELECT', 'homeward_web',
                'patient IN (SELECT id FROM homeward.patient)', NULL),
            ('quarantine', 'FOR SELECT', 'homeward_web', format('site = %s', site), NULL),
            ('device_status', 'FOR SELECT', 'homeward_web', 'device IN (SELECT id FROM homeward.device)', NULL),
            ('alert', 'FOR SELECT', 'homeward_web', format('site = %s', site), NULL),
            -- Locking an alert is how the page asks whether its viewer may act on it; writing is the daemon's.
            ('alert', 'FOR UPDATE', 'homeward_web',
                format('site = %s AND (SELECT role FROM homeward.web_viewer()) <> ''read-only''', site), 'false'),
            ('alert_event', 'FOR SELECT', 'homeward_web',
                'EXISTS (SELECT FROM homeward.alert a WHERE a.id = alert_event.alert)', NULL),
            ('alert_alias', 'FOR SELECT', 'homeward_web',
                'EXISTS (SELECT FROM homeward.alert a WHERE a.id = alert_alias.alert_id)', NULL),
            ('outbox', 'FOR SELECT', 'homeward_web',
                'EXISTS (SELECT FROM homeward.alert a WHERE a.id = outbox.alert)', NULL),
            ('suppression', 'FOR SELECT', 'homeward_web',
                'EXISTS (SELECT FROM homeward.alert a WHERE a.id = suppression.alert) '
                'OR patient IN (SELECT code FROM homeward.patient)', NULL),
            ('read_audit', 'FOR SELECT', 'homeward_web', format(
                'site = %s AND (SELECT role FROM homeward.web_viewer()) IN (''team-lead'', ''administrator'')', site),
                NULL),
            ('read_audit', 'FOR INSERT', 'homeward_web', NULL, format(
                'site = %s AND care_manager = (SELECT care_manager FROM homeward.web_viewer()) '
                'AND (patient IS NULL OR patient IN (SELECT code FROM homeward.patient))', site)),
            ('site', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('patient', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('device', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('report', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('reading', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('answer', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('reading_correction', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('quarantine', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('alert', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('outbox', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('delivery_attempt', 'FOR SELECT', 'homeward_read', 'true', NULL),
            ('suppression', 'FOR SELECT', 'homeward_read', 'true', NULL)
        ) AS list (relation, command, role, using_clause, check_clause)
        WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = list.role)
            AND NOT EXISTS (
                SELECT FROM pg_policies p
                WHERE p.schemaname = 'homeward' AND p.tablename = list.relation
                    AND p.policyname = list.role || replace(lower(list.command), 'for ', '_'))
    LOOP
        EXECUTE format('CREATE POLICY %I ON homeward.%I %s TO %I',
                wanted.role || replace(lower(wanted.command), 'for ', '_'), wanted.relation, wanted.command, wanted.role)
            || coalesce(' USING (' || wanted.using_clause || ')', '')
            || coalesce(' WITH CHECK (' || wanted.check_clause || ')', '');
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.make_policies FROM PUBLIC;

-- As before, whatever that was; but the page's role is bound to what it needs: before this it could read every table,
-- partitions past their parents' policies included.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_web;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_web();
    PERFORM homeward.make_policies();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT, UPDATE ON homeward.web_account, homeward.web_session TO homeward_ingest;
        GRANT DELETE ON homeward.web_session TO homeward_ingest;
        GRANT SELECT, INSERT ON homeward.read_audit TO homeward_ingest;
        GRANT EXECUTE ON FUNCTION homeward.web_viewer TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        REVOKE ALL ON ALL TABLES IN SCHEMA homeward FROM homeward_web;
        GRANT USAGE ON SCHEMA homeward TO homeward_web;
        GRANT SELECT ON homeward.site, homeward.patient, homeward.device, homeward.care_manager, homeward.pairing,
            homeward.registry_entry, homeward.registry_current, homeward.registry_version, homeward.kind,
            homeward.unit, homeward.report, homeward.reading, homeward.answer, homeward.reading_correction,
            homeward.quarantine, homeward.device_status, homeward.alert, homeward.alert_event, homeward.alert_alias,
            homeward.outbox, homeward.suppression, homeward.read_audit, homeward.v_reading, homeward.v_report, homeward.v_answer,
            homeward.v_quarantine, homeward.v_alert, homeward.v_delivery TO homeward_web;
        -- What `SELECT … FOR UPDATE` asks for; the policy lets nothing be written.
        GRANT UPDATE (revision) ON homeward.alert TO homeward_web;
        GRANT INSERT (care_manager, site, patient, what) ON homeward.read_audit TO homeward_web;
        GRANT EXECUTE ON FUNCTION homeward.web_viewer TO homeward_web;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;

-- Where this role may make roles, the page works without deploy/roles.sql. Other databases of the cluster share it.
DO $$
DECLARE
    may boolean;
BEGIN
    SELECT rolsuper OR rolcreaterole INTO may FROM pg_roles WHERE rolname = current_user;
    IF may AND NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        BEGIN
            CREATE ROLE homeward_web NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF may AND NOT pg_has_role(current_user, 'homeward_web', 'MEMBER') THEN
        EXECUTE format('GRANT homeward_web TO %I', current_user);
    END IF;
END $$;
