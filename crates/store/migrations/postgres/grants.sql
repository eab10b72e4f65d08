-- What the application's role may do, given anew at each migration; its name is in `mandate.grantee`. It owns nothing,
-- so that it can't switch row-level security off. What is only ever added to can't be changed by it either.
DO $$
DECLARE
    app text := current_setting('mandate.grantee');
    granted text;
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA mandate TO %I', app);
    EXECUTE format('GRANT SELECT ON ALL TABLES IN SCHEMA mandate TO %I', app);
    FOREACH granted IN ARRAY ARRAY[
        'INSERT, UPDATE (revocations, generation) ON tenants',
        'INSERT ON runs',
        'INSERT, UPDATE (state, status, journal_seq, epoch, chain_next, chain_last) ON run_state',
        'INSERT ON journal',
        'INSERT ON payloads',
        'INSERT ON admissions',
        'INSERT, UPDATE (ended_at) ON leases',
        'INSERT, UPDATE (due), DELETE ON timers',
        'INSERT, UPDATE (subject, commitment, ciphertext), DELETE ON arrivals',
        'INSERT, UPDATE (version, state) ON schedules',
        'INSERT, UPDATE (state, decided_by, decided_at, answer, proof) ON approvals',
        'INSERT, UPDATE (epoch) ON epochs',
        'INSERT, UPDATE (used_at), DELETE ON sessions',
        'INSERT, UPDATE (version, deleted) ON resources',
        'INSERT ON resource_versions',
        'INSERT, DELETE ON secrets',
        'INSERT, DELETE ON ledger_pending',
        'INSERT ON ledger_entries',
        'INSERT ON ledger_nodes',
        'INSERT, UPDATE (size, frontier, signed, signed_size, cosigned, cosigned_size) ON ledger_heads']
    LOOP
        EXECUTE format('GRANT %s TO %I', granted, app);
    END LOOP;
    EXECUTE 'REVOKE ALL ON ALL FUNCTIONS IN SCHEMA mandate FROM PUBLIC';
    EXECUTE format('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA mandate TO %I', app);
END $$;
