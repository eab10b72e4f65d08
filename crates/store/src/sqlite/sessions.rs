//! Browser sessions: begun, found, noted as used, ended.

use super::TenantHandle;
use super::codec::{one, run};
use super::common::ensure_tenant;
use super::fault::{Halt, Reading};
use crate::checked::SessionPerson;
use crate::codec::{blob, digest, int};
use async_trait::async_trait;
use mandate_directory::{MOST_SESSIONS, SessionRecord, SessionStoreError, Sessions};
use mandate_journal::StoreError;
use mandate_kernel::{Digest, Timestamp};
use rusqlite::{Connection, Row, params};

// Epochs only rise, so that their sum tells whether any of them did.
const BEGIN: &str =
    "INSERT INTO sessions (tenant, key, subject, who, created_at, used_at, expires_at, revocations, proof)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
const FIND: &str = "SELECT key, who, created_at, used_at, expires_at, revocations, proof, subject FROM sessions
    WHERE tenant = ?1 AND key = ?2 AND revocations = (SELECT coalesce(sum(epoch), 0) FROM epochs
    WHERE epochs.tenant = ?1 AND (kind = 'tenant' OR (kind = 'user' AND name = sessions.subject)))";
const TOUCH: &str = "UPDATE sessions SET used_at = ?3 WHERE tenant = ?1 AND key = ?2 AND used_at < ?3";
const END: &str = "DELETE FROM sessions WHERE tenant = ?1 AND key = ?2";
const FORGET: &str = "DELETE FROM sessions WHERE tenant = ?1 AND (expires_at <= ?2 OR used_at <= ?3)";
const CROWD_OUT: &str = "DELETE FROM sessions WHERE tenant = ?1 AND subject = ?2 AND key NOT IN
    (SELECT key FROM sessions WHERE tenant = ?1 AND subject = ?2 ORDER BY created_at DESC, key LIMIT ?3)";

/// `None` for a row that nobody here wrote: the session is over then.
fn session(row: &Row<'_>) -> Reading<Option<SessionRecord>> {
    let who = SessionPerson::decode(row.get_ref(1)?.as_blob().unwrap_or_default(), &row.get::<_, String>(7)?);
    let Some(who) = who else { return Ok(None) };
    Ok(Some(SessionRecord {
        key: digest(row.get_ref(0)?.as_blob().unwrap_or_default(), "session key")?,
        principal: who.principal,
        name: who.name,
        groups: who.groups,
        created_at: Timestamp::from_millis(row.get(2)?),
        used_at: Timestamp::from_millis(row.get(3)?),
        expires_at: Timestamp::from_millis(row.get(4)?),
        revocations: u64::try_from(row.get::<_, i64>(5)?).unwrap_or(u64::MAX),
        proof: row.get::<_, Option<Vec<u8>>>(6)?.map(|bytes| digest(&bytes, "a session's proof")).transpose()?,
    }))
}

// It becomes the port's error where it leaves the store.
fn unavailable(error: StoreError) -> SessionStoreError {
    SessionStoreError(error.to_string())
}

#[async_trait]
impl Sessions for TenantHandle {
    async fn begin(&self, session: &SessionRecord, idle_since: Timestamp) -> Result<(), SessionStoreError> {
        let new = session.clone();
        let who = SessionPerson::encode(self.tenant(), &new)?;
        let subject = new.principal.subject();
        let write = move |conn: &Connection, tenant: &mandate_kernel::Tenant| {
            ensure_tenant(conn, tenant)?;
            let (tenant, at) = (tenant.as_str(), new.created_at.as_millis());
            run(conn, FORGET, params![tenant, at, idle_since.as_millis()])?;
            let (used, ends) = (new.used_at.as_millis(), new.expires_at.as_millis());
            let (revocations, proof) = (int(new.revocations), blob(new.proof.as_ref()));
            run(conn, BEGIN, params![tenant, blob(Some(&new.key)), subject, who, at, used, ends, revocations, proof])?;
            run(conn, CROWD_OUT, params![tenant, subject, MOST_SESSIONS])?;
            Ok::<(), Halt<StoreError>>(())
        };
        self.write("store.session", write).await.map_err(unavailable)
    }

    async fn find(&self, key: &Digest) -> Result<Option<SessionRecord>, SessionStoreError> {
        let key = *key;
        let read = move |conn: &Connection, tenant: &str| {
            Ok(one(conn, FIND, params![tenant, blob(Some(&key))], session)?.flatten())
        };
        self.read(read).await.map_err(unavailable)
    }

    async fn touch(&self, key: &Digest, at: Timestamp) -> Result<(), SessionStoreError> {
        let key = *key;
        let write = move |conn: &Connection, tenant: &mandate_kernel::Tenant| {
            run(conn, TOUCH, params![tenant.as_str(), blob(Some(&key)), at.as_millis()])?;
            Ok(())
        };
        self.write("store.session", write).await.map_err(unavailable)
    }

    async fn end(&self, key: &Digest) -> Result<bool, SessionStoreError> {
        let key = *key;
        let write = move |conn: &Connection, tenant: &mandate_kernel::Tenant| {
            Ok(run(conn, END, params![tenant.as_str(), blob(Some(&key))])? > 0)
        };
        self.write("store.session", write).await.map_err(unavailable)
    }
}
