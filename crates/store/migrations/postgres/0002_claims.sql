-- Which node drives a run, and until when by this server's clock. A row whose time has passed binds nobody.
CREATE TABLE claims (
    tenant text COLLATE "C" NOT NULL,
    run    text COLLATE "C" NOT NULL,
    node   text COLLATE "C" NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (tenant, run)
) WITH (fillfactor = 70);
CREATE INDEX claims_of_node ON claims (node);

ALTER TABLE claims ENABLE ROW LEVEL SECURITY;
ALTER TABLE claims FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON claims USING (tenant = nullif(current_setting('mandate.tenant', true), ''));
CREATE POLICY system_claims ON claims TO CURRENT_USER
    USING (current_setting('mandate.system', true) = 'on') WITH CHECK (current_setting('mandate.system', true) = 'on');
-- A claim raises the epoch of the run.
CREATE POLICY system_claims ON run_state FOR UPDATE TO CURRENT_USER
    USING (current_setting('mandate.system', true) = 'on') WITH CHECK (current_setting('mandate.system', true) = 'on');

-- Claims runs that want driving and that nobody holds. Their rows are locked first and looked at again after: what the
-- first look saw may be older than the lock. Rows that another node is claiming are passed over.
CREATE FUNCTION system_claim(claimant text, lease_ms bigint, due_by bigint, most bigint)
    RETURNS TABLE (tenant text, run text, epoch bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    DECLARE
        tenants_locked text[];
        runs_locked text[];
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        WITH wanted AS (
            SELECT s.tenant, s.run FROM run_state s WHERE s.state = 'running'
            UNION SELECT l.tenant, l.run FROM leases l WHERE l.ended_at IS NULL
            UNION SELECT t.tenant, t.run FROM timers t WHERE t.due <= due_by
            UNION SELECT s.tenant, s.run FROM epochs e JOIN run_state s ON s.tenant = e.tenant AND s.run = e.name
                WHERE e.kind = 'run' AND s.state IN ('waiting', 'paused')
        ), locked AS (
            SELECT s.tenant, s.run FROM wanted w JOIN run_state s ON s.tenant = w.tenant AND s.run = w.run
            WHERE NOT EXISTS (SELECT 1 FROM claims c
                WHERE c.tenant = s.tenant AND c.run = s.run AND c.until > clock_timestamp())
            LIMIT most FOR UPDATE OF s SKIP LOCKED
        )
        SELECT array_agg(k.tenant), array_agg(k.run) INTO tenants_locked, runs_locked FROM locked k;
        RETURN QUERY
        WITH free AS (
            SELECT k.tenant, k.run FROM unnest(tenants_locked, runs_locked) AS k (tenant, run)
            WHERE NOT EXISTS (SELECT 1 FROM claims c
                WHERE c.tenant = k.tenant AND c.run = k.run AND c.until > clock_timestamp())
        ), raised AS (
            UPDATE run_state s SET epoch = s.epoch + 1 FROM free f WHERE s.tenant = f.tenant AND s.run = f.run
            RETURNING s.tenant, s.run, s.epoch
        ), claimed AS (
            INSERT INTO claims AS c (tenant, run, node, until)
            SELECT r.tenant, r.run, claimant, clock_timestamp() + lease_ms * interval '1 millisecond' FROM raised r
            ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE SET node = excluded.node, until = excluded.until
        )
        SELECT r.tenant, r.run, r.epoch FROM raised r;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- Holds runs that the node drives already: those it begot, at the epoch it drives them with, and those it claimed, for
-- longer. Gives those that are its own now.
CREATE FUNCTION system_hold(claimant text, lease_ms bigint, tenants_held text[], runs_held text[], epochs_held bigint[])
    RETURNS TABLE (tenant text, run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        PERFORM 1 FROM run_state s JOIN unnest(tenants_held, runs_held) AS k (tenant, run)
            ON s.tenant = k.tenant AND s.run = k.run ORDER BY s.tenant, s.run FOR UPDATE OF s;
        RETURN QUERY
        INSERT INTO claims AS c (tenant, run, node, until)
        SELECT s.tenant, s.run, claimant, clock_timestamp() + lease_ms * interval '1 millisecond'
            FROM unnest(tenants_held, runs_held, epochs_held) AS k (tenant, run, epoch)
            JOIN run_state s ON s.tenant = k.tenant AND s.run = k.run AND s.epoch = k.epoch
        ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE SET node = excluded.node, until = excluded.until
            WHERE c.node = excluded.node OR c.until <= clock_timestamp()
        RETURNING c.tenant, c.run;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- Lets go of runs, so that others need not wait for the time to pass.
CREATE FUNCTION system_release(claimant text, tenants_held text[], runs_held text[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        DELETE FROM claims c USING unnest(tenants_held, runs_held) AS k (tenant, run)
            WHERE c.tenant = k.tenant AND c.run = k.run AND c.node = claimant;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;
