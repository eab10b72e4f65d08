//! The store: opened, handed out for a caller, closed.

use super::bell::Bell;
use super::fault::sql_error;
use super::{PostgresConfig, PostgresSystem, PostgresTenant, connect, migrate};
use mandate_journal::StoreError;
use mandate_kernel::Caller;
use sqlx::PgPool;
use std::sync::Arc;
use std::time::Duration;

/// A PostgreSQL database behind the ports. A clone is the same store; several processes may open one.
///
/// It has no query of its own (I5): see [`PostgresStore::of`] and [`PostgresStore::system`].
#[derive(Debug, Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

/// What all handles share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pool: PgPool,
    /// Heard when other nodes have something for this one.
    pub(super) bell: Bell,
    /// See [`PostgresConfig::resolve_timeout`].
    pub(super) resolve_timeout: Duration,
}

impl PostgresStore {
    /// Opens the database: brings its schema up to date when it is given the owner's URL, and makes sure
    /// that the role that works can't get around row-level security and that commits are durable.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it can't be reached, or its roles or settings are not what they have
    /// to be; [`StoreError::Corrupt`] when its schema is not ours, or not the one this build knows.
    pub async fn open(config: PostgresConfig) -> Result<Self, StoreError> {
        let working = connect::options(&config.url, &config)?;
        if let Some(url) = &config.owner_url {
            let owner = connect::options(url, &config)?;
            migrate::migrate(&owner, working.get_username()).await?;
        }
        let pool = connect::pool(working, &config);
        let shared = Shared { pool, bell: Bell::default(), resolve_timeout: config.resolve_timeout };
        let mut conn = shared.pool.acquire().await.map_err(|e| sql_error(&e))?;
        migrate::require_current(&mut conn).await?;
        connect::require_confined(&mut conn).await?;
        connect::require_durable(&mut conn).await?;
        drop(conn);
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The store as this caller may see it: confined to the caller's tenant, whatever is asked.
    #[must_use]
    pub fn of(&self, caller: &Caller) -> PostgresTenant {
        PostgresTenant::new(Arc::clone(&self.shared), caller.tenant().clone())
    }

    /// The closed list of queries that know no tenant; they return ids only.
    #[must_use]
    pub fn system(&self) -> PostgresSystem {
        PostgresSystem::new(Arc::clone(&self.shared))
    }

    /// Waits for the work under way and closes the connections. Whatever is asked later is told
    /// [`StoreError::Closed`].
    pub async fn close(&self) {
        self.shared.pool.close().await;
    }
}
