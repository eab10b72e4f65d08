//! Why no token was minted.

use mandate_identity::{EnvelopeError, HopError, JwsError, RequestError};
use mandate_kernel::{DecisionId, EntropyError, IdentityModel};

/// Why no token was minted. Nothing may be sent then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IssueError {
    /// The issuer's URL is not usable.
    #[error("issuer `{0}` is not an http or https URL with a host")]
    Issuer(String),
    /// The envelope is of another run, attempt or decision.
    #[error("the envelope does not belong to decision {0}")]
    Envelope(DecisionId),
    /// The permit, or the envelope around it, has no time left.
    #[error("decision {0} has no time left for a token; the step asks again")]
    Expired(DecisionId),
    /// A token of this model comes from elsewhere.
    #[error("a {} token is not minted here: {why}", model.as_str())]
    Model {
        /// The model.
        model: IdentityModel,
        /// Where it comes from.
        why: &'static str,
    },
    /// The token would allow more than the permit. It is a defect; nothing was minted.
    #[error("the token for decision {0} would go beyond its permit; nothing was minted")]
    Beyond(DecisionId),
    /// The name of a local function makes no URL.
    #[error("local function `{name}` can't be named in a proof of possession: {why}")]
    Local {
        /// Its name, shortened.
        name: String,
        /// The rule it breaks.
        why: RequestError,
    },
    /// The envelope could not be minted.
    #[error("envelope: {0}")]
    MintEnvelope(#[from] EnvelopeError),
    /// The hop token could not be minted.
    #[error("hop token: {0}")]
    MintHop(#[from] HopError),
    /// The proof of possession could not be made.
    #[error("proof of possession: {0}")]
    Proof(#[from] JwsError),
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}
