//! Browser sessions: begun, found, noted as used, ended.

use super::PostgresTenant;
use super::common::{bytes, ensure_tenant};
use super::fault::Reading;
use super::tenant::read;
use super::work::{Job, Work};
use crate::checked::SessionPerson;
use crate::codec::{blob, digest, int, nat};
use async_trait::async_trait;
use mandate_directory::{MOST_SESSIONS, SessionRecord, SessionStoreError, Sessions};
use mandate_journal::StoreError;
use mandate_kernel::{Digest, Timestamp};
use sqlx::Row;
use sqlx::postgres::PgRow;

// Epochs only rise, so that their sum tells whether any of them did.
const BEGIN: &str =
    "INSERT INTO sessions (tenant, key, subject, who, created_at, used_at, expires_at, revocations, proof)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const FIND: &str = "SELECT key, who, created_at, used_at, expires_at, revocations, proof, subject FROM sessions
    WHERE tenant = $1 AND key = $2 AND revocations = (SELECT coalesce(sum(epoch), 0) FROM epochs
    WHERE epochs.tenant = $1 AND (kind = 'tenant' OR (kind = 'user' AND name = sessions.subject)))";
const TOUCH: &str = "UPDATE sessions SET used_at = $3 WHERE tenant = $1 AND key = $2 AND used_at < $3";
const END: &str = "DELETE FROM sessions WHERE tenant = $1 AND key = $2";
const FORGET: &str = "DELETE FROM sessions WHERE tenant = $1 AND (expires_at <= $2 OR used_at <= $3)";
const CROWD_OUT: &str = "DELETE FROM sessions WHERE tenant = $1 AND subject = $2 AND key NOT IN
    (SELECT key FROM sessions WHERE tenant = $1 AND subject = $2 ORDER BY created_at DESC, key LIMIT $3)";

/// `None` for a row that nobody here wrote: the session is over then.
fn session(row: &PgRow) -> Reading<Option<SessionRecord>> {
    let Some(who) = SessionPerson::decode(bytes(row, 1)?, row.try_get(7)?) else { return Ok(None) };
    let proof: Option<&[u8]> = row.try_get(6)?;
    Ok(Some(SessionRecord {
        key: digest(bytes(row, 0)?, "session key")?,
        principal: who.principal,
        name: who.name,
        groups: who.groups,
        created_at: Timestamp::from_millis(row.try_get(2)?),
        used_at: Timestamp::from_millis(row.try_get(3)?),
        expires_at: Timestamp::from_millis(row.try_get(4)?),
        revocations: nat(row.try_get(5)?, "a session's epochs")?,
        proof: proof.map(|bytes| digest(bytes, "a session's proof")).transpose()?,
    }))
}

// It becomes the port's error where it leaves the store.
fn unavailable(error: StoreError) -> SessionStoreError {
    SessionStoreError(error.to_string())
}

/// What is done to sessions.
enum Act {
    Begin { new: SessionRecord, who: Vec<u8>, idle_since: Timestamp },
    Touch { key: Digest, at: Timestamp },
    End { key: Digest },
}

impl Job for Act {
    /// How many rows it changed.
    type Out = u64;
    type Error = StoreError;

    fn point(&self) -> &'static str {
        "store.session"
    }

    async fn run(&self, work: &mut Work) -> Reading<u64> {
        match self {
            Self::Begin { new, who, idle_since } => {
                ensure_tenant(work).await?;
                let (at, subject) = (new.created_at.as_millis(), new.principal.subject());
                work.run(work.query(FORGET).bind(at).bind(idle_since.as_millis())).await?;
                let query = work.query(BEGIN).bind(new.key.as_bytes().as_slice()).bind(subject.as_str());
                let query = query.bind(who.as_slice()).bind(at).bind(new.used_at.as_millis());
                let query = query.bind(new.expires_at.as_millis()).bind(int(new.revocations));
                work.run(query.bind(blob(new.proof.as_ref()))).await?;
                Ok(work.run(work.query(CROWD_OUT).bind(subject.as_str()).bind(i64::from(MOST_SESSIONS))).await?)
            }
            Self::Touch { key, at } => {
                let query = work.query(TOUCH).bind(key.as_bytes().as_slice());
                Ok(work.run(query.bind(at.as_millis())).await?)
            }
            Self::End { key } => Ok(work.run(work.query(END).bind(key.as_bytes().as_slice())).await?),
        }
    }
}

#[async_trait]
impl Sessions for PostgresTenant {
    async fn begin(&self, session: &SessionRecord, idle_since: Timestamp) -> Result<(), SessionStoreError> {
        let who = SessionPerson::encode(self.tenant(), session)?;
        let act = Act::Begin { new: session.clone(), who, idle_since };
        self.write(&act).await.map(drop).map_err(unavailable)
    }

    async fn find(&self, key: &Digest) -> Result<Option<SessionRecord>, SessionStoreError> {
        let found = read!(self, work => {
            let row = work.one(work.query(FIND).bind(key.as_bytes().as_slice())).await?;
            row.as_ref().map(session).transpose()?.flatten()
        });
        found.map_err(unavailable)
    }

    async fn touch(&self, key: &Digest, at: Timestamp) -> Result<(), SessionStoreError> {
        self.write(&Act::Touch { key: *key, at }).await.map(drop).map_err(unavailable)
    }

    async fn end(&self, key: &Digest) -> Result<bool, SessionStoreError> {
        self.write(&Act::End { key: *key }).await.map(|ended| ended > 0).map_err(unavailable)
    }
}
