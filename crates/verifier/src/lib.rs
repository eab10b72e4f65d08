//! For services that receive our calls: verifies a hop token against the very request it came with,
//! using nothing but published public keys.
//!
//! ```
//! use mandate_identity::{Audience, Jwks};
//! use mandate_kernel::{Duration, Environment, SystemClock};
//! use mandate_verifier::{BoundedReplayCache, HopVerifier, VerifierConfig};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//! let verifier = HopVerifier::new(VerifierConfig {
//!     issuer: "https://mandate.example/t/demo".to_owned(),
//!     audience: Audience::new("https://warehouse.example")?,
//!     tenant: None,
//!     environment: Environment::new("production")?,
//!     keys: Jwks::from_json(jwks)?,
//!     leeway: Duration::from_secs(5),
//!     clock: Arc::new(SystemClock),
//!     replay: Arc::new(BoundedReplayCache::new(100_000)),
//! });
//! # let _ = verifier;
//! # Ok(())
//! # }
//! ```

mod received;
mod refusal;
mod replay;
mod verifier;

pub use received::ReceivedRequest;
pub use refusal::HopRefusal;
pub use replay::{BoundedReplayCache, ReplayCache, ReplayError};
pub use verifier::{Demand, HopVerifier, VerifiedHop, VerifierConfig};
