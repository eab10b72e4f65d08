//! SQLite against the contract of a store, and against what only a file can suffer.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers outside of test functions"
)]

#[path = "../contract/claims.rs"]
#[macro_use]
mod claims;
#[path = "../contract/mod.rs"]
mod contract;
mod crash;
mod faults;
#[path = "../contract/sessions.rs"]
#[macro_use]
mod sessions;

use contract::Backend;
use mandate_directory::Sessions;
use mandate_journal::{System, TenantStore};
use mandate_kernel::Caller;
use mandate_store::{Store, StoreConfig};
use std::sync::Arc;
use tempfile::TempDir;

/// A store in a folder that goes with it.
struct Sqlite {
    store: Store,
    folder: TempDir,
}

impl Sqlite {
    fn with(change: impl FnOnce(&mut StoreConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = StoreConfig::new(folder.path().join("mandate.db"));
        change(&mut config);
        Self { store: Store::open(config).unwrap(), folder }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("mandate.db")
    }
}

impl Backend for Sqlite {
    fn of(&self, caller: &Caller) -> Arc<dyn TenantStore> {
        Arc::new(self.store.of(caller))
    }
    fn system(&self) -> Arc<dyn System> {
        Arc::new(self.store.system())
    }
}

fn fresh() -> Sqlite {
    Sqlite::with(|_| ())
}

contract_suite!(crate::fresh);

impl sessions::SessionBackend for Sqlite {
    fn sessions(&self, caller: &Caller) -> Arc<dyn Sessions> {
        Arc::new(self.store.of(caller))
    }
}

sessions_suite!(crate::fresh);

impl claims::ClaimBackend for Sqlite {
    fn another(&self) -> Option<Box<dyn Backend>> {
        None
    }
}

claims_suite!(crate::fresh);
