-- What care managers do about patients on the page: calls, reviews, follow-ups, readings typed in, and why the registry was
-- changed; and a lock-out that a stranger can't turn against whoever signs in from where they always do.

-- Its id was made with the form: what is sent twice is done once.
CREATE TABLE homeward.patient_event (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    site text COLLATE "C" NOT NULL,
    patient text COLLATE "C" NOT NULL,
    care_manager text COLLATE "C" NOT NULL,
    -- `call`, `review`, `discharge` and the like.
    kind text NOT NULL CHECK (kind ~ '^[a-z][a-z-]{1,39}$'),
    note text CHECK (length(note) <= 4000),
    detail jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(detail) = 'object')
);
CREATE INDEX patient_event_patient ON homeward.patient_event (patient, at DESC);
CREATE INDEX patient_event_reviews ON homeward.patient_event (at) WHERE kind = 'review';
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.patient_event
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- Back on the worklist when it is due, until somebody says that it is done.
CREATE TABLE homeward.follow_up (
    id uuid PRIMARY KEY,
    site text COLLATE "C" NOT NULL,
    patient text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL CHECK (isfinite(due_at)),
    note text NOT NULL CHECK (length(note) <= 1000),
    set_by text COLLATE "C" NOT NULL,
    done_at timestamptz,
    done_by text COLLATE "C",
    CHECK ((done_at IS NULL) = (done_by IS NULL))
);
CREATE INDEX follow_up_open ON homeward.follow_up (due_at) WHERE done_at IS NULL;
CREATE INDEX follow_up_patient ON homeward.follow_up (patient) WHERE done_at IS NULL;

-- A report that a care manager typed in, until the daemon has taken it through the same pipeline as a reader's.
CREATE TABLE homeward.typed_report (
    id uuid PRIMARY KEY,
    entered_at timestamptz NOT NULL DEFAULT now(),
    site text COLLATE "C" NOT NULL,
    patient text COLLATE "C" NOT NULL,
    device text COLLATE "C" NOT NULL CHECK (device ~ '^[A-Za-z0-9_-]{1,64}$'),
    care_manager text COLLATE "C" NOT NULL,
    -- Whose word it is.
    source text NOT NULL CHECK (source IN ('patient', 'carer', 'professional')),
    payload bytea NOT NULL CHECK (length(payload) BETWEEN 1 AND 65536),
    taken_in_at timestamptz,
    outcome text CHECK (outcome IN ('stored', 'duplicate', 'quarantined')),
    reason text,
    CHECK ((taken_in_at IS NULL) = (outcome IS NULL))
);
CREATE INDEX typed_report_waiting ON homeward.typed_report (entered_at) WHERE taken_in_at IS NULL;
CREATE INDEX typed_report_patient ON homeward.typed_report (patient, entered_at DESC);

-- Where an account has signed in from: what strangers do elsewhere does not lock it out here.
CREATE TABLE homeward.web_address (
    care_manager text COLLATE "C" NOT NULL REFERENCES homeward.web_account,
    address text COLLATE "C" NOT NULL CHECK (length(address) BETWEEN 1 AND 64),
    known_until timestamptz NOT NULL,
    failures double precision NOT NULL DEFAULT 0,
    failed_at timestamptz,
    locked_until timestamptz,
    PRIMARY KEY (care_manager, address)
);
-- Failures from elsewhere, halved with each quarter of an hour; `failures` is the whole number of before.
ALTER TABLE homeward.web_account ADD COLUMN failed_at timestamptz;
-- When a list that the page asked for by itself was last recorded as a look.
ALTER TABLE homeward.web_session ADD COLUMN listed_at timestamptz;

-- What the page shows of a long alert's history.
CREATE INDEX alert_event_told ON homeward.alert_event (alert, revision) WHERE transition <> 'joined';

CREATE TRIGGER page AFTER INSERT ON homeward.patient_event
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.tell_page();

ALTER TABLE homeward.patient_event ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.follow_up ENABLE ROW LEVEL SECURITY;
ALTER TABLE homeward.typed_report ENABLE ROW LEVEL SECURITY;

-- Who may only look may write nothing; nobody writes about a patient who is not there for them, nor in another's name.
CREATE FUNCTION homeward.make_desk_policies() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted record;
    seen constant text := 'patient IN (SELECT code FROM homeward.patient)';
    may constant text := 'patient IN (SELECT code FROM homeward.patient) '
        'AND site = (SELECT site FROM homeward.web_viewer()) '
        'AND (SELECT role FROM homeward.web_viewer()) <> ''read-only'' ';
    own constant text := 'AND %s = (SELECT care_manager FROM homeward.web_viewer())';
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN RETURN; END IF;
    FOR wanted IN
        SELECT * FROM (VALUES
            ('patient_event', 'SELECT', seen, NULL),
            ('patient_event', 'INSERT', NULL, may || format(own, 'care_manager')),
            ('follow_up', 'SELECT', seen, NULL),
            ('follow_up', 'INSERT', NULL, may || format(own, 'set_by') || ' AND done_at IS NULL'),
            ('follow_up', 'UPDATE', may || ' AND done_at IS NULL', format('done_by = %s',
                '(SELECT care_manager FROM homeward.web_viewer())')),
            ('typed_report', 'SELECT', seen, NULL),
            ('typed_report', 'INSERT', NULL, may || format(own, 'care_manager') || ' AND taken_in_at IS NULL')
        ) AS list (relation, command, using_clause, check_clause)
        WHERE NOT EXISTS (
            SELECT FROM pg_policies p
            WHERE p.schemaname = 'homeward' AND p.tablename = list.relation
                AND p.policyname = 'homeward_web_' || lower(list.command))
    LOOP
        EXECUTE format('CREATE POLICY %I ON homeward.%I FOR %s TO homeward_web',
                'homeward_web_' || lower(wanted.command), wanted.relation, wanted.command)
            || coalesce(' USING (' || wanted.using_clause || ')', '')
            || coalesce(' WITH CHECK (' || wanted.check_clause || ')', '');
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.make_desk_policies FROM PUBLIC;

ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_desk;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_desk();
    PERFORM homeward.make_desk_policies();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT ON homeward.patient_event, homeward.typed_report TO homeward_ingest;
        GRANT SELECT, INSERT, UPDATE ON homeward.follow_up, homeward.web_address TO homeward_ingest;
        GRANT UPDATE (taken_in_at, outcome, reason) ON homeward.typed_report TO homeward_ingest;
        GRANT DELETE ON homeward.web_address TO homeward_ingest;
    END IF;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_web') THEN
        GRANT SELECT ON homeward.patient_event, homeward.follow_up, homeward.typed_report TO homeward_web;
        GRANT INSERT (id, site, patient, care_manager, kind, note, detail) ON homeward.patient_event TO homeward_web;
        GRANT INSERT (id, site, patient, due_at, note, set_by) ON homeward.follow_up TO homeward_web;
        GRANT UPDATE (done_at, done_by) ON homeward.follow_up TO homeward_web;
        GRANT INSERT (id, site, patient, device, care_manager, source, payload) ON homeward.typed_report TO homeward_web;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
