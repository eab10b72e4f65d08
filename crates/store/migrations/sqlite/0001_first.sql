-- Everything a node keeps. The tenant is the first column of every key. Migrations only go forward:
-- a released file is never edited, a change is a new file.

CREATE TABLE tenants (
    tenant      TEXT    NOT NULL PRIMARY KEY,
    revocations INTEGER NOT NULL DEFAULT 0,  -- rises with each revocation; commits compare it
    generation  INTEGER NOT NULL DEFAULT 0   -- rises with each change of resources; caches compare it
) STRICT, WITHOUT ROWID;

-- What never changes about a run. Apart from run_state, so that a step doesn't rewrite the header.
CREATE TABLE runs (
    tenant    TEXT NOT NULL REFERENCES tenants (tenant),
    run       TEXT NOT NULL,
    worker    TEXT NOT NULL,
    initiator TEXT NOT NULL,
    start_key TEXT,
    new       BLOB NOT NULL,                 -- NewRun, JSON
    UNIQUE (tenant, run)
) STRICT;
CREATE INDEX runs_of_worker ON runs (tenant, worker, run);
CREATE UNIQUE INDEX runs_start_key ON runs (tenant, initiator, start_key) WHERE start_key IS NOT NULL;

-- What a step changes: one small row.
CREATE TABLE run_state (
    tenant      TEXT    NOT NULL,
    run         TEXT    NOT NULL,
    state       TEXT    NOT NULL,            -- status.state once more, for the index
    status      BLOB    NOT NULL,            -- RunStatus, JSON
    journal_seq INTEGER NOT NULL,
    epoch       INTEGER NOT NULL,
    chain_next  INTEGER NOT NULL,
    chain_last  BLOB,
    PRIMARY KEY (tenant, run),
    FOREIGN KEY (tenant, run) REFERENCES runs (tenant, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_state_running ON run_state (tenant, run) WHERE state = 'running';

-- Rows of many runs are appended side by side, so that a group commit writes few pages. The tables
-- below that a step writes carry no foreign key to the run: the fence has just updated its row.
CREATE TABLE journal (
    tenant TEXT    NOT NULL,
    run    TEXT    NOT NULL,
    seq    INTEGER NOT NULL,
    event  BLOB    NOT NULL,                 -- JournalEvent, JSON
    UNIQUE (tenant, run, seq)
) STRICT;

CREATE TABLE payloads (
    tenant     TEXT NOT NULL,
    commitment BLOB NOT NULL,
    subject    TEXT NOT NULL,
    ciphertext BLOB NOT NULL,
    UNIQUE (tenant, commitment)
) STRICT;

-- A decision is spent once (I1).
CREATE TABLE admissions (
    tenant  TEXT    NOT NULL,
    run     TEXT    NOT NULL,
    step    INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    request BLOB    NOT NULL,
    PRIMARY KEY (tenant, run, step, attempt)
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
    tenant     TEXT    NOT NULL,
    run        TEXT    NOT NULL,
    lease      TEXT    NOT NULL,
    step       INTEGER NOT NULL,
    attempt    INTEGER NOT NULL,
    credential TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    not_after  INTEGER NOT NULL,
    ended_at   INTEGER,
    PRIMARY KEY (tenant, run, lease)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_open ON leases (tenant, run) WHERE ended_at IS NULL;

CREATE TABLE timers (
    tenant TEXT    NOT NULL,
    run    TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    due    INTEGER NOT NULL,
    PRIMARY KEY (tenant, run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX timers_due ON timers (due, tenant, run);

CREATE TABLE epochs (
    tenant TEXT    NOT NULL REFERENCES tenants (tenant),
    kind   TEXT    NOT NULL,
    name   TEXT    NOT NULL,
    epoch  INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;

-- The newest version of each resource, a deletion included.
CREATE TABLE resources (
    tenant  TEXT    NOT NULL REFERENCES tenants (tenant),
    kind    TEXT    NOT NULL,
    name    TEXT    NOT NULL,
    version INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    PRIMARY KEY (tenant, kind, name)
) STRICT, WITHOUT ROWID;

-- Every version ever written; spec and digest are NULL for a deletion.
CREATE TABLE resource_versions (
    tenant     TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    digest     BLOB,
    spec       BLOB,
    written_by TEXT    NOT NULL,
    written_at INTEGER NOT NULL,
    UNIQUE (tenant, kind, name, version),
    FOREIGN KEY (tenant, kind, name) REFERENCES resources (tenant, kind, name)
) STRICT;
CREATE INDEX resource_versions_digest ON resource_versions (tenant, kind, name, digest);

CREATE TABLE secrets (
    tenant     TEXT    NOT NULL REFERENCES tenants (tenant),
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    sealed     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (tenant, kind, name, version)
) STRICT;

-- Durable entries that have no place in the tree yet. A key is never used again, also after all rows
-- are gone, so that a sequencer that was away for long can't take a stranger for its entry.
CREATE TABLE ledger_pending (
    key       INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant    TEXT NOT NULL,
    run       TEXT,                          -- NULL outside a run's chain
    chain_seq INTEGER,
    bytes     BLOB NOT NULL
) STRICT;
CREATE INDEX ledger_pending_tenant ON ledger_pending (tenant);

CREATE TABLE ledger_entries (
    tenant    TEXT    NOT NULL,
    idx       INTEGER NOT NULL,
    run       TEXT,
    chain_seq INTEGER,
    bytes     BLOB    NOT NULL,
    UNIQUE (tenant, idx)
) STRICT;
CREATE INDEX ledger_entries_run ON ledger_entries (tenant, run, chain_seq) WHERE run IS NOT NULL;

CREATE TABLE ledger_nodes (
    tenant TEXT    NOT NULL,
    level  INTEGER NOT NULL,
    idx    INTEGER NOT NULL,
    hash   BLOB    NOT NULL,
    PRIMARY KEY (tenant, level, idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger_heads (
    tenant        TEXT    NOT NULL PRIMARY KEY,
    size          INTEGER NOT NULL,
    frontier      BLOB    NOT NULL,          -- Frontier, JSON
    signed        TEXT,
    signed_size   INTEGER NOT NULL DEFAULT 0,
    cosigned      TEXT,
    cosigned_size INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
