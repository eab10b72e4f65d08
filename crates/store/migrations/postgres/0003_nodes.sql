-- What several nodes need beside the claims themselves: to ask each other for a run, and one that leads in sequencing.

-- Whoever lets go of a run names the epoch it held it at, so that it never lets go of what it has taken anew.
ALTER TABLE claims ADD COLUMN epoch bigint NOT NULL DEFAULT 0;
-- Who asks for the run, and until when it still wants it.
ALTER TABLE claims ADD COLUMN wanted_by text COLLATE "C", ADD COLUMN wanted_until timestamptz;

-- Which node sequences a tenant's ledger. It only saves work: the head of the tree is compared whoever writes it.
CREATE TABLE leads (
    tenant text COLLATE "C" NOT NULL PRIMARY KEY,
    node   text COLLATE "C" NOT NULL,
    until  timestamptz NOT NULL
);
ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
ALTER TABLE leads FORCE ROW LEVEL SECURITY;
CREATE POLICY own_tenant ON leads USING (tenant = nullif(current_setting('mandate.tenant', true), ''));
CREATE POLICY system_leads ON leads TO CURRENT_USER
    USING (current_setting('mandate.system', true) = 'on') WITH CHECK (current_setting('mandate.system', true) = 'on');

DROP FUNCTION system_claim(text, bigint, bigint, bigint);
DROP FUNCTION system_hold(text, bigint, text[], text[], bigint[]);
DROP FUNCTION system_release(text, text[], text[]);

-- As before, for the tenants that the node serves.
CREATE FUNCTION system_claim(claimant text, lease_ms bigint, due_by bigint, most bigint, served text[])
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
            WHERE w.tenant = ANY (served) AND NOT EXISTS (SELECT 1 FROM claims c
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
            INSERT INTO claims AS c (tenant, run, node, until, epoch)
            SELECT r.tenant, r.run, claimant, clock_timestamp() + lease_ms * interval '1 millisecond', r.epoch
                FROM raised r
            ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE SET node = excluded.node, until = excluded.until,
                epoch = excluded.epoch, wanted_by = NULL, wanted_until = NULL
        )
        SELECT r.tenant, r.run, r.epoch FROM raised r;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

CREATE FUNCTION system_hold(claimant text, lease_ms bigint, tenants_held text[], runs_held text[], epochs_held bigint[])
    RETURNS TABLE (tenant text, run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        PERFORM 1 FROM run_state s JOIN unnest(tenants_held, runs_held) AS k (tenant, run)
            ON s.tenant = k.tenant AND s.run = k.run ORDER BY s.tenant, s.run FOR UPDATE OF s;
        RETURN QUERY
        INSERT INTO claims AS c (tenant, run, node, until, epoch)
        SELECT s.tenant, s.run, claimant, clock_timestamp() + lease_ms * interval '1 millisecond', s.epoch
            FROM unnest(tenants_held, runs_held, epochs_held) AS k (tenant, run, epoch)
            JOIN run_state s ON s.tenant = k.tenant AND s.run = k.run AND s.epoch = k.epoch
        ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE
            SET node = excluded.node, until = excluded.until, epoch = excluded.epoch
            WHERE c.node = excluded.node OR c.until <= clock_timestamp()
        RETURNING c.tenant, c.run;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- One run, whatever state it is in; no row when another node holds it. Its row is locked first, as in every claim.
CREATE FUNCTION system_acquire(claimant text, lease_ms bigint, of_tenant text, of_run text)
    RETURNS TABLE (epoch bigint)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        PERFORM 1 FROM run_state s WHERE s.tenant = of_tenant AND s.run = of_run FOR UPDATE;
        RETURN QUERY
        WITH raised AS (
            UPDATE run_state s SET epoch = s.epoch + 1 WHERE s.tenant = of_tenant AND s.run = of_run
                AND NOT EXISTS (SELECT 1 FROM claims c WHERE c.tenant = of_tenant AND c.run = of_run
                    AND c.node <> claimant AND c.until > clock_timestamp())
            RETURNING s.epoch
        ), claimed AS (
            INSERT INTO claims AS c (tenant, run, node, until, epoch)
            SELECT of_tenant, of_run, claimant, clock_timestamp() + lease_ms * interval '1 millisecond', r.epoch
                FROM raised r
            ON CONFLICT ON CONSTRAINT claims_pkey DO UPDATE SET node = excluded.node, until = excluded.until,
                epoch = excluded.epoch, wanted_by = NULL, wanted_until = NULL
        )
        SELECT r.epoch FROM raised r;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- Asks whoever holds a run to let go of it. Nodes that listen look at once, the others at their next round.
CREATE FUNCTION system_ask(claimant text, of_tenant text, of_run text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    DECLARE
        held boolean;
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        UPDATE claims c SET wanted_by = claimant, wanted_until = clock_timestamp() + interval '5 seconds'
            WHERE c.tenant = of_tenant AND c.run = of_run AND c.node <> claimant AND c.until > clock_timestamp();
        held := FOUND;
        PERFORM set_config('mandate.system', 'off', true);
        IF held THEN
            PERFORM pg_notify('mandate_nodes', '');
        END IF;
        RETURN held;
    END $$;

CREATE FUNCTION system_asked(holder text) RETURNS TABLE (tenant text, run text)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        RETURN QUERY SELECT c.tenant, c.run FROM claims c
            WHERE c.node = holder AND c.wanted_by IS NOT NULL AND c.wanted_until > clock_timestamp();
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

-- Lets go of runs. One that another node asks for is that node's own at once, for long enough to take it.
CREATE FUNCTION system_release(claimant text, tenants_held text[], runs_held text[], epochs_held bigint[]) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        UPDATE claims c SET node = c.wanted_by, until = clock_timestamp() + interval '5 seconds',
                wanted_by = NULL, wanted_until = NULL
            FROM unnest(tenants_held, runs_held, epochs_held) AS k (tenant, run, epoch)
            WHERE c.tenant = k.tenant AND c.run = k.run AND c.epoch = k.epoch AND c.node = claimant
                AND c.wanted_by IS NOT NULL AND c.wanted_until > clock_timestamp();
        DELETE FROM claims c USING unnest(tenants_held, runs_held, epochs_held) AS k (tenant, run, epoch)
            WHERE c.tenant = k.tenant AND c.run = k.run AND c.epoch = k.epoch AND c.node = claimant;
        PERFORM set_config('mandate.system', 'off', true);
    END $$;

CREATE FUNCTION system_lead(claimant text, lease_ms bigint, of_tenant text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = mandate, pg_temp AS $$
    DECLARE
        leads_now boolean;
    BEGIN
        PERFORM set_config('mandate.system', 'on', true);
        INSERT INTO leads AS l (tenant, node, until)
            VALUES (of_tenant, claimant, clock_timestamp() + lease_ms * interval '1 millisecond')
            ON CONFLICT ON CONSTRAINT leads_pkey DO UPDATE SET node = excluded.node, until = excluded.until
            WHERE l.node = excluded.node OR l.until <= clock_timestamp();
        leads_now := FOUND;
        PERFORM set_config('mandate.system', 'off', true);
        RETURN leads_now;
    END $$;
