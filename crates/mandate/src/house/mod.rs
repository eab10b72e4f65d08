//! The processes: `dev`, `serve` and `witness`, and how their parts are put together.

mod anchor;
mod config;
mod database;
mod dev;
mod door;
mod expressions;
mod files;
#[cfg(debug_assertions)]
mod full_disk;
mod moved;
pub(crate) mod oidc;
mod secret_source;
mod seed;
mod serve;
mod signals;
pub(crate) mod switches;
mod telemetry;
mod tls;
mod wiring;
mod witness_client;
mod witness_server;

pub(crate) use dev::dev;
pub(crate) use serve::serve;
pub(crate) use telemetry::stop as last_traces;
pub(crate) use witness_server::witness;
