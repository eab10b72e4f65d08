-- Runs are found by the events they listen to: `event:TYPE`, or `event*` for any. Only those rows pay for it.
CREATE INDEX timers_heard ON timers (tenant, name, run) WHERE name >= 'event' AND name < 'evenu';

-- Events at the door. Sealed until they were handed on; then only that they came is left, for a while.
CREATE TABLE arrivals (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT    NOT NULL,
    key        BLOB    NOT NULL,             -- digest of source and id
    keep_until INTEGER NOT NULL,
    subject    TEXT,
    commitment BLOB,
    ciphertext BLOB,                         -- NULL once it was handed on
    UNIQUE (tenant, key)
) STRICT;
CREATE INDEX arrivals_waiting ON arrivals (tenant, seq) WHERE ciphertext IS NOT NULL;
CREATE INDEX arrivals_known ON arrivals (tenant, keep_until) WHERE ciphertext IS NULL;

-- Where the schedule of a Worker stands. The version rises with each word.
CREATE TABLE schedules (
    tenant  TEXT    NOT NULL,
    worker  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    state   BLOB    NOT NULL,                -- JSON
    PRIMARY KEY (tenant, worker)
) STRICT, WITHOUT ROWID;
