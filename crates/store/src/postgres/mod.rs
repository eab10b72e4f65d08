//! The PostgreSQL implementation: plain transactions over a pool, each confined to its tenant by the
//! statement and, once more, by row-level security.

mod approvals;
mod bell;
mod change;
mod claims;
mod common;
mod config;
mod connect;
mod fault;
mod log;
mod migrate;
mod occasions;
mod resources;
mod runs;
mod sessions;
mod store;
mod system;
mod tenant;
mod transition;
mod work;

pub use config::PostgresConfig;
pub use store::PostgresStore;
pub use system::PostgresSystem;
pub use tenant::PostgresTenant;
