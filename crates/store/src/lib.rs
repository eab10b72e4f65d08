//! SQL behind the ports of `mandate-journal`: SQLite with group commit, and PostgreSQL for several nodes.
//!
//! [`Store`] has no query of its own (I5). What can be asked is asked through [`Store::of`], for a
//! caller and confined to that caller's tenant, or is one of the closed list of
//! [`mandate_journal::System`], which returns ids only:
//!
//! ```
//! use mandate_journal::Runs;
//! use mandate_kernel::{Caller, RunId};
//! async fn look(store: &mandate_store::Store, caller: &Caller, run: &RunId) {
//!     let _ = store.of(caller).run(run).await;
//! }
//! ```
//!
//! In SQLite one thread writes. It takes every job that waits, runs each in a savepoint of one transaction
//! and answers all of them after that transaction is on disk. In PostgreSQL each job is a transaction of its
//! own over a pool; the server flushes those that end together at once. [`PostgresStore`] has the same two
//! ways in, and row-level security behind them.

pub mod bench;
mod checked;
mod codec;
mod postgres;
mod sqlite;
#[cfg(test)]
mod tidy;

pub use postgres::{PostgresConfig, PostgresStore, PostgresSystem, PostgresTenant};
pub use sqlite::{PageLimit, Store, StoreConfig, SystemHandle, TenantHandle};
