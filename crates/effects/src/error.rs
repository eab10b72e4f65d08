//! Why the effects can't be set up.

/// Why the effects can't be set up. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EffectsError {
    /// The HTTP client can't be built.
    #[error("the HTTP client can't be built: {0}")]
    Client(String),
}
