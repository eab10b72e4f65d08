-- Browser sessions. A key is the digest of a secret that only the browser has.
CREATE TABLE sessions (
    tenant      TEXT    NOT NULL,
    key         BLOB    NOT NULL,
    subject     TEXT    NOT NULL,            -- kind:name, as epochs name people
    who         BLOB    NOT NULL,            -- principal, name and groups at sign-in, JSON
    revocations INTEGER NOT NULL,            -- the person's and the tenant's epochs at sign-in, added
    created_at  INTEGER NOT NULL,
    used_at     INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_of_subject ON sessions (tenant, subject, created_at);
