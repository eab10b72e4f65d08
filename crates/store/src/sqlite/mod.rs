//! The SQLite implementation: one writer thread, a few read connections, handles confined to a tenant.

mod approvals;
mod change;
mod claims;
mod codec;
mod common;
mod config;
mod copy;
mod entries;
mod fault;
mod log;
mod migrate;
mod occasions;
mod open;
mod readers;
mod resources;
mod runs;
mod sessions;
mod store;
mod system;
mod tenant;
mod transition;
mod writer;

pub use config::{PageLimit, StoreConfig};
pub use store::Store;
pub use system::SystemHandle;
pub use tenant::TenantHandle;
