//! PostgreSQL against the contract of a store, and against what only a server with many users can suffer.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers outside of test functions"
)]

mod confined;
#[path = "../contract/claims.rs"]
#[macro_use]
mod claims;
#[path = "../contract/mod.rs"]
mod contract;
mod faults;
mod races;
mod server;
#[path = "../contract/sessions.rs"]
#[macro_use]
mod sessions;

use contract::Backend;
use mandate_directory::Sessions;
use mandate_journal::{StoreError, System, TenantStore};
use mandate_kernel::{Caller, Secret};
use mandate_store::{PostgresConfig, PostgresStore};
use server::{Database, Server};
use std::sync::Arc;

/// A store in a database of its own.
struct Postgres {
    store: PostgresStore,
    database: Database,
}

impl Postgres {
    fn over(database: Database) -> Self {
        Self { store: Self::opened(&database), database }
    }

    fn opened(database: &Database) -> PostgresStore {
        let opening = open(database, |_| ());
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opening)).unwrap()
    }
}

/// Opens a store as a node would that may migrate.
async fn open(database: &Database, change: impl FnOnce(&mut PostgresConfig)) -> Result<PostgresStore, StoreError> {
    let owner = Secret::new(database.owner_url.clone());
    let mut config = PostgresConfig::new(Secret::new(database.url.clone()), Some(owner));
    config.connections = 8;
    change(&mut config);
    PostgresStore::open(config).await
}

impl Backend for Postgres {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        Arc::new(self.store.of(caller))
    }
    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.store.system())
    }
}

fn fresh() -> Postgres {
    Postgres::over(Server::shared().database())
}

contract_suite!(crate::fresh);

impl sessions::SessionBackend for Postgres {
    fn sessions(&self, caller: &Caller) -> Arc<dyn Sessions> {
        Arc::new(self.store.of(caller))
    }
}

sessions_suite!(crate::fresh);

impl claims::ClaimBackend for Postgres {
    fn another(&self) -> Option<Box<dyn Backend>> {
        Some(Box::new(Self { store: Self::opened(&self.database), database: self.database.clone() }))
    }
}

claims_suite!(crate::fresh);
