-- Everything the nodes keep, in the schema `mandate`, owned by the role that migrates. The tenant is the first
-- column of every key, and row-level security is forced on every table that has one: a transaction sees the tenant
-- it has set as `mandate.tenant`, and none without one. Texts compare byte by byte, as in SQLite.
-- Migrations only go forward: a released file is never edited, a change is a new file.

CREATE TABLE tenants (
    tenant      text COLLATE "C" NOT NULL PRIMARY KEY CHECK (tenant <> ''),
    revocations bigint NOT NULL DEFAULT 0,   -- rises with each revocation; commits compare it
    generation  bigint NOT NULL DEFAULT 0    -- rises with each change of resources; caches compare it
);

-- What never changes about a run. Apart from run_state, so that a step doesn't rewrite the header.
CREATE TABLE runs (
    tenant    text COLLATE "C" NOT NULL REFERENCES tenants (tenant),
    run       text COLLATE "C" NOT NULL,
    worker    text COLLATE "C" NOT NULL,
    initiator text COLLATE "C" NOT NULL,
    start_key text COLLATE "C",
    new       bytea NOT NULL,                -- NewRun, JSON
    PRIMARY KEY (tenant, run)
);
CREATE INDEX runs_of_worker ON runs (tenant, worker, run);
CREATE UNIQUE INDEX runs_start_key ON runs (tenant, initiator, start_key) WHERE start_key IS NOT NULL;

-- What a step changes: one small row. Pages keep room, so that the new version of a row stays on its page and no
-- index is touched.
CREATE TABLE run_state (
    tenant      text COLLATE "C" NOT NULL,
    run         text COLLATE "C" NOT NULL,
    state       text COLLATE "C" NOT NULL,   -- status.state once more, for the index
    status      bytea  NOT NULL,             -- RunStatus, JSON
    journal_seq bigint NOT NULL,
    epoch       bigint NOT NULL,
    chain_next  bigint NOT NULL,
    chain_last  bytea,
    PRIMARY KEY (tenant, run),
    FOREIGN KEY (tenant, run) REFERENCES runs (tenant, run)
) WITH (fillfactor = 70);
CREATE INDEX run_state_running ON run_state (tenant, run) WHERE state = 'running';

-- The tables below that a step writes carry no foreign key to the run: the fence has just updated its row.
CREATE TABLE journal (
    tenant text COLLATE "C" NOT NULL,
    run    text COLLATE "C" NOT NULL,
    seq    bigint NOT NULL,
    event  bytea  NOT NULL,                  -- JournalEvent, JSON
    PRIMARY KEY (tenant, run, seq)
);

CREATE TABLE payloads (
    tenant     text COLLATE "C" NOT NULL,
    commitment bytea NOT NULL,
    subject    text COLLATE "C" NOT NULL,
    ciphertext bytea NOT NULL,
    PRIMARY KEY (tenant, commitment)
);

-- A decision is spent once (I1).
CREATE TABLE admissions (
    tenant  text COLLATE "C" NOT NULL,
    run     text COLLATE "C" NOT NULL,
    step    bigint NOT NULL,
    attempt bigint NOT NULL,
    request bytea  NOT NULL,
    PRIMARY KEY (tenant, run, step, attempt)
);

CREATE TABLE leases (
    tenant     text COLLATE "C" NOT NULL,
    run        text COLLATE "C" NOT NULL,
    lease      text COLLATE "C" NOT NULL,
    step       bigint NOT NULL,
    attempt    bigint NOT NULL,
    credential text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    not_after  bigint NOT NULL,
    ended_at   bigint,
    PRIMARY KEY (tenant, run, lease)
);
CREATE INDEX leases_open ON leases (tenant, run) WHERE ended_at IS NULL;

CREATE TABLE timers (
    tenant text COLLATE "C" NOT NULL,
    run    text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    due    bigint NOT NULL,
    PRIMARY KEY (tenant, run, name)
);
CREATE INDEX timers_due ON timers (due, tenant, run);

-- What runs wait for when a person has to speak. What was asked never changes; the answer comes once.
CREATE TABLE approvals (
    tenant     text COLLATE "C" NOT NULL,
    approval   text COLLATE "C" NOT NULL,
    run        text COLLATE "C" NOT NULL,
    state      text COLLATE "C" NOT NULL,    -- pending, approved, denied, expired, withdrawn
    asked      bytea NOT NULL,               -- ApprovalRecord as it was asked, JSON
    decided_by text COLLATE "C",
    decided_at bigint,
    answer     bytea,                        -- Stored, JSON
    proof      bytea,                        -- the core's code over the approval
    PRIMARY KEY (tenant, approval)
);
CREATE INDEX approvals_of_run ON approvals (tenant, run);

CREATE TABLE epochs (
    tenant text COLLATE "C" NOT NULL REFERENCES tenants (tenant),
    kind   text COLLATE "C" NOT NULL,
    name   text COLLATE "C" NOT NULL,
    epoch  bigint NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);

-- Browser sessions. A key is the digest of a secret that only the browser has.
CREATE TABLE sessions (
    tenant      text COLLATE "C" NOT NULL,
    key         bytea  NOT NULL,
    subject     text COLLATE "C" NOT NULL,   -- kind:name, as epochs name people
    who         bytea  NOT NULL,             -- principal, name and groups at sign-in, JSON
    revocations bigint NOT NULL,             -- the person's and the tenant's epochs at sign-in, added
    created_at  bigint NOT NULL,
    used_at     bigint NOT NULL,
    expires_at  bigint NOT NULL,
    proof       bytea,                       -- the core's code over the session
    PRIMARY KEY (tenant, key)
);
CREATE INDEX sessions_of_subject ON sessions (tenant, subject, created_at);

