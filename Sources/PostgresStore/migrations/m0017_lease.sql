-- Who of several instances of one shard reads from the broker, judges, keeps time and tells. A shard is an instance's
-- `sites`, named by its MQTT client id.
CREATE TABLE homeward.lease (
    shard text COLLATE "C" PRIMARY KEY,
    -- Grows with each take-over: what an earlier holder is about to commit is refused.
    epoch bigint NOT NULL,
    -- Its state directory on its machine, which outlives the process.
    instance text COLLATE "C" NOT NULL,
    -- The machine's name, for people.
    name text NOT NULL,
    sites text NOT NULL,
    -- Grows with each renewal, for ever: a restored database is behind what a state directory remembers.
    renewals bigint NOT NULL,
    taken_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Makes a new epoch the change of a key: a commit's look at it (FOR KEY SHARE) holds up a take-over and no renewal.
    UNIQUE (shard, epoch)
) WITH (fillfactor = 50);

CREATE TABLE homeward.lease_standby (
    shard text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    name text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (shard, instance)
) WITH (fillfactor = 50);

-- What an instance has acknowledged to the broker, or told of, without the database and may not commit itself, since
-- another one holds the lease by now: the holder judges it.
CREATE TABLE homeward.handover (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    shard text COLLATE "C" NOT NULL,
    instance text COLLATE "C" NOT NULL,
    -- A message as it came,
    topic bytea,
    payload bytea,
    full_length bigint,
    digest bytea,
    retained boolean,
    received_at timestamptz,
    -- or lines of the journal of what was told.
    told bytea,
    handed_over_at timestamptz NOT NULL DEFAULT now(),
    CHECK ((told IS NULL) = (topic IS NOT NULL AND payload IS NOT NULL AND received_at IS NOT NULL))
);
CREATE INDEX handover_shard ON homeward.handover (shard, id);

