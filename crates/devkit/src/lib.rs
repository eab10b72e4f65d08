//! The development house of `mandate dev`: an identity provider, a warehouse, a legacy ledgerbook, a
//! receiver of reports, a claims system, a documents service, a scripted model and a mail sink. `serve`
//! can't reach it.
//!
//! Each is a real service on a loopback port of its own, with its own database, and knows of the
//! platform only what a stranger would: its issuer URL and its published keys. None trusts another.
//! Ports are remembered, so that a restart finds the same addresses; the databases are written with
//! `synchronous=FULL`, so that what was accepted survives a crash.

mod accounts;
mod casebook;
mod claims;
mod config;
mod credential;
mod db;
mod devkit;
mod documents;
mod error;
mod figures;
mod hop;
mod inbox;
mod incidents;
mod keep;
mod ledgerbook;
mod mail;
mod model;
mod ports;
mod problem;
mod provider;
mod reports;
mod sample;
mod seed;
mod server;
mod warehouse;

pub use accounts::{ACCOUNTS, Account, DEMO, OTHER};
pub use config::{DevkitConfig, MailFaults, ModelFault, ReportFaults};
pub use devkit::Devkit;
pub use error::DevkitError;
pub use provider::{CLI_CLIENT, CONSOLE_CLIENT, DEV_GRANT};
pub use sample::{SAMPLES, Sample};
