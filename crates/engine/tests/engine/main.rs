//! The engine in a simulated world: what it does, and what it keeps to when everything else fails.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers outside of test functions")]

mod crash_points;
mod evidence;
mod house;
mod invariants;
mod journey;
mod ledger;
mod parallel;
mod recovery;
mod replay;
mod revocation;
mod runs;
mod simulation;
mod stops;