-- After a restore: what was due before that time waits for a person's word (`homeward timers`), until `ended_at`.
CREATE TABLE homeward.restore_hold (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    found_at timestamptz NOT NULL DEFAULT now(),
    before timestamptz NOT NULL,
    -- By how many renewals of a lease, one each 2 s, the database was behind.
    behind bigint NOT NULL,
    ended_at timestamptz,
    ended_by text,
    ended_as text CHECK (ended_as IN ('released', 'expired')),
    CHECK ((ended_at IS NULL) = (ended_as IS NULL) AND (ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX restore_hold_one ON homeward.restore_hold ((true)) WHERE ended_at IS NULL;
CREATE FUNCTION homeward.held_before() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN coalesce((SELECT before FROM homeward.restore_hold WHERE ended_at IS NULL), '-infinity');

-- In the transaction of each commit of a holder's: refused once the lease is another's. Taken over it can't be before
-- that transaction has ended. Where the database is behind (a failover, a restore) there is no such epoch yet, or a later
-- one of our own that the committing thread does not know yet: the commit is tried again under the epoch that it is then.
CREATE FUNCTION homeward.hold_lease(wanted_shard text, wanted_epoch bigint, me text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM FROM homeward.lease l WHERE l.shard = wanted_shard AND l.epoch = wanted_epoch FOR KEY SHARE;
    IF FOUND THEN
        RETURN;
    END IF;
    PERFORM FROM homeward.lease l WHERE l.shard = wanted_shard AND l.epoch > wanted_epoch AND l.instance <> me;
    IF FOUND THEN
        RAISE EXCEPTION 'another instance holds the lease' USING ERRCODE = 'HW001';
    END IF;
    RAISE EXCEPTION 'the lease is not renewed here yet' USING ERRCODE = '40001';
END $$;

-- Renews the lease, takes it where it is free, or notes that we wait for it. `my_epoch`: as whose holder we were last;
-- null: never in this life. `my_mark`: the most renewals that we ever saw. Whoever comes back under the same `me` before
-- the lease has ended takes it at once, as its next epoch.
CREATE FUNCTION homeward.renew_lease(
    wanted_shard text, me text, my_name text, my_sites text, my_epoch bigint, is_start boolean, my_mark bigint,
    span interval, OUT lease_epoch bigint, OUT is_mine boolean, OUT holder_name text, OUT holder_sites text,
    OUT mark bigint, OUT left_us bigint, OUT standbys text, OUT has_handover boolean, OUT is_held boolean)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    tolerance CONSTANT bigint := 60;
    seen bigint;
BEGIN
    SELECT l.renewals INTO seen FROM homeward.lease l WHERE l.shard = wanted_shard;
    IF coalesce(seen, 0) + tolerance < my_mark THEN
        INSERT INTO homeward.restore_hold (before, behind)
        VALUES (now() - interval '1 hour', my_mark - coalesce(seen, 0))
        ON CONFLICT DO NOTHING;
    END IF;
    UPDATE homeward.lease l SET expires_at = clock_timestamp() + span, renewals = greatest(l.renewals, my_mark) + 1,
        name = my_name, sites = my_sites
    WHERE l.shard = wanted_shard AND l.epoch = my_epoch AND l.instance = me;
    IF NOT FOUND THEN
        INSERT INTO homeward.lease AS l (shard, epoch, instance, name, sites, renewals, taken_at, expires_at)
        VALUES (wanted_shard, coalesce(my_epoch, 0) + 1, me, my_name, my_sites, coalesce(my_mark, 0) + 1,
            clock_timestamp(), clock_timestamp() + span)
        ON CONFLICT (shard) DO UPDATE SET epoch = greatest(l.epoch, my_epoch) + 1, instance = me, name = my_name,
            sites = my_sites, renewals = greatest(l.renewals, my_mark) + 1, taken_at = excluded.taken_at,
            expires_at = excluded.expires_at
        WHERE l.expires_at <= now() OR l.epoch < my_epoch OR is_start AND l.instance = me;
    END IF;
    is_mine := FOUND;
    SELECT l.epoch, l.name, l.sites, l.renewals, extract(epoch FROM l.expires_at - clock_timestamp()) * 1000000
    INTO lease_epoch, holder_name, holder_sites, mark, left_us
    FROM homeward.lease l WHERE l.shard = wanted_shard;
    IF is_mine THEN
        DELETE FROM homeward.lease_standby s WHERE s.shard = wanted_shard AND s.instance = me;
    ELSE
        -- Whoever waits may remember more of a database that was restored than its holder does: spoken of once is enough.
        UPDATE homeward.lease l SET renewals = my_mark WHERE l.shard = wanted_shard AND l.renewals < my_mark;
        mark := greatest(mark, my_mark);
        INSERT INTO homeward.lease_standby AS s (shard, instance, name, seen_at)
        VALUES (wanted_shard, me, my_name, now())
        ON CONFLICT (shard, instance) DO UPDATE SET name = my_name, seen_at = now();
    END IF;
    SELECT string_agg(s.name, ', ' ORDER BY s.name) INTO standbys FROM homeward.lease_standby s
    WHERE s.shard = wanted_shard AND s.seen_at > now() - interval '10 s';
    has_handover := EXISTS (SELECT FROM homeward.handover h WHERE h.shard = wanted_shard);
    is_held := EXISTS (SELECT FROM homeward.restore_hold r WHERE r.ended_at IS NULL);
END $$;

-- As before, whatever that was, and the lease.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_lease;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.grant_rights_before_lease();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT, INSERT, UPDATE ON homeward.lease TO homeward_ingest;
        GRANT SELECT, INSERT, UPDATE, DELETE ON homeward.lease_standby TO homeward_ingest;
        GRANT SELECT, INSERT, DELETE ON homeward.handover TO homeward_ingest;
        GRANT SELECT, INSERT, UPDATE ON homeward.restore_hold TO homeward_ingest;
        GRANT EXECUTE ON FUNCTION homeward.hold_lease, homeward.renew_lease TO homeward_ingest;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights, homeward.hold_lease, homeward.renew_lease FROM PUBLIC;
