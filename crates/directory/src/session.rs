//! Browser sessions: who is signed in, since when, and the port that keeps them.

use async_trait::async_trait;
use mandate_kernel::{Caller, Digest, Duration, GroupName, Principal, Timestamp, canonical_json};
use serde::Serialize;
use std::collections::BTreeSet;

/// A browser session as it is kept. The secret that opens it is not part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The digest of the secret.
    pub key: Digest,
    /// Who signed in.
    pub principal: Principal,
    /// What they are called, for people.
    pub name: String,
    /// Their groups at that moment: frozen until they sign in again.
    pub groups: BTreeSet<GroupName>,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it was last used, to within [`SessionRecord::grain`].
    pub used_at: Timestamp,
    /// When it ends, however much it is used.
    pub expires_at: Timestamp,
    /// The person's and the tenant's revocation epochs when they signed in, added: they only rise.
    pub revocations: u64,
    /// The core's code over [`SessionRecord::authenticated`]; none in a row that the core didn't write.
    pub proof: Option<Digest>,
}

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLifetimes {
    /// However much it is used.
    pub absolute: Duration,
    /// Without use.
    pub idle: Duration,
}

impl Default for SessionLifetimes {
    /// 8 hours, and 30 minutes without use.
    fn default() -> Self {
        Self { absolute: Duration::from_secs(8 * 3600), idle: Duration::from_secs(30 * 60) }
    }
}

impl SessionLifetimes {
    /// Whether the session is good now.
    #[must_use]
    pub fn holds(&self, session: &SessionRecord, now: Timestamp) -> bool {
        now < session.expires_at && now < session.used_at.plus(self.idle)
    }

    /// Whether its use is old enough to be noted again. Not each request is worth a write.
    #[must_use]
    pub fn is_stale(&self, session: &SessionRecord, now: Timestamp) -> bool {
        now.since(session.used_at) >= self.grain()
    }

    /// How exactly the last use is known.
    #[must_use]
    pub const fn grain(&self) -> Duration {
        Duration::from_millis(self.idle.as_millis() / 30)
    }
}

impl SessionRecord {
    /// What [`SessionRecord::proof`] is made over: all that says who may do what and how long, as canonical
    /// JSON (RFC 8785). The time of the last use is not in it: it is bounded by the end.
    ///
    /// # Errors
    /// A message, for what canonical JSON can't hold.
    pub fn authenticated(&self) -> Result<Vec<u8>, String> {
        #[derive(Serialize)]
        struct Authenticated<'a> {
            key: &'a Digest,
            principal: &'a Principal,
            name: &'a str,
            groups: &'a BTreeSet<GroupName>,
            created_at: i64,
            expires_at: i64,
            revocations: u64,
        }
        let row = Authenticated {
            key: &self.key,
            principal: &self.principal,
            name: &self.name,
            groups: &self.groups,
            created_at: self.created_at.as_millis(),
            expires_at: self.expires_at.as_millis(),
            revocations: self.revocations,
        };
        canonical_json(&row).map_err(|error| error.to_string())
    }

    /// The person who is signed in, as a caller.
    #[must_use]
    pub fn caller(&self) -> Caller {
        Caller::new(self.principal.clone(), self.groups.clone())
    }
}

/// The store could not answer. Whoever asked is not signed in then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sessions can't be read or written now: {0}")]
pub struct SessionStoreError(pub String);

/// The sessions of one tenant.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Keeps a new session, and forgets those of the tenant that have ended: at their end, or unused
    /// since `idle_since`. Of one person the newest [`MOST_SESSIONS`] are kept.
    ///
    /// # Errors
    /// [`SessionStoreError`], also for a principal of another tenant.
    async fn begin(&self, session: &SessionRecord, idle_since: Timestamp) -> Result<(), SessionStoreError>;

    /// The session with this key, unless the person's or the tenant's authority was revoked since it
    /// began. Whether it has ended is the caller's to see.
    ///
    /// # Errors
    /// [`SessionStoreError`].
    async fn find(&self, key: &Digest) -> Result<Option<SessionRecord>, SessionStoreError>;

    /// Notes that it was used.
    ///
    /// # Errors
    /// [`SessionStoreError`].
    async fn touch(&self, key: &Digest, at: Timestamp) -> Result<(), SessionStoreError>;

    /// Ends it; whether it was there.
    ///
    /// # Errors
    /// [`SessionStoreError`].
    async fn end(&self, key: &Digest) -> Result<bool, SessionStoreError>;
}

/// How many sessions one person may have.
pub const MOST_SESSIONS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;
    use mandate_kernel::Tenant;

    #[test]
    fn a_session_ends_by_age_and_by_rest() {
        let at = Timestamp::from_secs;
        let lifetimes = SessionLifetimes::default();
        let mut session = SessionRecord {
            key: Digest::of(b"k"),
            principal: Principal::user(Tenant::new("demo").unwrap(), "jo"),
            name: "Jo".to_owned(),
            groups: BTreeSet::new(),
            created_at: at(0),
            used_at: at(0),
            expires_at: at(8 * 3600),
            revocations: 0,
            proof: None,
        };
        assert!(lifetimes.holds(&session, at(1799)));
        assert!(!lifetimes.holds(&session, at(1800)));
        session.used_at = at(8 * 3600 - 1);
        assert!(lifetimes.holds(&session, at(8 * 3600 - 1)));
        assert!(!lifetimes.holds(&session, at(8 * 3600)));
        session.used_at = at(0);
        assert!(!lifetimes.is_stale(&session, at(59)));
        assert!(lifetimes.is_stale(&session, at(60)));
    }
}
