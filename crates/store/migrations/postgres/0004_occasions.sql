-- Runs are found by the events they listen to: `event:TYPE`, or `event*` for any. Only those rows pay for it.
CREATE INDEX timers_heard ON timers (tenant, name, run) WHERE name >= 'event' AND name < 'evenu';

-- Events at the door. Sealed until they were handed on; then only that they came is left, for a while.
CREATE TABLE arrivals (
    seq        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant     text COLLATE "C" NOT NULL,
    key        bytea  NOT NULL,              -- digest of source and id
    keep_until bigint NOT NULL,
    subject    text COLLATE "C",
    commitment bytea,
    ciphertext bytea,                        -- NULL once it was handed on
    UNIQUE (tenant, key)
);
CREATE INDEX arrivals_waiting ON arrivals (tenant, seq) WHERE ciphertext IS NOT NULL;
CREATE INDEX arrivals_known ON arrivals (tenant, keep_until) WHERE ciphertext IS NULL;

-- Where the schedule of a Worker stands. The version rises with each word.
CREATE TABLE schedules (
    tenant  text COLLATE "C" NOT NULL,
    worker  text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    state   bytea  NOT NULL,                 -- JSON
    PRIMARY KEY (tenant, worker)
);

DO $$
DECLARE
    confined text;
BEGIN
    FOREACH confined IN ARRAY ARRAY['arrivals', 'schedules']
    LOOP
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', confined);
        EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', confined);
        EXECUTE format('CREATE POLICY own_tenant ON %I USING (tenant = nullif(current_setting(''mandate.tenant'', true), ''''))',
            confined);
    END LOOP;
END $$;
