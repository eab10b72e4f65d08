//! The database of a node: a file in its data folder, or a PostgreSQL that several nodes may share.

use anyhow::{Context, Result};
use mandate_api::SessionSource;
use mandate_directory::Sessions;
use mandate_engine::Tenants;
use mandate_journal::{System, TenantStore};
use mandate_kernel::Caller;
use mandate_store::{PostgresConfig, PostgresStore, Store, StoreConfig};
use std::path::Path;
use std::sync::Arc;

/// An open database. A clone is the same one.
#[derive(Clone)]
pub(crate) enum Database {
    /// A file.
    Sqlite(Store),
    /// A server.
    Postgres(PostgresStore),
}

impl Database {
    /// The file in a data folder, made when it is absent.
    pub(crate) fn in_folder(data_dir: &Path) -> Result<Self> {
        let config = StoreConfig::new(data_dir.join("mandate.db"));
        #[cfg(debug_assertions)]
        let config = super::full_disk::limited(config);
        Ok(Self::Sqlite(Store::open(config).context("the database can't be opened")?))
    }

    /// The file in a data folder, for reading only.
    pub(crate) fn in_folder_to_read(data_dir: &Path) -> Result<Self> {
        let store = Store::open_read_only(&data_dir.join("mandate.db")).context("the database can't be opened")?;
        Ok(Self::Sqlite(store))
    }

    /// A database of a PostgreSQL server.
    pub(crate) async fn on_server(config: PostgresConfig) -> Result<Self> {
        Ok(Self::Postgres(PostgresStore::open(config).await.context("the database can't be opened")?))
    }

    /// Whether it holds no tenant yet. Beside one that does, no root key is ever made: what is sealed hangs on
    /// the one it was sealed with.
    pub(crate) async fn is_new(&self) -> Result<bool> {
        Ok(self.system().tenants().await?.is_empty())
    }

    /// Finishes what is under way, and closes it.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close().await,
        }
    }
}

impl Tenants for Database {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.of(caller)),
            Self::Postgres(store) => Arc::new(store.of(caller)),
        }
    }
    fn system(&self) -> Arc<dyn System> {
        match self {
            Self::Sqlite(store) => Arc::new(store.system()),
            Self::Postgres(store) => Arc::new(store.system()),
        }
    }
}

impl SessionSource for Database {
    fn of(&self, caller: &Caller) -> Arc<dyn Sessions> {
        match self {
            Self::Sqlite(store) => Arc::new(store.of(caller)),
            Self::Postgres(store) => Arc::new(store.of(caller)),
        }
    }
}
