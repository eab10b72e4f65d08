//! Tokens under attack: each forgery has its own refusal.
#![expect(clippy::unwrap_used, reason = "helpers outside the test functions")]

mod caller;
mod common;
mod dpop;
mod envelope;
mod hop;
