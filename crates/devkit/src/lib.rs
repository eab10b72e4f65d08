//! The development house of `mandate dev`: an identity provider, a warehouse, a legacy ledgerbook and
//! a receiver of reports. `serve` can't reach it.
//!
//! Each is a real service on a loopback port of its own, with its own database, and knows of the
//! platform only what a stranger would: its issuer URL and its published keys. None trusts another.
//! Ports are remembered, so that a restart finds the same addresses; the databases are written with
//! `synchronous=FULL`, so that what was accepted survives a crash.

mod accounts;
mod config;
mod db;
mod devkit;
mod error;
mod figures;
mod hop;
mod keep;
mod ledgerbook;
mod ports;
mod problem;
mod provider;
mod reports;
mod sample;
mod seed;
mod server;
mod warehouse;

pub use accounts::{ACCOUNTS, Account, DEMO, OTHER};
pub use config::{DevkitConfig, ReportFaults};
pub use devkit::Devkit;
pub use error::DevkitError;
pub use provider::DEV_GRANT;
pub use sample::sample_worker_files;
