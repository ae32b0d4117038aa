-- The audit chain: every table whose rows are history (those with the trigger `history`, but for the partitioned ones) is
-- sealed in batches, each of whose hashes covers its rows and the hash before. The operator's guide has the encoding.

CREATE TABLE homeward.audit_batch (
    number bigint PRIMARY KEY CHECK (number > 0),
    previous bytea NOT NULL CHECK (length(previous) = 32),
    relation text COLLATE "C" NOT NULL,
    -- As they were when it was sealed: a column that is added later is not in it.
    key_columns text[] NOT NULL,
    columns text[] NOT NULL,
    -- The rows of this cluster after one position, up to another: transaction, then key.
    cluster bigint NOT NULL,
    after_xid xid8 NOT NULL,
    after_key text COLLATE "C" NOT NULL,
    last_xid xid8 NOT NULL,
    last_key text COLLATE "C" NOT NULL,
    rows integer NOT NULL CHECK (rows > 0),
    sealed_at timestamptz NOT NULL,
    hash bytea NOT NULL CHECK (length(hash) = 32)
);
CREATE INDEX audit_batch_relation ON homeward.audit_batch (relation, cluster, number);
CREATE TRIGGER history BEFORE UPDATE OR DELETE OR TRUNCATE ON homeward.audit_batch
    FOR EACH STATEMENT EXECUTE FUNCTION homeward.refuse_change();

-- What is sealed from now on.
CREATE TABLE homeward.audit_source (
    relation text COLLATE "C" PRIMARY KEY,
    key_columns text[] NOT NULL,
    columns text[] NOT NULL
);

-- Transaction numbers are a cluster's own: those of a restored dump say nothing of the cluster that it was restored into.
CREATE FUNCTION homeward.this_cluster() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT system_identifier FROM pg_control_system()
$$;

-- An expression: each column as text, `LENGTH:TEXT;`, and `-;` for a null.
CREATE FUNCTION homeward.audit_encoding(columns text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(
        format('coalesce(octet_length(%1$I::text) || '':'' || %1$I::text, ''-'') || '';''', name), ' || ' ORDER BY place)
    FROM unnest(columns) WITH ORDINALITY AS c (name, place)
$$;
REVOKE EXECUTE ON FUNCTION homeward.audit_encoding FROM PUBLIC;

-- Takes every table with the trigger `history` into the chain, and notes which columns it has now. The columns that it
-- adds say in which transaction a row came, and when that began: no row of an earlier one can come once all up to it have
-- ended, whereas numbers from a sequence may be committed out of their order. Whatever inserts names its columns, or leaves
-- these three out.
CREATE FUNCTION homeward.chain_history() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    source record;
BEGIN
    FOR source IN
        SELECT c.oid, c.relname::text AS name
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = 'homeward'::regnamespace AND c.relkind = 'r' AND NOT c.relispartition
            AND t.tgname = 'history' AND c.relname <> 'audit_batch'
        ORDER BY c.relname
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = source.oid AND attname = 'sealing_xid' AND NOT attisdropped)
        THEN
            EXECUTE format(
                'ALTER TABLE homeward.%I ADD COLUMN sealing_cluster bigint NOT NULL DEFAULT homeward.this_cluster(), '
                'ADD COLUMN sealing_xid xid8 NOT NULL DEFAULT pg_current_xact_id(), '
                'ADD COLUMN sealing_at timestamptz NOT NULL DEFAULT now()', source.name);
        END IF;
        INSERT INTO homeward.audit_source AS known (relation, key_columns, columns)
        SELECT source.name, keys.names, columns.names
        FROM (
            SELECT array_agg(a.attname::text ORDER BY k.place) AS names
            FROM pg_index i
            CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (number, place)
            JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
            WHERE i.indrelid = source.oid AND i.indisprimary
        ) keys
        CROSS JOIN (
            SELECT array_agg(attname::text ORDER BY attnum) AS names
            FROM pg_attribute WHERE attrelid = source.oid AND attnum > 0 AND NOT attisdropped
        ) columns
        ON CONFLICT (relation) DO UPDATE SET key_columns = excluded.key_columns, columns = excluded.columns
            WHERE (known.key_columns, known.columns) IS DISTINCT FROM (excluded.key_columns, excluded.columns);
        -- By position: rows that were there before have one transaction in common, however many they are. So a key's text
        -- must not depend on settings.
        EXECUTE (
            SELECT format(
                'CREATE INDEX IF NOT EXISTS %I ON homeward.%I (sealing_cluster, sealing_xid, (%s) COLLATE "C")',
                source.name || '_sealing', source.name, homeward.audit_encoding(key_columns))
            FROM homeward.audit_source WHERE relation = source.name);
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.chain_history FROM PUBLIC;

