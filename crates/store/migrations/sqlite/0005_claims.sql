-- Which node drives a run, and until when by this machine's clock. A row whose time has passed binds nobody.
CREATE TABLE claims (
    tenant TEXT    NOT NULL,
    run    TEXT    NOT NULL,
    node   TEXT    NOT NULL,
    until  INTEGER NOT NULL,                 -- milliseconds since 1970
    PRIMARY KEY (tenant, run)
) STRICT, WITHOUT ROWID;
