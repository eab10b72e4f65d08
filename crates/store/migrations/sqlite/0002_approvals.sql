-- What runs wait for when a person has to speak. What was asked never changes; the answer comes once.
CREATE TABLE approvals (
    tenant     TEXT NOT NULL,
    approval   TEXT NOT NULL,
    run        TEXT NOT NULL,
    state      TEXT NOT NULL,                -- pending, approved, denied, expired, withdrawn
    asked      BLOB NOT NULL,                -- ApprovalRecord as it was asked, JSON
    decided_by TEXT,
    decided_at INTEGER,
    answer     BLOB,                         -- Stored, JSON
    PRIMARY KEY (tenant, approval)
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_of_run ON approvals (tenant, run);