-- Seals what was committed since, up to `most` rows of each table, and says how many rows those were. One sealer at a time:
-- others return at once. SECURITY DEFINER: the daemon's role can neither write nor change a batch.
CREATE FUNCTION homeward.seal_audit(most integer DEFAULT 1000) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, MDY'
SET intervalstyle = 'postgres' SET bytea_output = 'hex' SET extra_float_digits = 1 SET enable_sort = off AS $$
DECLARE
    source record;
    batch record;
    portion record;
    horizon xid8;
    of_cluster bigint;
    last_number bigint;
    last_hash bytea;
    sealed bigint := 0;
    instant timestamptz;
    head text;
BEGIN
    IF most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'rows of a batch out of range' USING ERRCODE = '22003';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('homeward.seal_audit')) THEN
        RETURN 0;
    END IF;
    SELECT number, hash INTO last_number, last_hash FROM homeward.audit_batch ORDER BY number DESC LIMIT 1;
    IF last_number IS NULL THEN
        last_number := 0;
        last_hash := decode(repeat('00', 32), 'hex');
    END IF;
    -- Every transaction before this one has ended, whatever it has written is seen by the statements below.
    horizon := pg_snapshot_xmin(pg_current_snapshot());
    FOR source IN SELECT * FROM homeward.audit_source ORDER BY relation LOOP
        of_cluster := '-9223372036854775808'::bigint;
        LOOP
            EXECUTE format('SELECT min(sealing_cluster) FROM homeward.%I WHERE sealing_cluster > $1', source.relation)
                INTO of_cluster USING of_cluster;
            EXIT WHEN of_cluster IS NULL;
            SELECT b.last_xid AS xid, b.last_key AS key INTO batch FROM homeward.audit_batch b
            WHERE b.relation = source.relation AND b.cluster = of_cluster ORDER BY b.number DESC LIMIT 1;
            IF NOT FOUND THEN
                SELECT '0'::xid8 AS xid, '' AS key INTO batch;
            END IF;
            -- By the index, hence enable_sort: without statistics of the new columns it would sort all that is left.
            EXECUTE format(
                'WITH picked AS ('
                '    SELECT sealing_xid AS xid, (%1$s) COLLATE "C" AS key, %2$s AS content FROM homeward.%3$I'
                '    WHERE sealing_cluster = $1 AND (sealing_xid, (%1$s) COLLATE "C") > ($2, $3 COLLATE "C")'
                '        AND sealing_xid < $4'
                '    ORDER BY sealing_xid, (%1$s) COLLATE "C" LIMIT $5'
                ') '
                'SELECT count(*)::integer AS rows, (array_agg(xid ORDER BY xid DESC, key DESC))[1] AS xid,'
                '    (array_agg(key ORDER BY xid DESC, key DESC))[1] AS key,'
                '    string_agg(octet_length(content) || '':'' || content || '';'', '''' ORDER BY xid, key) AS content '
                'FROM picked',
                homeward.audit_encoding(source.key_columns), homeward.audit_encoding(source.columns), source.relation)
                INTO portion USING of_cluster, batch.xid, batch.key,
                CASE of_cluster WHEN homeward.this_cluster() THEN horizon ELSE '18446744073709551615'::xid8 END, most;
            CONTINUE WHEN portion.rows = 0;
            last_number := last_number + 1;
            instant := clock_timestamp();
            SELECT string_agg(octet_length(part) || ':' || part || ';', '' ORDER BY place) INTO head
            FROM unnest(ARRAY[
                'homeward-audit-1', last_number::text, encode(last_hash, 'hex'), source.relation,
                array_to_string(source.key_columns, ','), array_to_string(source.columns, ','), of_cluster::text,
                batch.xid::text, batch.key, portion.xid::text, portion.key, portion.rows::text,
                (extract(epoch FROM instant) * 1000000)::bigint::text
            ]) WITH ORDINALITY AS p (part, place);
            INSERT INTO homeward.audit_batch (number, previous, relation, key_columns, columns, cluster, after_xid,
                after_key, last_xid, last_key, rows, sealed_at, hash)
            VALUES (last_number, last_hash, source.relation, source.key_columns, source.columns, of_cluster, batch.xid,
                batch.key, portion.xid, portion.key, portion.rows, instant, sha256(convert_to(head || portion.content, 'UTF8')))
            RETURNING hash INTO last_hash;
            sealed := sealed + portion.rows;
        END LOOP;
    END LOOP;
    RETURN sealed;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.seal_audit FROM PUBLIC;

-- For how many seconds the row waits that has waited longest to be sealed; 0: none does.
CREATE FUNCTION homeward.audit_unsealed_seconds() RETURNS double precision
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_sort = off AS $$
DECLARE
    source record;
    batch record;
    of_cluster bigint;
    since timestamptz;
    oldest timestamptz := 'infinity';
BEGIN
    FOR source IN SELECT * FROM homeward.audit_source LOOP
        of_cluster := '-9223372036854775808'::bigint;
        LOOP
            EXECUTE format('SELECT min(sealing_cluster) FROM homeward.%I WHERE sealing_cluster > $1', source.relation)
                INTO of_cluster USING of_cluster;
            EXIT WHEN of_cluster IS NULL;
            SELECT b.last_xid AS xid, b.last_key AS key INTO batch FROM homeward.audit_batch b
            WHERE b.relation = source.relation AND b.cluster = of_cluster ORDER BY b.number DESC LIMIT 1;
            IF NOT FOUND THEN
                SELECT '0'::xid8 AS xid, '' AS key INTO batch;
            END IF;
            EXECUTE format(
                'SELECT sealing_at FROM homeward.%2$I '
                'WHERE sealing_cluster = $1 AND (sealing_xid, (%1$s) COLLATE "C") > ($2, $3 COLLATE "C") '
                'ORDER BY sealing_xid, (%1$s) COLLATE "C" LIMIT 1',
                homeward.audit_encoding(source.key_columns), source.relation)
                INTO since USING of_cluster, batch.xid, batch.key;
            oldest := least(oldest, since);
        END LOOP;
    END LOOP;
    RETURN CASE WHEN isfinite(oldest) THEN greatest(0, extract(epoch FROM clock_timestamp() - oldest)) ELSE 0 END;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.audit_unsealed_seconds FROM PUBLIC;

-- As before, whatever that was, and the chain.
ALTER FUNCTION homeward.grant_rights() RENAME TO grant_rights_before_audit;
CREATE FUNCTION homeward.grant_rights() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM homeward.chain_history();
    PERFORM homeward.grant_rights_before_audit();
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'homeward_ingest') THEN
        GRANT SELECT ON homeward.audit_batch, homeward.audit_source TO homeward_ingest;
        GRANT EXECUTE ON FUNCTION homeward.seal_audit, homeward.audit_unsealed_seconds TO homeward_ingest;
    END IF;
END $$;
REVOKE EXECUTE ON FUNCTION homeward.grant_rights FROM PUBLIC;
