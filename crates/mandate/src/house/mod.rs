//! The processes: `dev`, `serve` and `witness`, and how their parts are put together.

mod anchor;
mod backup;
mod config;
mod database;
mod dev;
mod door;
mod expressions;
mod files;
#[cfg(debug_assertions)]
mod full_disk;
mod init;
mod moved;
mod node;
pub(crate) mod oidc;
mod quarantine;
mod restore;
mod secret_source;
mod seed;
mod serve;
mod shares;
mod signals;
pub(crate) mod switches;
mod telemetry;
mod tls;
mod wiring;
mod witness_back;
mod witness_client;
mod witness_server;

pub(crate) use backup::backup;
pub(crate) use dev::dev;
pub(crate) use init::init;
pub(crate) use restore::{public_url, release, restore};
pub(crate) use serve::serve;
pub(crate) use telemetry::stop as last_traces;
pub(crate) use witness_server::witness;