-- The newest version of each resource, a deletion included.
CREATE TABLE resources (
    tenant  text COLLATE "C" NOT NULL REFERENCES tenants (tenant),
    kind    text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version bigint  NOT NULL,
    deleted boolean NOT NULL,
    PRIMARY KEY (tenant, kind, name)
);

-- Every version ever written; spec and digest are NULL for a deletion.
CREATE TABLE resource_versions (
    tenant     text COLLATE "C" NOT NULL,
    kind       text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    digest     bytea,
    spec       bytea,
    written_by text COLLATE "C" NOT NULL,
    written_at bigint NOT NULL,
    PRIMARY KEY (tenant, kind, name, version),
    FOREIGN KEY (tenant, kind, name) REFERENCES resources (tenant, kind, name)
);
CREATE INDEX resource_versions_digest ON resource_versions (tenant, kind, name, digest);

-- What is shredded leaves the table with the next vacuum, which is not to wait for more of it.
CREATE TABLE secrets (
    tenant     text COLLATE "C" NOT NULL REFERENCES tenants (tenant),
    kind       text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    version    bigint NOT NULL,
    sealed     bytea  NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (tenant, kind, name, version)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 0);

-- Durable entries that have no place in the tree yet. Keys rise along a run, because its row is locked while they
-- are given; between runs they say nothing about the order of commits. None is ever given twice.
CREATE TABLE ledger_pending (
    key       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant    text COLLATE "C" NOT NULL,
    run       text COLLATE "C",              -- NULL outside a run's chain
    chain_seq bigint,
    bytes     bytea NOT NULL
);
CREATE INDEX ledger_pending_tenant ON ledger_pending (tenant, key);

CREATE TABLE ledger_entries (
    tenant    text COLLATE "C" NOT NULL,
    idx       bigint NOT NULL,
    run       text COLLATE "C",
    chain_seq bigint,
    bytes     bytea  NOT NULL,
    PRIMARY KEY (tenant, idx)
);
CREATE INDEX ledger_entries_run ON ledger_entries (tenant, run, chain_seq) WHERE run IS NOT NULL;

CREATE TABLE ledger_nodes (
    tenant text COLLATE "C" NOT NULL,
    level  smallint NOT NULL,
    idx    bigint   NOT NULL,
    hash   bytea    NOT NULL,
    PRIMARY KEY (tenant, level, idx)
);

CREATE TABLE ledger_heads (
    tenant        text COLLATE "C" NOT NULL PRIMARY KEY,
    size          bigint NOT NULL,
    frontier      bytea  NOT NULL,           -- Frontier, JSON
    signed        text,
    signed_size   bigint NOT NULL DEFAULT 0,
    cosigned      text,
    cosigned_size bigint NOT NULL DEFAULT 0
);

-- I5. The policy holds for every role, the owner included.
DO $$
DECLARE
    confined text;
BEGIN
    FOREACH confined IN ARRAY ARRAY['tenants', 'runs', 'run_state', 'journal', 'payloads', 'admissions', 'leases',
        'timers', 'approvals', 'epochs', 'sessions', 'resources', 'resource_versions', 'secrets', 'ledger_pending',
        'ledger_entries', 'ledger_nodes', 'ledger_heads']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', confined);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', confined);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = nullif(current_setting(''mandate.tenant'', true), ''''))',
            confined);
    END LOOP;
END $$;

-- The closed list of questions without a tenant: functions of the owner that return ids and times, nothing else.
-- While one of them runs, and only then, the owner may read across tenants in the few tables it needs.
DO $$
DECLARE
    readable text;
BEGIN
    FOREACH readable IN ARRAY ARRAY['tenants', 'run_state', 'leases', 'timers', 'epochs']
    LOOP
        EXECUTE format('CREATE POLICY system_reads ON %I FOR SELECT TO CURRENT_USER
            USING (current_setting(''mandate.system'', true) = ''on'')', readable);
    END LOOP;
END $$;

-- (The setting is made in the body, because naming an unregistered one in a definition takes a superuser.)
CREATE FUNCTION system_tenants() RETURNS TABLE (tenant text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        RETURN QUERY SELECT t.tenant FROM tenants t ORDER BY t.tenant;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- Beside running runs and open leases: runs that were stopped and have not ended, because what stopped them did not
-- get that far.
CREATE FUNCTION system_unfinished() RETURNS TABLE (tenant text, run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        RETURN QUERY SELECT s.tenant, s.run FROM run_state s WHERE s.state = 'running'
            UNION SELECT l.tenant, l.run FROM leases l WHERE l.ended_at IS NULL
            UNION SELECT s.tenant, s.run FROM epochs e JOIN run_state s ON s.tenant = e.tenant AND s.run = e.name
                WHERE e.kind = 'run' AND s.state IN ('waiting', 'paused')
            ORDER BY 1, 2;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

CREATE FUNCTION system_due(latest bigint, most bigint) RETURNS TABLE (tenant text, run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        RETURN QUERY SELECT t.tenant, t.run FROM timers t WHERE t.due <= latest
            GROUP BY t.tenant, t.run ORDER BY min(t.due), t.tenant, t.run LIMIT most;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

CREATE FUNCTION system_next_due() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    DECLARE
        earliest bigint;
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        SELECT t.due INTO earliest FROM timers t ORDER BY t.due LIMIT 1;
        PERFORM set_config('mandate.system', 'off', true);
        RETURN earliest;
    END $$;
