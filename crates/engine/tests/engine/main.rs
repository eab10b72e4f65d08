//! The engine in a simulated world: what it does, and what it keeps to when everything else fails.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers outside of test functions"
)]

mod approvals;
mod branches;
mod configuration;
mod crash_points;
mod events;
mod evidence;
mod house;
mod invariants;
mod journey;
mod ledger;
mod models;
mod parallel;
mod recovery;
mod replay;
mod reviews;
mod revocation;
mod runs;
mod simulation;
mod stopped_halfway;
mod stops;
