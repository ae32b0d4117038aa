-- Who and what is known: append-only versions of every entry, small ids for the hot tables, pairing spans.
CREATE EXTENSION IF NOT EXISTS btree_gist WITH SCHEMA homeward;

-- Grows by one in each transaction that changes the registry; every commit of the daemon compares it.
CREATE TABLE homeward.registry_version (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    version bigint NOT NULL
);
INSERT INTO homeward.registry_version (version) VALUES (0);

-- `fields` is the entry as it stands since `version`; `last_enrolled` is what the enrolment file said when it was
-- last loaded, so that a field that was changed elsewhere since then is not overwritten without a word.
CREATE TABLE homeward.registry_entry (
    entity text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    valid_from timestamptz NOT NULL DEFAULT now() CHECK (isfinite(valid_from)),
    fields jsonb NOT NULL CHECK (jsonb_typeof(fields) = 'object'),
    last_enrolled jsonb CHECK (jsonb_typeof(last_enrolled) = 'object'),
    source text NOT NULL,
    actor text NOT NULL,
    reason text,
    PRIMARY KEY (entity, code, version)
);

CREATE VIEW homeward.registry_current WITH (security_invoker = true) AS
SELECT DISTINCT ON (entity, code) entity, code, version, valid_from, fields, last_enrolled, source, actor, reason
FROM homeward.registry_entry
ORDER BY entity, code, version DESC;

CREATE TABLE homeward.site (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$')
);
CREATE TABLE homeward.patient (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
    site integer NOT NULL REFERENCES homeward.site
);
CREATE TABLE homeward.device (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
    site integer NOT NULL REFERENCES homeward.site
);
CREATE TABLE homeward.care_manager (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text COLLATE "C" NOT NULL UNIQUE CHECK (code ~ '^[A-Za-z0-9_-]{1,64}$'),
    site integer NOT NULL REFERENCES homeward.site
);

-- A pairing that is taken back or changed is retired, never deleted: what judged an old reading stays known.
CREATE TABLE homeward.pairing (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device integer NOT NULL REFERENCES homeward.device,
    patient integer NOT NULL REFERENCES homeward.patient,
    period tstzrange NOT NULL CHECK (NOT isempty(period) AND lower(period) IS NOT NULL),
    version bigint NOT NULL,
    retired_version bigint,
    CONSTRAINT pairing_no_overlap EXCLUDE USING gist (device WITH =, period WITH &&) WHERE (retired_version IS NULL)
);

-- The numbers of kinds and units in the hot tables. They never change.
CREATE TABLE homeward.unit (
    id smallint PRIMARY KEY,
    code text NOT NULL UNIQUE
);
INSERT INTO homeward.unit (id, code) VALUES
    (1, 'mm[Hg]'), (2, 'kPa'), (3, '/min'), (4, '{beats}/min'), (5, '{breaths}/min'), (6, '%'), (7, 'Cel'),
    (8, '[degF]'), (9, 'kg'), (10, 'g'), (11, '[lb_av]'), (12, '[stone_av]'), (13, 'mmol/L'), (14, 'mg/dL'),
    (15, 'L/min'), (16, 'L/s'), (17, 'L'), (18, 'mL'), (19, '{INR}'), (20, '1'), (21, '{steps}'), (22, '{score}');

CREATE TABLE homeward.kind (
    id smallint PRIMARY KEY,
    code text NOT NULL UNIQUE,
    -- Canonical; null for a coded kind.
    unit smallint REFERENCES homeward.unit
);
INSERT INTO homeward.kind (id, code, unit) VALUES
    (1, 'systolic', 1), (2, 'diastolic', 1), (3, 'mean-arterial', 1), (4, 'pulse', 3), (5, 'spo2', 6),
    (6, 'respiratory-rate', 3), (7, 'temperature', 7), (8, 'weight', 9), (9, 'glucose', 13), (10, 'ketones', 13),
    (11, 'peak-flow', 15), (12, 'fev1', 17), (13, 'inr', 19), (14, 'steps', 21), (15, 'cat-score', 22),
    (16, 'consciousness', NULL), (17, 'oxygen', 15);
