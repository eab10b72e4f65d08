//! The gate from outside: what it refuses and why, what it makes durable, whom a stop waits for.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test ends where its setting fails")]

mod access;
mod admit;
mod exchange;
mod grants;
mod hop;
mod judge;
mod live;
mod support;
