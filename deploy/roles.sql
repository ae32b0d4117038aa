-- The separate least-privilege roles. Run once as a superuser in the database that Homeward uses, before or after
-- `homeward migrate`:
--
--     psql -d homeward -f deploy/roles.sql
--
-- Then: `migrate` connects as homeward_owner, `serve`, `enrol` and `user` as homeward_ingest itself (a member of it is
-- bound by row-level security and refused), other programs as members of homeward_read. Nobody connects as homeward_web:
-- `serve` takes it on for each request to the care managers' page. Passwords or certificates are set apart (\password),
-- never here. One role that owns the database is enough for a small installation; then this script is not needed.
\set ON_ERROR_STOP on
BEGIN;
SELECT format('CREATE ROLE %I NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS %s', name, attributes)
FROM (VALUES
    ('homeward_owner', 'LOGIN CONNECTION LIMIT 4'),
    ('homeward_ingest', 'LOGIN CONNECTION LIMIT 100'),
    ('homeward_web', 'NOLOGIN'),
    ('homeward_read', 'NOLOGIN')
) AS wanted (name, attributes)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name)
\gexec
-- COPY refuses a role that row-level security binds; the ingest role serves every site and is exempt.
ALTER ROLE homeward_ingest BYPASSRLS;
-- Of an earlier version of this script.
ALTER ROLE homeward_web NOLOGIN;
-- A few instances, each with the connections of its page, and `doctor`.
ALTER ROLE homeward_ingest CONNECTION LIMIT 100;
ALTER ROLE homeward_ingest SET statement_timeout = '4s';
ALTER ROLE homeward_ingest SET lock_timeout = '2s';
ALTER ROLE homeward_ingest SET idle_in_transaction_session_timeout = '10s';
GRANT homeward_web TO homeward_ingest;
ALTER ROLE homeward_read SET statement_timeout = '60s';
SELECT format('ALTER DATABASE %I OWNER TO homeward_owner', current_database()) \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO homeward_ingest, homeward_read', current_database())
\gexec
-- A schema that another role migrated before becomes the owner's, partitions and all.
SELECT format('ALTER %s homeward.%I OWNER TO homeward_owner',
    CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, relname)
FROM pg_class
WHERE relnamespace = to_regnamespace('homeward') AND relkind IN ('r', 'p', 'v') \gexec
SELECT format('ALTER FUNCTION %s OWNER TO homeward_owner', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = to_regnamespace('homeward') AND
    (p.proname IN ('make_partitions', 'refuse_change', 'flag_names', 'web_viewer', 'make_policies', 'tell_page',
            'make_desk_policies', 'hold_lease', 'renew_lease', 'held_before', 'this_cluster', 'audit_encoding',
            'chain_history', 'seal_audit', 'audit_unsealed_seconds', 'web_selected', 'web_site', 'is_site',
            'may_select', 'may_approve', 'pack_patients', 'make_plan_policies', 'make_look_policies',
            'note_search', 'note_refusal')
        OR starts_with(p.proname, 'grant_rights')) \gexec
SELECT 'ALTER SCHEMA homeward OWNER TO homeward_owner' WHERE to_regnamespace('homeward') IS NOT NULL \gexec
SELECT 'SELECT homeward.grant_rights()' WHERE to_regprocedure('homeward.grant_rights()') IS NOT NULL \gexec
COMMIT;
