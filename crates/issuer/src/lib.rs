//! Mints the tokens of a run: envelopes, which describe the work, and hop tokens, which allow one call.
//!
//! ```text
//! Issuer::start ─▶ envelope of the run ─▶ Issuer::envelope(step) ─▶ Issuer::hop(permit) ─▶ token, proof
//!                        (once)              (each attempt)            (each attempt)
//! ```
//!
//! **Invariant:** a hop token is minted for a [`mandate_gate::Permit`] and for nothing else, and allows
//! no more than the permit's authority in any dimension: one function, its arguments as they are, one
//! receiver, one request, within the permit's lifetime, by a key that exists for one attempt.

mod envelope;
mod error;
mod hop;
mod issuer;
mod narrow;

pub use envelope::{MintedEnvelope, Start};
pub use error::IssueError;
pub use hop::{MintedHop, local_url};
pub use issuer::Issuer;
