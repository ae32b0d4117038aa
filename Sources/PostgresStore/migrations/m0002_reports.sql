-- What readers sent. Wide columns first: no padding in the rows that come by the million.

-- The idempotency key. Of its own, because a unique index on a partitioned table must hold the partition column.
CREATE TABLE homeward.report_key (
    digest uuid NOT NULL,
    stored_at timestamptz NOT NULL DEFAULT now(),
    device integer NOT NULL,
    report_id text COLLATE "C" NOT NULL,
    PRIMARY KEY (device, report_id)
);

CREATE TABLE homeward.report (
    taken_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    seq bigint,
    battery double precision,
    device integer NOT NULL,
    patient integer NOT NULL,
    site integer NOT NULL,
    clock_corrected boolean NOT NULL,
    report_id text COLLATE "C" NOT NULL,
    raw bytea NOT NULL,
    CONSTRAINT report_plausible CHECK (
        isfinite(taken_at) AND isfinite(received_at) AND (battery IS NULL OR (battery >= 0 AND battery <= 100)))
) PARTITION BY RANGE (received_at);
CREATE INDEX report_device ON homeward.report (device, received_at);

-- One check a table: each costs by the row. NaN sorts above infinity, so that the comparison refuses it.
CREATE TABLE homeward.reading (
    value double precision NOT NULL,
    value_sent double precision NOT NULL,
    taken_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    device integer NOT NULL,
    patient integer NOT NULL,
    site integer NOT NULL,
    place smallint NOT NULL,
    kind smallint NOT NULL,
    unit_sent smallint,
    flags smallint NOT NULL,
    report_id text COLLATE "C" NOT NULL,
    -- Coded kinds only.
    code text,
    other_flags text[],
    -- Null for an accepted reading.
    suspicions text[],
    CONSTRAINT reading_finite CHECK (
        value > '-infinity' AND value < 'infinity' AND value_sent > '-infinity' AND value_sent < 'infinity'
        AND isfinite(taken_at) AND isfinite(received_at))
) PARTITION BY RANGE (received_at);
CREATE INDEX reading_patient ON homeward.reading (patient, kind, taken_at);

CREATE TABLE homeward.answer (
    taken_at timestamptz NOT NULL CHECK (isfinite(taken_at)),
    received_at timestamptz NOT NULL CHECK (isfinite(received_at)),
    device integer NOT NULL,
    patient integer NOT NULL,
    site integer NOT NULL,
    place smallint NOT NULL,
    value_type text NOT NULL CHECK (value_type IN ('boolean', 'number', 'text')),
    report_id text COLLATE "C" NOT NULL,
    question text NOT NULL,
    value text NOT NULL
) PARTITION BY RANGE (received_at);
CREATE INDEX answer_patient ON homeward.answer (patient, taken_at);

-- What came too early or too late for the months that were made; nothing is refused for want of a partition.
CREATE TABLE homeward.report_default PARTITION OF homeward.report DEFAULT;
CREATE TABLE homeward.reading_default PARTITION OF homeward.reading DEFAULT;
CREATE TABLE homeward.answer_default PARTITION OF homeward.answer DEFAULT;

-- Makes the partitions of last month to `ahead` months from now, and moves into a new one what lay in the default
-- partition meanwhile. SECURITY DEFINER: the daemon's role needs no right to make tables. ATTACH takes a weaker lock
-- on the parent than CREATE … PARTITION OF, so that commits go on.
CREATE FUNCTION homeward.make_partitions(ahead integer DEFAULT 2) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    partition text;
    first timestamptz;
    next timestamptz;
    made integer := 0;
BEGIN
    IF ahead NOT BETWEEN 0 AND 24 THEN
        RAISE EXCEPTION 'months ahead out of range' USING ERRCODE = '22003';
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('homeward.make_partitions'));
    FOREACH parent IN ARRAY ARRAY['report', 'reading', 'answer'] LOOP
        FOR month IN -1..ahead LOOP
            first := date_trunc('month', now()) + make_interval(months => month);
            next := first + interval '1 month';
            partition := parent || to_char(first, '"_"YYYY"_"MM');
            CONTINUE WHEN to_regclass('homeward.' || partition) IS NOT NULL;
            EXECUTE format('CREATE TABLE homeward.%I (LIKE homeward.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                partition, parent);
            EXECUTE format('WITH moved AS (DELETE FROM homeward.%I WHERE received_at >= %L AND received_at < %L '
                'RETURNING *) INSERT INTO homeward.%I SELECT * FROM moved',
                parent || '_default', first, next, partition);
            EXECUTE format('ALTER TABLE homeward.%I ATTACH PARTITION homeward.%I FOR VALUES FROM (%L) TO (%L)',
                parent, partition, first, next);
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.make_partitions FROM PUBLIC;

-- What was refused. Codes are text here: they may be unknown.
CREATE TABLE homeward.quarantine (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- SHA-256 of topic, reason, place of the reading and bytes: the same refused again is counted, not added.
    fingerprint bytea NOT NULL UNIQUE,
    received_at timestamptz NOT NULL CHECK (isfinite(received_at)),
    last_received_at timestamptz NOT NULL,
    times_seen integer NOT NULL DEFAULT 1,
    place smallint,
    site text,
    device text,
    report_id text,
    reason text NOT NULL,
    detail text NOT NULL,
    topic text NOT NULL,
    payload bytea NOT NULL
);
CREATE INDEX quarantine_received ON homeward.quarantine (received_at);

CREATE TABLE homeward.device_status (
    device integer PRIMARY KEY REFERENCES homeward.device,
    online boolean NOT NULL,
    battery double precision CHECK (battery >= 0 AND battery <= 100),
    firmware text,
    received_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Half-filled pages: nearly every report updates its reader's row, in place.
CREATE TABLE homeward.device_sequence (
    device integer PRIMARY KEY REFERENCES homeward.device,
    highest bigint NOT NULL,
    missing int8multirange NOT NULL DEFAULT '{}'
) WITH (fillfactor = 50);
