-- Episodes, their history, what is sent because of them, and everything that is due at a time.
CREATE TABLE homeward.alert (
    id uuid PRIMARY KEY,
    subject_type text NOT NULL CHECK (subject_type IN ('patient', 'device', 'site', 'instance')),
    -- Empty for the instance.
    subject text COLLATE "C" NOT NULL CHECK ((subject_type = 'instance') = (subject = '')),
    site text,
    device text,
    rule text NOT NULL,
    class text NOT NULL CHECK (class IN ('clinical', 'technical')),
    severity text NOT NULL CHECK (severity IN ('info', 'amber', 'red')),
    state text NOT NULL CHECK (state IN ('open', 'acknowledged', 'shelved', 'resolved')),
    late boolean NOT NULL,
    raised_at timestamptz NOT NULL,
    acknowledged_at timestamptz,
    acknowledged_by text,
    resolved_at timestamptz,
    resolved_by text,
    escalation_level integer NOT NULL,
    summary text NOT NULL,
    worst double precision CHECK (worst > '-infinity' AND worst < 'infinity'),
    worst_acknowledged double precision CHECK (worst_acknowledged > '-infinity' AND worst_acknowledged < 'infinity'),
    latest_taken_at timestamptz,
    revision integer NOT NULL,
    CHECK ((state = 'resolved') = (resolved_at IS NOT NULL))
);
CREATE UNIQUE INDEX alert_one_open ON homeward.alert (subject_type, subject, rule) WHERE state <> 'resolved';
CREATE INDEX alert_raised ON homeward.alert (raised_at);

CREATE TABLE homeward.alert_event (
    alert uuid NOT NULL REFERENCES homeward.alert,
    revision integer NOT NULL,
    transition text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('info', 'amber', 'red')),
    at timestamptz NOT NULL,
    device text,
    report_id text,
    actor text NOT NULL,
    summary text NOT NULL,
    explanation jsonb NOT NULL,
    PRIMARY KEY (alert, revision)
);

CREATE TABLE homeward.outbox (
    delivery_key text COLLATE "C" PRIMARY KEY,
    alert uuid NOT NULL REFERENCES homeward.alert,
    revision integer NOT NULL,
    step integer NOT NULL,
    channel text NOT NULL CHECK (channel IN ('webhook', 'email', 'sms', 'mqtt')),
    recipient text NOT NULL,
    -- A red: it goes first.
    urgent boolean NOT NULL,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'sent', 'failed')),
    attempts integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    last_error text,
    sent_at timestamptz,
    CHECK ((state = 'sent') = (sent_at IS NOT NULL))
);
CREATE INDEX outbox_due ON homeward.outbox (next_attempt_at) WHERE state = 'pending';
CREATE INDEX outbox_alert ON homeward.outbox (alert);

-- One row per (kind, subject). `claim` grows with every claim and every new schedule: who claimed before that can no
-- longer complete it.
CREATE TABLE homeward.timer (
    kind text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    due_at timestamptz NOT NULL CHECK (isfinite(due_at)),
    payload jsonb NOT NULL DEFAULT '{}',
    claim bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    PRIMARY KEY (kind, subject)
);
CREATE INDEX timer_due ON homeward.timer (due_at);

-- History is added to, never changed: not by accident of the owner either. Statement triggers on the parents, so that
-- making partitions may move rows out of the default ones.
CREATE FUNCTION homeward.refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% of % refused: history is never changed', TG_OP, TG_TABLE_NAME USING ERRCODE = '42501';
END $$;
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.report
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.reading
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.answer
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.alert_event
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.registry_entry
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();
