//! The development house by plain HTTP, as a stranger and as a thief would meet it.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers outside the test functions")]

mod claim_workflow;
mod claims;
mod documents;
mod ledgerbook;
mod mail;
mod model;
mod oidc;
mod platform;
mod provider;
mod reports;
mod sample;
mod seed;
mod warehouse;
mod workflow;
